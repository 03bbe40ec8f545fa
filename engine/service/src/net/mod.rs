//! Connections: over the network, and over the socket in the data folder.

mod connection;
mod listen;
mod socket;
mod stall;
mod tls;

pub(crate) use connection::Doors;
pub(crate) use listen::{bind, network};
pub(crate) use socket::{Socket, connect, local};
pub(crate) use tls::Tls;
