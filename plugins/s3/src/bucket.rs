//! A bucket: where its requests go, how they are signed, and the requests that one line can say.

use lifeboat_objects::{ANSWER_MAX, At, Meta, Refusal, judged, time, xml};
use lifeboat_sdk::host::now_ms;
use lifeboat_sdk::http::{self, Answer, Aws, AwsCredentials, AwsKeys, AwsPayload, Head, HeadExt, Request, Signing};
use lifeboat_sdk::prelude::*;

use crate::answer::refusal;
use crate::{Retain, Settings};

/// A bucket in a role of a call.
#[derive(Clone)]
pub struct Bucket {
    /// Where it is.
    pub at: At,
    path_style: bool,
    retain: Option<(Retain, u32)>,
    signing: Signing,
}

impl Bucket {
    /// The target of a role.
    ///
    /// # Errors
    /// Permanent, where no secrets for its key are named.
    pub fn at_role(role: &str, name: &str, settings: Settings) -> Result<Self, Error> {
        let signing = signing(name, &settings, &http::secrets(role)?)?;
        let origin = match &settings.endpoint {
            Some(endpoint) => endpoint.trim_end_matches('/').to_owned(),
            None => format!("https://s3.{}.amazonaws.com", settings.region),
        };
        let part = settings.part_mib.clamp(5, 4096) * 1024 * 1024;
        Ok(Self {
            path_style: settings.path_style.unwrap_or(settings.endpoint.is_some()),
            at: At::new(role, name, settings.bucket, settings.prefix, origin, part),
            retain: settings.retain_days.map(|days| (settings.retain_mode, days)),
            signing,
        })
    }

    /// Another bucket at the same server, with the same key and no prefix.
    pub fn next_to(&self, bucket: &str) -> Self {
        Self { at: self.at.beside(bucket), ..self.clone() }
    }

    /// The address of a key at the server, or of the bucket for an empty key. The query is names with values.
    pub fn url(&self, key: &str, query: &[(&str, &str)]) -> String {
        let key = http::encode_path(key);
        let mut url = match self.at.origin.split_once("://") {
            Some((scheme, host)) if !self.path_style => format!("{scheme}://{}.{host}/{key}", self.at.bucket),
            _ => format!("{}/{}/{key}", self.at.origin, self.at.bucket),
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
        self.judge(what, request.fetch(&self.at.role, ANSWER_MAX))
    }

    /// Sends a request with a document.
    pub fn fetch_with(&self, what: &str, request: &Request, body: Vec<u8>) -> Result<Answer, Refusal> {
        self.judge(what, request.fetch_with(&self.at.role, body, ANSWER_MAX))
    }

    /// Sends so many bytes of a reader.
    pub fn send(&self, what: &str, request: &Request, data: &Reader, len: u64) -> Result<Answer, Refusal> {
        self.judge(what, request.fetch_from(&self.at.role, data, Some(len), ANSWER_MAX))
    }

    fn judge(&self, what: &str, result: Result<Answer, http::Failure>) -> Result<Answer, Refusal> {
        judged(what, result, refusal)
    }

    /// The object of a full key, or nothing. That the bucket is not there is an error: a `HEAD` has no body that would tell.
    pub fn look(&self, key: &str, version: Option<&str>) -> Result<Option<Meta>, Error> {
        let what = format!("head '{key}'");
        let query: Vec<(&str, &str)> = version.map(|version| ("versionId", version)).into_iter().collect();
        match self.fetch(&what, &self.request("HEAD", key, &query)) {
            Ok(answer) => Ok(Some(meta(&answer.head))),
            Err(refused) if refused.is_no_key() => self.reach().map(|()| None),
            // A version that is the mark of a deletion can't be asked for.
            Err(refused) if refused.status == 405 && version.is_some() => Ok(None),
            // What is refused without a word is refused with one by a request that has a body.
            Err(refused) => Err(self.reach().err().unwrap_or(refused.into())),
        }
    }

    /// An error where the bucket is not there or can't be reached.
    pub fn reach(&self) -> Result<(), Error> {
        let what = format!("look at the bucket {}", self.at.bucket);
        // A page of a listing says why not; the `HEAD` of a bucket has a status only.
        let query = [("list-type", "2"), ("max-keys", "1"), ("prefix", self.at.prefix.as_str())];
        self.fetch(&what, &self.request("GET", "", &query)).map(drop).map_err(|mut refused| {
            if refused.is_no_key() {
                refused.error.kind = ErrorKind::Permanent;
            }
            refused.into()
        })
    }

    /// `Enabled`, `Suspended`, or nothing where versions were never kept or the server knows none.
    pub fn versioning(&self) -> Result<Option<String>, Error> {
        let what = format!("ask whether {} keeps versions", self.at.bucket);
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
        let what = format!("ask whether {} locks objects", self.at.bucket);
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
        request.header("x-amz-object-lock-retain-until-date", time::timestamp(until))
    }

    /// Whether what is written is retained: such a put has to carry a checksum.
    pub fn retains(&self) -> bool {
        self.retain.is_some()
    }
}

/// What the headers say of an object.
pub fn meta(head: &Head) -> Meta {
    let text = |name: &str| head.header(name).unwrap_or_default();
    Meta {
        size: text("content-length").parse().unwrap_or(0),
        etag: text("etag").trim_matches('"').to_owned(),
        sum: None,
        content_type: head.header("content-type").map(str::to_owned),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(json: &str) -> Bucket {
        let settings: Settings = lifeboat_sdk::serde_json::from_str(json).unwrap();
        let path_style = settings.path_style.unwrap_or(settings.endpoint.is_some());
        let origin = settings.endpoint.unwrap_or("https://s3.eu-central-1.amazonaws.com".into());
        let at = At::new("into", "copies", settings.bucket, settings.prefix, origin, 5);
        Bucket { at, path_style, retain: None, signing: Signing::None }
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
}
