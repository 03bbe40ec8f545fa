//! A service around the kernel: it stores events, carries decisions out, and knows what it has done.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::collections::BTreeMap;

use lifeboat_alerts::kernel::{Decision, Event, Fact, Incident, State, Trigger, Verdict, Word, decide};
use lifeboat_alerts::{Alert, Batch, Matchers};

/// Where the clock of all tests starts.
pub const NOW: u64 = 1_795_226_730_000;
pub const GROUP: &str = r#"{}:{alertname="Down"}"#;

pub fn trigger() -> Trigger {
    Trigger {
        runbook: "orders".to_owned(),
        mode: "failover".to_owned(),
        sources: vec!["am".to_owned()],
        matchers: Matchers::parse("severity=critical").unwrap(),
        ..Trigger::default()
    }
}

/// An alert that began so many milliseconds after [`NOW`].
pub fn alert(fingerprint: &str, firing: bool, since: u64) -> Alert {
    Alert {
        fingerprint: fingerprint.to_owned(),
        firing,
        since_ms: Some(NOW + since),
        labels: [("severity".to_owned(), "critical".to_owned())].into(),
        annotations: BTreeMap::new(),
    }
}

pub fn batch(alerts: &[Alert]) -> Batch {
    Batch { source: "am".to_owned(), group: GROUP.to_owned(), alerts: alerts.to_vec(), truncated: 0, resolved_ms: None }
}

/// A batch that says that the whole group was resolved, so many milliseconds after [`NOW`].
pub fn resolved(alerts: &[Alert], at: u64) -> Batch {
    Batch { resolved_ms: Some(NOW + at), ..batch(alerts) }
}

pub struct World {
    pub triggers: Vec<Trigger>,
    pub state: State,
    pub events: Vec<Event>,
    pub now: u64,
    /// The decisions and verdicts on the last fact.
    pub last: Vec<Decision>,
    pub verdicts: Vec<Verdict>,
    /// Runs by their keys: name, and whether it is under way.
    pub runs: BTreeMap<String, (String, bool)>,
    pub aborted: Vec<String>,
    pub pages: Vec<String>,
}

impl World {
    pub fn new(triggers: Vec<Trigger>) -> Self {
        Self {
            triggers,
            state: State::default(),
            events: Vec::new(),
            now: NOW,
            last: Vec::new(),
            verdicts: Vec::new(),
            runs: BTreeMap::new(),
            aborted: Vec::new(),
            pages: Vec::new(),
        }
    }

    pub fn fact(&mut self, fact: Fact) -> Vec<Word> {
        let outcome = decide(&self.state, &self.triggers, &fact, self.now);
        for event in &outcome.events {
            self.state.apply(event);
        }
        self.events.extend(outcome.events);
        self.last = outcome.decisions;
        self.verdicts = outcome.verdicts;
        for verdict in &self.verdicts {
            assert!(!verdict.reason.is_empty() && verdict.code == verdict.word.code());
        }
        self.verdicts.iter().map(|verdict| verdict.word).collect()
    }

    pub fn words(&mut self, batch: &Batch) -> Vec<Word> {
        self.fact(Fact::Alerts(batch.clone()))
    }

    pub fn tick(&mut self) -> Vec<Word> {
        self.fact(Fact::Tick)
    }

    /// The one incident that there is.
    pub fn incident(&self) -> &Incident {
        let mut incidents = self.state.incidents();
        let incident = incidents.next().unwrap();
        assert!(incidents.next().is_none());
        incident
    }

    /// Carries out all that is pending, as after a start of the service.
    pub fn work(&mut self) {
        for _ in 0..4 {
            for decision in self.state.pending() {
                self.carry_out(&decision);
            }
        }
    }

    pub fn carry_out(&mut self, decision: &Decision) {
        match decision {
            Decision::Start { incident, key, .. } => {
                let name = format!("r-{}", self.runs.len());
                // There is one run of one key.
                let (run, _) = self.runs.entry(key.clone()).or_insert((name, true)).clone();
                self.fact(Fact::RunStarted { incident: incident.clone(), run });
            }
            Decision::Abort { run, .. } => {
                if !self.aborted.contains(run) {
                    self.aborted.push(run.clone());
                }
            }
            Decision::Page { incident, reason, .. } => {
                self.pages.push(reason.clone());
                self.fact(Fact::Told { incident: incident.clone() });
            }
            Decision::Attach { .. } => {}
        }
    }

    /// The run that is under way ends.
    pub fn ended(&mut self, outcome: &str) -> Vec<Word> {
        let under_way = self.state.incidents().find(|incident| incident.run().is_some()).unwrap();
        let (incident, run) = (under_way.id.clone(), under_way.run().unwrap().to_owned());
        self.runs.values_mut().filter(|(name, _)| *name == run).for_each(|(_, under_way)| *under_way = false);
        self.fact(Fact::RunEnded { incident, outcome: outcome.to_owned() })
    }
}
