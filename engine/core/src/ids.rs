//! Names of things: runs, steps, digests. All are plain strings on the wire.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of a step inside its runbook: what the author wrote, unique in the plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct StepId(pub String);

impl StepId {
    /// The text of the id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<&str> for StepId {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// The name of a run: `r-` and 18 characters, the first ten of which are its time of creation.
///
/// Ids sort by time of creation (milliseconds), then by the random rest, so a list of runs in
/// id order is a list in time order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct RunId(pub String);

/// Crockford's base 32, in lower case: no letters that a tired person mixes up.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

impl RunId {
    /// A new id from a time (milliseconds since the Unix epoch) and 40 random bits.
    pub fn new(now_ms: u64, random: u64) -> Self {
        let mut text = String::with_capacity(20);
        text.push_str("r-");
        push_base32(&mut text, now_ms, 10);
        push_base32(&mut text, random, 8);
        Self(text)
    }

    /// The text of the id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads an id as a person typed it. Only the form is looked at, not whether such a run exists.
    ///
    /// # Errors
    /// The reason why the text cannot be a run id.
    pub fn parse(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("r-").ok_or("a run id starts with 'r-'")?;
        if rest.len() == 18 && rest.bytes().all(|b| ALPHABET.contains(&b)) {
            Ok(Self(text.to_owned()))
        } else {
            Err("a run id is 'r-' and 18 letters or digits".to_owned())
        }
    }
}

fn push_base32(text: &mut String, value: u64, digits: u32) {
    for place in (0..digits).rev() {
        let index = (value >> (5 * place)) & 31;
        if let Some(letter) = usize::try_from(index).ok().and_then(|i| ALPHABET.get(i)) {
            text.push(char::from(*letter));
        }
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A BLAKE3 digest, written as `blake3:` and 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Digest(pub String);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(format!("blake3:{}", blake3::hash(bytes).to_hex()))
    }

    /// A digest that was worked out elsewhere, as that of a chain of events.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(format!("blake3:{}", blake3::Hash::from_bytes(*bytes).to_hex()))
    }

    /// The digest of a value in its JSON form. Maps are ordered by key everywhere in this crate, so equal values have
    /// equal digests.
    pub fn of_json<T: Serialize>(value: &T) -> Self {
        // A value of this crate's own types always serialises; an empty text would still be a stable digest.
        Self::of(&serde_json::to_vec(value).unwrap_or_default())
    }

    /// The first twelve hexadecimal digits: for screens, never for comparison.
    pub fn short(&self) -> &str {
        let hex = self.0.strip_prefix("blake3:").unwrap_or(&self.0);
        hex.get(..12).unwrap_or(hex)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_ids_sort_by_time_and_parse_back() {
        let early = RunId::new(1_700_000_000_000, u64::MAX);
        let late = RunId::new(1_700_000_000_001, 0);
        assert!(early < late);
        assert_eq!(RunId::parse(early.as_str()), Ok(early));
        assert!(RunId::parse("r-nope").is_err());
        assert!(RunId::parse("x").is_err());
    }

    #[test]
    fn digests_are_short_on_request_only() {
        let digest = Digest::of(b"");
        assert_eq!(digest.short(), "af1349b9f5f9");
        assert_eq!(digest.0.len(), "blake3:".len() + 64);
    }
}
