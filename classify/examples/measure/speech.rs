//! A speech task without people: sentences spoken by espeak-ng's voice variants in five styles.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use rayon::prelude::*;

/// Speakers: variants that change pitch, formants and voicing. None whispers or sets its own speed.
const SPEAKERS: [&str; 50] = [
    "adam",
    "Alex",
    "Alicia",
    "Andrea",
    "Andy",
    "Annie",
    "aunty",
    "belinda",
    "benjamin",
    "boris",
    "caleb",
    "david",
    "Denis",
    "Diogo",
    "ed",
    "edward",
    "Gene",
    "gustave",
    "Henrique",
    "Hugo",
    "iven",
    "iven3",
    "Jacky",
    "john",
    "kaukovalta",
    "Lee",
    "linda",
    "marcelo",
    "Marco",
    "max",
    "Michael",
    "michel",
    "miguel",
    "Mike",
    "Nguyen",
    "pablo",
    "paul",
    "pedro",
    "quincy",
    "rob",
    "robert",
    "steph",
    "steph3",
    "Storm",
    "Tweaky",
    "zac",
    "anika",
    "shelby",
    "travis",
    "victor",
];
/// Styles: name, words per minute, pitch (0 to 99), range of the pitch in percent, pause between words in 10 ms.
const STYLES: [(&str, u64, u64, u64, u64); 5] = [
    ("calm", 130, 40, 50, 2),
    ("hurried", 270, 50, 100, 0),
    ("excited", 200, 70, 200, 0),
    ("flat", 165, 50, 0, 0),
    ("hesitant", 120, 30, 70, 18),
];
const SENTENCES: [&str; 8] = [
    "The train to the northern coast leaves from platform four in a quarter of an hour.",
    "Nobody knew why the old lighthouse keeper painted his door a different colour every spring.",
    "Please put the letters on the kitchen table and close the window before it rains.",
    "We counted forty seven swans on the frozen lake before the sun went down behind the hills.",
    "My neighbour bought three boxes of ripe oranges and a very small umbrella.",
    "If you turn left at the bakery you will see the museum right in front of you.",
    "The committee will meet again on Thursday to talk about the bridge and the market.",
    "A quiet river runs through the valley where my grandfather used to keep his bees.",
];
/// Sentences per speaker and style.
const TAKES: usize = 4;

/// Writes FOLDER/STYLE/SPEAKER_TAKE.wav, 1,000 files. Speed varies by 10% and pitch by 8 around the style's
/// values.
pub fn make(folder: &Path) -> anyhow::Result<()> {
    for (style, ..) in STYLES {
        std::fs::create_dir_all(folder.join(style))?;
    }
    let takes = SPEAKERS.len() * STYLES.len() * TAKES;
    (0..takes).into_par_iter().try_for_each(|take| speak(folder, take))
}

fn speak(folder: &Path, number: usize) -> anyhow::Result<()> {
    let (speaker, style, take) =
        (number / (STYLES.len() * TAKES), number / TAKES % STYLES.len(), number % TAKES);
    let (name, speed, pitch, range, pause) = STYLES[style];
    // Any fixed shuffle works; these are the constants of a linear congruential generator.
    let scattered =
        (number as u64).wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    let (a, b) = (scattered >> 40 & 0xff, scattered >> 50 & 0xff);
    let speed = speed * (900 + a * 200 / 255) / 1_000;
    let pitch = (pitch + b * 16 / 255).saturating_sub(8).min(99);
    let sentence = SENTENCES[(speaker + 2 * take + (scattered >> 60 & 1) as usize) % SENTENCES.len()];
    let status = Command::new("espeak-ng")
        .args(["-m", "-v", &format!("en+{}", SPEAKERS[speaker])])
        .args(["-s", &speed.to_string(), "-p", &pitch.to_string(), "-g", &pause.to_string(), "-w"])
        .arg(folder.join(name).join(format!("{}_{take}.wav", SPEAKERS[speaker])))
        .arg(format!("<speak><prosody range=\"{range}%\">{sentence}</prosody></speak>"))
        .status()
        .context("espeak-ng cannot be started; Debian has it as espeak-ng")?;
    ensure!(status.success(), "espeak-ng failed: {status}");
    Ok(())
}
