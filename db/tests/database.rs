//! A database from tracks to answers, with the real protocol in memory.

mod support;

use std::collections::BTreeSet;

use db::{Added, Database, Error, MatrixLayout, NewTrack, SCHEMA_VERSION};
use fingerprint::Settings;
use support::{QUIET, ask, check, open, track};

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

    // Adds one at a time, first into open shards, then past the point where the layout is rebuilt.
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
                "closed shards stay as they are"
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
fn opening_what_is_in_use_or_missing_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Database::open(&folder.path().join("none")), Err(Error::Missing { .. })));
    let _database = open(folder.path());
    assert!(matches!(Database::open(folder.path()), Err(Error::Locked { .. })));
}

#[test]
fn another_schema_older_or_newer_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    for other in [1, 2, SCHEMA_VERSION - 1, SCHEMA_VERSION + 1, 99] {
        let store = sled::open(folder.path().join("store")).unwrap();
        store.open_tree("meta").unwrap().insert("schema", &other.to_le_bytes()).unwrap();
        drop(store);
        for refused in [
            Database::open(folder.path()).map(drop),
            Database::open_or_create(folder.path(), Settings::default()).map(drop),
            db::check(folder.path(), true).map(drop),
        ] {
            let error = refused.unwrap_err();
            assert!(matches!(error, Error::Schema { actual, .. } if actual == other), "{other}: {error}");
            let message = error.to_string();
            assert!(message.contains("index the music again into a new folder"), "{message}");
        }
    }
    let store = sled::open(folder.path().join("store")).unwrap();
    assert_eq!(store.open_tree("meta").unwrap().get("schema").unwrap().unwrap(), &99u32.to_le_bytes());
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
    // Adding to the open shards needs their places.
    let database = open(folder.path());
    database.add(&track(2, 50)).unwrap();
    std::fs::write(of("open"), b"no places").unwrap();
    let error = database.encode(QUIET).err().unwrap();
    assert!(error.to_string().contains("places of shard"), "{error}");
    // Everything can be rebuilt from the postings.
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
