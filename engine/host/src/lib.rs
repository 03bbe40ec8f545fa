//! The sandbox that plugins run in.
//!
//! A plugin is a WebAssembly component without any ambient world: what it can reach is what this crate lends it ([`caps`]),
//! as far as the operator grants it ([`grants`]), within bounds of memory, time and payload that no guest can leave
//! ([`guest`], [`meter`], [`bounds`]). Every call gets a fresh instance, so nothing leaks from one step to the next, and
//! guests run on threads of their own, so a spinning one starves nobody.
//!
//! Bulk bytes never pass through guest memory: a guest holds handles ([`stream`]) and says where they go. Vaults are behind
//! the traits of [`ports`]; this crate knows no vault, and the vault crate knows no WebAssembly.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

#[allow(missing_docs, clippy::all)]
mod bindings;
pub mod bounds;
mod cache;
mod caps;
mod corrupt;
mod doubt;
mod engine;
mod executor;
mod fault;
mod folder;
mod grants;
mod guest;
mod host;
mod http;
mod meter;
mod missing;
mod objects;
mod plugin;
pub mod ports;
mod query;
mod removal;
mod sentinel;
mod source;
mod stream;
pub mod temp;
mod voice;

pub use executor::Finding;
pub use grants::allow_line;
pub use host::{Host, HostOptions};
pub use http::egress::allow_host_line;
pub use lifeboat_secrets::OperatorSecrets;
pub use missing::missing_grant;
pub use sentinel::SENTINEL;
