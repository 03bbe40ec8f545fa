//! What a bundle shows of what standards ask, and, as plainly, what it does not.
//!
//! Nothing in here says that somebody complies: that is for people to judge, over more than one run. The words on what a clause
//! asks are our own and short; the texts themselves are what counts: Regulation (EU) 2022/2554 (DORA), Articles 11 and 12;
//! ISO 22301:2019, clauses 8.4, 8.5 and 9.1; AICPA Trust Services Criteria (2017), A1.2 and A1.3.

mod table;

use lifeboat_core::ids::StepId;
use lifeboat_core::plan::{Mode, Plan, StepKind};
use serde::Serialize;

use crate::facts::Facts;
use crate::words::{csv, duration, markdown, utc};

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The standard.
    pub standard: &'static str,
    /// The clause.
    pub clause: &'static str,
    /// What it asks, in our words.
    pub asks: &'static str,
    /// What in the bundle shows it; empty where nothing does.
    pub shows: Vec<String>,
    /// What the bundle does not show.
    pub lacks: Vec<String>,
}

/// What rows are made from.
pub(crate) struct Case<'a> {
    pub facts: &'a Facts,
    pub plan: &'a Plan,
    pub events: u64,
}

impl Case<'_> {
    fn rehearsed(&self) -> bool {
        matches!(self.facts.mode, Mode::Drill | Mode::Switchover)
    }

    fn done(&self, kind: StepKind) -> Vec<&str> {
        let steps = self.facts.steps.iter().filter(|step| step.kind == kind && step.phase == "done");
        steps.map(|step| step.step.as_str()).collect()
    }

    /// `run r-…, drill, succeeded, begun 2026-01-31 04:05:06 UTC, 4m 10s`
    fn run(&self) -> String {
        let facts = self.facts;
        format!(
            "run {}, {}, {}, begun {} UTC, took {}",
            facts.run,
            facts.mode.as_str(),
            facts.status.as_str(),
            utc(facts.clock.declared),
            duration(facts.rta_ms)
        )
    }

    fn plan(&self) -> String {
        let (facts, steps) = (self.facts, self.plan.steps.len());
        format!(
            "plan.json and runbook.kdl: '{}', {steps} steps, fingerprint {}",
            facts.runbook,
            facts.fingerprint.short()
        )
    }

    fn objectives(&self) -> Option<String> {
        let objectives = &self.facts.objectives;
        let (rto, rpo) = (objectives.rto_ms.map(duration), objectives.rpo_ms.map(duration));
        match (rto, rpo) {
            (None, None) => None,
            (rto, rpo) => Some(format!(
                "objectives in the plan: RTO {}, RPO {}",
                rto.as_deref().unwrap_or("none"),
                rpo.as_deref().unwrap_or("none")
            )),
        }
    }

    fn measured(&self) -> Vec<String> {
        let facts = self.facts;
        let met = |within: Option<bool>| match within {
            Some(true) => ", within the objective",
            Some(false) => ", over the objective",
            None => "",
        };
        let mut found = vec![format!("recovery time measured: {}{}", duration(facts.rta_ms), met(facts.within_rto))];
        found.extend(
            facts.data_loss.at_most_ms.map(|loss| {
                format!("data loss measured: at most {}{}", duration(loss), met(facts.data_loss.within_rpo))
            }),
        );
        found
    }

    /// Steps that proved data, each with how deep.
    fn proofs(&self) -> Vec<String> {
        let mut found = Vec::new();
        let proved = self.facts.snapshots.iter().filter(|one| one.kind == StepKind::Verify);
        found.extend(proved.map(|one| {
            let depth = one.depth.as_deref().unwrap_or("its plugin's own depth");
            format!("step '{}' proved the recovery point before use, depth: {depth}", one.step)
        }));
        let checks = self.done(StepKind::Validate);
        if !checks.is_empty() {
            found.push(format!("validated after the restore: {}", checks.join(", ")));
        }
        found
    }

    /// Where data was restored from and to, by the labels of the author.
    fn sites(&self) -> Vec<String> {
        let site = |name: &str| self.plan.targets.get(name).and_then(|target| target.site.as_deref());
        let restores = self.plan.steps.iter().filter(|step| step.kind == StepKind::Restore);
        let told = restores.filter_map(|step| {
            let role = |role: &str| step.targets.iter().find(|used| used.role == role).map(|used| &used.target);
            let (from, into) = (role("from")?, role("into")?);
            let (from_site, into_site) = (site(from).unwrap_or("no label"), site(into).unwrap_or("no label"));
            let id: &StepId = &step.id;
            Some(format!("'{id}' restores from '{from}' (site: {from_site}) into '{into}' (site: {into_site})"))
        });
        told.collect()
    }

    fn approvals(&self) -> Vec<String> {
        let given = self.facts.approvals.iter().filter(|asked| asked.outcome == "approved");
        given
            .map(|asked| {
                let names: Vec<&str> =
                    asked.answers.iter().filter(|answer| answer.yes).map(|answer| answer.by.as_str()).collect();
                format!("'{}' approved by {} for this very plan", asked.step, names.join(", "))
            })
            .collect()
    }
}

/// The table of a bundle.
pub fn rows(facts: &Facts, plan: &Plan, events: u64) -> Vec<Row> {
    table::rows(&Case { facts, plan, events })
}

const HEAD: [&str; 5] =
    ["standard", "clause", "what it asks, in our words", "what this bundle shows", "what it does not show"];

/// As a table in Markdown.
pub fn as_markdown(facts: &Facts, rows: &[Row]) -> String {
    let mut out = format!(
        "# Evidence by clause: {}\n\nRun {}. Nothing here says that anybody complies; read the clauses themselves, and judge over \
         many runs.\n\n| {} |\n|---|---|---|---|---|\n",
        markdown(&facts.runbook),
        facts.run,
        HEAD.join(" | ")
    );
    for row in rows {
        let list = |items: &[String]| {
            let items: Vec<String> = items.iter().map(|item| markdown(item)).collect();
            if items.is_empty() { "nothing".to_owned() } else { items.join("<br>") }
        };
        let cells = [row.standard, row.clause, row.asks].map(markdown);
        out.push_str(&format!("| {} | {} | {} |\n", cells.join(" | "), list(&row.shows), list(&row.lacks)));
    }
    out
}

/// As CSV (RFC 4180, with a head).
pub fn as_csv(rows: &[Row]) -> String {
    let line = |cells: [&str; 5]| format!("{}\r\n", cells.map(csv).join(","));
    let mut out = line(HEAD);
    for row in rows {
        out.push_str(&line([row.standard, row.clause, row.asks, &row.shows.join("; "), &row.lacks.join("; ")]));
    }
    out
}
