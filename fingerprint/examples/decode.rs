//! Decodes files and prints what is in them. `--raw` writes the samples (32-bit floats, 8 kHz) to standard
//! output.
//!
//!     cargo run --release -p psi-shazam-fingerprint --example decode -- [--raw] FILE...

use std::io::Write as _;
use std::time::Instant;

fn main() -> std::io::Result<()> {
    let (options, files): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|word| word == "--raw");
    for file in &files {
        let start = Instant::now();
        match fingerprint::decode_file(file.as_ref()) {
            Err(error) => eprintln!("{file}: {error}"),
            Ok(recording) => {
                let speed = recording.seconds() / start.elapsed().as_secs_f64();
                let (rate, channels, seconds) =
                    (recording.source_rate, recording.source_channels, recording.seconds());
                eprintln!(
                    "{file}: {seconds:.3} s, {rate} Hz, {channels} channels, {speed:.0} x, {:?}",
                    recording.tags
                );
                if !options.is_empty() {
                    let bytes: Vec<u8> =
                        recording.samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
                    std::io::stdout().write_all(&bytes)?;
                }
            }
        }
    }
    Ok(())
}
