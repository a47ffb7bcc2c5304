//! Measures what catalogues of 1,000, 8,000 and 100,000 clips cost to build, hold and ask. See ../README.md.

#![forbid(unsafe_code)]

mod build;
mod distribution;
mod figures;
mod items;
mod load;
mod made;
mod measure;
mod model;
mod music;
mod process;
mod report;
mod serve;
mod soak;
mod wire;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use build::Built;
use clap::{Parser, Subcommand};
use distribution::Distribution;
use fingerprint::Settings;
use load::{CLIENTS, Mode, Prepared};
use made::Reference;
use report::{Bytes, DaemonCosts, Machine, Report, Row};
use support::{Daemon, Home, program_beside};
use wire::{ClientSteps, Held, Line};

/// Number of prepared requests that a load test sends in turn.
const PREPARED: usize = 16;
/// Milliseconds of one core to unpack and transform one polynomial, for the model.
const TRANSFORM_MS: f64 = 0.006;

#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build, serve and ask catalogues, and print a table
    Run(RunArgs),
    /// Draw a report's pictures into a folder
    Figures { report: PathBuf, folder: PathBuf },
    /// Print a report's table and the model
    Table { report: PathBuf },
    /// Run many concurrent clients, or run for long, against the real daemon
    Soak(soak::SoakArgs),
    /// Measure general use of psi: items with labels of 8 bytes
    Items {
        #[arg(long, default_value_t = 1_000_000)]
        items: u32,
        #[arg(long, default_value_t = 1_024)]
        asked: u32,
        /// Ciphertext groups; with more groups, fewer items need a second query
        #[arg(long, default_value_t = 1)]
        groups: u8,
        /// D
        #[arg(long, default_value_t = 32)]
        points: u16,
    },
    /// Compare synthetic catalogues with real music
    Distributions { reference: PathBuf },
    #[command(hide = true)]
    Build { folder: PathBuf, reference: PathBuf, clips: usize },
    #[command(hide = true)]
    Measure { folder: PathBuf },
}

#[derive(clap::Args)]
struct RunArgs {
    /// Number of clips of each catalogue
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 8_000, 100_000])]
    clips: Vec<usize>,
    /// Folder of real music, in clips of 30 s
    #[arg(long)]
    reference: PathBuf,
    /// Print the report as JSON, and the table on standard error
    #[arg(long)]
    json: bool,
    /// Keep the report in this file; sizes already in it stay unless they are measured again
    #[arg(long)]
    report: Option<PathBuf>,
    /// Keep fingerprints and catalogues in this folder, and reuse them
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Width of a frequency cell in Hz: 5 or 10
    #[arg(long)]
    hz: Option<f32>,
    /// Width of a time cell in milliseconds: 32 or 64
    #[arg(long)]
    ms: Option<u16>,
    /// Seconds of each load test
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Number of excerpts asked one by one
    #[arg(long, default_value_t = 20)]
    queries: usize,
}

impl RunArgs {
    fn settings(&self) -> Settings {
        let default = Settings::default();
        Settings {
            frequency_step_hz: self.hz.unwrap_or(default.frequency_step_hz),
            time_step_ms: self.ms.unwrap_or(default.time_step_ms),
            ..default
        }
    }
}

fn main() -> Result<()> {
    match Args::parse().command {
        Command::Run(args) => run(&args),
        Command::Figures { report, folder } => figures::draw(&Report::read(&report)?, &folder, TRANSFORM_MS),
        Command::Table { report } => {
            let report = Report::read(&report)?;
            let distributions = distribution::table(&report.distributions);
            print!("{}\n{}\n{distributions}", report.table(), model::table(&report, TRANSFORM_MS)?);
            Ok(())
        }
        Command::Distributions { reference } => {
            let reference = music::fingerprints(&reference, &Settings::default())?;
            println!("{}", serde_json::to_string_pretty(&distributions(&reference)?)?);
            Ok(())
        }
        Command::Soak(args) => soak::run(&args),
        Command::Items { items, asked, groups, points } => {
            let items = items::run(items, asked, groups, points)?;
            println!("{}", serde_json::to_string_pretty(&items)?);
            Ok(())
        }
        Command::Build { folder, reference, clips } => {
            let reference: Reference = postcard::from_bytes(&std::fs::read(reference)?)?;
            process::print(&build::build(&folder, &reference, clips, &reference.settings())?)
        }
        Command::Measure { folder } => process::print(&measure::measure(&folder)?),
    }
}

fn run(args: &RunArgs) -> Result<()> {
    let settings = args.settings();
    let temporary = tempfile::tempdir()?;
    let work = args.keep.as_deref().unwrap_or(temporary.path());
    std::fs::create_dir_all(work)?;
    let prints = work.join("reference");
    if !prints.is_file() {
        eprintln!("fingerprinting {}", args.reference.display());
        let reference = music::fingerprints(&args.reference, &settings)?;
        std::fs::write(&prints, postcard::to_stdvec(&reference)?)?;
    }
    let reference: Reference = postcard::from_bytes(&std::fs::read(&prints)?)?;
    ensure!(reference.settings() == settings, "{} holds other cells", prints.display());
    let mut report = match args.report.as_ref().filter(|file| file.is_file()) {
        Some(file) => Report::read(file)?,
        None => Report::default(),
    };
    report.machine = Machine::this()?;
    if report.distributions.is_empty() {
        report.distributions = distributions(&reference)?;
    }
    for &clips in &args.clips {
        let folder = work.join(format!("{clips}"));
        report.insert(one_size(args, &folder, &prints, &reference, clips)?);
        if args.keep.is_none() {
            std::fs::remove_dir_all(&folder)?;
        }
        if let Some(file) = &args.report {
            std::fs::write(file, serde_json::to_vec_pretty(&report)?)?;
        }
    }
    match args.json {
        true => {
            eprint!("{}", report.table());
            println!("{}", serde_json::to_string_pretty(&report)?);
        }
        false => print!("{}", report.table()),
    }
    Ok(())
}

/// The distributions of all real music, of a seventh of it, of an equally large catalogue made from that seventh, and
/// of the larger sizes.
fn distributions(reference: &Reference) -> Result<Vec<Distribution>> {
    let params = model::any_params()?;
    let clips = reference.sources.len();
    let seventh = reference.thinned(7);
    Ok(vec![
        Distribution::of("real", reference, clips, &params),
        Distribution::of("a seventh of the real", &seventh, seventh.sources.len(), &params),
        Distribution::of("made from that seventh", &seventh, clips, &params),
        Distribution::of("made, 8 times the real", reference, 8 * clips, &params),
    ])
}

fn one_size(
    args: &RunArgs,
    folder: &Path,
    prints: &Path,
    reference: &Reference,
    clips: usize,
) -> Result<Row> {
    let text = |path: &Path| path.to_str().map(str::to_owned).context("a path that is no UTF-8");
    let (folder, prints) = (text(folder)?, text(prints)?);
    let built = built(&folder, &prints, clips)?;
    eprintln!("{clips} clips: D = {}, S = {}; measuring", built.points, built.shards);
    let measured = process::run(&["measure", &folder])?;
    eprintln!("{clips} clips: asking");
    let excerpts = music::excerpts(&args.reference, reference, clips, args.queries)?;
    let home = Home::new(program_beside());
    let daemon = serve::serve(&home, Path::new(&folder))?;
    let rest_bytes = daemon.resident_bytes();
    let runtime = tokio::runtime::Runtime::new()?;
    let asking = Asking { daemon: &daemon, excerpts: Arc::new(excerpts), seconds: args.seconds };
    let asked = runtime.block_on(asking.ask(reference))?;
    let daemon = DaemonCosts {
        start_ms: daemon.start.as_secs_f64() * 1e3,
        rest_bytes,
        loaded_bytes: daemon.resident_bytes(),
        peak_bytes: daemon.peak_bytes(),
    };
    let Asked { client, bytes, right, levels } = asked;
    Ok(Row { built, daemon, measured, client, bytes, asked: args.queries, right, levels })
}

/// Builds a catalogue in a separate process, unless an earlier one was kept.
fn built(folder: &str, prints: &str, clips: usize) -> Result<Built> {
    let record = PathBuf::from(format!("{folder}.json"));
    if record.is_file() {
        return Ok(serde_json::from_slice(&std::fs::read(record)?)?);
    }
    if Path::new(folder).exists() {
        std::fs::remove_dir_all(folder)?; // left by an unfinished build
    }
    eprintln!("{clips} clips: building");
    let built: Built = process::run(&["build", folder, prints, &clips.to_string()])?;
    std::fs::write(record, serde_json::to_vec_pretty(&built)?)?;
    Ok(built)
}

/// A daemon, and what to ask it.
struct Asking<'a> {
    daemon: &'a Daemon,
    excerpts: Arc<Vec<music::Excerpt>>,
    seconds: f64,
}

struct Asked {
    client: ClientSteps,
    bytes: Bytes,
    right: usize,
    levels: Vec<load::Level>,
}

impl Asking<'_> {
    async fn ask(&self, reference: &Reference) -> Result<Asked> {
        let address = self.daemon.address;
        let line = Line::open(address).await?;
        let mut held = Held::fetch(&line).await?;
        let (mut steps, mut prepared, mut right) = (Vec::new(), Vec::new(), 0);
        let mut bytes = Bytes {
            sent: 0,
            received: 0,
            manifest: held.manifest_bytes,
            catalogue: held.catalogue_bytes,
            hints: held.hint_bytes,
        };
        for excerpt in self.excerpts.iter() {
            let asked = wire::ask(&line, &mut held, excerpt).await?;
            let track =
                held.track(&reference.clip(excerpt.clip).title).context("a clip is not catalogued")?;
            right += usize::from(excerpt.is_named_by(&asked.verdict, track));
            (bytes.sent, bytes.received) = (asked.sent, asked.received);
            steps.push(asked.steps);
            if prepared.len() < PREPARED {
                prepared.push(Prepared { evaluate: asked.evaluate, query: asked.query });
            }
        }
        let (prepared, length) = (Arc::new(prepared), Duration::from_secs_f64(self.seconds));
        let mut levels = Vec::new();
        for mode in [Mode::Homomorphic, Mode::Server] {
            for clients in CLIENTS {
                levels.push(load::replay(address, &prepared, mode, clients, length).await?);
            }
        }
        let key = self.daemon.key.parse()?;
        for clients in CLIENTS {
            levels.push(load::whole(address, key, &self.excerpts, clients, length).await?);
        }
        Ok(Asked { client: ClientSteps::medians(&steps)?, bytes, right, levels })
    }
}
