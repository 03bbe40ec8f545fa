//! The service: an API over the engine, with tokens, limits, and a record of who did what.
//!
//! A call goes through `net` (connections, TLS, times), `http::guard` (who, how often, written down, once) and one handler.
//! What runs is `runs`; what can be run is `library`. The engine, the store and the compiler are given ([`Parts`],
//! [`Workshop`]), so this crate knows neither plugins nor a data format. Programs on the same machine come in over a socket in
//! the data folder ([`client`]).

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod about;
pub mod access;
pub mod alerts;
mod app;
mod audit;
pub mod client;
mod held;
mod hex;
mod http;
pub mod intake;
mod leftovers;
mod library;
mod limit;
mod measured;
mod metrics;
mod net;
mod notices;
mod once;
mod problem;
mod readiness;
mod runs;
pub mod schedules;
mod server;
mod traces;
mod watch;
mod words;
mod workshop;

pub use crate::app::Parts;
pub use crate::audit::Entry;
#[cfg(feature = "openapi")]
pub use crate::http::openapi;
pub use crate::http::{
    AlertsPage, ApproveBody, AttestBody, CancelBody, DueView, EventView, IncidentList, MadeToken, MarkDoneBody, Me,
    NewMode, NewPlan, NewReadiness, NewRun, NotificationView, PlanView, ReadinessPage, RunRow, RunView, RunsPage,
    SaidBody, ScheduleList, ScheduleView, SnapshotsPage, StepView, Tested, paths,
};
pub use crate::library::RunbookView;
pub use crate::measured::Measured;
pub use crate::metrics::Metrics;
pub use crate::problem::Problem;
pub use crate::readiness::{LookedAt, too_long};
pub use crate::server::Server;
pub use crate::workshop::{
    AlertTrigger, Asked, Compiled, Diagnosis, InputView, Looked, Refused, ScheduleRule, SnapshotView, Workshop,
};
