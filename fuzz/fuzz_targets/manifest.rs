//! Manifests, and the settings inside, as a client reads them.
#![no_main]

use fingerprint::Settings;
use libfuzzer_sys::fuzz_target;
use protocol::manifest::Manifest;
use protocol::wire::PROTOCOL_VERSION;

fuzz_target!(|bytes: &[u8]| {
    let _ = Manifest::decode(bytes);
    let versioned = [&PROTOCOL_VERSION.to_le_bytes(), bytes].concat();
    let Ok((manifest, params)) = Manifest::decode(&versioned) else { return };
    // Does not compare bytes, because a varint has more than one encoding.
    let (again, same) = Manifest::decode(&manifest.encode()).expect("it was written here");
    assert_eq!((&again, same), (&manifest, params));
    assert!(
        params.upload_bytes() < 1 << 30 && params.answer_bytes() < 1 << 30 && params.hint_bytes() < 1 << 30
    );
    manifest.bins.of(&params, bytes);
    if let Ok(settings) = postcard::from_bytes::<Settings>(&manifest.application) {
        let _ = settings.check();
    }
});
