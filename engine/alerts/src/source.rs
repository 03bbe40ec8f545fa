//! What may send alerts, in the words of the operator's file.

use serde::{Deserialize, Serialize};

use crate::alert::Parsed;
use crate::alertmanager::{alertmanager, grafana};
use crate::mapping::Mapping;
use crate::refused::{Refused, shown};

/// The form of what a source sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The webhook of Prometheus' Alertmanager, version 4.
    Alertmanager,
    /// The webhook contact point of Grafana.
    Grafana,
    /// Any JSON, by a mapping of the operator's.
    Generic,
    /// The media type "webhook" of Zabbix, with the parameters of `examples/alerts/README.md`.
    Zabbix,
    /// A notification command of Nagios that posts JSON.
    Nagios,
    /// A notification command of Icinga 2 that posts JSON.
    Icinga,
    /// Webhooks of PagerDuty, version 3.
    Pagerduty,
    /// Webhooks of Opsgenie.
    Opsgenie,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Alertmanager,
        Self::Grafana,
        Self::Generic,
        Self::Zabbix,
        Self::Nagios,
        Self::Icinga,
        Self::Pagerduty,
        Self::Opsgenie,
    ];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alertmanager => "alertmanager",
            Self::Grafana => "grafana",
            Self::Generic => "generic",
            Self::Zabbix => "zabbix",
            Self::Nagios => "nagios",
            Self::Icinga => "icinga",
            Self::Pagerduty => "pagerduty",
            Self::Opsgenie => "opsgenie",
        }
    }

    /// From its word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// The mapping of a kind that is JSON of another product; `None` for those that have a reader of their own, and for `generic`,
    /// whose mapping is the operator's.
    pub fn template(self) -> Option<Mapping> {
        let all = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let pairs =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(name, at)| ((*name).to_owned(), (*at).to_owned())).collect();
        let checked = |mapping: Mapping| Mapping {
            status: "/state".to_owned(),
            firing: all(&["CRITICAL", "WARNING", "UNKNOWN", "DOWN", "UNREACHABLE"]),
            resolved: all(&["OK", "UP"]),
            only: vec![
                ("/state_type".to_owned(), all(&["HARD"])),
                ("/type".to_owned(), all(&["PROBLEM", "RECOVERY", "EVENT"])),
            ],
            group: all(&["/host", "/service"]),
            since: Some("/last_state_change".to_owned()),
            labels: pairs(&[("host", "/host"), ("service", "/service"), ("state", "/state"), ("runbook", "/runbook")]),
            summary: Some("/output".to_owned()),
            ..mapping
        };
        match self {
            Self::Alertmanager | Self::Grafana | Self::Generic => None,
            Self::Zabbix => Some(Mapping {
                status: "/event_value".to_owned(),
                firing: all(&["1"]),
                resolved: all(&["0"]),
                // An update of a problem (a comment, an acknowledgement) is no news.
                only: vec![("/event_update_status".to_owned(), all(&["0"]))],
                group: all(&["/host", "/trigger_id"]),
                fingerprint: all(&["/event_id"]),
                once: true,
                labels: pairs(&[("host", "/host"), ("alertname", "/event_name"), ("zabbix_severity", "/severity")]),
                tags: Some("/tags".to_owned()),
                summary: Some("/event_name".to_owned()),
                since: None,
            }),
            Self::Nagios | Self::Icinga => Some(checked(Mapping::default())),
            Self::Pagerduty => Some(Mapping {
                status: "/event/event_type".to_owned(),
                firing: all(&["incident.triggered", "incident.reopened"]),
                resolved: all(&["incident.resolved"]),
                group: all(&["/event/data/id"]),
                since: Some("/event/occurred_at".to_owned()),
                labels: pairs(&[
                    ("service", "/event/data/service/summary"),
                    ("service_id", "/event/data/service/id"),
                    ("urgency", "/event/data/urgency"),
                    ("priority", "/event/data/priority/summary"),
                    ("incident_key", "/event/data/incident_key"),
                ]),
                summary: Some("/event/data/title".to_owned()),
                ..Mapping::default()
            }),
            Self::Opsgenie => Some(Mapping {
                status: "/action".to_owned(),
                firing: all(&["Create"]),
                resolved: all(&["Close", "Delete"]),
                group: all(&["/alert/alias"]),
                fingerprint: all(&["/alert/alertId"]),
                once: true,
                labels: pairs(&[
                    ("entity", "/alert/entity"),
                    ("priority", "/alert/priority"),
                    ("alias", "/alert/alias"),
                    ("integration", "/integrationName"),
                ]),
                tags: Some("/alert/details".to_owned()),
                summary: Some("/alert/message".to_owned()),
                ..Mapping::default()
            }),
        }
    }
}

/// Something that may send alerts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its name, as triggers and addresses name it.
    pub name: String,
    /// The form of what it sends.
    pub kind: Kind,
    /// Of `generic`: where things are.
    pub mapping: Option<Mapping>,
}

impl Source {
    /// Reads what it sent. Who sent it was made sure before.
    ///
    /// # Errors
    /// `LB1010` to `LB1012` as its reader says; `LB1018` for `generic` without a mapping.
    pub fn read(&self, body: &[u8]) -> Result<Parsed, Refused> {
        match self.kind {
            Kind::Alertmanager => alertmanager(&self.name, body),
            Kind::Grafana => grafana(&self.name, body),
            kind => match self.mapping.clone().or_else(|| kind.template()) {
                Some(mapping) => mapping.read(&self.name, body),
                None => {
                    let message = format!("the source '{}' has no mapping", shown(&self.name));
                    Err(Refused::new("LB1018", message, "add map nodes to it in the operator's file"))
                }
            },
        }
    }
}
