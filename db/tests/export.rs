//! Exports: whatever is written can be read, and nothing else.

use db::{Database, Exporter, ImportError, Importer, NewTrack, fault};
use fingerprint::{Frame, Hash, Landmark, Settings};
use proptest::prelude::*;

fn posting((hash, frame): (u32, u32)) -> Landmark {
    Landmark { hash: Hash(hash), frame: Frame(frame) }
}

fn tracks() -> impl Strategy<Value = NewTrack> {
    let postings = prop::collection::vec((any::<u32>(), 0u32..2_000), 0..300);
    ("\\PC{0,20}", "\\PC{0,20}", "\\PC{0,20}", any::<[u8; 32]>(), postings).prop_map(
        |(title, artist, path, content, raw)| {
            let mut postings: Vec<Landmark> = raw.into_iter().map(posting).collect();
            postings.sort_by_key(|posting| posting.frame);
            let frames = postings.last().map_or(1, |posting| posting.frame.0 + 1);
            let seconds = f64::from(frames) * fingerprint::FRAME_SECONDS;
            NewTrack { title, artist, path, content, seconds, frames, postings }
        },
    )
}

fn written(tracks: &[NewTrack]) -> Vec<u8> {
    let mut exporter = Exporter::new(Vec::new(), &Settings::default()).unwrap();
    tracks.iter().for_each(|track| exporter.track(track).unwrap());
    exporter.finish().unwrap()
}

/// All tracks that can be read, and the error that ended the reading, if any.
fn read(bytes: &[u8]) -> (Vec<NewTrack>, Option<ImportError>) {
    let mut importer = match Importer::new(bytes) {
        Ok(importer) => importer,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let mut tracks = Vec::new();
    loop {
        match importer.track() {
            Ok(Some(track)) => tracks.push(track),
            Ok(None) => return (tracks, None),
            Err(error) => {
                assert!(matches!(importer.track(), Ok(None)), "nothing comes after an error");
                return (tracks, Some(error));
            }
        }
    }
}

/// A file with these record bodies, each with a correct digest.
fn forged(bodies: &[&[u8]]) -> Vec<u8> {
    use sha2::{Digest, Sha256};
    let start = b"psi-shazam\x01\x00";
    let mut digest: [u8; 32] = Sha256::digest(start).into();
    let mut records = Vec::new();
    for body in bodies {
        digest = Sha256::new().chain_update(digest).chain_update(body).finalize().into();
        records.extend((body.len() as u32).to_le_bytes());
        records.extend_from_slice(body);
        records.extend(digest);
    }
    [&start[..], &zstd::encode_all(&records[..], 1).unwrap()].concat()
}

fn origin(recipe: u16) -> Vec<u8> {
    postcard::to_stdvec(&(recipe, Settings::default())).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn tracks_round_trip(all in prop::collection::vec(tracks(), 0..6)) {
        let (back, error) = read(&written(&all));
        prop_assert!(error.is_none(), "{error:?}");
        prop_assert_eq!(format!("{back:?}"), format!("{all:?}"));
        prop_assert!(all.iter().all(|track| fault(track).is_none() != track.postings.is_empty()));
    }

    #[test]
    fn a_cut_or_a_flipped_bit_is_told_and_what_came_before_is_whole(
        all in prop::collection::vec(tracks(), 1..6),
        at in any::<prop::sample::Index>(),
        bit in 0u8..8,
    ) {
        let bytes = written(&all);
        let at = at.index(bytes.len());
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << bit;
        for spoilt in [&bytes[..at], &flipped[..]] {
            let (back, error) = read(spoilt);
            // Some bits in zstd have no meaning. Flipping those must not change what is read.
            prop_assert!(error.is_some() || back.len() == all.len());
            prop_assert_eq!(format!("{back:?}"), format!("{:?}", &all[..back.len()]));
        }
    }

    #[test]
    fn no_bytes_are_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&bytes);
        let _ = read(&[b"psi-shazam\x01\x00", &bytes[..]].concat());
        let (tracks, _) = read(&forged(&[&origin(1), &bytes]));
        let _ = tracks.iter().map(fault).collect::<Vec<_>>();
    }
}

#[test]
fn what_is_no_export_of_ours_is_refused() {
    let good = written(&[]);
    let newer = [b"psi-shazam\x02\x00", &good[12..]].concat();
    let other = forged(&[&origin(7), &[]]);
    let long = [good.clone(), good].concat();
    for (bytes, words) in [
        (&b"ID3 a song"[..], "no export"),
        (&b""[..], "no export"),
        (&newer, "newer"),
        (&other, "recipe 7"),
        (&long, "damaged"),
        (&forged(&[&origin(1), &[], b"more"]), "bytes follow"),
        (&forged(&[&origin(1)]), "cut short after track 0"),
    ] {
        let error = read(bytes).1.unwrap().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn a_claim_is_no_allocation() {
    // A record that claims 4 GB, and a track that claims 4 billion postings.
    let claims = [b"psi-shazam\x01\x00", &zstd::encode_all(&[255u8; 4][..], 1).unwrap()[..]].concat();
    assert!(matches!(read(&claims).1, Some(ImportError::Damaged { .. })));
    let mut head = vec![0; 32 + 3 + 8];
    head.push(1);
    head.extend([255, 255, 255, 255, 15]);
    assert!(matches!(read(&forged(&[&origin(1), &head])).1, Some(ImportError::Damaged { .. })));
}

#[test]
fn tracks_that_cannot_be_are_named() {
    let sound = NewTrack {
        title: "T".into(),
        artist: String::new(),
        path: "p".into(),
        content: [1; 32],
        seconds: 3.2,
        frames: 100,
        postings: vec![posting((1, 0)), posting((2, 99))],
    };
    assert_eq!(fault(&sound), None);
    for (track, word) in [
        (NewTrack { title: "x".repeat(4_097), ..sound.clone() }, "4,096"),
        (NewTrack { seconds: f64::NAN, ..sound.clone() }, "8 hours"),
        (NewTrack { seconds: -1.0, ..sound.clone() }, "8 hours"),
        (NewTrack { seconds: 1e9, frames: u32::MAX, ..sound.clone() }, "8 hours"),
        (NewTrack { frames: 200, ..sound.clone() }, "frames"),
        (NewTrack { postings: vec![posting((1, 100))], ..sound.clone() }, "past its end"),
        (NewTrack { postings: Vec::new(), ..sound.clone() }, "no landmarks"),
    ] {
        let found = fault(&track).unwrap();
        assert!(found.contains(word), "{found}");
    }
}

#[test]
fn a_database_gives_back_what_it_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open_or_create(folder.path(), Settings::default()).unwrap();
    let postings = (0..2_000).map(|n: u32| posting((n.wrapping_mul(2_654_435_761), n / 2))).collect();
    let track = NewTrack {
        title: "T".into(),
        artist: "A".into(),
        path: "p".into(),
        content: [9; 32],
        seconds: 32.0,
        frames: 1_000,
        postings,
    };
    database.add(&track).unwrap();
    assert_eq!(format!("{:?}", database.export(1).unwrap().unwrap()), format!("{track:?}"));
    assert!(database.export(2).unwrap().is_none());
}
