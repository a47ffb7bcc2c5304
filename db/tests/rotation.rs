//! Replacing the OPRF key: it takes effect at once for everybody, and survives any interruption.

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

/// Checks that nothing is damaged and every posting is found.
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
    // Everything continues under the new key: adding, rebuilding the layout, opening again.
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

/// The folder before and after a rotation.
fn before_and_after() -> (TempDir, TempDir) {
    let (before, after) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    make(before.path());
    copy(before.path(), after.path());
    open(after.path()).rotate_key(QUIET).unwrap();
    (before, after)
}

/// A folder in which the `renewed` parts are as after the rotation.
fn between(before: &TempDir, after: &TempDir, renewed: &[&str]) -> TempDir {
    let folder = TempDir::new().unwrap();
    copy(before.path(), folder.path());
    copy(&after.path().join("shards"), &folder.path().join("shards")); // written before any layout names them
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
        // The check alone leads to the same state.
        let folder = between(&before, &after, renewed);
        assert_eq!(db::check(folder.path(), false).unwrap().damages, [], "{renewed:?}");
        assert_whole(folder.path());
    }
}

#[test]
fn a_crash_and_damage_together_are_repaired() {
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

/// Runs `work` while a folder takes the place of a temporary file, which makes the write fail.
fn failing(folder: &Path, name: &str, work: impl FnOnce()) {
    let beside = folder.join(name).with_extension("new");
    fs::create_dir(&beside).unwrap();
    work();
    fs::remove_dir(beside).unwrap();
}

#[test]
fn a_rotation_that_could_not_be_finished_is_finished_by_the_next() {
    let folder = TempDir::new().unwrap();
    make(folder.path());
    let database = open(folder.path());
    let old = database.oprf_key().id();
    failing(folder.path(), "ledger", || assert!(database.rotate_key(QUIET).is_err()));
    let half = database.oprf_key().id();
    assert_ne!(half, old, "its shards are in force, so it is");
    check(&database, &tracks());
    // Tracks added meanwhile use the key in force.
    let late = track(4, 700);
    database.add(&late).unwrap();
    failing(folder.path(), "layout", || assert!(database.rotate_key(QUIET).is_err()));
    assert_eq!(database.oprf_key().id(), half);
    database.encode(QUIET).unwrap();
    let all: Vec<NewTrack> = tracks().into_iter().chain([late]).collect();
    check(&database, &all);
    drop(database);
    assert_eq!(db::check(folder.path(), false).unwrap().damages, []);
    let database = open(folder.path());
    assert_eq!(database.oprf_key().id(), half);
    check(&database, &all);
    database.rotate_key(QUIET).unwrap();
    check(&database, &all);
}

#[test]
fn a_rotation_that_was_never_finished_is_finished_at_the_next_opening() {
    let folder = TempDir::new().unwrap();
    make(folder.path());
    let database = open(folder.path());
    failing(folder.path(), "ledger", || assert!(database.rotate_key(QUIET).is_err()));
    let half = database.oprf_key().id();
    drop(database);
    assert_eq!(open(folder.path()).oprf_key().id(), half);
    assert_whole(folder.path());
}

/// Shards can be rebuilt from tracks and postings, so a lost key only makes clients fetch new hints.
#[test]
fn a_lost_key_is_drawn_anew_by_a_repair_only() {
    for damage in [None, Some(&b""[..]), Some(&[7; 32])] {
        let folder = TempDir::new().unwrap();
        make(folder.path());
        match damage {
            None => fs::remove_file(folder.path().join("oprf.key")).unwrap(),
            Some(bytes) => fs::write(folder.path().join("oprf.key"), bytes).unwrap(),
        }
        assert!(Database::open(folder.path()).is_err());
        assert!(!db::check(folder.path(), false).unwrap().is_sound());
        assert!(Database::open(folder.path()).is_err(), "looking changes nothing");
        let report = db::check(folder.path(), true).unwrap();
        assert!(report.is_sound(), "{report:?}");
        assert_eq!(db::check(folder.path(), false).unwrap().damages, []);
        check(&open(folder.path()), &tracks());
    }
}

#[test]
fn half_a_waiting_key_is_no_obstacle_and_a_doubtful_one_is_kept() {
    let (before, after) = before_and_after();
    for bytes in [&b""[..], b"half"] {
        let folder = between(&before, &after, &[]);
        fs::write(folder.path().join("oprf.next.key"), bytes).unwrap();
        assert_whole(folder.path());
    }
    // Both files that name the key are damaged. A check without repair must not decide.
    let folder = between(&before, &after, &["layout", "store"]);
    for file in ["layout", "ledger"] {
        fs::write(folder.path().join(file), b"nothing").unwrap();
    }
    assert!(!db::check(folder.path(), false).unwrap().is_sound());
    assert!(folder.path().join("oprf.next.key").exists());
    let report = db::check(folder.path(), true).unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_whole(folder.path());
}
