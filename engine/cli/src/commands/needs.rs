//! What a run needs that does not go on by itself, with the commands to type.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use lifeboat_core::event::RunResult;
use lifeboat_core::plan::{Mode, Step};
use lifeboat_core::state::{Locks, Phase, RunState, RunStatus};

use crate::clock::utc;

/// The lines, or nothing where it goes on by itself or has ended well. `me` is the program as it has to be typed.
pub fn needs(me: &str, state: &RunState) -> String {
    let mut page = Page { me, run: state.run.as_str(), text: String::new() };
    if state.continued_as.is_some() {
        return String::new();
    }
    if let Locks::Wanted { held } = &state.locks {
        let mut by_holder: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for held in held {
            by_holder.entry(held.holder.as_str()).or_default().push(format!("'{}'", held.lock));
        }
        for (holder, locks) in by_holder {
            let word = if locks.len() == 1 { "lock" } else { "locks" };
            page.say(&format!("it waits for the {word} {}, which run {holder} has until it ends", locks.join(", ")));
            page.command_on(holder, "show", "");
            page.command_on(holder, "resume", "");
            page.say("or, if that run is to give way:");
            page.command_on(holder, "cancel", "--reason '…'");
            page.command_on(holder, "abandon", "--reason '…'");
        }
    }
    if let Some(said) = &state.paused {
        let why = if said.why.is_empty() { String::new() } else { format!(": {}", said.why) };
        page.say(&format!("{} paused it{why}", said.by));
        page.command("unpause", "--reason '…'");
    }
    if state.result.is_none_or(|result| result == RunResult::Failed) {
        state.steps().for_each(|(step, now)| page.step(state, step, &now.phase));
    }
    let planned = matches!(state.plan.mode, Mode::Switchover | Mode::Failback);
    if planned && matches!(state.status(), RunStatus::Stuck | RunStatus::Failed) {
        page.say("if a side that it needs is lost, go on as a failover; what is done is taken over:");
        page.command("takeover", "--mode failover");
    }
    if state.status() == RunStatus::Running {
        page.say("if no engine is at work on it any more:");
        page.command("resume", "");
    }
    page.text
}

struct Page<'a> {
    me: &'a str,
    run: &'a str,
    text: String,
}

impl Page<'_> {
    fn say(&mut self, text: &str) {
        let _ = writeln!(self.text, "  {text}");
    }

    fn command(&mut self, verb: &str, more: &str) {
        self.command_on(self.run, verb, more);
    }

    fn command_on(&mut self, run: &str, verb: &str, more: &str) {
        let line = format!("    {} {verb} {run} {more}", self.me);
        let _ = writeln!(self.text, "{}", line.trim_end());
    }

    fn step(&mut self, state: &RunState, step: &Step, phase: &Phase) {
        let id = step.id.as_str();
        match phase {
            Phase::Approval { given, expires_at } => {
                let asked = step.approval.as_ref();
                let role = asked.map_or("anybody", |approval| approval.role.as_str());
                let quorum = asked.map_or(1, |approval| approval.quorum);
                let until = expires_at.map_or(String::new(), |at| format!(", until {} UTC", utc(at)));
                let so_far = given.len();
                self.say(&format!("step '{id}' asks for {quorum} yes from {role} ({so_far} so far{until})"));
                self.command("approve", &format!("{id} --as NAME --reason '…'"));
                self.command("deny", &format!("{id} --as NAME --reason '…'"));
            }
            Phase::Asking { .. } => {
                self.say(&format!("nobody knows whether step '{id}' happened: look, then"));
                self.command("retry", &format!("{id} --reason '…'"));
                self.by_hand(step, "or, if it did happen, or you did it by hand:");
                self.without(id);
            }
            Phase::Suspect { because, .. } => {
                self.say(&format!("step '{id}' is held: a snapshot that comes before it is suspect"));
                because.iter().for_each(|reason| self.say(&format!("  {reason}")));
                self.say("scan what was restored; if it is good, say so, with a file that shows it:");
                self.command("attest", &format!("{id} --evidence FILE --reason '…'"));
                self.say("if it is not:");
                self.command("cancel", "--compensate --reason '…'");
            }
            Phase::UndoFailed { .. } => {
                self.say(&format!("the undo of step '{id}' failed: mend it, then"));
                self.command("retry", id);
                self.say("or undo it by hand, then");
                self.command("mark-done", &format!("{id} --reason '…'"));
                self.say("or leave its effect as it is, and undo the others:");
                self.command("skip", &format!("{id} --reason '…'"));
                self.say("or end the run as it is:");
                self.command("abandon", "--reason '…'");
            }
            // Where what was done is undone after a failure, there is nothing to go on with.
            Phase::Failed { .. } if state.plan.on_failure.compensate => {}
            Phase::Failed { .. } => {
                self.say(&format!("step '{id}' failed: mend the cause, then"));
                self.command("retry", id);
                if step.kind.has_attempts() {
                    self.by_hand(step, "or do it by hand, then");
                    self.without(id);
                }
            }
            _ => {}
        }
    }

    fn by_hand(&mut self, step: &Step, when: &str) {
        self.say(when);
        let outputs = if step.kind.by_plugin() { " --outputs '{…}'" } else { "" };
        self.command("mark-done", &format!("{}{outputs} --reason '…'", step.id));
    }

    fn without(&mut self, id: &str) {
        self.say("or go on without it:");
        self.command("skip", &format!("{id} --reason '…'"));
    }
}
