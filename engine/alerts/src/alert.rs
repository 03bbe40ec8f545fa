//! Alerts in one form, whoever sent them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::limits::{ALERTS_PER_BODY_MAX, LABEL_NAME_BYTES_MAX, LABELS_PER_ALERT_MAX, TEXT_BYTES_MAX};
use crate::refused::{Refused, shown};

/// Names with values.
pub type Labels = BTreeMap<String, String>;

/// One alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// What tells it from others of its source.
    pub fingerprint: String,
    /// Whether it fires; otherwise it is resolved.
    pub firing: bool,
    /// When it began, or when its state changed; of two words on one alert the later one counts, and of two with the same time
    /// that it is resolved. Milliseconds since the Unix epoch; `None`: its source does not say, and the order of coming counts.
    pub since_ms: Option<u64>,
    /// Its labels.
    pub labels: Labels,
    /// What else it says, for people.
    pub annotations: Labels,
}

/// What one message says: the alerts of one group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// The name of what sent it, in the words of the operator.
    pub source: String,
    /// What its source takes together. With the runbook it makes an incident.
    pub group: String,
    /// Its alerts.
    pub alerts: Vec<Alert>,
    /// How many more there are that were not sent.
    pub truncated: u64,
    /// All alerts of the group are resolved, also those that were not sent: when the last of them was. Milliseconds since the Unix
    /// epoch.
    pub resolved_ms: Option<u64>,
}

/// What a body is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// Alerts.
    Batch(Batch),
    /// It is well, and no news about an alert, as an acknowledgement: why.
    NoNews(String),
}

impl Batch {
    /// Checks what is bounded, and cuts what may be cut.
    ///
    /// # Errors
    /// `LB1012` with what is too large.
    pub(crate) fn bounded(mut self) -> Result<Self, Refused> {
        let help = "look at what sends it; what is bounded is told by `lifeboat explain LB1012`";
        if self.alerts.len() > ALERTS_PER_BODY_MAX {
            let message =
                format!("the body has {} alerts, and at most {ALERTS_PER_BODY_MAX} are read", self.alerts.len());
            return Err(Refused::new("LB1012", message, help));
        }
        let texts = std::iter::once(&self.group).chain(self.alerts.iter().map(|alert| &alert.fingerprint));
        let values = self.alerts.iter().flat_map(|alert| alert.labels.values());
        if texts.chain(values).any(|text| text.len() > TEXT_BYTES_MAX) {
            let message = format!("a label, a group or a fingerprint has more than {TEXT_BYTES_MAX} bytes");
            return Err(Refused::new("LB1012", message, help));
        }
        for alert in &mut self.alerts {
            for names in [&alert.labels, &alert.annotations] {
                if names.len() > LABELS_PER_ALERT_MAX || names.keys().any(|name| name.len() > LABEL_NAME_BYTES_MAX) {
                    let message = format!(
                        "an alert has more than {LABELS_PER_ALERT_MAX} labels or annotations, or one whose name has more than \
                         {LABEL_NAME_BYTES_MAX} bytes"
                    );
                    return Err(Refused::new("LB1012", message, help));
                }
            }
            alert.annotations.values_mut().for_each(|text| cut(text, TEXT_BYTES_MAX));
        }
        Ok(self)
    }
}

fn cut(text: &mut String, most: usize) {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most - '…'.len_utf8()));
        text.push('…');
    }
}

/// A fingerprint of labels, for a source that sends none.
pub(crate) fn fingerprint(labels: &Labels) -> String {
    let mut hasher = blake3::Hasher::new();
    for text in labels.iter().flat_map(|(name, value)| [name, value]) {
        hasher.update(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.finalize().to_hex().chars().take(16).collect()
}

/// A time: RFC 3339, or seconds or milliseconds since the Unix epoch, as a number or a text. Milliseconds; `None` for the year 1, by
/// which Go says "none".
pub(crate) fn time(value: &Value) -> Result<Option<u64>, Refused> {
    let text = match value {
        Value::Null => return Ok(None),
        Value::String(text) => text.trim().to_owned(),
        other => other.to_string(),
    };
    let wrong =
        || Refused::new("LB1011", format!("'{}' is not a time", shown(&text)), "send RFC 3339, or seconds since 1970");
    if text.is_empty() {
        return Ok(None);
    }
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        let whole = text.split('.').next().unwrap_or_default();
        let number: u64 = whole.parse().map_err(|_| wrong())?;
        // Seconds have ten digits until the year 2286, milliseconds thirteen, and so on.
        return match whole.len() {
            0..=11 => Ok(Some(number * 1_000)),
            12..=14 => Ok(Some(number)),
            15..=17 => Ok(Some(number / 1_000)),
            18..=20 => Ok(Some(number / 1_000_000)),
            _ => Err(wrong()),
        };
    }
    let at: Timestamp = text.parse().map_err(|_| wrong())?;
    Ok(u64::try_from(at.as_millisecond()).ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_of_all_kinds() {
        for (value, ms) in [
            (json!("2026-11-21T01:58:19.25Z"), Some(1_795_226_299_250)),
            (json!("2021-10-12T09:51:03.157076+02:00"), Some(1_634_025_063_157)),
            (json!("0001-01-01T00:00:00Z"), None),
            (json!(1_795_226_730), Some(1_795_226_730_000)),
            (json!(1_795_226_730.5), Some(1_795_226_730_000)),
            (json!("1795226730"), Some(1_795_226_730_000)),
            (json!(1_795_226_730_123_u64), Some(1_795_226_730_123)),
            (json!(1_795_226_730_123_456_789_u64), Some(1_795_226_730_123)),
            (json!(null), None),
            (json!(""), None),
        ] {
            assert_eq!(time(&value), Ok(ms), "{value}");
        }
        for wrong in [
            json!("soon"),
            json!("2026.11.21 02:52:51"),
            json!([1]),
            json!("99999999999999999999999"),
            json!(-5),
            json!("+1"),
        ] {
            assert_eq!(time(&wrong).unwrap_err().code, "LB1011", "{wrong}");
        }
    }

    #[test]
    fn fingerprints_tell_labels_apart() {
        let of = |pairs: &[(&str, &str)]| {
            fingerprint(&pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
        };
        assert_eq!(of(&[("a", "b")]), of(&[("a", "b")]));
        assert_ne!(of(&[("a", "bc")]), of(&[("ab", "c")]));
    }

    #[test]
    fn long_annotations_are_cut_at_a_character() {
        let mut text = "ü".repeat(2_000);
        cut(&mut text, 101);
        assert!(text.len() <= 101 && text.ends_with("ü…"));
    }
}
