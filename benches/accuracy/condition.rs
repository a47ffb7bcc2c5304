//! How excerpts are degraded before they are asked about.

use std::fmt;

use crate::sound::{self, Random};

/// The level, in dB, that white noise up to 22.05 kHz loses when it is cut at 4 kHz: 10 log10(22.05 / 4).
const WHITE_ABOVE_THE_BAND_DB: f32 = 7.4;
/// The level, in dB, that pink noise from 20 Hz to 22.05 kHz loses when it is cut at 4 kHz.
const PINK_ABOVE_THE_BAND_DB: f32 = 1.2;

/// How a recording is degraded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Wear {
    /// Not at all.
    Clean,
    /// White noise at this signal-to-noise ratio in dB over the band of 44.1 kHz audio. Only the part below 4 kHz is
    /// added.
    White(f32),
    /// Pink noise, with the ratio defined as for `White`.
    Pink(f32),
    /// Noise with the spectrum of speech, at this signal-to-noise ratio in dB.
    Speech(f32),
    /// Another song, never an indexed one, at this signal-to-noise ratio in dB.
    Music(f32),
    /// A telephone in a room.
    Phone,
    /// Encoded with this codec and decoded.
    Codec(Codec),
    /// Played this many percent too fast.
    Speed(f32),
    /// Gaussian noise of this standard deviation, on samples of -1 to 1.
    Gaussian(f32),
}

/// A lossy encoder at a low rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Codec {
    /// MP3 at 32 kb/s.
    Mp3,
    /// AAC at 32 kb/s.
    Aac,
    /// Opus at 16 kb/s.
    Opus,
}

/// A degradation and a length.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Condition {
    pub wear: Wear,
    pub seconds: f32,
}

impl Condition {
    const fn new(wear: Wear, seconds: f32) -> Condition {
        Condition { wear, seconds }
    }

    /// All reported conditions, in the order of the table.
    pub fn all() -> Vec<Condition> {
        use Wear::{Clean, Gaussian, Music, Phone, Pink, Speech, Speed, White};
        let ten = [Clean, White(15.), White(10.), White(5.), White(0.), White(-5.), White(-10.), Pink(0.)];
        let more = [Pink(-5.), Speech(0.), Speech(-5.), Music(0.), Music(-5.), Phone];
        let codecs = [Codec::Mp3, Codec::Aac, Codec::Opus].map(Wear::Codec);
        let speeds = [1., -1., 1.5, 2., -2., -3., 4., -4.].map(Speed);
        let short = [(Phone, 5.), (Phone, 3.), (White(5.), 5.), (White(5.), 3.), (White(5.), 2.)];
        let old = [Gaussian(0.01), Gaussian(0.02)].map(|wear| Condition::new(wear, 15.));
        let tens = ten.into_iter().chain(more).map(|wear| Condition::new(wear, 10.));
        tens.chain(short.map(|(wear, seconds)| Condition::new(wear, seconds)))
            .chain(codecs.into_iter().chain(speeds).map(|wear| Condition::new(wear, 10.)))
            .chain(old)
            .collect()
    }

    /// The conditions for unknown recordings, used in turn.
    pub fn of_unknown() -> Vec<Condition> {
        use Wear::{Clean, Music, Phone, Pink, Speech, Speed, White};
        let ten = [Clean, White(5.), White(0.), White(-5.), Pink(0.), Speech(0.), Music(0.), Phone];
        let short =
            [(Clean, 5.), (White(5.), 5.), (Phone, 5.), (Clean, 3.), (White(5.), 3.), (White(5.), 2.)];
        let tens = ten.into_iter().chain([Speed(2.)]).map(|wear| Condition::new(wear, 10.));
        tens.chain(short.map(|(wear, seconds)| Condition::new(wear, seconds))).collect()
    }

    /// Number of samples of the result.
    pub fn samples(&self) -> usize {
        (self.seconds * fingerprint::SAMPLE_RATE as f32) as usize
    }

    /// Number of samples of the track that it needs.
    pub fn source_samples(&self) -> usize {
        match self.wear {
            Wear::Speed(percent) => (self.samples() as f32 * (1.0 + percent / 100.0)).ceil() as usize + 1,
            _ => self.samples(),
        }
    }

    /// Degrades `samples`. `other` is an excerpt of another song. Does not apply codecs.
    pub fn apply(&self, samples: &[f32], other: &[f32], random: &mut Random) -> Vec<f32> {
        let length = samples.len();
        match self.wear {
            Wear::Clean | Wear::Codec(_) => samples.to_vec(),
            Wear::White(ratio) => {
                sound::mix(samples, &sound::white(length, random), ratio + WHITE_ABOVE_THE_BAND_DB)
            }
            Wear::Pink(ratio) => {
                sound::mix(samples, &sound::pink(length, random), ratio + PINK_ABOVE_THE_BAND_DB)
            }
            Wear::Speech(ratio) => sound::mix(samples, &sound::speech_shaped(length, random), ratio),
            Wear::Music(ratio) => sound::mix(samples, other, ratio),
            Wear::Phone => sound::phone(samples, random),
            Wear::Speed(percent) => sound::play_at(samples, 1.0 + f64::from(percent) / 100.0, self.samples()),
            Wear::Gaussian(deviation) => samples.iter().map(|s| s + deviation * random.normal()).collect(),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self.wear {
            Wear::Clean => write!(out, "clean")?,
            Wear::White(ratio) => write!(out, "white{ratio:+}")?,
            Wear::Pink(ratio) => write!(out, "pink{ratio:+}")?,
            Wear::Speech(ratio) => write!(out, "speech{ratio:+}")?,
            Wear::Music(ratio) => write!(out, "music{ratio:+}")?,
            Wear::Phone => write!(out, "phone")?,
            Wear::Codec(codec) => write!(out, "{}", format!("{codec:?}").to_lowercase())?,
            Wear::Speed(percent) => write!(out, "speed{percent:+}")?,
            Wear::Gaussian(deviation) => write!(out, "gauss{deviation}")?,
        }
        write!(out, "/{}s", self.seconds)
    }
}
