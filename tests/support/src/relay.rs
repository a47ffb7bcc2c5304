//! An observer on the line, who forwards datagrams and timestamps each of them.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use crate::work_of;

/// Bytes of a socket's buffer, large enough that an answer arrives without loss.
const BUFFER: usize = 4 << 20;
/// Interval between two checks whether a held line is free.
const LOOK: Duration = Duration::from_millis(5);
/// A connection is over when the server sends nothing for this long.
const SILENCE: Duration = Duration::from_secs(45);

/// A datagram of at least this many bytes contains part of a message, not only acknowledgements.
pub const FULL: usize = 600;

/// A datagram as an observer sees it.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// When it came.
    pub at: Instant,
    /// Whether the client sent it.
    pub from_client: bool,
    /// Its length.
    pub bytes: usize,
    /// CPU time of the watched process by then, in clock ticks; 0 if none is watched.
    pub work: u64,
}

/// All datagrams of one connection, in order.
pub type Connection = Vec<Seen>;

/// A relay in front of a server. It runs until the process ends.
pub struct Relay {
    /// Where clients connect.
    pub address: SocketAddr,
    noted: Arc<Mutex<Noted>>,
}

#[derive(Default)]
struct Noted {
    connections: Vec<Connection>,
    /// Where they come from, in the same order.
    clients: Vec<SocketAddr>,
    watched: Option<u32>,
    /// Whether the server's datagrams wait.
    held: Arc<AtomicBool>,
}

impl Relay {
    /// Starts a relay on a free port.
    pub fn start(server: SocketAddr) -> Relay {
        let front = Arc::new(socket());
        let (address, noted) = (front.local_addr().unwrap(), Arc::new(Mutex::default()));
        let notes = Arc::clone(&noted);
        thread::spawn(move || pass_on(&front, server, &notes));
        Relay { address, noted }
    }

    /// The connections since the last call, in the order in which they began.
    pub fn take(&self) -> Vec<Connection> {
        let mut noted = lock(&self.noted);
        // The entries stay, because datagrams of these connections may still arrive.
        let taken: Vec<Connection> = noted.connections.iter_mut().map(std::mem::take).collect();
        taken.into_iter().filter(|connection| !connection.is_empty()).collect()
    }

    /// A copy of what [`Relay::take`] would return.
    pub fn look(&self) -> Vec<Connection> {
        let noted = lock(&self.noted);
        noted.connections.iter().filter(|connection| !connection.is_empty()).cloned().collect()
    }

    /// From now on, the server's datagrams wait, or go on.
    pub fn hold(&self, held: bool) {
        lock(&self.noted).held.store(held, SeqCst);
    }

    /// Where the newest connection comes from.
    pub fn newest_client(&self) -> Option<SocketAddr> {
        lock(&self.noted).clients.last().copied()
    }

    /// From now on, notes the CPU time of this process with every datagram.
    pub fn watch(&self, process: u32) {
        lock(&self.noted).watched = Some(process);
    }
}

fn lock(noted: &Mutex<Noted>) -> std::sync::MutexGuard<'_, Noted> {
    noted.lock().unwrap_or_else(PoisonError::into_inner)
}

fn socket() -> UdpSocket {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
    let _ = socket.set_recv_buffer_size(BUFFER);
    let _ = socket.set_send_buffer_size(BUFFER);
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.into()
}

/// Forwards from clients to the server, with a separate socket for each client.
fn pass_on(front: &Arc<UdpSocket>, server: SocketAddr, noted: &Arc<Mutex<Noted>>) {
    let mut clients: HashMap<SocketAddr, (usize, Arc<UdpSocket>)> = HashMap::new();
    let mut datagram = vec![0; 65_536];
    loop {
        let Ok((bytes, client)) = front.recv_from(&mut datagram) else { continue };
        if bytes == 0 {
            continue; // a client's check whether the port is open
        }
        let (place, back) = clients.entry(client).or_insert_with(|| {
            let back = Arc::new(socket());
            back.connect(server).unwrap();
            back.set_read_timeout(Some(SILENCE)).unwrap();
            let place = {
                let mut noted = lock(noted);
                noted.connections.push(Vec::new());
                noted.clients.push(client);
                noted.connections.len() - 1
            };
            let (front, ours, noted) = (Arc::clone(front), Arc::clone(&back), Arc::clone(noted));
            thread::spawn(move || pass_back(&front, &ours, client, place, &noted));
            (place, back)
        });
        note(noted, *place, true, bytes);
        let _ = back.send(&datagram[..bytes]);
    }
}

fn pass_back(front: &UdpSocket, back: &UdpSocket, client: SocketAddr, place: usize, noted: &Mutex<Noted>) {
    let mut datagram = vec![0; 65_536];
    let held = lock(noted).held.clone();
    loop {
        match back.recv(&mut datagram) {
            Ok(bytes) => {
                while held.load(SeqCst) {
                    thread::sleep(LOOK);
                }
                note(noted, place, false, bytes);
                let _ = front.send_to(&datagram[..bytes], client);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

fn note(noted: &Mutex<Noted>, place: usize, from_client: bool, bytes: usize) {
    let at = Instant::now();
    let mut noted = lock(noted);
    let work = noted.watched.map_or(0, |process| work_of(process).unwrap_or(0));
    noted.connections[place].push(Seen { at, from_client, bytes, work });
}
