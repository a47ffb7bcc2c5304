//! The one place where QUIC would read the wall clock.

use std::time::{Instant, SystemTime};

use quinn::TimeSource;

/// Starts with the wall clock and then goes on by itself. QUIC dates the tokens by which clients prove their address; a
/// clock that is set in between would make them too old, or of the future.
#[derive(Debug)]
pub(crate) struct SteadyClock {
    started: (SystemTime, Instant),
}

impl SteadyClock {
    pub fn start() -> SteadyClock {
        SteadyClock { started: (SystemTime::now(), Instant::now()) }
    }
}

impl TimeSource for SteadyClock {
    fn now(&self) -> SystemTime {
        self.started.0 + self.started.1.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_goes_by_the_steady_clock_whatever_the_wall_clock_says() {
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        let clock = SteadyClock { started: (long_ago, Instant::now()) };
        let first = clock.now();
        assert!(first >= long_ago && first < long_ago + Duration::from_secs(3600));
        assert!(clock.now() >= first);
    }
}
