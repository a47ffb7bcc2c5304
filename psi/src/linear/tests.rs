//! Every score equals the one computed in the clear.

use proptest::prelude::*;
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::*;
use crate::Error;
use crate::params::LatticeSet;

fn clear(params: &LinearParams, weights: &[i8], features: &[i8]) -> Vec<i32> {
    let score =
        |weights: &[i8]| weights.iter().zip(features).map(|(&w, &x)| i32::from(w) * i32::from(x)).sum();
    weights.chunks_exact(params.features()).map(score).collect()
}

struct Scene {
    params: LinearParams,
    masks: LinearMasks,
    weights: Vec<i8>,
    matrix: LinearMatrix,
    rng: StdRng,
}

impl Scene {
    fn new(spec: LinearSpec, seed: u64, draw: impl Fn(&mut StdRng) -> i8) -> Scene {
        let params = LinearParams::new(spec).unwrap();
        let mut rng = StdRng::seed_from_u64(seed);
        let masks = LinearMasks::derive(&params, &[3; 16]);
        let weights: Vec<i8> = (0..params.classes() * params.features()).map(|_| draw(&mut rng)).collect();
        let matrix = LinearMatrix::encode(&params, &weights, &masks, &rng.r#gen()).unwrap();
        Scene { params, masks, weights, matrix, rng }
    }

    fn features(&mut self, draw: impl Fn(&mut StdRng) -> i8) -> Vec<i8> {
        (0..self.params.features()).map(|_| draw(&mut self.rng)).collect()
    }

    fn ask(&self, features: &[i8]) -> Vec<i32> {
        let (upload, pending) = encrypt(&self.params, &self.masks, features).unwrap();
        assert_eq!(upload.len(), self.params.upload_bytes());
        let answer = self.matrix.answer_batch(&[upload]).pop().unwrap().unwrap();
        assert_eq!(answer.len(), self.params.answer_bytes());
        pending.open(self.matrix.hints(), &answer).unwrap()
    }

    fn assert_exact(&self, features: &[i8]) {
        assert!(self.ask(features) == clear(&self.params, &self.weights, features), "{:?}", self.params);
    }
}

fn any_value(rng: &mut StdRng) -> i8 {
    rng.gen_range(-127..=127)
}

fn extreme(rng: &mut StdRng) -> i8 {
    if rng.r#gen() { 127 } else { -127 }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn scores_are_exact(features in 1u16..200, classes in 1u32..300, blocks in 1u8..8, seed in any::<u64>()) {
        let spec = LinearSpec { set: LatticeSet::InsecureN64Q47, features, classes, blocks };
        prop_assume!(LinearParams::new(spec).is_ok());
        let mut scene = Scene::new(spec, seed, any_value);
        let x = scene.features(any_value);
        scene.assert_exact(&x);
        let x = scene.features(extreme);
        scene.assert_exact(&x);
    }
}

#[test]
fn the_largest_scores_are_exact() {
    let set = LatticeSet::N2048Q47;
    for (features, classes) in [(MAX_FEATURES, 3), (1, 1), (512, 40)] {
        let spec = LinearSpec::choose(set, features, classes).unwrap();
        let all = |value: i8| move |_: &mut StdRng| value;
        for (weight, feature) in [(127, 127), (127, -127), (-127, -127), (0, 127)] {
            let mut scene = Scene::new(spec, 1, all(weight));
            let x = scene.features(all(feature));
            scene.assert_exact(&x);
        }
        let mut scene = Scene::new(spec, 2, extreme);
        let x = scene.features(extreme);
        scene.assert_exact(&x);
    }
}

#[test]
fn five_thousand_classes_are_exact() {
    let spec = LinearSpec::choose(LatticeSet::N2048Q47, 512, 5_000).unwrap();
    let mut scene = Scene::new(spec, 4, any_value);
    let x = scene.features(any_value);
    scene.assert_exact(&x);
}

#[test]
fn sizes_are_what_the_document_says() {
    let sizes = |features, classes| {
        let spec = LinearSpec::choose(LatticeSet::N2048Q47, features, classes).unwrap();
        let params = LinearParams::new(spec).unwrap();
        (spec.blocks, params.upload_bytes(), params.answer_bytes(), params.hint_bytes())
    };
    let table = [(512, 10), (512, 1_000), (512, 5_000), (1024, 1_000), (2048, 1_000)];
    let table = table.map(|(features, classes)| ((features, classes), sizes(features, classes)));
    assert_eq!(table, DOCUMENTED);
}

/// The table of docs/parameters.md: (features, classes), then blocks, bytes up, bytes down, bytes of hints.
type Sizes = ((u16, u32), (u8, usize, usize, usize));
const DOCUMENTED: [Sizes; 5] = [
    ((512, 10), (1, 20_480, 34, 26_112)),
    ((512, 1_000), (4, 52_480, 3_375, 548_352)),
    ((512, 5_000), (8, 94_464, 16_875, 1_366_528)),
    ((1024, 1_000), (4, 53_760, 3_500, 1_120_000)),
    ((2048, 1_000), (8, 101_376, 3_625, 1_152_000)),
];

#[test]
fn every_legal_model_has_a_precision_within_the_limit() {
    for features in (1..=MAX_FEATURES).step_by(97).chain([MAX_FEATURES]) {
        for classes in [1, 100, 10_000, MAX_CLASSES] {
            let spec = LinearSpec::choose(LatticeSet::N2048Q47, features, classes).unwrap();
            assert!(LinearParams::new(spec).unwrap().noise_share() <= 1.0);
        }
    }
}

#[test]
fn a_batch_answers_as_each_query_alone_and_a_broken_upload_spoils_its_own_only() {
    let spec = LinearSpec { set: LatticeSet::InsecureN64Q47, features: 90, classes: 150, blocks: 3 };
    let mut scene = Scene::new(spec, 5, any_value);
    let (mut uploads, mut pending) = (Vec::new(), Vec::new());
    for _ in 0..crate::evaluate::MAX_BATCH + 3 {
        let x = scene.features(any_value);
        let (upload, waiting) = encrypt(&scene.params, &scene.masks, &x).unwrap();
        uploads.push(upload);
        pending.push((x, waiting));
    }
    uploads[1].pop();
    uploads[4].fill(0xff);
    let answers = scene.matrix.answer_batch(&uploads);
    assert!(matches!(answers[1], Err(Error::Length { .. })));
    assert!(matches!(answers[4], Err(Error::ValueRange { .. })));
    for (answer, (x, waiting)) in answers.iter().zip(pending) {
        let Ok(answer) = answer else { continue };
        let scores = waiting.open(scene.matrix.hints(), answer).unwrap();
        assert!(scores == clear(&scene.params, &scene.weights, &x));
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let good = LinearSpec { set: LatticeSet::N2048Q47, features: 8, classes: 3, blocks: 1 };
    for bad in [
        LinearSpec { features: 0, ..good },
        LinearSpec { features: MAX_FEATURES + 1, ..good },
        LinearSpec { classes: 0, ..good },
        LinearSpec { classes: MAX_CLASSES + 1, ..good },
        LinearSpec { blocks: 0, ..good },
        LinearSpec { blocks: 65, ..good },
        // 302 MB of hints.
        LinearSpec { features: MAX_FEATURES, classes: MAX_CLASSES, blocks: 1, ..good },
    ] {
        assert!(matches!(LinearParams::new(bad), Err(Error::ParameterRange { .. })), "{bad:?}");
    }
    let scene = Scene::new(good, 6, any_value);
    let encrypted = |x: &[i8]| encrypt(&scene.params, &scene.masks, x).map(|_| ());
    assert!(matches!(encrypted(&[1; 7]), Err(Error::Length { .. })));
    assert!(matches!(encrypted(&[-128; 8]), Err(Error::ValueRange { .. })));
    let encoded = |w: &[i8]| LinearMatrix::encode(&scene.params, w, &scene.masks, &[1; 32]).map(|_| ());
    assert!(matches!(encoded(&[1; 23]), Err(Error::Length { .. })));
    assert!(matches!(encoded(&[-128; 24]), Err(Error::ValueRange { .. })));
    let open = |hints: &[u8], answer: &[u8]| {
        encrypt(&scene.params, &scene.masks, &[1; 8]).unwrap().1.open(hints, answer).map(|_| ())
    };
    let (hints, answer) = (scene.matrix.hints(), vec![0; scene.params.answer_bytes()]);
    assert!(open(hints, &answer).is_ok());
    assert!(matches!(open(&hints[1..], &answer), Err(Error::Length { .. })));
    assert!(matches!(open(hints, &answer[1..]), Err(Error::Length { .. })));
}

/// A blind hides the weights completely: hints under two blinds share nothing.
#[test]
fn hints_of_one_model_under_two_blinds_have_nothing_in_common() {
    let spec = LinearSpec { set: LatticeSet::N2048Q47, features: 64, classes: 32, blocks: 1 };
    let scene = Scene::new(spec, 7, any_value);
    let hints = |blind: u8| {
        let matrix = LinearMatrix::encode(&scene.params, &scene.weights, &scene.masks, &[blind; 32]).unwrap();
        crate::bits::unpack(matrix.hints(), scene.params.hint_bits()).collect::<Vec<u64>>()
    };
    assert_eq!(hints(1), hints(1));
    let (one, two) = (hints(1), hints(2));
    let top = scene.params.hint_bits() - 4;
    let mut counts = [0u32; 16];
    one.iter().zip(&two).for_each(|(a, b)| counts[((a.wrapping_sub(*b)) >> top & 15) as usize] += 1);
    // 2,048 differences, 128 in each sixteenth; six standard deviations are 66.
    assert!(counts.iter().all(|&count| count.abs_diff(128) < 66), "{counts:?}");
}

#[test]
fn uploads_of_extremes_look_alike() {
    let spec = LinearSpec { set: LatticeSet::N2048Q47, features: 512, classes: 10, blocks: 2 };
    let scene = Scene::new(spec, 8, any_value);
    for x in [[0; 512], [127; 512], [-127; 512]] {
        let (upload, _) = encrypt(&scene.params, &scene.masks, &x).unwrap();
        let ones: u32 = upload.iter().map(|byte| byte.count_ones()).sum();
        let (bits, ones) = (8.0 * upload.len() as f64, f64::from(ones));
        assert!((ones - bits / 2.0).abs() < 6.0 * bits.sqrt() / 2.0, "{ones} of {bits}");
    }
}
