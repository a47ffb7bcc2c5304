//! Catalogues, as a client reads them.
#![no_main]

use fingerprint::{Catalogue, Frame};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(catalogue) = Catalogue::decode(bytes) else { return };
    for track in catalogue.tracks() {
        assert_eq!(catalogue.locate(track.start), Some((track, Frame(0))));
        assert_eq!(catalogue.get(track.id), Some(track));
    }
    assert_eq!(Catalogue::decode(&catalogue.encode()), Ok(catalogue));
});
