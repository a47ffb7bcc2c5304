//! Trust in servers: pinned keys, first use, and a key that changed.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::{User, audio};

fn recording() -> String {
    audio("recordings/clean.mp3").display().to_string()
}

#[test]
fn the_key_on_the_command_line_must_be_the_servers() {
    let user = User::with_catalogue();
    let daemon = user.serve();
    let ask =
        |key: &str| user.run(["query", &recording(), "--server", &daemon.server(), "--server-key", key]);
    ask(&daemon.key).assert_code(0);
    let wrong = "0123456789abcdef".repeat(4);
    let refused = ask(&wrong);
    refused.assert_error(&["another key", "impostor", &wrong, &daemon.key]);
    assert_eq!(refused.stdout, "");
    ask("abc").assert_error(&["--server-key"]);
    assert!(!user.path("data/psi-shazam/known_servers").exists(), "a pinned key is not remembered");
    // A key without a server would check nothing.
    user.run(["query", &recording(), "--server-key", &wrong]).assert_error(&["--server"]);
    let (_, log) = daemon.stop("TERM");
    assert!(log.contains("queries: 1,"), "the impostor was asked nothing: {log}");
}

#[test]
fn a_key_that_changed_is_refused_with_advice() {
    let user = User::with_catalogue();
    let daemon = user.serve();
    let (address, old_key) = (daemon.address, daemon.key.clone());
    let ask = || user.run(["query", &recording(), "--server", &address.to_string()]);
    ask().assert_code(0);
    let known = user.path("data/psi-shazam/known_servers");
    assert_eq!(fs::read_to_string(&known).unwrap(), format!("{address} {old_key}\n"));
    ask().assert_code(0);
    assert_eq!(fs::read_to_string(&known).unwrap().lines().count(), 1);
    assert!(daemon.stop("TERM").0.success());

    let impostor = User::with_catalogue();
    let daemon = impostor.serve_on(address);
    assert!(daemon.key != old_key);
    let refused = ask();
    let (file, place) = (known.display().to_string(), address.to_string());
    refused.assert_error(&["HAS CHANGED", &place, &old_key, &daemon.key, "remove the line", &file]);
    assert_eq!(refused.stdout, "");
    // As advised, the user deletes the line, and the new key is accepted.
    fs::write(&known, "").unwrap();
    ask().assert_code(0);
    assert_eq!(fs::read_to_string(&known).unwrap(), format!("{address} {}\n", daemon.key));
    let (_, log) = daemon.stop("TERM");
    assert!(log.contains("queries: 1,"), "{log}");
}

#[test]
fn an_unreadable_list_of_servers_is_not_passed_over() {
    let user = User::with_catalogue();
    let daemon = user.serve();
    let known = user.path("data/psi-shazam/known_servers");
    fs::write(&known, format!("{} not-a-key\n", daemon.address)).unwrap();
    let asked = user.run(["query", &recording(), "--server", &daemon.server()]);
    asked.assert_error(&["known_servers, line 1"]);
}

#[test]
fn the_identity_is_shown_and_replaced() {
    let user = User::with_catalogue();
    let identity = |arguments: &[&str]| user.run([&["identity", "--json"], arguments].concat());
    let shown = identity(&[]).json();
    let daemon = user.serve();
    assert_eq!(shown["key"], daemon.key, "it is made before the first start, too");
    assert_eq!(identity(&[]).json()["key"], daemon.key, "and told by the daemon");
    let address = daemon.address;
    user.run(["query", &recording(), "--server", &address.to_string()]).assert_code(0);
    identity(&["--rotate"]).assert_error(&["stop it"]);
    assert!(daemon.stop("TERM").0.success());

    let rotated = identity(&["--rotate"]);
    rotated.assert_code(0);
    let rotated = rotated.json();
    assert_eq!(rotated["previous"], shown["key"]);
    let kept = rotated["kept"].as_str().unwrap();
    assert_eq!(fs::metadata(kept).unwrap().permissions().mode() & 0o777, 0o600);
    let daemon = user.serve_on(address);
    assert_eq!(rotated["key"], daemon.key);
    assert!(daemon.key != shown["key"]);
    let refused = user.run(["query", &recording(), "--server", &address.to_string()]);
    refused.assert_error(&["HAS CHANGED", &daemon.key, shown["key"].as_str().unwrap()]);
    drop(daemon);

    // The old key can be restored from the file that was kept.
    fs::rename(kept, user.db().join("identity.key")).unwrap();
    assert_eq!(identity(&[]).json()["key"], shown["key"]);
    let told = user.run(["identity", "--rotate"]);
    assert!(told.stdout.contains("will refuse this server"), "{told:?}");
}
