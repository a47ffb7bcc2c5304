//! From excerpts to verdicts, on all cores. The order of the results does not depend on the number of cores.

use std::time::Instant;

use anyhow::Result;
use client::Question;
use fingerprint::{Match, SAMPLE_RATE, Settings, THRESHOLD, Verdict, query_candidates};
use rayon::prelude::*;

use crate::condition::Condition;
use crate::encrypted::Encrypted;
use crate::index::Index;
use crate::made;
use crate::music::{Clip, Draw};
use crate::report::{Asked, Outcome};
use crate::shared;
use crate::sound::Random;

/// Greatest offset error of a right answer, in seconds.
const OFFSET_SECONDS: f64 = 0.1;
/// Share of the threshold above which an answer that names another song is checked for shared audio.
const PROVE_FROM: f64 = 0.5;
/// One in this many unknown recordings is not music.
const MADE_EVERY: usize = 5;

/// What to ask, and which server.
pub struct Run<'a> {
    pub clips: &'a [Clip],
    pub index: &'a Index,
    /// The real protocol, if it is used.
    pub encrypted: Option<&'a Encrypted>,
    pub settings: &'a Settings,
    pub asked: Vec<u32>,
    /// The half of the songs to draw from, or `None` for both.
    pub half: Option<usize>,
    pub seed: u64,
}

/// An excerpt's origin.
struct Truth<'a> {
    condition: &'a str,
    song: &'a str,
    /// Clip and first second, or `None` if the clip is not in the catalogue.
    place: Option<(&'a Clip, f64)>,
    /// The music in the excerpt.
    sources: [&'a [f32]; 2],
}

/// A verdict and what it cost.
struct Reply {
    verdict: Verdict,
    clip: Option<usize>,
    asked: usize,
    labels: usize,
}

impl Run<'_> {
    /// Asks about excerpts of catalogue tracks under one condition. Each result has the number of hashes that was
    /// allowed.
    pub fn known(&self, condition: &Condition, count: usize) -> Result<Vec<(u32, Asked)>> {
        let draw = self.draw(false);
        let name = condition.to_string();
        self.collect(count, |number| {
            let Some(excerpt) = draw.excerpt(condition, number) else { return Ok(Vec::new()) };
            let from = excerpt.from as f64 / f64::from(SAMPLE_RATE);
            let truth = Truth {
                condition: &name,
                song: &excerpt.clip.song,
                place: Some((excerpt.clip, from)),
                sources: excerpt.sources,
            };
            self.ask(&excerpt.samples, &truth)
        })
    }

    /// Asks about recordings that are not in the catalogue: excerpts of songs left out, and sounds that are not music.
    /// The conditions for unknown recordings take turns.
    pub fn unknown(&self, count: usize) -> Result<Vec<(u32, Asked)>> {
        let draw = self.draw(true);
        let conditions = Condition::of_unknown();
        let mut all = self.collect(count, |number| {
            let condition = &conditions[number % conditions.len()];
            if number % MADE_EVERY == 0 {
                let mut random = Random::new(self.seed, "made", number);
                let samples = made::sound(number / MADE_EVERY, condition.samples(), &mut random);
                let condition = "unknown: no music";
                return self.ask(&samples, &Truth { condition, song: "", place: None, sources: [&[]; 2] });
            }
            let Some(excerpt) = draw.excerpt(condition, number) else { return Ok(Vec::new()) };
            let (song, sources) = (&excerpt.clip.song, excerpt.sources);
            self.ask(&excerpt.samples, &Truth { condition: "unknown: music", song, place: None, sources })
        })?;
        all.sort_by(|a, b| a.1.condition.cmp(&b.1.condition));
        Ok(all)
    }

    fn draw(&self, unknown: bool) -> Draw<'_> {
        let mine = |clip: &&Clip| self.half.is_none_or(|half| clip.half == half);
        Draw {
            clips: self.clips.iter().filter(mine).filter(|clip| clip.unknown == unknown).collect(),
            others: self.clips.iter().filter(mine).filter(|clip| clip.unknown).collect(),
            seed: self.seed,
        }
    }

    fn collect(
        &self,
        count: usize,
        one: impl Fn(usize) -> Result<Vec<(u32, Asked)>> + Send + Sync,
    ) -> Result<Vec<(u32, Asked)>> {
        let each: Vec<_> = match self.encrypted {
            None => (0..count).into_par_iter().map(one).collect::<Result<_>>()?,
            // Client and daemon need the cores. If all of them waited here, it would be a deadlock.
            Some(_) => (0..count).map(one).collect::<Result<_>>()?,
        };
        Ok(each.into_iter().flatten().collect())
    }

    fn ask(&self, samples: &[f32], truth: &Truth) -> Result<Vec<(u32, Asked)>> {
        let start = Instant::now();
        // A recording without a fingerprint is not recognised.
        let candidates = query_candidates(samples, self.settings).unwrap_or_default();
        let fingerprint = start.elapsed();
        let seconds = samples.len() as f64 / f64::from(SAMPLE_RATE);
        let question = Question { settings: self.settings.clone(), candidates, seconds };
        self.asked
            .iter()
            .map(|&most| {
                let start = Instant::now();
                let reply = self.reply(&question, most)?;
                let milliseconds = (fingerprint + start.elapsed()).as_secs_f64() * 1e3;
                Ok((most, self.judge(truth, &reply, milliseconds)))
            })
            .collect()
    }

    fn reply(&self, question: &Question, most: u32) -> Result<Reply> {
        if let Some(encrypted) = self.encrypted {
            let answer = encrypted.ask(question.clone())?;
            let clip = encrypted.clip(&answer, 0);
            let (asked, labels) = (answer.named.hashes_asked, answer.named.labels);
            return Ok(Reply { verdict: answer.named.verdict, clip, asked, labels });
        }
        let (verdict, asked, labels) = self.index.ask(&question.candidates, most, question.seconds)?;
        let clip = verdict.candidates.first().and_then(|best| self.index.clip(best.track));
        Ok(Reply { verdict, clip, asked, labels })
    }

    fn judge(&self, truth: &Truth, reply: &Reply, milliseconds: f64) -> Asked {
        let best = reply.verdict.candidates.first();
        let found = reply.clip.map(|clip| &self.clips[clip]);
        let outcome = match (best, truth.place) {
            (None, _) => Outcome::None,
            (Some(best), Some((clip, from))) => {
                let there = (best.offset_seconds - from).abs() < OFFSET_SECONDS;
                if found.is_some_and(|found| found.path == clip.path) && there {
                    Outcome::Right
                } else if found.is_some_and(|found| found.song == clip.song) {
                    Outcome::Song
                } else {
                    another(best, found, truth)
                }
            }
            (Some(best), None) => another(best, found, truth),
        };
        Asked {
            condition: truth.condition.to_owned(),
            song: truth.song.to_owned(),
            found: found.map_or("", |found| &found.song).to_owned(),
            outcome,
            score: best.map_or(0.0, |best| best.score),
            accepted: reply.verdict.best.is_some(),
            asked: reply.asked,
            labels: reply.labels,
            milliseconds,
        }
    }
}

/// The outcome of an answer that names another song: wrong, unless that clip's audio is in the recording.
fn another(best: &Match, found: Option<&Clip>, truth: &Truth) -> Outcome {
    // Answers with low scores are never accepted, and the proof takes a while.
    let Some(found) = found.filter(|_| best.score > PROVE_FROM * THRESHOLD) else { return Outcome::Wrong };
    let proven = |source: &&[f32]| shared::peak(source, &found.samples) >= shared::PROOF;
    if truth.sources.iter().any(proven) { Outcome::Shared } else { Outcome::Wrong }
}
