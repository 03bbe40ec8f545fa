//! A secret in memory, and where it is asked for.

use std::sync::Arc;

use lifeboat_core::Error;
use zeroize::Zeroizing;

/// Bytes of one secret: a private key fits, a mistaken file does not.
pub const SECRET_BYTES_MAX: usize = 64 * 1024;

/// A secret, wiped from memory on drop, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<Zeroizing<Vec<u8>>>);

impl Secret {
    /// Takes the bytes over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Zeroizing::new(bytes)))
    }

    /// The bytes, for the one call that needs them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Where secrets come from.
pub trait Secrets: Send + Sync + 'static {
    /// The secret of that name as it is now, or as it was at most [`crate::KEPT`] ago. May take as long as the command or the
    /// server behind it may: call it where waiting is allowed.
    ///
    /// # Errors
    /// `LB0710` when there is none of that name or it cannot be read; `LB0415` to `LB0419` where a command or a server fails.
    fn get(&self, name: &str) -> Result<Secret, Error>;

    /// Says that the value of that name was refused where it was used: the next reading is fresh.
    fn rejected(&self, _name: &str) {}
}

/// Whether it may be otherwise the next time: a command that failed, a server that cannot be reached or is not ready.
pub fn may_pass(error: &Error) -> bool {
    matches!(error.code.0.as_ref(), "LB0415" | "LB0416" | "LB0418")
}
