//! A database from tracks to answers, through the real protocol in memory.

use std::collections::{BTreeMap, BTreeSet};

use db::{Added, Database, Error, MatrixLayout, NewTrack, Served};
use fingerprint::{Catalogue, Settings};
use psi::query::{AskedKey, KnownShard};
use psi::{Params, PublicMasks, bins, evaluate, oprf, query};
use rand::{Rng, SeedableRng, rngs::StdRng, thread_rng};

fn open(folder: &std::path::Path) -> Database {
    Database::open_or_create(folder, Settings::default()).unwrap()
}

/// A made-up track; hashes below 200 are common, so that bins see repeats.
fn track(number: u8, frames: u32) -> NewTrack {
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

/// Labels on the catalogue's time line that come back for `hashes`, asked a query's worth at a time.
fn ask(served: &Served, database: &Database, hashes: &BTreeSet<u32>) -> BTreeMap<u32, BTreeSet<u32>> {
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
            .filter_map(|(a, key)| Some(AskedKey { item: left[a.source?], bin: a.bin, key }))
            .collect();
        let done: BTreeSet<u32> = real.iter().map(|a| a.item).collect();
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
            let frame = u32::from(r.label[0]) | u32::from(r.label[1]) << 16;
            catalogue.locate(frame).map(|_| (r.item, frame))
        });
        for (hash, frame) in labels.unwrap() {
            found.entry(hash).or_default().insert(frame);
        }
        left.retain(|hash| !done.contains(hash));
    }
    found
}

/// Checks that every posting of `tracks` comes back, but for the few that the layout dropped.
fn check(database: &Database, tracks: &[NewTrack]) {
    let served = database.served().unwrap();
    let catalogue = Catalogue::decode(&served.attachment).unwrap();
    assert_eq!(catalogue.tracks().len(), tracks.len());
    let starts: BTreeMap<&str, u32> =
        catalogue.tracks().iter().map(|t| (t.title.as_str(), t.start)).collect();
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

const QUIET: &(dyn Fn(usize, usize) + Sync) = &|_, _| {};

#[test]
fn tracks_are_found_however_they_came() {
    let folder = tempfile::tempdir().unwrap();
    let mut tracks: Vec<NewTrack> = (1..=6).map(|n| track(n, 3000)).collect();
    let database = open(folder.path());
    for t in &tracks {
        assert!(matches!(database.add(t).unwrap(), Added::New(_)));
    }
    let report = database.encode(QUIET).unwrap();
    assert!(report.rebuilt && report.tracks == 6);
    check(&database, &tracks);

    // One at a time, first into open shards, then past the point where the layout is made anew.
    let before: BTreeSet<_> = database.served().unwrap().manifest.shards.iter().map(|s| s.uid).collect();
    let mut seen = before.clone();
    let mut rebuilt = 0;
    for number in 7..=14 {
        let t = track(number, 2500);
        database.add(&t).unwrap();
        tracks.push(t);
        let report = database.encode(QUIET).unwrap();
        assert_eq!(report.tracks, 1);
        rebuilt += usize::from(report.rebuilt);
        let now: BTreeSet<_> = database.served().unwrap().manifest.shards.iter().map(|s| s.uid).collect();
        if number == 7 {
            assert!(
                !report.rebuilt && before.intersection(&now).count() > 0,
                "sealed shards stay as they are"
            );
        }
        seen.extend(now);
    }
    assert!(rebuilt >= 1);
    check(&database, &tracks);
    assert!(seen.len() > before.len());
    assert_eq!(database.encode(QUIET).unwrap().shards, 0, "nothing left to do");

    // After a restart the same shards answer as before.
    let uids: Vec<_> = database.served().unwrap().manifest.shards.iter().map(|s| s.uid).collect();
    drop(database);
    let database = open(folder.path());
    assert_eq!(database.served().unwrap().manifest.shards.iter().map(|s| s.uid).collect::<Vec<_>>(), uids);
    check(&database, &tracks);
}

#[test]
fn compact_shards_answer_alike_whether_loaded_or_encoded() {
    let folder = tempfile::tempdir().unwrap();
    let mut tracks: Vec<NewTrack> = (1..=2).map(|n| track(n, 2000)).collect();
    let database = open(folder.path());
    tracks.iter().for_each(|t| assert!(matches!(database.add(t).unwrap(), Added::New(_))));
    database.encode(QUIET).unwrap();
    drop(database);

    let database = open(folder.path());
    database.set_matrix_layout(MatrixLayout::Compact);
    check(&database, &tracks);
    tracks.push(track(3, 500));
    database.add(&tracks[2]).unwrap();
    database.encode(QUIET).unwrap();
    check(&database, &tracks);
    let shards = database.served().unwrap().shards;
    assert!(shards.iter().all(|shard| shard.matrix.layout() == MatrixLayout::Compact));
    let bytes: usize = shards.iter().map(|shard| shard.matrix.bytes()).sum();
    assert!((bytes as u64) < database.matrix_bytes(MatrixLayout::Fast).unwrap() / 2);
}

#[test]
fn removed_tracks_are_gone_and_their_room_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    let tracks: Vec<NewTrack> = (1..=4).map(|n| track(n, 2000)).collect();
    for t in &tracks {
        database.add(t).unwrap();
    }
    database.encode(QUIET).unwrap();
    assert_eq!(database.remove(&[1, 99]).unwrap(), 1);
    database.encode(QUIET).unwrap();
    check(&database, &tracks[1..]);
    assert_eq!(database.find_content(&[1; 32]).unwrap(), None);
    assert!(database.stats().unwrap().placed > 7000, "the removed track's points are still there");
    assert!(database.compact(QUIET).unwrap().rebuilt);
    assert!(database.stats().unwrap().placed <= 6000);
    check(&database, &tracks[1..]);
    // A number is never used again.
    assert_eq!(database.add(&track(1, 2000)).unwrap(), Added::New(5));
    assert_eq!(database.remove(&[2, 3, 4, 5]).unwrap(), 4);
    database.encode(QUIET).unwrap();
    assert!(database.served().unwrap().shards.is_empty());
}

#[test]
fn one_content_is_one_track_wherever_it_lies() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    assert_eq!(database.add(&track(1, 100)).unwrap(), Added::New(1));
    let moved = NewTrack { path: "elsewhere.flac".into(), ..track(1, 100) };
    assert_eq!(database.add(&moved).unwrap(), Added::Known(1));
    let stored = database.list().unwrap();
    assert_eq!((stored.len(), stored[0].path.as_str()), (1, "elsewhere.flac"));
}

#[test]
fn an_empty_database_answers_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    let served = database.served().unwrap();
    assert!(served.shards.is_empty());
    assert!(ask(&served, &database, &[1, 2, 3].into()).is_empty());
}

#[test]
fn full_time_lines_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    let endless = |number| NewTrack { frames: u32::MAX / 2, ..track(number, 10) };
    database.add(&endless(1)).unwrap();
    assert!(matches!(database.add(&endless(2)), Err(Error::Full)));
    assert_eq!(database.list().unwrap().len(), 1);
}

#[test]
fn opening_what_is_in_use_missing_or_newer_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Database::open(&folder.path().join("none")), Err(Error::Missing { .. })));
    let database = open(folder.path());
    assert!(matches!(Database::open(folder.path()), Err(Error::Locked { .. })));
    drop(database);
    let store = sled::open(folder.path().join("store")).unwrap();
    store.open_tree("meta").unwrap().insert("schema", &99u32.to_le_bytes()).unwrap();
    drop(store);
    assert!(matches!(Database::open(folder.path()), Err(Error::Schema { actual: 99, .. })));
}

#[test]
fn a_lost_key_is_not_replaced_in_silence() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    std::fs::remove_file(folder.path().join("oprf.key")).unwrap();
    let reopened = Database::open_or_create(folder.path(), Settings::default());
    assert!(matches!(reopened, Err(Error::OtherKey)));
}

#[cfg(unix)]
#[test]
fn the_store_is_private_wherever_it_lies() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    drop(open(folder.path()));
    let mode = std::fs::metadata(folder.path().join("store")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn damage_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    database.add(&track(1, 500)).unwrap();
    database.encode(QUIET).unwrap();
    drop(database);
    let of = |extension: &str| {
        let entries = std::fs::read_dir(folder.path().join("shards")).unwrap();
        entries.map(|e| e.unwrap().path()).find(|p| p.extension().unwrap() == extension).unwrap()
    };
    let shard = of("shard");
    let good = std::fs::read(&shard).unwrap();
    for (at, what) in [(good.len() - 1, "hint of shard"), (100, "plaintext of shard")] {
        let mut flipped = good.clone();
        flipped[at] ^= 1;
        std::fs::write(&shard, flipped).unwrap();
        let error = open(folder.path()).served().err().unwrap();
        assert!(error.to_string().contains(what), "{error}");
    }
    std::fs::write(&shard, &good[..50]).unwrap();
    assert!(matches!(open(folder.path()).served(), Err(Error::Damaged { .. })));
    std::fs::remove_file(&shard).unwrap();
    assert!(matches!(open(folder.path()).served(), Err(Error::Damaged { .. })));
    // What the open shards hold is needed to add to them.
    let database = open(folder.path());
    database.add(&track(2, 50)).unwrap();
    std::fs::write(of("open"), b"no places").unwrap();
    let error = database.encode(QUIET).err().unwrap();
    assert!(error.to_string().contains("places of shard"), "{error}");
    // The postings are the truth: all of it can be made anew.
    database.compact(QUIET).unwrap();
    check(&database, &[track(1, 500), track(2, 50)]);
}

#[test]
fn shards_that_a_crash_left_behind_are_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    let tracks = [track(1, 500)];
    database.add(&tracks[0]).unwrap();
    database.encode(QUIET).unwrap();
    drop(database);
    let shards = folder.path().join("shards");
    let count = || std::fs::read_dir(&shards).unwrap().count();
    let before = count();
    for name in ["0000000000000007.shard", "ffffffffffffffff.open", "0000000000000009.new"] {
        std::fs::write(shards.join(name), b"half a shard").unwrap();
    }
    let database = open(folder.path());
    assert_eq!(count(), before);
    check(&database, &tracks);
}
