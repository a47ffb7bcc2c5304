//! A user whose program asks the hostile server through the relay.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::amplifier::Amplifier;
use crate::program::{command, microphone, raw, run};
use crate::songs::{SECONDS, write_wav};
use crate::support::User;
use crate::support::relay::{Connection, Relay};

/// Time for the last datagrams to reach the relay after a program has ended.
const REST: Duration = Duration::from_millis(50);

/// A user with recordings, and the relay that observes the line.
pub struct Bed<'a> {
    pub amplifier: &'a Amplifier,
    pub relay: Relay,
    pub user: User,
}

impl<'a> Bed<'a> {
    /// A new user, who has never asked this server.
    pub fn new(amplifier: &'a Amplifier) -> Bed<'a> {
        Bed { amplifier, relay: Relay::start(amplifier.address), user: User::new() }
    }

    /// The program with these arguments and files and the arguments for the server.
    pub fn command(&self, args: &[&str], files: &[PathBuf]) -> Command {
        let server = self.relay.address.to_string();
        let whom = ["--server", &server, "--server-key", &self.amplifier.key];
        let args = args.iter().chain(&whom).map(OsStr::new);
        command(&self.user, args.chain(files.iter().map(|file| file.as_os_str())))
    }

    /// Writes a passage as a WAV file.
    pub fn recording(&self, of_song: bool, seconds: usize, number: usize) -> PathBuf {
        let path = self.user.path(&format!("{number}.wav"));
        write_wav(&path, &self.amplifier.songs.passage(of_song, seconds, number));
        path
    }

    /// Lets the user ask once, so that all parts from the server are cached.
    pub fn warm_up(&self) {
        let file = self.recording(false, SECONDS, 0);
        run(self.command(&["query", "--json"], &[file]));
        self.connections();
    }

    /// The command `listen`, with a microphone that plays a passage.
    pub fn listen(&self, of_song: bool, seconds: usize, number: usize) -> Command {
        let (folder, sound) = (self.user.path("programs"), self.user.path("sound.raw"));
        // A little more than needed, so that the program ends the recording.
        std::fs::write(&sound, raw(&self.amplifier.songs.passage(of_song, seconds + 1, number))).unwrap();
        microphone(&folder, &sound);
        let mut command = self.command(&["listen", "--json", "--seconds", &seconds.to_string()], &[]);
        command.env("PATH", folder);
        command
    }

    /// The connections of a program that has ended.
    pub fn connections(&self) -> Vec<Connection> {
        std::thread::sleep(REST);
        self.relay.take()
    }

    /// The only connection of a program that has ended.
    pub fn connection(&self) -> Connection {
        let mut connections = self.connections();
        assert_eq!(connections.len(), 1, "connections");
        connections.remove(0)
    }
}

/// A number from an environment variable, or `default`.
pub fn number(name: &str, default: usize) -> usize {
    let set = std::env::var(format!("PSI_SHAZAM_HOSTILE_{name}")).ok();
    set.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}
