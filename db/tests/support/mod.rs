//! Shared by the tests in this folder: invented tracks, queries in memory, files.
#![allow(dead_code)] // each test uses only a part

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use db::{Database, NewTrack, Served};
use fingerprint::{Catalogue, GlobalFrame, Settings};
use psi::query::{AskedKey, KnownShard};
use psi::{Params, PublicMasks, bins, evaluate, oprf, query};
use rand::{Rng, SeedableRng, rngs::StdRng, thread_rng};

pub const QUIET: &(dyn Fn(usize, usize) + Sync) = &|_, _| {};

pub fn open(folder: &Path) -> Database {
    Database::open_or_create(folder, Settings::default()).unwrap()
}

/// An invented track. Hashes below 200 are common, so that bins get repeats.
pub fn track(number: u8, frames: u32) -> NewTrack {
    let mut rng = StdRng::seed_from_u64(number.into());
    let mut hash = || if rng.gen_bool(0.05) { rng.gen_range(0..200) } else { rng.r#gen() };
    NewTrack {
        title: format!("Track {number}"),
        artist: "Nobody".into(),
        path: format!("made/{number}.flac"),
        content: [number; 32],
        seconds: f64::from(frames) * 0.032,
        frames,
        postings: (0..frames).map(|frame| (hash(), frame)).collect(),
    }
}

/// The labels on the catalogue's time line that are returned for `hashes`, asked in as many queries as needed.
pub fn ask(served: &Served, database: &Database, hashes: &BTreeSet<u32>) -> BTreeMap<u32, BTreeSet<u32>> {
    let params = Params::new(served.manifest.spec).unwrap();
    let masks = PublicMasks::derive(&params, &served.manifest.seed);
    let catalogue = Catalogue::decode(&served.attachment).unwrap();
    let mut left: Vec<u32> = hashes.iter().copied().collect();
    let mut found: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    while !left.is_empty() {
        let items: Vec<[u8; 4]> = left.iter().map(|hash| hash.to_le_bytes()).collect();
        let asked = bins::choose(&params, &served.manifest.bins, &items, &mut thread_rng());
        let blinded = oprf::blind(asked.clone()).unwrap();
        let evaluated = database.oprf_key().evaluate(blinded.message()).unwrap();
        let keys = blinded.finalize(&evaluated).unwrap();
        let real: Vec<AskedKey> = asked
            .iter()
            .zip(keys)
            .filter_map(|(a, key)| Some(AskedKey { item: Some(left[a.source?]), bin: a.bin, key }))
            .collect();
        let done: BTreeSet<u32> = real.iter().filter_map(|a| a.item).collect();
        let (upload, pending) = query::encrypt(&params, &masks, real, &mut thread_rng()).unwrap();
        let answer = evaluate::answer(&params, &served.shards, &upload).unwrap();
        let known: Vec<KnownShard> = served
            .manifest
            .shards
            .iter()
            .zip(&served.hints)
            .map(|(info, hint)| KnownShard { uid: info.uid, group: 0, hint })
            .collect();
        let labels = pending.open(&known, &answer, |r| {
            let frame = GlobalFrame::from_elements(r.label.try_into().unwrap());
            catalogue.locate(frame).map(|_| (r.item, frame.0))
        });
        for (hash, frame) in labels.unwrap() {
            found.entry(hash).or_default().insert(frame);
        }
        left.retain(|hash| !done.contains(hash));
    }
    found
}

/// Checks that every posting of `tracks` is found, except the few that the layout dropped.
pub fn check(database: &Database, tracks: &[NewTrack]) {
    let served = database.served().unwrap();
    let catalogue = Catalogue::decode(&served.attachment).unwrap();
    assert_eq!(catalogue.tracks().len(), tracks.len());
    let starts: BTreeMap<&str, u32> =
        catalogue.tracks().iter().map(|t| (t.title.as_str(), t.start.0)).collect();
    let mut expected: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    for track in tracks {
        for &(hash, frame) in &track.postings {
            expected.entry(hash).or_default().insert(starts[track.title.as_str()] + frame);
        }
    }
    let found = ask(&served, database, &expected.keys().copied().collect());
    let mut missing = 0;
    let mut total = 0;
    for (hash, frames) in &expected {
        let returned = found.get(hash).cloned().unwrap_or_default();
        total += frames.len();
        missing += frames.difference(&returned).count();
    }
    let dropped = database.stats().unwrap().dropped as usize;
    assert!(missing <= dropped, "{missing} of {total} are missing, {dropped} were dropped");
    assert!(missing * 20 <= total, "{missing} of {total} are missing");
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}

/// The relative paths of all files in a folder and its subfolders.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![folder.to_owned()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path)
            } else {
                found.push(path.strip_prefix(folder).unwrap().to_owned())
            }
        }
    }
    found.sort();
    found
}
