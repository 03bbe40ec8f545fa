//! Writing objects: in one request, or by a resumable upload in chunks. Nobody sees the object before the last chunk. What is given
//! up is told to the service, which else drops it after a week.

use lifeboat_objects::{Meta, Parts, base64, unanswered};
use lifeboat_sdk::host::{Pumped, random};
use lifeboat_sdk::http::{Hash, HeadExt, Repeat};
use lifeboat_sdk::prelude::*;
use lifeboat_sdk::serde_json::{Value, json};

use crate::answer::refusal;
use crate::bucket::{Bucket, meta, parse};

/// Bytes of a service's word on a chunk.
const WORD_MAX: u32 = 1024 * 1024;

/// A resumable upload.
pub struct Upload<'a> {
    bucket: &'a Bucket,
    key: String,
    /// Who knows it may go on with the upload.
    session: String,
    sent: u64,
    /// What the service says of the object, after the last chunk.
    made: Option<Meta>,
    like: Option<Meta>,
}

impl<'a> Upload<'a> {
    /// Begins one.
    pub fn begin(bucket: &'a Bucket, key: &str, like: Option<&Meta>) -> Result<Self, Error> {
        let what = format!("begin to put '{key}' in chunks");
        let query = [("uploadType", "resumable"), ("name", key)];
        let request = bucket.request("POST", &bucket.upload_path(), &query).header("content-type", "application/json");
        let about = bucket.description(key, like).to_string();
        // A second beginning is one more upload that nobody finishes, and no harm.
        let answer = bucket.fetch_with(&what, &request.repeat(Repeat::Always), about.into_bytes());
        let answer = answer.map_err(|refused| bucket.instead(refused.into()))?;
        let Some(session) = answer.head.header("location") else {
            return Err(Error::permanent(format!("{what}: the server gives no address for the upload")));
        };
        let (session, like) = (session.to_owned(), like.cloned());
        Ok(Self { bucket, key: key.to_owned(), session, sent: 0, made: None, like })
    }
}

/// The first byte that is still to come, after `Range: bytes=0-N`.
fn arrived(range: Option<&str>) -> u64 {
    range.and_then(|range| range.rsplit_once('-')?.1.parse::<u64>().ok()).map_or(0, |last| last + 1)
}

impl Parts for Upload<'_> {
    fn send(&mut self, data: &Reader, len: u64, last: bool) -> Result<(), Error> {
        let what = format!("put '{}' from byte {} on", self.key, self.sent);
        let end = self.sent + len;
        let range = if len == 0 { "*".to_owned() } else { format!("{}-{}", self.sent, end - 1) };
        let size = if last { end.to_string() } else { "*".to_owned() };
        let request =
            self.bucket.to("PUT", self.session.clone()).header("content-range", format!("bytes {range}/{size}"));
        let answer = request.fetch_from(&self.bucket.at.role, data, Some(len), WORD_MAX);
        let answer = answer.map_err(|failure| Error::from(unanswered(&what, failure)))?;
        self.sent = end;
        match answer.head.status {
            200 | 201 if last => {
                self.made = Some(meta(&parse(&what, &answer.body)?));
                Ok(())
            }
            308 if !last && arrived(answer.head.header("range")) == end => Ok(()),
            // The reader stands behind what was sent, so the rest of a chunk can't be sent once more.
            308 => Err(Error::temporary(format!("{what}: the service took a part of the chunk only"))),
            200 | 201 => Err(Error::temporary(format!("{what}: the service ended the upload too early"))),
            _ => Err(self.bucket.instead(refusal(&what, &answer.head, &answer.body).into())),
        }
    }

    fn complete(&mut self, size: u64) -> Result<(), Error> {
        let wrong = |why: &str| Err(Error::temporary(format!("put '{}': {why}", self.key)));
        let Some(made) = &self.made else { return wrong("the service did not say that it has all of it") };
        if made.size != size {
            return wrong(&format!("the service has {} of {size} bytes", made.size));
        }
        let wanted = self.like.as_ref().and_then(|like| like.sum.as_ref());
        match (wanted, &made.sum) {
            (Some(wanted), Some(found)) if wanted.starts_with("crc32c:") && wanted != found => {
                wrong("the service has other bytes than the original")
            }
            _ => Ok(()),
        }
    }

    fn abort(&mut self) {
        let what = format!("give up '{}'", self.key);
        // It is answered with 499, which is no error here.
        let told = self.bucket.to("DELETE", self.session.clone()).fetch(&self.bucket.at.role, WORD_MAX);
        if let Err(failure) = told {
            let why = unanswered(&what, failure).error.message;
            host::log(host::Level::Warn, &format!("the service may keep chunks: {why}"));
        }
    }
}

impl Bucket {
    fn upload_path(&self) -> String {
        format!("/upload{}/o", self.path(None))
    }

    fn description(&self, key: &str, like: Option<&Meta>) -> Value {
        let kind = like.and_then(|like| like.content_type.as_deref()).unwrap_or("application/octet-stream");
        let mut about = json!({ "name": key, "contentType": kind });
        if let (Some(retention), Some(about)) = (self.retention(), about.as_object_mut()) {
            about.insert("retention".to_owned(), retention);
        }
        about
    }

    /// A write finds nothing only where the bucket is not there.
    pub fn instead(&self, error: Error) -> Error {
        if error.is_not_found() { self.reach().err().unwrap_or(error) } else { error }
    }

    /// So many bytes of a reader in one request.
    pub fn send_whole(&self, key: &str, data: &Reader, size: u64, like: Option<&Meta>) -> Result<Pumped, Error> {
        if self.retention().is_some() {
            // Only a description says how long an object is kept, and it can't stand before a stream.
            let mut upload = Upload::begin(self, key, like)?;
            let result = upload.send(data, size, true).and_then(|()| upload.complete(size));
            if result.is_err() {
                upload.abort();
            }
            return result.map(|()| Pumped { bytes: size, digest: String::new() });
        }
        let what = format!("put '{key}'");
        let kind = like.and_then(|like| like.content_type.as_deref()).unwrap_or("application/octet-stream");
        let request = self.request("POST", &self.upload_path(), &[("uploadType", "media"), ("name", key)]);
        // The same bytes once more are the same object.
        let request = request.header("content-type", kind).repeat(Repeat::Always);
        let request = request.checksum(Hash::Blake3).checksum(Hash::Crc32c);
        let answer = self.judge(&what, request.fetch_from(&self.at.role, data, Some(size), WORD_MAX));
        let answer = answer.map_err(|refused| self.instead(refused.into()))?;
        let made = meta(&parse(&what, &answer.body)?);
        let [blake3, crc32c] = answer.head.checksums.as_slice() else {
            return Err(Error::permanent(format!("{what}: the host gives no checksums")));
        };
        // A service that answered before it had all of it gets no checksum, and is not believed either.
        let sent = format!("crc32c:{}", base64(crc32c));
        if made.size != size || made.sum.as_ref().is_some_and(|sum| sum.starts_with("crc32c:") && *sum != sent) {
            let error = Error::temporary(format!("{what}: the service has other bytes than were sent"));
            // Nobody may take it for what was meant.
            return Err(self.discard(key, &made).err().unwrap_or(error));
        }
        let hex: String = blake3.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Pumped { bytes: size, digest: format!("blake3:{hex}") })
    }

    fn discard(&self, key: &str, made: &Meta) -> Result<(), Error> {
        let query: Vec<(&str, &str)> =
            made.version.as_deref().map(|version| ("generation", version)).into_iter().collect();
        let request = self.request("DELETE", &self.path(Some(key)), &query);
        self.fetch(&format!("remove '{key}', which arrived damaged"), &request).map(drop).map_err(Error::from)
    }

    /// Bytes that are in memory in one request; with `fresh` only where there is nothing of that name.
    pub fn send_bytes(&self, key: &str, data: Vec<u8>, fresh: bool) -> Result<(), Error> {
        let edge: String = random(16).iter().map(|byte| format!("{byte:02x}")).collect();
        let about = self.description(key, None);
        let mut body = format!(
            "--{edge}\r\nContent-Type: application/json\r\n\r\n{about}\r\n--{edge}\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        )
        .into_bytes();
        body.extend_from_slice(&data);
        body.extend_from_slice(format!("\r\n--{edge}--\r\n").as_bytes());
        let mut query = vec![("uploadType", "multipart"), ("name", key)];
        if fresh {
            query.push(("ifGenerationMatch", "0"));
        }
        let request = self.request("POST", &self.upload_path(), &query).repeat(Repeat::Always);
        let request = request.header("content-type", format!("multipart/related; boundary={edge}"));
        let told = self.fetch_with(&format!("put '{key}'"), &request, body);
        told.map(drop).map_err(|refused| self.instead(refused.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::arrived;

    #[test]
    fn what_has_arrived_is_told_by_its_last_byte() {
        assert_eq!(arrived(Some("bytes=0-262143")), 262_144);
        assert_eq!(arrived(None), 0, "nothing has");
    }
}
