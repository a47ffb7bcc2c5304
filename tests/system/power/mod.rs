//! The power is cut: the program runs under strace, and its calls run again on a machine that keeps what was flushed
//! and of the rest what chance leaves. What was told as added stays, and answers are right.

mod machine;
mod trace;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use rand::{Rng, SeedableRng, rngs::StdRng};

use self::machine::{Luck, Machine};
use self::trace::Call;
use crate::kills::Victim;
use crate::support::{lines, wait};

/// Cuts of each kind; PSI_SHAZAM_CUTS for more.
const CUTS: usize = 6;
const SEED: u64 = 12;

/// A run that was watched, and what was on the device before it.
struct Watched {
    calls: Vec<Call>,
    before: Machine,
}

/// Runs it to its end. Nothing where it cannot be traced.
fn watch(victim: &mut Victim, command: &Command) -> Option<Watched> {
    let trace = victim.user.path("trace");
    let Some(mut traced) = trace::traced(command, &trace) else {
        eprintln!("skipped: strace is not installed, or may not trace here");
        return None;
    };
    let before = Machine::new(&victim.user.path("data"));
    let mut child = traced.stdout(Stdio::piped()).spawn().unwrap();
    lines(child.stdout.take().unwrap()).iter().for_each(drop);
    assert!(wait(&mut child).success());
    Some(Watched { calls: trace::read(&fs::read_to_string(&trace).unwrap()), before })
}

/// Lets the power fail at moments of a run, and looks at what is left.
fn cut_the_power(victim: &mut Victim, command: &Command) {
    let Some(Watched { calls, before }) = watch(victim, command) else { return };
    let told = victim.told.clone();
    let moments: Vec<usize> = (0..calls.len()).filter(|&place| writes(&calls[place])).collect();
    let cuts = std::env::var("PSI_SHAZAM_CUTS").ok().and_then(|cuts| cuts.parse().ok()).unwrap_or(CUTS);
    let (mut rng, mut unflushed, mut mended) = (StdRng::seed_from_u64(SEED), 0, 0);
    for cut in 0..cuts {
        let mut machine = before.clone();
        let moment = moments[rng.gen_range(0..moments.len())];
        calls[..=moment].iter().for_each(|call| machine.step(call));
        let luck = [Luck::Some, Luck::Nothing, Luck::First, Luck::Everything][cut % 4];
        put_back(&machine, luck, &mut rng, &victim.user.path("data"));
        unflushed += machine.unflushed();
        victim.forget(&told);
        String::from_utf8_lossy(&machine.said).lines().for_each(|line| victim.note(line));
        println!("after call {moment} of {}, {luck:?}: {} told", calls.len(), victim.told.len());
        mended += u32::from(mend(victim));
        victim.check();
    }
    println!("{cuts} cuts, {unflushed} calls unflushed, {mended} databases repaired");
}

/// sled does not open any more where what it wrote without flushing, in segments that it used before, is there in part.
/// Then that is told, and a repair brings back what was told or names it. Whether that was so.
fn mend(victim: &mut Victim) -> bool {
    let db = victim.user.db();
    if !db.exists() {
        return false;
    }
    let opened = db::Database::open_or_create(&db, fingerprint::Settings::default());
    let Err(db::Error::Damaged { .. }) = opened else { return false };
    let report = victim.checked(true);
    let lost = report.damages.iter().filter(|damage| damage.remedy == db::Remedy::IndexAgain).count();
    let listed = victim.user.paths();
    println!(
        "damaged and repaired: {} of {} there, {lost} to be indexed again",
        listed.len(),
        victim.told.len()
    );
    assert!(listed.len() + lost >= victim.told.len(), "{listed:?} {report:?}");
    victim.told.retain(|path| listed.contains(path));
    true
}

fn put_back(machine: &Machine, luck: Luck, rng: &mut StdRng, data: &Path) {
    let _ = fs::remove_dir_all(data);
    fs::create_dir(data).unwrap();
    machine.cut(luck, rng, data);
}

/// Whether something may be different after this call.
fn writes(call: &Call) -> bool {
    let known = ["write", "pwrite64", "ftruncate", "fsync", "fdatasync", "mkdir", "rename", "unlink"];
    known.contains(&call.name.as_str())
}

#[test]
fn the_power_fails_while_it_indexes() {
    let mut victim = Victim::new();
    let index = victim.index();
    cut_the_power(&mut victim, &index);
}

#[test]
fn the_power_fails_while_it_adds_to_what_is_there() {
    let mut victim = Victim::new();
    let (music, later) = (victim.user.path("music"), victim.user.path("later"));
    fs::create_dir(&later).unwrap();
    for entry in fs::read_dir(&music).unwrap().map(Result::unwrap).skip(6) {
        fs::rename(entry.path(), later.join(entry.file_name())).unwrap();
    }
    victim.run_whole(victim.index());
    for entry in fs::read_dir(&later).unwrap().map(Result::unwrap) {
        fs::rename(entry.path(), music.join(entry.file_name())).unwrap();
    }
    let index = victim.index();
    cut_the_power(&mut victim, &index);
}

#[test]
fn the_power_fails_while_it_lays_the_shards_out_anew() {
    for args in [&["compact"][..], &["compact", "--rotate-key"]] {
        let mut victim = Victim::new();
        victim.run_whole(victim.index());
        let compact = victim.user.command(args);
        cut_the_power(&mut victim, &compact);
    }
}
