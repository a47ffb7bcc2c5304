//! Messages on the owner's socket, both ways.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    server::fuzzing::admin_message(bytes);
    let length = (bytes.len() as u32).to_le_bytes();
    server::fuzzing::admin_message(&[&length, bytes].concat());
});
