//! `psi-shazam export`: writes the fingerprints to a file that another database can import.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use db::Exporter;
use serde::Serialize;
use server::admin::operations::{GetSettings, GetTrack, ListTracks};
use tempfile::NamedTempFile;

use crate::batch;
use crate::cli;
use crate::cli::catalogue::ExportArgs;
use crate::interrupt::Interrupt;
use crate::library::Library;
use crate::output::{self, hours, plain, size};

/// What was written.
#[derive(Serialize)]
struct Written {
    file: Option<String>,
    tracks: u64,
    hashes: u64,
    seconds_of_audio: f64,
    bytes: u64,
}

pub fn run(args: &ExportArgs) -> Result<ExitCode> {
    let library = Library::open(&cli::database_folder(&args.database.db)?, false)?;
    let interrupt = Interrupt::listen_saying("stopping; the export will not be complete")?;
    let file = args.file.as_deref().filter(|file| *file != Path::new("-"));
    let written = match file {
        // A pipe or a device is written to directly, not replaced.
        Some(file) if std::fs::metadata(file).is_ok_and(|there| !there.is_file()) => {
            let out = File::create(file).with_context(|| format!("cannot write {}", file.display()))?;
            to_stream(&library, out, &interrupt)?
        }
        Some(file) => to_file(&library, file, &interrupt)?,
        None if io::stdout().is_terminal() => {
            bail!("an export is not text for a terminal; name a file, or pipe it: psi-shazam export - | …")
        }
        None => to_stream(&library, io::stdout().lock(), &interrupt)?,
    };
    let Some(written) = written else { return Ok(ExitCode::from(130)) };
    // Without a file, standard output carries the export.
    match (args.database.json, file) {
        (true, Some(_)) => output::print_json(&written)?,
        (true, None) => writeln!(io::stderr(), "{}", serde_json::to_string(&written)?)?,
        (false, Some(_)) => print(&written, &mut io::stdout())?,
        (false, None) => print(&written, &mut io::stderr())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn print(written: &Written, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "exported       {} tracks, {}", written.tracks, hours(written.seconds_of_audio))?;
    let place = written.file.as_deref().map_or_else(String::new, |file| format!(" in {}", plain(file)));
    writeln!(out, "               {} hashes, {}{place}", written.hashes, size(written.bytes))
}

/// Writes a temporary file beside `file` and renames it, so that an existing file stays until the new one is
/// complete. `None` if interrupted.
fn to_file(library: &Library, file: &Path, interrupt: &Interrupt) -> Result<Option<Written>> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.map_or_else(|| PathBuf::from("."), Path::to_owned);
    let cannot = || format!("cannot write {}", file.display());
    let beside = NamedTempFile::new_in(&folder).with_context(cannot)?;
    let Some((_, mut written)) = write(library, BufWriter::new(beside.as_file()), interrupt)? else {
        return Ok(None);
    };
    beside.as_file().sync_all().with_context(cannot)?;
    written.bytes = beside.as_file().metadata().with_context(cannot)?.len();
    written.file = Some(file.display().to_string());
    beside.persist(file).map_err(|failed| failed.error).with_context(cannot)?;
    File::open(&folder).and_then(|folder| folder.sync_all()).with_context(cannot)?;
    Ok(Some(written))
}

fn to_stream(library: &Library, out: impl Write, interrupt: &Interrupt) -> Result<Option<Written>> {
    let out = Counted { out: BufWriter::new(out), bytes: 0 };
    Ok(write(library, out, interrupt)?.map(|(out, written)| Written { bytes: out.bytes, ..written }))
}

fn write<W: Write>(library: &Library, out: W, interrupt: &Interrupt) -> Result<Option<(W, Written)>> {
    let tracks = library.run(ListTracks)?;
    let bar = batch::bar(
        Some(tracks.len() as u64),
        "{spinner} exporting  {bar:30} {pos}/{len} tracks  {per_sec}  {eta} left",
    );
    let mut exporter = Exporter::new(out, &library.run(GetSettings)?)?;
    let mut written = Written { file: None, tracks: 0, hashes: 0, seconds_of_audio: 0.0, bytes: 0 };
    for listed in tracks {
        if interrupt.came() {
            return Ok(None);
        }
        bar.inc(1);
        let Some(track) = library.run(GetTrack(listed.id))? else { continue }; // removed meanwhile
        exporter.track(&track)?;
        written.tracks += 1;
        written.hashes += track.postings.len() as u64;
        written.seconds_of_audio += track.seconds;
    }
    let mut out = exporter.finish()?;
    out.flush()?;
    bar.finish_and_clear();
    Ok(Some((out, written)))
}

/// Counts the bytes written.
struct Counted<W> {
    out: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
