//! Settings of a daemon, with the reason for each default.

use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use protocol::DEFAULT_PORT;

use crate::Error;

/// Settings of a daemon.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Address to listen on. Default `[::]:4433`, which also accepts IPv4; on a machine without IPv6 the unspecified
    /// address falls back to `0.0.0.0`.
    pub listen: SocketAddr,
    /// A connection is closed after this time without a sign of life. Default 30 s: clients send one every 5 s while
    /// they compute.
    pub idle_timeout: Duration,
    /// Longest time for reading a request or writing a response; large ones get a second more for every 64 KiB.
    /// Default 20 s, the same as clients allow.
    pub request_timeout: Duration,
    /// How long a stopping server waits for running requests. Default 5 s: a query takes less.
    pub stop_timeout: Duration,
    /// Most connections at a time. Default 256: each may hold 4 MiB of unsent answers, 1 GiB in total.
    pub max_connections: u32,
    /// Most connections per client (an IPv4 address, or 64 bits of IPv6). Default 64: a quarter of all, so that no
    /// client can shut out the others alone, and still enough for a household or a test.
    pub max_connections_per_client: u32,
    /// Most requests at a time on one connection. Default 4: a client sends one at a time.
    pub max_streams_per_connection: u32,
    /// Most bytes of requests in memory at a time. Default 256 MiB: 300 queries of 12 million postings. A single
    /// request is accepted whatever its length.
    pub upload_memory: u64,
    /// Jobs that compute at a time. Default 2: each uses all cores, and the second fills the gaps.
    pub running: usize,
    /// Jobs that may wait; further requests are told to retry later. Default 64: at 50 ms each, a client waits at
    /// most 2 s.
    pub queue: usize,
    /// OPRF batches per minute and client (an IPv4 address, or 64 bits of IPv6), and the same number of queries. A
    /// query needs one of each. 0: no limit. Default 120: a query per second, and as many retries.
    pub evaluations_per_minute: u32,
    /// OPRF batches per minute of all clients together. Default 0: no limit except the machine's capacity, set by
    /// `running` and `queue`. A limit slows down an enumeration from many addresses.
    pub evaluations_per_minute_overall: u32,
    /// Requests for manifests, catalogues and hints per minute and client. 0: no limit. Default 600: a client needs
    /// one per connection, and a few more if the catalogue has changed.
    pub setups_per_minute: u32,
    /// Whether clients must show an access token before they learn anything, including the catalogue. Default: no,
    /// because anybody may hear a song.
    pub require_token: bool,
    /// Bytes of manifests, catalogues and hints per minute and client. 0: no limit. Default 256 MiB: five first
    /// visits to the largest possible database, or fifty to one of a thousand hours.
    pub setup_bytes_per_minute: u64,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: (Ipv6Addr::UNSPECIFIED, DEFAULT_PORT).into(),
            idle_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(20),
            stop_timeout: Duration::from_secs(5),
            max_connections: 256,
            max_connections_per_client: 64,
            max_streams_per_connection: 4,
            upload_memory: 256 << 20,
            running: 2,
            queue: 64,
            evaluations_per_minute: 120,
            evaluations_per_minute_overall: 0,
            setups_per_minute: 600,
            require_token: false,
            setup_bytes_per_minute: 256 << 20,
        }
    }
}

impl Config {
    /// Checks every range.
    ///
    /// # Errors
    /// [`Error::Setting`], naming the first setting that is out of range.
    pub fn check(&self) -> Result<(), Error> {
        let range = |name, actual: u64, min, max| match (min..=max).contains(&actual) {
            true => Ok(()),
            false => Err(Error::Setting { name, actual, min, max }),
        };
        let milliseconds = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        const DAY: u64 = 24 * 3600 * 1000;
        range("idle_timeout in ms", milliseconds(self.idle_timeout), 10, DAY)?;
        range("request_timeout in ms", milliseconds(self.request_timeout), 10, DAY)?;
        range("stop_timeout in ms", milliseconds(self.stop_timeout), 0, DAY)?;
        range("max_connections", self.max_connections.into(), 1, 1 << 20)?;
        range("max_connections_per_client", self.max_connections_per_client.into(), 1, 1 << 20)?;
        range("max_streams_per_connection", self.max_streams_per_connection.into(), 1, 1024)?;
        range("upload_memory", self.upload_memory, 1 << 20, 1 << 40)?;
        range("running", self.running as u64, 1, 1024)?;
        range("queue", self.queue as u64, 0, 1 << 20)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_legal_and_nonsense_is_not() {
        let good = Config::default();
        assert!(good.check().is_ok());
        for bad in [
            Config { idle_timeout: Duration::ZERO, ..good.clone() },
            Config { request_timeout: Duration::MAX, ..good.clone() },
            Config { max_connections: 0, ..good.clone() },
            Config { max_connections_per_client: 0, ..good.clone() },
            Config { max_streams_per_connection: 0, ..good.clone() },
            Config { upload_memory: 0, ..good.clone() },
            Config { running: 0, ..good.clone() },
            Config { queue: usize::MAX, ..good.clone() },
        ] {
            assert!(matches!(bad.check(), Err(Error::Setting { .. })), "{bad:?}");
        }
    }
}
