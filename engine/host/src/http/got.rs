//! The answer to a request.

use super::incoming::NetSource;
use super::mask::Mask;
use crate::bindings::lifeboat::plugin::types::{Error as GuestError, ErrorKind};
use crate::fault::guest_error;
use crate::source::Source;

/// An answer.
pub struct Got {
    /// The status.
    pub status: u16,
    /// Its headers, masked.
    pub headers: Vec<(String, String)>,
    /// Where it came from, without query, masked.
    pub url: String,
    /// How often it was sent.
    pub sends: u32,
    /// One checksum for each wish.
    pub sums: Vec<Vec<u8>>,
    /// The body.
    pub body: NetSource,
    /// A stream behind what was sent of it.
    pub back: Option<Source>,
    /// What is to be masked in the body.
    pub mask: Mask,
}

impl Got {
    /// The whole body, masked.
    ///
    /// # Errors
    /// It is longer than that, or it broke.
    pub async fn whole(mut self, max: usize) -> Result<Vec<u8>, GuestError> {
        let from = self.url.clone();
        let large = || guest_error(ErrorKind::Permanent, format!("the answer of {from} has more than {max} bytes"));
        if self.body.left().is_some_and(|left| left > max as u64) {
            return Err(large());
        }
        let mut data = Vec::new();
        while let Some(part) = self.body.chunk().await.map_err(|error| crate::fault::from_io("read", &from, &error))? {
            if data.len() + part.len() > max {
                return Err(large());
            }
            data.extend_from_slice(&part);
        }
        self.mask.bytes(&mut data);
        Ok(data)
    }
}
