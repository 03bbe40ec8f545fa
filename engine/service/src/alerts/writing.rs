//! A round that is being made: facts decided on, and what is said of them.

use lifeboat_alerts::Batch;
use lifeboat_alerts::kernel::{Decision, Fact, Trigger, Verdict, Word, decide};
use lifeboat_core::Error;
use lifeboat_core::ids::RunId;
use lifeboat_core::plan::Mode;

use super::book::{Book, Record, Round};
use super::desk::Answered;
use super::tally::{Stranger, Tally, word};
use crate::access::Person;
use crate::app::App;

/// Whether somebody's token reaches to what a trigger starts.
pub(super) fn may(by: &Person, trigger: &Trigger) -> bool {
    let reaches = if Mode::parse(&trigger.mode) == Some(Mode::Drill) { by.drill } else { by.failover };
    by.sees(&trigger.runbook) && reaches
}

/// Whether any alert of a message is one of that trigger's.
pub(super) fn would(trigger: &Trigger, batch: &Batch) -> bool {
    trigger.sources.contains(&batch.source) && batch.alerts.iter().any(|alert| trigger.matchers.matches(&alert.labels))
}

/// A round that is being made.
pub(super) struct Writing<'a> {
    app: &'a App,
    now: u64,
    book: &'a mut Book,
    tally: &'a mut Tally,
    pub(super) round: Round,
}

impl<'a> Writing<'a> {
    pub(super) fn new(app: &'a App, now: u64, book: &'a mut Book, tally: &'a mut Tally) -> Self {
        Self { app, now, book, tally, round: Round::default() }
    }
    /// Decides on a fact. `off`: a runbook that would have been started, if the operator let it.
    pub(super) fn fact(&mut self, fact: &Fact, triggers: &[Trigger], source: &str, off: Option<&str>) -> Vec<Answered> {
        let outcome = decide(&self.book.state, triggers, fact, self.now);
        for event in &outcome.events {
            self.book.happen(event);
        }
        self.round.events.extend(outcome.events);
        for decision in &outcome.decisions {
            if let Decision::Start { incident, .. } = decision {
                let run = self.app.runs.engine.new_run();
                self.book.planned.insert(incident.serial, run.clone());
                self.round.planned.push((incident.serial, run));
            }
        }
        outcome.verdicts.into_iter().filter_map(|verdict| self.said(verdict, fact, source, off)).collect()
    }

    fn said(&mut self, mut verdict: Verdict, fact: &Fact, source: &str, off: Option<&str>) -> Option<Answered> {
        if verdict.word == Word::Misplaced && !matches!(fact, Fact::Close { .. }) {
            // A fact of our own that came twice: nobody asked.
            return None;
        }
        if let (Word::Unmatched, Some(runbook)) = (verdict.word, off) {
            verdict.reason = format!("'automatic' of the operator's file lets alerts start nothing of '{runbook}'");
        }
        let run = verdict.incident.as_ref().and_then(|id| {
            let named = self.book.incident(id).and_then(|found| found.run().map(str::to_owned));
            named.and_then(|run| RunId::parse(&run).ok()).or_else(|| self.book.planned.get(&id.serial).cloned())
        });
        let number = self.book.next_record();
        let record = self.tally.verdict(&verdict, source, run, self.now, number);
        self.note(record);
        self.app.metrics.alert(&word(verdict.word), verdict.code.unwrap_or_default());
        let incident = verdict.incident.as_ref().map(|incident| incident.serial);
        Some(Answered { word: word(verdict.word), code: verdict.code, reason: verdict.reason, incident })
    }

    /// A message that was taken, and is no news.
    pub(super) fn no_news(&mut self, source: &str, reason: String) -> Answered {
        let record = self.tally.no_news(source, reason.clone(), self.now, self.book.next_record());
        self.note(record);
        self.app.metrics.alert("no-news", "");
        Answered { word: "no-news".to_owned(), code: None, reason, incident: None }
    }

    /// What was refused since the last time; and what was counted for a minute, or all of it.
    pub(super) fn strangers(&mut self, strangers: impl Iterator<Item = Stranger>, all: bool) {
        for stranger in strangers {
            let record = self.tally.refusal(stranger, self.now, self.book.next_record());
            self.note(record);
        }
        for record in self.tally.over(self.now, all) {
            self.note(Some(record));
        }
    }

    fn note(&mut self, record: Option<Record>) {
        if let Some(record) = record {
            self.book.note(record.clone());
            self.round.records.push(record);
        }
    }

    pub(super) fn close(&mut self, number: u64, by: String, why: String) -> Result<Vec<Answered>, Error> {
        let refused = |what: String| Err(Error::new("LB1035", what).hint("'lifeboat alerts' shows what is open"));
        let Some(incident) = self.book.find(number).map(|found| found.id.clone()) else {
            return refused(format!("there is no open incident #{number}"));
        };
        let said = self.fact(&Fact::Close { incident, by, why }, &[], "", None);
        if said.iter().any(|said| said.code.is_some()) {
            return refused(format!("the incident #{number} has a run that has not ended"));
        }
        Ok(said)
    }
}
