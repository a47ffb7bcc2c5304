//! Exports: arbitrary files, and valid files with arbitrary records.
#![no_main]

use db::{Exporter, Importer, NewTrack, fault};
use fingerprint::Settings;
use libfuzzer_sys::fuzz_target;

/// Reads all tracks up to the end or the first error.
fn read(bytes: &[u8]) -> Vec<NewTrack> {
    let Ok(mut importer) = Importer::new(bytes) else { return Vec::new() };
    let mut tracks = Vec::new();
    while let Ok(Some(track)) = importer.track() {
        let _ = fault(&track);
        tracks.push(track);
    }
    tracks
}

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    let tracks = read(&db::fuzzing::export_of(&[bytes]));
    // Tracks that can be read can be written, and read back unchanged.
    let mut exporter = Exporter::new(Vec::new(), &Settings::default()).expect("writing to a vector");
    tracks.iter().for_each(|track| exporter.track(track).expect("it was shorter than the cap"));
    let again = read(&exporter.finish().expect("writing to a vector"));
    assert_eq!(format!("{again:?}"), format!("{tracks:?}"));
});
