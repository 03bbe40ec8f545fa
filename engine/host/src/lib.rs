//! The sandbox.
pub mod ports;
