//! The browser's part: the page's WebSocket, implemented by hand.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::songs::{RATE, floats};
use crate::support::DEADLINE;

const BINARY: u8 = 2;
const TEXT: u8 = 1;
const CLOSE: u8 = 8;
/// Interval between two messages of samples, as in a browser.
const PIECE: Duration = Duration::from_millis(100);

/// A running `psi-shazam web`. It is killed when dropped.
pub struct Page {
    program: Child,
    address: String,
    token: String,
}

impl Page {
    /// Starts it with this command.
    pub fn start(mut command: Command) -> Page {
        let mut program = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(program.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let place = line.split_once("http://").expect("an address").1.trim();
        let (address, token) = place.split_once("/#").expect("a key");
        Page { program, address: address.to_owned(), token: token.to_owned() }
    }

    /// Sends `samples` in real time and waits for the end. Returns when the first of them was sent, and what the page
    /// was told.
    pub fn record(&self, samples: &[f32]) -> (Instant, Vec<Value>) {
        let mut socket = self.connect();
        let hello = json!({ "ask": "record", "token": self.token, "rate": RATE });
        send(&mut socket, TEXT, hello.to_string().as_bytes());
        let told = socket.try_clone().unwrap();
        let told = std::thread::spawn(move || listen(told));
        let start = Instant::now();
        for (number, piece) in samples.chunks(RATE / 10).enumerate() {
            std::thread::sleep((start + PIECE * number as u32).saturating_duration_since(Instant::now()));
            send(&mut socket, BINARY, &floats(piece));
        }
        (start, told.join().unwrap())
    }

    fn connect(&self) -> TcpStream {
        let mut socket = TcpStream::connect(&self.address).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let host = &self.address;
        // The WebSocket key is any 16 bytes. Only browsers check the server's reply to it.
        let request = format!(
            "GET /session HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n\r\n"
        );
        socket.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            socket.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
        socket
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

/// Sends one frame (RFC 6455, section 5.2). The mask is all zeros, which leaves the bytes unchanged. Errors are
/// ignored: a page that has heard enough closes while samples are on their way.
fn send(socket: &mut TcpStream, opcode: u8, payload: &[u8]) {
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        length @ 0..126 => frame.push(0x80 | length as u8),
        length => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    let _ = socket.write_all(&frame);
}

/// Receives all text messages up to the end.
fn listen(mut socket: TcpStream) -> Vec<Value> {
    let mut told = Vec::new();
    while let Ok((opcode, payload)) = receive(&mut socket) {
        match opcode {
            TEXT => told.push(serde_json::from_slice(&payload).unwrap()),
            CLOSE => break,
            _ => {}
        }
    }
    told
}

fn receive(socket: &mut TcpStream) -> std::io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 2];
    socket.read_exact(&mut head)?;
    let length = match head[1] & 0x7f {
        126 => {
            let mut length = [0; 2];
            socket.read_exact(&mut length)?;
            u64::from(u16::from_be_bytes(length))
        }
        127 => {
            let mut length = [0; 8];
            socket.read_exact(&mut length)?;
            u64::from_be_bytes(length)
        }
        length => length.into(),
    };
    let mut payload = vec![0; length as usize];
    socket.read_exact(&mut payload)?;
    Ok((head[0] & 0x0f, payload))
}
