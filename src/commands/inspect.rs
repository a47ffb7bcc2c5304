//! `psi-shazam inspect`: what the fingerprint sees in a recording, and how the vote decides.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use client::{Answer, Sound};
use fingerprint::{Anatomy, SeenPeak, Settings, anatomy};
use serde::Serialize;

use crate::cli::InspectArgs;
use crate::output::{self, JsonMatch, plain};
use crate::picture::{self, Scene, Voting};
use crate::{reach, recordings};

/// Number of peaks to list.
const LISTED: usize = 5;
/// An anchor counts as near a moment within this many seconds.
const NEAR: f64 = 0.5;
/// Seconds that are drawn after an anchor. Anchors with less sound behind them are chosen last.
const BEHIND: f64 = 1.8;

pub fn run(args: &InspectArgs) -> Result<ExitCode> {
    let recording = recordings::decode(&args.file, args.from, args.seconds)
        .with_context(|| plain(&args.file.display().to_string()))?;
    let samples = &recording.samples;
    let (settings, asked) = match args.asked {
        true => tokio::runtime::Runtime::new()?.block_on(ask(args, samples))?,
        false => (Settings::default(), None),
    };
    let anatomy = anatomy(samples, &settings).with_context(|| plain(&args.file.display().to_string()))?;
    let anchor = anchor(&anatomy, args.at.map(|at| at - args.from));
    let report = report(args, &anatomy, anchor, &settings, samples, asked.as_ref())?;
    if let Some(out) = &args.out {
        let scene = Scene {
            title: plain(&args.file.file_name().unwrap_or(args.file.as_os_str()).to_string_lossy()),
            subtitle: subtitle(&report),
            anatomy: &anatomy,
            samples,
            from: args.from,
            anchor,
            voting: asked.map(voting),
        };
        let png = picture::draw(&scene)?;
        std::fs::write(out, png)
            .with_context(|| format!("cannot write {}", plain(&out.display().to_string())))?;
    }
    match args.database.json {
        true => output::print_json(&report)?,
        false => print(&report)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The server's settings, and its answer.
async fn ask(args: &InspectArgs, samples: &[f32]) -> Result<(Settings, Option<Answer>)> {
    // Before the session, because the time of a fingerprint depends on the recording.
    let sound = Sound::fingerprinted(Arc::new(samples.to_vec()), &Settings::default());
    let mut session = reach::session(&args.whom, &args.database.db).await?;
    let synced = session.sync().await?;
    let asked = session.ask(sound).await;
    let ended = session.end().await;
    let answer = output::usable(asked?.open(ended, 1).await?)?;
    Ok((synced.settings().clone(), Some(answer)))
}

/// The index of the anchor to show: the strongest of those with the most pairs, near the given moment.
fn anchor(anatomy: &Anatomy, near: Option<f64>) -> usize {
    let mut pairs = vec![0u32; anatomy.peaks.len()];
    anatomy.pairs.iter().for_each(|pair| pairs[pair.anchor] += 1);
    let worth = |&place: &usize| {
        let peak = &anatomy.peaks[place];
        let seconds = f64::from(peak.seconds);
        let is_near = near.is_none_or(|near| (seconds - near).abs() <= NEAR);
        let whole = seconds + BEHIND < anatomy.seconds;
        (pairs[place] > 0, is_near, whole, pairs[place], (peak.salience * 1e3) as i64)
    };
    (0..anatomy.peaks.len()).max_by_key(worth).unwrap_or(0)
}

#[derive(Serialize)]
struct Report {
    file: String,
    from_seconds: f64,
    seconds: f64,
    peaks: usize,
    peaks_per_second: f64,
    pairs: usize,
    /// Different postings that an index of this excerpt would hold.
    hashes: usize,
    hashes_per_second: f64,
    /// Different hashes that a query would choose from.
    query_hashes: usize,
    strongest_peaks: Vec<Peak>,
    anchor: Anchor,
    #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
    asked: Option<Asked>,
    #[serde(skip_serializing_if = "Option::is_none")]
    picture: Option<String>,
}

#[derive(Serialize)]
struct Peak {
    seconds: f64,
    hz: f64,
    salience_db: f64,
}

#[derive(Serialize)]
struct Anchor {
    #[serde(flatten)]
    peak: Peak,
    targets: Vec<Target>,
}

#[derive(Serialize)]
struct Target {
    seconds: f64,
    hz: f64,
    hash: String,
}

/// What the server's labels say.
#[derive(Serialize)]
struct Asked {
    best: Option<JsonMatch>,
    /// The first candidate, if none is above the threshold.
    nearest: Option<JsonMatch>,
    labels: usize,
    votes: usize,
}

fn report(
    args: &InspectArgs,
    anatomy: &Anatomy,
    anchor: usize,
    settings: &Settings,
    samples: &[f32],
    asked: Option<&Answer>,
) -> Result<Report> {
    let hashes = fingerprint::reference_landmarks(samples, settings)?.len();
    let peak = |peak: &SeenPeak| Peak {
        seconds: rounded(args.from + f64::from(peak.seconds), 1e3),
        hz: rounded(f64::from(peak.hz), 10.0),
        salience_db: rounded(f64::from(peak.salience), 10.0),
    };
    let mut strongest: Vec<&SeenPeak> = anatomy.peaks.iter().collect();
    strongest.sort_by(|a, b| b.salience.total_cmp(&a.salience));
    let target = |pair: &fingerprint::SeenPair| {
        let Peak { seconds, hz, .. } = peak(&anatomy.peaks[pair.target]);
        Target { seconds, hz, hash: format!("{:08x}", pair.hash.0) }
    };
    let targets = anatomy.pairs.iter().filter(|pair| pair.anchor == anchor).map(target).collect();
    Ok(Report {
        file: args.file.display().to_string(),
        from_seconds: args.from,
        seconds: rounded(anatomy.seconds, 1e3),
        peaks: anatomy.peaks.len(),
        peaks_per_second: rounded(anatomy.peaks.len() as f64 / anatomy.seconds, 10.0),
        pairs: anatomy.pairs.len(),
        hashes,
        hashes_per_second: rounded(hashes as f64 / anatomy.seconds, 10.0),
        query_hashes: fingerprint::query_candidates(samples, settings)?.len(),
        strongest_peaks: strongest.into_iter().take(LISTED).map(peak).collect(),
        anchor: Anchor { peak: peak(&anatomy.peaks[anchor]), targets },
        asked: asked.map(asked_of),
        picture: args.out.as_ref().map(|out| out.display().to_string()),
    })
}

fn asked_of(answer: &Answer) -> Asked {
    let first = answer.named.verdict.candidates.first().zip(answer.named.tracks.first());
    let first = first.map(|(found, track)| JsonMatch::new(found, track));
    let best = answer.named.verdict.best.as_ref().and(first.clone());
    let nearest = if best.is_none() { first } else { None };
    Asked { best, nearest, labels: answer.named.labels, votes: answer.named.votes.len() }
}

fn voting(answer: Answer) -> Voting {
    let asked = asked_of(&answer);
    let caption = match (&asked.best, &asked.nearest) {
        (Some(best), _) => format!("{}: score {:.0}, a match", output::name(best), best.score),
        (None, Some(near)) => {
            let (name, score) = (output::name(near), near.score);
            format!("no match; nearest is {name}, score {score:.0} of {} needed", fingerprint::THRESHOLD)
        }
        (None, None) => "no match".to_owned(),
    };
    let offset = answer.named.verdict.candidates.first().map(|found| found.offset_seconds);
    Voting { caption, votes: answer.named.votes, offset, matched: answer.named.verdict.best.is_some() }
}

fn subtitle(report: &Report) -> String {
    let Report { seconds, from_seconds, peaks_per_second, hashes_per_second, hashes, .. } = report;
    let from = if *from_seconds > 0.0 {
        format!(" from {}", output::position(*from_seconds))
    } else {
        String::new()
    };
    format!(
        "{seconds:.1} s{from}   ·   {peaks_per_second:.1} peaks a second   ·   {hashes} hashes, {hashes_per_second:.1} a second"
    )
}

fn print(report: &Report) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", plain(&report.file))?;
    let from = if report.from_seconds > 0.0 {
        format!(", from {}", output::position(report.from_seconds))
    } else {
        String::new()
    };
    writeln!(out, "  length        {:.1} s{from}", report.seconds)?;
    writeln!(out, "  peaks         {}, {:.1} a second", report.peaks, report.peaks_per_second)?;
    writeln!(out, "  pairs         {}", report.pairs)?;
    writeln!(out, "  hashes        {} to index, {:.1} a second", report.hashes, report.hashes_per_second)?;
    writeln!(out, "  a query       chooses from {} hashes", report.query_hashes)?;
    writeln!(out, "  strongest peaks")?;
    for peak in &report.strongest_peaks {
        let at = output::position(peak.seconds);
        writeln!(
            out,
            "    {at:>9}  {:6.0} Hz  {:5.1} dB above what is usual there",
            peak.hz, peak.salience_db
        )?;
    }
    if let Some(asked) = &report.asked {
        match (&asked.best, &asked.nearest) {
            (Some(best), _) => {
                let at = output::position(best.offset_seconds);
                writeln!(out, "  match         {}, from {at}, score {:.0}", output::name(best), best.score)?;
            }
            (None, Some(near)) => {
                writeln!(out, "  no match      nearest is {}, score {:.0}", output::name(near), near.score)?;
            }
            (None, None) => writeln!(out, "  no match")?,
        }
        writeln!(
            out,
            "  labels        {} on the time line, {} votes for this track",
            asked.labels, asked.votes
        )?;
    }
    if let Some(picture) = &report.picture {
        writeln!(out, "  picture       {}", plain(picture))?;
    }
    Ok(())
}

fn rounded(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}
