//! Copies of objects. Where the server copies by itself no byte passes this machine; else the bytes are pumped from one server to
//! the other by the host.

use lifeboat_sdk::prelude::*;

use crate::{Bucket, upload};

/// An object to be copied: its place, and what must not have changed since.
pub struct Original<'a, B> {
    /// Where it is.
    pub bucket: &'a B,
    /// Its full key.
    pub key: &'a str,
    /// Its version.
    pub version: Option<&'a str>,
    /// Bytes.
    pub size: u64,
    /// As the server gave it, without quotes.
    pub etag: &'a str,
}

/// How the bytes went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The server copied them.
    Server,
    /// They passed the host.
    Pumped,
}

/// A large copy that an earlier attempt began.
#[data]
#[derive(Clone)]
pub struct Begun {
    /// The full key.
    pub key: String,
    /// The server's name for it.
    pub id: String,
}

/// What is told of a large copy that begins, so that the next attempt finds it.
pub type Note<'a> = dyn Fn(&Begun) -> Result<(), Error> + 'a;

/// Copies into a full key.
///
/// # Errors
/// What either server says.
pub fn copy<B: Bucket>(
    into: &B,
    from: &Original<'_, B>,
    to: &str,
    begun: Option<&Begun>,
    note: &Note<'_>,
) -> Result<Way, Error> {
    if into.copies_from(from.bucket) && into.copy_here(from, to, begun, note)? {
        return Ok(Way::Server);
    }
    let got = from.bucket.get(from.key, from.version, 0, None)?;
    if got.meta.size != from.size || got.meta.etag != from.etag {
        return Err(changed(from));
    }
    let pumped = upload::put(into, to, &got.body, Some(&got.meta))?;
    if pumped.bytes == from.size { Ok(Way::Pumped) } else { Err(changed(from)) }
}

fn changed<B: Bucket>(from: &Original<'_, B>) -> Error {
    let bucket = &from.bucket.at().bucket;
    Error::permanent(format!("'{}' in the {} {bucket} is not what it was", from.key, B::WORD))
        .hint(format!("take a new snapshot; a {} that keeps versions keeps what was", B::WORD))
}

/// How many objects went which way, in words.
pub fn ways(server: u64, pumped: u64, kept: u64) -> String {
    format!("{server} copied by the server, {pumped} through this machine, {kept} were there already")
}
