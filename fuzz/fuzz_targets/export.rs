//! Exports: whatever the file, and whatever stands in its records.
#![no_main]

use db::{Exporter, Importer, NewTrack, fault};
use fingerprint::Settings;
use libfuzzer_sys::fuzz_target;

/// Reads to the end, or as far as it is whole.
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
    // What can be read can be written, and reads back as the same.
    let mut exporter = Exporter::new(Vec::new(), &Settings::default()).expect("writing to a vector");
    tracks.iter().for_each(|track| exporter.track(track).expect("it was shorter than the cap"));
    let again = read(&exporter.finish().expect("writing to a vector"));
    assert_eq!(format!("{again:?}"), format!("{tracks:?}"));
});
