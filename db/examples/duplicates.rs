//! Measures how long `duplicates` takes on a large catalogue: the tracks of an export, and copies of them at other
//! speeds, which count as different tracks.
//!
//! `cargo run --release -p psi-shazam-db --example duplicates -- all.psz 11`

use std::error::Error;
use std::fs::File;
use std::time::Instant;

use db::{Importer, NewTrack, StoredTrack, duplicates};
use fingerprint::{Frame, GlobalFrame, Hash, Landmark};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let export = arguments.next().ok_or("an export is wanted")?;
    let copies: u32 = arguments.next().map_or(Ok(0), |copies| copies.parse())?;
    let mut importer = Importer::new(File::open(export)?)?;
    let (mut tracks, mut landmarks) = (Vec::new(), Vec::new());
    let mut start = 0;
    while let Some(track) = importer.track()? {
        for copy in 0..=copies {
            let played = at_speed(&track, 1.0 + 0.031 * f64::from(copy));
            let stored = StoredTrack {
                id: tracks.len() as u32,
                title: track.title.clone(),
                artist: String::new(),
                path: format!("{copy}/{}", track.path),
                content: [0; 32],
                start: GlobalFrame(start),
                frames: track.frames,
                seconds: track.seconds,
                postings: played.len() as u32,
            };
            start += track.frames + 1;
            tracks.push(stored);
            landmarks.push(played);
        }
    }
    let postings: usize = landmarks.iter().map(Vec::len).sum();
    println!("{} tracks, {postings} postings", tracks.len());
    let begin = Instant::now();
    let found = duplicates(&tracks, 5.0, None, |id| {
        Ok::<_, std::convert::Infallible>(Some(landmarks[id as usize].clone()))
    })?;
    println!("{} pairs in {:.1} s", found.len(), begin.elapsed().as_secs_f64());
    let of = |id: u32| id % (copies + 1);
    let crossing = found.iter().filter(|pair| of(pair.tracks[0]) != of(pair.tracks[1])).count();
    println!("{crossing} of them between copies of different speeds");
    Ok(())
}

/// The landmarks of the track, played faster.
fn at_speed(track: &NewTrack, speed: f64) -> Vec<Landmark> {
    let cell = |cell: u32| ((f64::from(cell) + 0.5) * speed) as u32;
    let landmark = |posting: &Landmark| {
        let (anchor, target, distance) = posting.hash.unpack();
        let hash = Hash::pack(cell(anchor), cell(target), ((f64::from(distance) + 0.5) / speed) as u32);
        Landmark { hash, frame: Frame((f64::from(posting.frame.0) / speed) as u32) }
    };
    track.postings.iter().map(landmark).collect()
}
