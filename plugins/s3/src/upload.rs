//! Writing objects: in one request, or in parts where they are large or their size is not known.
//!
//! Parts become an object with one last request: until then nobody sees them. What is given up is told to the server, so
//! that it keeps no parts; a process that dies leaves them to the bucket's own rule for unfinished uploads.

use lifeboat_sdk::host::{Pumped, from_list};
use lifeboat_sdk::http::{Hash, HeadExt, Repeat, Request};
use lifeboat_sdk::prelude::*;

use crate::answer::{Refusal, words};
use crate::bucket::Bucket;
use crate::sums::{CRC32C, Known, base64};
use crate::xml;

/// Parts that an upload may have; the rule of S3.
const PARTS_MAX: u64 = 10_000;
/// Bytes of a part that a guest holds, where it makes the bytes itself.
const HELD: usize = 8 * 1024 * 1024;

/// Bytes of a part for an object of that size.
pub fn part_size(wanted: u64, size: u64) -> u64 {
    wanted.max(size.div_ceil(PARTS_MAX))
}

/// An upload in parts.
pub struct Upload<'a> {
    bucket: &'a Bucket,
    key: String,
    /// The server's name for it.
    pub id: String,
    /// ETags, by number from 1.
    parts: Vec<(u32, String)>,
}

impl<'a> Upload<'a> {
    /// Begins one.
    pub fn begin(bucket: &'a Bucket, key: &str) -> Result<Self, Error> {
        let what = format!("begin to put '{key}' in parts");
        let request = bucket.retained(bucket.request("POST", key, &[("uploads", "")]));
        // A second beginning is one more upload that nobody finishes, and no harm.
        let answer = bucket.fetch(&what, &request.repeat(Repeat::Always))?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let document = xml::parse(&what, &text)?;
        let id = xml::text(document.root_element(), "UploadId").to_owned();
        if id.is_empty() {
            return Err(Error::permanent(format!("{what}: the server gives no id for the upload")));
        }
        Ok(Self { bucket, key: key.to_owned(), id, parts: Vec::new() })
    }

    /// One that was begun before.
    pub fn resume(bucket: &'a Bucket, key: &str, id: &str) -> Self {
        Self { bucket, key: key.to_owned(), id: id.to_owned(), parts: Vec::new() }
    }

    /// A request for the next part, with its number.
    pub fn next(&self) -> (u32, Request) {
        let number = u32::try_from(self.parts.len()).unwrap_or(u32::MAX).saturating_add(1);
        let query = [("partNumber", number.to_string()), ("uploadId", self.id.clone())];
        let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        (number, self.bucket.request("PUT", &self.key, &query))
    }

    /// Notes a part that the server has.
    pub fn note(&mut self, number: u32, etag: &str) {
        self.parts.push((number, etag.to_owned()));
    }

    /// Sends the next part. `lasting`: what is sent can be read twice, so that its checksum is known before.
    pub fn send(&mut self, data: &Reader, len: u64, lasting: bool) -> Result<(), Error> {
        let (number, mut request) = self.next();
        // A part of what is retained has to have one.
        if lasting && self.bucket.retains() {
            request = request.checksum_header(Hash::Md5, "content-md5", "");
        }
        let what = format!("put part {number} of '{}'", self.key);
        let answer = self.bucket.send(&what, &request, data, len)?;
        let etag = answer.head.header("etag").unwrap_or_default().to_owned();
        self.note(number, &etag);
        Ok(())
    }

    /// Makes the object of its parts.
    pub fn complete(&self, size: u64) -> Result<(), Error> {
        let what = format!("put '{}' together", self.key);
        let mut body = String::from("<CompleteMultipartUpload>");
        for (number, etag) in &self.parts {
            let etag = xml::escape(etag);
            body.push_str(&format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"));
        }
        body.push_str("</CompleteMultipartUpload>");
        let request = self.bucket.request("POST", &self.key, &[("uploadId", &self.id)]).repeat(Repeat::Always);
        let told = self.bucket.fetch_with(&what, &request, body.into_bytes());
        let refused = match told {
            // The server may begin to answer before it knows how it ends.
            Ok(answer) => match words(&String::from_utf8_lossy(&answer.body)) {
                (code, _) if code.is_empty() => return Ok(()),
                (code, said) => Error::temporary(format!("{what}: {code}: {said}")),
            },
            Err(refused) => refused.error,
        };
        // It may be done all the same: the answer was lost, and the repetition found the upload finished.
        match self.bucket.head(&self.key, None) {
            Ok(Some(meta)) if meta.size == size && meta.etag.ends_with(&format!("-{}", self.parts.len())) => Ok(()),
            _ => Err(refused),
        }
    }

    /// Gives it up.
    pub fn abort(&self) {
        let request = self.bucket.request("DELETE", &self.key, &[("uploadId", &self.id)]);
        if let Err(refused) = self.bucket.fetch(&format!("give up '{}'", self.key), &request) {
            host::log(host::Level::Warn, &format!("the server may keep parts: {}", refused.error.message));
        }
    }
}

impl Bucket {
    /// From a reader into a full key: all at once or not at all.
    pub fn put(&self, key: &str, data: &Reader) -> Result<Pumped, Error> {
        self.put_known(key, data, None)
    }

    /// As [`Bucket::put`], of bytes that come by once: `known` is a header with their checksum, from where they come.
    pub fn put_known(&self, key: &str, data: &Reader, known: Option<Known>) -> Result<Pumped, Error> {
        match data.left() {
            Some(size) if size <= self.part => self.put_whole(key, data, size, known),
            Some(size) => self.put_parts(key, data, size, known.is_none()),
            None => {
                let mut sink = Sink::new(self, key);
                loop {
                    let bytes = data.read(1024 * 1024)?;
                    if bytes.is_empty() {
                        return Ok(Pumped { bytes: sink.finish(false)?, digest: String::new() });
                    }
                    sink.write(&bytes)?;
                }
            }
        }
    }

    fn put_whole(&self, key: &str, data: &Reader, size: u64, known: Option<Known>) -> Result<Pumped, Error> {
        let what = format!("put '{key}'");
        let mut request = self.retained(self.request("PUT", key, &[])).checksum(Hash::Blake3);
        request = match known {
            Some(Known::Sum(name, value)) => request.header(name, value),
            Some(Known::Nothing) => request,
            // The server holds what comes against it, and so does a put of what is retained have a checksum.
            None => request.checksum_header(Hash::Crc32c, CRC32C, ""),
        };
        let answer = self.send(&what, &request, data, size)?;
        let mut sums = answer.head.checksums.iter();
        let hex: String = sums.next().into_iter().flatten().map(|byte| format!("{byte:02x}")).collect();
        let (sent, stored) = (sums.next().map(|sum| base64(sum)), answer.head.header(CRC32C));
        if let (Some(sent), Some(stored)) = (sent, stored)
            && sent != stored
        {
            let message = format!("LB0740: {what}: the server says that it stored other bytes than it was sent");
            return Err(Error::temporary(message));
        }
        Ok(Pumped { bytes: size, digest: format!("blake3:{hex}") })
    }

    fn put_parts(&self, key: &str, data: &Reader, size: u64, lasting: bool) -> Result<Pumped, Error> {
        let part = part_size(self.part, size);
        let mut upload = Upload::begin(self, key)?;
        let mut left = size;
        while left > 0 {
            let len = left.min(part);
            if let Err(error) = upload.send(data, len, lasting) {
                upload.abort();
                return Err(error);
            }
            left -= len;
            host::progress(size - left, Some(size), "bytes", key);
        }
        match upload.complete(size) {
            Ok(()) => Ok(Pumped { bytes: size, digest: String::new() }),
            Err(error) => {
                upload.abort();
                Err(error)
            }
        }
    }
}

/// Bytes that the guest makes, into an object. Memory is bounded by one part.
pub struct Sink<'a> {
    bucket: &'a Bucket,
    key: String,
    held: Vec<u8>,
    upload: Option<Upload<'a>>,
    bytes: u64,
}

impl<'a> Sink<'a> {
    /// An object of that full key, which is there after [`Sink::finish`].
    pub fn new(bucket: &'a Bucket, key: &str) -> Self {
        Self { bucket, key: key.to_owned(), held: Vec::new(), upload: None, bytes: 0 }
    }

    /// More bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.held.extend_from_slice(bytes);
        self.bytes += bytes.len() as u64;
        if self.held.len() < HELD {
            return Ok(());
        }
        let result = self.flush();
        if result.is_err() {
            self.give_up();
        }
        result
    }

    fn flush(&mut self) -> Result<(), Error> {
        if self.upload.is_none() {
            self.upload = Some(Upload::begin(self.bucket, &self.key)?);
        }
        let Some(upload) = &mut self.upload else { return Ok(()) };
        let len = self.held.len() as u64;
        upload.send(&from_list(&self.held), len, true)?;
        self.held.clear();
        Ok(())
    }

    /// Leaves nothing at the server.
    pub fn give_up(&mut self) {
        if let Some(upload) = self.upload.take() {
            upload.abort();
        }
    }

    /// Makes the object, and tells its size. With `fresh` it has to be new, where the server can hold that: an error of the
    /// kind `already-exists` says that it is not.
    pub fn finish(mut self, fresh: bool) -> Result<u64, Error> {
        if self.upload.is_some() {
            let ended = if self.held.is_empty() { Ok(()) } else { self.flush() };
            let ended = ended.and_then(|()| self.upload.as_ref().map_or(Ok(()), |upload| upload.complete(self.bytes)));
            if let Err(error) = ended {
                self.give_up();
                return Err(error);
            }
            return Ok(self.bytes);
        }
        let mut request = self.bucket.retained(self.bucket.request("PUT", &self.key, &[]));
        if fresh {
            request = request.header("if-none-match", "*");
        }
        if self.bucket.retains() {
            request = request.checksum_header(Hash::Md5, "content-md5", "");
        }
        let told: Result<_, Refusal> =
            self.bucket.fetch_with(&format!("put '{}'", self.key), &request, std::mem::take(&mut self.held));
        told.map(|_| self.bytes).map_err(Error::from)
    }
}

#[cfg(test)]
mod tests {
    use super::part_size;

    #[test]
    fn parts_grow_so_that_there_are_never_too_many() {
        const MIB: u64 = 1024 * 1024;
        assert_eq!(part_size(64 * MIB, 100 * MIB), 64 * MIB);
        let size = 5 * 1024 * 1024 * MIB;
        assert!(size.div_ceil(part_size(64 * MIB, size)) <= 10_000);
    }
}
