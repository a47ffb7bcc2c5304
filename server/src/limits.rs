//! How often one client may ask (a token bucket per address), and how many connections it may hold.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Most clients to remember; full buckets are forgotten first.
const CLIENTS: usize = 64 * 1024;

/// Token buckets that hold one minute's worth of tokens.
pub(crate) struct RateLimit {
    per_minute: f64,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl RateLimit {
    /// A limit of `per_minute`; 0: no limit.
    pub fn new(per_minute: u64) -> RateLimit {
        RateLimit { per_minute: per_minute as f64, buckets: Mutex::default() }
    }

    /// Takes a token, or returns how long it takes until one is available.
    pub fn take(&self, client: IpAddr, now: Instant) -> Result<(), Duration> {
        self.draw(client, now, 1.0, 1.0)
    }

    /// As [`RateLimit::take`], but does not remove the token.
    pub fn look(&self, client: IpAddr, now: Instant) -> Result<(), Duration> {
        self.draw(client, now, 1.0, 0.0)
    }

    /// Takes `tokens` tokens, or returns how long it takes until they are available. A request for more than a bucket
    /// holds takes a full bucket.
    pub fn take_many(&self, client: IpAddr, tokens: u64, now: Instant) -> Result<(), Duration> {
        self.draw(client, now, tokens as f64, tokens as f64)
    }

    /// Removes `amount` if at least `wanted` are available.
    fn draw(&self, client: IpAddr, now: Instant, wanted: f64, amount: f64) -> Result<(), Duration> {
        let full = self.per_minute;
        if full == 0.0 {
            return Ok(());
        }
        let wanted = wanted.min(full);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let name = network_of(client);
        if buckets.len() >= CLIENTS && !buckets.contains_key(&name) {
            self.forget(&mut buckets, now);
        }
        let bucket = buckets.entry(name).or_insert(Bucket { tokens: full, filled: now });
        bucket.tokens = self.tokens(bucket, now);
        bucket.filled = now;
        if bucket.tokens >= wanted {
            bucket.tokens -= amount.min(full);
            return Ok(());
        }
        Err(Duration::from_secs_f64((wanted - bucket.tokens) * 60.0 / full))
    }

    fn tokens(&self, bucket: &Bucket, now: Instant) -> f64 {
        let gained = now.saturating_duration_since(bucket.filled).as_secs_f64() * self.per_minute / 60.0;
        (bucket.tokens + gained).min(self.per_minute)
    }

    /// Forgets full buckets, which hold no information. If none is full, forgets all: memory has priority.
    fn forget(&self, buckets: &mut HashMap<IpAddr, Bucket>, now: Instant) {
        buckets.retain(|_, bucket| self.tokens(bucket, now) < self.per_minute);
        if buckets.len() >= CLIENTS {
            buckets.clear();
        }
    }
}

/// Allows one log line a second, because anybody on the network can cause some.
pub(crate) struct LogLimit {
    start: Instant,
    /// Seconds since the start at which the next line is allowed.
    next: AtomicU64,
    withheld: AtomicU64,
}

impl LogLimit {
    pub fn new(start: Instant) -> LogLimit {
        LogLimit { start, next: AtomicU64::new(0), withheld: AtomicU64::new(0) }
    }

    /// Whether a line may be written now, and how many were suppressed since the last one.
    pub fn allow(&self, now: Instant) -> Option<u64> {
        let second = now.saturating_duration_since(self.start).as_secs();
        if self.next.fetch_max(second + 1, Relaxed) > second {
            self.withheld.fetch_add(1, Relaxed);
            return None;
        }
        Some(self.withheld.swap(0, Relaxed))
    }
}

/// Open connections, by client.
pub(crate) struct Seats {
    per_client: usize,
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// One open connection; dropping it frees the seat.
pub(crate) struct Seat {
    seats: Arc<Seats>,
    client: IpAddr,
}

impl Seats {
    pub fn new(per_client: u32) -> Arc<Seats> {
        Arc::new(Seats { per_client: per_client as usize, taken: Mutex::default() })
    }

    /// Takes a seat, unless this client already has the maximum.
    pub fn take(self: &Arc<Self>, client: IpAddr) -> Option<Seat> {
        let client = network_of(client);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(client).or_default();
        if *count >= self.per_client {
            return None;
        }
        *count += 1;
        Some(Seat { seats: self.clone(), client })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.client);
            }
        }
    }
}

/// The client's network: a client controls the last 64 bits of its IPv6 address.
fn network_of(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_minutes_worth_then_one_at_a_time() {
        let (limit, start) = (RateLimit::new(60), Instant::now());
        assert!((0..60).all(|_| limit.take(ip("10.0.0.1"), start).is_ok()));
        let wait = limit.take(ip("10.0.0.1"), start).unwrap_err();
        assert!(wait > Duration::from_millis(900) && wait < Duration::from_millis(1100));
        assert!(limit.take(ip("10.0.0.2"), start).is_ok());
        assert!(limit.take(ip("10.0.0.1"), start + Duration::from_millis(1100)).is_ok());
        assert!(limit.take(ip("10.0.0.1"), start + Duration::from_millis(1100)).is_err());
        assert!((0..60).all(|_| limit.take(ip("10.0.0.1"), start + Duration::from_secs(600)).is_ok()));
    }

    #[test]
    fn bytes_are_taken_many_at_a_time_and_too_many_take_all() {
        let (limit, start) = (RateLimit::new(6000), Instant::now());
        assert!(limit.take_many(ip("10.0.0.1"), 5000, start).is_ok());
        let wait = limit.take_many(ip("10.0.0.1"), 2000, start).unwrap_err();
        assert!(wait > Duration::from_secs(9) && wait < Duration::from_secs(11));
        assert!(limit.take_many(ip("10.0.0.1"), u64::MAX, start + Duration::from_secs(49)).is_err());
        assert!(limit.take_many(ip("10.0.0.1"), u64::MAX, start + Duration::from_secs(51)).is_ok());
    }

    #[test]
    fn one_line_a_second_is_allowed_and_the_rest_is_counted() {
        let start = Instant::now();
        let log = LogLimit::new(start);
        let after = |milliseconds| log.allow(start + Duration::from_millis(milliseconds));
        assert_eq!(
            [after(0), after(1), after(999), after(1000), after(1001)],
            [Some(0), None, None, Some(2), None]
        );
        assert_eq!(after(60_000), Some(1));
    }

    #[test]
    fn one_household_is_one_client() {
        let (limit, now) = (RateLimit::new(1), Instant::now());
        assert!(limit.take(ip("2001:db8::1"), now).is_ok());
        assert!(limit.take(ip("2001:db8::2"), now).is_err());
        assert!(limit.take(ip("2001:db8:0:1::1"), now).is_ok());
        assert!(limit.take(ip("10.0.0.1"), now).is_ok());
        assert!(limit.take(ip("::ffff:10.0.0.1"), now).is_err());
    }

    #[test]
    fn zero_is_no_limit_and_memory_is_bounded() {
        let now = Instant::now();
        let none = RateLimit::new(0);
        assert!((0..1000).all(|_| none.take(ip("10.0.0.1"), now).is_ok()));
        let limit = RateLimit::new(2);
        for i in 0..CLIENTS as u32 + 10 {
            let _ = limit.take(IpAddr::V4(i.into()), now);
        }
        assert!(limit.buckets.lock().unwrap().len() <= CLIENTS);
    }

    #[test]
    fn seats_are_free_again_when_their_connection_ends() {
        let seats = Seats::new(2);
        let first = seats.take(ip("10.0.0.1"));
        let _second = seats.take(ip("::ffff:10.0.0.1")).unwrap();
        assert!(seats.take(ip("10.0.0.1")).is_none() && seats.take(ip("10.0.0.2")).is_some());
        drop(first);
        assert!(seats.take(ip("10.0.0.1")).is_some());
        assert_eq!(seats.taken.lock().unwrap().len(), 1);
    }
}
