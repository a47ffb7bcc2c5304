//! The wrapper around the audio decoders, with input that is not audio. The other decoders are tested in their crates.

use std::fs;

use fingerprint::decode_bytes;
use proptest::prelude::*;

use crate::support::audio;

/// The first bytes of a file of each format. The test chooses the rest.
const HEADS: [&[u8]; 9] = [
    b"RIFF\xff\xff\xff\x7fWAVEfmt \x10\0\0\0",
    b"fLaC\0\0\0\x22",
    b"OggS\0\x02",
    b"\0\0\0\x20ftypM4A \0\0\0\0",
    b"\x1a\x45\xdf\xa3",
    b"FORM\0\0\xff\xffAIFFCOMM",
    b"ID3\x04\0\0\0\0\0\x7f",
    b"\xff\xfb\x90\x64",
    b"caff\0\x01\0\0desc",
];

/// The first tens of kilobytes of one file of each format.
fn files() -> Vec<Vec<u8>> {
    let names = [
        "catalogue/breaking-the-chains.mp3",
        "catalogue/loyalists.ogg",
        "catalogue/still-another-wanderer.flac",
        "catalogue/the-dangerous-symphony.m4a",
        "catalogue/vengeful-pursuit.opus",
    ];
    let read = |name| {
        let mut bytes = fs::read(audio(name)).unwrap();
        bytes.truncate(40_000);
        bytes
    };
    names.map(read).to_vec()
}

fn decode(bytes: Vec<u8>) -> Result<(), TestCaseError> {
    if let Ok(recording) = decode_bytes(bytes, None) {
        prop_assert!(recording.samples.iter().all(|sample| sample.is_finite()));
        prop_assert!(recording.source_channels > 0);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn made_up_files_are_errors_or_sound(head in 0..HEADS.len(), tail in prop::collection::vec(any::<u8>(), 0..3000)) {
        decode([HEADS[head], &tail].concat())?;
        decode(tail)?;
    }

    #[test]
    fn damaged_files_are_errors_or_sound(
        file in 0usize..5,
        cut in 0usize..40_000,
        damage in prop::collection::vec((0usize..3000, any::<u8>()), 0..9),
    ) {
        let mut bytes = files().swap_remove(file);
        for (place, value) in damage {
            bytes[place] = value;
        }
        bytes.truncate(cut);
        decode(bytes)?;
    }
}
