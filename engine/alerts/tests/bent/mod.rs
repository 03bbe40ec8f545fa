//! What real servers sent, bent: something left out, doubled, swapped, too long, too deep, of another type. Bytes at random hardly ever get
//! past the first bracket of a reader; this gets everywhere. Used by the tests and by the fuzz target `hooks`, so both look at the same.

#![allow(dead_code, reason = "each user has a part of it")]

use lifeboat_alerts::kernel::{Fact, State, Trigger, decide};
use lifeboat_alerts::{Batch, Kind, Mapping, Parsed, Source, limits};
use serde_json::{Value, json};

/// What each kind of source sends. Lists are of bodies.
const SENT: [(Kind, &str); 16] = [
    (Kind::Alertmanager, include_str!("../payloads/am-firing-single.json")),
    (Kind::Alertmanager, include_str!("../payloads/am-firing-grouped.json")),
    (Kind::Alertmanager, include_str!("../payloads/am-mixed-one-resolved-one-firing.json")),
    (Kind::Alertmanager, include_str!("../payloads/am-resolved.json")),
    (Kind::Alertmanager, include_str!("../payloads/am-truncated-max_alerts.json")),
    (Kind::Grafana, include_str!("../from-documentation/grafana-firing.json")),
    (Kind::Zabbix, include_str!("../payloads/zabbix-webhook-problem.json")),
    (Kind::Zabbix, include_str!("../payloads/zabbix-webhook-resolved.json")),
    (Kind::Nagios, include_str!("../payloads/nagios-curl-webhook-bodies.json")),
    (Kind::Icinga, include_str!("../payloads/icinga2-curl-webhook-bodies.json")),
    (Kind::Pagerduty, include_str!("../from-documentation/pagerduty-triggered.json")),
    (Kind::Pagerduty, include_str!("../from-documentation/pagerduty-resolved.json")),
    (Kind::Opsgenie, include_str!("../from-documentation/opsgenie-create.json")),
    (Kind::Opsgenie, include_str!("../from-documentation/opsgenie-close.json")),
    (Kind::Generic, GENERIC),
    (Kind::Generic, "{\"s\":\"0\",\"g\":\"a\"}"),
];

const GENERIC: &str =
    "{\"s\":\"1\",\"g\":\"a\",\"t\":\"2026-11-20T09:25:30Z\",\"l\":[\"a:b\",\"c\"],\"n\":{\"m\":[1,2]}}";

/// The body of that number: its kind, and what was sent.
pub fn sent(number: usize) -> (Kind, Value) {
    let (kind, text) = SENT[number % SENT.len()];
    let value: Value = serde_json::from_str(text).unwrap();
    match value {
        Value::Array(bodies) if matches!(kind, Kind::Nagios | Kind::Icinga) => {
            (kind, bodies[number / SENT.len() % bodies.len()].clone())
        }
        value => (kind, value),
    }
}

/// What a part may become.
fn other(what: u8, of: &Value) -> Value {
    let deep = |depth: usize| (0..depth).fold(Value::Null, |value, _| json!([value]));
    match what % 18 {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(-1),
        3 => json!(1e300),
        4 => json!(""),
        5 => json!("x".repeat(limits::TEXT_BYTES_MAX + 1)),
        6 => json!([]),
        7 => json!({}),
        8 => deep(limits::BODY_DEPTH_MAX + 1),
        9 => deep(3),
        10 => json!([of, of, of]),
        11 => Value::Array(vec![of.clone(); limits::ALERTS_PER_BODY_MAX + 1]),
        12 => json!("a\u{0}b\u{1b}[31m\u{202e}\u{10ffff}"),
        13 => json!("0001-01-01T00:00:00Z"),
        14 => json!("9999-12-31T23:59:59.999999999+14:00"),
        15 => json!("18446744073709551616"),
        16 => (0..=limits::LABELS_PER_ALERT_MAX).map(|label| (label.to_string(), of.clone())).collect::<Value>(),
        _ => json!(of.to_string()),
    }
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(all) => all.iter().map(count).sum(),
        Value::Object(all) => all.values().map(count).sum(),
        _ => 0,
    }
}

/// The part of that number, counted through the whole.
fn part(value: &mut Value, number: usize) -> Option<&mut Value> {
    if number == 0 {
        return Some(value);
    }
    let mut left = number - 1;
    let parts: Box<dyn Iterator<Item = &mut Value>> = match value {
        Value::Array(all) => Box::new(all.iter_mut()),
        Value::Object(all) => Box::new(all.values_mut()),
        _ => return None,
    };
    for one in parts {
        let size = count(one);
        if left < size {
            return part(one, left);
        }
        left -= size;
    }
    None
}

/// Bends a body: three bytes say which part becomes what.
pub fn bend(value: &mut Value, bytes: &[u8]) {
    for edit in bytes.chunks_exact(3).take(4) {
        let number = (usize::from(edit[0]) << 8 | usize::from(edit[1])) % count(value);
        let Some(found) = part(value, number) else { continue };
        // Every eighth is left out with all its neighbours of one letter, the others become something else.
        match (edit[2] >= 224, &mut *found) {
            (true, Value::Object(all)) => {
                let name = all.keys().nth(usize::from(edit[2]) % all.len().max(1)).cloned();
                name.map(|name| all.remove(&name));
            }
            (true, Value::Array(all)) => {
                all.pop();
            }
            _ => *found = other(edit[2], found),
        }
    }
}

fn mapping() -> Mapping {
    let text = str::to_owned;
    Mapping {
        status: text("/s"),
        firing: vec![text("1")],
        resolved: vec![text("0")],
        group: vec![text("/g")],
        since: Some(text("/t")),
        tags: Some(text("/l")),
        labels: [(text("deep"), text("/n/m/0"))].into(),
        ..Mapping::default()
    }
}

/// A source of that kind, with a mapping where it needs one.
pub fn source(kind: Kind) -> Source {
    Source { name: kind.as_str().to_owned(), kind, mapping: (kind == Kind::Generic).then(mapping) }
}

/// Reads a body as every kind there is, and decides on it. What must hold of whatever was read is asserted.
pub fn look(bytes: &[u8]) {
    for kind in Kind::ALL {
        let read = source(kind).read(bytes);
        assert_eq!(read, source(kind).read(bytes), "the same bytes are read in the same way");
        match read {
            Ok(Parsed::Batch(batch)) => held(kind, &batch),
            Ok(Parsed::NoNews(why)) => assert!(!why.is_empty()),
            Err(refused) => assert!(refused.code.starts_with("LB10") && !refused.message.is_empty()),
        }
    }
}

fn held(kind: Kind, batch: &Batch) {
    assert!(batch.alerts.len() <= limits::ALERTS_PER_BODY_MAX, "{kind:?}");
    assert!(batch.group.len() <= limits::TEXT_BYTES_MAX);
    for alert in &batch.alerts {
        assert!(alert.fingerprint.len() <= limits::TEXT_BYTES_MAX);
        assert!(alert.labels.len() <= limits::LABELS_PER_ALERT_MAX);
        assert!(alert.labels.iter().all(|(name, value)| {
            name.len() <= limits::LABEL_NAME_BYTES_MAX && value.len() <= limits::TEXT_BYTES_MAX
        }));
    }
    let trigger = Trigger { runbook: "r".to_owned(), sources: vec![kind.as_str().to_owned()], ..Trigger::default() };
    let mut state = State::default();
    for now_ms in [1, 1_795_226_730_000] {
        let outcome = decide(&state, std::slice::from_ref(&trigger), &Fact::Alerts(batch.clone()), now_ms);
        assert!(!outcome.verdicts.is_empty(), "every message has its reason");
        outcome.events.iter().for_each(|event| state.apply(event));
        assert!(state.open() <= 1, "one group is one incident");
    }
}
