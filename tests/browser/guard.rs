//! Attacks from other sites and other users of this machine, as plain clients that send arbitrary requests.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use crate::page::Web;
use crate::support::User;

/// Sends a request and returns the head of the response.
fn ask(web: &Web, method: &str, path: &str, headers: &[(&str, &str)]) -> String {
    let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    let mut stream = TcpStream::connect(web.origin().strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(crate::support::DEADLINE)).unwrap();
    stream.write_all(format!("{request}\r\n").as_bytes()).unwrap();
    // The head is enough.
    let lines = BufReader::new(stream).lines().map(|line| line.expect("a whole head"));
    lines.take_while(|line| !line.is_empty()).map(|line| line + "\n").collect()
}

#[track_caller]
fn assert_status(response: &str, status: &str) {
    assert!(response.starts_with(&format!("HTTP/1.1 {status}")), "{response}");
}

#[test]
fn the_page_may_load_its_own_parts_and_nothing_else() {
    let user = User::new();
    let web = Web::start(&user, &[]);
    let host = web.origin().strip_prefix("http://").unwrap();
    for path in ["/", "/main.js", "/look.css", "/nothing"] {
        let response = ask(&web, "GET", path, &[("Host", host)]);
        assert_status(&response, if path == "/nothing" { "404" } else { "200" });
        let policy = response.lines().find(|line| line.starts_with("content-security-policy: ")).unwrap();
        for rule in
            ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"]
        {
            assert!(policy.contains(rule), "{policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        assert!(!response.to_ascii_lowercase().contains("access-control-allow"), "{response}");
    }
}

#[test]
fn other_sites_are_refused_whatever_they_hold() {
    let user = User::new();
    let web = Web::start(&user, &[]);
    let (host, key) = (web.origin().strip_prefix("http://").unwrap(), web.key());
    let status = |headers: &[(&str, &str)]| ask(&web, "POST", "/status", headers);
    let page = ("x-psi-shazam-page", key);
    assert_status(&status(&[("Host", host), ("Origin", web.origin()), page]), "200");
    assert_status(&status(&[("Host", host), ("Origin", web.origin())]), "403");
    assert_status(&status(&[("Host", host), ("Origin", web.origin()), ("x-psi-shazam-page", "0")]), "403");
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1", "http://127.0.0.1"] {
        assert_status(&status(&[("Host", host), ("Origin", origin), page]), "403");
    }
    assert_status(&status(&[("Host", host), page]), "403");
    // DNS rebinding: a foreign name that points here. Its scripts have a matching origin, but the name is wrong.
    let rebound = [("Host", "evil.example:80"), ("Origin", "http://evil.example:80"), page];
    assert_status(&status(&rebound), "403");
    assert_status(&ask(&web, "GET", "/", &[("Host", "evil.example")]), "403");
}

#[test]
fn sockets_are_for_the_page_only() {
    let user = User::new();
    let web = Web::start(&user, &[]);
    let host = web.origin().strip_prefix("http://").unwrap();
    let upgrade = |origin: Option<&str>| {
        let mut stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(crate::support::DEADLINE)).unwrap();
        let origin = origin.map(|origin| format!("Origin: {origin}\r\n")).unwrap_or_default();
        let request = format!(
            "GET /session HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{origin}\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        String::from_utf8(head.to_vec()).unwrap()
    };
    assert_eq!(upgrade(Some(web.origin())), "HTTP/1.1 101");
    assert_eq!(upgrade(Some("http://evil.example")), "HTTP/1.1 403");
    assert_eq!(upgrade(None), "HTTP/1.1 403");
}

#[test]
fn other_machines_are_kept_out_unless_that_is_said() {
    let user = User::new();
    let refused = user.run(["web", "--listen", "0.0.0.0:0"]);
    refused.assert_error(&["0.0.0.0:0", "--expose", "127.0.0.1"]);
    let web = Web::start(&user, &[]);
    let taken = user.run(["web", "--listen", web.origin().strip_prefix("http://").unwrap()]);
    taken.assert_error(&["is taken", "127.0.0.1:0"]);
}
