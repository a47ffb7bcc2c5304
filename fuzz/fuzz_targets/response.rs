//! Frames from servers, as a client reads them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::wire::{HEADER_BYTES, Header, Response};

fuzz_target!(|bytes: &[u8]| {
    let Some((header, payload)) = bytes.split_first_chunk::<HEADER_BYTES>() else { return };
    let Ok(header) = Header::decode(*header, 1 << 20) else { return };
    let Ok(response) = Response::decode(header.kind, payload.to_vec()) else { return };
    let again = response.encode();
    assert_eq!((again[0], &again[HEADER_BYTES..]), (header.kind, payload));
});
