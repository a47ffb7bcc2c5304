//! What an observer can learn from a connection's datagrams.

use std::time::{Duration, Instant};

use crate::support::relay::{FULL, Seen};

/// Least number of full datagrams of a message that counts. The smallest, a model's scores, has about 20. QUIC uses up to
/// a dozen each way for the handshake and for finding out how long a datagram may be; requests for hints have one or two.
const LEAST: usize = 16;

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
    let mut messages: Vec<Message> = runs.collect();
    // The shortest runs go first, so that a message interrupted by a stray datagram becomes one again.
    while let Some(place) = (0..messages.len()).min_by_key(|&place| messages[place].datagrams)
        && messages[place].datagrams < LEAST
    {
        messages.remove(place);
        if (1..messages.len()).contains(&place) {
            let after = messages.remove(place);
            messages[place - 1].take(&after);
        }
    }
    messages.into_iter().skip_while(|message| !message.from_client).collect()
}

impl Message {
    /// Adds the next run in the same direction.
    fn take(&mut self, after: &Message) {
        self.last = after.last;
        self.bytes += after.bytes;
        self.datagrams += after.datagrams;
    }
}

/// For every answer except the last, in order, the time from its last datagram to the first one of the next request.
pub fn pauses(connection: &[Seen]) -> Vec<Duration> {
    let messages = messages(connection);
    let next = |two: &[Message]| (!two[0].from_client).then(|| two[1].first - two[0].last);
    messages.windows(2).filter_map(next).collect()
}

/// The times at which the last datagrams of the requests were on the line, in order.
pub fn requests(connection: &[Seen]) -> Vec<Instant> {
    messages(connection).iter().filter(|message| message.from_client).map(|message| message.last).collect()
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
        seen.extend((3..30).map(|n| (n, false, 1452))); // hints
        seen.extend((30..34).flat_map(|n| [(n, true, 1400), (n, false, 1400)])); // how long may a datagram be?
        for (from, client) in [(40, true), (70, false), (100, true)] {
            seen.extend((0..9).map(|n| (from + n, client, 1452)));
            seen.extend([(from + 9, !client, 1452), (from + 9, !client, 40)]); // a stray, an acknowledgement
            seen.extend((10..20).map(|n| (from + n, client, 1452)));
        }
        seen.extend((0..20).map(|n| (140 + n, false, 1452)));
        seen.extend([(160, false, 100), (161, true, 40), (175, true, 45)]);
        let connection = connection(&seen);
        let ways: Vec<bool> = messages(&connection).iter().map(|message| message.from_client).collect();
        assert_eq!(ways, [true, false, true, false]);
        assert_eq!(pauses(&connection), [Duration::from_millis(11)]);
        let begin = connection[0].at;
        let sent: Vec<u128> = requests(&connection).iter().map(|&at| (at - begin).as_millis()).collect();
        assert_eq!(sent, [59, 119]);
        let after = After::of(&connection).unwrap();
        assert_eq!(after.times.len(), 2);
        assert_eq!(after.goodbye(), Duration::from_millis(16));
    }
}
