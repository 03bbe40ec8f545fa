//! `explain`: the page of an error code.

use lifeboat_core::Error;

use crate::exit::Exit;
use crate::screen::put;

/// Prints the page.
///
/// # Errors
/// `LB0902` when there is no such code.
pub fn explain(code: &str) -> Result<Exit, Error> {
    match lifeboat_runbook::explain(code) {
        Some(page) => {
            put(page.trim_end());
            Ok(Exit::Success)
        }
        None => Err(Error::new("LB0902", format!("there is no error code '{code}'"))
            .hint("codes look like LB0301; each error that Lifeboat prints begins with its code")),
    }
}
