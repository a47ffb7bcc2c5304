//! Made-up tracks, a server for them, and clients.

use std::array::from_fn;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use client::{Cache, ClientConfig, Question, ServerKey, Trust};
use fingerprint::{Candidate, Catalogue, GlobalFrame, HalfFrame, Hash, Settings, Track, TrackId};
use protocol::manifest::{Manifest, ShardInfo};
use protocol::wire::Digest;
use psi::bins::Bins;
use psi::evaluate::ServedShard;
use psi::oprf::{ItemKey, OprfKey};
use psi::shard::{Entry, Hint, Shard, ShardUid};
use psi::{LatticeSet, Params, ParamsSpec, PublicMasks};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use server::{Config, Identity, Server, Snapshot};
use support::Asking;

pub const SEED: [u8; 16] = [6; 16];
/// Frames of each track.
pub const FRAMES: u32 = 900;
const POSTINGS: usize = 600;
/// Most shards that a track's postings may take.
const SHARDS_PER_TRACK: usize = 3;

pub fn oprf_key() -> Arc<OprfKey> {
    oprf_key_of(5)
}

pub fn oprf_key_of(seed: u8) -> Arc<OprfKey> {
    Arc::new(OprfKey::from_seed(&[seed; 32]).unwrap())
}

pub fn spec(asked: u32) -> ParamsSpec {
    let set = LatticeSet::N2048Q47;
    ParamsSpec { set, points: 8, groups: 1, label_elements: 2, tag_elements: 0, asked }
}

/// (hash, frame) of one track, the same in every run.
pub fn postings(track: u32) -> Vec<(u32, u32)> {
    let mut rng = StdRng::seed_from_u64(track.into());
    (0..POSTINGS).map(|_| (rng.r#gen(), rng.gen_range(0..FRAMES))).collect()
}

pub fn start_of(track: u32) -> u32 {
    1000 + track * 70_000 // large enough to use both label elements
}

/// `count` hashes of a track, starting at `from`, as a recording would yield them.
pub fn question(track: u32, from: u32, count: usize) -> Question {
    let heard = postings(track).into_iter().filter(|&(_, frame)| frame >= from).take(count);
    let time = |frame| HalfFrame(2 * (frame - from));
    let candidates = heard
        .map(|(hash, frame)| Candidate { hash: Hash(hash), strength: 1.0, times: vec![time(frame)] })
        .collect();
    Question { settings: Settings::default(), candidates, seconds: 10.0 }
}

pub fn catalogue(tracks: &[u32]) -> Catalogue {
    let track = |&track: &u32| Track {
        id: TrackId(track),
        title: format!("title {track}"),
        artist: format!("artist {track}"),
        path: String::new(),
        start: GlobalFrame(start_of(track)),
        frames: FRAMES,
    };
    Catalogue::new(tracks.iter().map(track).collect()).unwrap()
}

/// A shard with everything that belongs to it.
#[derive(Clone)]
struct Part {
    uid: ShardUid,
    hint: Hint,
    served: ServedShard,
}

/// The shards of one track, encoded once per process.
fn parts(track: u32) -> Vec<Part> {
    static MADE: [OnceLock<Vec<Part>>; 8] = [const { OnceLock::new() }; 8];
    MADE[track as usize].get_or_init(|| encode(track, &oprf_key(), 0)).clone()
}

/// `epoch` keeps the uids of different keys distinct.
fn encode(track: u32, key: &OprfKey, epoch: u64) -> Vec<Part> {
    let params = Params::new(spec(64)).unwrap();
    let masks = PublicMasks::derive(&params, &SEED);
    let mut residues: [Vec<Vec<u32>>; SHARDS_PER_TRACK] = from_fn(|_| vec![Vec::new(); params.bins()]);
    let mut places: [Vec<(u32, ItemKey, [u16; 2])>; SHARDS_PER_TRACK] = Default::default();
    for (hash, frame) in postings(track) {
        let item = hash.to_le_bytes();
        let (slot, key) = (Bins::default().of(&params, &item), key.item_key(&item).unwrap());
        let room = |shard: &usize| {
            let held = &residues[*shard][slot as usize];
            held.len() < params.points() && !held.contains(&key.residue())
        };
        let place = (0..SHARDS_PER_TRACK).find(room).unwrap();
        residues[place][slot as usize].push(key.residue());
        let label = start_of(track) + frame;
        places[place].push((slot, key, [label as u16, (label >> 16) as u16]));
    }
    let made = places.iter().enumerate().map(|(index, entries)| {
        let uid = ShardUid(epoch * 10_000 + u64::from(track) * 100 + index as u64);
        let entries = entries.iter().map(|(slot, key, label)| Entry { slot: *slot, key, label });
        let matrix = Arc::new(Shard::encode(&params, uid, entries).unwrap().matrix(&params));
        let hint = Hint::compute(&params, &matrix, &masks, 0);
        Part { uid, hint, served: ServedShard { group: 0, matrix } }
    });
    made.collect()
}

/// A snapshot of these tracks; three shards each.
pub fn snapshot_with(tracks: &[u32], spec: ParamsSpec, settings: &Settings) -> Arc<Snapshot> {
    let parts: Vec<Part> = tracks.iter().flat_map(|&track| parts(track)).collect();
    snapshot_of(parts, oprf_key(), tracks, spec, settings)
}

/// A snapshot made with another OPRF key.
pub fn snapshot_under(key: Arc<OprfKey>, tracks: &[u32]) -> Arc<Snapshot> {
    let parts: Vec<Part> = tracks.iter().flat_map(|&track| encode(track, &key, 1)).collect();
    snapshot_of(parts, key, tracks, spec(64), &Settings::default())
}

fn snapshot_of(
    parts: Vec<Part>,
    key: Arc<OprfKey>,
    tracks: &[u32],
    spec: ParamsSpec,
    settings: &Settings,
) -> Arc<Snapshot> {
    let info = |part: &Part| ShardInfo { uid: part.uid, group: 0, hint: Digest::of(part.hint.as_bytes()) };
    let attachment = catalogue(tracks).encode();
    let manifest = Manifest {
        spec,
        seed: SEED,
        key: key.id(),
        bins: Bins::default(),
        shards: parts.iter().map(info).collect(),
        attachment: Digest::of(&attachment),
        attachment_bytes: attachment.len() as u64,
        application: postcard::to_extend(settings, Vec::new()).unwrap(),
    };
    let (hints, shards) = parts.into_iter().map(|part| (part.hint, part.served)).unzip();
    Arc::new(Snapshot::new(key, manifest, attachment, hints, shards).unwrap())
}

pub fn snapshot(tracks: &[u32]) -> Arc<Snapshot> {
    snapshot_with(tracks, spec(64), &Settings::default())
}

pub fn config() -> Config {
    let listen = (Ipv4Addr::LOCALHOST, 0).into();
    Config { listen, evaluations_per_minute: 0, setups_per_minute: 0, ..Config::default() }
}

/// Starts a server for these tracks with a new identity.
pub fn serve(config: Config, snapshot: Arc<Snapshot>) -> (Server, ServerKey) {
    let identity = Identity::from_pkcs8(&Identity::generate_pkcs8()).unwrap();
    (Server::start(config, &identity, snapshot).unwrap(), identity.server_key())
}

pub fn client_config(key: ServerKey, cache: &Cache) -> ClientConfig {
    ClientConfig { timeout: Duration::from_secs(60), ..ClientConfig::new(Trust::Pinned(key), cache.clone()) }
}

pub async fn connect(address: SocketAddr, key: ServerKey, cache: &Cache) -> Asking {
    Asking::connect(&address.to_string(), client_config(key, cache)).await.unwrap()
}

/// Asks for a passage of `track` and checks the answer.
pub async fn ask_and_check(client: &mut Asking, track: u32) -> client::Answer {
    let answer = client.identify(question(track, 200, 60), 3).await.unwrap();
    let best = answer.named.verdict.best.as_ref().expect("a match");
    assert_eq!(best.track, TrackId(track));
    assert!((best.offset_seconds - 200.0 * fingerprint::FRAME_SECONDS).abs() < 0.1);
    assert_eq!(answer.named.tracks[0].title, format!("title {track}"));
    answer
}
