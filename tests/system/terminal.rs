//! Output for people: plain text in a pipe, stages and colours in a terminal.

use std::process::Command;

use crate::support::{Finished, User, audio, finish};

/// Runs `query` in a terminal, made with `script`.
fn in_terminal(user: &User, file: &str, variables: &[(&str, &str)]) -> Finished {
    let program = user.program().display();
    let mut command: Command = user.command(["version"]);
    let like = std::mem::replace(&mut command, Command::new("script"));
    command.args(["-qec", &format!("'{program}' query '{file}'"), "/dev/null"]);
    command.current_dir(like.get_current_dir().unwrap()).env_remove("NO_COLOR").env("TERM", "xterm");
    for (name, value) in like.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.envs(variables.iter().copied());
    finish(command, &[])
}

#[test]
fn in_a_pipe_the_answer_is_plain() {
    let user = User::with_catalogue();
    let file = audio("recordings/clean.mp3");
    let asked = user.run(["query", file.to_str().unwrap()]);
    asked.assert_code(0);
    let lines: Vec<&str> = asked.stdout.lines().collect();
    assert_eq!(lines.len(), 5, "{asked:?}");
    assert_eq!((lines[0], lines[1]), (file.to_str().unwrap(), "  The City Falls — Doug Kaufman"));
    assert!(lines[2].starts_with("  starts at 0:05.8") && lines[4].contains(" ms: decode "), "{asked:?}");
    assert!(!asked.stdout.contains('\u{1b}') && asked.stderr.is_empty(), "{asked:?}");
}

#[test]
fn in_a_terminal_the_stages_pass() {
    let user = User::with_catalogue();
    let known = audio("recordings/clean.mp3");
    let shown = in_terminal(&user, known.to_str().unwrap(), &[]);
    shown.assert_code(0);
    let stages = ["listen", "catalogue", "fingerprint", "OPRF", "encrypt", "server", "decrypt", "vote"];
    let places: Vec<usize> = stages
        .iter()
        .map(|stage| {
            shown.stdout.find(&format!(" {stage:<12}")).unwrap_or_else(|| panic!("{stage}: {shown:?}"))
        })
        .collect();
    assert!(places.is_sorted(), "{places:?}");
    for words in
        ["The City Falls", "Doug Kaufman", "begins at 0:05.8", "The server saw", "\u{1b}[1m", "66 kB up"]
    {
        assert!(shown.stdout.contains(words), "no {words:?} in {shown:?}");
    }
    let plain = in_terminal(&user, known.to_str().unwrap(), &[("NO_COLOR", "1")]);
    assert!(plain.stdout.contains("The City Falls"), "{plain:?}");
    assert!(!plain.stdout.contains("\u{1b}[1m") && !plain.stdout.contains("\u{1b}[3"), "{plain:?}");
    let miss = in_terminal(&user, audio("unknown/underground.ogg").to_str().unwrap(), &[]);
    miss.assert_code(1);
    assert!(miss.stdout.contains("No match") && miss.stdout.contains("a match scores above 18"), "{miss:?}");
}
