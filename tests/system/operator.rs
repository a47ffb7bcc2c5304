//! What operators rely on: settings, metrics, health, logs, systemd, manual pages, completions, advice.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use serde_json::Value;

use crate::support::{DEADLINE, Daemon, User, audio, copy_catalogue};

/// A port that is most likely free, because the system has just assigned it.
fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Fetches a page over HTTP. Returns its status line and its body.
fn page(address: SocketAddr, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

/// The value of a metric, by its name and labels.
fn metric(page: &str, name: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

fn setting(user: &User, args: &[&str], environment: &[(&str, &str)], key: &str) -> Value {
    let mut command = user.command(["config", "show", "serve", "--json"].iter().chain(args));
    command.envs(environment.iter().copied());
    let shown = crate::support::finish(command, &[]);
    shown.assert_code(0);
    shown.json_lines().into_iter().find(|line| line["key"] == key).unwrap()
}

fn write_settings(user: &User, text: &str) {
    fs::create_dir_all(user.path("config/psi-shazam")).unwrap();
    fs::write(user.path("config/psi-shazam/config.toml"), text).unwrap();
}

#[test]
fn the_environment_goes_before_the_file_and_that_before_the_default() {
    let user = User::new();
    let shown = setting(&user, &[], &[], "layout");
    assert_eq!((&shown["value"], &shown["origin"]), (&"auto".into(), &"default".into()));
    write_settings(&user, "db = \"~/music\"\n\n[serve]\nlayout = \"fast\"\nrequire_token = true\n");
    let shown = setting(&user, &[], &[], "layout");
    assert_eq!(shown["value"], "fast");
    assert!(shown["place"].as_str().unwrap().ends_with("config/psi-shazam/config.toml:4"), "{shown}");
    let shown = setting(&user, &[], &[("PSI_SHAZAM_LAYOUT", "compact")], "layout");
    assert_eq!((&shown["value"], &shown["place"]), (&"compact".into(), &"PSI_SHAZAM_LAYOUT".into()));
    let music = user.path("music");
    assert_eq!(setting(&user, &[], &[], "db")["value"], music.to_str().unwrap());
    // A named settings file is the only one that is read.
    fs::write(user.path("other.toml"), "serve.layout = \"compact\"").unwrap();
    let named = ["--config", "other.toml"];
    assert_eq!(setting(&user, &named, &[], "layout")["value"], "compact");
    assert_eq!(setting(&user, &named, &[], "require_token")["value"], "false");
    let by_variable = [("PSI_SHAZAM_CONFIG", "other.toml")];
    assert_eq!(setting(&user, &[], &by_variable, "layout")["value"], "compact");
    user.run(["list", "--config", "none.toml"]).assert_error(&["none.toml", "No such file"]);
}

#[test]
fn commands_obey_the_file_and_arguments_go_before_it() {
    let user = User::new();
    let files = copy_catalogue(&user.path("tracks"));
    write_settings(&user, "db = \"~/here\"\n[list]\njson = true\n");
    user.run(["index".as_ref(), files[0].as_os_str()]).assert_code(0);
    assert!(user.path("here/store").exists() || user.path("here").is_dir());
    let listed = user.run(["list"]);
    listed.assert_code(0);
    assert_eq!(listed.json_lines().len(), 1);
    user.run(["list", "--db", "elsewhere"]).assert_error(&["there is no database", "elsewhere"]);
    let mut command = user.command(["list"]);
    command.env("PSI_SHAZAM_JSON", "false");
    assert!(!crate::support::finish(command, &[]).stdout.starts_with('{'), "a flag can be taken back");
    // The file may contain what an option requires.
    write_settings(&user, "[query]\nserver = \"nowhere.invalid\"\n");
    let recording = audio("recordings/noisy.m4a");
    let asked = user.run(["query", recording.to_str().unwrap(), "--no-cache"]);
    asked.assert_error(&["nowhere.invalid"]);
    // The file may also contain an option without what it requires.
    write_settings(&user, "[query]\nno_cache = true\n");
    user.run(["query", recording.to_str().unwrap()]).assert_error(&["there is no database"]);
}

#[test]
fn a_file_that_is_wrong_is_told_with_its_line_and_help_still_works() {
    let user = User::new();
    write_settings(&user, "[serve]\nlisten_on = \"[::]:4433\"\n");
    let words = ["config.toml, line 2", "listen_on", "`listen`"];
    for command in [&["list"][..], &["config", "show"], &["serve"]] {
        user.run(command).assert_error(&words);
    }
    for command in [&["--help"][..], &["list", "--help"], &["config", "path"], &["completions", "bash"]] {
        user.run(command).assert_code(0);
    }
    write_settings(&user, "[query]\ntoken = \"pst_secret\"\n");
    let refused = user.run(["list"]);
    refused.assert_error(&["secret", "token_file"]);
    assert!(!refused.stderr.contains("pst_secret"));
    let mut command = user.command(["config", "show", "--config", "/dev/null"]);
    command.env("PSI_SHAZAM_TOKEN", "pst_secret").env("PSI_SHAZAM_TOP", "5");
    let shown = crate::support::finish(command, &[]);
    assert!(!shown.stdout.contains("pst_secret") && shown.stdout.contains("PSI_SHAZAM_TOKEN"), "{shown:?}");
    let mut command = user.command(["query", "x.wav", "--config", "/dev/null"]);
    command.env("PSI_SHAZAM_TOP", "many");
    crate::support::finish(command, &[]).assert_error(&["many", "PSI_SHAZAM_TOP"]);
}

#[test]
fn a_sample_is_written_once() {
    let user = User::new();
    let made = user.run(["config", "init"]);
    made.assert_code(0);
    let file = user.path("config/psi-shazam/config.toml");
    let sample = fs::read_to_string(&file).unwrap();
    assert!(sample.contains("[serve]") && sample.contains("#listen = \"[::]:4433\""), "{sample}");
    assert_eq!(user.run(["config", "init", "--print"]).stdout, sample);
    user.run(["config", "init"]).assert_error(&["config.toml", "exists"]);
    let paths = user.run(["config", "path", "--json"]).json_lines();
    assert_eq!((&paths[0]["path"], &paths[0]["exists"]), (&file.to_str().unwrap().into(), &true.into()));
    assert_eq!(paths[1]["path"], "/etc/psi-shazam/config.toml");
}

#[test]
fn metrics_count_what_was_done_and_name_nobody() {
    let user = User::with_catalogue();
    let metrics = free_port();
    let address = metrics.to_string();
    let daemon = Daemon::start(user.command(["serve", "--listen", "127.0.0.1:0", "--metrics", &address]));
    assert_eq!(page(metrics, "/health"), ("HTTP/1.1 200 OK".into(), "serving\n".into()));
    let recording = audio("recordings/noisy.m4a");
    let server = daemon.server();
    let asked = user.run(["query", recording.to_str().unwrap(), "--server", &server]);
    asked.assert_code(0);
    let (status, text) = page(metrics, "/metrics");
    assert_eq!(status, "HTTP/1.1 200 OK");
    for (name, expected) in [
        ("psi_shazam_queries_total", 1.0),
        ("psi_shazam_evaluations_total", 1.0),
        ("psi_shazam_connections_total", 1.0),
        ("psi_shazam_refusals_total{reason=\"stale\"}", 0.0),
        ("psi_shazam_limited_total{limit=\"queries\"}", 0.0),
        ("psi_shazam_query_seconds_count", 1.0),
        ("psi_shazam_evaluation_seconds_count", 1.0),
        ("psi_shazam_pass_seconds_count", 1.0),
        ("psi_shazam_pass_queries_sum", 1.0),
        ("psi_shazam_queue_depth", 0.0),
        ("psi_shazam_tracks", 8.0),
        (concat!("psi_shazam_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}"), 1.0),
    ] {
        assert_eq!(metric(&text, name), Some(expected), "{name} in:\n{text}");
    }
    for name in [
        "psi_shazam_received_bytes_total",
        "psi_shazam_sent_bytes_total",
        "psi_shazam_postings",
        "psi_shazam_shards",
        "psi_shazam_matrix_bytes",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
    ] {
        assert!(metric(&text, name).is_some_and(|value| value > 0.0), "{name} in:\n{text}");
    }
    let labels: BTreeSet<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('{')?.1.split_once('='))
        .map(|(label, _)| label)
        .collect();
    assert_eq!(labels, BTreeSet::from(["le", "limit", "reason", "version"]));
    assert!(!text.contains("127.0.0.1"), "an address in:\n{text}");
    the_dashboard_shows_what_there_is(&text);
    // Changes of the catalogue are seen without a restart.
    user.run(["remove", "1"]).assert_code(0);
    assert_eq!(metric(&page(metrics, "/metrics").1, "psi_shazam_tracks"), Some(7.0));
    assert!(page(metrics, "/other").0.contains("404"));
    assert!(daemon.stop("TERM").0.success());
    assert!(TcpStream::connect(metrics).is_err(), "the page ends with the daemon");
}

/// Checks that the daemon has every metric in the sample dashboard.
fn the_dashboard_shows_what_there_is(metrics: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/grafana/psi-shazam.json");
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let series: BTreeSet<&str> = metrics
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    let mut asked = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let text = target["expr"].as_str().unwrap();
            let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            for name in words.filter(|word| word.starts_with("psi_shazam") || word.starts_with("process_")) {
                assert!(series.contains(name), "{name} of {}", panel["title"]);
                asked += 1;
            }
        }
    }
    assert!(asked > 20, "{asked}");
}

#[test]
fn logs_are_json_where_that_is_wanted() {
    let user = User::with_catalogue();
    let mut command = user.command([
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--log-format",
        "json",
        "--log-level",
        "info,server=debug",
    ]);
    let socket = user.path("notify");
    let systemd = UnixDatagram::bind(&socket).unwrap();
    systemd.set_read_timeout(Some(DEADLINE)).unwrap();
    // One watchdog message every two seconds. Their number is not checked.
    command.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "4000000");
    let mut child = command
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let hear = |wanted: &str| {
        let mut message = [0; 4096];
        loop {
            let length = systemd.recv(&mut message).unwrap();
            let text = String::from_utf8_lossy(&message[..length]).into_owned();
            if text.lines().any(|line| line == wanted) {
                return text;
            }
        }
    };
    assert!(hear("READY=1").contains("STATUS=serving on 127.0.0.1:"));
    hear("WATCHDOG=1");
    crate::support::signal(&child, "TERM");
    hear("STOPPING=1");
    let status = crate::support::wait(&mut child);
    assert!(status.success());
    let (mut stdout, mut log) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert_eq!(stdout, "", "one stream tells all");
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let serving = lines.iter().find(|line| line["message"] == "serving").unwrap();
    assert_eq!(serving["key"].as_str().unwrap().len(), 64);
    assert_eq!((&serving["tracks"], &serving["level"]), (&8.into(), &"INFO".into()));
    user.run(["serve", "--log-level", "loud"]).assert_error(&["loud", "info"]);
}

/// The names of all manual pages, one for each command.
fn pages(user: &User) -> Vec<String> {
    user.run(["man", "pages"]).assert_code(0);
    let names = fs::read_dir(user.path("pages")).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

/// The commands that a help text lists.
fn commands(user: &User, path: &[String]) -> Vec<Vec<String>> {
    let help = user.run(path.iter().map(String::as_str).chain(["--help"]));
    help.assert_code(0);
    assert!(help.stdout.contains("Example") || path.is_empty(), "{path:?}: {}", help.stdout);
    let listed = help.stdout.split("\nCommands:\n").nth(1).unwrap_or_default();
    let names = listed.lines().take_while(|line| line.starts_with("  "));
    let names =
        names.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    let below = names.filter(|name| *name != "help").map(|name| [path, &[name.to_owned()]].concat());
    below.flat_map(|path| [vec![path.clone()], commands(user, &path)].concat()).collect()
}

#[test]
fn every_command_has_a_page_a_help_with_an_example_and_is_completed() {
    let user = User::new();
    let pages = pages(&user);
    let commands = commands(&user, &[]);
    assert!(commands.len() > 15, "{commands:?}");
    let scripts = ["bash", "zsh", "fish"].map(|shell| user.run(["completions", shell]));
    for command in &commands {
        let page = format!("psi-shazam-{}.1", command.join("-"));
        assert!(pages.contains(&page), "no {page} in {pages:?}");
        let name = command.last().unwrap();
        assert!(scripts.iter().all(|script| script.stdout.contains(name.as_str())), "{command:?}");
    }
    let serve = fs::read_to_string(user.path("pages/psi-shazam-serve.1")).unwrap();
    assert!(serve.contains(".TH") && serve.contains("PSI_SHAZAM_LISTEN"), "{serve}");
    assert!(user.run(["man"]).stdout.contains(".TH psi-shazam"));
    user.run(["completions", "tcsh"]).assert_error(&["tcsh", "bash"]);
}

#[test]
fn wrong_uses_are_told_what_to_do() {
    let user = User::with_catalogue();
    let holder = UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let recording = audio("recordings/noisy.m4a");
    let recording = recording.to_str().unwrap();
    let ask = |more: &[&str]| user.run(["query", recording].iter().chain(more));
    fs::write(user.path("file"), "").unwrap();
    fs::create_dir(user.path("empty")).unwrap();
    for (args, words) in [
        (&["qurey"][..], &["'query'"][..]),
        (&["index", "--jbos", "2", "."], &["'--jobs'"]),
        (&["list", "--db", "file"], &["file is a file", "--db"]),
        (&["serve", "--db", "file"], &["file is a file", "--db"]),
        (&["index", "empty"], &["no sound files", "mp3"]),
        (&["serve", "--db", "db2", "--listen", &taken], &[&taken, "--listen"]),
        (&["serve", "--db", "db2", "--listen", "192.0.2.1:4433"], &["no such address", "--listen"]),
        (&["remove", "99"], &["psi-shazam list"]),
        (&["token", "revoke", "nobody"], &["psi-shazam token list"]),
    ] {
        user.run(args).assert_error(words);
    }
    ask(&["--server", "nowhere.invalid"]).assert_error(&["nowhere.invalid", "online"]);
    ask(&["--server", &nobody]).assert_error(&[&nobody, "psi-shazam serve"]);
    let daemon = user.serve();
    let server = daemon.server();
    let pinned = ask(&["--server", &server, "--server-key", &"0".repeat(64)]);
    pinned.assert_error(&["another key", "ask the owner"]);
}
