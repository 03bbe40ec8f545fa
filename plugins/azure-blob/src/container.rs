//! A container: where its requests go, how they are signed, and the requests that one line can say.

use lifeboat_objects::{ANSWER_MAX, At, Meta, Refusal, judged, time, xml};
use lifeboat_sdk::host::now_ms;
use lifeboat_sdk::http::{self, Answer, AzureKey, Head, HeadExt, Request, Signing};
use lifeboat_sdk::prelude::*;

use crate::answer::refusal;
use crate::{Retain, Settings};

/// The version of the service that is spoken: the first with what is used here, and more.
const VERSION: &str = "2021-12-02";

/// A container in a role of a call.
#[derive(Clone)]
pub struct Container {
    /// Where it is; the account is a part of the origin.
    pub at: At,
    retain: Option<(Retain, u32)>,
    signing: Signing,
}

impl Container {
    /// The target of a role.
    ///
    /// # Errors
    /// Permanent, where no secrets for its account are named.
    pub fn at_role(role: &str, name: &str, settings: Settings) -> Result<Self, Error> {
        let signing = signing(name, &settings.account, &http::secrets(role)?)?;
        Ok(Self::signed(role, name, settings, signing))
    }

    fn signed(role: &str, name: &str, settings: Settings, signing: Signing) -> Self {
        let origin = match &settings.endpoint {
            Some(endpoint) => endpoint.trim_end_matches('/').to_owned(),
            None => format!("https://{}.blob.core.windows.net", settings.account),
        };
        let part = settings.block_mib.clamp(1, 4000) * 1024 * 1024;
        let at = At::new(role, name, settings.container, settings.prefix, origin, part);
        Self { at, retain: settings.retain_days.map(|days| (settings.retain_mode, days)), signing }
    }

    /// Another container of the same account, with the same key and no prefix.
    pub fn next_to(&self, container: &str) -> Self {
        Self { at: self.at.beside(container), ..self.clone() }
    }

    /// Whether a shared access signature is all that there is: it belongs to the query of a request, and a source of a copy has
    /// none that the host could sign.
    pub fn has_only_sas(&self) -> bool {
        matches!(self.signing, Signing::AzureSas(_))
    }

    /// The address of a blob, or of the container for an empty name. The query begins with no `?`; see [`query`].
    pub fn url(&self, key: &str, query: &str) -> String {
        let slash = if key.is_empty() { "" } else { "/" };
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}/{}{slash}{}{mark}{query}", self.at.origin, self.at.bucket, http::encode_path(key))
    }

    /// A signed request.
    pub fn request(&self, method: &str, key: &str, query: &str) -> Request {
        self.sign(Request::new(method, self.url(key, query)))
    }

    /// A signed request to the account.
    pub fn to_account(&self, method: &str, query: &str) -> Request {
        self.sign(Request::new(method, format!("{}/?{query}", self.at.origin)))
    }

    fn sign(&self, request: Request) -> Request {
        request.header("x-ms-version", VERSION).sign(self.signing.clone()).stay()
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

    /// The headers of a blob's answer, or nothing where there is no such blob.
    pub fn look(&self, key: &str, version: Option<&str>) -> Result<Option<Head>, Error> {
        let request = self.request("HEAD", key, version.unwrap_or_default());
        match self.fetch(&format!("head '{key}'"), &request) {
            Ok(answer) => Ok(Some(answer.head)),
            Err(refused) if refused.is_no_key() => self.reach().map(|()| None),
            // What is refused without a word is refused with one by a request that has a body.
            Err(refused) => Err(self.reach().err().unwrap_or(refused.into())),
        }
    }

    /// An error where the container is not there or can't be reached.
    pub fn reach(&self) -> Result<(), Error> {
        let what = format!("look at the container {}", self.at.bucket);
        let query =
            query(&[("restype", "container"), ("comp", "list"), ("maxresults", "1"), ("prefix", &self.at.prefix)]);
        self.fetch(&what, &self.request("GET", "", &query)).map(drop).map_err(|mut refused| {
            if refused.is_no_key() {
                refused.error.kind = ErrorKind::Permanent;
            }
            refused.into()
        })
    }

    /// How blobs here are kept from being changed, in words; nothing where they are not.
    pub fn immutability(&self) -> Result<Option<&'static str>, Error> {
        let what = format!("ask whether {} keeps blobs from being changed", self.at.bucket);
        let head = self.fetch(&what, &self.request("GET", "", "restype=container"))?.head;
        let says = |name: &str| head.header(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        Ok(match () {
            () if says("x-ms-has-legal-hold") => Some("a legal hold keeps all of it"),
            () if says("x-ms-has-immutability-policy") => Some("a policy keeps new blobs from being changed"),
            () if says("x-ms-immutable-storage-with-versioning-enabled") => {
                Some("each blob can have a time before which nobody changes it")
            }
            () => None,
        })
    }

    /// For how many days the account keeps what is deleted or overwritten; nothing where it does not.
    pub fn soft_delete(&self) -> Result<Option<u32>, Error> {
        let what = "ask for how long the account keeps what is deleted";
        let answer = self.fetch(what, &self.to_account("GET", "restype=service&comp=properties"))?;
        let text = String::from_utf8_lossy(&answer.body);
        let document = xml::parse(what, &text)?;
        let policy = xml::child(document.root_element(), "DeleteRetentionPolicy");
        let policy = policy.filter(|policy| xml::text(*policy, "Enabled").eq_ignore_ascii_case("true"));
        Ok(policy.map(|policy| xml::text(policy, "Days").parse().unwrap_or(0)))
    }

    /// With the headers that retain a new blob, where the target asks for it.
    pub fn retained(&self, request: Request) -> Request {
        let Some((mode, days)) = self.retain else { return request };
        let until = time::http_date(now_ms() / 1_000 + u64::from(days) * 86_400);
        let mode = match mode {
            Retain::Unlocked => "unlocked",
            Retain::Locked => "locked",
        };
        request.header("x-ms-immutability-policy-until-date", until).header("x-ms-immutability-policy-mode", mode)
    }

    /// Whether new blobs are to be retained.
    pub fn retains(&self) -> bool {
        self.retain.is_some()
    }
}

/// Names with values as a query.
pub fn query(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{}={}", http::encode(name), http::encode(value))).collect();
    pairs.join("&")
}

/// What the headers say of a blob.
pub fn meta(head: &Head) -> Meta {
    let text = |name: &str| head.header(name).unwrap_or_default();
    // With a range, `content-md5` is that of the range.
    let md5 = if head.status == 206 { "x-ms-blob-content-md5" } else { "content-md5" };
    Meta {
        size: text("content-length").parse().unwrap_or(0),
        etag: text("etag").trim_matches('"').to_owned(),
        version: head.header("x-ms-version-id").map(version_of),
        sum: head.header(md5).filter(|md5| !md5.is_empty()).map(|md5| format!("md5:{md5}")),
        content_type: head.header("content-type").map(str::to_owned),
    }
}

/// A version in the form of a query, as manifests keep it.
pub fn version_of(id: &str) -> String {
    query(&[("versionid", id)])
}

/// A snapshot of a blob in the form of a query, as manifests keep it.
pub fn snapshot_of(time: &str) -> String {
    query(&[("snapshot", time)])
}

fn signing(name: &str, account: &str, named: &[String]) -> Result<Signing, Error> {
    let has = |secret: &str| named.iter().any(|known| known == secret);
    if has("account-key") {
        Ok(Signing::AzureSharedKey(AzureKey { account: account.to_owned(), key: "account-key".to_owned() }))
    } else if has("sas") {
        Ok(Signing::AzureSas("sas".to_owned()))
    } else if has("token") {
        Ok(Signing::Bearer("token".to_owned()))
    } else {
        Err(Error::permanent(format!("target '{name}' names no key for its account")).hint(format!(
            "add to target \"{name}\": account-key secret=\"NAME\", sas secret=\"NAME\" or token secret=\"NAME\""
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(json: &str) -> Container {
        let settings: Settings = lifeboat_sdk::serde_json::from_str(json).unwrap();
        Container::signed("into", "copies", settings, Signing::None)
    }

    #[test]
    fn addresses_have_the_account_in_the_host_or_in_the_path() {
        let azure = container(r#"{"account":"shop","container":"orders"}"#);
        assert_eq!(azure.url("a b/c", ""), "https://shop.blob.core.windows.net/orders/a%20b/c");
        let here = container(r#"{"account":"shop","container":"orders","endpoint":"http://127.0.0.1:9/shop/"}"#);
        let listing = query(&[("comp", "list"), ("prefix", "a/b")]);
        assert_eq!(here.url("", &listing), "http://127.0.0.1:9/shop/orders?comp=list&prefix=a%2Fb");
        let version = version_of("2026-11-21T06:47:55.1234567Z");
        assert_eq!(
            here.url("k", &version),
            "http://127.0.0.1:9/shop/orders/k?versionid=2026-11-21T06%3A47%3A55.1234567Z"
        );
    }

    #[test]
    fn one_of_three_secrets_is_needed() {
        let named = |secret: &str| signing("t", "shop", &[secret.to_owned()]);
        assert!(matches!(named("account-key"), Ok(Signing::AzureSharedKey(key)) if key.account == "shop"));
        assert!(matches!(named("sas"), Ok(Signing::AzureSas(_))));
        assert!(matches!(named("token"), Ok(Signing::Bearer(_))));
        assert!(named("password").unwrap_err().hint.unwrap().contains("account-key secret="));
    }
}
