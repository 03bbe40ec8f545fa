//! Answers as a person reads them.

use lifeboat_core::StepId;
use lifeboat_core::plan::{Plan, Step, StepKind};
use lifeboat_forecast::Forecast;
use lifeboat_forecast::plan::{Basis, Note, Quantile, StepForecast};

use super::Found;
use super::models::Answer;
use crate::args_estimate::EstimateArgs;
use crate::view::amount::{decimal, share};
use crate::view::duration::duration;
use crate::view::outlook::grounds;

/// The width that names are given.
const NAMES: usize = 20;
/// More steps than this are not listed; those that stand for most of the time are.
const STEPS_MAX: usize = 12;

fn row(name: &str, text: &str) -> String {
    format!("  {name:<NAMES$}{text}\n")
}

/// What a model came to.
pub(super) fn model(answer: &Answer) -> String {
    let mut text = String::new();
    if let Some((met, why)) = &answer.verdict {
        text.push_str(&format!("{}: {why}\n\n", if *met { "Yes" } else { "No" }));
    }
    for (name, value) in &answer.rows {
        text.push_str(&row(name, value));
    }
    text.push_str(&row("formula", answer.formula));
    text
}

/// What a runbook came to.
pub(super) fn runbook(plan: &Plan, args: &EstimateArgs, found: &Found) -> String {
    let told = &found.forecast;
    let mut text = format!("{}  ·  {}", plan.runbook, plan.mode.as_str());
    if let Some(bytes) = args.bytes {
        text.push_str(&format!("  ·  {}", decimal(bytes.get())));
    }
    if let Some(rate) = args.rate {
        text.push_str(&format!(" at {}/s", decimal(rate.get())));
    }
    text.push_str(&format!("\n{}\n\n", verdict(found)));
    let quantiles = [("half of all runs", told.p50), ("95 of 100", told.p95), ("99 of 100", told.p99)];
    for (name, quantile) in quantiles {
        let is = quantile.map_or_else(|| nothing(told).to_owned(), |quantile| within(quantile, told.lower_bound));
        text.push_str(&row(name, &is));
    }
    if told.passed_ms > 0 {
        let parts = format!("detect {}, decide {}", duration(args.detect.ms()), duration(args.decide.ms()));
        text.push_str(&row("before the run", &format!("{} of that: {parts}", duration(told.passed_ms))));
    }
    text.push_str(&row("succeeds", &success(told)));
    for too_long in time_outs(plan, told).iter().take(3) {
        text.push_str(&row("time-out", too_long));
    }
    if told.locks_share > 0.0 {
        text.push_str(&row("waits for locks", &format!("{} of the time", share(told.locks_share))));
    }
    if let Some(rate) = found.rate_needed {
        text.push_str(&row("rate needed", &format!("{}/s, if all else stays as it is", decimal(rate.get()))));
    } else if found.met == Some(false) && args.rate.is_some() {
        text.push_str(&row("rate needed", "none is enough: the rest alone takes too long"));
    }
    text.push_str(&steps(plan, told));
    text.push_str(&notes(plan, told));
    let used = |step: &StepForecast| matches!(step.basis, Basis::Rate | Basis::PerByte { .. });
    if args.bytes.is_some() && !told.steps.iter().any(used) {
        text.push_str("  - the amount of data changes nothing: no step tells what it moved; give --rate\n");
    }
    text
}

fn verdict(found: &Found) -> String {
    let Some(objective) = &found.forecast.objective else {
        return "There is no objective: give one with --rto, or with 'objectives' in the runbook.".to_owned();
    };
    let (rto, meets) = (duration(objective.rto_ms), share(objective.meets.value));
    let asked = share(found.confidence);
    match found.met {
        Some(true) => format!("Yes: {meets} of runs meet the RTO of {rto}; {asked} are asked for."),
        Some(false) => {
            let most = if found.forecast.lower_bound { "at most " } else { "" };
            let why = found.forecast.dominant().map_or_else(String::new, |step| {
                format!(" The longest part is {}, {} of the time.", step.step, share(step.share))
            });
            format!("No: {most}{meets} of runs meet the RTO of {rto}; {asked} are asked for.{why}")
        }
        None if objective.meets.value >= 1.0 => {
            format!("Not known: what is known fits into the RTO of {rto}, and of some steps nothing is known.")
        }
        None => {
            format!("Not known: at most {meets} of runs meet the RTO of {rto}, and of some steps nothing is known.")
        }
    }
}

fn nothing(found: &Forecast) -> &'static str {
    if found.success.value > 0.0 { "not known: nothing is known of any step" } else { "no run succeeds without help" }
}

/// A quantile, and what the simulation's own error leaves of it where that shows.
fn within(quantile: Quantile, lower_bound: bool) -> String {
    let word = if lower_bound { "at least" } else { "within" };
    let (time, low, high) = (duration(quantile.ms), duration(quantile.low_ms), duration(quantile.high_ms));
    if low == high { format!("{word} {time}") } else { format!("{word} {time} ({low} to {high})") }
}

fn success(found: &Forecast) -> String {
    let counted = found.steps.iter().any(|step| step.attempt_fails.is_some());
    if !counted {
        return "not known: nobody has counted failures".to_owned();
    }
    let (value, low, high) = (share(found.success.value), share(found.success.low), share(found.success.high));
    format!("{value} of runs ({low} to {high}), {}", grounds(found))
}

/// The steps that usually reach their time-out: no retry mends that.
fn time_outs(plan: &Plan, found: &Forecast) -> Vec<String> {
    let steps = plan.steps.iter().zip(&found.steps).filter(|(step, _)| step.kind.by_plugin());
    let reached =
        steps.filter_map(|(step, told)| Some((step, told.typical_ms.filter(|ms| *ms > step.policy.timeout_ms)?)));
    let say = |(step, ms): (&Step, u64)| {
        format!("{} takes {}, and is stopped after {}", step.id, duration(ms), duration(step.policy.timeout_ms))
    };
    reached.map(say).collect()
}

/// The steps in a table; of many, those that stand for most of the time.
fn steps(plan: &Plan, found: &Forecast) -> String {
    let mut listed: Vec<&StepForecast> = found.steps.iter().collect();
    if listed.len() > STEPS_MAX {
        listed.sort_by(|a, b| b.share.total_cmp(&a.share));
        listed.truncate(STEPS_MAX);
    }
    let longest = listed.iter().map(|step| step.step.as_str().chars().count()).max().unwrap_or(0);
    let width = longest.clamp(4, 32) + 2;
    let mut text =
        format!("\n  {:<width$}{:<12}{:<12}{:<12}{}\n", "step", "usually", "critical", "of the time", "known from");
    for step in &listed {
        let usually = step.typical_ms.map_or_else(|| "?".to_owned(), duration);
        let name = step.step.as_str();
        let (critical, part) = (share(step.criticality), share(step.share));
        text.push_str(&format!("  {name:<width$}{usually:<12}{critical:<12}{part:<12}{}\n", known_from(&step.basis)));
    }
    let more = plan.steps.len() - listed.len();
    if more > 0 {
        text.push_str(&format!("  and {more} more, which stand for less of the time\n"));
    }
    text
}

fn known_from(basis: &Basis) -> String {
    let attempts = |count: usize| if count == 1 { "1 attempt".to_owned() } else { format!("{count} attempts") };
    match basis {
        Basis::Told => "what you gave".to_owned(),
        Basis::Rate => "the data and its rate".to_owned(),
        Basis::History { attempts: count } => attempts(*count),
        Basis::PerByte { attempts: count } => format!("{}, scaled to the data", attempts(*count)),
        Basis::Declared => "its estimate".to_owned(),
        Basis::Timer => "a timer".to_owned(),
        Basis::Unknown => "nothing".to_owned(),
        Basis::Complete => "it is complete".to_owned(),
    }
}

fn names(steps: &[StepId]) -> String {
    let shown: Vec<&str> = steps.iter().take(6).map(StepId::as_str).collect();
    let more = steps.len() - shown.len();
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}

/// What it rests on that nobody has measured, and what to type where that helps.
fn notes(plan: &Plan, found: &Forecast) -> String {
    let mut text = String::new();
    for note in &found.notes {
        let line = match note {
            Note::TimesUnknown { steps } => {
                let people = |id: &&StepId| plan.step(id).is_some_and(|step| step.kind == StepKind::Approve);
                let example = steps.iter().find(people).or(steps.first());
                let how = example.map_or_else(String::new, |id| format!("; say it with --takes {id}=5m"));
                format!("nothing is known of the time of {}: it counts as none{how}", names(steps))
            }
            Note::SpreadAssumed { steps } => {
                format!("estimates are taken to vary: one in twenty takes twice as long ({})", names(steps))
            }
            Note::FailuresUnknown { steps } => {
                format!("nobody has counted failures of {}: they do not fail", names(steps))
            }
            Note::ConditionsAssumed { steps } => format!("{} are taken to be needed", names(steps)),
            Note::LocksAssumed => "the locks are taken to be free".to_owned(),
            Note::NeedsPerson { .. } => "it waits for a person; counted from now".to_owned(),
        };
        text.push_str(&format!("{}  - {line}\n", if text.is_empty() { "\n" } else { "" }));
    }
    text
}
