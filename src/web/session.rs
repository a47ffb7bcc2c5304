//! One recording or file, from the page's first byte to the answer.

use std::future::pending;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::ws::WebSocket;
use client::Sound;
use fingerprint::{SAMPLE_RATE, Settings};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{interval, sleep_until, timeout};

use super::App;
use super::asker::{Asker, Round};
use super::ear::Ear;
use super::message::{Event, Hello};
use super::page::{FromPage, Page};
use super::picture::Picture;
use super::problem::Problem;
use crate::recordings::QUERY_SECONDS;

/// Seconds after the first sample at which the recording is asked about. All three questions are always asked,
/// whatever the answers and even if the microphone has stopped, so that the traffic does not show which question had
/// an answer.
pub const TIMETABLE: [u64; 3] = [4, 7, 10];
/// Interval at which a growing recording is drawn.
const LOOK: Duration = Duration::from_millis(160);
/// Longest wait for the page's first message and for the microphone's first sample.
const PATIENCE: Duration = Duration::from_secs(10);
/// Largest file in bytes: half an hour of uncompressed CD-quality sound.
const FILE_CAP: usize = 320 << 20;

/// Serves a page that has just connected.
pub async fn serve(socket: WebSocket, app: Arc<App>) {
    let mut page = Page::new(socket);
    let Ok(FromPage::Text(hello)) = timeout(PATIENCE, page.hear()).await else { return };
    let outcome = match serde_json::from_str::<Hello>(&hello) {
        Ok(hello) if !app.token.fits(hello.token()) => Err(Problem::PageKey),
        Ok(Hello::Record { rate, .. }) => record(&mut page, app, rate).await,
        Ok(Hello::File { name, .. }) => file(&mut page, app, name).await,
        Err(_) => Err(Problem::Page),
    };
    if let Err(problem) = outcome {
        page.tell(&Event::Problem { round: None, problem }).await;
    }
    page.leave().await;
}

/// A recording that is being made.
#[derive(Clone)]
struct Recording(Arc<Mutex<Ear>>);

impl Recording {
    fn ear(&self) -> MutexGuard<'_, Ear> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn samples(&self) -> Vec<f32> {
        self.ear().samples().to_vec()
    }
}

/// The questions about a recording, by the timetable. A task of its own, so that nothing that the page does or fails to
/// do moves them.
struct Timetable {
    /// Dropping it before the first question drops the recording.
    wanted: Option<oneshot::Sender<()>>,
    /// Returns whether anything was asked. `None` once that is known.
    asked: Option<JoinHandle<bool>>,
}

impl Timetable {
    /// Starts with the first sample.
    fn start(recording: Recording, rounds: UnboundedSender<Round>) -> Timetable {
        let (wanted, given_up) = oneshot::channel();
        let asked = tokio::spawn(keep(Instant::now(), recording, rounds, given_up));
        Timetable { wanted: Some(wanted), asked: Some(asked) }
    }
}

/// Asks three times, unless it is given up before the first time. Returns whether it has asked.
async fn keep(
    start: Instant,
    recording: Recording,
    rounds: UnboundedSender<Round>,
    given_up: oneshot::Receiver<()>,
) -> bool {
    let [first, later @ ..] = TIMETABLE.map(|seconds| start + Duration::from_secs(seconds));
    tokio::select! {
        () = sleep_until(first.into()) => {}
        _ = given_up => return false,
    }
    for due in [first].into_iter().chain(later) {
        sleep_until(due.into()).await;
        let samples = recording.samples();
        let (seconds, name) = (seconds(&samples), "microphone".to_owned());
        let sound = Sound::Samples(Arc::new(samples));
        // If the asker takes no more questions, it has told the page why.
        let _ = rounds.send(Round { sound, seconds, name, decode: 0.0, fingerprint: 0.0, due: Some(due) });
    }
    true
}

/// Asks about the microphone's sound, by the timetable. A recording that stops before the first question is dropped.
/// After the first question the others still follow, about what was heard.
async fn record(page: &mut Page, app: Arc<App>, rate: u32) -> Result<(), Problem> {
    let ear = Ear::new(rate).map_err(|error| Problem::from(&error))?;
    let (recording, mut picture) = (Recording(Arc::new(Mutex::new(ear))), Picture::default());
    let Asker { rounds, mut events, settings } = Asker::start(app);
    let (mut rounds, mut timetable, mut open) = (Some(rounds), None::<Timetable>, true);
    let (patience, mut looks) = (tokio::time::Instant::now() + PATIENCE, interval(LOOK));
    loop {
        tokio::select! {
            message = page.hear(), if open => match message {
                FromPage::Bytes(bytes) => {
                    if let Some(rounds) = rounds.take() {
                        timetable = Some(Timetable::start(recording.clone(), rounds));
                    }
                    let level = level(&mut recording.ear(), &bytes)?;
                    page.tell(&level).await;
                }
                FromPage::Text(_) | FromPage::Gone => {
                    let Some(timetable) = &mut timetable else { return Ok(()) };
                    (open, timetable.wanted) = (false, None);
                }
            },
            () = sleep_until(patience), if timetable.is_none() => return Err(Problem::NoSamples),
            asked = ended(&mut timetable) => {
                if !asked {
                    return Ok(());
                }
                open = false;
                page.tell(&Event::Recorded).await;
                draw(page, &mut picture, recording.samples(), settings.get()).await;
            }
            _ = looks.tick(), if open => draw(page, &mut picture, recording.samples(), settings.get()).await,
            event = events.recv() => match event {
                Some(event) => page.pass_on(event).await,
                None => return Ok(()),
            },
        }
    }
}

/// Takes samples in. Returns their level.
fn level(ear: &mut Ear, bytes: &[u8]) -> Result<Event, Problem> {
    let decibels = ear.hear(bytes).map_err(|error| Problem::from(&error))?;
    Ok(Event::Level { seconds: ear.seconds(), decibels })
}

/// Waits for the end of the timetable, once. Returns whether anything was asked.
async fn ended(timetable: &mut Option<Timetable>) -> bool {
    let Some(Timetable { asked, .. }) = timetable else { return pending().await };
    let Some(running) = asked else { return pending().await };
    let outcome = running.await;
    *asked = None;
    outcome.unwrap_or(true)
}

/// Asks about a file, with one question.
async fn file(page: &mut Page, app: Arc<App>, name: String) -> Result<(), Problem> {
    let Some(bytes) = upload(page).await? else { return Ok(()) };
    let (round, samples) = match tokio::task::spawn_blocking(move || round_of(bytes, name)).await {
        Ok(Ok(decoded)) => decoded,
        Ok(Err(error)) => return Err(Problem::from(&error)),
        Err(error) => return Err(Problem::Other { reason: error.to_string() }),
    };
    let Asker { rounds, mut events, settings } = Asker::start(app);
    let _ = rounds.send(round);
    drop(rounds);
    draw(page, &mut Picture::default(), samples, settings.get()).await;
    while let Some(event) = events.recv().await {
        page.pass_on(event).await;
    }
    Ok(())
}

/// Receives a file, or nothing if the page goes.
async fn upload(page: &mut Page) -> Result<Option<Vec<u8>>, Problem> {
    let mut bytes: Vec<u8> = Vec::new();
    loop {
        match page.hear().await {
            FromPage::Bytes(piece) if bytes.len() + piece.len() > FILE_CAP => {
                return Err(Problem::TooLarge { megabytes: FILE_CAP >> 20 });
            }
            FromPage::Bytes(piece) => bytes.extend_from_slice(&piece),
            FromPage::Text(_) => return Ok(Some(bytes)),
            FromPage::Gone => return Ok(None),
        }
    }
}

/// Decodes and fingerprints a file, before a server is reached: the time that it takes depends on the recording. Also
/// returns the samples.
fn round_of(bytes: Vec<u8>, name: String) -> Result<(Round, Vec<f32>), fingerprint::Error> {
    let start = Instant::now();
    let extension = Path::new(&name).extension().map(|e| e.to_string_lossy().into_owned());
    let recording =
        fingerprint::decode_excerpt_of_bytes(bytes, extension.as_deref(), 0.0, QUERY_SECONDS as f64)?;
    let (decoded, samples) = (Instant::now(), Arc::new(recording.samples));
    let sound = Sound::fingerprinted(samples.clone(), &Settings::default());
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let round = Round {
        sound,
        seconds: seconds(&samples),
        name,
        decode: milliseconds(decoded - start),
        fingerprint: milliseconds(decoded.elapsed()),
        due: None,
    };
    Ok((round, samples.to_vec()))
}

fn seconds(samples: &[f32]) -> f64 {
    samples.len() as f64 / f64::from(SAMPLE_RATE)
}

/// Shows the page what is new. Uses the default settings until the server's are known.
async fn draw(page: &mut Page, picture: &mut Picture, samples: Vec<f32>, settings: Option<&Settings>) {
    let settings = settings.cloned().unwrap_or_default();
    let mut brush = std::mem::take(picture);
    let drawn = tokio::task::spawn_blocking(move || (brush.draw(&samples, &settings), brush)).await;
    let Ok((strokes, brush)) = drawn else { return };
    *picture = brush;
    if let Some(strokes) = strokes {
        page.show(strokes.columns).await;
        page.tell(&strokes.scale).await;
    }
}
