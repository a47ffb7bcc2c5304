//! Records through another program, which writes raw samples to its standard output.

use std::io::{ErrorKind, Read};
use std::process::{Child, Command, Stdio};

use anyhow::{Result, bail};

use super::{Intake, Progress};
use crate::output::plain;

/// Sample rate that the programs are asked for.
const RATE: u32 = 16_000;
/// Samples read at a time: 64 ms.
const PIECE: usize = 1_024;

#[cfg(target_os = "macos")]
const PROGRAMS: &[(&str, &[&str])] = &[(
    "ffmpeg",
    &[
        "-nostdin",
        "-loglevel",
        "error",
        "-f",
        "avfoundation",
        "-i",
        ":default",
        "-ac",
        "1",
        "-ar",
        "16000",
        "-f",
        "s16le",
        "-",
    ],
)];
/// The first program that works is used. All are asked for the same: mono, 16,000 samples per second, 16-bit
/// little-endian.
#[cfg(not(target_os = "macos"))]
const PROGRAMS: &[(&str, &[&str])] = &[
    ("arecord", &["-q", "-t", "raw", "-f", "S16_LE", "-c", "1", "-r", "16000"]),
    ("parec", &["--format=s16le", "--channels=1", "--rate=16000"]),
    (
        "ffmpeg",
        &[
            "-nostdin",
            "-loglevel",
            "error",
            "-f",
            "alsa",
            "-i",
            "default",
            "-ac",
            "1",
            "-ar",
            "16000",
            "-f",
            "s16le",
            "-",
        ],
    ),
];

const ADVICE: &str =
    "install one (on Debian: apt-get install alsa-utils), or build psi-shazam with --features microphone";

/// Records with the first program that delivers sound.
pub fn record(seconds: u32, progress: Progress) -> Result<Vec<f32>> {
    let mut failures = String::new();
    for (name, arguments) in PROGRAMS {
        let child = Command::new(name)
            .args(*arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        match child {
            Ok(child) => match listen(child, seconds, &mut *progress)? {
                Ok(samples) => return Ok(samples),
                Err(reason) => failures += &format!("\n  {name}: {}", plain(reason.trim())),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => failures += &format!("\n  {name}: {error}"),
        }
    }
    let names: Vec<&str> = PROGRAMS.iter().map(|(name, _)| *name).collect();
    if failures.is_empty() {
        bail!("recording needs one of {}; {ADVICE}", names.join(", "));
    }
    bail!("no microphone could be recorded; is one plugged in, and may this user use it?{failures}")
}

/// Reads the program's output until there is enough, then ends the program. If it ends too early, returns its error
/// messages.
fn listen(mut child: Child, seconds: u32, progress: Progress) -> Result<Result<Vec<f32>, String>> {
    let (Some(mut stdout), Some(mut stderr)) = (child.stdout.take(), child.stderr.take()) else {
        bail!("the program's output cannot be read");
    };
    let mut intake = Intake::new(RATE, seconds, progress)?;
    let mut bytes = [0; 2 * PIECE];
    let enough = loop {
        let read = fill(&mut stdout, &mut bytes)?;
        let samples: Vec<f32> = bytes[..read]
            .as_chunks::<2>()
            .0
            .iter()
            .map(|two| f32::from(i16::from_le_bytes(*two)) / 32_768.0)
            .collect();
        if !intake.push(&samples)? {
            break true;
        }
        if read < bytes.len() {
            break false;
        }
    };
    // This also ends programs that it started. Waiting for its error messages would hang.
    drop(stdout);
    let _ = child.kill();
    child.wait()?;
    if enough {
        return intake.finish().map(Ok);
    }
    let mut complaint = String::new();
    let _ = stderr.read_to_string(&mut complaint);
    match complaint.trim().is_empty() {
        true => Ok(Err("it ended too early".to_owned())),
        false => Ok(Err(complaint)),
    }
}

/// Reads until the buffer is full or the input ends.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
