//! A private catalogue: access tokens are made, used and revoked while the daemon runs.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::{Daemon, Finished, User, audio, finish};

/// Whether some file below `folder` contains `bytes`.
fn holds(folder: &Path, bytes: &[u8]) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => holds(&path, bytes),
            false => fs::read(path).is_ok_and(|read| read.windows(bytes.len()).any(|w| w == bytes)),
        }
    })
}

fn query(user: &User, daemon: &Daemon, set: &[(&str, &str)]) -> Finished {
    let recording = audio("recordings/phone.wav");
    let arguments = ["query", recording.to_str().unwrap(), "--server", &daemon.server(), "--json"];
    let mut command = user.command(arguments);
    command.envs(set.iter().copied());
    finish(command, &[])
}

#[test]
fn only_holders_of_a_token_are_answered() {
    let user = User::with_catalogue();
    let mut serve = user.command(["serve", "--listen", "127.0.0.1:0"]);
    serve.env("PSI_SHAZAM_REQUIRE_TOKEN", "1").env("RUST_LOG", "trace,quinn=info,quinn_proto=info,sled=info");
    let daemon = Daemon::start(serve);
    let without = query(&user, &daemon, &[]);
    without.assert_code(2);
    let told = without.json()["error"].as_str().unwrap().to_owned();
    assert!(told.contains("wants an access token") && told.contains("PSI_SHAZAM_TOKEN"), "{told}");
    let made = user.run(["token", "create", "phone", "--json"]);
    made.assert_code(0);
    let token = made.json()["token"].as_str().unwrap().to_owned();
    user.run(["token", "create", "phone"]).assert_error(&["already"]);
    let right = [("PSI_SHAZAM_TOKEN", token.as_str())];
    let answer = query(&user, &daemon, &right);
    answer.assert_code(0);
    assert_eq!(answer.json()["match"]["title"], "Loyalists");
    let wrong = format!("pst_{}", "0".repeat(64));
    query(&user, &daemon, &[("PSI_SHAZAM_TOKEN", &wrong)]).assert_error(&["wrong, or was revoked"]);
    let typo = query(&user, &daemon, &[("PSI_SHAZAM_TOKEN", &token[..67])]);
    typo.assert_error(&["PSI_SHAZAM_TOKEN", "64 hexadecimal digits"]);
    assert!(!typo.stderr.contains(&token[4..67]), "{typo:?}");

    // The owner needs no token: the admin socket admits them.
    let own = user.run(["query", audio("recordings/phone.wav").to_str().unwrap(), "--json"]);
    assert_eq!(own.json()["match"]["title"], "Loyalists", "{own:?}");

    assert_eq!(user.run(["token", "list", "--json"]).json()["name"], "phone");
    user.run(["token", "revoke", "desk"]).assert_error(&["no token desk"]);
    user.run(["token", "revoke", "phone"]).assert_code(0);
    query(&user, &daemon, &right).assert_error(&["wrong, or was revoked"]);
    assert_eq!(user.run(["token", "list"]).stdout, "");
    let (status, log) = daemon.stop("TERM");
    assert!(status.success() && log.contains("Unauthorized"), "{log}");
    assert!(!log.contains(&token[4..]) && !log.contains(&token[4..20]), "{log}");
    assert!(!holds(&user.path(""), &token.as_bytes()[4..]), "it is shown, and kept nowhere");
}

#[test]
fn a_token_in_a_file_is_for_its_owner_only() {
    let user = User::with_catalogue();
    // A token made without a daemon is in force when one starts.
    let made = user.run(["token", "create", "desk"]);
    made.assert_code(0);
    let daemon = Daemon::start(user.command(["serve", "--listen", "127.0.0.1:0", "--require-token"]));
    let file = user.path("desk.token");
    fs::write(&file, &made.stdout).unwrap();
    let given = [("PSI_SHAZAM_TOKEN_FILE", file.to_str().unwrap())];
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    query(&user, &daemon, &given).assert_error(&["desk.token", "chmod 600"]);
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    query(&user, &daemon, &given).assert_code(0);
    let mut help = user.command(["query", "--help"]);
    help.env("PSI_SHAZAM_TOKEN", made.stdout.trim());
    assert!(!finish(help, &[]).stdout.contains(&made.stdout.trim()[4..]));
}

#[test]
fn a_client_that_asks_too_often_is_told_when_to_come_back() {
    let user = User::with_catalogue();
    let limit = ["serve", "--listen", "127.0.0.1:0", "--evaluations-per-minute", "1"];
    let daemon = Daemon::start(user.command(limit));
    query(&user, &daemon, &[]).assert_code(0);
    let busy = query(&user, &daemon, &[]);
    busy.assert_code(2);
    let error = busy.json()["error"].as_str().unwrap().to_owned();
    assert!(error.contains("busy") && error.contains("ask again in") && error.contains(" s"), "{error}");
    let (_, log) = daemon.stop("TERM");
    assert!(log.contains("queries: 1,") && log.contains("limited: "), "{log}");
}
