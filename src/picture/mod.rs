//! Pictures of what the fingerprint sees and what the vote decides, from the crates' own data.
//!
//! | file | draws |
//! | --- | --- |
//! | `spectrogram` | the whole excerpt with its peaks; one anchor with its target zone and pairs |
//! | `margins` | hashes per second; the spectrum at the anchor; its hashes as numbers |
//! | `voting` | the offsets of a match and its diagonal |
//! | `canvas`, `colour` | the sheet, its letters and colours |

mod canvas;
mod colour;
pub mod confusion;
mod margins;
mod spectrogram;
mod voting;

use anyhow::Result;
use fingerprint::{Anatomy, SeenPair, Vote};

use canvas::Panel;

/// Height of the sheet without the match, in pixels.
const HEIGHT: i32 = 1420;
const MATCH_HEIGHT: i32 = 560;

/// Everything that is drawn.
pub struct Scene<'a> {
    /// The recording's name.
    pub title: String,
    /// Its figures, in one line.
    pub subtitle: String,
    /// What the fingerprint sees.
    pub anatomy: &'a Anatomy,
    /// The samples that it was computed from, at [`fingerprint::SAMPLE_RATE`].
    pub samples: &'a [f32],
    /// Seconds of the recording before the first sample.
    pub from: f64,
    /// Index of the shown anchor among the peaks.
    pub anchor: usize,
    /// The vote, if a server was asked.
    pub voting: Option<Voting>,
}

impl Scene<'_> {
    /// The anchor's pairs, the strongest target first.
    fn pairs(&self) -> impl Iterator<Item = &SeenPair> {
        self.anatomy.pairs.iter().filter(|pair| pair.anchor == self.anchor)
    }
}

/// A vote to be drawn.
pub struct Voting {
    /// The track and the verdict in one line.
    pub caption: String,
    /// As in [`client::Answer`].
    pub votes: Vec<Vote>,
    /// Offset of the recording's beginning in the voted track; `None` without a candidate.
    pub offset: Option<f64>,
    /// Whether it is a match.
    pub matched: bool,
}

/// Draws the scene as PNG.
pub fn draw(scene: &Scene) -> Result<Vec<u8>> {
    let height = HEIGHT + scene.voting.as_ref().map_or(0, |_| MATCH_HEIGHT);
    canvas::png(height, |root| {
        canvas::write(root, &scene.title, (60, 34), 38, colour::INK)?;
        canvas::write(root, &scene.subtitle, (60, 82), 22, colour::SOFT)?;
        spectrogram::whole(root, scene, Panel(0, 132, 1600, 520))?;
        margins::rate(root, scene, Panel(0, 660, 1600, 196))?;
        spectrogram::zone(root, scene, Panel(0, 884, 900, 520))?;
        margins::spectrum(root, scene, Panel(900, 884, 700, 330))?;
        margins::hashes(root, scene, (960, 1238))?;
        if let Some(voting) = &scene.voting {
            voting::offsets(root, voting, Panel(0, HEIGHT, 800, 540))?;
            voting::diagonal(root, scene, voting, Panel(800, HEIGHT, 800, 540))?;
        }
        Ok(())
    })
}
