//! Every constant of the signal side, with its reason.
//!
//! "Measured" refers to ablations on real game music (orchestral and electronic). Points are points of recall over 20
//! conditions (noise, phone, mixed-in speech and music, short queries), at no false accept.

/// Number of the recipe. Goes up with every change that gives a recording other hashes. An export of one recipe
/// cannot be imported under another.
pub const RECIPE_VERSION: u16 = 1;

/// Samples per second after decoding. 16 kHz was no better (measured: 3 points worse at equal postings), and
/// telephones pass nothing above 3.4 kHz anyway.
pub const SAMPLE_RATE: u32 = 8_000;

/// Samples in one analysis window (128 ms, Hann). Half as many cost 5 points, twice as many 2.
pub const WINDOW: usize = 1_024;

/// Samples from one frame to the next (32 ms). Frame n covers samples `HOP * n .. HOP * n + WINDOW`.
pub const HOP: usize = 256;

/// Length of a frame step in seconds: the unit of every posting and of the catalogue's global time line.
pub const FRAME_SECONDS: f64 = HOP as f64 / SAMPLE_RATE as f64;

/// Length of half a frame in seconds: the unit of times in a recording, because it is analysed at two shifts.
pub const HALF_FRAME_SECONDS: f64 = FRAME_SECONDS / 2.0;

/// Width of one bin of the spectrum in Hz (7.8125).
pub const BIN_HZ: f32 = SAMPLE_RATE as f32 / WINDOW as f32;

/// First bin that may hold a peak (148 Hz). Below it are mains hum and rumble, and telephones pass nothing there.
pub const BAND_FIRST_BIN: usize = 19;

/// Last bin that may hold a peak (3,789 Hz). Above, the anti-alias filter begins.
pub const BAND_LAST_BIN: usize = 485;

/// First bin of the upper band: 755 Hz, the geometric mean of 150 and 3,800. Each band has its own budget of
/// peaks, so that a loud bass cannot take them all (measured: 4 points better than one band).
pub const BAND_SPLIT_BIN: usize = 97;

/// Bins kept on both sides of the band, for neighbourhoods that reach past its edges: [`NEIGHBOUR_BINS`] for the
/// maximum filter and 2 more for the average over [`WHITEN_BINS`].
pub const BAND_MARGIN: usize = 10;

/// Floor under every power, as a share of the recording's maximum power (70 dB down). Quieter cells are rounding
/// and codec noise.
pub const POWER_FLOOR: f32 = 1e-7;

/// A recording whose band stays below this amplitude (-120 dB of full scale) holds only rounding noise.
pub const SILENCE: f32 = 1e-6;

/// Larger samples are clipped to this, so that no power overflows. Floats at integer scale (32,768) still fit.
pub const SAMPLE_LIMIT: f32 = 1e6;

/// Frames of the running mean that whitens the spectrum (10 s). At the ends, the window is shifted to stay inside
/// the recording, so that a recording of 10 s is whitened by its own mean. Subtracting the mean in dB, instead of
/// filtering for onsets, matters most (measured: 12 points).
pub const WHITEN_FRAMES: usize = 313;

/// Neighbouring bins that the mean is averaged over.
pub const WHITEN_BINS: usize = 5;

/// A peak is not smaller than any cell within this many frames (192 ms). This removes the chains of peaks on held
/// tones, which make false matches score (measured: 4.5 points better than 64 ms).
pub const NEIGHBOUR_FRAMES: usize = 6;

/// A peak is not smaller than any cell within this many bins (62.5 Hz; twice as wide costs 4 points).
pub const NEIGHBOUR_BINS: usize = 8;

/// Half-width, in frames, of the window in which peaks of one band are ranked (0.99 s in all).
pub const RANK_FRAMES: u32 = 15;

/// Shortest distance of a target from its anchor, in frames (64 ms). The windows of nearer frames are nearly the
/// same.
pub const TARGET_MIN_FRAMES: u32 = 2;

/// Longest distance of a target from its anchor, in frames (1.47 s; 3 s costs 10 points).
pub const TARGET_MAX_FRAMES: u32 = 46;

/// Least distance of a target from its anchor in frequency. More than a cell of 10 Hz, so that no pair is one
/// tone twice. Such pairs were 3.5% of all postings and 38% of those of the commonest hashes, and unrelated
/// recordings agree on them: without them the greatest score of 600 unknown recordings falls from 16.5 to 13.2.
pub const TARGET_MIN_HZ: f32 = 11.0;

/// Greatest distance of a target from its anchor in frequency (3,000 Hz costs 4.5 points, 500 Hz costs 1).
pub const TARGET_MAX_HZ: f32 = 1_000.0;

/// Peaks per second kept in a recording that is asked about. Denser than in a reference track, to find landmarks
/// whose peaks lost a few ranks (measured with [`QUERY_FAN_OUT`] and the wide probing: +1 overall, up to +9 on
/// recordings of 3 s).
pub const QUERY_PEAKS_PER_SECOND: f32 = 36.0;

/// Targets per anchor in a recording that is asked about.
pub const QUERY_FAN_OUT: usize = 20;

/// Samples between the two analyses of a recording that is asked about: half a hop, so that it is never more than
/// 8 ms off the reference's frames.
pub const QUERY_SHIFT: usize = HOP / 2;

/// A neighbouring cell is probed if the value is within this many cells of its border. 0.5 always probes the
/// nearer neighbour.
pub const PROBE_BORDER: f32 = 0.5;

/// How many of the coordinates (f1, f2, dt) one probe may move.
pub const PROBE_MOVES: u32 = 2;

/// Strength that a probe loses per moved coordinate: `PROBE_PENALTY * (cells to the border + 0.5)`.
pub const PROBE_PENALTY: f32 = 2.0;

/// Salience in dB that counts as much as one whole budget of ranks, in the strength of a candidate.
pub const STRENGTH_SALIENCE_DB: f32 = 20.0;

/// Strength lost from an anchor's first target to one past its last.
pub const STRENGTH_FAN_OUT: f32 = 0.25;

/// Candidates returned per recording, strongest first. A tenth of them fill 2,048 bins.
pub const MAX_CANDIDATES: usize = 32_768;

/// Seconds of a recording that are analysed for a question; the rest is ignored. Three times what heavy noise
/// needs.
pub const MAX_QUERY_SECONDS: u32 = 60;

/// Shortest recording that is fingerprinted, in seconds. A shorter one has too few landmarks to tell tracks
/// apart.
pub const MIN_SECONDS: f64 = 1.0;

/// Longest recording that is decoded (8 hours, 0.9 GB of samples). A small compressed file can hold days of
/// silence.
pub const MAX_SECONDS: u64 = 8 * 3_600;

/// Accepted source rates. Lower ones would multiply the memory, higher ones the resampler's tables.
pub const SOURCE_RATES: std::ops::RangeInclusive<u32> = 2_000..=768_000;

/// Frames whose powers are kept before their floor is fixed: 5 minutes, 18 MB. Even, because frames are
/// transformed in pairs.
pub const SECTION_FRAMES: usize = 9_376;

/// Labels counted per candidate. A shard holds a hash at most once, and 100,000 clips fill 1,850 shards, so an
/// honest server stays below this. A hostile one may have 4,096 shards.
pub const MAX_LABELS_PER_CANDIDATE: usize = 2_048;

/// Labels counted per question: 4 MB of frames. 100,000 clips give 830,000 (measured).
pub const MAX_LABELS: usize = 1 << 20;

/// Ballots that the labels of one question cast, one for each time of their candidates. Six per label. On music a label
/// casts 2 to 3 if the recording has 10 s, and 5 to 6 if it has 60 s; with a loop of 20 s in it, 8 (measured). Takes
/// 50 MB if all fall into one track.
pub const MAX_BALLOTS: usize = 6 << 20;

/// Half-frame offsets that one window of the vote spans (the recipe's 35 ms at two shifts: a tolerance of one
/// half-frame to each side).
pub const VOTE_WINDOW: i64 = 3;

/// Width of the vote's window in seconds, as used in the expected number of chance hits.
pub const VOTE_WINDOW_SECONDS: f64 = 0.035;

/// Least expected number of chance hits in a window. Without it, a track with a handful of labels could win with
/// two of them.
pub const VOTE_LAMBDA_FLOOR: f64 = 0.02;

/// Speeds, minus 1, at which the vote is also counted for the best tracks. A recording that is 1% fast drifts
/// over 100 ms in 10 s, twice a window's width (measured: 98 to 100% found at ±1% instead of 78 to 92%).
pub const SLOPES: [f64; 4] = [-0.01, -0.005, 0.005, 0.01];

/// Tracks that are also counted at [`SLOPES`].
pub const SLOPED_TRACKS: usize = 64;

/// Frames per cell in which votes are counted together to see how evenly they spread (0.51 s; 0.13 to 0.38 s
/// measured 1 to 5 points lower at no false accept).
pub const SPREAD_FRAMES: u32 = 16;

/// Anchor frequencies that a match fills: the scale of the spread over pitch.
pub const SPREAD_TONES: f64 = 16.0;

/// Exponent of the recording's length in the spread. It lets one threshold serve recordings of 2 to 15 s.
pub const SPREAD_LENGTH_POWER: f64 = 0.1;

/// Other speeds at which a recording may have been played, for which hashes are also asked. Each covers about 1%
/// to both sides.
pub const SPEEDS: [f32; 4] = [0.96, 0.98, 1.02, 1.04];

/// Places among the candidates from one hash of such a speed to the next. Each speed gets a sixteenth, and the
/// right speed three quarters. Measured: 100% found at ±4% instead of 2%, and 20 to 40% instead of none at -3%,
/// between two speeds. Nothing is lost in noise. An eighth each finds 53 to 68% at -3%, and costs 6 to 10 points
/// in mixed-in music and heavy noise.
pub const SPEED_EVERY: f32 = 16.0;

/// Shortest recording, in seconds, for which other speeds are asked. Shorter ones need all their hashes.
pub const SPEEDS_SECONDS: f64 = 4.0;
