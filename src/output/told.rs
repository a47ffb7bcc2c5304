//! The answer to a query as text for people.

use std::io::{self, Write};

use super::paint::{DIM, GOOD, MISS, Paint, STRONG};
use super::{FileAnswer, certainty, name, plain, position, size};

/// Prints the answer as plain text.
pub fn print_answer(answer: &FileAnswer, top: usize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", plain(&answer.file))?;
    match &answer.best {
        Some(best) => {
            writeln!(out, "  {}", name(best))?;
            let place = position(best.offset_seconds);
            writeln!(out, "  starts at {place}   score {:.0}   {}", best.score, certainty(best.confidence))?;
        }
        None => {
            writeln!(out, "  no match")?;
            if let Some(guess) = guess(answer) {
                writeln!(out, "  {guess}")?;
            }
        }
    }
    if top > 1 {
        for (rank, candidate) in answer.candidates.iter().enumerate() {
            let place = position(candidate.offset_seconds);
            writeln!(out, "  {:2}. {:6.0}  {place}  {}", rank + 1, candidate.score, name(candidate))?;
        }
    }
    let bytes = answer.bytes;
    let (sent, received) = (size(bytes.sent), size(bytes.received));
    write!(out, "  {} hashes asked, {sent} sent, {received} received", answer.hashes.asked)?;
    if bytes.setup_received > 0 {
        write!(out, " ({} once for the catalogue and hints)", size(bytes.setup_received))?;
    }
    let ms = answer.milliseconds;
    writeln!(
        out,
        "\n  {:.0} ms: decode {:.0}, fingerprint {:.0}, OPRF {:.0}, encrypt {:.0}, server {:.0}, decrypt {:.0}, vote {:.0}",
        ms.total, ms.decode, ms.fingerprint, ms.oprf, ms.encrypt, ms.server, ms.decrypt, ms.vote
    )
}

/// What the model says from the sound alone; a weaker statement than a match.
fn guess(answer: &FileAnswer) -> Option<String> {
    let sound = answer.by_sound.as_ref()?;
    let best = sound.classes.first().filter(|_| !sound.none_of_these);
    Some(match best {
        Some(best) => {
            format!("by its sound, possibly {} ({:.0}%)", plain(&best.label), 100.0 * best.probability)
        }
        None => "by its sound, no track of the model either".to_owned(),
    })
}

/// Prints the answer in a terminal, below its stages.
pub fn show_answer(answer: &FileAnswer, top: usize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let paint = Paint::of(&io::stdout());
    writeln!(out)?;
    match &answer.best {
        Some(best) => {
            writeln!(out, "  {} {}", paint.with(GOOD, "♪"), paint.with(STRONG, &plain(&best.title)))?;
            if !best.artist.is_empty() {
                writeln!(out, "    {}", plain(&best.artist))?;
            }
            let begins = if best.offset_seconds < 0.0 { "begins before the track, at" } else { "begins at" };
            writeln!(out, "    the recording {begins} {}", position(best.offset_seconds))?;
            writeln!(out, "    {}", certainty(best.confidence))?;
        }
        None => {
            writeln!(out, "  {}", paint.with(MISS, "No match"))?;
            match answer.candidates.first() {
                Some(near) => writeln!(
                    out,
                    "    The nearest, {}, scores {:.0}; a match scores above {:.0}.",
                    name(near),
                    near.score,
                    fingerprint::THRESHOLD
                )?,
                None => writeln!(out, "    No track has anything in common with it.")?,
            }
            if let Some(guess) = guess(answer) {
                writeln!(out, "    {guess}")?;
            }
        }
    }
    if top > 1 {
        writeln!(out)?;
        for (rank, candidate) in answer.candidates.iter().enumerate() {
            let place = position(candidate.offset_seconds);
            writeln!(out, "  {:2}. {:6.0}  {place:>9}  {}", rank + 1, candidate.score, name(candidate))?;
        }
    }
    let sent = size(answer.bytes.sent);
    let lines = [
        format!("{:.0} ms, {sent} sent, {} received", answer.milliseconds.total, size(answer.bytes.received)),
        format!("The server saw that this address asked, and {sent} of blinded points and"),
        "encrypted numbers, as many for every recording.".to_owned(),
    ];
    writeln!(out)?;
    lines.iter().try_for_each(|line| writeln!(out, "    {}", paint.with(DIM, line)))?;
    writeln!(out)
}
