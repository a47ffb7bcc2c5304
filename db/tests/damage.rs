//! Damage to everything that is stored. It is reported or does no harm, and a repair leaves a working database.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use db::{CheckReport, Database, Error, NewTrack, Remedy, check};
use fingerprint::{Catalogue, Frame, Hash, Landmark, Settings};
use proptest::prelude::{Strategy, any};
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rand::{Rng, SeedableRng, rngs::StdRng};
use support::{QUIET, copy, files};
use tempfile::TempDir;

const TRACKS: u8 = 9;
const POSTINGS: u32 = 600;

fn track(number: u8) -> NewTrack {
    let mut rng = StdRng::seed_from_u64(number.into());
    NewTrack {
        title: format!("Track {number}"),
        artist: "Nobody".into(),
        path: format!("made/{number}.flac"),
        content: [number; 32],
        seconds: 19.2,
        frames: POSTINGS,
        postings: (0..POSTINGS)
            .map(|frame| Landmark { hash: Hash(rng.r#gen()), frame: Frame(frame) })
            .collect(),
    }
}

/// A database with closed and open shards and a removed track.
fn make(folder: &Path) {
    let database = Database::open_or_create(folder, Settings::default()).unwrap();
    for number in 1..TRACKS {
        database.add(&track(number)).unwrap();
        database.flush().unwrap();
    }
    database.encode(QUIET).unwrap();
    database.remove(&[3]).unwrap();
    database.add(&track(TRACKS)).unwrap();
    database.encode(QUIET).unwrap();
    database.flush().unwrap();
}

fn all_titles() -> BTreeSet<String> {
    (1..=TRACKS).filter(|&number| number != 3).map(|number| format!("Track {number}")).collect()
}

/// Uses everything in a database: serves and lists tracks, and reads all postings again.
fn use_all(folder: &Path) -> Result<BTreeSet<String>, Error> {
    let database = Database::open(folder)?;
    let served = database.served()?;
    let catalogue = Catalogue::decode(&served.attachment).unwrap();
    let listed: BTreeSet<String> = database.list()?.into_iter().map(|track| track.title).collect();
    assert!(catalogue.tracks().iter().all(|track| listed.contains(&track.title)));
    for number in 1..=TRACKS {
        database.find_content(&[number; 32])?;
    }
    let before = database.stats()?;
    database.add(&NewTrack { content: [99; 32], title: "Late".into(), ..track(99) })?;
    database.encode(QUIET)?;
    let after = database.compact(QUIET)?;
    assert_eq!(after.placed + after.dropped, before.postings + u64::from(POSTINGS));
    database.flush()?;
    Ok(listed)
}

/// Checks the result of a repair: nothing is damaged, and every track that it does not list as lost is there.
fn assert_repaired(folder: &Path, report: &CheckReport) {
    let again = check(folder, false).unwrap();
    assert_eq!(again.damages, [], "after {report:?}");
    let listed = use_all(folder).unwrap();
    let lost = report.damages.iter().filter(|damage| damage.remedy == Remedy::IndexAgain).count();
    assert!(listed.len() + lost >= all_titles().len(), "{listed:?} after {report:?}");
}

#[derive(Debug, Clone, Copy)]
enum Harm {
    Flip,
    Cut,
    Zero,
}

fn harm(path: &Path, harm: Harm, at: f64, bit: u8) {
    let mut bytes = fs::read(path).unwrap();
    let at = (at * bytes.len() as f64) as usize;
    match harm {
        Harm::Flip => bytes[at] ^= 1 << (bit % 8),
        Harm::Cut => bytes.truncate(at),
        Harm::Zero => {
            let end = bytes.len().min(at + 4096);
            bytes[at..end].fill(0);
        }
    }
    fs::write(path, bytes).unwrap();
}

/// How many times each file is damaged in each way. Set PSI_SHAZAM_DAMAGES for more.
fn rounds() -> usize {
    std::env::var("PSI_SHAZAM_DAMAGES").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(1)
}

#[test]
fn no_damage_is_passed_over_in_silence() {
    let base = TempDir::new().unwrap();
    let (made, hurt) = (base.path().join("made"), base.path().join("hurt"));
    make(&made);
    assert_eq!(check(&made, false).unwrap().damages, []);
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[5; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let moments = (0.0..1.0f64, any::<u8>());
    let (mut reported, mut harmless) = (0, 0);
    for file in files(&made).iter().filter(|file| !file.ends_with("lock")) {
        // sled's log has most of the bytes, so it is damaged more often.
        let rounds = if file.ends_with("db") { 8 * rounds() } else { rounds() };
        for how in [Harm::Flip, Harm::Cut, Harm::Zero] {
            for _ in 0..rounds {
                let (at, bit) = moments.new_tree(&mut runner).unwrap().current();
                let what = format!("{} {how:?} at {at}", file.display());
                copy(&made, &hurt);
                harm(&hurt.join(file), how, at, bit);
                let found = check(&hurt, false).unwrap();
                let report = check(&hurt, true).unwrap();
                let brought_back = report.damages.iter().any(|damage| damage.remedy == Remedy::BringBack);
                if !brought_back {
                    assert_repaired(&hurt, &report);
                } else {
                    assert!(!report.is_sound());
                }
                fs::remove_dir_all(&hurt).unwrap();
                copy(&made, &hurt);
                harm(&hurt.join(file), how, at, bit);
                match use_all(&hurt) {
                    Ok(listed) => {
                        harmless += 1;
                        assert_eq!(listed, all_titles(), "{what}");
                    }
                    Err(error) => {
                        reported += 1;
                        let kind =
                            matches!(error, Error::Damaged { .. } | Error::Lost { .. } | Error::OtherKey);
                        assert!(kind, "{what}: {error}");
                        assert!(!found.damages.is_empty(), "{what}: {error}, and a check found nothing");
                    }
                }
                fs::remove_dir_all(&hurt).unwrap();
            }
        }
    }
    println!("{reported} damages reported, {harmless} harmless");
    assert!(reported > 0);
}

#[test]
fn a_log_that_was_cut_short_is_noticed() {
    let base = TempDir::new().unwrap();
    let made = base.path().join("made");
    make(&made);
    // An older copy of the store looks like a log that lost its end.
    let old = base.path().join("old");
    copy(&made, &old);
    let database = Database::open(&made).unwrap();
    database.add(&NewTrack { content: [50; 32], ..track(50) }).unwrap();
    database.add(&NewTrack { content: [51; 32], ..track(51) }).unwrap();
    database.flush().unwrap();
    drop(database);
    fs::remove_dir_all(made.join("store")).unwrap();
    copy(&old.join("store"), &made.join("store"));
    let error = Database::open(&made).err().unwrap();
    assert!(matches!(&error, Error::Lost { tracks } if tracks == &[10, 11]), "{error}");
    let found = check(&made, true).unwrap();
    let lost: Vec<&str> = found.damages.iter().map(|damage| damage.what.as_str()).collect();
    assert_eq!(lost, ["track 10: it is gone from the store", "track 11: it is gone from the store"]);
    assert!(found.damages.iter().all(|damage| damage.repaired) && !found.is_sound());
    let database = Database::open(&made).unwrap();
    // Numbers and frames of lost tracks are not used again, because clients may hold their labels.
    assert!(matches!(database.add(&track(50)).unwrap(), db::Added::New(12)));
    let starts: Vec<u32> = database.list().unwrap().iter().map(|track| track.start.0).collect();
    assert!(starts.iter().max().unwrap() >= &(11 * (POSTINGS + 1)));
}

#[test]
fn a_store_that_is_gone_is_not_begun_anew_in_silence() {
    let base = TempDir::new().unwrap();
    make(base.path());
    fs::remove_dir_all(base.path().join("store")).unwrap();
    let error = Database::open_or_create(base.path(), Settings::default()).err().unwrap();
    assert!(matches!(&error, Error::Lost { tracks } if tracks.len() == 8), "{error}");
    let report = check(base.path(), true).unwrap();
    assert_eq!(report.damages.iter().filter(|damage| damage.remedy == Remedy::IndexAgain).count(), 8);
    assert_eq!(use_all(base.path()).unwrap().len(), 0);
}

/// sled takes an unfinished snapshot for its newest one (spacejam/sled issues 1527, 1533).
#[test]
fn an_unfinished_snapshot_of_sleds_is_no_obstacle() {
    let base = TempDir::new().unwrap();
    make(base.path());
    for half in [&b""[..], b"half a snapshot"] {
        fs::write(base.path().join("store/snap.00000000FFFFFFFF.generating"), half).unwrap();
        assert_eq!(Database::open(base.path()).unwrap().list().unwrap().len(), 8);
    }
}

#[test]
fn a_repair_that_was_cut_off_goes_on() {
    let base = TempDir::new().unwrap();
    make(base.path());
    // The state between the two renames.
    fs::rename(base.path().join("store"), base.path().join("store.new")).unwrap();
    fs::create_dir(base.path().join("store.damaged")).unwrap();
    assert_eq!(Database::open(base.path()).unwrap().list().unwrap().len(), 8);
}

#[test]
fn small_values_leave_no_blobs() {
    let base = TempDir::new().unwrap();
    let database = Database::open_or_create(base.path(), Settings::default()).unwrap();
    // Long tracks with the longest possible postings: far apart, so that every distance takes five bytes.
    for number in 0..3u8 {
        let posting = |far, at| Landmark { hash: Hash(at), frame: Frame(far << 26 | at) };
        let postings = (0..15u32).flat_map(|far| (0..2000).map(move |at| posting(far, at))).collect();
        database.add(&NewTrack { postings, content: [number; 32], ..track(number) }).unwrap();
    }
    database.flush().unwrap();
    drop(database);
    drop(Database::open(base.path()).unwrap());
    assert_eq!(fs::read_dir(base.path().join("store/blobs")).unwrap().count(), 0);
}
