//! Audio processing, from a file's bytes to the vote.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use fingerprint::{
    AskedHashes, Catalogue, GlobalFrame, Label, Labels, SAMPLE_RATE, Settings, Spectrogram, Track, TrackId,
    align, constellation, decode_bytes, decode_file, query_candidates, reference_file, reference_landmarks,
};
use support::audio;
use support::sound::Wav;

/// Bundled clips, one for each decoder.
const CLIPS: [&str; 5] = [
    "breaking-the-chains.mp3",
    "loyalists.ogg",
    "the-dangerous-symphony.m4a",
    "still-another-wanderer.flac",
    "vengeful-pursuit.opus",
];
/// Number of labels on the time line in a query against about 700 clips.
const LABELS: u32 = 2_600;

/// Sample rates of the plain PCM files. The first needs no resampling, so the difference is its cost.
const RATES: [u32; 3] = [SAMPLE_RATE, 44_100, 48_000];

pub fn benches(criterion: &mut Criterion) {
    decode(criterion);
    let bytes = std::fs::read(audio("catalogue").join(CLIPS[0])).expect("the bundled audio is there");
    let samples = decode_bytes(bytes, Some("mp3")).expect("it decodes").samples;
    let excerpt = &samples[..10 * SAMPLE_RATE as usize];
    fingerprints(criterion, excerpt);
    vote(criterion, excerpt);
}

fn decode(criterion: &mut Criterion) {
    let folder = audio("catalogue");
    let mut group = criterion.benchmark_group("decode");
    for clip in CLIPS {
        let bytes = std::fs::read(folder.join(clip)).expect("the bundled audio is there");
        let ending = clip.rsplit('.').next();
        let seconds = decode_bytes(bytes.clone(), ending).expect("it decodes").seconds();
        group.throughput(Throughput::Elements(seconds as u64)); // seconds of sound
        group.bench_function(ending.unwrap_or("?"), |b| {
            b.iter(|| decode_bytes(black_box(bytes.clone()), ending));
        });
    }
    group.throughput(Throughput::Elements(10)); // seconds of sound
    for rate in RATES {
        let wav = wav(rate, 10);
        group.bench_function(format!("wav/rate={rate}"), |b| {
            b.iter(|| decode_bytes(black_box(wav.clone()), Some("wav")));
        });
    }
    group.finish();
}

/// A mono WAV file of 16-bit noise.
fn wav(rate: u32, seconds: u32) -> Vec<u8> {
    let samples = 0..rate * seconds;
    let mut wav = Wav { rate, channels: 1, bits: 16 }.header(samples.len());
    wav.extend(samples.flat_map(|n| ((n.wrapping_mul(2_654_435_761) >> 18) as i16).to_le_bytes()));
    wav
}

/// Measures each stage together with those before it. The difference to the previous one is the stage's own time.
fn fingerprints(criterion: &mut Criterion, excerpt: &[f32]) {
    let settings = Settings::default();
    let mut group = criterion.benchmark_group("fingerprint");
    group.throughput(Throughput::Elements(10)); // seconds of sound
    group.bench_function("spectrogram/10s", |b| b.iter(|| Spectrogram::new(black_box(excerpt))));
    group.bench_function("constellation/10s", |b| b.iter(|| constellation(black_box(excerpt))));
    group.bench_function("reference/10s", |b| b.iter(|| reference_landmarks(black_box(excerpt), &settings)));
    group.bench_function("query/10s", |b| b.iter(|| query_candidates(black_box(excerpt), &settings)));
    // Indexing a track, from the file to its postings.
    let file = audio("catalogue").join(CLIPS[0]);
    let seconds = decode_file(&file).expect("it decodes").seconds();
    group.throughput(Throughput::Elements(seconds as u64));
    group.bench_function("file/mp3", |b| b.iter(|| reference_file(black_box(&file), &settings)));
    group.finish();
}

fn vote(criterion: &mut Criterion, excerpt: &[f32]) {
    let settings = Settings::default();
    let candidates = query_candidates(excerpt, &settings).expect("it has landmarks");
    let asked: AskedHashes = candidates.iter().take(1_024).collect();
    let track = |n: u32| Track {
        id: TrackId(n),
        title: String::new(),
        artist: String::new(),
        path: String::new(),
        start: GlobalFrame(n * 940),
        frames: 938,
    };
    let catalogue = Catalogue::new((0..700).map(track).collect()).expect("tracks lie apart");
    let frames = 700 * 940;
    let frame = |n: u32| GlobalFrame(n.wrapping_mul(2_654_435_761) % frames);
    let mut labels = Labels::new(asked.len());
    labels.extend((0..LABELS).map(|n| Label { candidate: n % 1024, frame: frame(n) }));
    criterion.bench_function(&format!("vote/labels={LABELS}"), |b| {
        b.iter(|| align(&catalogue, &asked, black_box(&labels), 10.0, 1));
    });
}
