//! Real clients and real servers over QUIC on loopback, with made-up tracks and no database.

mod abuse;
mod answers;
mod caching;
mod hostile_clients;
mod hostile_servers;
mod limits;
mod models;
mod opener;
mod pinning;
mod support;
mod tokens;
