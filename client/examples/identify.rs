//! Asks a server about a recording: its address, the key that `psi-shazam serve` prints, and a file.
//!
//! ```sh
//! cargo run --release --example identify -- example.org:4433 4f5f… heard.m4a
//! ```

use client::{Cache, ClientConfig, Trust};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [server, key, file] =
        std::env::args().skip(1).collect::<Vec<_>>().try_into().map_err(|_| "SERVER KEY FILE")?;
    let config = ClientConfig::new(Trust::Pinned(key.parse()?), Cache::in_memory());
    let sound = client::sound_of_file(&file).await?;
    let answer = client::identify(&server, config, sound, 1).await?;
    match answer.best() {
        Some((found, track)) => {
            println!("{}, {}: from {:.2} s on", track.title, track.artist, found.offset_seconds)
        }
        None => println!("no match"),
    }
    Ok(())
}
