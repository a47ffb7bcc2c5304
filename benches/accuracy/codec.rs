//! Lossy codecs, with ffmpeg if this machine has it.

use std::path::Path;
use std::process::{Command, Stdio};

use fingerprint::SAMPLE_RATE;

use crate::condition::Codec;

/// Whether ffmpeg can be run.
pub fn available() -> bool {
    let run = Command::new("ffmpeg").arg("-version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    run.is_ok_and(|status| status.success())
}

/// A stretch of a file, cut and encoded by ffmpeg at the file's own rate, then decoded by this project.
pub fn encoded(codec: Codec, file: &Path, from: usize, length: usize) -> Option<Vec<f32>> {
    let (encoder, rate, extension) = match codec {
        Codec::Mp3 => ("libmp3lame", "32k", ".mp3"),
        Codec::Aac => ("aac", "32k", ".m4a"),
        Codec::Opus => ("libopus", "16k", ".opus"),
    };
    let seconds = |samples: usize| format!("{:.6}", samples as f64 / f64::from(SAMPLE_RATE));
    let target = tempfile::Builder::new().suffix(extension).tempfile().ok()?;
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y", "-threads", "1", "-ss", &seconds(from), "-i"])
        .arg(file)
        .args(["-t", &seconds(length), "-vn", "-ac", "1", "-c:a", encoder, "-b:a", rate])
        .arg(target.path())
        .status();
    status.ok()?.success().then_some(())?;
    fingerprint::decode_file(target.path()).ok().map(|recording| recording.samples)
}
