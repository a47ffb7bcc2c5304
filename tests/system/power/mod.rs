//! Power failures. The program runs under strace. Its calls are replayed on a simulated machine, which keeps everything
//! flushed and a random part of the rest. Tracks reported as added stay, and answers are right.

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

/// Number of power failures of each kind. Set PSI_SHAZAM_CUTS for more, and PSI_SHAZAM_DISORDER for a device that keeps
/// no order between flushes.
const CUTS: usize = 6;
const SEED: u64 = 12;

/// A traced run, and what was on the device before it.
struct Watched {
    calls: Vec<Call>,
    before: Machine,
}

/// Runs the command to its end. Returns `None` if it cannot be traced.
fn watch(victim: &mut Victim, command: &Command) -> Option<Watched> {
    let trace = victim.user.path("trace");
    let Some(mut traced) = trace::traced(command, &trace) else {
        let required = std::env::var("PSI_SHAZAM_STRACE").is_ok_and(|value| value == "required");
        assert!(!required, "strace is not installed, or may not trace here");
        eprintln!("skipped: strace is not installed, or may not trace here");
        return None;
    };
    let before = Machine::new(&victim.user.path("data"));
    let mut child = traced.stdout(Stdio::piped()).spawn().unwrap();
    let heard: Vec<String> = lines(child.stdout.take().unwrap()).iter().collect();
    assert!(wait(&mut child).success());
    let calls = trace::read(&fs::read_to_string(&trace).unwrap());
    // The simulated machine must agree with the real system.
    let mut machine = before.clone();
    calls.iter().for_each(|call| machine.step(call));
    machine.assert_as(&victim.user.path("data"));
    assert_eq!(String::from_utf8_lossy(&machine.said).lines().collect::<Vec<_>>(), heard);
    Some(Watched { calls, before })
}

/// Lets the power fail at random moments of a run and checks what is left.
fn cut_the_power(victim: &mut Victim, command: &Command) {
    let Some(Watched { calls, before }) = watch(victim, command) else { return };
    let told = victim.told.clone();
    let moments: Vec<usize> = (0..calls.len()).filter(|&place| writes(&calls[place])).collect();
    let cuts = std::env::var("PSI_SHAZAM_CUTS").ok().and_then(|cuts| cuts.parse().ok()).unwrap_or(CUTS);
    let keeps_order = std::env::var_os("PSI_SHAZAM_DISORDER").is_none();
    let (mut rng, mut unflushed, mut unread) = (StdRng::seed_from_u64(SEED), 0, 0);
    for cut in 0..cuts {
        let mut machine = before.clone();
        machine.keeps_order = keeps_order;
        let moment = moments[rng.gen_range(0..moments.len())];
        calls[..=moment].iter().for_each(|call| machine.step(call));
        let luck = [Luck::Some, Luck::Nothing, Luck::First, Luck::Everything][cut % 4];
        put_back(&machine, luck, &mut rng, &victim.user.path("data"));
        unflushed += machine.unflushed();
        victim.forget(&told);
        String::from_utf8_lossy(&machine.said).lines().for_each(|line| victim.note(line));
        println!("after call {moment} of {}, {luck:?}: {} told", calls.len(), victim.told.len());
        match keeps_order || opens(victim) {
            true => victim.check(),
            false => unread += 1,
        }
    }
    println!("{cuts} cuts, {unflushed} calls unflushed, {unread} databases that sled does not open");
}

/// Whether sled can read its files. On a device that keeps no order it may fail. That is reported, and nothing more is
/// checked.
fn opens(victim: &Victim) -> bool {
    !victim.user.db().exists() || !matches!(victim.opened(), Err(db::Error::Damaged { .. }))
}

fn put_back(machine: &Machine, luck: Luck, rng: &mut StdRng, data: &Path) {
    let _ = fs::remove_dir_all(data);
    fs::create_dir(data).unwrap();
    machine.cut(luck, rng, data);
}

/// Whether this call may change something.
fn writes(call: &Call) -> bool {
    let known = ["write", "sync", "truncate", "mkdir", "rename", "unlink"];
    known.iter().any(|name| call.name.contains(name))
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
