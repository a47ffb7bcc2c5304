//! The clock that replaces the wall clock in QUIC.

use std::time::{Instant, SystemTime};

use quinn::TimeSource;

/// Starts with the wall clock's time and then advances independently. QUIC dates the tokens by which clients prove
/// their address. If the wall clock were set in between, tokens would appear too old, or from the future.
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
