//! Which requests are answered: only those of the page itself, from this machine.
//!
//! A browser lets any site send requests to the user's machine. Three checks prevent that. The host name: a site
//! whose name is made to point here (DNS rebinding) still sends its own name. The origin: browsers state it and
//! scripts cannot change it. And a token, which also keeps other users of this machine out.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, HOST, HeaderName, HeaderValue, ORIGIN, UPGRADE};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use rand::RngCore;
use rand::rngs::OsRng;
use sha2::{Digest, Sha256};

use super::App;

/// What the page may do: load its own files and talk to the program that served it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
    trusted-types 'none'";

const HEADERS: &[(&str, &str)] = &[
    ("content-security-policy", POLICY),
    ("cache-control", "no-store"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "microphone=(self), camera=(), geolocation=(), display-capture=()"),
    ("referrer-policy", "same-origin"),
    ("x-content-type-options", "nosniff"),
];

/// A key of 128 random bits in the page's address; kept as its digest.
pub struct PageToken(Sha256Digest);

type Sha256Digest = [u8; 32];

impl PageToken {
    /// Draws a token; the text is for the page's address.
    pub fn draw() -> (PageToken, String) {
        let mut bytes = [0; 16];
        OsRng.fill_bytes(&mut bytes);
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        (PageToken(Sha256::digest(&text).into()), text)
    }

    /// Whether `text` is the token. Digests are compared, so the time of the comparison does not help to guess the
    /// text.
    pub fn fits(&self, text: &str) -> bool {
        self.0 == Sha256Digest::from(Sha256::digest(text))
    }
}

/// Lets the page's own requests in, and tells the browser what the page may do.
pub async fn layer(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let mut response = match check(request.method(), request.headers(), app.expose) {
        Ok(()) => next.run(request).await,
        Err(reason) => (StatusCode::FORBIDDEN, format!("{reason}\n")).into_response(),
    };
    for &(name, value) in HEADERS {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

/// Whether a request comes from the page, or is for the page itself.
fn check(method: &Method, headers: &HeaderMap, expose: bool) -> Result<(), &'static str> {
    let host = one(headers, HOST)?.ok_or("no Host header")?;
    if !may_be_called(host, expose) {
        return Err("this page does not answer under that name");
    }
    match one(headers, ORIGIN)? {
        Some(origin) if is_ours(origin, host, expose) => Ok(()),
        Some(_) => Err("requests from other sites are refused"),
        // Browsers omit it when they load a page or its parts. Such requests change nothing and reveal nothing.
        None if method == Method::GET && !wants_upgrade(headers) => Ok(()),
        None => Err("no Origin header"),
    }
}

/// The only value of a header.
fn one(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, &'static str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next().map(HeaderValue::to_str).transpose().map_err(|_| "a header is not text")?;
    if values.next().is_some() { Err("a header came twice") } else { Ok(first) }
}

/// Whether `host` is an IP address or `localhost`: names that nobody can make point here. The port is not checked,
/// because a tunnel may change it.
fn may_be_called(host: &str, expose: bool) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let number = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    match number.parse::<IpAddr>() {
        Ok(address) => expose || address.is_loopback(),
        // With `--expose`, a proxy in front checks the names; the origin must still match the host.
        Err(_) => expose || name.eq_ignore_ascii_case("localhost"),
    }
}

fn is_ours(origin: &str, host: &str, expose: bool) -> bool {
    let site = origin.strip_prefix("http://").or(origin.strip_prefix("https://").filter(|_| expose));
    site.is_some_and(|site| site.eq_ignore_ascii_case(host))
}

fn wants_upgrade(headers: &HeaderMap) -> bool {
    headers.contains_key(UPGRADE)
        || headers
            .get_all(CONNECTION)
            .iter()
            .any(|value| value.to_str().is_ok_and(|value| value.to_ascii_lowercase().contains("upgrade")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(method: Method, headers: &[(&'static str, &str)], expose: bool) -> bool {
        let mut map = HeaderMap::new();
        for &(name, value) in headers {
            map.append(name, value.parse().unwrap());
        }
        check(&method, &map, expose).is_ok()
    }

    #[test]
    fn only_names_that_cannot_be_made_to_point_here() {
        for host in ["127.0.0.1:8080", "127.9.9.9", "localhost:9000", "LOCALHOST", "[::1]:8080", "[::1]"] {
            assert!(answered(Method::GET, &[("host", host)], false), "{host}");
        }
        for host in
            ["evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "192.168.1.2:80", ""]
        {
            assert!(!answered(Method::GET, &[("host", host)], false), "{host}");
        }
        assert!(!answered(Method::GET, &[], false));
        assert!(!answered(Method::GET, &[("host", "localhost"), ("host", "evil.example")], false));
        assert!(answered(Method::GET, &[("host", "192.168.1.2:80")], true));
    }

    #[test]
    fn only_the_pages_own_requests() {
        let host = ("host", "127.0.0.1:8080");
        let ours = ("origin", "http://127.0.0.1:8080");
        assert!(answered(Method::POST, &[host, ours], false));
        assert!(answered(Method::GET, &[host, ours, ("upgrade", "websocket")], false));
        for origin in ["http://127.0.0.1:9999", "https://127.0.0.1:8080", "http://localhost:8080", "null", ""]
        {
            assert!(!answered(Method::POST, &[host, ("origin", origin)], false), "{origin}");
            assert!(!answered(Method::GET, &[host, ("origin", origin)], false), "{origin}");
        }
        assert!(!answered(Method::POST, &[host], false));
        assert!(!answered(Method::GET, &[host, ("upgrade", "websocket")], false));
        assert!(!answered(Method::GET, &[host, ("connection", "keep-alive, Upgrade")], false));
        assert!(answered(Method::POST, &[("host", "a.example"), ("origin", "https://a.example")], true));
    }

    #[test]
    fn a_token_fits_itself_only() {
        let ((token, text), (_, other)) = (PageToken::draw(), PageToken::draw());
        assert_eq!(text.len(), 32);
        assert!(token.fits(&text));
        assert!(!token.fits(&other) && !token.fits("") && !token.fits(&text[..31]));
    }
}
