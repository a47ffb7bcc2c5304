//! `host:port` as people write it.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};

use protocol::DEFAULT_PORT;

use crate::Error;

/// A server's address, in the form that the known-servers file stores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// A lower-case name, or an IP address without brackets.
    host: String,
    port: u16,
}

impl Address {
    /// Reads `host`, `host:port`, `[v6]:port`, `[v6]` or a bare IPv6 address.
    pub fn parse(text: &str) -> Result<Address, Error> {
        let wrong = |reason| Error::Address { address: text.to_owned(), reason };
        let (host, port) = if text.parse::<Ipv6Addr>().is_ok() {
            (text, None)
        } else if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or_else(|| wrong("a bracket is left open"))?;
            host.parse::<Ipv6Addr>().map_err(|_| wrong("no IPv6 address in the brackets"))?;
            match rest.strip_prefix(':') {
                None if rest.is_empty() => (host, None),
                None => return Err(wrong("something follows the bracket")),
                port => (host, port),
            }
        } else {
            text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)))
        };
        if host.is_empty() {
            return Err(wrong("no host"));
        }
        if host.chars().any(|c| c.is_whitespace() || c.is_control() || c == '#') {
            return Err(wrong("a host has no such characters"));
        }
        let port = port.map_or(Ok(DEFAULT_PORT), |port| port.parse().map_err(|_| wrong("no such port")))?;
        if port == 0 {
            return Err(wrong("no such port"));
        }
        Ok(Address { host: host.to_ascii_lowercase(), port })
    }

    /// Every socket address of the host.
    pub async fn resolve(&self) -> Result<Vec<SocketAddr>, Error> {
        let resolve = |source| Error::Resolve { server: self.to_string(), source };
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await.map_err(resolve)?;
        let found: Vec<SocketAddr> = found.collect();
        if found.is_empty() { Err(resolve(std::io::ErrorKind::NotFound.into())) } else { Ok(found) }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usual_form_has_one_name() {
        let name = |text: &str| Address::parse(text).unwrap().to_string();
        assert_eq!(name("Example.org:99"), "example.org:99");
        assert_eq!(name("example.org"), "example.org:4433");
        assert_eq!(name("127.0.0.1:1"), "127.0.0.1:1");
        assert_eq!(name("[::1]:5"), "[::1]:5");
        assert_eq!(name("[::1]"), "[::1]:4433");
        assert_eq!(name("::1"), "[::1]:4433");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in
            ["", ":1", "a:b", "a:0", "a:70000", "[::1", "[::1]5", "[a]:5", "a b:5", "a:1:2", "#a:1", "a\n:1"]
        {
            assert!(matches!(Address::parse(text), Err(Error::Address { .. })), "{text:?}");
        }
    }
}
