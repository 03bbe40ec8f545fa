//! Copies of objects. Where both buckets are at one server it copies by itself, and no byte passes this machine; what is
//! larger than one request may copy is copied in parts. Else the bytes are pumped from one server to the other by the host.

use lifeboat_sdk::http;
use lifeboat_sdk::prelude::*;

use crate::answer::{Refusal, words};
use crate::bucket::Bucket;
use crate::upload::{Upload, part_size};
use crate::xml;

/// Bytes that one request may copy; the rule of S3.
const COPY_MAX: u64 = 5 * 1024 * 1024 * 1024;
/// Bytes of a part of a large copy: the server moves them, so they may be large.
const COPY_PART: u64 = 1024 * 1024 * 1024;

/// An object to be copied: its place, and what must not have changed since.
pub struct Original<'a> {
    /// Where it is.
    pub bucket: &'a Bucket,
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

/// An upload of parts that an earlier attempt began.
#[data]
#[derive(Clone)]
pub struct Begun {
    /// The full key.
    pub key: String,
    /// The server's name for it.
    pub id: String,
}

impl Original<'_> {
    fn source(&self) -> String {
        let path = format!("/{}/{}", self.bucket.bucket, http::encode_path(self.key));
        self.version.map_or_else(|| path.clone(), |version| format!("{path}?versionId={}", http::encode(version)))
    }
}

impl Bucket {
    /// Copies into a full key. `begun` is a large copy of an earlier attempt; `note` is told of one that begins.
    ///
    /// # Errors
    /// What either server says.
    pub fn copy_from(
        &self,
        from: &Original<'_>,
        to: &str,
        begun: Option<&Begun>,
        note: &dyn Fn(&Begun) -> Result<(), Error>,
    ) -> Result<Way, Error> {
        if self.origin == from.bucket.origin {
            let told =
                if from.size > COPY_MAX { self.copy_large(from, to, begun, note) } else { self.copy_small(from, to) };
            match told {
                Ok(()) => return Ok(Way::Server),
                // One key may read there and the other write here: then only the two together can do it.
                Err(refused) if refused.is("AccessDenied") || refused.is_unknown_request() => {
                    host::log(
                        host::Level::Info,
                        &format!("the server does not copy by itself, the bytes pass here: {}", refused.error.message),
                    );
                }
                Err(refused) => return Err(refused.into()),
            }
        }
        let response = from.bucket.get(from.key, from.version, 0, None)?;
        let there = crate::bucket::meta(&response.head);
        if there.size != from.size || there.etag != from.etag {
            return Err(changed(from));
        }
        let known = crate::sums::known(&response.head);
        let pumped = self.put_known(to, &response.body, Some(known))?;
        if pumped.bytes == from.size { Ok(Way::Pumped) } else { Err(changed(from)) }
    }

    fn copy_small(&self, from: &Original<'_>, to: &str) -> Result<(), Refusal> {
        let what = format!("copy '{}' to '{to}'", from.key);
        let mut request = self.retained(self.request("PUT", to, &[])).header("x-amz-copy-source", from.source());
        if !from.etag.is_empty() {
            request = request.header("x-amz-copy-source-if-match", format!("\"{}\"", from.etag));
        }
        let answer = self.fetch(&what, &request)?;
        failed_late(&what, &answer.body)
    }

    fn copy_large(
        &self,
        from: &Original<'_>,
        to: &str,
        begun: Option<&Begun>,
        note: &dyn Fn(&Begun) -> Result<(), Error>,
    ) -> Result<(), Refusal> {
        let part = part_size(COPY_PART, from.size);
        let count = from.size.div_ceil(part);
        // Parts of another size would be of another plan.
        let there = begun.filter(|begun| begun.key == to).and_then(|begun| {
            let parts = self.parts(to, &begun.id).ok()?;
            Some((Upload::resume(self, to, &begun.id), parts))
        });
        let (mut upload, there) = match there {
            Some(found) => found,
            None => {
                let upload = Upload::begin(self, to).map_err(plain)?;
                note(&Begun { key: to.to_owned(), id: upload.id.clone() }).map_err(plain)?;
                (upload, Vec::new())
            }
        };
        for number in 0..count {
            let (offset, len) = (number * part, part.min(from.size - number * part));
            let (wanted, request) = upload.next();
            if let Some((_, etag, _)) = there.iter().find(|(known, _, size)| *known == wanted && *size == len) {
                upload.note(wanted, etag);
                continue;
            }
            let what = format!("copy part {wanted} of '{}'", from.key);
            let range = format!("bytes={offset}-{}", offset + len - 1);
            let mut request = request.header("x-amz-copy-source", from.source());
            request = request.header("x-amz-copy-source-range", range);
            if !from.etag.is_empty() {
                request = request.header("x-amz-copy-source-if-match", format!("\"{}\"", from.etag));
            }
            let answer = self.fetch(&what, &request)?;
            failed_late(&what, &answer.body)?;
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            let document = xml::parse(&what, &text).map_err(plain)?;
            upload.note(wanted, xml::text(document.root_element(), "ETag"));
            host::progress(offset + len, Some(from.size), "bytes", to);
        }
        upload.complete(from.size).map_err(plain)
    }
}

fn plain(error: Error) -> Refusal {
    Refusal { status: 0, code: String::new(), error }
}

/// A copy is answered with 200 before it is known how it ends: the body tells.
fn failed_late(what: &str, body: &[u8]) -> Result<(), Refusal> {
    match words(&String::from_utf8_lossy(body)) {
        (code, _) if code.is_empty() => Ok(()),
        (code, said) => {
            let error = Error::temporary(format!("{what}: {code}: {said}"));
            Err(Refusal { status: 200, code, error })
        }
    }
}

fn changed(from: &Original<'_>) -> Error {
    Error::permanent(format!("'{}' in the bucket {} is not what it was", from.key, from.bucket.bucket))
        .hint("take a new snapshot; a bucket that keeps versions keeps what was")
}

/// How many objects went which way, in words.
pub fn ways(server: u64, pumped: u64, kept: u64) -> String {
    format!("{server} copied by the server, {pumped} through this machine, {kept} were there already")
}

#[cfg(test)]
mod tests {
    use super::failed_late;

    #[test]
    fn a_copy_that_fails_late_has_failed() {
        assert!(failed_late("copy", b"<CopyObjectResult><ETag>e</ETag></CopyObjectResult>").is_ok());
        let late = b"<Error><Code>InternalError</Code><Message>oh</Message></Error>";
        assert_eq!(failed_late("copy", late).unwrap_err().error.message, "copy: InternalError: oh");
    }
}
