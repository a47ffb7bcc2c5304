//! The sound as it arrives: decoded in a separate thread, and kept until it is asked about.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result};
use fingerprint::{Error, SAMPLE_RATE, decode_file_stream, decode_stream};
use tokio::sync::Notify;

/// Samples kept while the server is unreachable: ten minutes, 19 MB.
const KEPT: usize = 600 * SAMPLE_RATE as usize;
/// Samples passed on at a time: half a second.
const PIECE: usize = SAMPLE_RATE as usize / 2;

/// A run of consecutive samples.
pub struct Piece {
    /// Position of the first sample in the whole sound.
    pub start: u64,
    /// Mono, at [`SAMPLE_RATE`].
    pub samples: Vec<f32>,
    /// When it came.
    pub came: Instant,
}

/// Sound between the decoding thread and the task that asks about it.
pub struct Feed {
    state: Mutex<State>,
    /// Signals that there is room again.
    room: Condvar,
    /// Signals a piece, or the end.
    came: Notify,
    /// Whether the oldest piece is dropped when there is no room; otherwise the source waits.
    live: bool,
}

#[derive(Default)]
struct State {
    pieces: VecDeque<Piece>,
    kept: usize,
    /// How the decoder ended, once it has.
    ended: Option<Result<(), Error>>,
    /// Whether nobody takes pieces any more.
    abandoned: bool,
}

impl Feed {
    /// Starts to decode a file, a named pipe, or standard input if the source is `-`.
    pub fn start(source: &Path) -> Result<Arc<Feed>> {
        let name = || crate::output::plain(&source.display().to_string());
        let is_stdin = source == Path::new("-");
        let live = is_stdin || !fs::metadata(source).with_context(name)?.is_file();
        let feed =
            Arc::new(Feed { state: Mutex::default(), room: Condvar::new(), came: Notify::new(), live });
        let (ours, source) = (Arc::clone(&feed), source.to_owned());
        thread::Builder::new().name("decode".to_owned()).spawn(move || ours.decode(source, is_stdin))?;
        Ok(feed)
    }

    fn decode(&self, source: PathBuf, is_stdin: bool) {
        let (mut pending, mut start) = (Vec::with_capacity(PIECE), 0);
        let hear = |samples: &[f32]| {
            pending.extend_from_slice(samples);
            if pending.len() < PIECE {
                return ControlFlow::Continue(());
            }
            let samples = std::mem::replace(&mut pending, Vec::with_capacity(PIECE));
            let piece = Piece { start, samples, came: Instant::now() };
            start += piece.samples.len() as u64;
            self.put(piece)
        };
        let extension = source.extension().and_then(|extension| extension.to_str());
        let ended = match (is_stdin, self.live) {
            (true, _) => decode_stream(std::io::stdin(), None, hear),
            (false, true) => match File::open(&source) {
                Ok(_) if source.is_dir() => Err(Error::IsDirectory),
                Ok(pipe) => decode_stream(pipe, extension, hear),
                Err(error) => Err(Error::Io(error)),
            },
            (false, false) => decode_file_stream(&source, hear),
        };
        if !pending.is_empty() {
            let _ = self.put(Piece { start, samples: pending, came: Instant::now() });
        }
        self.lock().ended = Some(ended.map(drop));
        self.came.notify_one();
    }

    fn put(&self, piece: Piece) -> ControlFlow<()> {
        let mut state = self.lock();
        while state.kept > KEPT && !state.abandoned {
            if self.live {
                state.kept -= state.pieces.pop_front().map_or(0, |oldest| oldest.samples.len());
            } else {
                state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
        if state.abandoned {
            return ControlFlow::Break(());
        }
        state.kept += piece.samples.len();
        state.pieces.push_back(piece);
        drop(state);
        self.came.notify_one();
        ControlFlow::Continue(())
    }

    /// The next piece; `None` after the last one. For one caller at a time.
    ///
    /// # Errors
    /// The decoder's error, once, after the last piece.
    pub async fn next(&self) -> Result<Option<Piece>, Error> {
        loop {
            {
                let mut state = self.lock();
                if let Some(piece) = state.pieces.pop_front() {
                    state.kept -= piece.samples.len();
                    self.room.notify_one();
                    return Ok(Some(piece));
                }
                if state.ended.is_some() {
                    return state.ended.replace(Ok(())).unwrap_or(Ok(())).map(|()| None);
                }
            }
            self.came.notified().await;
        }
    }

    /// Lets the decoder stop early.
    pub fn abandon(&self) {
        self.lock().abandoned = true;
        self.room.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(live: bool) -> Arc<Feed> {
        Arc::new(Feed { state: Mutex::default(), room: Condvar::new(), came: Notify::new(), live })
    }

    fn pieces(feed: &Feed, count: usize) {
        for n in 0..count {
            let (start, samples) = ((n * PIECE) as u64, vec![0.0; PIECE]);
            let _ = feed.put(Piece { start, samples, came: Instant::now() });
        }
        feed.lock().ended = Some(Ok(()));
        feed.came.notify_one();
    }

    async fn taken(feed: &Feed) -> Vec<u64> {
        let mut starts = Vec::new();
        while let Some(piece) = feed.next().await.unwrap() {
            starts.push(piece.start / PIECE as u64);
        }
        starts
    }

    #[tokio::test]
    async fn a_live_source_loses_its_oldest_sound_and_a_file_waits() {
        let count = KEPT / PIECE + 100;
        let live = feed(true);
        pieces(&live, count);
        assert!(live.lock().kept <= KEPT + PIECE, "memory has a bound");
        let starts = taken(&live).await;
        assert_eq!(*starts.last().unwrap() as usize, count - 1);
        assert!(starts[0] >= 98 && starts.windows(2).all(|two| two[1] == two[0] + 1), "{}", starts[0]);

        let file = feed(false);
        let writer = Arc::clone(&file);
        let writing = thread::spawn(move || pieces(&writer, count));
        assert_eq!(taken(&file).await.len(), count);
        writing.join().unwrap();
    }

    #[tokio::test]
    async fn an_abandoned_source_is_let_go() {
        let file = feed(false);
        let writer = Arc::clone(&file);
        let writing = thread::spawn(move || pieces(&writer, KEPT / PIECE + 100));
        file.next().await.unwrap();
        file.abandon();
        writing.join().unwrap();
    }
}
