//! Another OPRF key, at once for everybody and whatever cuts it off.

mod support;

use std::fs;
use std::path::Path;

use db::{Database, NewTrack};
use support::{QUIET, check, copy, files, open, track};
use tempfile::TempDir;

fn tracks() -> Vec<NewTrack> {
    (1..=3).map(|number| track(number, 2000)).collect()
}

fn make(folder: &Path) {
    let database = open(folder);
    for track in tracks() {
        database.add(&track).unwrap();
    }
    database.encode(QUIET).unwrap();
    database.flush().unwrap();
}

fn key_files(folder: &Path) -> Vec<String> {
    let names = files(folder).into_iter().map(|path| path.display().to_string());
    names.filter(|name| name.starts_with("oprf")).collect()
}

/// Nothing is damaged, and every posting is found.
fn assert_whole(folder: &Path) {
    assert_eq!(db::check(folder, false).unwrap().damages, []);
    check(&open(folder), &tracks());
    assert_eq!(key_files(folder), ["oprf.key"]);
}

#[test]
fn everything_is_found_under_the_new_key_and_nothing_is_left_of_the_old() {
    let folder = TempDir::new().unwrap();
    make(folder.path());
    let database = open(folder.path());
    let (before, seed) =
        (database.served().unwrap().manifest, fs::read(folder.path().join("oprf.key")).unwrap());
    let late = track(4, 1500);
    database.add(&late).unwrap(); // not encoded yet
    let report = database.rotate_key(QUIET).unwrap();
    assert!(report.rebuilt && report.tracks == 1 && report.tracks_in_all == 4, "{report:?}");
    let all: Vec<NewTrack> = tracks().into_iter().chain([late]).collect();
    check(&database, &all);
    let after = database.served().unwrap().manifest;
    assert_ne!(after.key, before.key);
    assert_eq!(after.key, database.oprf_key().id());
    assert_ne!(after.seed, before.seed);
    assert!(after.shards.iter().all(|shard| before.shards.iter().all(|old| old.uid != shard.uid)));
    // It goes on under the new key: what is added, what is laid out anew, what is opened again.
    let more: Vec<NewTrack> = all.into_iter().chain([track(5, 500)]).collect();
    database.add(&more[4]).unwrap();
    database.encode(QUIET).unwrap();
    check(&database, &more);
    database.compact(QUIET).unwrap();
    check(&database, &more);
    drop(database);
    assert_eq!(db::check(folder.path(), false).unwrap().damages, []);
    check(&open(folder.path()), &more);
    assert_eq!(key_files(folder.path()), ["oprf.key"]);
    for path in files(folder.path()) {
        let bytes = fs::read(folder.path().join(&path)).unwrap();
        assert!(
            !bytes.windows(seed.len()).any(|window| window == seed),
            "the old key is in {}",
            path.display()
        );
    }
}

/// The folder before a rotation, and after it.
fn before_and_after() -> (TempDir, TempDir) {
    let (before, after) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    make(before.path());
    copy(before.path(), after.path());
    open(after.path()).rotate_key(QUIET).unwrap();
    (before, after)
}

/// A folder of which some things are as after the rotation.
fn between(before: &TempDir, after: &TempDir, renewed: &[&str]) -> TempDir {
    let folder = TempDir::new().unwrap();
    copy(before.path(), folder.path());
    copy(&after.path().join("shards"), &folder.path().join("shards")); // before anything names them
    fs::copy(after.path().join("oprf.key"), folder.path().join("oprf.next.key")).unwrap();
    for name in renewed {
        let (from, to) = (after.path().join(name), folder.path().join(name));
        if from.is_dir() {
            fs::remove_dir_all(&to).unwrap();
            copy(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
    folder
}

#[test]
fn whatever_a_crash_leaves_one_key_is_in_force() {
    let (before, after) = before_and_after();
    let key = |folder: &Path| open(folder).oprf_key().id();
    let (old, new) = (key(before.path()), key(after.path()));
    let states: [(&[&str], _); 4] =
        [(&[], old), (&["layout"], new), (&["layout", "store"], new), (&["layout", "store", "ledger"], new)];
    for (renewed, expected) in states {
        let folder = between(&before, &after, renewed);
        assert_eq!(key(folder.path()), expected, "{renewed:?}");
        assert_whole(folder.path());
        // The check comes to the same end by itself.
        let folder = between(&before, &after, renewed);
        assert_eq!(db::check(folder.path(), false).unwrap().damages, [], "{renewed:?}");
        assert_whole(folder.path());
    }
}

#[test]
fn a_crash_and_damage_together_are_mended() {
    let (before, after) = before_and_after();
    for renewed in [&[][..], &["layout"], &["layout", "store"], &["layout", "store", "ledger"]] {
        for damaged in ["layout", "ledger"] {
            let folder = between(&before, &after, renewed);
            fs::write(folder.path().join(damaged), b"nothing").unwrap();
            assert!(Database::open(folder.path()).is_err());
            let report = db::check(folder.path(), true).unwrap();
            assert!(report.is_sound(), "{renewed:?}, {damaged}: {report:?}");
            assert_whole(folder.path());
        }
    }
}

#[test]
fn shards_of_another_key_are_damage() {
    let (before, after) = before_and_after();
    fs::copy(after.path().join("layout"), before.path().join("layout")).unwrap();
    let opened = Database::open(before.path()).map(drop).unwrap_err();
    assert!(opened.to_string().contains("another OPRF key"), "{opened}");
    assert!(db::check(before.path(), true).unwrap().is_sound());
    assert_whole(before.path());
}
