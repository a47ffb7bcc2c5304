//! Bad networks: a relay between the real client and the real daemon that loses, delays, reorders, repeats and cuts off
//! datagrams.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::support::{DEADLINE, Finished, User, audio, lines, wait};

/// The properties of a line, for each direction.
#[derive(Debug, Clone, Copy, Default)]
struct Line {
    /// Share of the datagrams that are lost.
    lost: f64,
    /// Share of the datagrams that arrive twice.
    twice: f64,
    delay: Duration,
    /// Largest additional delay. It is random for each datagram, so datagrams overtake each other.
    spread: Duration,
    /// Number of datagrams, in both directions together, after which nothing passes.
    cut_after: Option<usize>,
    /// How long nothing passes, or `None` for ever.
    cut_for: Option<Duration>,
}

/// Forwards datagrams to a server and back.
struct Relay {
    address: SocketAddr,
    passed: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
}

impl Relay {
    fn start(server: SocketAddr, line: Line, seed: u64) -> Relay {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let (passed, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let way =
            Way { line, passed: passed.clone(), rng: Arc::new(Mutex::new(StdRng::seed_from_u64(seed))) };
        let stop = over.clone();
        thread::spawn(move || pass_both_ways(socket, server, way, stop));
        Relay { address, passed, over }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.over.store(true, SeqCst);
    }
}

/// Decides what happens to each datagram.
#[derive(Clone)]
struct Way {
    line: Line,
    passed: Arc<AtomicUsize>,
    rng: Arc<Mutex<StdRng>>,
}

impl Way {
    /// The delays of a datagram's copies. Empty if it is lost.
    fn copies(&self) -> Vec<Duration> {
        let Line { lost, twice, delay, spread, cut_after, cut_for } = self.line;
        let number = self.passed.fetch_add(1, SeqCst);
        if cut_after.is_some_and(|after| number >= after) {
            match cut_for {
                Some(pause) if number == cut_after.unwrap() => thread::sleep(pause),
                Some(_) => {}
                None => return Vec::new(),
            }
        }
        let mut rng = self.rng.lock().unwrap();
        let copies = if rng.gen_bool(lost) { 0 } else { 1 + usize::from(rng.gen_bool(twice)) };
        (0..copies).map(|_| delay + spread.mul_f64(rng.r#gen())).collect()
    }

    fn send(&self, socket: &Arc<UdpSocket>, bytes: &[u8], to: SocketAddr) {
        for delay in self.copies() {
            let (socket, bytes) = (socket.clone(), bytes.to_vec());
            if delay.is_zero() {
                let _ = socket.send_to(&bytes, to);
            } else {
                delayed(move || drop(socket.send_to(&bytes, to)), delay);
            }
        }
    }
}

/// Runs something after a delay, on a tokio thread, because there may be thousands at a time.
fn delayed(work: impl FnOnce() + Send + 'static, delay: Duration) {
    static RUNTIME: std::sync::OnceLock<tokio::runtime::Runtime> = std::sync::OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| tokio::runtime::Runtime::new().unwrap());
    runtime.spawn(async move {
        tokio::time::sleep(delay).await;
        work();
    });
}

fn pass_both_ways(near: UdpSocket, server: SocketAddr, way: Way, over: Arc<AtomicBool>) {
    let near = Arc::new(near);
    near.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let mut far: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut bytes = vec![0; 65_536];
    while !over.load(SeqCst) {
        let Ok((length, client)) = near.recv_from(&mut bytes) else { continue };
        let socket = far.entry(client).or_insert_with(|| {
            let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
            let (back, near, way, over) = (socket.clone(), near.clone(), way.clone(), over.clone());
            thread::spawn(move || pass_back(&back, &near, client, &way, &over));
            socket
        });
        way.send(socket, &bytes[..length], server);
    }
}

fn pass_back(far: &UdpSocket, near: &Arc<UdpSocket>, client: SocketAddr, way: &Way, over: &AtomicBool) {
    far.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let mut bytes = vec![0; 65_536];
    while !over.load(SeqCst) {
        if let Ok((length, _)) = far.recv_from(&mut bytes) {
            way.send(near, &bytes[..length], client);
        }
    }
}

/// Asks about a recording through a relay. `support::wait` makes sure that it ends.
fn ask(user: &User, relay: &Relay, key: &str) -> Finished {
    let recording = audio("recordings/clean.mp3");
    let server = relay.address.to_string();
    user.run([
        "query",
        recording.to_str().unwrap(),
        "--server",
        &server,
        "--server-key",
        key,
        "--no-cache",
        "--json",
    ])
}

/// Number of tries for each line. Set PSI_SHAZAM_LINES for more.
fn rounds() -> u64 {
    std::env::var("PSI_SHAZAM_LINES").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(1)
}

#[test]
fn bad_lines_are_slow_but_right() {
    let user = User::with_catalogue();
    let daemon = user.serve();
    let milliseconds = Duration::from_millis;
    let lines = [
        Line { lost: 0.1, ..Line::default() },
        Line { delay: milliseconds(200), ..Line::default() },
        Line { spread: milliseconds(40), ..Line::default() },
        Line { twice: 0.3, ..Line::default() },
        Line { lost: 0.1, twice: 0.1, delay: milliseconds(100), spread: milliseconds(50), ..Line::default() },
        Line { cut_after: Some(40), cut_for: Some(milliseconds(3000)), ..Line::default() },
    ];
    for line in lines {
        for seed in 0..rounds() {
            let relay = Relay::start(daemon.address, line, seed);
            let answer = ask(&user, &relay, &daemon.key);
            answer.assert_code(0);
            assert_eq!(answer.json()["match"]["title"], "The City Falls", "{line:?}");
            assert!(relay.passed.load(SeqCst) > 50, "through the relay");
        }
    }
}

#[test]
fn a_line_that_is_cut_is_told_in_time() {
    let user = User::with_catalogue();
    let daemon = user.serve();
    // Cuts in the handshake, the catalogue, the OPRF and the query.
    thread::scope(|scope| {
        for cut in [0, 3, 25, 80] {
            let (user, daemon) = (&user, &daemon);
            scope.spawn(move || {
                let relay = Relay::start(daemon.address, Line { cut_after: Some(cut), ..Line::default() }, 1);
                let answer = ask(user, &relay, &daemon.key);
                answer.assert_code(2);
                let told = format!("{}{}", answer.stdout, answer.stderr);
                let words = ["did not finish", "the connection broke", "cannot reach"];
                assert!(words.iter().any(|word| told.contains(word)), "cut after {cut}: {told}");
            });
        }
    });
    // The daemon is not affected.
    let relay = Relay::start(daemon.address, Line::default(), 1);
    ask(&user, &relay, &daemon.key).assert_code(0);
    let (status, log) = daemon.stop("TERM");
    assert!(status.success() && !log.contains("panicked"), "{log}");
}

/// A run over many files continues after the server is restarted.
fn started_again(how: &str) {
    let user = User::with_catalogue();
    let daemon = user.serve();
    let (address, server, key) = (daemon.address, daemon.server(), daemon.key.clone());
    let recordings = vec![audio("recordings/clean.mp3").into_os_string(); 40];
    let mut command = user.command(["query", "--json", "--server", &server, "--server-key", &key]);
    let mut child = command.args(recordings).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let answers = lines(child.stdout.take().unwrap());
    let first = answers.recv_timeout(DEADLINE).unwrap();
    daemon.stop(how);
    let _daemon = user.serve_on(address);
    assert_eq!(wait(&mut child).code(), Some(0), "{how}");
    let all: Vec<String> = std::iter::once(first).chain(answers.iter()).collect();
    assert_eq!(all.len(), 40, "{how}");
    assert!(all.iter().all(|answer| answer.contains("\"title\":\"The City Falls\"")), "{how}");
}

#[test]
fn a_server_that_is_started_again_is_asked_again() {
    thread::scope(|scope| {
        scope.spawn(|| started_again("TERM"));
        scope.spawn(|| started_again("KILL"));
    });
}
