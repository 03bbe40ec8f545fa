//! Who may do what: tokens, people, rights.

mod people;
mod rights;
mod tokens;

pub use people::{Peer, Person};
pub use rights::{Right, Role};
pub use tokens::{NewToken, Token, Tokens};
