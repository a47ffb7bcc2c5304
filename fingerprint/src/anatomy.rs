//! What the fingerprint sees in a recording, for drawing: the same spectrum, peaks and pairs that are indexed.

use crate::pairs::for_each_pair;
use crate::params::{FRAME_SECONDS, SAMPLE_RATE};
use crate::{Error, Hash, Peak, Settings, Spectrogram, constellation};

/// A recording as an index sees it: its spectrogram, the peaks kept, and their pairs.
pub struct Anatomy {
    /// Levels in dB. One column for each frame of [`crate::FRAME_SECONDS`].
    pub spectrogram: Spectrogram,
    /// The peaks kept, by time, then frequency.
    pub peaks: Vec<SeenPeak>,
    /// The pairs that are hashed, by anchor, strongest target first. Their hashes, each once per frame, are the
    /// postings of [`crate::reference_landmarks`].
    pub pairs: Vec<SeenPair>,
    /// Length of the recording in seconds.
    pub seconds: f64,
}

/// A peak of the spectrogram.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeenPeak {
    /// Start of its frame in seconds: column `seconds / FRAME_SECONDS` of the spectrogram.
    pub seconds: f32,
    /// Frequency in Hz, refined between the rows of the spectrogram.
    pub hz: f32,
    /// How far it stands above the usual level at its frequency, in dB.
    pub salience: f32,
}

/// Two peaks that form a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenPair {
    /// Place of the earlier peak among [`Anatomy::peaks`].
    pub anchor: usize,
    /// Place of the later peak among [`Anatomy::peaks`].
    pub target: usize,
    /// The indexed hash.
    pub hash: Hash,
}

/// Takes a recording apart: mono samples at [`SAMPLE_RATE`]. One minute takes 4 MB. `settings` must be those of
/// the index.
///
/// # Errors
/// Those of [`crate::reference_landmarks`].
pub fn anatomy(samples: &[f32], settings: &Settings) -> Result<Anatomy, Error> {
    settings.check()?;
    let spectrogram = Spectrogram::new(samples)?;
    let mut kept = constellation(samples)?;
    kept.retain(|peak| peak.rank < settings.peaks_per_second);
    // Peaks are sorted by frame, then bin, and no two share a cell.
    let place = |peak: &Peak| kept.partition_point(|other| (other.frame, other.bin) < (peak.frame, peak.bin));
    let mut pairs = Vec::new();
    for_each_pair(&kept, usize::from(settings.fan_out), |pair| {
        let (anchor, target) = (place(pair.anchor), place(pair.target));
        pairs.push(SeenPair { anchor, target, hash: pair.hash(settings) });
    });
    if pairs.is_empty() {
        return Err(Error::Featureless);
    }
    let seen = |peak: &Peak| SeenPeak {
        seconds: (f64::from(peak.frame) * FRAME_SECONDS) as f32,
        hz: peak.hz,
        salience: peak.salience,
    };
    let seconds = samples.len() as f64 / f64::from(SAMPLE_RATE);
    Ok(Anatomy { spectrogram, peaks: kept.iter().map(seen).collect(), pairs, seconds })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::music;
    use crate::{Frame, Landmark, reference_landmarks};

    #[test]
    fn what_is_drawn_is_what_is_indexed() {
        let (samples, settings) = (music(31, 20.0), Settings::default());
        let anatomy = anatomy(&samples, &settings).unwrap();
        let frame = |pair: &SeenPair| (f64::from(anatomy.peaks[pair.anchor].seconds) / FRAME_SECONDS).round();
        let mut drawn: Vec<Landmark> = anatomy
            .pairs
            .iter()
            .map(|pair| Landmark { hash: pair.hash, frame: Frame(frame(pair) as u32) })
            .collect();
        drawn.sort_unstable_by_key(|landmark| (landmark.frame, landmark.hash));
        drawn.dedup();
        assert_eq!(drawn, reference_landmarks(&samples, &settings).unwrap());
        assert_eq!(anatomy.seconds, 20.0);
        assert!(anatomy.pairs.windows(2).all(|two| two[0].anchor <= two[1].anchor));
    }

    #[test]
    fn peaks_lie_in_their_cells_of_the_spectrogram() {
        let anatomy = anatomy(&music(32, 12.0), &Settings::default()).unwrap();
        let spectrogram = &anatomy.spectrogram;
        for peak in &anatomy.peaks {
            let column = spectrogram.column((f64::from(peak.seconds) / FRAME_SECONDS).round() as usize);
            let row = (0..column.len()).min_by(|&a, &b| {
                (spectrogram.hz(a) - peak.hz).abs().total_cmp(&(spectrogram.hz(b) - peak.hz).abs())
            });
            let mean = column.iter().sum::<f32>() / column.len() as f32;
            assert!(column[row.unwrap()] > mean, "a peak at {peak:?} is loud");
        }
    }
}
