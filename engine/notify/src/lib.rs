//! Who is told what: messages, templates, mail and webhooks, limits and retries, and links that answer an approval.
//!
//! What is news of a run follows from its events ([`news`]), so it is found again after a crash. A message is written into the
//! outbox ([`Outbox`]) before it is sent, and sent until the other side has taken it: at least once, and not again after that.
//! [`Courier`] knows the two ways, SMTP and HTTP; nothing else here touches a network.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod courier;
mod dispatch;
mod http;
mod lanes;
mod limit;
pub mod link;
mod mail;
mod message;
mod news;
mod outbox;
mod steps;
mod template;

pub use crate::courier::{Courier, Refused};
pub use crate::dispatch::{Counts, Dispatcher, Setting};
pub use crate::message::{Message, More, rfc3339};
pub use crate::news::{News, may_be_news, news};
pub use crate::outbox::{Entry, Outbox, State};
pub use crate::steps::NotifySteps;
