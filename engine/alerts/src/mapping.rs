//! JSON of any form, by pointers (RFC 6901) to its fields.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::alert::{Alert, Batch, Labels, Parsed, time};
use crate::json;
use crate::limits::{LABELS_PER_ALERT_MAX, POINTERS_MAX};
use crate::refused::{Refused, shown};

/// Where the parts of an alert are in a body. A pointer is as `/event/data/id`; a part with a pointer to nothing is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// What says whether it fires.
    pub status: String,
    /// The values of the status that say that it fires.
    pub firing: Vec<String>,
    /// The values of the status that say that it is resolved. All others are no news.
    pub resolved: Vec<String>,
    /// What has to be there for a body to be news at all, as `/state_type` with `HARD`: one of the values.
    pub only: Vec<(String, Vec<String>)>,
    /// What makes the group, with `/` between the parts. Required.
    pub group: Vec<String>,
    /// What tells one alert of the group from another. Without it, a group is one alert.
    pub fingerprint: Vec<String>,
    /// When its state changed: RFC 3339, or seconds since the Unix epoch.
    pub since: Option<String>,
    /// A fingerprint is never used again: once it is resolved it stays so.
    pub once: bool,
    /// Labels by name.
    pub labels: BTreeMap<String, String>,
    /// Where there are more labels: an object, a list of `{tag, value}`, a list of `NAME:VALUE`, or a text that holds one of these.
    pub tags: Option<String>,
    /// What says in words what it is.
    pub summary: Option<String>,
}

impl Mapping {
    /// Checks that it can be used.
    ///
    /// # Errors
    /// `LB1018` with what is wrong.
    pub fn check(&self) -> Result<(), Refused> {
        let help = "a pointer begins with /, as /event/status; write ~1 for a / in a name and ~0 for a ~";
        let pointers = self.pointers();
        for pointer in &pointers {
            let escapes = pointer.split('~').skip(1).all(|behind| behind.starts_with(['0', '1']));
            if !pointer.starts_with('/') || !escapes {
                return Err(Refused::new("LB1018", format!("'{}' is not a JSON pointer", shown(pointer)), help));
            }
        }
        if pointers.len() > POINTERS_MAX {
            let message = format!("a mapping has at most {POINTERS_MAX} pointers");
            return Err(Refused::new("LB1018", message, "point at fewer fields"));
        }
        let lacks = [
            (self.status.is_empty(), "status"),
            (self.firing.is_empty(), "firing"),
            (self.resolved.is_empty(), "resolved"),
            (self.group.is_empty(), "group"),
        ];
        match lacks.iter().find(|(lacks, _)| *lacks) {
            Some((_, what)) => {
                let help = "without status, firing, resolved and group nobody knows what began and what has ended";
                Err(Refused::new("LB1018", format!("the mapping has no '{what}'"), help))
            }
            None => Ok(()),
        }
    }

    fn pointers(&self) -> Vec<&String> {
        let status = Some(&self.status).filter(|status| !status.is_empty());
        let lists = self.group.iter().chain(&self.fingerprint).chain(self.only.iter().map(|(pointer, _)| pointer));
        status
            .into_iter()
            .chain(lists)
            .chain(&self.since)
            .chain(self.labels.values())
            .chain(&self.tags)
            .chain(&self.summary)
            .collect()
    }

    /// Reads a body.
    ///
    /// # Errors
    /// `LB1010` where it is not JSON, or too large; `LB1011` where a part is missing; `LB1012` where it is beyond a limit.
    pub fn read(&self, source: &str, body: &[u8]) -> Result<Parsed, Refused> {
        let body = json::value(body)?;
        for (pointer, values) in &self.only {
            let found = text_at(&body, pointer).unwrap_or_default();
            if !values.contains(&found) {
                return Ok(Parsed::NoNews(format!("{pointer} is '{}'", shown(&found))));
            }
        }
        let missing = |pointer: &str| {
            let help = "look at the mapping of this source, and at what it sends";
            Refused::new("LB1011", format!("the body has no text or number at {pointer}"), help)
        };
        let status = text_at(&body, &self.status).ok_or_else(|| missing(&self.status))?;
        let firing = self.firing.contains(&status);
        if !firing && !self.resolved.contains(&status) {
            return Ok(Parsed::NoNews(format!("{} is '{}'", self.status, shown(&status))));
        }
        let joined = |pointers: &[String]| -> Result<String, Refused> {
            let parts = pointers.iter().map(|pointer| text_at(&body, pointer).ok_or_else(|| missing(pointer)));
            // A separator within a part must not make two groups one.
            let parts: Vec<String> = parts
                .map(|part| part.map(|part| part.replace('%', "%25").replace('/', "%2F")))
                .collect::<Result<_, _>>()?;
            Ok(parts.join("/"))
        };
        let group = joined(&self.group)?;
        let fingerprint = if self.fingerprint.is_empty() { group.clone() } else { joined(&self.fingerprint)? };
        let since_ms = match &self.since {
            _ if self.once => Some(0),
            Some(pointer) => time(body.pointer(pointer).unwrap_or(&Value::Null))?,
            None => None,
        };
        let mut labels = Labels::new();
        if let Some(tags) = &self.tags {
            tags_into(&mut labels, body.pointer(tags).unwrap_or(&Value::Null))?;
        }
        for (name, pointer) in &self.labels {
            if let Some(value) = text_at(&body, pointer) {
                labels.insert(name.clone(), value);
            }
        }
        let summary = self.summary.as_ref().and_then(|pointer| text_at(&body, pointer));
        let annotations = summary.map(|text| ("summary".to_owned(), text)).into_iter().collect();
        let alert = Alert { fingerprint, firing, since_ms, labels, annotations };
        let batch = Batch { source: source.to_owned(), group, alerts: vec![alert], truncated: 0, resolved_ms: None };
        batch.bounded().map(Parsed::Batch)
    }
}

/// A text, number or boolean, as a text.
fn text_at(body: &Value, pointer: &str) -> Option<String> {
    body.pointer(pointer).and_then(scalar)
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn tags_into(labels: &mut Labels, tags: &Value) -> Result<(), Refused> {
    match tags {
        Value::Object(map) => {
            labels.extend(map.iter().filter_map(|(name, value)| Some((name.clone(), scalar(value)?))));
        }
        Value::Array(items) => {
            for item in items.iter().take(LABELS_PER_ALERT_MAX + 1) {
                let name = ["tag", "name", "key"].iter().find_map(|key| item.get(key).and_then(scalar));
                let pair = match (name, item) {
                    (Some(name), _) => Some((name, item.get("value").and_then(scalar).unwrap_or_default())),
                    (None, Value::String(text)) => {
                        let (name, value) = text.split_once(':').unwrap_or((text, ""));
                        Some((name.trim().to_owned(), value.trim().to_owned()))
                    }
                    _ => None,
                };
                labels.extend(pair);
            }
        }
        // Zabbix can only send texts: its tags are JSON within JSON.
        Value::String(text) if text.trim_start().starts_with(['[', '{']) => {
            return tags_into(labels, &json::value(text.as_bytes())?);
        }
        Value::String(text) => {
            let items = text.split(',').map(|item| Value::String(item.trim().to_owned())).filter(|item| item != "");
            return tags_into(labels, &Value::Array(items.collect()));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    Ok(())
}
