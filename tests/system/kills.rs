//! `kill -9` at random moments: tracks reported as added stay, exactly once, and answers are right.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::Value;

use crate::support::{Daemon, Expected, User, audio, copy_catalogue, expected, lines, wait};

/// Number of kills of each kind that hit the program at work. Set PSI_SHAZAM_KILLS for more.
const KILLS: usize = 6;
/// Number of copies of every track. Each has extra bytes at its end and so counts as new content, which makes indexing
/// slower.
const COPIES: u8 = 4;
/// Seed of the random moments.
const SEED: u64 = 11;
/// Longest wait for a lock to be released.
const PATIENCE: Duration = Duration::from_secs(10);

fn kills() -> usize {
    std::env::var("PSI_SHAZAM_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS)
}

/// A user with music, and what is known so far about the database.
pub struct Victim {
    pub user: User,
    /// Paths that the program reported as being on disk.
    pub told: BTreeSet<String>,
    /// The content of every shard, by uid. A uid must never be reused, because a label's mask depends only on the hash
    /// and the uid.
    shards: BTreeMap<String, Vec<u8>>,
    rng: StdRng,
    /// How long an undisturbed run takes.
    whole: Duration,
}

impl Victim {
    pub fn new() -> Victim {
        let user = User::new();
        let music = user.path("music");
        let files = copy_catalogue(&music);
        for copy in 1..=COPIES {
            for file in &files {
                let mut bytes = fs::read(file).unwrap();
                bytes.extend([copy; 16]);
                let name = file.file_name().unwrap().to_str().unwrap();
                fs::write(music.join(format!("{copy}-{name}")), bytes).unwrap();
            }
        }
        let (told, shards) = (BTreeSet::new(), BTreeMap::new());
        Victim { user, told, shards, rng: StdRng::seed_from_u64(SEED), whole: Duration::ZERO }
    }

    fn files(&self) -> usize {
        fs::read_dir(self.user.path("music")).unwrap().count()
    }

    pub fn index(&self) -> Command {
        self.user.command(["index", "music", "--json", "--verbose", "--jobs", "2"])
    }

    /// Runs the command to its end and remembers how long that takes.
    pub fn run_whole(&mut self, mut command: Command) {
        let start = Instant::now();
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        self.listen(&mut child);
        assert!(wait(&mut child).success());
        self.whole = start.elapsed();
    }

    /// Runs the command until a random moment and kills it. Returns whether it was still at work.
    fn run_and_kill(&mut self, mut command: Command) -> bool {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let moment = self.whole.mul_f64(self.rng.r#gen());
        let output = lines(child.stdout.take().unwrap());
        thread::sleep(moment);
        let _ = child.kill();
        let status = wait(&mut child);
        output.iter().for_each(|line| self.note(&line));
        let at_work = status.code().is_none();
        if !at_work {
            // Runs are faster than the first one, so adjust the estimate.
            self.whole = (self.whole + moment) / 2;
        }
        at_work
    }

    fn listen(&mut self, child: &mut Child) {
        for line in lines(child.stdout.take().unwrap()) {
            self.note(&line);
        }
    }

    pub fn note(&mut self, line: &str) {
        // The last line may be incomplete.
        let Ok(line) = serde_json::from_str::<Value>(line) else { return };
        if line["outcome"] == "added" {
            self.told.insert(line["file"].as_str().unwrap().to_owned());
        }
    }

    /// Forgets what is known, for another database that replaces this one. `told` are its reported paths.
    pub fn forget(&mut self, told: &BTreeSet<String>) {
        self.told = told.clone();
        self.shards.clear();
    }

    /// Checks that no shard's name is ever used for two contents.
    fn look_at_shards(&mut self) {
        let Ok(entries) = fs::read_dir(self.user.db().join("shards")) else { return };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "shard") {
                let uid = path.file_stem().unwrap().to_str().unwrap().to_owned();
                let content = fs::read(&path).unwrap();
                let before = self.shards.entry(uid).or_insert_with(|| content.clone());
                assert!(*before == content, "{} was used twice", path.display());
            }
        }
    }

    /// Checks everything that must hold after a kill.
    pub fn check(&mut self) {
        self.look_at_shards();
        if self.told.is_empty() && !self.user.db().join("store").exists() {
            return; // it was killed before it made the database
        }
        drop(self.opened().unwrap());
        assert_eq!(unlocked(|| db::check(&self.user.db(), false)).unwrap().damages, []);
        let listed = self.user.paths();
        let different: BTreeSet<&String> = listed.iter().collect();
        assert_eq!(different.len(), listed.len(), "twice: {listed:?}");
        for path in &self.told {
            assert!(different.contains(path), "{path} was told as added: {listed:?}");
        }
        let all = self.expected();
        let recordings = all.iter().map(|recording| audio(&recording.file).into_os_string());
        let asked = self.user.run(["query".into(), "--json".into()].into_iter().chain(recordings));
        let titles = self.titles();
        for (answer, recording) in asked.json_lines().iter().zip(&all) {
            assert_answer(answer, recording, &titles);
        }
        assert_eq!(asked.json_lines().len(), all.len());
        self.look_at_shards();
    }

    pub fn opened(&self) -> Result<db::Database, db::Error> {
        unlocked(|| db::Database::open_or_create(&self.user.db(), fingerprint::Settings::default()))
    }

    /// A few recordings with their expected answers. One is unknown.
    fn expected(&self) -> Vec<Expected> {
        let wanted = ["recordings/clean.mp3", "recordings/phone.wav", "unknown/underground.ogg"];
        expected().into_iter().filter(|recording| wanted.contains(&recording.file.as_str())).collect()
    }

    /// The catalogue's files whose content is in the database.
    fn titles(&self) -> BTreeSet<String> {
        let name = |path: &String| {
            let name = Path::new(path).file_name().unwrap().to_str().unwrap();
            name.split_once('-').filter(|(copy, _)| copy.len() == 1).map_or(name, |(_, name)| name).to_owned()
        };
        self.user.paths().iter().map(name).collect()
    }

    /// Checks the same through the real daemon.
    fn check_with_daemon(&self) {
        let daemon = self.user.serve();
        let titles = self.titles();
        for recording in self.expected() {
            assert_answer(&ask(&self.user, &daemon, &recording.file), &recording, &titles);
        }
    }
}

fn ask(user: &User, daemon: &Daemon, recording: &str) -> Value {
    let recording = audio(recording);
    let server = daemon.server();
    let args =
        ["query", recording.to_str().unwrap(), "--server", &server, "--server-key", &daemon.key, "--json"];
    user.run(args).json()
}

/// Retries while the database is locked. Other tests start processes, and until such a process calls exec it holds the
/// open files of this one, including the lock of a database that was just closed.
fn unlocked<T>(open: impl Fn() -> Result<T, db::Error>) -> Result<T, db::Error> {
    let start = Instant::now();
    loop {
        match open() {
            Err(db::Error::Locked { .. }) if start.elapsed() < PATIENCE => {
                thread::sleep(Duration::from_millis(20));
            }
            opened => return opened,
        }
    }
}

/// Checks for the right track at the right place if it is in the database, and for no match otherwise.
fn assert_answer(answer: &Value, recording: &Expected, titles: &BTreeSet<String>) {
    let there = |track: &&String| titles.contains(Path::new(track).file_name().unwrap().to_str().unwrap());
    match recording.track.as_ref().filter(there) {
        Some(track) => {
            let name = Path::new(track).file_name().unwrap().to_str().unwrap();
            assert!(answer["match"]["path"].as_str().unwrap().ends_with(name), "{answer}");
            let offset = answer["match"]["offset_seconds"].as_f64().unwrap();
            assert!((offset - recording.offset_seconds.unwrap()).abs() < 0.2, "{answer}");
        }
        None => assert!(answer["match"].is_null(), "{answer}"),
    }
}

#[test]
fn killed_while_it_indexes() {
    let mut victim = Victim::new();
    let (mut at_work, mut kill, total) = (0, 0, victim.files());
    victim.run_whole(victim.index());
    assert_eq!(victim.told.len(), total);
    while at_work < kills() {
        if victim.user.paths().len() == total {
            fs::remove_dir_all(victim.user.db()).unwrap();
            victim.told.clear();
        }
        at_work += usize::from(victim.run_and_kill(victim.index()));
        victim.check();
        if kill % 10 == 0 && victim.user.db().join("layout").exists() {
            victim.check_with_daemon();
        }
        if !victim.user.db().join("store").is_dir() {
            // So that there is something to list.
            victim.user.run(["index", "music/loyalists.ogg"]).assert_code(0);
        }
        kill += 1;
    }
    println!("{at_work} of {kill} kills met it at work: index");
    // The next run adds what is missing, and nothing twice.
    victim.run_whole(victim.index());
    assert_eq!(victim.user.paths().len(), total);
    victim.check();
}

#[test]
fn killed_while_it_lays_the_shards_out_anew() {
    killed_while_it_runs("compact", &["compact"]);
}

#[test]
fn killed_while_it_rotates_the_oprf_key() {
    killed_while_it_runs("compact --rotate-key", &["compact", "--rotate-key"]);
}

fn killed_while_it_runs(what: &str, args: &[&str]) {
    let mut victim = Victim::new();
    let total = victim.files();
    victim.run_whole(victim.index());
    victim.run_whole(victim.user.command(args));
    let (mut at_work, mut kill) = (0, 0);
    while at_work < kills() {
        at_work += usize::from(victim.run_and_kill(victim.user.command(args)));
        victim.check();
        assert_eq!(victim.user.paths().len(), total);
        if kill % 10 == 0 {
            victim.check_with_daemon();
        }
        kill += 1;
    }
    println!("{at_work} of {kill} kills met it at work: {what}");
}

/// Tracks that a daemon reported as being on disk survive the daemon.
#[test]
fn the_daemon_is_killed_while_it_is_given_tracks() {
    let mut victim = Victim::new();
    for _ in 0..kills().div_ceil(3) {
        let daemon = victim.user.serve();
        let mut child = victim.index().stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let output = lines(child.stdout.take().unwrap());
        let patience = victim.rng.gen_range(0..12);
        let first: Vec<String> = output.iter().take(patience).collect();
        daemon.stop("KILL");
        wait(&mut child);
        first.into_iter().chain(output.iter()).for_each(|line| victim.note(&line));
        victim.check();
    }
}
