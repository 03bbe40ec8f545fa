//! What is said of messages, counted: what comes again and again is one record a minute, so that a flood fills no disk.

use std::collections::HashMap;

use lifeboat_alerts::kernel::{Verdict, Word};
use lifeboat_core::ids::RunId;

use super::book::Record;

/// How long one record counts further messages of its kind.
const WINDOW_MS: u64 = 60_000;
/// Kinds that are told apart at once; what is more is one kind.
const KINDS_MAX: usize = 256;

/// What tells kinds of messages apart. Nothing that a stranger writes is in it, but for the names of hooks that there are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Kind {
    word: String,
    code: Option<String>,
    source: String,
    incident: Option<u64>,
}

/// Messages that were refused before anybody knew what they say.
#[derive(Clone, Debug)]
pub(crate) struct Stranger {
    /// The hook, if there is such a one.
    pub(crate) source: String,
    /// The code.
    pub(crate) code: String,
    /// Why.
    pub(crate) reason: String,
    /// Where the last of them came from.
    pub(crate) from: String,
    /// How many of the kind came.
    pub(crate) count: u64,
}

/// The records that still count.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    open: HashMap<Kind, (Record, bool)>,
    /// Records that another one has followed, and that counted more than was stored of them.
    done: Vec<Record>,
}

/// Whether each word of the kind is a record of its own: something changed by it.
const fn is_news(word: Word) -> bool {
    matches!(
        word,
        Word::Opened
            | Word::Started
            | Word::Aborted
            | Word::Resolved
            | Word::Closed
            | Word::Spent
            | Word::Failed
            | Word::Attached
    )
}

/// The word as it is shown.
pub(crate) fn word(word: Word) -> String {
    serde_json::to_value(word).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The runbook and the group of an incident, from its key.
fn parts(key: &str) -> (Option<String>, Option<String>) {
    match key.split_once(' ') {
        Some((runbook, group)) => (Some(runbook.to_owned()), Some(group.to_owned())),
        None => (None, None),
    }
}

impl Tally {
    /// A record of a verdict. `Some`: it is a new one, to be stored now.
    pub(crate) fn verdict(
        &mut self,
        verdict: &Verdict,
        source: &str,
        run: Option<RunId>,
        now_ms: u64,
        number: u64,
    ) -> Option<Record> {
        let (runbook, group) = verdict.incident.as_ref().map_or((None, None), |incident| parts(&incident.key));
        let record = Record {
            number,
            at: now_ms,
            last: now_ms,
            count: 1,
            source: source.to_owned(),
            word: word(verdict.word),
            code: verdict.code.map(str::to_owned),
            reason: verdict.reason.clone(),
            incident: verdict.incident.as_ref().map(|incident| incident.serial),
            runbook,
            group,
            run,
            from: None,
        };
        if is_news(verdict.word) { Some(record) } else { self.count(record) }
    }

    /// A record of a message that was taken, and is no news.
    pub(crate) fn no_news(&mut self, source: &str, reason: String, now_ms: u64, number: u64) -> Option<Record> {
        self.count(plain(source.to_owned(), "no-news", None, reason, now_ms, number))
    }

    /// A record of a refusal.
    pub(crate) fn refusal(&mut self, stranger: Stranger, now_ms: u64, number: u64) -> Option<Record> {
        let Stranger { source, code, reason, from, count } = stranger;
        let record = plain(source, "refused", Some(code), reason, now_ms, number);
        self.count(Record { from: Some(from), count, ..record })
    }

    fn count(&mut self, record: Record) -> Option<Record> {
        let mut kind = Kind {
            word: record.word.clone(),
            code: record.code.clone(),
            source: record.source.clone(),
            incident: record.incident,
        };
        if self.open.len() >= KINDS_MAX && !self.open.contains_key(&kind) {
            kind.source = "*".to_owned();
            kind.incident = None;
        }
        if let Some((there, changed)) = self.open.get_mut(&kind)
            && record.at.saturating_sub(there.at) < WINDOW_MS
        {
            there.count += record.count;
            (there.last, there.reason, there.from) = (record.last, record.reason, record.from);
            *changed = true;
            return None;
        }
        let before = self.open.insert(kind, (record.clone(), false));
        self.done.extend(before.filter(|(_, changed)| *changed).map(|(record, _)| record));
        Some(record)
    }

    /// The records whose minute is over, where they counted more than one; all of them, if `all`.
    pub(crate) fn over(&mut self, now_ms: u64, all: bool) -> Vec<Record> {
        let mut over = std::mem::take(&mut self.done);
        self.open.retain(|_, (record, changed)| {
            let keep = !all && now_ms.saturating_sub(record.at) < WINDOW_MS;
            if !keep && *changed {
                over.push(record.clone());
            }
            keep
        });
        over.sort_by_key(|record| record.number);
        over
    }

    /// A record as it counts now, where it still does.
    pub(crate) fn now(&self, number: u64) -> Option<&Record> {
        self.open.values().map(|(record, _)| record).find(|record| record.number == number)
    }
}

fn plain(source: String, word: &str, code: Option<String>, reason: String, now_ms: u64, number: u64) -> Record {
    Record {
        number,
        at: now_ms,
        last: now_ms,
        count: 1,
        source,
        word: word.to_owned(),
        code,
        reason,
        incident: None,
        runbook: None,
        group: None,
        run: None,
        from: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forged(source: &str, from: &str) -> Stranger {
        Stranger {
            source: source.to_owned(),
            code: "LB1013".to_owned(),
            reason: "it is not signed".to_owned(),
            from: from.to_owned(),
            count: 1,
        }
    }

    #[test]
    fn a_flood_is_a_record_a_minute_and_all_of_it_is_counted() {
        let mut tally = Tally::default();
        let (mut stored, mut counted) = (0, 0);
        for n in 0..120_000_u64 {
            // A thousand a second, each from elsewhere.
            let new = tally.refusal(forged("own", &n.to_string()), n, n + 1);
            stored += usize::from(new.is_some());
            counted += new.map_or(0, |record| record.count);
            for record in tally.over(n, false) {
                counted += record.count - 1;
                stored += 1;
            }
        }
        for record in tally.over(0, true) {
            counted += record.count - 1;
            stored += 1;
        }
        assert_eq!((stored, counted), (4, 120_000));
    }

    #[test]
    fn kinds_are_bounded() {
        let mut tally = Tally::default();
        let new = (0..10_000).filter(|n| tally.refusal(forged(&n.to_string(), "a"), 1, *n).is_some()).count();
        assert_eq!(new, KINDS_MAX + 1);
        assert!(tally.open.len() <= KINDS_MAX + 1);
    }
}
