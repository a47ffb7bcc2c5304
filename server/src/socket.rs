//! A server's socket, and the QUIC settings for it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use quinn::congestion::CubicConfig;
use quinn::{IdleTimeout, TransportConfig, VarInt};
use socket2::{Domain, Protocol, Socket, Type};

use crate::Error;
use crate::config::Config;

/// Bytes in flight per connection: 4 MiB allow 40 MB/s at 100 ms.
const WINDOW: u32 = 4 * 1024 * 1024;
/// Bytes sent before the first acknowledgement: 32 packets, as large web servers do. The usual ten packets would cost
/// an answer of a megabyte two more round trips.
const FIRST_FLIGHT: u64 = 32 * 1200;
/// Size of the socket's buffers; the system may grant less.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;

/// QUIC's limits on data in flight, and its timeouts.
pub(crate) fn transport_config(config: &Config) -> Result<TransportConfig, Error> {
    let mut cubic = CubicConfig::default();
    cubic.initial_window(FIRST_FLIGHT);
    let idle = IdleTimeout::try_from(config.idle_timeout).map_err(|error| Error::Tls(error.to_string()))?;
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(config.max_streams_per_connection))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(idle))
        .stream_receive_window(VarInt::from_u32(WINDOW))
        .receive_window(VarInt::from_u32(WINDOW))
        .send_window(WINDOW.into())
        .congestion_controller_factory(Arc::new(cubic));
    Ok(transport)
}

/// Opens the socket; the unspecified IPv6 address also accepts IPv4.
pub(crate) fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    match bind_one(address) {
        Err(error) if address.is_ipv6() && address.ip().is_unspecified() && !in_use(&error) => {
            bind_one((Ipv4Addr::UNSPECIFIED, address.port()).into())
        }
        bound => bound,
    }
}

fn in_use(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied)
}

fn bind_one(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    // A smaller buffer than requested is no reason not to serve.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    socket.bind(&address.into())?;
    Ok(socket.into())
}
