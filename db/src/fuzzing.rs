//! The decoders of stored records, for fuzz targets. Exists only under `--cfg fuzzing`.

use crate::exchange::{export, format};
use crate::models;
use crate::shards::{files, layout};
use crate::tables::{ledger, records, schema};

/// Reads bytes as each kind of stored record in turn. Whatever can be read must survive writing and reading again.
pub fn stored_records(bytes: &[u8]) {
    if let Some(postings) = schema::decode_postings(bytes) {
        let again = schema::encode_postings(&postings);
        assert_eq!(schema::decode_postings(&again), Some(postings));
    }
    if let Some(places) = files::decode_places(bytes) {
        let again = files::encode_places(places.iter().map(|place| (place.bin, place.frame, &place.key)));
        assert_eq!(again, bytes);
    }
    if let Ok(track) = schema::decode::<records::StoredTrack>(bytes, "track") {
        assert!(schema::decode::<records::StoredTrack>(&schema::encode(&track), "track").is_ok());
    }
    if let Ok(layout) = layout::Layout::decode(bytes) {
        assert_eq!(layout::Layout::decode(&schema::encode(&layout)).ok(), Some(layout));
    }
    let _ = schema::decode::<ledger::Ledger>(bytes, "ledger");
    let _ = schema::decode::<records::Next>(bytes, "next");
    let _ = schema::decode::<fingerprint::Settings>(bytes, "settings");
}

/// Reads bytes as a stored model.
pub fn stored_model(bytes: &[u8]) {
    let _ = models::decode(bytes);
}

/// The body of a track's record.
pub fn body_of(track: &records::NewTrack) -> Vec<u8> {
    format::encode_track(track)
}

/// An export with these record bodies, each with a correct digest.
pub fn export_of(bodies: &[&[u8]]) -> Vec<u8> {
    export::forged(bodies).expect("writing to a vector cannot fail")
}
