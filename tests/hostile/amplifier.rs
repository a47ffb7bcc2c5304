//! The hostile server. One song's hashes are in every shard, on one track. Everything else falls off the time line.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use fingerprint::{Catalogue, GlobalFrame, Hash, Settings, Track, TrackId, query_candidates};
use protocol::manifest::{Manifest, ShardInfo};
use protocol::wire::Digest;
use psi::bins::Bins;
use psi::evaluate::ServedShard;
use psi::linear::{LinearParams, LinearSpec};
use psi::oprf::{ItemKey, OprfKey};
use psi::shard::{Entry, Hint, Shard, ShardUid};
use psi::{LatticeSet, Params, ParamsSpec, PublicMasks};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rayon::prelude::*;
use server::{Config, Identity, Model, Server, Snapshot};
use tokio::runtime::Runtime;

use crate::songs::{SECONDS, Songs, worn};
use crate::support::sound::place;

/// Points per bin and shard: the most hashes of the song in each bin.
const POINTS: u16 = 4;
/// Number of passages of the song from which the server learns which hashes clients ask.
const PASSAGES: usize = 96;
/// Number of the first such passage. It is large, so that no passage is also a recording.
const FIRST_PASSAGE: usize = 1_000_003;
/// First frame of the only track. The time line has 2³² frames, so random labels almost never fall on the track.
const START: u32 = 1 << 20;
/// The model of tracks that the server offers.
pub const MODEL: &str = "songs";
/// Number of the model's classes, large enough that its answer stands out on the line.
const CLASSES: usize = 8_000;

/// A running hostile server, and its songs.
pub struct Amplifier {
    pub address: SocketAddr,
    /// The server's key, as an argument.
    pub key: String,
    pub songs: Songs,
    server: Server,
    /// The runtime that runs the server.
    runtime: Runtime,
}

impl Amplifier {
    /// Builds and starts it.
    pub fn start(shards: usize) -> Amplifier {
        let songs = Songs::decode();
        let oprf = Arc::new(OprfKey::from_seed(&[7; 32]).unwrap());
        let snapshot = snapshot(&songs, oprf, shards);
        let runtime = Runtime::new().unwrap();
        let identity = Identity::from_pkcs8(&Identity::generate_pkcs8()).unwrap();
        let config = Config {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            evaluations_per_minute: 0,
            setups_per_minute: 0,
            setup_bytes_per_minute: 0,
            ..Config::default()
        };
        let entered = runtime.enter();
        let server = Server::start(config, &identity, snapshot).unwrap();
        drop(entered);
        let key = identity.server_key().to_string();
        Amplifier { address: server.local_addr(), key, songs, server, runtime }
    }

    /// Also offers [`MODEL`].
    pub fn with_model(self) -> Amplifier {
        self.server.set_models(vec![Arc::new(model(&self.songs))]).unwrap();
        self
    }

    /// Stops it gracefully.
    pub fn stop(self) {
        self.runtime.block_on(self.server.stop());
    }
}

/// A hash of the song that is in every shard.
struct Posting {
    slot: u32,
    key: ItemKey,
    /// Its frame in the song.
    frame: u32,
}

fn snapshot(songs: &Songs, oprf: Arc<OprfKey>, shards: usize) -> Arc<Snapshot> {
    let set = LatticeSet::N2048Q47;
    let spec = ParamsSpec { set, points: POINTS, groups: 1, label_elements: 2, tag_elements: 0, asked: 2048 };
    let params = Params::new(spec).unwrap();
    let (seed, bins) = ([9; 16], Bins::default());
    let masks = PublicMasks::derive(&params, &seed);
    let postings = postings(songs, &oprf, &params, &bins);
    let encoded: Vec<(Hint, ServedShard)> = (0..shards as u32)
        .into_par_iter()
        .map(|number| {
            let shard = shard(&params, &postings, number);
            let matrix = Arc::new(shard.matrix(&params));
            (Hint::compute(&params, &matrix, &masks, 0), ServedShard { group: 0, matrix })
        })
        .collect();
    let info = |(number, (hint, _)): (usize, &(Hint, ServedShard))| ShardInfo {
        uid: uid(number as u32),
        group: 0,
        hint: Digest::of(hint.as_bytes()),
    };
    let frames = 1 + shards as u32 + postings.iter().map(|posting| posting.frame).max().unwrap();
    let attachment = catalogue(frames).encode();
    let manifest = Manifest {
        spec,
        seed,
        key: oprf.id(),
        bins,
        shards: encoded.iter().enumerate().map(info).collect(),
        attachment: Digest::of(&attachment),
        attachment_bytes: attachment.len() as u64,
        application: postcard::to_extend(&Settings::default(), Vec::new()).unwrap(),
    };
    let (hints, shards) = encoded.into_iter().unzip();
    Arc::new(Snapshot::new(oprf, manifest, attachment, hints, shards).unwrap())
}

fn uid(number: u32) -> ShardUid {
    ShardUid(1 + u64::from(number))
}

/// A catalogue of one track that is as long as the labels need.
fn catalogue(frames: u32) -> Catalogue {
    let (id, title, artist, path) = (TrackId(1), "the song".to_owned(), String::new(), String::new());
    Catalogue::new(vec![Track { id, title, artist, path, start: GlobalFrame(START), frames }]).unwrap()
}

/// A shard of all postings, with its own offset, so that its labels differ from those of all other shards.
fn shard(params: &Params, postings: &[Posting], number: u32) -> Shard {
    let label = |posting: &Posting| GlobalFrame(START + number + posting.frame).to_elements();
    let labels: Vec<[u16; 2]> = postings.iter().map(label).collect();
    let entry = |(posting, label)| {
        let Posting { slot, key, .. }: &Posting = posting;
        let label: &[u16; 2] = label;
        Entry { slot: *slot, key, label }
    };
    Shard::encode(params, uid(number), postings.iter().zip(&labels).map(entry)).unwrap()
}

/// For every bin, the hashes that passages of the song ask most often.
fn postings(songs: &Songs, oprf: &OprfKey, params: &Params, bins: &Bins) -> Vec<Posting> {
    let chosen: Vec<Vec<(u32, Hash, u32)>> = (FIRST_PASSAGE..FIRST_PASSAGE + PASSAGES)
        .into_par_iter()
        .map(|number| asked(&songs.song, number, params, bins))
        .collect();
    let mut often: HashMap<(u32, Hash), (usize, u32)> = HashMap::new();
    for (slot, hash, frame) in chosen.into_iter().flatten() {
        often.entry((slot, hash)).or_insert((0, frame)).0 += 1;
    }
    let mut often: Vec<(u32, usize, Hash, u32)> =
        often.into_iter().map(|((slot, hash), (count, frame))| (slot, count, hash, frame)).collect();
    often.sort_by_key(|&(slot, count, hash, _)| (slot, std::cmp::Reverse(count), hash.0));
    let items: Vec<[u8; 4]> = often.iter().map(|(_, _, hash, _)| hash.0.to_le_bytes()).collect();
    let keys = oprf.item_keys(&items).unwrap();
    let mut postings: Vec<Posting> = Vec::new();
    for ((slot, _, _, frame), key) in often.into_iter().zip(keys) {
        let held = postings.iter().rev().take_while(|posting| posting.slot == slot);
        let residues: Vec<u32> = held.map(|posting| posting.key.residue()).collect();
        if residues.len() < params.points() && !residues.contains(&key.residue()) {
            postings.push(Posting { slot, key, frame });
        }
    }
    postings
}

/// What a client asks about one passage: bin, hash, and the hash's frame in the song.
fn asked(song: &[f32], number: usize, params: &Params, bins: &Bins) -> Vec<(u32, Hash, u32)> {
    let heard = worn(song, SECONDS, number);
    let begin = (place(song, SECONDS, number) / fingerprint::params::HOP) as u32;
    let candidates = query_candidates(&heard, &Settings::default()).unwrap();
    let mut free = vec![true; params.bins()];
    let mut asked = Vec::new();
    for candidate in candidates {
        let slot = bins.of(params, &candidate.hash.0.to_le_bytes());
        if std::mem::take(&mut free[slot as usize]) {
            asked.push((slot, candidate.hash, begin + candidate.times[0].0 / 2));
        }
    }
    asked
}

/// A model of tracks with meaningless weights.
fn model(songs: &Songs) -> Model {
    let two = [&songs.song, &songs.others[0]];
    let examples = two.iter().enumerate().flat_map(|(class, samples)| {
        classify::examples_of_track(&samples[..10 * crate::songs::RATE], class).unwrap()
    });
    let examples: Vec<classify::Example> = examples.collect();
    let labels = vec!["one".to_owned(), "two".to_owned()];
    let (mut trained, _) = classify::train(MODEL, classify::Kind::Tracks, labels, &examples).unwrap();
    for class in 2..CLASSES {
        trained.add_class(&format!("track {class}"), &examples[..1]).unwrap();
    }
    let (public, secret) = trained.into_parts();
    let classes = secret.classes() as u32;
    let spec = LinearSpec::choose(LatticeSet::N2048Q47, public.features() as u16, classes).unwrap();
    let weights: Vec<i8> =
        (0..classes as usize).flat_map(|class| secret.weights(class).unwrap().iter().copied()).collect();
    let mut rng = StdRng::seed_from_u64(11);
    let params = LinearParams::new(spec).unwrap();
    Model::new(MODEL, &params, public.encode(), &weights, rng.r#gen(), &rng.r#gen()).unwrap()
}
