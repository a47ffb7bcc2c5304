//! A simulated file system that loses unflushed changes at a power failure, in any order.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rand::Rng;

use super::trace::{Arg, Call};

/// Size of a page in bytes. A page is written completely or not at all.
const PAGE: usize = 4096;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Entry {
    Folder,
    File(usize),
}

/// A change that is not yet flushed.
#[derive(Clone)]
struct Pending<T> {
    /// When the call ended.
    at: usize,
    what: T,
}

#[derive(Clone)]
enum Edit {
    Write { offset: usize, bytes: Vec<u8> },
    Length(usize),
}

#[derive(Default, Clone)]
struct File {
    device: Vec<u8>,
    pending: Vec<Pending<Edit>>,
    mode: u32,
}

#[derive(Clone)]
struct Handle {
    entry: Entry,
    path: PathBuf,
    offset: usize,
}

/// The names that one call changes, with their new entries.
type Names = Vec<(PathBuf, Option<Entry>)>;

/// The simulated file system: everything below one folder.
#[derive(Clone)]
pub struct Machine {
    root: PathBuf,
    files: Vec<File>,
    /// Names as the running system sees them.
    names: BTreeMap<PathBuf, Entry>,
    /// Names as the device has them.
    device: BTreeMap<PathBuf, Entry>,
    pending: Vec<Pending<Names>>,
    handles: HashMap<i64, Handle>,
    /// The program's standard output.
    pub said: Vec<u8>,
    /// Whether bytes handed to the device with `sync_file_range` survive, as far as the file on the device was that
    /// long. That is so for a device without a volatile cache.
    pub keeps_order: bool,
}

/// Which pending changes are on the device after a power failure.
#[derive(Debug, Clone, Copy)]
pub enum Luck {
    Nothing,
    Everything,
    /// Each one by chance.
    Some,
    /// All up to some moment.
    First,
}

impl Machine {
    /// A machine whose device has what is below `root` now.
    pub fn new(root: &Path) -> Machine {
        let mut machine = Machine {
            root: root.to_owned(),
            files: Vec::new(),
            names: BTreeMap::new(),
            device: BTreeMap::new(),
            pending: Vec::new(),
            handles: HashMap::new(),
            said: Vec::new(),
            keeps_order: true,
        };
        for entry in walkdir::WalkDir::new(root).into_iter().filter_map(Result::ok) {
            let path = entry.path().to_owned();
            let made = if entry.file_type().is_dir() {
                Entry::Folder
            } else {
                let mode = entry.metadata().unwrap().permissions().mode();
                machine.files.push(File { device: fs::read(&path).unwrap(), pending: Vec::new(), mode });
                Entry::File(machine.files.len() - 1)
            };
            machine.device.insert(path, made);
        }
        machine.names = machine.device.clone();
        machine
    }

    /// Applies one more finished call.
    ///
    /// # Panics
    /// For unknown calls, so that nothing is ignored silently.
    pub fn step(&mut self, call: &Call) {
        match call.name.as_str() {
            "openat" => self.open(call),
            "close" => drop(self.handles.remove(&call.number(0))),
            "write" if call.number(0) == 1 => self.said.extend(&call.bytes(1)[..call.returned as usize]),
            "write" | "pwrite64" | "lseek" | "ftruncate" => self.edit(call),
            "fsync" | "fdatasync" => self.flush(call),
            "sync_file_range" => self.hand_over(call),
            // Some systems have these only with "at".
            "mkdir" | "mkdirat" => self.name(call, vec![(path(call, 0), Some(Entry::Folder))]),
            "unlink" | "unlinkat" | "rmdir" => self.name(call, vec![(path(call, 0), None)]),
            "rename" | "renameat" | "renameat2" => {
                let (from, to) = (path(call, 0), path(call, 1));
                assert_eq!(from.parent(), to.parent(), "renamed into another folder");
                let moved = self.names.get(&from).copied();
                let ours = from.starts_with(&self.root);
                assert!(!ours || matches!(moved, Some(Entry::File(_))), "a folder is renamed");
                self.name(call, vec![(to, moved), (from, None)]);
            }
            "mmap" => {
                let shared = call.has("MAP_SHARED") && call.has("PROT_WRITE");
                assert!(
                    !shared || !self.handles.contains_key(&call.number(4)),
                    "a file is written as memory"
                );
            }
            _ => {
                let output = call.name != "close" && call.args.first() == Some(&Arg::Number(1));
                assert!(!output && !self.concerns(call), "{call:?} is not known here");
            }
        }
    }

    /// Whether any argument is one of the files here.
    fn concerns(&self, call: &Call) -> bool {
        call.args.iter().any(|arg| match arg {
            Arg::Number(number) => self.handles.contains_key(number),
            Arg::Bytes(bytes) => bytes.starts_with(self.root.as_os_str().as_encoded_bytes()),
            Arg::Word(_) => false,
        })
    }

    fn open(&mut self, call: &Call) {
        let path = path(call, 0);
        if !path.starts_with(&self.root) {
            return;
        }
        assert!(!call.has("O_APPEND") && !call.has("O_TMPFILE"), "{call:?} is not known here");
        let entry = self.names.get(&path).copied().unwrap_or_else(|| {
            assert!(call.has("O_CREAT"), "{} is not there", path.display());
            let mode = call.number(3) as u32;
            self.files.push(File { mode, ..File::default() });
            let made = Entry::File(self.files.len() - 1);
            self.names.insert(path.clone(), made);
            self.pending.push(Pending { at: call.ended, what: vec![(path.clone(), Some(made))] });
            made
        });
        if let (Entry::File(file), true) = (entry, call.has("O_TRUNC")) {
            self.files[file].pending.push(Pending { at: call.ended, what: Edit::Length(0) });
        }
        self.handles.insert(call.returned, Handle { entry, path, offset: 0 });
    }

    fn edit(&mut self, call: &Call) {
        let Some(handle) = self.handles.get_mut(&call.number(0)) else { return };
        let Entry::File(file) = handle.entry else { panic!("{call:?} on a folder") };
        let done = call.returned as usize;
        let what = match call.name.as_str() {
            "lseek" => {
                handle.offset = done;
                return;
            }
            "ftruncate" => Edit::Length(call.number(1) as usize),
            "pwrite64" => {
                Edit::Write { offset: call.number(3) as usize, bytes: call.bytes(1)[..done].to_vec() }
            }
            _ => {
                let offset = handle.offset;
                handle.offset += done;
                Edit::Write { offset, bytes: call.bytes(1)[..done].to_vec() }
            }
        };
        self.files[file].pending.push(Pending { at: call.ended, what });
    }

    /// Flushes a file's bytes or a folder's names: everything that ended before the flush began is on the device when
    /// the flush ends.
    fn flush(&mut self, call: &Call) {
        let Some(handle) = self.handles.get(&call.number(0)) else { return };
        match handle.entry {
            Entry::File(file) => {
                let file = &mut self.files[file];
                let (kept, left) = file.pending.drain(..).partition(|edit| edit.at < call.begun);
                let kept: Vec<Pending<Edit>> = kept;
                kept.into_iter().for_each(|edit| edit.what.apply(&mut file.device));
                file.pending = left;
            }
            Entry::Folder => {
                let within =
                    |names: &Names| names.iter().any(|(path, _)| path.parent() == Some(&handle.path));
                let (kept, left) =
                    self.pending.drain(..).partition(|names| names.at < call.begun && within(&names.what));
                let kept: Vec<Pending<Names>> = kept;
                kept.into_iter().for_each(|names| put(&mut self.device, names.what));
                self.pending = left;
            }
        }
    }

    fn name(&mut self, call: &Call, names: Names) {
        if names.iter().any(|(path, _)| path.starts_with(&self.root)) {
            put(&mut self.names, names.clone());
            self.pending.push(Pending { at: call.ended, what: names });
        }
    }

    /// Hands bytes to the device. This does not flush the length: bytes beyond the length on the device may be lost.
    fn hand_over(&mut self, call: &Call) {
        let Some(Handle { entry: Entry::File(file), .. }) = self.handles.get(&call.number(0)) else { return };
        if !self.keeps_order {
            return;
        }
        let file = &mut self.files[*file];
        let (from, to) = (call.number(1) as usize, (call.number(1) + call.number(2)) as usize);
        for edit in file.pending.iter().filter(|edit| edit.at < call.begun) {
            if let Edit::Write { offset, bytes } = &edit.what {
                let end = (offset + bytes.len()).min(to).min(file.device.len());
                let start = (*offset).max(from);
                if start < end {
                    file.device[start..end].copy_from_slice(&bytes[start - offset..end - offset]);
                }
            }
        }
    }

    /// Asserts that the real content below `root` is what the calls made.
    pub fn assert_as(&self, root: &Path) {
        let found: Vec<PathBuf> = walkdir::WalkDir::new(root)
            .min_depth(1)
            .into_iter()
            .map(|entry| entry.unwrap().into_path())
            .collect();
        let here: Vec<&PathBuf> = self.names.keys().filter(|path| **path != self.root).collect();
        assert_eq!(here.len(), found.len(), "{here:?} {found:?}");
        for path in found {
            match self.names.get(&path) {
                Some(Entry::Folder) => assert!(path.is_dir()),
                Some(Entry::File(file)) => {
                    let mut rng = rand::rngs::mock::StepRng::new(0, 1);
                    let bytes = self.files[*file].after(Luck::Everything, 0, &mut rng);
                    assert!(bytes == fs::read(&path).unwrap(), "{} is another file", path.display());
                }
                None => panic!("{} is not known here", path.display()),
            }
        }
    }

    /// Number of calls that nothing has flushed yet.
    pub fn unflushed(&self) -> usize {
        self.pending.len() + self.files.iter().map(|file| file.pending.len()).sum::<usize>()
    }

    /// Cuts the power and writes what is left below `to`. Entries whose folder is gone are lost.
    pub fn cut(&self, luck: Luck, rng: &mut impl Rng, to: &Path) {
        let edits = self.files.iter().flat_map(|file| &file.pending).map(|edit| edit.at);
        let times: Vec<usize> = edits.chain(self.pending.iter().map(|names| names.at)).collect();
        let moment = if times.is_empty() { 0 } else { times[rng.gen_range(0..times.len())] };
        let mut names = self.device.clone();
        for change in &self.pending {
            if luck.keeps(change.at, moment, rng) {
                put(&mut names, change.what.clone());
            }
        }
        let after: Vec<Vec<u8>> = self.files.iter().map(|file| file.after(luck, moment, rng)).collect();
        // A folder comes before what is in it.
        for (path, entry) in names.iter().filter(|(path, _)| **path != self.root) {
            let path = to.join(path.strip_prefix(&self.root).unwrap());
            match entry {
                _ if !path.parent().is_some_and(Path::is_dir) => {}
                Entry::Folder => fs::create_dir(&path).unwrap(),
                Entry::File(file) => {
                    fs::write(&path, &after[*file]).unwrap();
                    let mode = Permissions::from_mode(self.files[*file].mode & 0o777);
                    fs::set_permissions(&path, mode).unwrap();
                }
            }
        }
    }
}

impl Luck {
    fn keeps(self, at: usize, moment: usize, rng: &mut impl Rng) -> bool {
        match self {
            Luck::Nothing => false,
            Luck::Everything => true,
            Luck::Some => rng.r#gen(),
            Luck::First => at <= moment,
        }
    }
}

impl File {
    /// A file's content after the power failure. With [`Luck::Some`], each page survives by its own chance, and lost
    /// pages may leave their length as zeros.
    fn after(&self, luck: Luck, moment: usize, rng: &mut impl Rng) -> Vec<u8> {
        let mut bytes = self.device.clone();
        for Pending { at, what } in &self.pending {
            match what {
                Edit::Write { offset, bytes: written } if matches!(luck, Luck::Some) => {
                    let mut from = 0;
                    while from < written.len() {
                        let to = written.len().min((offset + from) / PAGE * PAGE + PAGE - offset);
                        let (offset, piece) = (offset + from, written[from..to].to_vec());
                        match rng.gen_range(0..4) {
                            0 => bytes.resize(bytes.len().max(offset + piece.len()), 0),
                            1 => {}
                            _ => Edit::Write { offset, bytes: piece }.apply(&mut bytes),
                        }
                        from = to;
                    }
                }
                what if luck.keeps(*at, moment, rng) => what.clone().apply(&mut bytes),
                _ => {}
            }
        }
        bytes
    }
}

impl Edit {
    fn apply(self, to: &mut Vec<u8>) {
        match self {
            Edit::Length(length) => to.resize(length, 0),
            Edit::Write { offset, bytes } => {
                to.resize(to.len().max(offset + bytes.len()), 0);
                to[offset..][..bytes.len()].copy_from_slice(&bytes);
            }
        }
    }
}

fn put(names: &mut BTreeMap<PathBuf, Entry>, changes: Names) {
    for (path, entry) in changes {
        match entry {
            Some(entry) => names.insert(path, entry),
            None => names.remove(&path),
        };
    }
}

/// The path at this place among the paths of the call.
fn path(call: &Call, place: usize) -> PathBuf {
    let paths = call.args.iter().filter_map(|arg| match arg {
        Arg::Bytes(bytes) => Some(PathBuf::from(String::from_utf8_lossy(bytes).into_owned())),
        _ => None,
    });
    paths.into_iter().nth(place).unwrap()
}
