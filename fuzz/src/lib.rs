//! Shared by several targets: the smallest possible server, and its parameters.

#![forbid(unsafe_code)]

use std::sync::Arc;

use fingerprint::{Catalogue, GlobalFrame, Settings, Track, TrackId};
use protocol::manifest::{Manifest, ShardInfo};
use protocol::wire::Digest;
use psi::bins::Bins;
use psi::evaluate::ServedShard;
use psi::linear::{LinearParams, LinearSpec};
use psi::oprf::OprfKey;
use psi::shard::{Entry, Hint, Shard, ShardUid};
use psi::{LatticeSet, Params, ParamsSpec, PublicMasks};
use server::{Model, Snapshot};

const SEED: [u8; 16] = [6; 16];

/// Parameters with two points per bin and few items: everything is decoded as usual and computed quickly.
pub fn params() -> Params {
    let set = LatticeSet::N2048Q47;
    let spec = ParamsSpec { set, points: 2, groups: 1, label_elements: 2, tag_elements: 0, asked: 8 };
    Params::new(spec).expect("these are legal")
}

pub fn oprf_key() -> Arc<OprfKey> {
    Arc::new(OprfKey::from_seed(&[5; 32]).expect("any seed will do"))
}

pub fn masks() -> PublicMasks {
    PublicMasks::derive(&params(), &SEED)
}

pub fn track(id: u32) -> Track {
    let text = format!("track {id}");
    Track {
        id: TrackId(id),
        title: text.clone(),
        artist: String::new(),
        path: text,
        start: GlobalFrame(id * 100),
        frames: 90,
    }
}

/// A shard with one item. Each `id` gives another item.
pub fn shard(id: u32) -> ServedShard {
    let (params, uid, item) = (params(), ShardUid(id.into()), id.to_le_bytes());
    let bin = Bins::default().of(&params, &item);
    let key = oprf_key().item_key(&item).expect("four bytes are an item");
    let entry = Entry { slot: bin, key: &key, label: &[1, 2] };
    let matrix = Shard::encode(&params, uid, [entry]).expect("one entry fits").matrix(&params);
    ServedShard { group: 0, matrix: Arc::new(matrix) }
}

/// A snapshot with one track in one shard. Each `id` gives another track.
pub fn snapshot(id: u32) -> Arc<Snapshot> {
    let (params, uid, shard) = (params(), ShardUid(id.into()), shard(id));
    let hint = Hint::compute(&params, &shard.matrix, &masks(), 0);
    let attachment = Catalogue::new(vec![track(id)]).expect("one track is a catalogue").encode();
    let manifest = Manifest {
        spec: params.spec(),
        seed: SEED,
        key: oprf_key().id(),
        bins: Bins::default(),
        shards: vec![ShardInfo { uid, group: 0, hint: Digest::of(hint.as_bytes()) }],
        attachment: Digest::of(&attachment),
        attachment_bytes: attachment.len() as u64,
        application: postcard::to_stdvec(&Settings::default()).expect("settings can be written"),
    };
    Arc::new(Snapshot::new(oprf_key(), manifest, attachment, vec![hint], vec![shard]).expect("the parts fit"))
}

/// Parameters of a model with more than one block and more than one polynomial.
pub fn linear_params() -> LinearParams {
    let spec = LinearSpec { set: LatticeSet::N2048Q47, features: 600, classes: 5, blocks: 2 };
    LinearParams::new(spec).expect("these are legal")
}

/// Weights for [`linear_params`], with another pattern for each `id`.
pub fn weights(id: u8) -> Vec<i8> {
    let params = linear_params();
    (0..params.features() * params.classes())
        .map(|n| (n * (usize::from(id) + 3) % 255) as u8 as i8)
        .map(legal)
        .collect()
}

/// Turns any byte into a legal feature or weight.
pub fn legal(byte: i8) -> i8 {
    byte.max(-127)
}

/// A server's model.
pub fn model(id: u8) -> Arc<Model> {
    let name = format!("model {id}");
    let made = Model::new(&name, &linear_params(), vec![id; 9], &weights(id), SEED, &[id; 32]);
    Arc::new(made.expect("a legal model"))
}

/// Makes `length` bytes from few: repeats `bytes`, each time with another value added to every byte.
pub fn stretch(bytes: &[u8], length: usize) -> Vec<u8> {
    if bytes.is_empty() {
        return vec![0; length];
    }
    let rounds = bytes.iter().cycle().zip(0..length);
    rounds.map(|(byte, index)| byte.wrapping_add((index / bytes.len()) as u8)).collect()
}
