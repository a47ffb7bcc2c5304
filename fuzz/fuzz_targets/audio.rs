//! Audio files, through the wrapper around the decoders.
#![no_main]

use std::sync::Once;

use libfuzzer_sys::fuzz_target;

/// The wrapper catches the decoders' panics. libfuzzer's panic hook would end the process before that, so replace it.
fn let_panics_be_caught() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(|_| {})));
}

fuzz_target!(|bytes: &[u8]| {
    let_panics_be_caught();
    let Ok(recording) = fingerprint::decode_bytes(bytes.to_vec(), None) else { return };
    let sound = recording.samples.iter().all(|sample| sample.is_finite());
    if !sound || recording.source_channels == 0 {
        eprintln!("not finite: {sound}; {} channels", recording.source_channels);
        std::process::abort();
    }
});
