//! Writing objects: in one request, or in parts where they are large or their size is not known. Parts become an object with one
//! last request: until then nobody sees them.

use lifeboat_sdk::host::{Pumped, from_list};
use lifeboat_sdk::prelude::*;

use crate::{Bucket, Meta};

/// Bytes of a part that a guest holds, where it makes the bytes itself. Providers want parts of at least 5 MiB, and multiples of
/// 256 KiB.
const HELD: usize = 8 * 1024 * 1024;

/// An upload in parts.
pub trait Parts {
    /// Sends the next part; `last`: no other follows.
    ///
    /// # Errors
    /// What the server says.
    fn send(&mut self, data: &Reader, len: u64, last: bool) -> Result<(), Error>;
    /// Makes the object of its parts.
    ///
    /// # Errors
    /// What the server says.
    fn complete(&mut self, size: u64) -> Result<(), Error>;
    /// Gives it up; what can't be removed is said in the log.
    fn abort(&mut self);
}

/// From a reader into a full key: all at once or not at all.
///
/// # Errors
/// What the server says.
pub fn put<B: Bucket>(into: &B, key: &str, data: &Reader, like: Option<&Meta>) -> Result<Pumped, Error> {
    match data.left() {
        Some(size) if size <= into.at().part => into.put_whole(key, data, size, like),
        Some(size) => {
            let mut parts = into.begin(key, like)?;
            let result = send_all(into, &mut parts, key, data, size);
            if result.is_err() {
                parts.abort();
            }
            result.map(|()| Pumped { bytes: size, digest: String::new() })
        }
        None => {
            let mut sink = Sink::new(into, key, like.cloned());
            loop {
                let bytes = data.read(1024 * 1024).inspect_err(|_| sink.give_up())?;
                if bytes.is_empty() {
                    return Ok(Pumped { bytes: sink.finish(false)?, digest: String::new() });
                }
                sink.write(&bytes)?;
            }
        }
    }
}

/// From a reader into a full key, in one request, where there is nothing of that key.
///
/// # Errors
/// `already-exists`, what the server says, or that it is too large for one request.
pub fn put_new<B: Bucket>(into: &B, key: &str, data: &Reader) -> Result<Pumped, Error> {
    let mut held = Vec::new();
    loop {
        let bytes = data.read(1024 * 1024)?;
        if bytes.is_empty() {
            let size = held.len() as u64;
            into.put_bytes(key, held, true)?;
            return Ok(Pumped { bytes: size, digest: String::new() });
        }
        held.extend_from_slice(&bytes);
        if held.len() > HELD {
            return Err(Error::permanent(format!("put '{key}': it is too large to be written as new")));
        }
    }
}

fn send_all<B: Bucket>(into: &B, parts: &mut impl Parts, key: &str, data: &Reader, size: u64) -> Result<(), Error> {
    let part = into.part_for(size);
    let mut left = size;
    while left > 0 {
        let len = left.min(part);
        parts.send(data, len, len == left)?;
        left -= len;
        host::progress(size - left, Some(size), "bytes", key);
    }
    parts.complete(size)
}

/// Bytes that the guest makes, into an object. Memory is bounded by one part.
pub struct Sink<'a, B: Bucket> {
    bucket: &'a B,
    key: String,
    like: Option<Meta>,
    held: Vec<u8>,
    parts: Option<B::Parts<'a>>,
    bytes: u64,
}

impl<'a, B: Bucket> Sink<'a, B> {
    /// An object of that full key, which is there after [`Sink::finish`].
    pub fn new(bucket: &'a B, key: &str, like: Option<Meta>) -> Self {
        Self { bucket, key: key.to_owned(), like, held: Vec::new(), parts: None, bytes: 0 }
    }

    /// More bytes.
    ///
    /// # Errors
    /// What the server says; then nothing is left there.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.held.extend_from_slice(bytes);
        self.bytes += bytes.len() as u64;
        // What is left over shows that another part follows.
        while self.held.len() > HELD {
            let rest = self.held.split_off(HELD);
            let part = std::mem::replace(&mut self.held, rest);
            if let Err(error) = self.flush(&part, false) {
                self.give_up();
                return Err(error);
            }
        }
        Ok(())
    }

    fn flush(&mut self, part: &[u8], last: bool) -> Result<(), Error> {
        if self.parts.is_none() {
            self.parts = Some(self.bucket.begin(&self.key, self.like.as_ref())?);
        }
        match &mut self.parts {
            Some(parts) => parts.send(&from_list(part), part.len() as u64, last),
            None => Ok(()),
        }
    }

    /// Leaves nothing at the server.
    pub fn give_up(&mut self) {
        if let Some(mut parts) = self.parts.take() {
            parts.abort();
        }
    }

    /// Makes the object, and tells its size. `fresh` as for [`Bucket::put_bytes`]; what went in parts is not asked for it.
    ///
    /// # Errors
    /// What the server says; then nothing is left there.
    pub fn finish(mut self, fresh: bool) -> Result<u64, Error> {
        let held = std::mem::take(&mut self.held);
        if self.parts.is_none() {
            return self.bucket.put_bytes(&self.key, held, fresh).map(|()| self.bytes);
        }
        let ended = self.flush(&held, true);
        let ended = ended.and_then(|()| self.parts.as_mut().map_or(Ok(()), |parts| parts.complete(self.bytes)));
        if let Err(error) = ended {
            self.give_up();
            return Err(error);
        }
        Ok(self.bytes)
    }
}
