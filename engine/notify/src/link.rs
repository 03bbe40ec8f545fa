//! Links that answer one question, once, in the name of one person: signed, so that nobody makes one up.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lifeboat_core::Error;
use lifeboat_core::ids::{Digest, RunId, StepId};
use ring::hmac;
use serde::{Deserialize, Serialize};

/// The longest that a link lives, in milliseconds: a day. What is known of its use is kept for as long.
pub const LIFE_MS: u64 = 86_400_000;
/// Bytes of a link.
const BYTES_MAX: usize = 2_048;
/// What is signed begins with this, so that a signature is good for nothing else.
const PURPOSE: &[u8] = b"lifeboat link 1\n";

/// What a link is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The run.
    pub run: RunId,
    /// The step that asks.
    pub step: StepId,
    /// The number of the event by which it asked: the question, and not a later one of the same step.
    pub seq: u64,
    /// The plan that is answered for.
    pub fingerprint: Digest,
    /// In whose name.
    pub person: String,
    /// Until when, in milliseconds since the Unix epoch.
    pub until: u64,
}

/// The key that links are signed with.
#[derive(Clone)]
pub struct Key(hmac::Key);

impl Key {
    /// The key of 32 bytes.
    pub fn new(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

fn signed(payload: &str) -> Vec<u8> {
    [PURPOSE, payload.as_bytes()].concat()
}

impl Link {
    /// The link as it is written.
    pub fn seal(&self, key: &Key) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        let payload = URL_SAFE_NO_PAD.encode(json);
        let tag = hmac::sign(&key.0, &signed(&payload));
        format!("{payload}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
    }

    /// Reads a link, and checks it in a time that does not depend on how much of it is right.
    ///
    /// # Errors
    /// `LB1096` it is none of ours; `LB1097` its time is over.
    pub fn open(text: &str, key: &Key, now: u64) -> Result<Self, Error> {
        let forged = || {
            Error::new("LB1096", "this link is none of ours")
                .hint("take the whole link of the message, or answer with 'lifeboat approve'")
        };
        let (payload, tag) = text.split_once('.').filter(|_| text.len() <= BYTES_MAX).ok_or_else(forged)?;
        let tag = URL_SAFE_NO_PAD.decode(tag).map_err(|_| forged())?;
        hmac::verify(&key.0, &signed(payload), &tag).map_err(|_| forged())?;
        let json = URL_SAFE_NO_PAD.decode(payload).map_err(|_| forged())?;
        let link: Self = serde_json::from_slice(&json).map_err(|_| forged())?;
        if link.until <= now {
            return Err(Error::new("LB1097", "the time of this link is over")
                .hint("answer with 'lifeboat approve' or 'lifeboat deny'"));
        }
        Ok(link)
    }

    /// What names it in records: it answers nothing.
    pub fn id(&self) -> String {
        let digest = Digest::of_json(self);
        digest.0.trim_start_matches("blake3:").chars().take(16).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> Link {
        Link {
            run: RunId("r1".to_owned()),
            step: StepId("go".to_owned()),
            seq: 4,
            fingerprint: Digest("blake3:00".to_owned()),
            person: "ada".to_owned(),
            until: 1_000,
        }
    }

    #[test]
    fn a_link_is_read_back_until_its_time_is_over() {
        let key = Key::new(&[7; 32]);
        let text = link().seal(&key);
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)), "{text}");
        assert_eq!(Link::open(&text, &key, 999).unwrap(), link());
        assert_eq!(Link::open(&text, &key, 1_000).unwrap_err().code.0, "LB1097");
        assert_ne!(link().id(), Link { person: "bo".to_owned(), ..link() }.id());
    }

    #[test]
    fn nobody_makes_a_link_up() {
        let key = Key::new(&[7; 32]);
        let text = link().seal(&key);
        let (payload, tag) = text.split_once('.').unwrap();
        let other = Link { person: "eve".to_owned(), ..link() };
        let theirs = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&other).unwrap());
        let mut forged = vec![
            format!("{theirs}.{tag}"),
            other.seal(&Key::new(&[8; 32])),
            format!("{payload}."),
            payload.to_owned(),
            String::new(),
            ".".to_owned(),
            "é.é".to_owned(),
            format!("{text}{}", "A".repeat(5_000)),
        ];
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            forged.push(String::from_utf8(bytes).unwrap());
        }
        for one in forged {
            // The last character of base64 may carry bits that count for nothing; a strict decoder refuses them.
            assert_eq!(Link::open(&one, &key, 1).unwrap_err().code.0, "LB1096", "{one}");
        }
    }
}
