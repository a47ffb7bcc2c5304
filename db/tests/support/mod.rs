//! Shared by the tests in this folder: invented tracks, queries in memory, files.
#![allow(dead_code)] // each test uses only a part

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use db::{Database, NewTrack, Served};
use fingerprint::{Catalogue, Frame, GlobalFrame, Hash, Landmark, Settings};
use psi::query::KnownShard;
use psi::{Asker, Evaluator, Params, PublicMasks};
use rand::{Rng, SeedableRng, rngs::StdRng};

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
        postings: (0..frames).map(|frame| Landmark { hash: Hash(hash()), frame: Frame(frame) }).collect(),
    }
}

/// The labels on the catalogue's time line that are returned for `hashes`, asked in as many queries as needed.
pub fn ask(served: &Served, database: &Database, hashes: &BTreeSet<u32>) -> BTreeMap<u32, BTreeSet<u32>> {
    let params = Params::new(served.manifest.spec).unwrap();
    let masks = Arc::new(PublicMasks::derive(&params, &served.manifest.seed));
    let asker = Asker::new(params, served.manifest.bins.clone(), masks).unwrap();
    let evaluator = Evaluator::new(params, database.oprf_key(), served.shards.clone()).unwrap();
    let known: Vec<KnownShard> = served
        .manifest
        .shards
        .iter()
        .zip(&served.hints)
        .map(|(info, hint)| KnownShard { uid: info.uid, group: 0, hint })
        .collect();
    let catalogue = Catalogue::decode(&served.attachment).unwrap();
    let mut left: Vec<u32> = hashes.iter().copied().collect();
    let mut found: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    while !left.is_empty() {
        let blinded = asker.blind(left.iter().map(|hash| hash.to_le_bytes())).unwrap();
        let asked: Vec<u32> = blinded.sources().into_iter().map(|source| left[source]).collect();
        let evaluated = evaluator.evaluate(blinded.message()).unwrap();
        let (upload, pending) = blinded.unblind(&evaluated).unwrap().encrypt().unwrap();
        let answer = evaluator.answer(&upload).unwrap();
        let labels = pending.open(&known, &answer, |returned| {
            let frame = GlobalFrame::from_elements(returned.label.try_into().unwrap());
            catalogue.locate(frame).map(|_| (asked[returned.item as usize], frame.0))
        });
        for (hash, frame) in labels.unwrap() {
            found.entry(hash).or_default().insert(frame);
        }
        left.retain(|hash| !asked.contains(hash));
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
        for posting in &track.postings {
            let frame = starts[track.title.as_str()] + posting.frame.0;
            expected.entry(posting.hash.0).or_default().insert(frame);
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
