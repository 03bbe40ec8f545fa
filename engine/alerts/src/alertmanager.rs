//! The webhook of Alertmanager, version 4, and that of Grafana, which has the same form.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::alert::{Alert, Batch, Labels, Parsed, fingerprint, time};
use crate::json;
use crate::refused::{Refused, shown};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    status: String,
    alerts: Vec<Sent>,
    group_key: String,
    version: Option<String>,
    #[serde(default)]
    truncated_alerts: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sent {
    status: String,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
    #[serde(default)]
    starts_at: Value,
    #[serde(default)]
    ends_at: Value,
    #[serde(default)]
    fingerprint: Option<String>,
}

/// Reads what Alertmanager posts (`webhook_configs`, version 4).
///
/// # Errors
/// `LB1010` where it is not JSON, or too large; `LB1011` where it is another form; `LB1012` where it is beyond a limit.
pub fn alertmanager(source: &str, body: &[u8]) -> Result<Parsed, Refused> {
    read(source, body, "Alertmanager", "4")
}

/// Reads what the webhook contact point of Grafana posts (version 1).
///
/// # Errors
/// As [`alertmanager`].
pub fn grafana(source: &str, body: &[u8]) -> Result<Parsed, Refused> {
    read(source, body, "Grafana", "1")
}

fn read(source: &str, body: &[u8], sender: &str, version: &str) -> Result<Parsed, Refused> {
    json::bounded(body)?;
    let wrong = |what: String| {
        let help = format!("this address takes the webhook of {sender}, version {version}, and nothing else");
        Refused::new("LB1011", format!("the body is no message of {sender}: {what}"), help)
    };
    let message: Message = serde_json::from_slice(body).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => wrong(shown(&error.to_string())),
        _ => json::no_json(&error),
    })?;
    if let Some(found) = message.version.as_deref().filter(|found| *found != version) {
        return Err(wrong(format!("its version is '{}'", shown(found))));
    }
    let firing = |status: &str| match status {
        "firing" => Ok(true),
        "resolved" => Ok(false),
        other => Err(wrong(format!("the status '{}' is neither firing nor resolved", shown(other)))),
    };
    if message.group_key.is_empty() {
        return Err(wrong("it has no groupKey".to_owned()));
    }
    let mut alerts = Vec::new();
    let mut last_end = None;
    for sent in message.alerts {
        let labels: Labels = sent.labels.unwrap_or_default();
        let fingerprint = sent.fingerprint.filter(|text| !text.is_empty()).unwrap_or_else(|| fingerprint(&labels));
        let firing = firing(&sent.status)?;
        if !firing {
            last_end = last_end.max(time(&sent.ends_at)?);
        }
        let since_ms = time(&sent.starts_at)?;
        let annotations = sent.annotations.unwrap_or_default();
        alerts.push(Alert { fingerprint, firing, since_ms, labels, annotations });
    }
    let resolved_ms = if firing(&message.status)? { None } else { last_end };
    let truncated = message.truncated_alerts.unwrap_or_default();
    let batch = Batch { source: source.to_owned(), group: message.group_key, alerts, truncated, resolved_ms };
    batch.bounded().map(Parsed::Batch)
}
