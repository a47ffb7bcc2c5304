//! Times one query over QUIC on loopback, stage by stage, for a thousand clips.
//!
//! `cargo run --release -p psi-shazam-server --example latency -- [shards] [points] [queries]`

use std::error::Error;
use std::net::Ipv4Addr;
use std::sync::Arc;

use client::{Answer, Cache, ClientConfig, Question, Trust};
use fingerprint::{Candidate, Catalogue, GlobalFrame, HalfFrame, Hash, Settings, Track, TrackId};
use protocol::manifest::{Manifest, ShardInfo};
use protocol::wire::Digest;
use psi::bins::Bins;
use psi::evaluate::ServedShard;
use psi::oprf::OprfKey;
use psi::shard::{Hint, Shard, ShardUid};
use psi::{LatticeSet, Params, ParamsSpec, PublicMasks};
use server::{Config, Identity, Server, Snapshot};
use support::Asking;

const SEED: [u8; 16] = [6; 16];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let numbers: Result<Vec<u16>, _> = std::env::args().skip(1).map(|word| word.parse()).collect();
    let numbers = numbers?;
    let number = |index: usize, default| numbers.get(index).copied().unwrap_or(default);
    let (shards, points, queries) = (number(0, 28), number(1, 27), number(2, 15));

    let key = Arc::new(OprfKey::from_seed(&[5; 32])?);
    let snapshot = Arc::new(snapshot(key, shards, points)?);
    let identity = Identity::from_pkcs8(&Identity::generate_pkcs8())?;
    let listen = (Ipv4Addr::LOCALHOST, 0).into();
    let config = Config { listen, evaluations_per_minute: 0, ..Config::default() };
    let server = Server::start(config, &identity, snapshot)?;

    let config = ClientConfig::new(Trust::Pinned(identity.server_key()), Cache::in_memory());
    let mut client = Asking::connect(&server.local_addr().to_string(), config).await?;
    client.sync().await?;
    let mut answers = Vec::new();
    for query in 0..queries {
        answers.push(client.identify(question(query), 3).await?);
    }
    print(&answers);
    client.close().await;
    server.stop().await;
    Ok(())
}

/// Shards of dummy points only, which cost as much as full ones.
fn snapshot(key: Arc<OprfKey>, shards: u16, points: u16) -> Result<Snapshot, Box<dyn Error>> {
    let set = LatticeSet::N2048Q47;
    let spec = ParamsSpec { set, points, groups: 1, label_elements: 2, tag_elements: 0, asked: 1024 };
    let params = Params::new(spec)?;
    let masks = PublicMasks::derive(&params, &SEED);
    let (mut infos, mut hints, mut served) = (Vec::new(), Vec::new(), Vec::new());
    for uid in (0..shards.into()).map(ShardUid) {
        let matrix = Arc::new(Shard::encode(&params, uid, [])?.matrix(&params));
        let hint = Hint::compute(&params, &matrix, &masks, 0);
        infos.push(ShardInfo { uid, group: 0, hint: Digest::of(hint.as_bytes()) });
        hints.push(hint);
        served.push(ServedShard { group: 0, matrix });
    }
    let attachment = Catalogue::new((0..1000).map(track).collect())?.encode();
    let manifest = Manifest {
        spec,
        seed: SEED,
        key: key.id(),
        bins: Bins::default(),
        shards: infos,
        attachment: Digest::of(&attachment),
        attachment_bytes: attachment.len() as u64,
        application: postcard::to_extend(&Settings::default(), Vec::new())?,
    };
    Ok(Snapshot::new(key, manifest, attachment, hints, served)?)
}

fn track(number: u32) -> Track {
    let title = format!("track {number}");
    let (artist, path) = (String::new(), String::new());
    Track { id: TrackId(number), title, artist, path, start: GlobalFrame(number * 1000), frames: 940 }
}

/// Two thousand hashes; the strongest per bin are asked about.
fn question(query: u16) -> Question {
    let hash = |i: u32| Hash((i + u32::from(query) * 2000).wrapping_mul(2_654_435_761));
    let candidate =
        |i: u32| Candidate { hash: hash(i), strength: -(i as f32), times: vec![HalfFrame(i / 4)] };
    let candidates = (0..2000).map(candidate).collect();
    Question { settings: Settings::default(), candidates, seconds: 10.0 }
}

fn print(answers: &[Answer]) {
    let Some(first) = answers.first() else { return };
    println!("setup {:.1} ms, {:?}", first.milliseconds.setup, first.bytes);
    println!("stage     median      max  (ms, {} queries after the first)", answers.len() - 1);
    type Stage = fn(&client::Stages) -> f64;
    let stages: [(&str, Stage); 6] = [
        ("oprf", |stages| stages.oprf),
        ("encrypt", |stages| stages.encrypt),
        ("server", |stages| stages.server),
        ("decrypt", |stages| stages.decrypt),
        ("vote", |stages| stages.vote),
        ("all", |stages| stages.oprf + stages.encrypt + stages.server + stages.decrypt + stages.vote),
    ];
    for (name, stage) in stages {
        let mut times: Vec<f64> = answers[1..].iter().map(|answer| stage(&answer.milliseconds)).collect();
        times.sort_by(f64::total_cmp);
        if let Some(max) = times.last() {
            println!("{name:8} {:8.1} {max:8.1}", times[times.len() / 2]);
        }
    }
}
