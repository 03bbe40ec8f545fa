//! What starts a run by itself: read, kept beside the plan, and no part of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeMap;

use common::{catalog, rendered, source};
use lifeboat_core::plan::Mode;
use lifeboat_runbook::{AlertDef, ScheduleDef, Trigger, check, compile, format};
use lifeboat_schedule::{Missed, Overlap};

const TEXT: &str = include_str!("valid/triggers.kdl");

fn triggers(text: &str) -> (Vec<ScheduleDef>, Vec<AlertDef>) {
    let file = source("x.kdl", text);
    let (runbook, found) = check(&file, &catalog());
    assert!(found.is_empty(), "{}", rendered(text, &found));
    let (mut schedules, mut alerts) = (Vec::new(), Vec::new());
    for trigger in runbook.unwrap().triggers {
        match trigger {
            Trigger::Schedule(schedule) => schedules.push(schedule),
            Trigger::Alert(alert) => alerts.push(alert),
        }
    }
    (schedules, alerts)
}

#[test]
fn schedules_say_when() {
    let (schedules, _) = triggers(TEXT);
    let names: Vec<_> = schedules.iter().map(|schedule| (schedule.name.text.as_str(), schedule.mode)).collect();
    assert_eq!(names, [("schedule", Mode::Drill), ("nightly", Mode::Failover)]);
    let spec = &schedules[1].spec;
    assert_eq!((spec.overlap, spec.missed, spec.jitter_ms), (Overlap::Queue, Missed::RunOnce, 300_000));
    let rule = schedules[1].rule("orders").unwrap();
    assert_eq!(rule.name(), "orders/nightly");
    // 2026-12-18, a Friday.
    let next = rule.next(1_797_552_000_000, 4);
    let blackouts: Vec<_> = next.iter().map(|at| at.blackout.as_deref()).collect();
    assert_eq!(blackouts, [None, Some("Sat,Sun"), Some("year-end freeze"), Some("year-end freeze")]);
    assert!(next[0].local.starts_with("2026-12-18T01:3"), "{}", next[0].local);
    assert_eq!(schedules[0].rule("orders").unwrap().next(1_797_552_000_000, 1)[0].local, "2026-12-20T03:00:00+01:00");
}

#[test]
fn alerts_say_which() {
    let (_, alerts) = triggers(TEXT);
    let plain = alerts[0].trigger("orders", true);
    assert_eq!(
        (plain.mode.as_str(), plain.hold_ms, plain.sources),
        ("failover", 120_000, vec!["alertmanager".to_owned()])
    );
    assert_eq!((plain.budget.starts, plain.agree.is_some(), plain.runbook_past_no_return), (3, false, false));
    let full = alerts[1].trigger("orders", false);
    assert_eq!(full.matchers.to_string(), r#"{severity="critical", region=~"eu-.*", team="sre"}"#);
    assert_eq!((full.sources.len(), full.group.len(), full.budget.window_ms), (2, 2, 21_600_000));
    let agree = full.agree.unwrap();
    assert_eq!((agree.count, agree.of.len(), agree.label.as_deref(), agree.within_ms), (2, 3, Some("probe"), 900_000));
    assert!(full.runbook_past_no_return && !full.operator_past_no_return);
}

#[test]
fn the_fingerprint_does_not_depend_on_what_starts_a_run() {
    let fingerprint = |text: &str| {
        let compiled = compile(&source("x.kdl", text), &catalog(), Mode::Failover, &BTreeMap::new());
        compiled.map(|(plan, _)| plan.fingerprint()).map_err(|found| rendered(text, &found)).unwrap()
    };
    let lines: Vec<&str> = TEXT.lines().collect();
    let without = |range: std::ops::Range<usize>| {
        let kept = lines.iter().enumerate().filter(|(at, _)| !range.contains(at)).map(|(_, line)| *line);
        kept.collect::<Vec<_>>().join("\n") + "\n"
    };
    let first = lines.iter().position(|line| line.contains("on \"schedule\"")).unwrap();
    let last = lines.iter().rposition(|line| *line == "    }").unwrap();
    let whole = fingerprint(TEXT);
    // The line of a step is a part of the plan: what stands behind the steps may come and go.
    let bare = without(first..last + 1);
    let behind = format!("{}{}\n}}\n", bare.trim_end().trim_end_matches('}'), lines[first..=last].join("\n"));
    assert_eq!(fingerprint(&behind), fingerprint(&bare));
    assert_eq!(fingerprint(&TEXT.replace("jitter=\"5m\"", "jitter=\"6m\"").replace("0 30 1", "0 45 5")), whole);
    assert_eq!(fingerprint(&TEXT.replace("hold=\"2m\"", "hold=\"3m\"")), whole);
    // On a line with something else, and at the end of a file without a newline.
    let one = "runbook \"o\" { target \"t\" plugin=\"fs\" { root \"/t\" }; validate \"v\" target=\"t\" { expect \"file\" path=\"p\" }; on \"alert\" source=\"a\" { match \"l\" \"v\" }; }";
    assert_eq!(fingerprint(one), fingerprint(&one.replace("\"a\"", "\"grafana\"")));
    // All else is part of it.
    assert_ne!(fingerprint(&TEXT.replace("depth=\"data\"", "depth=\"index\"")), whole);
    assert_ne!(fingerprint(&format!("{TEXT}// more\n")), whole);
}

#[test]
fn they_have_a_canonical_form() {
    let once = format(&source("x.kdl", TEXT)).unwrap();
    assert_eq!(once, TEXT);
    let bent = TEXT.replace("        blackout", "  blackout").replace(" jitter=", "   jitter=");
    assert_eq!(format(&source("x.kdl", &bent)).unwrap(), TEXT);
}
