//! Copies all objects of a manifest to another place: what a transfer and a restore have in common.
//!
//! Copies of objects are whole or not there, so what is there with the right size and ETag is done, and a second attempt
//! goes on behind it. A large copy goes on with the parts that the server has.

use lifeboat_sdk::prelude::*;

use crate::Bucket;
use crate::copy::{Begun, Original, Way, copy, ways};
use crate::manifest::{Item, Pages, Totals};

/// What the next attempt has to know.
#[data]
#[derive(Default)]
pub struct Known {
    /// The snapshot that `latest` was.
    pub snapshot: String,
    /// A large copy that was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<Begun>,
}

/// From where to where.
pub struct Spread<'a, B> {
    /// The bucket that has the bytes.
    pub from: &'a B,
    /// Where they go.
    pub into: &'a B,
    /// Below the prefix of the target: what stands before each key.
    pub below: &'a str,
    /// What is known of earlier attempts.
    pub known: &'a Known,
    /// Totals of the manifest.
    pub total: Totals,
}

impl<B: Bucket> Spread<'_, B> {
    /// Copies, and tells of each object with its new full key.
    ///
    /// # Errors
    /// What a server says. What was copied stays.
    pub fn run(
        &self,
        ctx: &Context<B::Settings>,
        pages: &mut Pages,
        mut made: impl FnMut(&Item, &str) -> Result<(), Error>,
    ) -> Result<Totals, Error> {
        let mut done = Totals::default();
        let (mut server, mut pumped, mut kept) = (0, 0, 0);
        // Where nothing is, nothing has to be looked for.
        let fresh = ctx.attempt() == 1 && self.is_empty()?;
        while let Some(item) = pages.next()? {
            host::progress(done.bytes, Some(self.total.bytes), "bytes", &item.key);
            if host::cancelled() {
                return Err(Error {
                    kind: ErrorKind::Cancelled,
                    message: "it was asked to stop".to_owned(),
                    hint: None,
                });
            }
            let to = self.into.at().full(&format!("{}{}", self.below, item.key));
            if !fresh && self.is_there(&item, &to)? {
                kept += 1;
            } else {
                match self.copy(&item, &to)? {
                    Way::Server => server += 1,
                    Way::Pumped => pumped += 1,
                }
            }
            made(&item, &to)?;
            done.objects += 1;
            done.bytes += item.size;
        }
        host::progress(done.bytes, Some(self.total.bytes), "bytes", "");
        host::log(host::Level::Info, &ways(server, pumped, kept));
        Ok(done)
    }

    fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.into.first(&self.into.at().full(self.below))?.is_none())
    }

    fn is_there(&self, item: &Item, to: &str) -> Result<bool, Error> {
        // A copy with another ETag and no checksum is made once more: only what is the same for sure counts.
        Ok(self.into.head(to, None)?.is_some_and(|meta| meta.is(item.size, &item.etag, item.sum.as_deref())))
    }

    fn copy(&self, item: &Item, to: &str) -> Result<Way, Error> {
        let version = item.version.as_deref();
        let from = Original { bucket: self.from, key: &item.at, version, size: item.size, etag: &item.etag };
        copy(self.into, &from, to, self.known.begun.as_ref(), &|begun| {
            host::checkpoint(&Known { snapshot: self.known.snapshot.clone(), begun: Some(begun.clone()) })
        })
    }
}
