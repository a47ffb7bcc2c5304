//! What an observer can learn from a connection's datagrams.

use std::time::{Duration, Instant};

use crate::relay::Seen;

/// A datagram of at least this many bytes contains part of a message, not only acknowledgements.
const FULL: usize = 600;
/// Least number of full datagrams of a large request. The smallest one is the model's features, with 10 kB. Requests
/// for hints are smaller, and so are QUIC's probes of a path.
const LEAST_OF_REQUEST: usize = 6;
/// Least number of full datagrams of a large answer. The smallest one is the model's scores, with 5 kB.
const LEAST_OF_ANSWER: usize = 3;

/// A run of full datagrams in one direction.
#[derive(Debug, Clone, Copy)]
pub struct Message {
    pub from_client: bool,
    pub first: Instant,
    pub last: Instant,
    pub bytes: usize,
    datagrams: usize,
}

/// The large messages of a connection: encrypted requests and their answers in turns. The handshake and short requests
/// are too small to count. What the client fetches comes before, or counts as part of an answer.
pub fn messages(connection: &[Seen]) -> Vec<Message> {
    let full: Vec<&Seen> = connection.iter().filter(|seen| seen.bytes >= FULL).collect();
    let runs = full.chunk_by(|a, b| a.from_client == b.from_client).map(|run| Message {
        from_client: run[0].from_client,
        first: run[0].at,
        last: run[run.len() - 1].at,
        bytes: run.iter().map(|seen| seen.bytes).sum(),
        datagrams: run.len(),
    });
    let mut messages: Vec<Message> = Vec::new();
    let least = |run: &Message| if run.from_client { LEAST_OF_REQUEST } else { LEAST_OF_ANSWER };
    for run in runs.filter(|run| run.datagrams >= least(run)).skip_while(|run| !run.from_client) {
        match messages.last_mut().filter(|last| last.from_client == run.from_client) {
            Some(last) => {
                last.last = run.last;
                last.bytes += run.bytes;
                last.datagrams += run.datagrams;
            }
            None => messages.push(run),
        }
    }
    messages
}

/// For every answer except the last, in order, the time from its last datagram to the first one of the next request.
pub fn pauses(connection: &[Seen]) -> Vec<Duration> {
    let messages = messages(connection);
    let next = |two: &[Message]| (!two[0].from_client).then(|| two[1].first - two[0].last);
    messages.windows(2).filter_map(next).collect()
}

/// The start times of the requests, in order.
pub fn requests(connection: &[Seen]) -> Vec<Instant> {
    messages(connection).iter().filter(|message| message.from_client).map(|message| message.first).collect()
}

/// The client's datagrams after the last datagram of the last answer.
#[derive(Debug)]
pub struct After {
    /// The time from that last datagram to each of them.
    pub times: Vec<Duration>,
}

impl After {
    /// The times of a whole connection, or `None` if there was no answer or no goodbye.
    pub fn of(connection: &[Seen]) -> Option<After> {
        let last = connection.iter().rposition(|seen| !seen.from_client && seen.bytes >= FULL)?;
        let later = connection[last..].iter().filter(|seen| seen.from_client);
        let times: Vec<Duration> = later.map(|seen| seen.at - connection[last].at).collect();
        (!times.is_empty()).then_some(After { times })
    }

    /// The time of the goodbye, which is the last datagram.
    pub fn goodbye(&self) -> Duration {
        self.times[self.times.len() - 1]
    }
}

/// The last datagram of the last answer, and the client's last datagram.
pub fn ends(connection: &[Seen]) -> Option<(Seen, Seen)> {
    let answered = connection.iter().rev().find(|seen| !seen.from_client && seen.bytes >= FULL)?;
    let left = connection.iter().rev().find(|seen| seen.from_client)?;
    Some((*answered, *left))
}

pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection from (milliseconds, from the client, bytes).
    fn connection(seen: &[(u64, bool, usize)]) -> Vec<Seen> {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let stamp = |&(ms, from_client, bytes)| Seen { at: at(ms), from_client, bytes, work: 0 };
        seen.iter().map(stamp).collect()
    }

    #[test]
    fn requests_answers_and_the_goodbye_are_told_apart() {
        let mut seen = vec![(0, true, 1200), (1, false, 1200), (2, true, 60)];
        seen.extend((0..9).map(|n| (n, false, 1452))); // hints
        for (from, client) in [(10, true), (30, false), (50, true)] {
            seen.extend((0..6).map(|n| (from + n, client, 1452)));
            seen.push((from + 6, !client, 40));
        }
        seen.push((58, false, 1452)); // QUIC probes a path
        seen.push((59, true, 1452));
        seen.extend((0..9).map(|n| (70 + n, false, 1452)));
        seen.extend([(79, false, 100), (80, true, 40), (95, true, 45)]);
        let connection = connection(&seen);
        let ways: Vec<bool> = messages(&connection).iter().map(|message| message.from_client).collect();
        assert_eq!(ways, [true, false, true, false]);
        assert_eq!(pauses(&connection), [Duration::from_millis(15)]);
        assert_eq!(requests(&connection).len(), 2);
        let after = After::of(&connection).unwrap();
        assert_eq!(after.times.len(), 2);
        assert_eq!(after.goodbye(), Duration::from_millis(17));
    }
}
