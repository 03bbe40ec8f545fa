//! Tokens: random, shown once, kept as a digest, scoped, with an end.

use std::collections::BTreeSet;
use std::sync::Arc;

use lifeboat_core::Error;
use lifeboat_core::documents::Documents;
use lifeboat_core::ports::Store;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

use super::Role;
use crate::hex::hex;

/// The document with the ids of all tokens: the store lists no documents.
const INDEX: &str = "tokens/index";
/// Tokens that are kept. More make a list that nobody reads, and the index is one document.
const TOKENS_MAX: usize = 1_000;
/// The longest life of a token: a year.
const LIFE_MAX_MS: u64 = 366 * 86_400_000;
/// What a token begins with, so that a leaked one is found by who looks for such things.
const PREFIX: &str = "lifeboat_";
/// How often a document that somebody else writes at the same time is tried again.
const TRIES: u32 = 16;

/// A token, without what proves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Token {
    /// Its name: ten characters, no secret.
    pub id: String,
    /// The person or program that it was made for: the name under which all is recorded that is done with it.
    pub owner: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// Its roles.
    pub roles: BTreeSet<Role>,
    /// Whether drills may be acted on with it.
    pub drill: bool,
    /// Whether runs in earnest (failover, switchover, failback) may be acted on with it.
    pub failover: bool,
    /// The runbooks in its scope; `*` at the end of a name stands for anything. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runbooks: Vec<String>,
    /// When it was made, in milliseconds since the Unix epoch.
    pub created_at: u64,
    /// Who made it.
    pub created_by: String,
    /// When it ends.
    pub expires_at: u64,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<u64>,
    /// Who revoked it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_by: Option<String>,
}

/// A token that is to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// The person or program that it is for.
    #[cfg_attr(
        feature = "openapi",
        schema(min_length = 1, max_length = 100, pattern = r"^[^\s\p{C}]([^\p{C}]*[^\s\p{C}])?$")
    )]
    pub owner: String,
    /// What it is for.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(max_length = 500))]
    pub note: String,
    /// Its roles; at least one.
    #[cfg_attr(feature = "openapi", schema(min_items = 1))]
    pub roles: BTreeSet<Role>,
    /// Whether drills may be acted on with it.
    #[serde(default)]
    pub drill: bool,
    /// Whether runs in earnest may be acted on with it.
    #[serde(default)]
    pub failover: bool,
    /// The runbooks in its scope; `*` at the end of a name stands for anything. Empty: all.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(max_items = 50))]
    pub runbooks: Vec<String>,
    /// How long it is good for, in seconds: at most a year.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 31622400))]
    #[serde(deserialize_with = "whole")]
    pub expires_in_s: u64,
}

/// A whole number. In JSON, and for those who write by its schemas, 60.0 is one.
fn whole<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let number = serde_json::Number::deserialize(from)?;
    let wrong = || serde::de::Error::custom(format!("{number} is no whole number of seconds"));
    number
        .as_u64()
        .map_or_else(|| number.to_string().strip_suffix(".0").and_then(|text| text.parse().ok()).ok_or_else(wrong), Ok)
}

/// A token as it is kept: what proves it is a digest only.
#[derive(Serialize, Deserialize)]
struct Kept {
    #[serde(flatten)]
    token: Token,
    digest: String,
}

/// The tokens of a store.
pub struct Tokens {
    documents: Documents,
    random: SystemRandom,
}

fn invalid(what: &str) -> Error {
    Error::new("LB1052", what.to_owned()).hint("send 'Authorization: Bearer TOKEN'; 'lifeboat token create' makes one")
}

fn wrong(what: &str) -> Error {
    Error::new("LB1055", format!("no such token can be made: {what}"))
}

fn key(id: &str) -> String {
    format!("tokens/{id}")
}

/// The digest of a secret. It is random of full length, so that a slow digest would add nothing.
fn digest(secret: &str) -> blake3::Hash {
    blake3::derive_key("lifeboat 2026 token of the service", secret.as_bytes()).into()
}

fn plain(text: &str, most: usize) -> bool {
    text.chars().count() <= most && !text.chars().any(char::is_control)
}

impl NewToken {
    fn check(&self) -> Result<(), Error> {
        if self.owner.trim().is_empty() || self.owner.trim() != self.owner || !plain(&self.owner, 100) {
            return Err(wrong("its owner is a name of 1 to 100 characters"));
        }
        if !plain(&self.note, 500) {
            return Err(wrong("its note is one line of at most 500 characters"));
        }
        if self.roles.is_empty() {
            return Err(wrong("it has no role"));
        }
        if self.runbooks.len() > 50 || self.runbooks.iter().any(|name| name.is_empty() || !plain(name, 200)) {
            return Err(wrong("its scope is at most 50 names of runbooks"));
        }
        if self.expires_in_s == 0 || self.expires_in_s.saturating_mul(1_000) > LIFE_MAX_MS {
            return Err(wrong("its life is between a second and a year"));
        }
        Ok(())
    }
}

impl Tokens {
    /// The tokens in this store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { documents: Documents::new(store), random: SystemRandom::new() }
    }

    /// Makes a token. The text is what its owner sends; it is nowhere else, and cannot be shown again.
    ///
    /// # Errors
    /// `LB1055` what it should be is not possible; `LB1068` there are too many; the store's errors.
    pub async fn create(&self, new: NewToken, by: &str, now_ms: u64) -> Result<(Token, String), Error> {
        new.check()?;
        let (id, secret) = (hex(&self.draw::<5>()?), hex(&self.draw::<32>()?));
        let token = Token {
            id: id.clone(),
            owner: new.owner,
            note: new.note,
            roles: new.roles,
            drill: new.drill,
            failover: new.failover,
            runbooks: new.runbooks,
            created_at: now_ms,
            created_by: by.to_owned(),
            expires_at: now_ms.saturating_add(new.expires_in_s.saturating_mul(1_000)),
            revoked_at: None,
            revoked_by: None,
        };
        self.enlist(&id, now_ms).await?;
        let kept = Kept { token, digest: digest(&secret).to_hex().to_string() };
        if self.documents.write(&key(&id), 0, &kept).await?.is_none() {
            return Err(Error::new("LB1071", "two tokens drew one name").hint("try again"));
        }
        Ok((kept.token, format!("{PREFIX}{id}_{secret}")))
    }

    fn draw<const N: usize>(&self) -> Result<[u8; N], Error> {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes).map_err(|_| Error::new("LB1071", "the system gives no random bytes"))?;
        Ok(bytes)
    }

    /// Writes the id into the index; those that ended long ago leave it when it is full.
    async fn enlist(&self, id: &str, now_ms: u64) -> Result<(), Error> {
        for _ in 0..TRIES {
            let (version, mut ids) = self.index().await?;
            if ids.len() >= TOKENS_MAX {
                let mut good = Vec::new();
                for id in ids {
                    let kept = self.documents.read::<Kept>(&key(&id)).await?;
                    if kept.is_some_and(|(_, kept)| kept.token.is_good(now_ms)) {
                        good.push(id);
                    }
                }
                ids = good;
            }
            if ids.len() >= TOKENS_MAX {
                return Err(Error::new("LB1068", format!("there are {TOKENS_MAX} tokens, and no more are kept"))
                    .hint("revoke those that nobody needs: lifeboat token revoke ID"));
            }
            ids.push(id.to_owned());
            if self.documents.write(INDEX, version, &ids).await?.is_some() {
                return Ok(());
            }
        }
        Err(Error::new("LB1068", "the list of tokens is written by too many at once").hint("try again"))
    }

    async fn index(&self) -> Result<(u64, Vec<String>), Error> {
        Ok(self.documents.read::<Vec<String>>(INDEX).await?.unwrap_or_default())
    }

    /// All tokens, oldest first, also those that ended.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self) -> Result<Vec<Token>, Error> {
        let mut tokens = Vec::new();
        for id in self.index().await?.1 {
            // An id whose token never came to be stands for nothing.
            tokens.extend(self.documents.read::<Kept>(&key(&id)).await?.map(|(_, kept)| kept.token));
        }
        Ok(tokens)
    }

    /// One token.
    ///
    /// # Errors
    /// `LB1056` there is none; the store's.
    pub async fn get(&self, id: &str) -> Result<Token, Error> {
        Ok(self.kept(id).await?.1.token)
    }

    async fn kept(&self, id: &str) -> Result<(u64, Kept), Error> {
        let found = if is_id(id) { self.documents.read::<Kept>(&key(id)).await? } else { None };
        found.ok_or_else(|| {
            Error::new("LB1056", format!("there is no token '{id}'")).hint("'lifeboat token ls' lists them")
        })
    }

    /// Ends a token at once. One that is revoked already stays as it is.
    ///
    /// # Errors
    /// `LB1056` there is none; the store's.
    pub async fn revoke(&self, id: &str, by: &str, now_ms: u64) -> Result<Token, Error> {
        for _ in 0..TRIES {
            let (version, mut kept) = self.kept(id).await?;
            if kept.token.revoked_at.is_some() {
                return Ok(kept.token);
            }
            kept.token.revoked_at = Some(now_ms);
            kept.token.revoked_by = Some(by.to_owned());
            if self.documents.write(&key(id), version, &kept).await?.is_some() {
                return Ok(kept.token);
            }
        }
        Err(Error::new("LB1068", "the token is written by too many at once").hint("try again"))
    }

    /// The token that this text is.
    ///
    /// # Errors
    /// `LB1052` it is none, or one that is over; the store's.
    pub async fn check(&self, text: &str, now_ms: u64) -> Result<Token, Error> {
        let no = || invalid("this is no token of this service");
        let (id, secret) = text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_')).ok_or_else(no)?;
        let found = if is_id(id) { self.documents.read::<Kept>(&key(id)).await? } else { None };
        let sent = digest(secret);
        let kept = found.as_ref().and_then(|(_, kept)| blake3::Hash::from_hex(&kept.digest).ok());
        // Equality of digests takes the same time whatever they are; without a token, one that nothing has is compared.
        let equal = kept.unwrap_or(blake3::Hash::from_bytes([0; 32])) == sent;
        let Some((_, Kept { token, .. })) = found.filter(|_| equal) else { return Err(no()) };
        if token.revoked_at.is_some() {
            return Err(invalid("this token was revoked"));
        }
        if token.expires_at <= now_ms {
            return Err(invalid("this token has expired"));
        }
        Ok(token)
    }
}

impl Token {
    /// Whether it is neither over nor revoked.
    pub fn is_good(&self, now_ms: u64) -> bool {
        self.revoked_at.is_none() && self.expires_at > now_ms
    }
}

fn is_id(text: &str) -> bool {
    text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use lifeboat_store::MemoryStore;

    use super::*;

    fn new(owner: &str) -> NewToken {
        NewToken {
            owner: owner.to_owned(),
            note: String::new(),
            roles: BTreeSet::from([Role::Viewer]),
            drill: false,
            failover: false,
            runbooks: Vec::new(),
            expires_in_s: 60,
        }
    }

    #[tokio::test]
    async fn a_token_is_good_until_its_end_or_its_revocation() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let tokens = Tokens::new(Arc::clone(&store));
        let (token, text) = tokens.create(new("ada"), "root", 1_000).await.unwrap();
        assert_eq!(text.len(), PREFIX.len() + 10 + 1 + 64);
        assert_eq!(tokens.check(&text, 60_999).await.unwrap(), token);
        assert_eq!(tokens.check(&text, 61_000).await.unwrap_err().message, "this token has expired");
        for bad in ["", "x", &text[..text.len() - 1], &text.replace("lifeboat_", ""), "lifeboat_0000000000_0"] {
            assert_eq!(tokens.check(bad, 2_000).await.unwrap_err().code.0, "LB1052", "{bad}");
        }
        let (other, other_text) = tokens.create(new("bo"), "root", 1_000).await.unwrap();
        let crossed = text.replace(&token.id, &other.id);
        assert_eq!(tokens.check(&crossed, 2_000).await.unwrap_err().code.0, "LB1052");
        tokens.revoke(&token.id, "root", 3_000).await.unwrap();
        assert_eq!(tokens.check(&text, 3_000).await.unwrap_err().message, "this token was revoked");
        assert!(tokens.check(&other_text, 3_000).await.is_ok());
        assert_eq!(tokens.list().await.unwrap().len(), 2);
        assert_eq!(tokens.revoke("../etc", "root", 3_000).await.unwrap_err().code.0, "LB1056");
        let stored = store.get_document(&key(&token.id)).await.unwrap().unwrap();
        let secret = text.rsplit_once('_').unwrap().1;
        assert!(!String::from_utf8(stored.value).unwrap().contains(secret), "only a digest is kept");
    }

    #[tokio::test]
    async fn what_cannot_be_is_refused() {
        let tokens = Tokens::new(Arc::new(MemoryStore::new()));
        let cases = [
            NewToken { owner: " ".to_owned(), ..new("x") },
            NewToken { owner: "a\nb".to_owned(), ..new("x") },
            NewToken { roles: BTreeSet::new(), ..new("x") },
            NewToken { expires_in_s: 0, ..new("x") },
            NewToken { expires_in_s: u64::MAX, ..new("x") },
            NewToken { runbooks: vec![String::new()], ..new("x") },
        ];
        for case in cases {
            assert_eq!(tokens.create(case, "root", 0).await.unwrap_err().code.0, "LB1055");
        }
    }
}
