//! Signatures of bodies: HMAC-SHA256 with a time, so that a message that somebody has caught is worth nothing later.
//!
//! The header is `t=SECONDS,v1=HEX`, and what is signed is `SECONDS.BODY`. Several `v1` may be there, and several secrets
//! may be known, for the time in which a secret is changed. A sender that signs the body alone (`v1=HEX` or `sha256=HEX`, as
//! PagerDuty and many others) has a form of its own: there is no time in it, and a caught message is known by being the same.

use std::collections::{BTreeMap, BTreeSet};

use ring::hmac;
use serde::{Deserialize, Serialize};

use crate::limits::SIGNATURES_MAX;
use crate::refused::Refused;

/// What is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// The time and the body.
    Timed,
    /// The body alone.
    Body,
}

/// A signature that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// What is the same for the same message: for [`Seen`].
    pub id: [u8; 32],
    /// When it is no longer needed to know it, in milliseconds since the Unix epoch.
    pub until_ms: u64,
}

/// The header that a sender puts on a body.
pub fn sign(secret: &[u8], body: &[u8], now_ms: u64) -> String {
    let at = (now_ms / 1_000).to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let mut context = hmac::Context::with_key(&key);
    for part in [at.as_bytes(), b".", body] {
        context.update(part);
    }
    format!("t={at},v1={}", hex(context.sign().as_ref()))
}

/// Checks the header of a body, in a time that does not depend on how much of it is right.
///
/// # Errors
/// `LB1013` without a signature that holds, `LB1014` with one from another time than now.
pub fn verify(
    scheme: Scheme,
    secrets: &[&[u8]],
    header: &str,
    body: &[u8],
    now_ms: u64,
    window_ms: u64,
) -> Result<Signed, Refused> {
    let wrong =
        |message: &str| Refused::new("LB1013", message, "look at the secret, on both sides, and at what is signed");
    if header.len() > 1_024 {
        return Err(wrong("the signature is longer than any"));
    }
    let (mut at, mut claims) = (None, Vec::new());
    for part in header.split(',') {
        match part.trim().split_once('=') {
            Some(("t", text)) if scheme == Scheme::Timed => at = Some(text),
            Some(("v1" | "sha256", text)) => claims.extend(unhex(text)),
            // A part of another version is none of ours.
            _ => {}
        }
    }
    let mut signed = Vec::with_capacity(body.len() + 32);
    if scheme == Scheme::Timed {
        let at = at.ok_or_else(|| wrong("the signature has no time"))?;
        let seconds: u64 = at.parse().map_err(|_| wrong("the time of the signature is no number of seconds"))?;
        if now_ms.abs_diff(seconds.saturating_mul(1_000)) > window_ms {
            let message =
                format!("the signature is of another time: {} s from now", (now_ms / 1_000).abs_diff(seconds));
            return Err(Refused::new(
                "LB1014",
                message,
                "send it again, signed anew; if that is refused too, compare the clocks",
            ));
        }
        signed.extend_from_slice(at.as_bytes());
        signed.push(b'.');
    }
    signed.extend_from_slice(body);
    let holds = |secret: &&[u8], claim: &Vec<u8>| {
        // An empty secret is one that somebody forgot to set: anybody could sign with it.
        !secret.is_empty() && hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, secret), &signed, claim).is_ok()
    };
    let mut held = false;
    for secret in secrets {
        for claim in &claims {
            held |= holds(secret, claim);
        }
    }
    if !held {
        return Err(wrong(if claims.is_empty() { "the message is not signed" } else { "the signature does not hold" }));
    }
    let id = *blake3::hash(&signed).as_bytes();
    Ok(Signed { id, until_ms: now_ms.saturating_add(window_ms.saturating_mul(2)) })
}

/// The messages that came within the window: each counts once.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    ids: BTreeSet<[u8; 32]>,
    until: BTreeMap<u64, Vec<[u8; 32]>>,
}

impl Seen {
    /// Takes a signature in.
    ///
    /// # Errors
    /// `LB1015` where it was seen before, or where too many are remembered to know.
    pub fn take(&mut self, signed: &Signed, now_ms: u64) -> Result<(), Refused> {
        let later = self.until.split_off(&now_ms);
        for ids in std::mem::replace(&mut self.until, later).into_values() {
            for id in ids {
                self.ids.remove(&id);
            }
        }
        if self.ids.contains(&signed.id) {
            return Err(Refused::new("LB1015", "this very message came before", "a new message has to be signed anew"));
        }
        if self.ids.len() >= SIGNATURES_MAX {
            let message = format!("{SIGNATURES_MAX} messages came within the window, and more cannot be told apart");
            return Err(Refused::new("LB1015", message, "make the window smaller, or send fewer"));
        }
        self.ids.insert(signed.id);
        self.until.entry(signed.until_ms).or_default().push(signed.id);
        Ok(())
    }
}

impl Seen {
    /// Forgets a message that was taken and could not be dealt with: its sender may send it again.
    pub fn forget(&mut self, signed: &Signed) {
        self.ids.remove(&signed.id);
        if let Some(ids) = self.until.get_mut(&signed.until_ms) {
            ids.retain(|id| *id != signed.id);
        }
    }

    /// All that is remembered: so that a new start of the service knows it, too.
    pub fn all(&self) -> impl Iterator<Item = Signed> {
        self.until.iter().flat_map(|(until_ms, ids)| ids.iter().map(|id| Signed { id: *id, until_ms: *until_ms }))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..64).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_226_730_500;
    const WINDOW: u64 = 300_000;

    fn check(header: &str, body: &[u8], now_ms: u64) -> Result<Signed, Refused> {
        verify(Scheme::Timed, &[b"old", b"secret"], header, body, now_ms, WINDOW)
    }

    #[test]
    fn what_is_signed_holds_and_nothing_else() {
        let header = sign(b"secret", b"{}", NOW);
        assert!(check(&header, b"{}", NOW).is_ok());
        assert!(check(&format!("v0=abc, {header},v1={}", "0".repeat(64)), b"{}", NOW).is_ok());
        assert_eq!(check(&header, b"{ }", NOW).unwrap_err().code, "LB1013");
        assert_eq!(check(&sign(b"other", b"{}", NOW), b"{}", NOW).unwrap_err().code, "LB1013");
        assert_eq!(check(&header.replace("t=", "t=0"), b"{}", NOW).unwrap_err().code, "LB1013");
        for wrong in ["", "t=1", "v1=", "t=x,v1=00", &"v1=0,".repeat(1_000)] {
            assert_eq!(check(wrong, b"{}", 1_000).unwrap_err().code, "LB1013", "{wrong}");
        }
        assert_eq!(check(&header.replace("v1=", "v2="), b"{}", NOW).unwrap_err().code, "LB1013");
        assert_eq!(
            verify(Scheme::Timed, &[b""], &sign(b"", b"{}", NOW), b"{}", NOW, WINDOW).unwrap_err().code,
            "LB1013"
        );
    }

    #[test]
    fn another_time_is_refused() {
        let header = sign(b"secret", b"{}", NOW);
        assert!(check(&header, b"{}", NOW + WINDOW - 1_000).is_ok());
        assert_eq!(check(&header, b"{}", NOW + WINDOW + 1).unwrap_err().code, "LB1014");
        assert_eq!(check(&header, b"{}", NOW - WINDOW - 1_000).unwrap_err().code, "LB1014");
    }

    /// The second test case of RFC 4231.
    #[test]
    fn the_published_example_holds() {
        let mac = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let body = b"what do ya want for nothing?";
        for name in ["v1", "sha256"] {
            assert!(verify(Scheme::Body, &[b"Jefe"], &format!("{name}={mac}"), body, NOW, WINDOW).is_ok());
        }
    }

    #[test]
    fn a_message_counts_once() {
        let mut seen = Seen::default();
        let signed = check(&sign(b"secret", b"{}", NOW), b"{}", NOW).unwrap();
        assert!(seen.take(&signed, NOW).is_ok());
        assert_eq!(seen.take(&signed, NOW + 1).unwrap_err().code, "LB1015");
        // Past the window the time refuses it, and it need not be known.
        let other = check(&sign(b"secret", b"[]", NOW), b"[]", NOW).unwrap();
        assert!(seen.take(&other, signed.until_ms + 1).is_ok());
        assert_eq!(seen.ids.len(), 1);
    }

    #[test]
    fn what_was_not_dealt_with_may_come_again() {
        let mut seen = Seen::default();
        let signed = check(&sign(b"secret", b"{}", NOW), b"{}", NOW).unwrap();
        seen.take(&signed, NOW).unwrap();
        assert_eq!(seen.all().collect::<Vec<_>>(), std::slice::from_ref(&signed));
        seen.forget(&signed);
        assert_eq!(seen.all().count(), 0);
        seen.take(&signed, NOW).unwrap();
        assert_eq!(seen.take(&signed, NOW).unwrap_err().code, "LB1015");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut seen = Seen::default();
        for n in 0..u64::try_from(SIGNATURES_MAX).unwrap() {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&n.to_le_bytes());
            seen.take(&Signed { id, until_ms: NOW + 9 }, NOW).unwrap();
        }
        assert_eq!(seen.take(&Signed { id: [255; 32], until_ms: NOW + 9 }, NOW).unwrap_err().code, "LB1015");
        assert!(seen.take(&Signed { id: [255; 32], until_ms: NOW + 99 }, NOW + 10).is_ok());
    }
}
