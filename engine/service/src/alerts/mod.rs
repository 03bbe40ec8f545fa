//! Alerts: who may send them, what follows, and what is shown of it.
//!
//! The kernel of `lifeboat-alerts` decides; this is what it needs of a world. One task, the [`Desk`], owns its state: it takes facts, has
//! them decided on, makes events, records and the names of runs durable in one step ([`ledger`]), and only then answers and has
//! decisions carried out ([`carry`]). After a crash the state is that of the store, and what is pending is done: the name of a run was
//! noted before its start, so that a run is made once.

mod book;
mod carry;
mod clerk;
mod desk;
mod gate;
mod hooks;
mod ledger;
mod tally;
mod verified;
mod watch;
mod writing;

use std::sync::Arc;

use lifeboat_core::Error;
use lifeboat_core::ports::Store;

pub use book::{IncidentView, Record};
pub(crate) use clerk::begin;
pub(crate) use desk::{Answered, Desk};
pub(crate) use gate::ask_before_no_return;
pub use hooks::{Hook, HookKey, HookSecrets, Hooks};
pub(crate) use tally::Stranger;

/// A refusal of the pure crate, as the API tells it.
pub(crate) fn refused(refused: lifeboat_alerts::Refused) -> Error {
    Error::new(refused.code, refused.message).hint(refused.help)
}

/// The records of alerts in a store that no service has: oldest first.
///
/// # Errors
/// The store's; `LB1033` where they cannot be read.
pub async fn records(store: Arc<dyn Store>) -> Result<Vec<Record>, Error> {
    let (_, book) = ledger::Ledger::load(store).await?;
    Ok(book.records.into_iter().collect())
}

/// The incidents that are not over, of a store that no service has.
///
/// # Errors
/// As [`records`].
pub async fn incidents(store: Arc<dyn Store>) -> Result<Vec<IncidentView>, Error> {
    let (_, book) = ledger::Ledger::load(store).await?;
    Ok(book.open())
}
