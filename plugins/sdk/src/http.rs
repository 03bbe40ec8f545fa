//! Requests over HTTP, made and signed by the host, to the hosts that the operator's file grants to the target.
//!
//! Secrets are named by the setting that holds them, and never seen. Bulk bytes go as [`Reader`]s, and stay in the host.
//!
//! ```no_run
//! use lifeboat_sdk::host::Error;
//! use lifeboat_sdk::http::{self, Request, Signing};
//!
//! fn newest(role: &str) -> Result<Vec<u8>, Error> {
//!     let answer = Request::get("/newest").sign(Signing::Bearer("token".into())).fetch(role, 64 * 1024)?;
//!     Ok(answer.ok("ask for the newest")?.body)
//! }
//! ```

use crate::bindings::storage::lifeboat::plugin as wit;
use crate::error::{ErrorExt, Stop};
use crate::host::{Error, ErrorKind, Reader};

pub use wit::http::{
    Aws, AwsCredentials, AwsKeys, AwsPayload, AzureKey, BasicLogin, GoogleKey, Hash, Head, Header, Repeat,
    SecretHeader, Signing, Wish,
};

/// An answer, with its body as a stream.
pub struct Response {
    /// Status and headers.
    pub head: Head,
    /// The body. One that is cut off fails while it is read.
    pub body: Reader,
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// Status and headers.
    pub head: Head,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug)]
pub struct Failure {
    /// The error.
    pub error: Error,
    /// Whether the server may have acted on the request.
    pub sent: bool,
}

impl From<wit::http::Failure> for Failure {
    fn from(failure: wit::http::Failure) -> Self {
        Self { error: failure.error, sent: failure.sent }
    }
}

/// Short ways to look at a [`Head`].
pub trait HeadExt {
    /// The first header of that name, which is written in lower case.
    fn header(&self, name: &str) -> Option<&str>;
    /// Whether the status is 200 to 299.
    fn is_ok(&self) -> bool;
    /// The error for this status, with what the server said.
    fn error(&self, what: &str, body: &[u8]) -> Error;
}

/// A request to be sent. Without more it is not signed, repeated where its method allows it, and follows redirects.
pub struct Request(wit::http::Request);

impl Request {
    /// A request. A `url` that begins with `/` is below the `endpoint` of the target; else it is a whole one. It is
    /// percent-encoded already: see [`encode`].
    pub fn new(method: &str, url: impl Into<String>) -> Self {
        Self(wit::http::Request {
            method: method.to_owned(),
            url: url.into(),
            headers: Vec::new(),
            signing: Signing::None,
            checksums: Vec::new(),
            timeout_ms: None,
            repeat: Repeat::ByMethod,
            follow: true,
        })
    }

    /// GET.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// HEAD.
    pub fn head(url: impl Into<String>) -> Self {
        Self::new("HEAD", url)
    }

    /// PUT.
    pub fn put(url: impl Into<String>) -> Self {
        Self::new("PUT", url)
    }

    /// POST.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url)
    }

    /// DELETE.
    pub fn delete(url: impl Into<String>) -> Self {
        Self::new("DELETE", url)
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.headers.push(Header { name: name.to_owned(), value: value.into() });
        self
    }

    /// Signed by the host.
    #[must_use]
    pub fn sign(mut self, signing: Signing) -> Self {
        self.0.signing = signing;
        self
    }

    /// With a checksum of the body, which the host computes while it sends.
    #[must_use]
    pub fn checksum(mut self, hash: Hash) -> Self {
        self.0.checksums.push(Wish { hash, header: None });
        self
    }

    /// With a checksum of the body in a header, in base 64 after the prefix.
    #[must_use]
    pub fn checksum_header(mut self, hash: Hash, name: &str, prefix: &str) -> Self {
        let header = Some(Header { name: name.to_owned(), value: prefix.to_owned() });
        self.0.checksums.push(Wish { hash, header });
        self
    }

    /// Milliseconds until the headers of the answer have to be there, repetitions included.
    #[must_use]
    pub fn timeout_ms(mut self, ms: u32) -> Self {
        self.0.timeout_ms = Some(ms);
        self
    }

    /// Whether the host may send it again.
    #[must_use]
    pub fn repeat(mut self, repeat: Repeat) -> Self {
        self.0.repeat = repeat;
        self
    }

    /// Answers with a redirect are given back as they are.
    #[must_use]
    pub fn stay(mut self) -> Self {
        self.0.follow = false;
        self
    }

    /// Sends it without a body; the answer's body is a stream.
    ///
    /// # Errors
    /// Where no answer came. Any status is an answer: see [`Response::ok`].
    pub fn send(&self, role: &str) -> Result<Response, Failure> {
        let wit::http::Response { head, body } = wit::http::send(role, &self.0, &wit::http::Body::None)?;
        Ok(Response { head, body })
    }

    /// Sends it without a body, and reads the whole answer of at most `max` bytes.
    ///
    /// # Errors
    /// Where no answer came, or a larger one. Any status is an answer: see [`Answer::ok`].
    pub fn fetch(&self, role: &str, max: u32) -> Result<Answer, Failure> {
        self.whole(role, &wit::http::Body::None, max)
    }

    /// Sends bytes that the guest has.
    ///
    /// # Errors
    /// As for [`Request::fetch`].
    pub fn fetch_with(&self, role: &str, body: Vec<u8>, max: u32) -> Result<Answer, Failure> {
        self.whole(role, &wit::http::Body::Bytes(body), max)
    }

    /// Sends so many bytes of a reader, or all that it has left.
    ///
    /// # Errors
    /// As for [`Request::fetch`].
    pub fn fetch_from(&self, role: &str, source: &Reader, len: Option<u64>, max: u32) -> Result<Answer, Failure> {
        self.whole(role, &wit::http::Body::Stream(wit::http::Part { source, len }), max)
    }

    fn whole(&self, role: &str, body: &wit::http::Body<'_>, max: u32) -> Result<Answer, Failure> {
        let wit::http::Answer { head, body } = wit::http::fetch(role, &self.0, body, max)?;
        Ok(Answer { head, body })
    }
}

/// The settings of the target that hold secrets, by name.
///
/// # Errors
/// `refused` where the step has no target of that role.
pub fn secrets(role: &str) -> Result<Vec<String>, Error> {
    wit::http::secrets(role)
}

/// Percent-encodes one segment of a path, or a key or value of a query: all but letters, digits and `-._~`.
pub fn encode(text: &str) -> String {
    encode_but(text, b"")
}

/// Percent-encodes a path, and leaves its `/` as they are.
pub fn encode_path(text: &str) -> String {
    encode_but(text, b"/")
}

fn encode_but(text: &str, keep: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || keep.contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

impl HeadExt for Head {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.name == name).map(|header| header.value.as_str())
    }

    fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    fn error(&self, what: &str, body: &[u8]) -> Error {
        let said = String::from_utf8_lossy(body.get(..body.len().min(600)).unwrap_or_default());
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        let said = if said.is_empty() { String::new() } else { format!(": {said}") };
        let kind = match self.status {
            404 | 410 => ErrorKind::NotFound,
            408 | 425 | 429 | 500.. => ErrorKind::Temporary,
            _ => ErrorKind::Permanent,
        };
        let hint = match self.status {
            401 => Some("the server does not accept the credentials".to_owned()),
            403 => Some("the server accepts the request but not for these credentials".to_owned()),
            _ => None,
        };
        Error { kind, message: format!("{what}: the server answered {}{said}", self.status), hint }
    }
}

impl Answer {
    /// Itself, where the status is 200 to 299.
    ///
    /// # Errors
    /// What the server said else, after `what`.
    pub fn ok(self, what: &str) -> Result<Self, Error> {
        if self.head.is_ok() { Ok(self) } else { Err(self.head.error(what, &self.body)) }
    }
}

impl Response {
    /// Itself, where the status is 200 to 299.
    ///
    /// # Errors
    /// What the server said else, after `what`.
    pub fn ok(self, what: &str) -> Result<Self, Error> {
        if self.head.is_ok() {
            return Ok(self);
        }
        let said = self.body.read(4096).unwrap_or_default();
        Err(self.head.error(what, &said))
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

impl Failure {
    /// For a request that changes something: unknown where the server may have acted on it, failed where it has not.
    pub fn stop(self) -> Stop {
        if self.sent { Stop::Unknown(self.error.message) } else { Stop::Failed(self.error) }
    }

    /// With what was tried, before the message.
    #[must_use]
    pub fn during(mut self, what: &str) -> Self {
        self.error = self.error.during(what);
        self
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        failure.stop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_encoded_as_signatures_need_it() {
        assert_eq!(encode("a b/ü~"), "a%20b%2F%C3%BC~");
        assert_eq!(encode_path("a b/ü+"), "a%20b/%C3%BC%2B");
    }

    #[test]
    fn a_status_becomes_an_error_that_says_what_the_server_said() {
        let head =
            Head { status: 503, headers: Vec::new(), sends: 1, checksums: Vec::new(), url: "http://x/".to_owned() };
        let error = head.error("list", b"<Code>\n SlowDown</Code>");
        assert_eq!(error.message, "list: the server answered 503: <Code> SlowDown</Code>");
        assert_eq!(error.kind, ErrorKind::Temporary);
        assert_eq!(Head { status: 404, ..head }.error("x", b"").kind, ErrorKind::NotFound);
    }

    #[test]
    fn what_may_have_happened_is_unknown() {
        let failure = |sent| Failure { error: Error::temporary("cut off"), sent };
        assert!(matches!(failure(true).stop(), Stop::Unknown(_)));
        assert!(matches!(failure(false).stop(), Stop::Failed(_)));
    }
}
