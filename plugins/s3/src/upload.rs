//! Writing objects: in one request, or in parts where they are large or their size is not known.
//!
//! Parts become an object with one last request: until then nobody sees them. What is given up is told to the server, so
//! that it keeps no parts; a process that dies leaves them to the bucket's own rule for unfinished uploads.

use lifeboat_objects::{Meta, Parts, base64, xml};
use lifeboat_sdk::host::Pumped;
use lifeboat_sdk::http::{Hash, HeadExt, Repeat, Request};
use lifeboat_sdk::prelude::*;

use crate::answer::words;
use crate::bucket::Bucket;
use crate::sums::{self, CRC32C};

/// Parts that an upload may have; the rule of S3.
const PARTS_MAX: u64 = 10_000;

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
    /// Whether what is sent can be read twice, so that its checksum is known before.
    lasting: bool,
}

impl<'a> Upload<'a> {
    /// Begins one.
    pub fn begin(bucket: &'a Bucket, key: &str, like: Option<&Meta>) -> Result<Self, Error> {
        let what = format!("begin to put '{key}' in parts");
        let request = typed(bucket.retained(bucket.request("POST", key, &[("uploads", "")])), like);
        // A second beginning is one more upload that nobody finishes, and no harm.
        let answer = bucket.fetch(&what, &request.repeat(Repeat::Always))?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let document = xml::parse(&what, &text)?;
        let id = xml::text(document.root_element(), "UploadId").to_owned();
        if id.is_empty() {
            return Err(Error::permanent(format!("{what}: the server gives no id for the upload")));
        }
        Ok(Self { bucket, key: key.to_owned(), id, parts: Vec::new(), lasting: like.is_none() })
    }

    /// One that was begun before.
    pub fn resume(bucket: &'a Bucket, key: &str, id: &str) -> Self {
        Self { bucket, key: key.to_owned(), id: id.to_owned(), parts: Vec::new(), lasting: false }
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
}

impl Parts for Upload<'_> {
    fn send(&mut self, data: &Reader, len: u64, _: bool) -> Result<(), Error> {
        // Of an upload without a byte nothing is sent, and one that ends at a part has no empty one behind it.
        if len == 0 && !self.parts.is_empty() {
            return Ok(());
        }
        let (number, mut request) = self.next();
        // A part of what is retained has to have one.
        if self.lasting && self.bucket.retains() {
            request = request.checksum_header(Hash::Md5, "content-md5", "");
        }
        let what = format!("put part {number} of '{}'", self.key);
        let answer = self.bucket.send(&what, &request, data, len)?;
        let etag = answer.head.header("etag").unwrap_or_default().to_owned();
        self.note(number, &etag);
        Ok(())
    }

    fn complete(&mut self, size: u64) -> Result<(), Error> {
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
        match self.bucket.look(&self.key, None) {
            Ok(Some(meta)) if meta.size == size && meta.etag.ends_with(&format!("-{}", self.parts.len())) => Ok(()),
            _ => Err(refused),
        }
    }

    fn abort(&mut self) {
        let request = self.bucket.request("DELETE", &self.key, &[("uploadId", &self.id)]);
        if let Err(refused) = self.bucket.fetch(&format!("give up '{}'", self.key), &request) {
            host::log(host::Level::Warn, &format!("the server may keep parts: {}", refused.error.message));
        }
    }
}

/// With the type of what it is a copy of.
fn typed(request: Request, like: Option<&Meta>) -> Request {
    match like.and_then(|like| like.content_type.as_deref()) {
        Some(kind) => request.header("content-type", kind),
        None => request,
    }
}

impl Bucket {
    /// So many bytes of a reader in one request.
    pub fn send_whole(&self, key: &str, data: &Reader, size: u64, like: Option<&Meta>) -> Result<Pumped, Error> {
        let what = format!("put '{key}'");
        let mut request = typed(self.retained(self.request("PUT", key, &[])), like).checksum(Hash::Blake3);
        // The server holds what comes against a checksum, and so does a put of what is retained have one. A copy comes by once:
        // its checksum is known before only where the server that it comes from knows it.
        request = match like.map(|like| like.sum.as_deref().and_then(sums::header)) {
            Some(Some((name, value))) => request.header(name, value),
            Some(None) => request,
            None => request.checksum_header(Hash::Crc32c, CRC32C, ""),
        };
        let answer = self.send(&what, &request, data, size)?;
        let mut found = answer.head.checksums.iter();
        let hex: String = found.next().into_iter().flatten().map(|byte| format!("{byte:02x}")).collect();
        let (sent, stored) = (found.next().map(|sum| base64(sum)), answer.head.header(CRC32C));
        if let (Some(sent), Some(stored)) = (sent, stored)
            && sent != stored
        {
            let message = format!("LB0740: {what}: the server says that it stored other bytes than it was sent");
            return Err(Error::temporary(message));
        }
        Ok(Pumped { bytes: size, digest: format!("blake3:{hex}") })
    }

    /// Bytes that are in memory in one request; with `fresh` only where there is nothing of that key.
    pub fn send_bytes(&self, key: &str, data: Vec<u8>, fresh: bool) -> Result<(), Error> {
        let what = format!("put '{key}'");
        let request = || {
            let request = self.retained(self.request("PUT", key, &[]));
            if self.retains() { request.checksum_header(Hash::Md5, "content-md5", "") } else { request }
        };
        if fresh {
            match self.fetch_with(&what, &request().header("if-none-match", "*"), data.clone()) {
                // A server may know no conditions, and say so.
                Err(refused) if refused.is_unknown_request() => {}
                told => return told.map(drop).map_err(Error::from),
            }
        }
        self.fetch_with(&what, &request(), data).map(drop).map_err(Error::from)
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
