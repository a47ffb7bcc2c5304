//! Cryptography: OPRF, encryption, evaluation, decryption, encoding.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput};
use psi::evaluate::{Kernel, MatrixLayout, ServedShard, answer, answer_batch_by};
use psi::oprf::{self, Arithmetic, OprfKey};
use psi::params::PLAINTEXT_MODULUS;
use psi::query::{self, AskedKey, KnownShard};
use psi::shard::{Entry, Hint, Shard, ShardUid};
use psi::{LatticeSet, Params, ParamsSpec, PublicMasks};
use rand::thread_rng;
use rayon::prelude::*;

/// (D, S) for about 1.5 and 12 million postings.
const SIZES: [(u16, usize); 2] = [(27, 28), (74, 80)];
const ASKED: u32 = 1024;

pub fn benches(criterion: &mut Criterion) {
    transforms(criterion);
    oprf_stages(criterion);
    for (points, shards) in SIZES {
        query_stages(criterion, points, shards);
    }
}

fn params(points: u16) -> Params {
    Params::new(ParamsSpec {
        set: LatticeSet::N2048Q47,
        points,
        groups: 1,
        label_elements: 2,
        tag_elements: 0,
        asked: ASKED,
    })
    .expect("legal parameters")
}

/// Transforms one polynomial to its values and back, modulo q and modulo t: `tfhe-ntt` as used by `psi`.
fn transforms(criterion: &mut Criterion) {
    let lattice = LatticeSet::N2048Q47.lattice();
    let of_q = tfhe_ntt::prime64::Plan::try_new(lattice.degree, lattice.modulus).expect("q has a transform");
    let of_t =
        tfhe_ntt::prime32::Plan::try_new(lattice.degree, PLAINTEXT_MODULUS).expect("t has a transform");
    let mut group = criterion.benchmark_group(format!("ntt/N={}", lattice.degree));
    let mut polynomial: Vec<u64> = (0..lattice.degree as u64).map(|n| n * n % lattice.modulus).collect();
    group.bench_function("q,forward", |b| b.iter(|| of_q.fwd(black_box(&mut polynomial))));
    group.bench_function("q,inverse", |b| b.iter(|| of_q.inv(black_box(&mut polynomial))));
    let mut polynomial: Vec<u32> = (0..lattice.degree as u32).map(|n| n * n % PLAINTEXT_MODULUS).collect();
    group.bench_function("t,forward", |b| b.iter(|| of_t.fwd(black_box(&mut polynomial))));
    group.bench_function("t,inverse", |b| b.iter(|| of_t.inv(black_box(&mut polynomial))));
    group.finish();
}

fn items() -> Vec<[u8; 4]> {
    (0..ASKED).map(u32::to_le_bytes).collect()
}

fn oprf_stages(criterion: &mut Criterion) {
    oprf_stages_by(criterion, "portable", Arithmetic::portable());
    if Arithmetic::detect() != Arithmetic::portable() {
        oprf_stages_by(criterion, "vector", Arithmetic::detect());
    }
}

fn oprf_stages_by(criterion: &mut Criterion, name: &str, arithmetic: Arithmetic) {
    let key = OprfKey::from_seed(&[1; 32]).expect("a key").by(arithmetic);
    let blind = || oprf::blind_by(arithmetic, items()).expect("legal items");
    let mut group = criterion.benchmark_group(format!("oprf/{name}"));
    group.sample_size(20).throughput(Throughput::Elements(ASKED.into()));
    group.bench_function(format!("blind/asked={ASKED}"), |b| b.iter(blind));
    let blinded = blind();
    group.bench_function(format!("evaluate/asked={ASKED}"), |b| b.iter(|| key.evaluate(blinded.message())));
    let evaluated = key.evaluate(blinded.message()).expect("legal elements");
    group.bench_function(format!("finalize/asked={ASKED}"), |b| {
        // Unblinds other elements than the blinded ones, because the time does not depend on them.
        b.iter_batched(blind, |blinded| blinded.finalize(black_box(&evaluated)), BatchSize::PerIteration);
    });
    group.bench_function(format!("index/items={ASKED}"), |b| b.iter(|| key.item_keys(&items())));
    group.finish();
}

fn query_stages(criterion: &mut Criterion, points: u16, shards: usize) {
    let params = params(points);
    let masks = PublicMasks::derive(&params, &[2; 16]);
    let key = OprfKey::from_seed(&[1; 32]).expect("a key");
    let item_keys = key.item_keys(&items()).expect("legal items");
    let entries = || item_keys.iter().zip(0..).map(|(key, slot)| Entry { slot, key, label: &[1, 2] });
    let shard = Shard::encode(&params, ShardUid(1), entries()).expect("one item a bin");
    let matrix = Arc::new(shard.matrix(&params));
    let hint = Hint::compute(&params, &matrix, &masks, 0);
    let served = vec![ServedShard { group: 0, matrix: matrix.clone() }; shards];
    let known: Vec<KnownShard> =
        (0..shards).map(|_| KnownShard { uid: ShardUid(1), group: 0, hint: &hint }).collect();
    let asked = || -> Vec<AskedKey> {
        let asked =
            |(key, bin): (&psi::oprf::ItemKey, u32)| AskedKey { item: Some(bin), bin, key: key.clone() };
        item_keys.iter().zip(0..).map(asked).collect()
    };
    let encrypt = || query::encrypt(&params, &masks, asked(), &mut thread_rng()).expect("one item a bin");
    let upload = encrypt().0;
    let reply = answer(&params, &served, &upload).expect("a legal upload");

    let mut group = criterion.benchmark_group(format!("query/D={points},S={shards}"));
    group.sample_size(20);
    group.bench_function("masks", |b| b.iter(|| PublicMasks::derive(&params, &[2; 16])));
    group.bench_function("encrypt", |b| b.iter(encrypt));
    group.bench_function("open", |b| {
        let pending = || encrypt().1;
        b.iter_batched(
            pending,
            |pending| pending.open(&known, &reply, |returned| Some(returned.item)),
            BatchSize::PerIteration,
        );
    });
    group.finish();
    let layouts = [MatrixLayout::Fast, MatrixLayout::Compact];
    for layout in layouts {
        // Separate copies, so that a pass reads as much memory as with a real database.
        let matrix = || Arc::new(shard.matrix_in(&params, layout));
        let served: Vec<ServedShard> =
            (0..shards).map(|_| ServedShard { group: 0, matrix: matrix() }).collect();
        passes(criterion, &params, layout, &served, &upload);
    }

    let mut group = criterion.benchmark_group(format!("index/D={points}"));
    group.sample_size(10);
    group.bench_function("encode-shard", |b| b.iter(|| Shard::encode(&params, ShardUid(1), entries())));
    group.bench_function("matrix", |b| b.iter(|| shard.matrix(&params)));
    group.bench_function("hint", |b| b.iter(|| Hint::compute(&params, &matrix, &masks, 0)));
    group.finish();
}

/// Measures whole answers, from uploads to bytes, and their floor: only reading as many bytes. Set
/// `RAYON_NUM_THREADS=1` to use one core.
fn passes(
    criterion: &mut Criterion,
    params: &Params,
    layout: MatrixLayout,
    served: &[ServedShard],
    upload: &[u8],
) {
    let (points, shards) = (params.points(), served.len());
    let mut group = criterion.benchmark_group(format!("pass/D={points},S={shards},{layout:?}"));
    group.sample_size(20);
    let kernels = match layout {
        MatrixLayout::Fast => Kernel::available(),
        MatrixLayout::Compact => vec![Kernel::detect()],
    };
    for kernel in kernels {
        for queries in [1, 2, 4, 8] {
            let uploads = vec![upload; queries];
            group.throughput(Throughput::Elements(queries as u64));
            group.bench_function(format!("kernel={kernel},queries={queries}"), |b| {
                b.iter(|| answer_batch_by(kernel, params, served, black_box(&uploads)));
            });
        }
    }
    for bytes_per_residue in [6, 8] {
        let bytes = shards * params.elements() * points * params.degree() * bytes_per_residue;
        let memory = vec![1u64; bytes / size_of::<u64>()];
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(format!("read-floor/bytes={bytes_per_residue}"), |b| {
            b.iter(|| -> u64 {
                memory.par_chunks(1 << 16).map(|chunk| black_box(chunk).iter().sum::<u64>()).sum()
            });
        });
    }
    group.finish();
}
