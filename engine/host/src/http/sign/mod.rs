//! Signatures. A guest names settings; here their secrets are read, used, and forgotten.

pub mod azure;
pub mod google;
pub mod sigv4;

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use zeroize::Zeroizing;

use self::google::Account;
use self::sigv4::{ChunkSigner, Keys, Payload, Scope};
use super::mask::Mask;
use super::url::Url;
use crate::bindings::lifeboat::plugin::http::{Aws, AwsCredentials, AwsPayload, Signing};
use crate::bindings::lifeboat::plugin::types::{Error as GuestError, ErrorKind};
use crate::guest::Bound;
use crate::ports::Secrets;

/// A request that is about to be sent.
#[derive(Clone)]
pub struct Draft {
    /// In upper case.
    pub method: String,
    /// Where to.
    pub url: Url,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
}

impl Draft {
    /// Sets a header.
    pub fn set(&mut self, name: &str, value: &str) {
        self.headers.insert(name.to_owned(), value.to_owned());
    }
}

/// Credentials that were read for one sending.
pub enum Seal {
    /// None.
    None,
    /// AWS.
    Aws(Keys, Aws),
    /// The account and its key.
    Azure(String, Zeroizing<Vec<u8>>),
    /// A shared access signature.
    Sas(Zeroizing<String>),
    /// The account, and what its token is for.
    Google(Box<Account>, Vec<String>),
    /// A header, its whole value.
    Header(String, Zeroizing<String>),
}

impl Seal {
    /// What tells these credentials from others; `None` where there are none, or where what is sent is made of them anew.
    pub fn mark(&self) -> Option<[u8; 32]> {
        let parts: Vec<&[u8]> = match self {
            Seal::None | Seal::Google(..) => return None,
            Seal::Aws(keys, _) => {
                let token = keys.token.as_ref().map_or("", |token| token.as_str());
                vec![keys.id.as_bytes(), keys.secret.as_bytes(), token.as_bytes()]
            }
            Seal::Azure(account, key) => vec![account.as_bytes(), key.as_slice()],
            Seal::Sas(text) | Seal::Header(_, text) => vec![text.as_bytes()],
        };
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        Some(*hasher.finalize().as_bytes())
    }
}

/// The settings whose secrets a signature is made with.
pub fn settings(signing: &Signing) -> Vec<&str> {
    match signing {
        Signing::None => Vec::new(),
        Signing::AwsSigv4(aws) => match &aws.credentials {
            AwsCredentials::One(setting) => vec![setting],
            AwsCredentials::Apart(keys) => {
                let both = [keys.access_key_id.as_str(), keys.secret_access_key.as_str()];
                both.into_iter().chain(keys.session_token.as_deref()).collect()
            }
        },
        Signing::AzureSharedKey(key) => vec![&key.key],
        Signing::AzureSas(setting) | Signing::Bearer(setting) => vec![setting],
        Signing::GoogleServiceAccount(key) => vec![&key.key],
        Signing::Basic(login) => vec![&login.password],
        Signing::Header(header) => vec![&header.secret],
    }
}

/// What a signature needs to know of the body.
pub struct About {
    /// Its bytes.
    pub len: u64,
    /// Its SHA-256 in hexadecimal digits, where it is known.
    pub sha256: Option<String>,
}

fn unfit(setting: &str, bound: &Bound, why: &str) -> GuestError {
    let target = &bound.target.name;
    GuestError {
        kind: ErrorKind::Permanent,
        message: format!("LB0724: the secret in '{setting}' of target '{target}' can't be used: {why}"),
        hint: None,
    }
}

/// Reads secrets of one target.
struct Reading<'a> {
    bound: &'a Bound,
    secrets: &'a dyn Secrets,
    mask: &'a mut Mask,
}

impl Reading<'_> {
    fn secret(&mut self, setting: &str) -> Result<Zeroizing<String>, GuestError> {
        let Some(name) = self.bound.target.secrets.get(setting) else {
            let target = &self.bound.target.name;
            let message = format!("LB0724: target '{target}' has no secret in its setting '{setting}'");
            let hint = format!("add to target \"{target}\" in the runbook: {setting} secret=\"NAME\"");
            return Err(GuestError { kind: ErrorKind::Permanent, message, hint: Some(hint) });
        };
        let secret = self.secrets.get(name).map_err(|error| crate::fault::from_failure(error.into()))?;
        let text = std::str::from_utf8(secret.expose()).map_err(|_| unfit(setting, self.bound, "it is no UTF-8"))?;
        let text = Zeroizing::new(text.trim().to_owned());
        self.mask.add(&text);
        Ok(text)
    }

    /// A secret, or a setting that stands in the open.
    fn open_or_secret(&mut self, setting: &str) -> Result<Zeroizing<String>, GuestError> {
        match self.bound.settings.get(setting).and_then(serde_json::Value::as_str) {
            Some(open) if !self.bound.target.secrets.contains_key(setting) => Ok(Zeroizing::new(open.to_owned())),
            _ => self.secret(setting),
        }
    }

    fn header(&mut self, setting: &str, prefix: &str) -> Result<Zeroizing<String>, GuestError> {
        let secret = self.secret(setting)?;
        let value = Zeroizing::new(format!("{prefix}{}", *secret));
        if http::HeaderValue::from_str(&value).is_err() {
            return Err(unfit(setting, self.bound, "it has characters that a header can't have"));
        }
        Ok(value)
    }

    fn aws(&mut self, credentials: &AwsCredentials) -> Result<Keys, GuestError> {
        match credentials {
            AwsCredentials::Apart(keys) => Ok(Keys {
                id: self.open_or_secret(&keys.access_key_id)?.to_string(),
                secret: self.secret(&keys.secret_access_key)?,
                token: keys.session_token.as_deref().map(|name| self.secret(name)).transpose()?,
            }),
            AwsCredentials::One(setting) => {
                let whole = self.secret(setting)?;
                let keys = together(&whole).map_err(|why| unfit(setting, self.bound, why))?;
                self.mask.add(&keys.secret);
                keys.token.iter().for_each(|token| self.mask.add(token));
                Ok(keys)
            }
        }
    }
}

#[derive(Deserialize)]
struct AwsJson {
    #[serde(alias = "AccessKeyId", alias = "accessKeyId", alias = "aws_access_key_id")]
    access_key_id: String,
    #[serde(alias = "SecretAccessKey", alias = "secretAccessKey", alias = "aws_secret_access_key")]
    secret_access_key: Zeroizing<String>,
    #[serde(default, alias = "SessionToken", alias = "sessionToken", alias = "aws_session_token")]
    session_token: Option<Zeroizing<String>>,
}

/// The parts of a key that is kept as one secret.
fn together(whole: &str) -> Result<Keys, &'static str> {
    const FORM: &str = "it has to be 'ID:KEY', 'ID:KEY:SESSION-TOKEN', or JSON with AccessKeyId and SecretAccessKey";
    if whole.starts_with('{') {
        let json: AwsJson = serde_json::from_str(whole).map_err(|_| FORM)?;
        return Ok(Keys { id: json.access_key_id, secret: json.secret_access_key, token: json.session_token });
    }
    let mut parts = whole.splitn(3, ':').map(str::trim);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(id), Some(secret), token) if !id.is_empty() && !secret.is_empty() => Ok(Keys {
            id: id.to_owned(),
            secret: Zeroizing::new(secret.to_owned()),
            token: token.map(|token| Zeroizing::new(token.to_owned())),
        }),
        _ => Err(FORM),
    }
}

/// Reads what the signature needs. Blocks, as a secret may come from a file or a command.
pub fn read(signing: &Signing, bound: &Bound, secrets: &dyn Secrets, mask: &mut Mask) -> Result<Seal, GuestError> {
    let mut reading = Reading { bound, secrets, mask };
    Ok(match signing {
        Signing::None => Seal::None,
        Signing::AwsSigv4(aws) => Seal::Aws(reading.aws(&aws.credentials)?, aws.clone()),
        Signing::AzureSharedKey(key) => {
            let text = reading.secret(&key.key)?;
            let bytes = BASE64_STANDARD.decode(text.as_bytes());
            Seal::Azure(key.account.clone(), bytes.map_err(|_| unfit(&key.key, bound, "it is no base 64"))?.into())
        }
        Signing::AzureSas(setting) => {
            let text = reading.secret(setting)?;
            // The signature alone, and as it looks decoded, is as good as the whole.
            for part in text.trim_start_matches('?').split('&').filter_map(|part| part.strip_prefix("sig=")) {
                reading.mask.add(part);
                reading.mask.add(&super::url::decode(part));
            }
            Seal::Sas(text)
        }
        Signing::GoogleServiceAccount(key) => {
            let text = reading.secret(&key.key)?;
            let account = Account::read(&text).map_err(|why| unfit(&key.key, bound, &why))?;
            Seal::Google(Box::new(account), key.scopes.clone())
        }
        Signing::Bearer(setting) => Seal::Header("authorization".into(), reading.header(setting, "Bearer ")?),
        Signing::Basic(login) => {
            let password = reading.secret(&login.password)?;
            let pair = Zeroizing::new(format!("{}:{}", login.user, *password));
            let coded = Zeroizing::new(BASE64_STANDARD.encode(pair.as_bytes()));
            reading.mask.add(&coded);
            Seal::Header("authorization".into(), Zeroizing::new(format!("Basic {}", *coded)))
        }
        Signing::Header(header) => {
            Seal::Header(header.name.to_ascii_lowercase(), reading.header(&header.secret, &header.prefix)?)
        }
    })
}

/// Whether the signature wants the SHA-256 of the body before it is sent.
pub fn wants_digest(signing: &Signing, in_memory: bool) -> bool {
    match signing {
        Signing::AwsSigv4(aws) => match aws.payload {
            AwsPayload::Signed => true,
            AwsPayload::Automatic => in_memory || aws.service != "s3",
            AwsPayload::Unsigned | AwsPayload::Streaming => false,
        },
        _ => false,
    }
}

/// Signs. The token of a Google account is put in by [`super::token`], because it has to be asked for.
pub fn apply(
    seal: &Seal,
    draft: &mut Draft,
    about: &About,
    mask: &mut Mask,
) -> Result<Option<ChunkSigner>, GuestError> {
    let now = jiff::Timestamp::now();
    match seal {
        Seal::None | Seal::Google(..) => {}
        Seal::Aws(keys, aws) => {
            let payload = payload(aws, draft.url.tls, about)?;
            let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
            let scope = Scope { region: &aws.region, service: &aws.service, time: &time };
            let signer = sigv4::sign(draft, keys, &scope, &payload);
            if let Some(value) = draft.headers.get("authorization") {
                mask.add(value);
            }
            return Ok(signer);
        }
        Seal::Azure(account, key) => {
            azure::shared_key(draft, account, key, &now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string());
            if let Some(value) = draft.headers.get("authorization") {
                mask.add(value);
            }
        }
        Seal::Sas(signature) => azure::shared_access(draft, signature),
        Seal::Header(name, value) => draft.set(name, value),
    }
    Ok(None)
}

fn payload(aws: &Aws, tls: bool, about: &About) -> Result<Payload, GuestError> {
    let wrong = |message: &str| crate::fault::guest_error(ErrorKind::Permanent, message);
    if let Some(digest) = &about.sha256 {
        return Ok(Payload::Digest(digest.clone()));
    }
    match aws.payload {
        AwsPayload::Unsigned if !tls => Err(wrong("a body without a signature needs TLS")),
        AwsPayload::Streaming | AwsPayload::Automatic if aws.service != "s3" => {
            Err(wrong("a stream can be signed in chunks for the service 's3' alone"))
        }
        AwsPayload::Streaming => Ok(Payload::Chunks(about.len)),
        AwsPayload::Automatic if !tls => Ok(Payload::Chunks(about.len)),
        AwsPayload::Unsigned | AwsPayload::Automatic => Ok(Payload::Unsigned),
        AwsPayload::Signed => Err(wrong("a stream that comes by once can't be signed as a whole")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_kept_together_come_apart() {
        let parts = |text: &str| {
            together(text).map(|keys| (keys.id, keys.secret.to_string(), keys.token.map(|t| t.to_string())))
        };
        let pair = Ok(("A".to_owned(), "b/c".to_owned(), None));
        assert_eq!(parts("A:b/c"), pair);
        assert_eq!(parts("{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"b/c\",\"Version\":1}"), pair);
        assert_eq!(parts("A:b:t:u"), Ok(("A".to_owned(), "b".to_owned(), Some("t:u".to_owned()))));
        for bad in ["A", ":b", "A:", "{}", "{\"AccessKeyId\":1}"] {
            assert!(parts(bad).is_err(), "{bad}");
        }
    }
}
