//! A program's file system calls, as recorded by strace.

use std::collections::HashMap;
use std::process::{Command, Stdio};

/// The calls that change files, and those that tell which file is meant.
pub const WATCHED: &str = "openat,?openat2,?open,?creat,write,writev,pwrite64,pwritev,?pwritev2,ftruncate,truncate,\
    ?fallocate,fsync,fdatasync,?sync_file_range,?rename,?renameat,?renameat2,?unlink,unlinkat,?rmdir,?mkdir,mkdirat,?link,\
    linkat,?symlink,symlinkat,close,dup,?dup2,?dup3,lseek,?copy_file_range,sendfile,mmap";

/// One finished call.
#[derive(Debug, Clone)]
pub struct Call {
    pub name: String,
    pub args: Vec<Arg>,
    pub returned: i64,
    /// Line of the trace on which it began. Lines order the calls of all threads.
    pub begun: usize,
    /// Line of the trace on which it ended.
    pub ended: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Arg {
    /// A string.
    Bytes(Vec<u8>),
    Number(i64),
    /// Names of flags and constants.
    Word(String),
}

impl Call {
    pub fn number(&self, place: usize) -> i64 {
        match &self.args[place] {
            Arg::Number(number) => *number,
            other => panic!("{}: {other:?} is no number", self.name),
        }
    }

    pub fn bytes(&self, place: usize) -> &[u8] {
        match &self.args[place] {
            Arg::Bytes(bytes) => bytes,
            other => panic!("{}: {other:?} is no string", self.name),
        }
    }

    pub fn has(&self, flag: &str) -> bool {
        self.args.iter().any(|arg| matches!(arg, Arg::Word(word) if word.split('|').any(|word| word == flag)))
    }
}

/// The same command under strace, which writes to `trace`. `None` if there is no strace or it may not trace.
pub fn traced(command: &Command, trace: &std::path::Path) -> Option<Command> {
    let watched = format!("trace={WATCHED}");
    // Records complete strings: sled's buffers have half a megabyte.
    let options = ["-f", "-xx", "-s", "16777216", "-e", &watched, "-o"];
    let works =
        Command::new("strace").args(options).args(["/dev/null", "true"]).stderr(Stdio::null()).status();
    if !works.is_ok_and(|status| status.success()) {
        return None;
    }
    let mut traced = Command::new("strace");
    traced.args(options).arg(trace);
    traced.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => traced.env(name, value),
            None => traced.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        traced.current_dir(folder);
    }
    Some(traced)
}

/// The calls in the order in which they ended. A file descriptor counts as free from the moment its close begins.
pub fn read(trace: &str) -> Vec<Call> {
    let mut begun: HashMap<&str, (usize, &str)> = HashMap::new();
    let mut calls = Vec::new();
    for (line, text) in trace.lines().enumerate() {
        let (process, text) = text.split_once(' ').unwrap();
        let text = text.trim_start();
        if text.starts_with("+++") || text.starts_with("---") {
            continue;
        }
        if let Some(first) = text.strip_suffix("<unfinished ...>") {
            begun.insert(process, (line, first));
        } else if let Some(rest) = text.strip_prefix("<... ") {
            let (_, rest) = rest.split_once("resumed>").unwrap();
            let (start, first) = begun.remove(process).unwrap();
            calls.extend(call(&format!("{first}{rest}"), start, line));
        } else {
            calls.extend(call(text, line, line));
        }
    }
    calls.sort_by_key(|call| if call.name == "close" { call.begun } else { call.ended });
    calls
}

/// Parses one call. Returns `None` if it failed or was cut off by the end of the process.
fn call(text: &str, begun: usize, ended: usize) -> Option<Call> {
    let (call, returned) = text.rsplit_once(" = ")?;
    let returned = returned.split_whitespace().next()?;
    let returned = match returned.strip_prefix("0x") {
        Some(address) => i64::from_str_radix(address, 16).ok()?,
        None => returned.parse().ok()?,
    };
    let (name, args) = call.trim_end().strip_suffix(')')?.split_once('(')?;
    let args = args.split(", ").map(arg).collect();
    (returned >= 0).then(|| Call { name: name.to_owned(), args, returned, begun, ended })
}

fn arg(text: &str) -> Arg {
    let text = text.trim();
    if let (Some(first), Some(last)) = (text.find('"'), text.rfind('"')) {
        assert!(!text.ends_with("..."), "a string was cut short");
        let digits = text[first + 1..last].split("\\x").skip(1);
        return Arg::Bytes(digits.map(|digits| u8::from_str_radix(digits, 16).unwrap()).collect());
    }
    let octal = text.len() > 1 && text.starts_with('0') && !text.starts_with("0x");
    let number = if octal { i64::from_str_radix(text, 8) } else { text.parse() };
    number.map_or_else(|_| Arg::Word(text.to_owned()), Arg::Number)
}
