//! What only fuzz targets reach for: the decoders of stored records. Exists under `--cfg fuzzing` alone.

use crate::{files, layout, schema, tracks};

/// Reads bytes as every stored record in turn; what can be read must read back after writing.
pub fn stored_records(bytes: &[u8]) {
    if let Some(postings) = schema::decode_postings(bytes) {
        let again = schema::encode_postings(&postings);
        assert_eq!(schema::decode_postings(&again), Some(postings));
    }
    if let Some(places) = files::decode_places(bytes) {
        let again = files::encode_places(places.iter().map(|place| (place.bin, place.label, &place.key)));
        assert_eq!(again, bytes);
    }
    if let Ok(track) = schema::decode::<tracks::StoredTrack>(bytes, "track") {
        assert!(schema::decode::<tracks::StoredTrack>(&schema::encode(&track), "track").is_ok());
    }
    if let Ok(layout) = schema::decode::<layout::Layout>(bytes, "layout") {
        assert!(schema::decode::<layout::Layout>(&schema::encode(&layout), "layout").is_ok());
        let _ = layout.params();
    }
    let _ = schema::decode::<schema::Next>(bytes, "next");
    let _ = schema::decode::<fingerprint::Settings>(bytes, "settings");
}
