//! Lists of files: playlists, and what `find` prints.

use std::fs::File;
use std::io::{Read, stdin};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::files::{self, Found, Unreadable};

/// Largest list in bytes: enough for a million long paths.
const CAP: u64 = 256 << 20;

/// The files that a list names, and the entries that were not found.
type Listed = (Vec<Found>, Vec<Unreadable>);

/// The files of a playlist: m3u and m3u8, or pls.
pub fn playlist(list: &Path) -> Result<Listed> {
    let bytes = read(list)?;
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let lines = || text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    let first = lines().next().unwrap_or_default();
    let entries = match first.eq_ignore_ascii_case(b"[playlist]") {
        true => lines().filter_map(pls_entry).collect::<Vec<_>>(),
        false => lines().filter(|line| !line.starts_with(b"#")).collect(),
    };
    resolve(list, entries, true)
}

/// The files that a plain list names: NUL-terminated if the list has a NUL, otherwise one per line.
pub fn files_from(list: &Path) -> Result<Listed> {
    let bytes = read(list)?;
    let end = if bytes.contains(&0) { 0 } else { b'\n' };
    let cut = |name| if end == 0 { name } else { <[u8]>::strip_suffix(name, b"\r").unwrap_or(name) };
    let entries = bytes.split(|&byte| byte == end).map(cut).filter(|name| !name.is_empty());
    resolve(list, entries.collect(), false)
}

fn read(list: &Path) -> Result<Vec<u8>> {
    let cannot = || format!("cannot read {}", list.display());
    let input: Box<dyn Read> = match list == Path::new("-") {
        true => Box::new(stdin()),
        false => Box::new(File::open(list).with_context(cannot)?),
    };
    let mut bytes = Vec::new();
    input.take(CAP + 1).read_to_end(&mut bytes).with_context(cannot)?;
    if bytes.len() as u64 > CAP {
        bail!("{} is too long to be a list of files", list.display());
    }
    Ok(bytes)
}

/// `File7=song.mp3`.
fn pls_entry(line: &[u8]) -> Option<&[u8]> {
    let at = line.iter().position(|&byte| byte == b'=')?;
    let (key, value) = (&line[..at].trim_ascii_end(), line[at + 1..].trim_ascii_start());
    let number = key.get(..4).filter(|name| name.eq_ignore_ascii_case(b"file")).map(|_| &key[4..])?;
    (!number.is_empty() && number.iter().all(u8::is_ascii_digit)).then_some(value)
}

/// Finds the files, relative to the list's folder. Names in a playlist may be URLs, or come from another system.
fn resolve(list: &Path, entries: Vec<&[u8]>, is_playlist: bool) -> Result<Listed> {
    let folder = list.parent().unwrap_or(Path::new(""));
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for entry in entries {
        let names = match is_playlist.then(|| url(entry)).flatten() {
            Some(Ok(name)) => vec![name],
            Some(Err(reason)) => {
                missing.push((path(entry.to_vec()), reason.to_owned()));
                continue;
            }
            None if is_playlist => spellings(entry),
            None => vec![path(entry.to_vec())],
        };
        match names.iter().find(|name| folder.join(name).exists()) {
            Some(name) if folder.join(name).is_dir() => {
                let (below, unreadable) = files::walk(&[folder.join(name)])?;
                found.extend(below);
                missing.extend(unreadable);
            }
            Some(name) => found.push(Found { file: folder.join(name), shown: shown(name) }),
            None => {
                missing.push((folder.join(&names[0]), format!("named in {}, but not there", list.display())))
            }
        }
    }
    Ok((found, missing))
}

/// The path as the catalogue shows it: the one in the list, if it lies inside the list's folder.
fn shown(name: &Path) -> String {
    let inside = name.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let kept: PathBuf = match inside {
        true => name.components().filter(|part| *part != Component::CurDir).collect(),
        false => name.file_name().map(PathBuf::from).unwrap_or_default(),
    };
    kept.to_string_lossy().into_owned()
}

/// Ways to read a name: as it is, in Latin-1 (which m3u once used), and with Windows' backslashes.
fn spellings(name: &[u8]) -> Vec<PathBuf> {
    let mut names = vec![path(name.to_vec())];
    if std::str::from_utf8(name).is_err() {
        names.push(PathBuf::from(name.iter().map(|&byte| char::from(byte)).collect::<String>()));
    }
    let slashes = |name: &PathBuf| PathBuf::from(name.to_string_lossy().replace('\\', "/"));
    let turned: Vec<PathBuf> = names.iter().map(slashes).collect();
    names.extend(turned);
    names
}

/// The file that a URL names. An error with the reason if the URL is not a local file; `None` if `entry` is not a
/// URL.
fn url(entry: &[u8]) -> Option<Result<PathBuf, &'static str>> {
    let text = std::str::from_utf8(entry).ok()?;
    let (scheme, rest) = text.split_once("://")?;
    if scheme.is_empty() || !scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    if !scheme.eq_ignore_ascii_case("file") {
        return Some(Err("not a file of this machine"));
    }
    let name = rest.strip_prefix("localhost").unwrap_or(rest);
    match name.starts_with('/') {
        true => Some(Ok(path(unescape(name.as_bytes())))),
        false => Some(Err("not a file of this machine")),
    }
}

/// Decodes percent-encoding, such as `%20`.
fn unescape(text: &[u8]) -> Vec<u8> {
    let digit = |at: usize| text.get(at).and_then(|&byte| char::from(byte).to_digit(16));
    let (mut out, mut at) = (Vec::with_capacity(text.len()), 0);
    while at < text.len() {
        match (text[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

#[cfg(unix)]
fn path(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(bytes))
}

#[cfg(not(unix))]
fn path(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Makes a folder with a list and some files, and returns what the list yields.
    fn listed(name: &str, list: &[u8], read: fn(&Path) -> Result<Listed>) -> (Vec<String>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        for file in ["a.mp3", "b c.ogg", "deep/d.flac", "ä.opus", "#e.wav"] {
            let file = folder.path().join("music").join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "sound").unwrap();
        }
        let music = folder.path().join("music");
        let list = String::from_utf8_lossy(list).replace("HERE", music.to_str().unwrap()).into_bytes();
        let place = music.join(name);
        std::fs::write(&place, list).unwrap();
        let (found, missing) = read(&place).unwrap();
        assert!(found.iter().all(|found| found.file.exists()), "{found:?}");
        let names =
            |(file, why): (PathBuf, String)| format!("{}: {why}", file.file_name().unwrap().display());
        (found.into_iter().map(|found| found.shown).collect(), missing.into_iter().map(names).collect())
    }

    #[test]
    fn m3u_has_comments_urls_and_paths_of_all_kinds() {
        let text = "\u{feff}#EXTM3U\r\n#EXTINF:12,A\r\na.mp3\r\n\r\n./b c.ogg\r\ndeep\\d.flac\r\nfile://HERE/b%20c.ogg\r\n\
                    HERE/deep/d.flac\r\nhttp://radio.example/live\r\nnone.mp3\r\nä.opus\r\n";
        let (found, missing) = listed("party.m3u8", text.as_bytes(), playlist);
        assert_eq!(found, ["a.mp3", "b c.ogg", "deep/d.flac", "b c.ogg", "d.flac", "ä.opus"]);
        assert_eq!(missing.len(), 2, "{missing:?}");
        assert!(missing[0].contains("not a file of this machine") && missing[1].contains("not there"));
    }

    #[test]
    fn pls_entries_are_those_with_a_number() {
        let text =
            b"[Playlist]\nNumberOfEntries=2\nFile1=a.mp3\nTitle1=A\nFILE2 = deep/d.flac\nFile=b c.ogg\n";
        assert_eq!(listed("x.pls", text, playlist).0, ["a.mp3", "deep/d.flac"]);
    }

    #[test]
    fn plain_lists_are_taken_by_the_letter() {
        let (found, missing) = listed("l", b"#e.wav\na.mp3\r\n b c.ogg\n", files_from);
        assert_eq!(found, ["#e.wav", "a.mp3"]);
        assert_eq!(missing.len(), 1, "a name may begin with a space: {missing:?}");
        assert_eq!(listed("l", b"a.mp3\0b c.ogg\0deep\0", files_from).0, ["a.mp3", "b c.ogg", "deep/d.flac"]);
    }

    #[test]
    fn latin_1_is_understood() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ä.opus"), "sound").unwrap();
        std::fs::write(folder.path().join("l.m3u"), b"\xe4.opus\n").unwrap();
        let (found, _) = playlist(&folder.path().join("l.m3u")).unwrap();
        assert_eq!(found[0].shown, "ä.opus");
    }

    /// Bytes that cannot lead out of the folder.
    fn harmless() -> impl Strategy<Value = u8> {
        any::<u8>().prop_filter("a way out", |byte| !b"/\\.".contains(byte))
    }

    proptest! {
        #[test]
        fn no_list_is_a_panic(bytes in prop::collection::vec(harmless(), 0..200)) {
            let folder = tempfile::tempdir().unwrap();
            let list = folder.path().join("list");
            std::fs::write(&list, &bytes).unwrap();
            let _ = playlist(&list);
            let _ = files_from(&list);
        }
    }
}
