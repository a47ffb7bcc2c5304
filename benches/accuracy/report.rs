//! From verdicts to a table.

use serde::Serialize;

/// How one query ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The best candidate is the right track at the right offset.
    Right,
    /// It is another clip or another place of the right song.
    Song,
    /// It is another song, but its audio is in the recording sample for sample.
    Shared,
    /// It is another song, or the recording is unknown.
    Wrong,
    /// There is no candidate.
    None,
}

/// One query.
#[derive(Debug, Clone, Serialize)]
pub struct Asked {
    pub condition: String,
    /// The song that the excerpt was taken from.
    pub song: String,
    /// The song of the best candidate, accepted or not.
    pub found: String,
    pub outcome: Outcome,
    pub score: f64,
    pub accepted: bool,
    pub asked: usize,
    pub labels: usize,
    pub milliseconds: f64,
}

/// One line of the table.
#[derive(Debug, Default, Serialize)]
pub struct Row {
    pub condition: String,
    pub queries: usize,
    /// Accepted: right track, offset within 0.1 s.
    pub right: usize,
    /// Accepted: right song, including `right`.
    pub right_song: usize,
    /// Accepted: another song that shares this audio.
    pub shared: usize,
    /// Accepted: another song.
    pub wrong: usize,
    /// Not accepted.
    pub no_match: usize,
    /// Mean number of hashes asked per query.
    pub asked: f64,
    /// Mean number of labels per query.
    pub labels: f64,
    /// Mean milliseconds per query.
    pub milliseconds: f64,
    /// Greatest score of a wrong answer, accepted or not.
    pub worst: f64,
}

impl Row {
    pub fn of(condition: &str, all: &[&Asked]) -> Row {
        let count = |test: &dyn Fn(&Asked) -> bool| all.iter().filter(|asked| test(asked)).count();
        let mean = |value: &dyn Fn(&Asked) -> f64| {
            all.iter().map(|asked| value(asked)).sum::<f64>() / all.len().max(1) as f64
        };
        let wrong = all.iter().filter(|asked| asked.outcome == Outcome::Wrong);
        Row {
            condition: condition.to_owned(),
            queries: all.len(),
            right: count(&|a| a.accepted && a.outcome == Outcome::Right),
            right_song: count(&|a| a.accepted && matches!(a.outcome, Outcome::Right | Outcome::Song)),
            shared: count(&|a| a.accepted && a.outcome == Outcome::Shared),
            wrong: count(&|a| a.accepted && a.outcome == Outcome::Wrong),
            no_match: count(&|a| !a.accepted),
            asked: mean(&|a| a.asked as f64),
            labels: mean(&|a| a.labels as f64),
            milliseconds: mean(&|a| a.milliseconds),
            worst: wrong.map(|asked| asked.score).fold(0.0, f64::max),
        }
    }

    pub fn heading() -> &'static str {
        "| condition | queries | track and offset % | right song % | shared audio | wrong | no match | asked | labels | ms | worst |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    }

    pub fn line(&self) -> String {
        let percent = |count: usize| 100.0 * count as f64 / self.queries.max(1) as f64;
        format!(
            "| {} | {} | {:.1} | {:.1} | {} | {} | {} | {:.0} | {:.0} | {:.0} | {:.1} |",
            self.condition,
            self.queries,
            percent(self.right),
            percent(self.right_song),
            self.shared,
            self.wrong,
            self.no_match,
            self.asked,
            self.labels,
            self.milliseconds,
            self.worst,
        )
    }
}
