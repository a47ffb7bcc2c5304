//! A whole session of a server: intact and broken frames, tracks and models that change in between, and honest clients
//! among others.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use protocol::wire::{HEADER_BYTES, Header, RefusalCode, Request, Response};
use psi::shard::ShardUid;
use psi_shazam_fuzz::{linear_params, model, params, snapshot, stretch};
use server::fuzzing::{End, Session};
use server::{Model, Snapshot};

/// Snapshots that follow one another.
static SNAPSHOTS: LazyLock<[Arc<Snapshot>; 3]> = LazyLock::new(|| [1, 2, 3].map(snapshot));

/// Models that are added and removed.
static MODELS: LazyLock<[Arc<Model>; 2]> = LazyLock::new(|| [1, 2].map(model));

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }
    /// Takes up to 255 bytes.
    fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }
    fn model(&mut self) -> &'static Model {
        &MODELS[usize::from(self.byte()) % MODELS.len()]
    }
    fn snapshot(&mut self) -> &'static Snapshot {
        &SNAPSHOTS[usize::from(self.byte()) % SNAPSHOTS.len()]
    }
}

/// A legal frame, or arbitrary bytes.
fn frame(input: &mut Input) -> Vec<u8> {
    let params = params();
    let request = match input.byte() % 10 {
        0 => return input.bytes().to_vec(),
        1 => Request::Manifest { held: None },
        2 => Request::Manifest { held: Some(input.snapshot().digest()) },
        3 => Request::Attachment(input.snapshot().manifest().attachment),
        4 => Request::Hints(input.bytes().iter().map(|&uid| ShardUid(u64::from(uid % 5))).collect()),
        5 => Request::Models,
        6 => Request::Attachment(input.model().offer().hints),
        7 => {
            let model = input.model().offer().digest();
            Request::Classify { model, upload: stretch(input.bytes(), linear_params().upload_bytes()) }
        }
        8 => Request::Evaluate(stretch(input.bytes(), params.asked() * 32)),
        _ => {
            let manifest = input.snapshot().digest();
            Request::Query { manifest, upload: stretch(input.bytes(), params.upload_bytes()) }
        }
    };
    request.encode()
}

/// Damages a frame, cuts it into pieces, and sends it.
fn exchange(session: &Session, input: &mut Input) {
    let (how, mut bytes) = (input.byte(), frame(input));
    if how & 1 != 0 && !bytes.is_empty() {
        let at = usize::from(input.byte()) % bytes.len();
        bytes[at] ^= input.byte();
    }
    if how & 2 != 0 {
        bytes.truncate(usize::from(input.byte()));
    }
    if how & 4 != 0 {
        bytes.extend_from_slice(input.bytes());
    }
    let end = if how & 8 != 0 { End::Reset } else { End::Finished };
    let piece = usize::from(input.byte()) + 1;
    let sent = session.exchange(bytes.chunks(piece).map(<[u8]>::to_vec).collect(), end);
    assert!(session.is_idle(), "a request that is over holds memory");
    if end == End::Reset && sent.is_empty() {
        return;
    }
    let (header, payload) = sent.split_first_chunk::<HEADER_BYTES>().expect("every stream is answered");
    let header = Header::decode(*header, 1 << 20).expect("answers are short here");
    assert_eq!(header.length as usize, payload.len());
    let response = Response::decode(header.kind, payload.to_vec()).expect("the server keeps the protocol");
    if let Response::Refused(refusal) = response {
        assert!(refusal.code != RefusalCode::Internal, "{}", refusal.text);
    }
}

fuzz_target!(|bytes: &[u8]| {
    let session = Session::new(SNAPSHOTS[0].clone()).expect("the snapshot is ours");
    let mut input = Input(bytes);
    let mut current = &SNAPSHOTS[0];
    for _ in 0..16 {
        if input.0.is_empty() {
            break;
        }
        match input.byte() % 16 {
            0 => {
                current = &SNAPSHOTS[usize::from(input.byte()) % SNAPSHOTS.len()];
                session.publish(current.clone());
            }
            1 => {
                let count = usize::from(input.byte()) % (MODELS.len() + 1);
                session.set_models(MODELS[..count].to_vec()).expect("there may be two");
            }
            _ => exchange(&session, &mut input),
        }
    }
    let honest = session.exchange(vec![Request::Manifest { held: None }.encode()], End::Finished);
    assert_eq!(honest[HEADER_BYTES..], *current.encoded(), "an honest client is served");
});
