//! The signal half: from a file's bytes to the vote.

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, Throughput};
use fingerprint::{
    Catalogue, SAMPLE_RATE, Settings, Spectrogram, Track, TrackId, align, constellation, decode_bytes,
    query_candidates, reference_file, reference_landmarks,
};

/// Bundled clips, one of each kind of decoder.
const CLIPS: [&str; 5] = [
    "breaking-the-chains.mp3",
    "loyalists.ogg",
    "the-dangerous-symphony.m4a",
    "still-another-wanderer.flac",
    "vengeful-pursuit.opus",
];
/// Labels of a query against some 700 clips, on their time line.
const LABELS: u32 = 2_600;

pub fn benches(criterion: &mut Criterion) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/audio/catalogue");
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
    group.finish();

    let file = folder.join(CLIPS[0]);
    let bytes = std::fs::read(&file).expect("the bundled audio is there");
    let samples = decode_bytes(bytes, Some("mp3")).expect("it decodes").samples;
    let excerpt = &samples[..10 * SAMPLE_RATE as usize];
    let settings = Settings::default();
    let mut group = criterion.benchmark_group("fingerprint");
    group.throughput(Throughput::Elements(10)); // seconds of sound
    group.bench_function("spectrogram/10s", |b| b.iter(|| Spectrogram::new(black_box(excerpt))));
    group.bench_function("constellation/10s", |b| b.iter(|| constellation(black_box(excerpt))));
    group.bench_function("reference/10s", |b| b.iter(|| reference_landmarks(black_box(excerpt), &settings)));
    group.bench_function("query/10s", |b| b.iter(|| query_candidates(black_box(excerpt), &settings)));
    // What indexing a track takes, from the file to its postings.
    group.throughput(Throughput::Elements(samples.len() as u64 / u64::from(SAMPLE_RATE)));
    group.bench_function("file/mp3", |b| b.iter(|| reference_file(black_box(&file), &settings)));
    group.finish();

    let candidates = query_candidates(excerpt, &settings).expect("it has landmarks");
    let track = |n: u32| Track {
        id: TrackId(n),
        title: String::new(),
        artist: String::new(),
        path: String::new(),
        start: n * 940,
        frames: 938,
    };
    let catalogue = Catalogue::new((0..700).map(track).collect()).expect("tracks lie apart");
    let frames = 700 * 940;
    let labels: Vec<(u32, u32)> =
        (0..LABELS).map(|n| (n % 1024, n.wrapping_mul(2_654_435_761) % frames)).collect();
    criterion.bench_function(&format!("vote/labels={LABELS}"), |b| {
        b.iter(|| align(&catalogue, &candidates, black_box(&labels), 10.0, 1));
    });
}
