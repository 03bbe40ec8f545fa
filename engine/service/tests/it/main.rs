//! The service over real connections: a server on a port of loopback, requests as anybody would send them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
// Tests look at the real clock; the code under test is given one.
#![allow(clippy::disallowed_methods)]

mod alerts;
mod api;
mod bench;
mod bounds;
mod burst;
mod life;
mod local;
mod notify;
mod once;
mod openapi;
mod readiness;
mod restart;
mod rights;
mod schedules;
mod streams;
mod takeover;
mod tls;
mod traces;
mod unlucky;
mod verbs;
mod workshop;
