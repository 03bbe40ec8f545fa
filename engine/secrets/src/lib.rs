//! Secrets: from where the operator's file says they are, to the one call that needs them.
//!
//! A value is read when it is used. What costs a process or a request is kept for a short time ([`KEPT`]), so a new value
//! needs no restart; and whoever sees that a value was refused says so ([`Secrets::rejected`]), and the next reading is fresh.
//! A value is never printed: [`Secret`] has no text, errors name the secret and its source, and what a program prints as an
//! error or a server answers is not passed on whole.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod command;
mod guard;
mod http;
mod kept;
mod operator;
mod secret;
mod server;

pub use guard::no_core_dumps;
pub use kept::KEPT;
pub use operator::OperatorSecrets;
pub use secret::{SECRET_BYTES_MAX, Secret, Secrets, may_pass};
