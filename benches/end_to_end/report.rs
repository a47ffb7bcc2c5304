//! The type of the report. ../README.md explains its fields.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::Excerpt;
use crate::phases::{Floors, Phases};

/// Largest error of a right offset.
const OFFSET_TOLERANCE_SECONDS: f64 = 0.1;

#[derive(Serialize)]
pub struct Report {
    pub hours_of_audio_per_minute: f64,
    pub database_bytes_per_hour: f64,
    pub daemon_start_ms: f64,
    pub daemon_resident_bytes: u64,
    pub queries: Queries,
    pub stages: BTreeMap<String, Spread>,
    pub bytes: Value,
    pub process_ms: Spread,
    pub phases: Phases,
    pub floors: Floors,
    pub cold: Value,
    pub index: Value,
    pub database: Value,
}

/// How queries ended.
#[derive(Serialize, Default)]
pub struct Queries {
    pub asked: usize,
    pub right: usize,
    /// Right track, wrong place in it.
    pub right_track_only: usize,
    pub wrong: usize,
    pub unmatched: usize,
}

impl Queries {
    pub fn count(answers: &[Value], excerpts: &[Excerpt]) -> Queries {
        let mut queries = Queries { asked: answers.len(), ..Queries::default() };
        for (answer, excerpt) in answers.iter().zip(excerpts) {
            let found = &answer["match"];
            let offset = found["offset_seconds"].as_f64().unwrap_or(f64::INFINITY);
            let count = match found["path"].as_str() {
                None => &mut queries.unmatched,
                Some(path) if path != excerpt.track => &mut queries.wrong,
                Some(_) if (offset - excerpt.offset).abs() <= OFFSET_TOLERANCE_SECONDS => &mut queries.right,
                Some(_) => &mut queries.right_track_only,
            };
            *count += 1;
        }
        queries
    }
}

/// Median, minimum and maximum.
#[derive(Serialize)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Spread {
    pub fn of(mut values: Vec<f64>) -> Spread {
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        Spread { median: at(values.len() / 2), least: at(0), most: at(values.len().saturating_sub(1)) }
    }
}

/// The spread of every stage.
pub fn stages(answers: &[Value]) -> BTreeMap<String, Spread> {
    let mut values: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for answer in answers {
        for (stage, value) in answer["milliseconds"].as_object().into_iter().flatten() {
            values.entry(stage.clone()).or_default().extend(value.as_f64());
        }
    }
    values.into_iter().map(|(stage, values)| (stage, Spread::of(values))).collect()
}
