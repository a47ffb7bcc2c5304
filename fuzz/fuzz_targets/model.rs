//! All untrusted data of linear models: lists of models, both parts of a model, requests and responses.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use protocol::offer::ModelOffer;
use psi::linear::{LinearMasks, LinearMatrix, encrypt};
use psi_shazam_fuzz::{legal, linear_params, stretch, weights};

static MASKS: LazyLock<LinearMasks> = LazyLock::new(|| LinearMasks::derive(&linear_params(), &[6; 16]));
static MATRIX: LazyLock<LinearMatrix> = LazyLock::new(|| {
    LinearMatrix::encode(&linear_params(), &weights(1), &MASKS, &[1; 32]).expect("legal weights")
});

fuzz_target!(|bytes: &[u8]| {
    let Some((&which, bytes)) = bytes.split_first() else { return };
    match which % 4 {
        0 => offers(bytes),
        1 => parts(bytes),
        2 => question(bytes),
        _ => answer(bytes),
    }
});

/// Reads a list as a client does.
fn offers(bytes: &[u8]) {
    if let Ok(offers) = ModelOffer::decode_all(bytes) {
        let again = ModelOffer::encode_all(&offers);
        assert_eq!(ModelOffer::decode_all(&again), Ok(offers));
    }
}

/// Reads a model's public part and asks with it, as a client does. Reads both parts from disk, as the owner does.
fn parts(bytes: &[u8]) {
    if let Ok(public) = classify::Public::decode(bytes) {
        let raw: Vec<f32> = (0..classify::RAW_FEATURES).map(|n| (n as f32 * 0.1).sin() * 100.0).collect();
        if let Ok(features) = public.question_of(&raw) {
            assert!(
                features.len() == classify::FEATURES && features.iter().all(|&feature| feature != i8::MIN)
            );
        }
        let scores: Vec<i32> =
            (0..public.labels().len()).map(|class| (class as i32).wrapping_mul(0x0765_4321)).collect();
        let verdict = public.verdict(&scores).expect("a score for each label");
        assert!(verdict.ranked.iter().all(|ranked| (0.0..=1.0).contains(&ranked.probability)));
        assert_eq!(classify::Public::decode(&public.encode()).as_ref(), Ok(&public));
    }
    if let Ok(secret) = classify::Secret::decode(bytes) {
        let scores = secret.scores(&[127; classify::FEATURES]).expect("as many features as there are");
        assert_eq!(scores.len(), secret.classes());
    }
    db::fuzzing::stored_model(bytes);
}

/// Computes scores from an upload as the server does, and checks the length of the response.
fn question(bytes: &[u8]) {
    let params = linear_params();
    let uploads = [bytes.to_vec(), stretch(bytes, params.upload_bytes())];
    for answer in MATRIX.answer_batch(&uploads).into_iter().flatten() {
        assert_eq!(answer.len(), params.answer_bytes());
    }
}

/// Opens an answer with hints as the client does. Both may be arbitrary. The server's own answer must give the sums.
fn answer(bytes: &[u8]) {
    let params = linear_params();
    let features: Vec<i8> =
        stretch(bytes, params.features()).into_iter().map(|byte| legal(byte as i8)).collect();
    let (upload, pending) = encrypt(&params, &MASKS, &features).expect("legal features");
    match bytes.first().is_some_and(|byte| byte % 2 == 0) {
        true => {
            let answers = MATRIX.answer_batch(&[upload]);
            let scores = pending.open(MATRIX.hints(), answers[0].as_ref().expect("an honest upload"));
            let weights = weights(1);
            let sums = weights.chunks(params.features()).map(|weights| {
                weights.iter().zip(&features).map(|(&w, &x)| i32::from(w) * i32::from(x)).sum::<i32>()
            });
            assert_eq!(scores, Ok(sums.collect()));
        }
        false => {
            let half = bytes.len() / 2;
            let hints = stretch(&bytes[..half], params.hint_bytes());
            let scores = pending.open(&hints, &stretch(&bytes[half..], params.answer_bytes()));
            assert_eq!(scores.map(|scores| scores.len()), Ok(params.classes()));
        }
    }
}
