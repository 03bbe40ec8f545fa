//! What the host lends to guests, one interface a file.

pub mod bytes;
pub mod dir;
pub mod http;
pub mod sql;
pub mod sys;
pub mod vault;

use crate::bindings::lifeboat::plugin::types;
use crate::fault::Fault;
use crate::guest::Guest;

impl types::Host for Guest {
    fn convert_error(&mut self, fault: Fault) -> wasmtime::Result<types::Error> {
        match fault {
            Fault::Guest(error) => Ok(error),
            Fault::Trap(error) => Err(error),
        }
    }
}
