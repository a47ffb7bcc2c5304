//! Records through the system's sound interface (ALSA, CoreAudio, WASAPI), using cpal.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{Device, FromSample, SampleFormat, SizedSample, Stream, StreamConfig};

use super::{Intake, Progress};

/// A microphone that delivers nothing for this long is treated as missing.
const PATIENCE: Duration = Duration::from_secs(5);

type Piece = Result<Vec<f32>, String>;

/// Records from the default microphone with its default configuration.
pub fn record(seconds: u32, progress: Progress) -> Result<Vec<f32>> {
    let device = cpal::default_host()
        .default_input_device()
        .context("no microphone found; is one plugged in, and may this user use it?")?;
    let found = device.default_input_config().context("the microphone cannot be used")?;
    let format = found.sample_format();
    let config: StreamConfig = found.into();
    let mut intake = Intake::new(config.sample_rate, seconds, progress)?;
    let (send, pieces) = channel();
    let stream = open(&device, format, config, send).context("the microphone cannot be opened")?;
    stream.play().context("the microphone does not start")?;
    while intake.push(&next(&pieces)?)? {}
    drop(stream);
    intake.finish()
}

fn next(pieces: &Receiver<Piece>) -> Result<Vec<f32>> {
    match pieces.recv_timeout(PATIENCE) {
        Ok(Ok(samples)) => Ok(samples),
        Ok(Err(reason)) => bail!("the microphone stopped: {reason}"),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            bail!("the microphone gives no sound; is another program using it?")
        }
    }
}

fn open(device: &Device, format: SampleFormat, config: StreamConfig, to: Sender<Piece>) -> Result<Stream> {
    match format {
        SampleFormat::F32 => stream::<f32>(device, config, to),
        SampleFormat::I16 => stream::<i16>(device, config, to),
        SampleFormat::U16 => stream::<u16>(device, config, to),
        SampleFormat::I32 => stream::<i32>(device, config, to),
        SampleFormat::U8 => stream::<u8>(device, config, to),
        other => bail!("samples in the format {other} are not supported"),
    }
}

/// Mixes all channels down to one.
fn stream<T: SizedSample + Send + 'static>(
    device: &Device,
    config: StreamConfig,
    to: Sender<Piece>,
) -> Result<Stream>
where
    f32: FromSample<T>,
{
    let channels = usize::from(config.channels.max(1));
    let failed = to.clone();
    let hear = move |samples: &[T], _: &_| {
        let mean = |frame: &[T]| {
            frame.iter().map(|&sample| f32::from_sample_(sample)).sum::<f32>() / channels as f32
        };
        // If nobody receives, the stream is about to end.
        let _ = to.send(Ok(samples.chunks(channels).map(mean).collect()));
    };
    let complain = move |error: cpal::Error| drop(failed.send(Err(error.to_string())));
    Ok(device.build_input_stream(config, hear, complain, None)?)
}
