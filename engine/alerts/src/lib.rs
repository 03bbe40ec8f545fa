//! Alerts: read, matched, and decided on. Pure: the time is handed in, and nothing here reads or writes anything.
//!
//! What a service does with a body that is posted to `/v1/hooks/SOURCE`:
//!
//! 1. It finds out who sent it: by a token, or by [`verify`] with the header and the bytes as they came, and then [`Seen::take`]. Only then
//!    it reads: [`Source::read`] gives a [`Batch`], or says that it is no news.
//! 2. [`kernel::decide`] with the state, the triggers of all runbooks, [`kernel::Fact::Alerts`] and the time. The events are stored in one step
//!    and given to [`kernel::State::apply`]; then, and only then, the decisions are carried out. The verdicts are what `lifeboat alerts` shows.
//! 3. It tells the kernel what became of it: the run is there, is at its point of no return, has ended; and once a second
//!    [`kernel::Fact::Tick`], on which hold-downs end.
//! 4. After a start, the state is that of its events ([`kernel::State::from_events`], or stored as a whole), and
//!    [`kernel::State::pending`] is what had been decided on and is not known to be done.
//!
//! A message that is answered with an error is sent again by its source, and may be: every fact may come twice.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod alert;
mod alertmanager;
mod json;
pub mod kernel;
pub mod limits;
mod mapping;
mod matcher;
mod refused;
mod sign;
mod source;

pub use self::alert::{Alert, Batch, Labels, Parsed};
pub use self::alertmanager::{alertmanager, grafana};
pub use self::mapping::Mapping;
pub use self::matcher::{Matcher, Matchers, Op};
pub use self::refused::Refused;
pub use self::sign::{Scheme, Seen, Signed, sign, verify};
pub use self::source::{Kind, Source};
