//! Tests, from fixed seeds, that masks and noise are distributed as the security estimates assume, and that noise
//! never spoils a coefficient.

use std::sync::Arc;

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::*;
use crate::evaluate::{MatrixLayout, ServedShard, ShardMatrix, answer};
use crate::params::{LatticeSet, ParamsSpec};
use crate::rlwe::slots;

fn params(points: u16) -> Params {
    let (set, asked) = (LatticeSet::N2048Q47, 1);
    Params::new(ParamsSpec { set, points, groups: 1, label_elements: 1, tag_elements: 0, asked }).unwrap()
}

/// Pearson's statistic: Σ (seen − expected)²/expected.
fn chi_square(seen: &[u64], expected: impl Iterator<Item = f64>) -> f64 {
    seen.iter().zip(expected).map(|(&seen, expected)| (seen as f64 - expected).powi(2) / expected).sum()
}

/// Chi-square with `freedom` degrees of freedom is below this in 999 of 1000 draws (Wilson and Hilferty, 1931).
fn likely(freedom: f64) -> f64 {
    let ninth = 2.0 / (9.0 * freedom);
    freedom * (1.0 - ninth + 3.09 * ninth.sqrt()).powi(3)
}

#[test]
fn public_masks_are_uniform() {
    let params = params(65);
    let ring = Ring::of(params.set());
    const CLASSES: usize = 256;
    for seed in 0..4 {
        let masks = PublicMasks::derive(&params, &[seed; SEED_BYTES]);
        let values = masks.group(&params, 0)[1..].iter().flat_map(|mask| &mask.0);
        let (mut high, mut low) = ([0; CLASSES], [0; CLASSES]);
        let mut count = 0.0;
        for &value in values {
            high[(u128::from(value) * CLASSES as u128 / u128::from(ring.lattice.modulus)) as usize] += 1;
            low[value as usize % CLASSES] += 1;
            count += 1.0;
        }
        for seen in [high, low] {
            let statistic = chi_square(&seen, std::iter::repeat(count / CLASSES as f64));
            assert!(statistic < likely(CLASSES as f64 - 1.0), "seed {seed}: {statistic}");
        }
    }
}

/// The integral of the normal density over `from..to`, by Simpson's rule.
fn normal(from: f64, to: f64) -> f64 {
    let density = |x: f64| (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    const STEPS: usize = 64;
    let step = (to - from) / STEPS as f64;
    let weight = |i: usize| if i == 0 || i == STEPS { 1.0 } else { [2.0, 4.0][i % 2] };
    (0..=STEPS).map(|i| weight(i) * density(from + i as f64 * step)).sum::<f64>() * step / 3.0
}

#[test]
fn fresh_noise_is_a_rounded_gaussian() {
    let params = params(2);
    let ring = Ring::of(params.set());
    let zero = Transformed(vec![0; params.degree()]);
    /// Beyond 12 = 3.75 σ a class would hold too few, so everything beyond is one class.
    const MOST: i64 = 12;
    let mut seen = [0u64; 2 * MOST as usize + 2];
    let rounds = 64;
    for seed in 0..rounds {
        let source = RandomGenerator::new(Seed(seed));
        for value in encrypt_one(ring, &zero, &zero, std::iter::empty(), source).0.iter() {
            let q = ring.lattice.modulus;
            let noise = if *value > q / 2 { -((q - value) as i64) } else { *value as i64 };
            let class = if noise.abs() > MOST { 2 * MOST + 1 } else { noise + MOST };
            seen[class as usize] += 1;
        }
    }
    let count = (rounds * params.degree() as u128) as f64;
    let inside = (-MOST..=MOST).map(|k| {
        let k = k as f64;
        normal((k - 0.5) / NOISE_STD, (k + 0.5) / NOISE_STD)
    });
    let inside: Vec<f64> = inside.collect();
    let outside = 1.0 - inside.iter().sum::<f64>();
    let expected = inside.iter().chain([&outside]).map(|share| share * count);
    let statistic = chi_square(&seen, expected);
    assert!(statistic < likely(seen.len() as f64 - 1.0), "{statistic}: {seen:?}");
}

/// All of 10^8 coefficients are decrypted correctly, at four sizes. One of them leaves the least room for noise
/// (D = 260, 9.09 standard deviations). The products of the slots are the oracle.
#[test]
#[ignore = "some minutes: cargo test --release --workspace --lib -- --ignored --nocapture noise_spoils_nothing"]
fn noise_spoils_nothing_in_a_hundred_million_coefficients() {
    const COEFFICIENTS: usize = 100_000_000;
    const SIZES: [u16; 4] = [5, 27, 260, 820];
    let mut rng = StdRng::seed_from_u64(8);
    for points in SIZES {
        let mut scene = Scene::new(points, &mut rng);
        let (mut done, mut wrong, mut worst) = (0, 0, 0f64);
        while done < COEFFICIENTS / SIZES.len() {
            let (polynomials, spoiled, noise) = scene.query(&mut rng);
            (done, wrong) = (done + polynomials * scene.params.degree(), wrong + spoiled);
            worst = worst.max(noise);
        }
        println!(
            "D = {points}: {done} coefficients, {wrong} polynomials spoiled, most noise {worst:.3} of the limit"
        );
        assert_eq!(wrong, 0, "D = {points}");
    }
}

/// Random shards, ready for queries.
struct Scene {
    params: Params,
    masks: PublicMasks,
    shards: Vec<ServedShard>,
    hints: Vec<Vec<u8>>,
    /// `[shard][power][slot]`
    slots: Vec<Vec<Vec<u32>>>,
}

impl Scene {
    const SHARDS: usize = 32;

    fn new(points: u16, rng: &mut StdRng) -> Scene {
        let params = params(points);
        let ring = Ring::of(params.set());
        let masks = PublicMasks::derive(&params, &[9; SEED_BYTES]);
        let (mut shards, mut hints, mut slots) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..Scene::SHARDS {
            let plaintexts: Vec<Vec<u32>> = (0..points).map(|_| random(&params, rng)).collect();
            let matrix = Arc::new(ShardMatrix::new(&params, &plaintexts.concat(), MatrixLayout::Fast));
            hints.push(matrix.hint(&params, masks.group(&params, 0)));
            shards.push(ServedShard { group: 0, matrix });
            slots.push(in_slots(ring, plaintexts));
        }
        Scene { params, masks, shards, hints, slots }
    }

    /// Asks once. Returns how many polynomials were decrypted, how many of them were spoiled, and the largest
    /// noise as a share of the limit.
    fn query(&mut self, rng: &mut StdRng) -> (usize, usize, f64) {
        let (params, ring) = (&self.params, Ring::of(self.params.set()));
        let powers: Vec<Vec<u32>> = (1..params.points()).map(|_| random(params, rng)).collect();
        let (upload, secret) = encrypt(params, &self.masks, FreshSecret::generate(ring), &powers);
        let reply = answer(params, &self.shards, &upload).unwrap();
        let powers = in_slots(ring, powers);
        let bits = params.answer_bits();
        let opened: Vec<(bool, f64)> = (&self.slots, &self.hints, reply.par_chunks(params.answer_bytes()))
            .into_par_iter()
            .map(|(shard, hint, answer)| {
                let (hint, answer) = (bits::unpack(hint, HINT_BITS), bits::unpack(answer, bits));
                let phases = phases(ring, &secret, hint, answer, bits);
                let mut values: Vec<u32> =
                    phases.iter().map(|&phase| round_to_plaintext(ring, phase)).collect();
                slots::decode(ring, &mut values);
                let most = phases.iter().map(|&phase| noise_share(ring, phase)).fold(0.0, f64::max);
                (values == sums_of_products(shard, &powers), most)
            })
            .collect();
        let spoiled = opened.iter().filter(|(right, _)| !right).count();
        (opened.len(), spoiled, opened.iter().fold(0.0, |most, (_, noise)| most.max(*noise)))
    }
}

fn random(params: &Params, rng: &mut StdRng) -> Vec<u32> {
    (0..params.degree()).map(|_| rng.gen_range(0..PLAINTEXT_MODULUS)).collect()
}

fn in_slots(ring: &Ring, mut plaintexts: Vec<Vec<u32>>) -> Vec<Vec<u32>> {
    plaintexts.par_iter_mut().for_each(|plaintext| slots::decode(ring, plaintext));
    plaintexts
}

/// Σ C_i·m_i slot by slot, with m_0 = 1.
fn sums_of_products(shard: &[Vec<u32>], powers: &[Vec<u32>]) -> Vec<u32> {
    let mut sums: Vec<u64> = shard[0].iter().map(|&c| c.into()).collect();
    for (coefficients, power) in shard[1..].iter().zip(powers) {
        for ((sum, &c), &m) in sums.iter_mut().zip(coefficients).zip(power) {
            *sum += u64::from(c) * u64::from(m);
        }
    }
    sums.iter().map(|sum| (sum % u64::from(PLAINTEXT_MODULUS)) as u32).collect()
}

/// Distance from the nearest multiple of Δ, over Δ/2.
fn noise_share(ring: &Ring, phase: u64) -> f64 {
    let delta = ring.lattice.delta();
    (((phase + delta / 2) % delta) as f64 / (delta as f64 / 2.0) - 1.0).abs()
}
