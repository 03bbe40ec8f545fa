//! A message: all that a template can say. Every field is always there, so a template that names another one is wrong.

use lifeboat_core::notify::About;
use serde::{Deserialize, Serialize};

/// Characters of a text that comes from a run: an error is told, not its whole log.
const TEXT_MAX: usize = 600;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// What it is about.
    pub about: About,
    /// `critical`, `warning` or `info`.
    pub severity: String,
    /// What stays the same for one matter: for pagers that put messages together.
    pub id: String,
    /// One line.
    pub title: String,
    /// What happened, in a few lines.
    pub text: String,
    /// When, as RFC 3339.
    pub at: String,
    /// The run, or nothing.
    pub run: String,
    /// The runbook, or nothing.
    pub runbook: String,
    /// The mode of the run, or nothing.
    pub mode: String,
    /// The step, or nothing.
    pub step: String,
    /// The role that is asked, in an approval.
    pub role: String,
    /// The fingerprint of the plan, in an approval.
    pub fingerprint: String,
    /// When the question ends, as RFC 3339; nothing if it does not.
    pub expires: String,
    /// What to type, a line each.
    pub commands: Vec<String>,
    /// The link that answers, where the one who is told may answer.
    pub link: String,
    /// What else there is to tell, collected in this message.
    pub more: Vec<More>,
    /// How many that are, also those that are not listed.
    pub more_count: usize,
}

/// Another message, collected in this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct More {
    /// Its one line.
    pub title: String,
    /// Its link.
    pub link: String,
}

/// A time, as RFC 3339 in UTC.
pub fn rfc3339(at_ms: u64) -> String {
    let ms = i64::try_from(at_ms).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(ms).map(|time| time.to_string()).unwrap_or_default()
}

/// A text within its bounds, on lines of its own: what a run says must not look like another part of the message.
pub(crate) fn plain(text: &str) -> String {
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut out: String = clean.clone().take(TEXT_MAX).collect();
    if clean.count() > TEXT_MAX {
        out.push_str("… (cut)");
    }
    out
}

impl Message {
    /// A message of that kind, with nothing else said yet.
    pub fn new(about: About, at_ms: u64, title: &str, text: &str) -> Self {
        Self {
            about,
            severity: about.severity().to_owned(),
            id: about.as_str().to_owned(),
            title: plain(title),
            text: plain(text),
            at: rfc3339(at_ms),
            run: String::new(),
            runbook: String::new(),
            mode: String::new(),
            step: String::new(),
            role: String::new(),
            fingerprint: String::new(),
            expires: String::new(),
            commands: Vec::new(),
            link: String::new(),
            more: Vec::new(),
            more_count: 0,
        }
    }

    /// A message by which a person tries a channel.
    pub fn test(channel: &str, by: &str, at_ms: u64) -> Self {
        let text = format!("{by} tries the channel '{channel}'. Nothing has happened, and nothing is to be done.");
        Self { id: format!("test-{channel}"), ..Self::new(About::Test, at_ms, "a test of Lifeboat", &text) }
    }

    /// One message of each kind, with everything in it: templates are tried on them before they are needed.
    pub fn samples() -> Vec<Self> {
        let kinds = About::CHOICE.into_iter().chain([About::Step, About::Test]);
        let all = kinds.flat_map(|about| {
            let bare = Self::new(about, 1_700_000_000_000, "orders \"needs\" <you> & me", "a \\ line\tof text");
            let full = Self {
                id: "0000-go".to_owned(),
                run: "01890000-0000-7000-8000-000000000000".to_owned(),
                runbook: "orders".to_owned(),
                mode: "failover".to_owned(),
                step: "go".to_owned(),
                role: "incident-commander".to_owned(),
                fingerprint: "blake3:0011".to_owned(),
                expires: rfc3339(1_700_000_060_000),
                commands: vec!["lifeboat approve 0189 go --reason '…'".to_owned()],
                link: "https://dr.example.net/v1/links/a.b".to_owned(),
                more: vec![More { title: "bank failed".to_owned(), link: String::new() }],
                more_count: 12,
                ..bare.clone()
            };
            [bare, full]
        });
        all.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_bounds_and_no_lines_of_their_own() {
        assert_eq!(plain("a\nSubject: b\r\u{1b}[1m"), "a Subject: b  [1m");
        let long = plain(&"ü".repeat(5_000));
        assert!(long.ends_with("… (cut)") && long.chars().count() == TEXT_MAX + 7);
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(Message::samples().len(), 22);
    }
}
