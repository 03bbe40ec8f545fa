//! A bucket: where its requests go, how they are signed, and the requests that one line can say.

use lifeboat_objects::{ANSWER_MAX, At, Entry, Meta, Refusal, Take, judged, stuck, time};
use lifeboat_sdk::host::now_ms;
use lifeboat_sdk::http::{self, Answer, GoogleKey, Head, HeadExt, Request, Signing};
use lifeboat_sdk::prelude::*;
use lifeboat_sdk::serde_json::{self, Value, json};

use crate::answer::refusal;
use crate::{Retain, Settings};

/// What a token is asked for.
const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_write";
/// What is wanted of an object.
const FIELDS: &str = "name,size,generation,crc32c,md5Hash,etag,updated,contentType";

/// A bucket in a role of a call.
#[derive(Clone)]
pub struct Bucket {
    /// Where it is.
    pub at: At,
    retain: Option<(Retain, u32)>,
    signing: Signing,
}

impl Bucket {
    /// The target of a role.
    ///
    /// # Errors
    /// Permanent, where no secrets for it are named.
    pub fn at_role(role: &str, name: &str, settings: Settings) -> Result<Self, Error> {
        let signing = signing(name, &http::secrets(role)?)?;
        Ok(Self::signed(role, name, settings, signing))
    }

    fn signed(role: &str, name: &str, settings: Settings, signing: Signing) -> Self {
        let origin = match &settings.endpoint {
            Some(endpoint) => endpoint.trim_end_matches('/').to_owned(),
            None => "https://storage.googleapis.com".to_owned(),
        };
        let part = settings.chunk_mib.clamp(1, 4096) * 1024 * 1024;
        let at = At::new(role, name, settings.bucket, settings.prefix, origin, part);
        Self { at, retain: settings.retain_days.map(|days| (settings.retain_mode, days)), signing }
    }

    /// Another bucket at the same server, with the same key and no prefix.
    pub fn next_to(&self, bucket: &str) -> Self {
        Self { at: self.at.beside(bucket), ..self.clone() }
    }

    /// The path of the bucket, or of an object in it.
    pub fn path(&self, key: Option<&str>) -> String {
        let object = key.map(|key| format!("/o/{}", http::encode(key))).unwrap_or_default();
        format!("/storage/v1/b/{}{object}", http::encode(&self.at.bucket))
    }

    /// A signed request to a path.
    pub fn request(&self, method: &str, path: &str, query: &[(&str, &str)]) -> Request {
        let pairs: Vec<String> =
            query.iter().map(|(name, value)| format!("{}={}", http::encode(name), http::encode(value))).collect();
        let mark = if pairs.is_empty() { "" } else { "?" };
        self.to(method, format!("{}{path}{mark}{}", self.at.origin, pairs.join("&")))
    }

    /// A signed request to a whole address. A 308 is no redirect here: it says that an upload is to go on.
    pub fn to(&self, method: &str, url: String) -> Request {
        Request::new(method, url).sign(self.signing.clone()).stay()
    }

    /// Sends a request without a body.
    pub fn fetch(&self, what: &str, request: &Request) -> Result<Answer, Refusal> {
        self.judge(what, request.fetch(&self.at.role, ANSWER_MAX))
    }

    /// Sends a request with a body from memory.
    pub fn fetch_with(&self, what: &str, request: &Request, body: Vec<u8>) -> Result<Answer, Refusal> {
        self.judge(what, request.fetch_with(&self.at.role, body, ANSWER_MAX))
    }

    /// An answer that is a success, or why it is none.
    pub fn judge(&self, what: &str, result: Result<Answer, http::Failure>) -> Result<Answer, Refusal> {
        judged(what, result, refusal)
    }

    /// The object of a name, or nothing. That the bucket is not there is an error, and is answered in the same way.
    pub fn look(&self, key: &str, generation: Option<&str>) -> Result<Option<Meta>, Error> {
        let what = format!("head '{key}'");
        let mut query = vec![("fields", FIELDS)];
        query.extend(generation.map(|generation| ("generation", generation)));
        match self.fetch(&what, &self.request("GET", &self.path(Some(key)), &query)) {
            Ok(answer) => Ok(Some(meta(&parse(&what, &answer.body)?))),
            Err(refused) if refused.is_no_key() => self.reach().map(|()| None),
            Err(refused) => Err(refused.into()),
        }
    }

    /// An error where the bucket is not there or can't be reached.
    pub fn reach(&self) -> Result<(), Error> {
        let what = format!("look at the bucket {}", self.at.bucket);
        let query = [("maxResults", "1"), ("prefix", self.at.prefix.as_str()), ("fields", "items(name)")];
        let path = format!("{}/o", self.path(None));
        self.fetch(&what, &self.request("GET", &path, &query)).map(drop).map_err(|refused| gone(refused).into())
    }

    /// A page of a listing, and what leads to the next.
    fn page(&self, what: &str, prefix: &str, max: &str, token: &str) -> Result<(Vec<Entry>, String), Error> {
        let fields = format!("nextPageToken,items({FIELDS})");
        let mut query = vec![("prefix", prefix), ("maxResults", max), ("fields", fields.as_str())];
        if !token.is_empty() {
            query.push(("pageToken", token));
        }
        let path = format!("{}/o", self.path(None));
        let answer = self.fetch(what, &self.request("GET", &path, &query)).map_err(gone)?;
        let document = parse(what, &answer.body)?;
        let items = document.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        Ok((items.iter().map(entry).collect(), text(&document, "nextPageToken").to_owned()))
    }

    /// Every object whose name begins with that, in the order of names.
    pub fn list(&self, prefix: &str, take: &mut Take<'_>) -> Result<(), Error> {
        let what = format!("list '{prefix}' in the bucket {}", self.at.bucket);
        let mut token = String::new();
        loop {
            let (found, next) = self.page(&what, prefix, "1000", &token)?;
            found.into_iter().try_for_each(&mut *take)?;
            if next.is_empty() {
                return Ok(());
            }
            if next == token {
                return Err(stuck(&what));
            }
            token = next;
        }
    }

    /// The first object whose name begins with that.
    pub fn one(&self, prefix: &str) -> Result<Option<Entry>, Error> {
        let what = format!("look for '{prefix}' in the bucket {}", self.at.bucket);
        let mut token = String::new();
        loop {
            // A page may be empty although others follow.
            let (found, next) = self.page(&what, prefix, "1", &token)?;
            let first = found.into_iter().next();
            if first.is_some() || next.is_empty() {
                return Ok(first);
            }
            if next == token {
                return Err(stuck(&what));
            }
            token = next;
        }
    }

    /// What the service says of the bucket itself, as far as it matters here.
    pub fn about(&self) -> Result<Value, Error> {
        let what = format!("ask about the bucket {}", self.at.bucket);
        let fields = "versioning,retentionPolicy,objectRetention,softDeletePolicy";
        let request = self.request("GET", &self.path(None), &[("fields", fields)]);
        let answer = self.fetch(&what, &request).map_err(gone)?;
        parse(&what, &answer.body)
    }

    /// The retention of a new object, where the target asks for it.
    pub fn retention(&self) -> Option<Value> {
        let (mode, days) = self.retain?;
        let until = time::timestamp(now_ms() / 1_000 + u64::from(days) * 86_400);
        let mode = match mode {
            Retain::Unlocked => "Unlocked",
            Retain::Locked => "Locked",
        };
        Some(json!({ "mode": mode, "retainUntilTime": until }))
    }
}

/// A bucket that is not there is no object that is not there.
fn gone(mut refused: Refusal) -> Refusal {
    if refused.is_no_key() {
        refused.error.kind = ErrorKind::Permanent;
        refused.error = refused.error.hint("the bucket is not there: make it, or look at `bucket` and `endpoint`");
    }
    refused
}

/// Reads a document.
pub fn parse(what: &str, body: &[u8]) -> Result<Value, Error> {
    serde_json::from_slice(body).map_err(|error| {
        Error::temporary(format!("{what}: the server's answer is no JSON: {error}"))
            .hint("look whether the endpoint is that of the storage service, and no proxy is in between")
    })
}

/// The text of that name; empty where there is none.
pub fn text<'a>(document: &'a Value, name: &str) -> &'a str {
    document.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The checksum of all bytes. It is the same for the same bytes, so it is the ETag, too.
fn sum(object: &Value) -> Option<String> {
    [("crc32c", "crc32c"), ("md5Hash", "md5")].into_iter().find_map(|(name, kind)| {
        Some(text(object, name)).filter(|sum| !sum.is_empty()).map(|sum| format!("{kind}:{sum}"))
    })
}

/// What a document says of an object.
pub fn meta(object: &Value) -> Meta {
    let sum = sum(object);
    let optional = |name: &str| Some(text(object, name)).filter(|text| !text.is_empty()).map(str::to_owned);
    Meta {
        size: text(object, "size").parse().unwrap_or(0),
        etag: sum.clone().unwrap_or_else(|| text(object, "etag").to_owned()),
        version: optional("generation"),
        sum,
        content_type: optional("contentType"),
    }
}

fn entry(object: &Value) -> Entry {
    let Meta { size, etag, version, sum, .. } = meta(object);
    let modified = time::millis(text(object, "updated"));
    Entry { key: text(object, "name").to_owned(), size, etag, modified, version, sum }
}

/// What the headers say of an object that is being read.
pub fn meta_of(head: &Head) -> Meta {
    let hashes = head.headers.iter().filter(|header| header.name == "x-goog-hash");
    let sums: Vec<String> = hashes
        .flat_map(|header| header.value.split(','))
        .filter_map(|sum| sum.trim().split_once('=').map(|(kind, sum)| format!("{kind}:{sum}")))
        .collect();
    let sum = ["crc32c:", "md5:"].iter().find_map(|kind| sums.iter().find(|sum| sum.starts_with(kind)).cloned());
    let text = |name: &str| head.header(name).unwrap_or_default();
    Meta {
        size: text("content-length").parse().unwrap_or(0),
        etag: sum.clone().unwrap_or_else(|| text("etag").trim_matches('"').to_owned()),
        version: head.header("x-goog-generation").map(str::to_owned),
        sum,
        content_type: head.header("content-type").map(str::to_owned),
    }
}

fn signing(name: &str, named: &[String]) -> Result<Signing, Error> {
    let has = |secret: &str| named.iter().any(|known| known == secret);
    if has("credentials") {
        Ok(Signing::GoogleServiceAccount(GoogleKey { key: "credentials".to_owned(), scopes: vec![SCOPE.to_owned()] }))
    } else if has("token") {
        Ok(Signing::Bearer("token".to_owned()))
    } else {
        Err(Error::permanent(format!("target '{name}' names no key for its bucket")).hint(format!(
            "add to target \"{name}\": credentials secret=\"NAME\", the key file of a service account, or token secret=\"NAME\""
        )))
    }
}

#[cfg(test)]
mod tests {
    use lifeboat_sdk::http::Header;

    use super::*;

    #[test]
    fn names_of_objects_are_one_part_of_a_path() {
        let settings: Settings = serde_json::from_str(r#"{"bucket":"orders","prefix":"p"}"#).unwrap();
        let bucket = Bucket::signed("into", "copies", settings, Signing::None);
        assert_eq!(bucket.at.origin, "https://storage.googleapis.com");
        assert_eq!(bucket.path(Some(&bucket.at.full("a b/c"))), "/storage/v1/b/orders/o/p%2Fa%20b%2Fc");
        assert_eq!(bucket.path(None), "/storage/v1/b/orders");
    }

    #[test]
    fn an_object_is_the_same_in_a_document_and_in_headers() {
        let object = json!({"name": "a", "size": "5", "generation": "7", "crc32c": "mnG7TA==", "md5Hash": "XUFA",
            "updated": "2026-11-21T06:47:55.123456Z", "contentType": "x/y"});
        let listed = entry(&object);
        assert_eq!((listed.size, listed.modified), (5, Some(1_795_243_675_123)));
        let header = |name: &str, value: &str| Header { name: name.into(), value: value.into() };
        let headers = vec![
            header("content-length", "5"),
            header("x-goog-hash", "md5=XUFA"),
            header("x-goog-hash", "crc32c=mnG7TA=="),
            header("x-goog-generation", "7"),
            header("content-type", "x/y"),
        ];
        let head = Head { status: 200, headers, sends: 1, checksums: Vec::new(), url: String::new() };
        assert_eq!(meta_of(&head), meta(&object));
        assert_eq!(meta(&object).etag, "crc32c:mnG7TA==");
    }

    #[test]
    fn one_of_two_secrets_is_needed() {
        let named = |secret: &str| signing("t", &[secret.to_owned()]);
        assert!(matches!(named("credentials"), Ok(Signing::GoogleServiceAccount(_))));
        assert!(matches!(named("token"), Ok(Signing::Bearer(_))));
        assert!(named("password").unwrap_err().hint.unwrap().contains("credentials secret="));
    }
}
