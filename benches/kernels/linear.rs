//! Linear models: what a classification costs on both sides.

use std::hint::black_box;

use criterion::Criterion;
use psi::LatticeSet;
use psi::linear::{LinearMasks, LinearMatrix, LinearParams, LinearSpec, encrypt};
use rand::{Rng, thread_rng};

/// Numbers of features and classes.
const SIZES: [(u16, u32); 3] = [(512, 10), (512, 1_000), (512, 5_000)];

pub fn benches(criterion: &mut Criterion) {
    for (features, classes) in SIZES {
        let spec = LinearSpec::choose(LatticeSet::N2048Q47, features, classes).expect("a legal model");
        let params = LinearParams::new(spec).expect("a legal model");
        let masks = LinearMasks::derive(&params, &[1; 16]);
        let draw = |count| (0..count).map(|_| thread_rng().gen_range(-127..=127)).collect::<Vec<i8>>();
        let (weights, x) = (draw(params.classes() * params.features()), draw(params.features()));
        let encode = || LinearMatrix::encode(&params, &weights, &masks, &[2; 32]).expect("legal weights");
        let matrix = encode();
        let asked = || encrypt(&params, &masks, &x).expect("legal features");
        let uploads: Vec<Vec<u8>> = (0..8).map(|_| asked().0).collect();
        let answer = |count: usize| matrix.answer_batch(black_box(&uploads[..count]));

        let mut group = criterion.benchmark_group(format!("linear/F={features},C={classes}"));
        group.bench_function("encode,hints", |b| b.iter(encode));
        group.bench_function("masks", |b| b.iter(|| LinearMasks::derive(&params, &[1; 16])));
        group.bench_function("encrypt", |b| b.iter(asked));
        group.bench_function("answer,1", |b| b.iter(|| answer(1)));
        group.bench_function("answer,8", |b| b.iter(|| answer(8)));
        group.bench_function("open", |b| {
            b.iter_batched(
                || {
                    let (upload, pending) = asked();
                    let scores = matrix.answer_batch(&[upload]).remove(0).expect("an honest upload");
                    (pending, scores)
                },
                |(pending, scores)| pending.open(matrix.hints(), &scores),
                criterion::BatchSize::SmallInput,
            )
        });
        group.finish();
    }
}
