//! What is kept of the last look at a runbook: so that it is there after a restart, and nobody is told twice.

use lifeboat_core::notify::About;
use lifeboat_core::plan::Mode;
use lifeboat_notify::Message;
use lifeboat_readiness::Row;
use serde::{Deserialize, Serialize};

/// Bytes of rows that are kept: a document holds 16 KiB.
const ROWS_BYTES_MAX: usize = 12 * 1024;
/// Problems that a message names. The others are counted.
const TOLD_MAX: usize = 5;

/// The last look at a runbook in a mode, taken by the service by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LookedAt {
    /// The runbook.
    pub runbook: String,
    /// The mode.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub mode: Mode,
    /// Whether nothing is in the way.
    pub ready: bool,
    /// How many things are in the way.
    pub problems: usize,
    /// When it was looked at, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Since when it is ready, or is not.
    pub since_ms: u64,
    /// What was looked at, as far as there is room for it; problems come first then.
    pub rows: Vec<Row>,
    /// How many rows there was no room for.
    pub left_out: usize,
}

/// What is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) look: LookedAt,
    /// Whether people were told that it is not ready.
    pub(crate) told: bool,
}

/// The key of the document.
pub(super) fn key(runbook: &str, mode: Mode) -> String {
    let name = format!("{}/{runbook}", mode.as_str());
    format!("readiness/{}", blake3::hash(name.as_bytes()).to_hex().get(..32).unwrap_or_default())
}

/// The rows that there is room for, and how many there is none for.
fn fitting(mut rows: Vec<Row>) -> (Vec<Row>, usize) {
    let size = |row: &Row| serde_json::to_vec(row).map_or(usize::MAX, |bytes| bytes.len() + 1);
    let whole = rows.iter().map(size).fold(0, usize::saturating_add);
    if whole <= ROWS_BYTES_MAX {
        return (rows, 0);
    }
    rows.sort_by_key(|row| row.ok);
    let all = rows.len();
    let mut room = ROWS_BYTES_MAX;
    rows.retain(|row| match room.checked_sub(size(row)) {
        Some(left) => {
            room = left;
            true
        }
        None => false,
    });
    let left_out = all - rows.len();
    (rows, left_out)
}

impl Kept {
    /// What is kept after a look.
    pub(super) fn after(before: Option<&Kept>, runbook: &str, mode: Mode, rows: Vec<Row>, at_ms: u64) -> Self {
        let problems = rows.iter().filter(|row| !row.ok).count();
        let ready = problems == 0;
        let same = before.filter(|before| before.look.ready == ready);
        let since_ms = same.map_or(at_ms, |before| before.look.since_ms);
        let told = same.is_some_and(|before| before.told);
        let (rows, left_out) = fitting(rows);
        let runbook = runbook.to_owned();
        Self { look: LookedAt { runbook, mode, ready, problems, at_ms, since_ms, rows, left_out }, told }
    }

    /// Whether people have to be told that it is not ready.
    pub(super) fn is_news(&self) -> bool {
        !self.look.ready && !self.told
    }
}

/// What people are told of a runbook that turned out not to be ready in some modes: one message, with what names the matter, under which
/// it is told once. `None`: nothing turned.
pub(super) fn news(turned: &[Kept], file: &str) -> Option<(String, Message)> {
    let first = &turned.first()?.look;
    let since = turned.iter().map(|kept| kept.look.since_ms).max()?;
    let matter = format!("{}/{since}", key(&first.runbook, first.mode));
    let mut problems: Vec<String> = Vec::new();
    for row in turned.iter().flat_map(|kept| &kept.look.rows).filter(|row| !row.ok) {
        let code = row.code.as_ref().map(|code| format!("{code}: ")).unwrap_or_default();
        let line = format!("{}: {code}{}", row.about, row.finding);
        // What is wrong in several modes is said once.
        if !problems.contains(&line) {
            problems.push(line);
        }
    }
    let hidden = turned.iter().map(|kept| &kept.look).map(|look| {
        let shown = look.rows.iter().filter(|row| !row.ok).count();
        look.problems.saturating_sub(shown)
    });
    let count = problems.len() + hidden.sum::<usize>();
    problems.truncate(TOLD_MAX);
    let more = count.saturating_sub(problems.len());
    if more > 0 {
        problems.push(format!("and {more} more"));
    }
    let text = problems.join("; ");
    let modes: Vec<&str> = turned.iter().map(|kept| kept.look.mode.as_str()).collect();
    let word = if modes.len() == 1 { "mode" } else { "modes" };
    let plural = if count == 1 { "problem" } else { "problems" };
    let (runbook, modes) = (&first.runbook, modes.join(", "));
    let title = format!("{runbook} is not ready in {word} {modes}: {count} {plural}");
    let message = Message {
        id: format!("not-ready-{runbook}"),
        runbook: runbook.clone(),
        mode: if turned.len() == 1 { modes } else { String::new() },
        commands: vec![format!("lifeboat readiness '{file}' --mode {}", first.mode.as_str())],
        ..Message::new(About::NotReady, since, &title, &text)
    };
    Some((matter, message))
}

#[cfg(test)]
mod tests {
    use lifeboat_core::Error;

    use super::*;

    fn bad(about: &str) -> Row {
        Row::bad(about, Error::new("LB1160", "it holds no snapshot").hint("take one"))
    }

    fn after(before: Option<&Kept>, rows: Vec<Row>, at: u64) -> Kept {
        Kept::after(before, "orders", Mode::Failover, rows, at)
    }

    fn matter(turned: &[Kept]) -> String {
        news(turned, "f").unwrap().0
    }

    #[test]
    fn what_turns_is_news_once_and_keeps_its_time() {
        let first = after(None, vec![Row::good("a", "b"), bad("vault")], 10);
        assert!(first.is_news() && !first.look.ready && first.look.problems == 1);
        let told = Kept { told: true, ..first.clone() };
        let still = after(Some(&told), vec![bad("vault"), bad("other")], 20);
        assert!(!still.is_news(), "it is told already");
        assert_eq!((still.look.since_ms, still.look.at_ms), (10, 20));
        let untold = after(Some(&first), vec![bad("vault")], 20);
        assert!(untold.is_news(), "what could not be told is told later, under the same name");
        assert_eq!(matter(&[untold]), matter(&[first]));
        let good = after(Some(&still), vec![Row::good("a", "b")], 30);
        assert_eq!((good.is_news(), good.look.ready, good.look.since_ms), (false, true, 30));
        let again = after(Some(&good), vec![bad("vault")], 40);
        assert!(again.is_news());
        assert_ne!(matter(&[again]), matter(&[still]));
    }

    #[test]
    fn a_document_has_room_for_it_and_problems_come_first() {
        let mut rows: Vec<Row> = (0..400).map(|number| Row::good(format!("step {number}"), "x".repeat(100))).collect();
        rows.extend((0..20).map(|number| bad(&format!("vault {number}"))));
        let kept = after(None, rows, 1);
        assert!(serde_json::to_vec(&kept).unwrap().len() < 14 * 1024);
        assert_eq!(kept.look.rows.iter().filter(|row| !row.ok).count(), 20);
        assert_eq!((kept.look.rows.len() + kept.look.left_out, kept.look.problems), (420, 20));
        assert!(kept.look.left_out > 0 && !kept.look.rows[0].ok);
        let huge = Row::bad("step x", Error::new("LB1159", "y".repeat(20_000)));
        let huge = after(None, vec![huge], 1);
        assert_eq!(huge.look.left_out, 1, "what is too large alone is left out, and counted");
        assert_eq!(news(&[huge], "f").unwrap().1.text, "and 1 more");
    }

    #[test]
    fn a_message_names_the_problems_of_all_modes_once_and_counts_the_rest() {
        assert_eq!(news(&[], "f"), None);
        let rows = |count| (0..count).map(|number| bad(&format!("vault {number}"))).collect();
        let one = after(None, rows(7), 1);
        let (_, message) = news(std::slice::from_ref(&one), "/srv/orders.kdl").unwrap();
        assert_eq!(message.title, "orders is not ready in mode failover: 7 problems");
        assert!(message.text.starts_with("vault 0: LB1160: it holds no snapshot; vault 1"), "{}", message.text);
        assert!(message.text.ends_with("vault 4: LB1160: it holds no snapshot; and 2 more"), "{}", message.text);
        assert_eq!(message.commands, ["lifeboat readiness '/srv/orders.kdl' --mode failover"]);
        assert_eq!((message.severity.as_str(), message.runbook.as_str()), ("warning", "orders"));
        let back = Kept::after(None, "orders", Mode::Failback, rows(2), 3);
        let (_, both) = news(&[Kept::after(None, "orders", Mode::Failover, rows(1), 1), back], "f").unwrap();
        assert_eq!(both.title, "orders is not ready in modes failover, failback: 2 problems");
        assert_eq!(both.text, "vault 0: LB1160: it holds no snapshot; vault 1: LB1160: it holds no snapshot");
    }
}
