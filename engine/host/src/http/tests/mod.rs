//! Requests against real servers on loopback that behave as badly as servers do.

mod faults;
mod place;
mod secrecy;
mod tls;
