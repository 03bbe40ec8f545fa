//! What the events say, against what the bundle tells of them. Reached only by what hangs together and was signed.

use std::collections::BTreeSet;

use lifeboat_core::Error;
use lifeboat_core::event::{Event, EventKind};
use lifeboat_core::ids::Digest;
use lifeboat_core::plan::Plan;
use serde_json::Value;

use super::{Book, Contents, Question};
use crate::container::Container;
use crate::events::Line;
use crate::facts::{self, Facts, RULES, Witness};
use crate::make::attached;
use crate::manifest::{End, FACTS, Manifest, PLAN, RUNBOOK, WITNESS, file_part};

/// What the first event pins.
struct Pinned<'a> {
    plan: &'a Plan,
    fingerprint: &'a Digest,
    runbook: &'a str,
}

pub(super) fn check(
    book: &mut Book,
    container: &Container<'_>,
    manifest: &Manifest,
    lines: &[Line<'_>],
    question: &Question,
) -> Option<Contents> {
    let events: Result<Vec<Event>, Error> = lines.iter().map(|line| Event::decode(line.bytes)).collect();
    let events = match events {
        Ok(events) => events,
        Err(error) => {
            let error = Error::new("LB1128", "an event cannot be read").with("cause", error.message);
            book.note(Err(vec![error.hint("verify it with the Lifeboat that made it, or a later one")]));
            return None;
        }
    };
    let part = |name: &str| container.parts.iter().find(|part| part.name == name).map_or(&[][..], |part| part.bytes);
    let pinned = match events.first().map(|event| &event.kind) {
        Some(EventKind::RunCreated { plan, fingerprint, runbook, run, .. }) if *run == manifest.run => {
            Pinned { plan, fingerprint, runbook }
        }
        _ => {
            book.note(Err(vec![plan_fault("the first event is not the making of the run that the manifest names")]));
            return None;
        }
    };
    let first = lines.first().map_or(&[][..], |line| line.bytes);
    let mut faults = plan(manifest, &pinned, first, part(PLAN));
    if part(RUNBOOK) != pinned.runbook.as_bytes() {
        faults.push(plan_fault("the text of the runbook is not the one that the run was made from"));
    }
    let told = format!("{} steps, fingerprint {}", pinned.plan.steps.len(), pinned.fingerprint);
    let good = book.note(if faults.is_empty() { Ok(told) } else { Err(faults) });
    let approved = book.note(approvals(&events, &pinned));
    if !good || !approved {
        return None;
    }
    let contents = follow(book, manifest, events, part(WITNESS), part(FACTS))?;
    book.note(files(container, manifest, &contents.events));
    plugins(book, question, &contents.state.plan);
    Some(contents)
}

fn plan_fault(message: &str) -> Error {
    Error::new("LB1125", message).hint("what was run is not what was looked at; ask who made the bundle")
}

/// The plan has to be the one of the first event, to the last field, and its bytes have to have the fingerprint.
fn plan(manifest: &Manifest, pinned: &Pinned<'_>, first: &[u8], part: &[u8]) -> Vec<Error> {
    let mut faults = Vec::new();
    let found = Digest::of(part);
    if &found != pinned.fingerprint || found != manifest.fingerprint {
        let fault = plan_fault("the plan does not have the fingerprint that was approved");
        faults
            .push(fault.with("plan", &found).with("event", pinned.fingerprint).with("manifest", &manifest.fingerprint));
    }
    // As values and not as plans: a field that this program does not know counts as well.
    let value = serde_json::from_slice::<Value>(part).ok();
    let event = serde_json::from_slice::<Value>(first).ok();
    if value.is_none() || value.as_ref() != event.as_ref().and_then(|event| event.get("plan")) {
        faults.push(plan_fault("the plan is not the one that the run was made with"));
    }
    faults
}

/// Every question and every yes has to be about this plan, and every yes by somebody who could give it.
fn approvals(events: &[Event], pinned: &Pinned<'_>) -> Result<String, Vec<Error>> {
    let refused = |message: String| {
        Error::new("LB1126", message).hint("an approval is worth nothing for another plan, or from somebody else")
    };
    let (mut faults, mut yes) = (Vec::new(), 0);
    for (seq, event) in (1..).zip(events) {
        match &event.kind {
            EventKind::ApprovalRequested { step, fingerprint, .. } if fingerprint != pinned.fingerprint => {
                faults.push(refused(format!("the question '{step}' is about another plan")).with("event", seq));
            }
            EventKind::Approved { step, fingerprint, said, .. } => {
                if fingerprint != pinned.fingerprint {
                    let who = &said.by;
                    faults.push(refused(format!("{who} approved '{step}' for another plan")).with("event", seq));
                }
                let asks = pinned.plan.step(step).and_then(|step| step.approval.as_ref());
                if asks.is_some_and(|asks| !asks.people.is_empty() && !asks.people.contains(&said.by)) {
                    let message = format!("{} approved '{step}' and is not one of those who may", said.by);
                    faults.push(refused(message).with("event", seq));
                }
                yes += 1;
            }
            _ => {}
        }
    }
    let asked = pinned.plan.steps.iter().filter(|step| step.approval.is_some()).count();
    let told = match asked {
        0 => "no step asks for one".to_owned(),
        _ => format!("{yes} given, all for this plan; {asked} of its steps ask for one"),
    };
    if faults.is_empty() { Ok(told) } else { Err(faults) }
}

fn follow(book: &mut Book, manifest: &Manifest, events: Vec<Event>, witness: &[u8], told: &[u8]) -> Option<Contents> {
    let refused = |message: &str| {
        Error::new("LB1128", message).hint("what the bundle tells is not what its events give; ask who made it")
    };
    let Ok(witness) = serde_json::from_slice::<Witness>(witness) else {
        book.note(Err(vec![refused("what the engine told from other runs cannot be read")]));
        return None;
    };
    let (facts, state) = match facts::of(&events, &witness) {
        Ok(found) => found,
        Err(error) => {
            let fault = refused("the events cannot be followed").with("cause", &error.message);
            let event = error.context.iter().find(|(name, _)| name == "event").map(|(_, seq)| seq.clone());
            book.note(Err(vec![event.into_iter().fold(fault, |fault, seq| fault.with("event", seq))]));
            return None;
        }
    };
    let whole = manifest.runbook == state.plan.runbook && manifest.mode == state.plan.mode;
    if End::of(&state) != manifest.end || !whole {
        let fault = refused("the events give another end than the manifest tells");
        let fault = fault.with("events", state.status().as_str()).with("manifest", manifest.end.status.as_str());
        book.note(Err(vec![fault]));
        return None;
    }
    book.note(Ok(format!("the events give the end that is told: {}", state.status().as_str())));
    let there = serde_json::from_slice::<Facts>(told).ok();
    if there.as_ref() != Some(&facts) {
        let later = there.as_ref().is_some_and(|there| there.rules > RULES);
        let fault = if later {
            Error::new("LB1121", "the figures were worked out by later rules").hint("use the Lifeboat that made it")
        } else {
            refused("the figures are not what the events give")
        };
        book.note(Err(vec![fault]));
        return None;
    }
    book.note(Ok("worked out again from the events, and the same".to_owned()));
    let runbook = match events.first().map(|event| &event.kind) {
        Some(EventKind::RunCreated { runbook, .. }) => runbook.clone(),
        _ => String::new(),
    };
    Some(Contents { manifest: manifest.clone(), facts, state, events, runbook })
}

/// What people attached is there under its digest, or said to be left out; nothing else is there.
fn files(container: &Container<'_>, manifest: &Manifest, events: &[Event]) -> Result<String, Vec<Error>> {
    let refused = |message: String| Error::new("LB1122", message).hint("ask who made the bundle for the files");
    let named = attached(events);
    let there: BTreeSet<&str> = container.parts.iter().skip(5).map(|part| part.name).collect();
    let mut faults = Vec::new();
    for digest in &named {
        let part = container.parts.iter().find(|part| part.name == file_part(digest));
        match part {
            Some(part) if Digest::of(part.bytes) != **digest => {
                faults.push(refused(format!("the attached file {digest} is another one")));
            }
            None if !manifest.without_files.contains(digest) => {
                faults.push(refused(format!("the attached file {digest} is missing")));
            }
            _ => {}
        }
    }
    let names: BTreeSet<String> = named.iter().map(|digest| file_part(digest)).collect();
    let odd = there.iter().filter(|name| !names.contains(**name));
    faults.extend(odd.map(|name| refused(format!("nobody attached the file '{name}'"))));
    let (count, without) = (there.len(), manifest.without_files.len());
    if faults.is_empty() { Ok(format!("{count} attached, {without} left out by name")) } else { Err(faults) }
}

/// Each file that was given has to be a plugin that the plan pins.
fn plugins(book: &mut Book, question: &Question, plan: &Plan) {
    if question.plugins.is_empty() {
        let pins = plan.plugins.len();
        book.not_asked(&format!("no file was given; the plan pins {pins} by digest"));
        return;
    }
    let mut faults = Vec::new();
    let mut names = Vec::new();
    for file in &question.plugins {
        match plan.plugins.iter().find(|(_, pin)| pin.digest == file.digest) {
            Some((name, _)) => names.push(name.as_str()),
            None => {
                let pins: Vec<String> =
                    plan.plugins.iter().map(|(name, pin)| format!("{name} {}", pin.digest)).collect();
                faults.push(
                    Error::new("LB1127", format!("'{}' is none of the plugins that the plan pins", file.name))
                        .with("file", &file.digest)
                        .with("pinned", pins.join(", "))
                        .hint("this is another build of the plugin, or another plugin"),
                );
            }
        }
    }
    book.note(if faults.is_empty() { Ok(format!("the files are those of {}", names.join(", "))) } else { Err(faults) });
}
