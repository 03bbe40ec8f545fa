//! A bucket: where its requests go, how they are signed, and the requests that one line can say.

use lifeboat_sdk::host::now_ms;
use lifeboat_sdk::http::{
    self, Answer, Aws, AwsCredentials, AwsKeys, AwsPayload, Head, HeadExt, Request, Response, Signing,
};
use lifeboat_sdk::prelude::*;

use crate::answer::{Refusal, refusal, unanswered};
use crate::{Retain, Settings, xml};

/// Bytes of an answer that is a document: a page of a listing has a thousand entries.
pub const ANSWER_MAX: u32 = 4 * 1024 * 1024;

/// A bucket in a role of a call.
#[derive(Clone)]
pub struct Bucket {
    /// The role.
    pub role: String,
    /// The name of the target.
    pub name: String,
    /// The bucket's own name.
    pub bucket: String,
    /// What all keys of the target begin with: empty, or ending in `/`.
    pub prefix: String,
    /// Scheme, host and port of the server: buckets of one origin can copy among themselves.
    pub origin: String,
    /// Bytes of a part.
    pub part: u64,
    path_style: bool,
    retain: Option<(Retain, u32)>,
    signing: Signing,
}

/// What a server says of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Bytes.
    pub size: u64,
    /// As the server gives it, without quotes.
    pub etag: String,
    /// As the server gives it.
    pub modified: String,
    /// The version, where there are versions.
    pub version: Option<String>,
}

impl Bucket {
    /// The target of a role.
    ///
    /// # Errors
    /// Permanent, where no secrets for its key are named.
    pub fn open(role: &str, name: &str, settings: Settings) -> Result<Self, Error> {
        let named = http::secrets(role)?;
        let signing = signing(name, &settings, &named)?;
        let origin = match &settings.endpoint {
            Some(endpoint) => endpoint.trim_end_matches('/').to_owned(),
            None => format!("https://s3.{}.amazonaws.com", settings.region),
        };
        let prefix = settings.prefix.unwrap_or_default();
        let prefix = if prefix.is_empty() || prefix.ends_with('/') { prefix } else { format!("{prefix}/") };
        Ok(Self {
            role: role.to_owned(),
            name: name.to_owned(),
            path_style: settings.path_style.unwrap_or(settings.endpoint.is_some()),
            bucket: settings.bucket,
            prefix,
            origin,
            part: settings.part_mib.clamp(5, 4096) * 1024 * 1024,
            retain: settings.retain_days.map(|days| (settings.retain_mode, days)),
            signing,
        })
    }

    /// The target of a role of a step.
    ///
    /// # Errors
    /// As [`Bucket::open`], and where it is no target of this plugin.
    pub fn of(ctx: &Context<Settings>, role: &str) -> Result<Self, Error> {
        Self::open(role, ctx.name(role)?, ctx.settings(role)?)
    }

    /// Another bucket at the same server, with the same key and no prefix.
    pub fn beside(&self, bucket: &str) -> Self {
        Self { bucket: bucket.to_owned(), prefix: String::new(), ..self.clone() }
    }

    /// The key at the server of a key of the target.
    pub fn full(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// `BUCKET` or `BUCKET/PREFIX`, for people.
    pub fn place(&self) -> String {
        format!("{}/{}", self.bucket, self.prefix).trim_end_matches('/').to_owned()
    }

    /// The address of a key at the server, or of the bucket for an empty key. The query is names with values.
    pub fn url(&self, key: &str, query: &[(&str, &str)]) -> String {
        let key = http::encode_path(key);
        let mut url = match self.origin.split_once("://") {
            Some((scheme, host)) if !self.path_style => format!("{scheme}://{}.{host}/{key}", self.bucket),
            _ => format!("{}/{}/{key}", self.origin, self.bucket),
        };
        for (number, (name, value)) in query.iter().enumerate() {
            url.push(if number == 0 { '?' } else { '&' });
            url.push_str(&http::encode(name));
            url.push('=');
            url.push_str(&http::encode(value));
        }
        url
    }

    /// A signed request. Redirects lead to other regions, where the signature does not hold.
    pub fn request(&self, method: &str, key: &str, query: &[(&str, &str)]) -> Request {
        Request::new(method, self.url(key, query)).sign(self.signing.clone()).stay()
    }

    /// Sends a request without a body.
    pub fn fetch(&self, what: &str, request: &Request) -> Result<Answer, Refusal> {
        self.judge(what, request.fetch(&self.role, ANSWER_MAX))
    }

    /// Sends a request with a document.
    pub fn fetch_with(&self, what: &str, request: &Request, body: Vec<u8>) -> Result<Answer, Refusal> {
        self.judge(what, request.fetch_with(&self.role, body, ANSWER_MAX))
    }

    /// Sends so many bytes of a reader.
    pub fn send(&self, what: &str, request: &Request, data: &Reader, len: u64) -> Result<Answer, Refusal> {
        self.judge(what, request.fetch_from(&self.role, data, Some(len), ANSWER_MAX))
    }

    fn judge(&self, what: &str, result: Result<Answer, http::Failure>) -> Result<Answer, Refusal> {
        let answer = result.map_err(|failure| unanswered(what, failure))?;
        if answer.head.is_ok() { Ok(answer) } else { Err(refusal(what, &answer.head, &answer.body)) }
    }

    /// The object of a full key, or nothing. That the bucket is not there is an error: a `HEAD` has no body that would tell.
    pub fn head(&self, key: &str, version: Option<&str>) -> Result<Option<Meta>, Error> {
        let what = format!("head '{key}'");
        let query: Vec<(&str, &str)> = version.map(|version| ("versionId", version)).into_iter().collect();
        match self.fetch(&what, &self.request("HEAD", key, &query)) {
            Ok(answer) => Ok(Some(meta(&answer.head))),
            Err(refused) if refused.is_no_key() => self.exists().map(|()| None),
            // A version that is the mark of a deletion can't be asked for.
            Err(refused) if refused.status == 405 && version.is_some() => Ok(None),
            // What is refused without a word is refused with one by a request that has a body.
            Err(refused) => Err(self.exists().err().unwrap_or(refused.into())),
        }
    }

    /// An error where the bucket is not there or can't be reached.
    pub fn exists(&self) -> Result<(), Error> {
        let what = format!("look at the bucket {}", self.bucket);
        // A page of a listing says why not; the `HEAD` of a bucket has a status only.
        let query = [("list-type", "2"), ("max-keys", "1"), ("prefix", self.prefix.as_str())];
        self.fetch(&what, &self.request("GET", "", &query)).map(drop).map_err(|mut refused| {
            if refused.is_no_key() {
                refused.error.kind = ErrorKind::Permanent;
            }
            refused.into()
        })
    }

    /// The bytes of an object from an offset on; without a length, all of the rest.
    pub fn get(&self, key: &str, version: Option<&str>, offset: u64, len: Option<u64>) -> Result<Response, Refusal> {
        let what = format!("get '{key}'");
        let query: Vec<(&str, &str)> = version.map(|version| ("versionId", version)).into_iter().collect();
        let mut request = self.request("GET", key, &query);
        match len {
            Some(len) => request = request.header("range", format!("bytes={offset}-{}", offset + len.max(1) - 1)),
            None if offset > 0 => request = request.header("range", format!("bytes={offset}-")),
            // The host holds what comes against the sum that the server then tells.
            None => request = request.header("x-amz-checksum-mode", "ENABLED"),
        }
        let response = request.send(&self.role).map_err(|failure| unanswered(&what, failure))?;
        if response.head.is_ok() {
            // A server that does not know ranges sends everything, from the beginning.
            let ranged = offset > 0 || len.is_some();
            if ranged && response.head.status == 200 && !whole(&response.head, offset, len) {
                let error = Error::permanent(format!("{what}: the server does not give parts of objects"));
                return Err(Refusal { status: 200, code: String::new(), error });
            }
            return Ok(response);
        }
        let said = response.body.read(16 * 1024).unwrap_or_default();
        Err(refusal(&what, &response.head, &said))
    }

    /// Deletes an object of a full key; one that is not there is deleted at once.
    pub fn delete(&self, key: &str) -> Result<(), Error> {
        match self.fetch(&format!("delete '{key}'"), &self.request("DELETE", key, &[])) {
            Ok(_) => Ok(()),
            Err(refused) if refused.is_no_key() => self.exists(),
            Err(refused) => Err(refused.into()),
        }
    }

    /// `Enabled`, `Suspended`, or nothing where versions were never kept or the server knows none.
    pub fn versioning(&self) -> Result<Option<String>, Error> {
        let what = format!("ask whether {} keeps versions", self.bucket);
        match self.fetch(&what, &self.request("GET", "", &[("versioning", "")])) {
            Ok(answer) => {
                let text = String::from_utf8_lossy(&answer.body);
                let document = xml::parse(&what, &text)?;
                Ok(Some(xml::text(document.root_element(), "Status").to_owned()).filter(|status| !status.is_empty()))
            }
            Err(refused) if refused.is_unknown_request() => Ok(None),
            Err(refused) => Err(refused.into()),
        }
    }

    /// Whether objects can be locked: `Some` with the rule for new ones in words, empty where there is none.
    pub fn object_lock(&self) -> Result<Option<String>, Error> {
        let what = format!("ask whether {} locks objects", self.bucket);
        match self.fetch(&what, &self.request("GET", "", &[("object-lock", "")])) {
            Ok(answer) => {
                let text = String::from_utf8_lossy(&answer.body);
                let document = xml::parse(&what, &text)?;
                let root = document.root_element();
                if xml::text(root, "ObjectLockEnabled") != "Enabled" {
                    return Ok(None);
                }
                let rule = xml::child(root, "Rule").and_then(|rule| xml::child(rule, "DefaultRetention"));
                Ok(Some(rule.map_or_else(String::new, |rule| {
                    let (days, years) = (xml::text(rule, "Days"), xml::text(rule, "Years"));
                    let mode = xml::text(rule, "Mode").to_lowercase();
                    if years.is_empty() { format!("{mode}, {days} days") } else { format!("{mode}, {years} years") }
                })))
            }
            Err(refused) if refused.is_unknown_request() || refused.status == 404 => Ok(None),
            Err(refused) => Err(refused.into()),
        }
    }

    /// With the headers that retain a new object, where the target asks for it.
    pub fn retained(&self, request: Request) -> Request {
        let Some((mode, days)) = self.retain else { return request };
        let until = now_ms() / 1_000 + u64::from(days) * 86_400;
        let mode = match mode {
            Retain::Governance => "GOVERNANCE",
            Retain::Compliance => "COMPLIANCE",
        };
        let request = request.header("x-amz-object-lock-mode", mode);
        request.header("x-amz-object-lock-retain-until-date", timestamp(until))
    }

    /// Whether what is written is retained: such a put has to carry a checksum.
    pub fn retains(&self) -> bool {
        self.retain.is_some()
    }
}

/// Whether an answer that ignored the range is what was asked for all the same.
fn whole(head: &Head, offset: u64, len: Option<u64>) -> bool {
    // Some servers give the part, say so, and call it 200.
    if head.header("content-range").is_some_and(|range| range.starts_with(&format!("bytes {offset}-"))) {
        return true;
    }
    let size: Option<u64> = head.header("content-length").and_then(|size| size.parse().ok());
    offset == 0 && (len.is_none() || len == size)
}

/// What the headers say of an object.
pub fn meta(head: &Head) -> Meta {
    let text = |name: &str| head.header(name).unwrap_or_default();
    Meta {
        size: text("content-length").parse().unwrap_or(0),
        etag: text("etag").trim_matches('"').to_owned(),
        modified: text("last-modified").to_owned(),
        version: head.header("x-amz-version-id").filter(|version| *version != "null").map(str::to_owned),
    }
}

fn signing(name: &str, settings: &Settings, named: &[String]) -> Result<Signing, Error> {
    let has = |secret: &str| named.iter().any(|known| known == secret);
    let credentials = if has("credentials") {
        AwsCredentials::One("credentials".to_owned())
    } else if has("secret-key") && (has("access-key") || settings.access_key.is_some()) {
        AwsCredentials::Apart(AwsKeys {
            access_key_id: "access-key".to_owned(),
            secret_access_key: "secret-key".to_owned(),
            session_token: has("session-token").then(|| "session-token".to_owned()),
        })
    } else {
        return Err(Error::permanent(format!("target '{name}' names no key for its bucket")).hint(format!(
            "add to target \"{name}\": access-key \"ID\" and secret-key secret=\"NAME\", or credentials secret=\"NAME\""
        )));
    };
    Ok(Signing::AwsSigv4(Aws {
        region: settings.region.clone(),
        service: "s3".to_owned(),
        credentials,
        payload: AwsPayload::Automatic,
    }))
}

/// Seconds since the Unix epoch as `2026-11-21T06:47:55Z`.
fn timestamp(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // The calendar of Howard Hinnant: years begin in March, so that the leap day is the last.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let (date, month) = (of_year - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = era * 400 + year + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{date:02}T{:02}:{:02}:{:02}Z", rest / 3_600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(json: &str) -> Bucket {
        let settings: Settings = lifeboat_sdk::serde_json::from_str(json).unwrap();
        let prefix = settings.prefix.clone().unwrap_or_default();
        Bucket {
            role: "into".into(),
            name: "copies".into(),
            bucket: settings.bucket.clone(),
            prefix,
            origin: settings.endpoint.clone().unwrap_or("https://s3.eu-central-1.amazonaws.com".into()),
            part: 5,
            path_style: settings.path_style.unwrap_or(settings.endpoint.is_some()),
            retain: None,
            signing: Signing::None,
        }
    }

    #[test]
    fn addresses_name_the_bucket_in_the_host_or_in_the_path() {
        let aws = bucket(r#"{"bucket":"orders"}"#);
        assert_eq!(aws.url("a b/c", &[]), "https://orders.s3.eu-central-1.amazonaws.com/a%20b/c");
        let here = bucket(r#"{"bucket":"orders","endpoint":"http://127.0.0.1:9"}"#);
        assert_eq!(
            here.url("", &[("list-type", "2"), ("prefix", "a/b")]),
            "http://127.0.0.1:9/orders/?list-type=2&prefix=a%2Fb"
        );
    }

    #[test]
    fn keys_come_from_one_secret_or_from_two() {
        let settings = |json: &str| lifeboat_sdk::serde_json::from_str::<Settings>(json).unwrap();
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let open = settings(r#"{"bucket":"orders","access-key":"AKIA"}"#);
        assert!(signing("t", &open, &names(&["secret-key"])).is_ok());
        let bare = settings(r#"{"bucket":"orders"}"#);
        assert!(signing("t", &bare, &names(&["credentials"])).is_ok());
        for secrets in [&["password"][..], &["secret-key"], &["access-key"]] {
            let error = signing("t", &bare, &names(secrets)).unwrap_err();
            assert!(error.hint.unwrap().contains("secret-key secret="));
        }
    }

    #[test]
    fn times_are_written_as_servers_read_them() {
        assert_eq!(timestamp(0), "1970-01-01T00:00:00Z");
        assert_eq!(timestamp(1_709_164_800), "2024-02-29T00:00:00Z");
        assert_eq!(timestamp(1_795_243_675), "2026-11-21T06:47:55Z");
    }
}
