//! Turns one audio stream of a container, packet by packet, into mono samples at the working rate.

use std::ops::ControlFlow;

use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::well_known::CODEC_ID_OPUS;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder};
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::{FormatReader, TrackType};
use symphonia::core::packet::Packet;

use super::opus::{self, OpusPackets};
use super::tags::Tags;
use crate::params::{MAX_SECONDS, SAMPLE_RATE};
use crate::resample::ToWorkingRate;
use crate::spectrogram::tame;
use crate::{Constellation, Error};

/// Damaged packets in a row after which decoding gives up. The container's reader finds the next intact packet.
const MAX_FAILURES: u32 = 1_000;

/// Takes decoded samples, piece by piece: mono, at [`SAMPLE_RATE`], all finite.
pub trait Listener {
    /// Takes the next samples.
    fn hear(&mut self, samples: &[f32]) -> ControlFlow<()>;

    /// Most samples that it takes. A longer stream is refused.
    fn limit(&self) -> u64 {
        MAX_SECONDS * u64::from(SAMPLE_RATE)
    }
}

impl Listener for Vec<f32> {
    fn hear(&mut self, samples: &[f32]) -> ControlFlow<()> {
        self.extend_from_slice(samples);
        ControlFlow::Continue(())
    }
}

impl Listener for Constellation {
    fn hear(&mut self, samples: &[f32]) -> ControlFlow<()> {
        self.push(samples);
        ControlFlow::Continue(())
    }
}

/// Keeps a number of samples, then stops.
pub struct Excerpt {
    /// Samples left to skip.
    pub skip: u64,
    /// The samples kept.
    pub samples: Vec<f32>,
    /// How many samples are wanted.
    pub wanted: usize,
}

impl Listener for Excerpt {
    fn hear(&mut self, samples: &[f32]) -> ControlFlow<()> {
        let skipped = self.skip.min(samples.len() as u64);
        self.skip -= skipped;
        let samples = &samples[skipped as usize..];
        let room = self.wanted - self.samples.len();
        self.samples.extend_from_slice(&samples[..room.min(samples.len())]);
        if self.samples.len() < self.wanted { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn limit(&self) -> u64 {
        u64::MAX
    }
}

/// Passes on samples, without limit.
pub struct Endless<F>(pub F);

impl<F: FnMut(&[f32]) -> ControlFlow<()>> Listener for Endless<F> {
    fn hear(&mut self, samples: &[f32]) -> ControlFlow<()> {
        if samples.is_empty() { ControlFlow::Continue(()) } else { (self.0)(samples) }
    }

    fn limit(&self) -> u64 {
        u64::MAX
    }
}

/// A stream that was read to its end, or until the listener had enough.
pub struct Heard<L> {
    /// The listener that took the samples.
    pub listener: L,
    /// How many samples there were.
    pub samples: u64,
    /// What the file says about itself.
    pub tags: Tags,
    /// Samples per second in the file.
    pub source_rate: u32,
    /// Channels in the file.
    pub source_channels: u16,
}

/// Reads the first audio stream that can be decoded, to its end or until the listener has enough. Skips damaged
/// packets.
///
/// # Errors
/// [`Error::Unsupported`] if no stream can be decoded, [`Error::Damaged`] if not one sample came out,
/// [`Error::TooLong`], [`Error::SampleRate`].
pub fn read<L: Listener>(mut format: Box<dyn FormatReader + '_>, listener: L) -> Result<Heard<L>, Error> {
    let mut tags = Tags::default();
    collect_tags(&mut *format, &mut tags);
    let (mut track, mut decoder) = open_stream(&*format)?;
    let mut sink = Sink::new(listener);
    let mut failures = 0;
    let mut reason = "no packets".to_owned();
    while failures < MAX_FAILURES && !sink.satisfied {
        match format.next_packet() {
            Ok(None) => break,
            Ok(Some(packet)) if packet.track_id == track => match decoder.decode_into(&packet, &mut sink)? {
                Ok(()) => failures = 0,
                Err(error) => reason = error,
            },
            Ok(Some(_)) => {}
            // A chained Ogg file: another stream begins, and may have another format.
            Err(SymphoniaError::ResetRequired) => (track, decoder) = open_stream(&*format)?,
            Err(SymphoniaError::DecodeError(error)) => (failures, reason) = (failures + 1, error.to_owned()),
            // The file is cut off here. What came before is good.
            Err(error) => {
                reason = error.to_string();
                break;
            }
        }
    }
    collect_tags(&mut *format, &mut tags);
    sink.finish(tags, reason)
}

fn collect_tags(format: &mut dyn FormatReader, tags: &mut Tags) {
    let mut metadata = format.metadata();
    loop {
        metadata.current().into_iter().for_each(|revision| tags.add(revision));
        if metadata.pop().is_none() {
            break;
        }
    }
}

/// The number of the first audio stream that can be decoded, and its decoder. Tries the default stream first.
fn open_stream(format: &dyn FormatReader) -> Result<(u32, Decoder), Error> {
    let mut reason = "no audio stream".to_owned();
    for track in format.default_track(TrackType::Audio).into_iter().chain(format.tracks()) {
        if let Some(CodecParameters::Audio(parameters)) = &track.codec_params {
            match Decoder::new(parameters) {
                Ok(decoder) => return Ok((track.id, decoder)),
                Err(error) => reason = error,
            }
        }
    }
    Err(Error::Unsupported(reason))
}

enum Decoder {
    Symphonia(Box<dyn AudioDecoder>, Vec<f32>),
    Opus(Box<OpusPackets>),
}

impl Decoder {
    fn new(parameters: &AudioCodecParameters) -> Result<Decoder, String> {
        if parameters.codec == CODEC_ID_OPUS {
            let header = parameters.extra_data.as_deref().unwrap_or_default();
            let packets = OpusPackets::from_header(header).ok_or("malformed Opus header")?;
            return Ok(Decoder::Opus(Box::new(packets)));
        }
        let decoder = symphonia::default::get_codecs().make_audio_decoder(parameters, &Default::default());
        decoder.map(|decoder| Decoder::Symphonia(decoder, Vec::new())).map_err(|error| error.to_string())
    }

    /// Decodes a packet into the sink. The inner error says why the packet was skipped; the outer error ends the
    /// work.
    fn decode_into<L: Listener>(
        &mut self,
        packet: &Packet,
        sink: &mut Sink<L>,
    ) -> Result<Result<(), String>, Error> {
        match self {
            Decoder::Opus(decoder) => {
                let channels = decoder.channels;
                match decoder.decode(&packet.data) {
                    Some(samples) => sink.push(opus::RATE, channels, samples).map(Ok),
                    None => Ok(Err("damaged Opus packet".to_owned())),
                }
            }
            Decoder::Symphonia(decoder, interleaved) => match decoder.decode(packet) {
                Ok(buffer) => {
                    buffer.copy_to_vec_interleaved(interleaved);
                    sink.push(buffer.spec().rate(), buffer.spec().channels().count(), interleaved).map(Ok)
                }
                Err(error) => Ok(Err(error.to_string())),
            },
        }
    }
}

/// Takes decoded sound, mixes it down, resamples it and passes it on.
struct Sink<L> {
    listener: L,
    /// Whether the listener has enough.
    satisfied: bool,
    passed: u64,
    mono: Vec<f32>,
    /// Samples ready to be passed on.
    ready: Vec<f32>,
    converter: Option<ToWorkingRate>,
    /// Rate and channels of the first packet.
    source: Option<(u32, u16)>,
}

impl<L: Listener> Sink<L> {
    fn new(listener: L) -> Sink<L> {
        let (mono, ready) = (Vec::new(), Vec::new());
        Sink { listener, satisfied: false, passed: 0, mono, ready, converter: None, source: None }
    }

    fn push(&mut self, rate: u32, channels: usize, interleaved: &[f32]) -> Result<(), Error> {
        if channels == 0 || interleaved.is_empty() {
            return Ok(());
        }
        self.source.get_or_insert((rate, u16::try_from(channels).unwrap_or(u16::MAX)));
        if self.converter.as_ref().is_none_or(|converter| converter.rate() != rate) {
            self.flush()?;
            self.converter = Some(ToWorkingRate::new(rate)?);
        }
        mix_down(interleaved, channels, &mut self.mono);
        if let Some(converter) = &mut self.converter {
            converter.push(&self.mono, &mut self.ready)?;
        }
        self.pass_on()
    }

    fn flush(&mut self) -> Result<(), Error> {
        if let Some(converter) = self.converter.take() {
            converter.finish(&mut self.ready)?;
        }
        self.pass_on()
    }

    fn pass_on(&mut self) -> Result<(), Error> {
        self.passed += self.ready.len() as u64;
        if self.passed > self.listener.limit() {
            return Err(Error::TooLong);
        }
        if !self.satisfied {
            self.satisfied = self.listener.hear(&self.ready).is_break();
        }
        self.ready.clear();
        Ok(())
    }

    fn finish(mut self, tags: Tags, reason: String) -> Result<Heard<L>, Error> {
        self.flush()?;
        let (source_rate, source_channels) = self.source.ok_or(Error::Damaged(reason))?;
        Ok(Heard { listener: self.listener, samples: self.passed, tags, source_rate, source_channels })
    }
}

/// The mean of all channels. NaN and infinity count as silence.
fn mix_down(interleaved: &[f32], channels: usize, mono: &mut Vec<f32>) {
    let share = 1.0 / channels as f32;
    mono.clear();
    match channels {
        1 => mono.extend(interleaved.iter().map(|&sample| tame(sample))),
        // The usual case, written so that the compiler vectorises it.
        2 => mono.extend(interleaved.chunks_exact(2).map(|two| 0.5 * (tame(two[0]) + tame(two[1])))),
        _ => mono.extend(
            interleaved.chunks_exact(channels).map(|all| all.iter().map(|&s| tame(s) * share).sum::<f32>()),
        ),
    }
}
