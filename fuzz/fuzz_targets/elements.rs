//! Group elements, from a client on the server and from the server on a client.
#![no_main]

use libfuzzer_sys::fuzz_target;
use psi::oprf::{ELEMENT_BYTES, blind};
use psi_shazam_fuzz::oprf_key;

fuzz_target!(|bytes: &[u8]| {
    let evaluated = oprf_key().evaluate(bytes);
    if let Ok(evaluated) = &evaluated {
        assert_eq!(evaluated.len(), bytes.len());
        assert!(
            bytes.chunks(ELEMENT_BYTES).all(|element| element != [0; ELEMENT_BYTES]),
            "the identity is refused"
        );
        // The server can read what it writes.
        assert!(oprf_key().evaluate(evaluated).is_ok());
    }
    let items: Vec<[u8; 4]> = (0..bytes.len() as u32 / 32).map(u32::to_le_bytes).collect();
    let (count, blinded) = (items.len(), blind(items).expect("four bytes are an item"));
    match blinded.finalize(bytes) {
        Ok(keys) => assert_eq!((keys.len(), evaluated.is_ok()), (count, true)),
        Err(_) => assert!(evaluated.is_err()),
    }
});
