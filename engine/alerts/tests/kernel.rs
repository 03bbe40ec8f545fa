//! The safety kernel, one promise after the other, by messages as they come.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use common::{NOW, World, alert, batch, resolved, trigger};
use lifeboat_alerts::kernel::{Agree, Budget, Decision, Fact, IncidentId, Phase, Trigger, Word};
use lifeboat_alerts::{Kind, Matchers, Parsed, Source};

const MINUTE: u64 = 60_000;

#[test]
fn one_run_an_incident() {
    let mut world = World::new(vec![trigger()]);
    assert_eq!(world.words(&batch(&[alert("a", true, 10)])), [Word::Opened, Word::Started]);
    let [Decision::Start { key, runbook, mode, labels, stop_before_no_return, .. }] = &world.last[..] else {
        panic!("{:?}", world.last)
    };
    assert_eq!((runbook.as_str(), mode.as_str(), *stop_before_no_return), ("orders", "failover", true));
    assert_eq!((labels["severity"].as_str(), key.as_str()), ("critical", "alert/0/orders am:{}:{alertname=\"Down\"}"));
    world.work();
    // Repeats, one more alert, and one of them resolved: facts for the run.
    assert_eq!(world.words(&batch(&[alert("a", true, 10)])), [Word::Repeated]);
    assert_eq!(world.words(&batch(&[alert("a", true, 10), alert("b", true, 20)])), [Word::Attached]);
    assert!(matches!(&world.last[..], [Decision::Attach { run, alerts, .. }] if run == "r-0" && alerts.len() == 1));
    assert_eq!(world.words(&batch(&[alert("a", false, 10), alert("b", true, 20)])), [Word::Attached]);
    // The run succeeds while it still fires: that is no reason for another one.
    world.ended("succeeded");
    world.now += 5 * 3_600_000;
    assert_eq!(world.words(&batch(&[alert("b", true, 20)])), [Word::Repeated]);
    assert_eq!(world.words(&batch(&[alert("b", false, 20)])), [Word::Attached, Word::Closed]);
    // What comes late of it starts nothing; what fires anew does.
    assert_eq!(world.words(&batch(&[alert("a", true, 10), alert("b", true, 20)])), [Word::Stale]);
    assert_eq!(world.runs.len(), 1);
    assert_eq!(world.words(&batch(&[alert("a", true, 99)])), [Word::Opened, Word::Started]);
    world.work();
    assert_eq!(world.runs.len(), 2);
}

#[test]
fn what_is_of_no_trigger_is_said() {
    let mut world = World::new(vec![trigger()]);
    let mut other = alert("a", true, 10);
    other.labels.insert("severity".to_owned(), "warning".to_owned());
    assert_eq!(world.words(&batch(&[other])), [Word::Unmatched]);
    let verdict = &world.verdicts[0];
    assert_eq!((verdict.code, verdict.reason.as_str()), (Some("LB1020"), "no runbook has a trigger for this alert"));
    let mut strange = batch(&[alert("a", true, 10)]);
    strange.source = "grafana".to_owned();
    assert_eq!(world.words(&strange), [Word::Unmatched]);
    assert!(world.events.is_empty());
}

#[test]
fn it_has_to_last() {
    let mut world = World::new(vec![Trigger { hold_ms: 2 * MINUTE, ..trigger() }]);
    assert_eq!(world.words(&batch(&[alert("a", true, 10)])), [Word::Opened, Word::Held]);
    assert_eq!(world.verdicts[1].reason, "it has to last 120 s more");
    world.now += 2 * MINUTE - 1;
    assert_eq!(world.tick(), []);
    assert_eq!(world.words(&resolved(&[alert("a", false, 10)], 50)), [Word::Attached, Word::Closed]);
    world.now += MINUTE;
    assert_eq!(world.tick(), []);
    // Again: it begins from the start.
    assert_eq!(world.words(&batch(&[alert("a", true, 60)])), [Word::Opened, Word::Held]);
    world.now += 2 * MINUTE;
    assert_eq!(world.tick(), [Word::Started]);
    assert_eq!(world.tick(), []);
}

#[test]
fn probes_have_to_agree() {
    let agree =
        Agree { label: Some("probe".to_owned()), of: ["eu", "us", "ap"].map(str::to_owned).to_vec(), ..Agree::new(2) };
    let group = vec!["service".to_owned()];
    let mut world = World::new(vec![Trigger { agree: Some(agree), group, ..trigger() }]);
    let from = |probe: &str, firing, since| {
        let mut alert = alert(probe, firing, since);
        alert.labels.extend([("probe".to_owned(), probe.to_owned()), ("service".to_owned(), "orders".to_owned())]);
        batch(&[alert])
    };
    assert_eq!(world.words(&from("eu", true, 10)), [Word::Opened, Word::Disagreed]);
    assert_eq!(world.verdicts[1].reason, "1 of 2 probes agree");
    // The same again is no second word, and a stranger has none.
    assert_eq!(world.words(&from("eu", true, 12)), [Word::Attached, Word::Disagreed]);
    assert_eq!(world.words(&from("moon", true, 12)), [Word::Attached, Word::Disagreed]);
    // The word of eu is too old when that of us comes.
    world.now += 61 * MINUTE;
    assert_eq!(world.words(&from("us", true, 99)), [Word::Attached, Word::Disagreed]);
    let id = world.incident().id.clone();
    assert_eq!(world.fact(Fact::Probe { incident: id.clone(), name: "ap".to_owned(), down: false }), [Word::Disagreed]);
    assert_eq!(world.fact(Fact::Probe { incident: id, name: "ap".to_owned(), down: true }), [Word::Started]);
}

#[test]
fn flapping_spends_a_budget_and_then_calls_a_person() {
    let budget = Budget { starts: 2, window_ms: 60 * MINUTE };
    let mut world = World::new(vec![Trigger { budget, ..trigger() }]);
    for round in 0..3_u64 {
        world.now += MINUTE;
        let words = world.words(&batch(&[alert("a", true, 10 * round)]));
        world.work();
        if round < 2 {
            assert_eq!(words, [Word::Opened, Word::Started]);
            assert_eq!(
                world.words(&resolved(&[alert("a", false, 10 * round)], 10 * round + 5)),
                [Word::Attached, Word::Aborted]
            );
            world.ended("cancelled");
        } else {
            assert_eq!(words, [Word::Opened, Word::Spent]);
        }
    }
    assert_eq!((world.runs.len(), world.pages.len()), (2, 1));
    assert!(world.pages[0].contains("has had 2 automatic runs within 60 min"), "{:?}", world.pages);
    // It stays so for this incident, and another budget is not touched.
    world.now += 61 * MINUTE;
    assert_eq!(world.words(&batch(&[alert("a", true, 20)])), [Word::Repeated]);
    assert_eq!(world.words(&resolved(&[alert("a", false, 20)], 25)), [Word::Attached, Word::Closed]);
    assert_eq!(world.words(&batch(&[alert("a", true, 30)])), [Word::Opened, Word::Started]);
}

#[test]
fn resolved_in_time_aborts_and_later_is_noted() {
    let mut world = World::new(vec![trigger()]);
    world.words(&batch(&[alert("a", true, 10)]));
    // It is resolved before the run is known to be there.
    assert_eq!(world.words(&resolved(&[alert("a", false, 10)], 20)), [Word::Attached, Word::Resolved]);
    world.work();
    assert_eq!(world.aborted, ["r-0"]);
    assert_eq!(world.incident().resolved_ms, Some(world.now));
    // It fires again during the abort: the next incident, when the run has ended.
    assert_eq!(world.words(&batch(&[alert("a", true, 30)])), [Word::Attached]);
    assert_eq!(world.runs.len(), 1);
    assert_eq!(world.ended("cancelled"), [Word::Closed, Word::Opened, Word::Started]);
    world.work();
    assert_eq!(world.runs.len(), 2);
    // This one gets past its point of no return.
    let incident = world.incident().id.clone();
    assert_eq!(world.fact(Fact::NoReturn { incident }), []);
    assert_eq!(world.words(&resolved(&[alert("a", false, 30)], 40)), [Word::Attached, Word::Resolved]);
    assert_eq!(world.aborted.len(), 1);
    // What fires until it has ended is of the same incident.
    assert_eq!(world.words(&batch(&[alert("a", true, 50)])), [Word::Attached]);
    assert_eq!(world.ended("succeeded"), []);
    assert_eq!(world.words(&resolved(&[alert("a", false, 50)], 60)), [Word::Attached, Word::Closed]);
    assert_eq!(world.runs.len(), 2);
}

#[test]
fn an_abort_that_comes_too_late_is_none() {
    let mut world = World::new(vec![trigger()]);
    world.words(&batch(&[alert("a", true, 10)]));
    world.work();
    assert_eq!(world.words(&resolved(&[alert("a", false, 10)], 20)), [Word::Attached, Word::Aborted]);
    let incident = world.incident().id.clone();
    assert_eq!(world.fact(Fact::NoReturn { incident }), [Word::Resolved]);
    assert!(world.state.pending().is_empty(), "its run goes on");
    // What fires meanwhile is of the same incident.
    assert_eq!(world.words(&batch(&[alert("a", true, 30)])), [Word::Attached]);
    assert_eq!(world.words(&resolved(&[alert("a", false, 30)], 40)), [Word::Attached, Word::Resolved]);
    assert_eq!(world.ended("succeeded"), [Word::Closed]);
    assert_eq!(world.runs.len(), 1);
}

#[test]
fn past_the_point_of_no_return_only_if_both_allow_it() {
    for (runbook, operator, stops) in
        [(false, false, true), (true, false, true), (false, true, true), (true, true, false)]
    {
        let mut world = World::new(vec![Trigger {
            runbook_past_no_return: runbook,
            operator_past_no_return: operator,
            ..trigger()
        }]);
        world.words(&batch(&[alert("a", true, 10)]));
        assert!(
            matches!(world.last[0], Decision::Start { stop_before_no_return, .. } if stop_before_no_return == stops)
        );
    }
}

#[test]
fn a_group_that_was_cut_short_is_resolved_by_its_source() {
    let mut world = World::new(vec![trigger()]);
    world.words(&batch(&[alert("a", true, 10), alert("b", true, 11)]));
    world.work();
    // An old message of that kind says nothing of what began later.
    let old = resolved(&[alert("a", false, 5)], 9);
    assert_eq!(world.words(&old), [Word::Stale]);
    let mut last = resolved(&[alert("a", false, 10)], 30);
    last.truncated = 1;
    assert_eq!(world.words(&last), [Word::Attached, Word::Aborted]);
}

#[test]
fn more_alerts_than_are_told_apart() {
    let mut world = World::new(vec![trigger()]);
    let many: Vec<_> = (0..500).map(|n| alert(&format!("f{n}"), true, 10)).collect();
    world.words(&batch(&many));
    assert_eq!((world.incident().alerts.len(), world.incident().more_ms), (128, Some(NOW + 10)));
    world.work();
    // All that are told apart are resolved, and others are not.
    let told: Vec<_> = world.incident().alerts.keys().map(|name| alert(&name[3..], false, 10)).collect();
    assert_eq!(world.words(&batch(&told)), [Word::Attached]);
    assert!(world.incident().firing());
    assert_eq!(world.words(&resolved(&told[..1], 99)), [Word::Repeated, Word::Aborted]);
}

#[test]
fn what_is_over_before_it_is_known_starts_nothing() {
    let mut world = World::new(vec![trigger()]);
    assert_eq!(world.words(&resolved(&[alert("a", false, 10)], 20)), [Word::Resolved]);
    assert_eq!(world.words(&batch(&[alert("a", true, 10)])), [Word::Stale]);
    assert_eq!(world.runs.len(), 0);
    assert_eq!(world.words(&batch(&[alert("b", true, 15)])), [Word::Opened, Word::Started]);
}

#[test]
fn a_run_that_cannot_be_made_calls_a_person() {
    let mut world = World::new(vec![trigger()]);
    world.words(&batch(&[alert("a", true, 10)]));
    let incident = world.incident().id.clone();
    let words =
        world.fact(Fact::RunRefused { incident: incident.clone(), reason: "the runbook has mistakes".to_owned() });
    assert_eq!(words, [Word::Failed]);
    assert_eq!(world.state.pending().len(), 1);
    assert_eq!(world.fact(Fact::Told { incident: incident.clone() }), []);
    assert_eq!(world.state.pending(), []);
    assert_eq!(world.words(&batch(&[alert("a", true, 10)])), [Word::Repeated]);
    assert_eq!(
        world.fact(Fact::Close { incident, by: "ada".to_owned(), why: "done by hand".to_owned() }),
        [Word::Closed]
    );
    assert_eq!(world.words(&batch(&[alert("a", true, 10)])), [Word::Stale]);
}

#[test]
fn facts_that_do_not_fit_are_refused() {
    let mut world = World::new(vec![trigger()]);
    world.words(&batch(&[alert("a", true, 10)]));
    world.work();
    let incident = world.incident().id.clone();
    let other = IncidentId { serial: 7, ..incident.clone() };
    for fact in [
        Fact::RunStarted { incident: incident.clone(), run: "r-9".to_owned() },
        Fact::RunStarted { incident: other.clone(), run: "r-9".to_owned() },
        Fact::RunEnded { incident: other, outcome: "failed".to_owned() },
        Fact::Close { incident: incident.clone(), by: "ada".to_owned(), why: String::new() },
        Fact::Told { incident },
    ] {
        assert_eq!(world.fact(fact.clone()), [Word::Misplaced], "{fact:?}");
    }
    assert!(matches!(&world.incident().phase, Phase::Running { run, .. } if run == "r-0"));
}

#[test]
fn one_incident_of_several_sources_by_their_labels() {
    let group = vec!["region".to_owned()];
    let sources = vec!["am".to_owned(), "zabbix".to_owned()];
    let agree = Some(Agree::new(2));
    let mut world = World::new(vec![Trigger { group, sources, agree, ..trigger() }]);
    let mut first = alert("a", true, 10);
    first.labels.insert("region".to_owned(), "eu".to_owned());
    let mut second = batch(&[first.clone()]);
    second.source = "zabbix".to_owned();
    second.group = "other".to_owned();
    assert_eq!(world.words(&batch(&[first])), [Word::Opened, Word::Disagreed]);
    assert_eq!(world.words(&second), [Word::Attached, Word::Started]);
    assert_eq!(world.incident().id.key, "orders region=eu");
}

#[test]
fn without_a_time_the_order_of_coming_counts() {
    let mut world = World::new(vec![trigger()]);
    let bare = |firing| {
        let mut alert = alert("a", firing, 0);
        alert.since_ms = None;
        batch(&[alert])
    };
    assert_eq!(world.words(&bare(true)), [Word::Opened, Word::Started]);
    world.work();
    assert_eq!(world.words(&bare(true)), [Word::Repeated]);
    assert_eq!(world.words(&bare(false)), [Word::Attached, Word::Aborted]);
    assert_eq!(world.words(&bare(false)), [Word::Repeated]);
    world.ended("cancelled");
    world.now += 1;
    assert_eq!(world.words(&bare(true)), [Word::Opened, Word::Started]);
}

#[test]
fn what_nobody_speaks_of_any_more_is_closed() {
    let mut world = World::new(vec![trigger()]);
    world.words(&batch(&[alert("a", true, 10)]));
    world.work();
    world.ended("failed");
    world.now += 8 * 24 * 60 * MINUTE;
    assert_eq!(world.tick(), [Word::Closed]);
}

#[test]
fn state_is_bounded_and_says_so() {
    let mut world = World::new(vec![Trigger { hold_ms: MINUTE, ..trigger() }]);
    let of = |n: u64, firing| {
        let mut batch = batch(&[alert("a", firing, n + 1)]);
        batch.group = format!("g{n}");
        batch
    };
    for n in 0..1_000 {
        assert_eq!(world.words(&of(n, true)), [Word::Opened, Word::Held]);
    }
    assert_eq!(world.words(&of(1_000, true)), [Word::Full]);
    assert_eq!(world.verdicts[0].code, Some("LB1026"));
    for n in 0..1_000 {
        assert_eq!(world.words(&of(n, false)), [Word::Attached, Word::Closed]);
    }
    for n in 1_000..4_500 {
        world.now += 1;
        world.words(&of(n, true));
        world.words(&of(n, false));
    }
    assert_eq!((world.state.incidents().count(), world.state.open()), (4_000, 0));
    // What was forgotten is not taken for new.
    assert_eq!(world.words(&of(3, true)), [Word::Forgotten]);
    assert_eq!(world.words(&of(4_400, true)), [Word::Stale]);
    assert_eq!(world.words(&of(9_000, true)), [Word::Opened, Word::Held]);
}

#[test]
fn what_alertmanager_really_sent_starts_one_run() {
    let matchers = Matchers::parse(r#"severity="critical", runbook="failover-primary""#).unwrap();
    let mut world = World::new(vec![Trigger { matchers, ..trigger() }]);
    let source = Source { name: "am".to_owned(), kind: Kind::Alertmanager, mapping: None };
    let mut words = Vec::new();
    for name in [
        "am-firing-single",
        "am-firing-single",
        "am-firing-grouped",
        "am-mixed-one-resolved-one-firing",
        "am-resolved",
        "am-firing-grouped",
    ] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/payloads/{name}.json"));
        let Ok(Parsed::Batch(batch)) = source.read(&std::fs::read(path).unwrap()) else { panic!("{name}") };
        words.push(world.words(&batch));
        world.work();
    }
    let expected: [&[Word]; 6] = [
        &[Word::Opened, Word::Started],
        &[Word::Repeated],
        &[Word::Attached],
        &[Word::Attached],
        &[Word::Attached, Word::Aborted],
        &[Word::Stale],
    ];
    assert_eq!(words, expected);
    assert_eq!((world.runs.len(), world.aborted.len()), (1, 1));
    assert!(world.incident().id.key.contains("RegionDown"));
}
