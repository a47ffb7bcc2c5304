//! Full disks, read-only disks, and programs that need the same database at the same time. If this user may not mount
//! disks, the first two print that they are skipped.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use crate::support::{Daemon, User, audio, copy_catalogue, lines, wait};

/// A small disk in memory.
struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// Mounts a disk, or returns `None` if that is not allowed.
    fn mount(folder: &Path, megabytes: u32) -> Option<Disk> {
        fs::create_dir_all(folder).unwrap();
        let size = format!("size={megabytes}m,mode=700");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "psi-shazam-test"]).arg(folder).stderr(Stdio::null());
        let mounted = mount.status().is_ok_and(|status| status.success());
        if !mounted {
            eprintln!("skipped: this user may not mount");
        }
        mounted.then(|| Disk { folder: folder.to_owned() })
    }

    fn read_only(&self) {
        let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(&self.folder).status().unwrap();
        assert!(remounted.success());
    }

    /// Fills it up, except for `left` bytes.
    fn fill(&self, left: u64) {
        let mut ballast = File::create(self.folder.join("ballast")).unwrap();
        let block = [1; 65_536];
        let mut length = 0;
        while let Ok(written) = ballast.write(&block) {
            length += written as u64;
        }
        ballast.set_len(length.saturating_sub(left)).unwrap();
    }

    fn free(&self) {
        fs::remove_file(self.folder.join("ballast")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.folder).status();
    }
}

fn assert_served(user: &User, daemon: &Daemon) {
    let recording = audio("recordings/phone.wav");
    let asked = user.run([
        "query",
        recording.to_str().unwrap(),
        "--server",
        &daemon.server(),
        "--no-cache",
        "--json",
    ]);
    asked.assert_code(0);
    assert_eq!(asked.json()["match"]["title"], "Loyalists");
}

#[test]
fn a_full_disk_is_told_before_it_is_met() {
    let user = User::new();
    let Some(disk) = Disk::mount(&user.db(), 64) else { return };
    let files = copy_catalogue(&user.path("music"));
    let (known, late): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| file.ends_with("loyalists.ogg"));
    user.run(["index".as_ref(), known[0].as_os_str()]).assert_code(0);
    let daemon = user.serve();
    for left in [8_000_000, 100_000, 0] {
        disk.fill(left);
        user.run(["index".as_ref(), late[0].as_os_str()]).assert_error(&["the disk of", "is full"]);
        user.run(["remove", "1"]).assert_error(&["the disk of", "is full"]);
        user.run(["compact"]).assert_error(&["the disk of", "is full"]);
        assert_served(&user, &daemon);
        assert_eq!(user.list().len(), 1);
    }
    disk.free();
    // The same daemon continues.
    user.run(["index", "music"]).assert_code(0);
    assert_eq!(user.list().len(), 8);
    assert_served(&user, &daemon);
    assert!(daemon.stop("TERM").0.success());
    user.run(["check"]).assert_code(0);
    // The same without a daemon. A database cannot be created there either.
    disk.fill(0);
    user.run(["compact"]).assert_error(&["the disk of", "is full"]);
    assert_eq!(user.list().len(), 8);
    let other = user.db().join("other");
    let begun = user.run(["index".as_ref(), known[0].as_os_str(), "--db".as_ref(), other.as_os_str()]);
    begun.assert_code(2);
    disk.free();
    user.run(["check"]).assert_code(0);
    user.run(["index".as_ref(), known[0].as_os_str(), "--db".as_ref(), other.as_os_str()]).assert_code(0);
}

/// The path that a line of `index --json --verbose` reports as being on disk.
fn added(line: &str) -> Option<String> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    (line["outcome"] == "added").then(|| line["file"].as_str().unwrap().to_owned())
}

/// Another program fills the disk while tracks are added. Reported tracks stay, whatever sled does.
#[test]
fn a_disk_that_fills_up_meanwhile_costs_nothing_that_was_told() {
    let user = User::new();
    let Some(disk) = Disk::mount(&user.db(), 64) else { return };
    let files = copy_catalogue(&user.path("music"));
    for (copy, file) in files.iter().cycle().take(24).enumerate() {
        let mut bytes = fs::read(file).unwrap();
        bytes.extend([copy as u8; 16]);
        fs::write(user.path(&format!("music/{copy}-{}", file.file_name().unwrap().display())), bytes)
            .unwrap();
    }
    user.run(["index", "music/loyalists.ogg"]).assert_code(0);
    let mut told = Vec::new();
    let (mut stopped, mut restarts) = (0, 0);
    for after in [1, 4, 9] {
        let mut daemon = user.serve();
        let mut command = user.command(["index", "music", "--json", "--verbose", "--jobs", "2"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let output = lines(child.stdout.take().unwrap());
        told.extend(output.iter().filter_map(|line| added(&line)).take(after));
        disk.fill(0);
        stopped += usize::from(!wait(&mut child).success());
        told.extend(output.iter().filter_map(|line| added(&line)));
        assert_served(&user, &daemon);
        disk.free();
        let again = user.run(["index", "music/the-city-falls.ogg"]);
        if !again.status.success() {
            again.assert_error(&["start the daemon again"]);
            assert_served(&user, &daemon);
            restarts += 1;
            daemon.stop("TERM");
            daemon = user.serve();
            user.run(["index", "music/the-city-falls.ogg"]).assert_code(0);
        }
        let paths = user.paths();
        assert!(told.iter().all(|path| paths.contains(path)), "{told:?} in {paths:?}");
        assert_served(&user, &daemon);
        daemon.stop("TERM");
        user.run(["check"]).assert_code(0);
    }
    println!(
        "{stopped} of 3 runs met the full disk, {restarts} wanted a restart, {} tracks told",
        told.len()
    );
}

#[test]
fn a_disk_that_nobody_may_write_is_told() {
    let user = User::new();
    let Some(disk) = Disk::mount(&user.db(), 64) else { return };
    user.run(["index".as_ref(), audio("catalogue").as_os_str()]).assert_code(0);
    disk.read_only();
    for command in [&["list"][..], &["stats"], &["check"], &["serve"], &["index", "."]] {
        user.run(command).assert_error(&["Read-only file system", "psi-shazam/db"]);
    }
}

/// Without a daemon, one `index` waits for the other.
#[test]
fn two_runs_of_index_take_turns() {
    let user = User::new();
    copy_catalogue(&user.path("music"));
    thread::scope(|scope| {
        let running: Vec<_> = (0..2).map(|_| scope.spawn(|| user.run(["index", "music"]))).collect();
        running.into_iter().for_each(|run| run.join().unwrap().assert_code(0));
    });
    assert_eq!(user.list().len(), 8);
    user.run(["check"]).assert_code(0);
}
