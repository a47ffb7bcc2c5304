//! The look-up in the clear and the real protocol give the same answers.

use std::path::PathBuf;

use client::Question;
use fingerprint::{SAMPLE_RATE, Settings, query_candidates};

use crate::condition::{Condition, Wear};
use crate::encrypted::Encrypted;
use crate::index::{Index, prints};
use crate::music::Clip;
use crate::run::Run;
use crate::sound::{self, Random};

/// Random notes over faint noise.
fn melody(seed: usize, seconds: usize) -> Vec<f32> {
    let mut random = Random::new(1, "melody", seed);
    let mut samples: Vec<f32> =
        sound::white(seconds * SAMPLE_RATE as usize, &mut random).into_iter().map(|s| 2e-3 * s).collect();
    let length = samples.len();
    for _ in 0..10 * seconds {
        let (start, note) = (random.below(length), 800 + random.below(3_200));
        let step = std::f32::consts::TAU * (150.0 + random.below(1_500) as f32) / SAMPLE_RATE as f32;
        for (n, sample) in samples[start..(start + note).min(length)].iter_mut().enumerate() {
            *sample += 0.1 * (step * n as f32).sin() * (-3.0 * n as f32 / note as f32).exp();
        }
    }
    samples
}

fn clips() -> Vec<Clip> {
    let clip = |n: usize| Clip {
        path: PathBuf::from(format!("song{n}_00")),
        song: format!("song{n}"),
        samples: melody(n, 20),
        half: n % 2,
        unknown: n >= 6,
    };
    (0..8).map(clip).collect()
}

#[test]
fn both_ways_give_the_same_answer() {
    let (clips, settings) = (clips(), Settings::default());
    let prints = prints(&clips, &settings);
    let index = Index::new(&prints, 0, &settings).unwrap();
    let encrypted = Encrypted::new(&prints, &settings).unwrap();
    let mut found = 0;
    for (n, clip) in clips.iter().enumerate() {
        let condition = Condition { wear: Wear::White(5.0 * n as f32 - 10.0), seconds: 5.0 };
        let mut random = Random::new(2, "worn", n);
        let worn = condition.apply(&clip.samples[30_011..70_011], &[], &mut random);
        let candidates = query_candidates(&worn, &settings).unwrap();
        let (clear, asked, labels) = index.ask(&candidates, db::ASKED, 5.0).unwrap();
        let answer =
            encrypted.ask(Question { settings: settings.clone(), candidates, seconds: 5.0 }).unwrap();
        // Bins differ a little, because the real protocol drops the most common hashes, and an empty bin may return
        // noise.
        assert!(
            asked.abs_diff(answer.named.hashes_asked) <= 5 + asked / 50,
            "{asked} and {}",
            answer.named.hashes_asked
        );
        assert!(
            labels.abs_diff(answer.named.labels) <= 5 + labels / 20,
            "{labels} and {}",
            answer.named.labels
        );
        assert_eq!(clear.best.is_some(), answer.named.verdict.best.is_some(), "recording {n}");
        if let (Some(clear), Some(real)) = (&clear.best, &answer.named.verdict.best) {
            found += 1;
            assert_eq!(index.clip(clear.track), encrypted.clip(&answer, 0));
            assert_eq!(index.clip(clear.track), Some(n));
            assert!((clear.offset_seconds - real.offset_seconds).abs() < 0.02);
            assert!((clear.score - real.score).abs() < 0.1 * clear.score);
        }
    }
    assert!(found >= 4, "{found} found");
}

#[test]
fn a_run_by_the_real_protocol_ends() {
    let (clips, settings) = (clips(), Settings::default());
    let prints = prints(&clips, &settings);
    let index = Index::new(&prints, 0, &settings).unwrap();
    let encrypted = Encrypted::new(&prints, &settings).unwrap();
    let run = Run {
        clips: &clips,
        index: &index,
        encrypted: Some(&encrypted),
        settings: &settings,
        asked: vec![db::ASKED],
        half: None,
        seed: 1,
    };
    let all = run.known(&Condition { wear: Wear::Clean, seconds: 5.0 }, 4).unwrap();
    assert!(all.len() == 4 && all.iter().all(|(_, asked)| asked.accepted));
}
