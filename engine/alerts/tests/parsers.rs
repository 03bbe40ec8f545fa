//! What real servers sent, and what others send by their documentation, read.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

use std::path::Path;

use lifeboat_alerts::{Alert, Batch, Kind, Mapping, Matchers, Parsed, Source};
use proptest::prelude::*;
use serde_json::{Value, json};

fn body(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)).unwrap()
}

fn source(kind: Kind) -> Source {
    Source { name: kind.as_str().to_owned(), kind, mapping: None }
}

fn read(kind: Kind, body: &[u8]) -> Batch {
    match source(kind).read(body) {
        Ok(Parsed::Batch(batch)) => batch,
        other => panic!("{other:?}"),
    }
}

fn items(name: &str) -> Vec<Vec<u8>> {
    let list: Vec<Value> = serde_json::from_slice(&body(name)).unwrap();
    list.iter().map(|item| serde_json::to_vec(item).unwrap()).collect()
}

fn states(batch: &Batch) -> Vec<(&str, bool, Option<u64>)> {
    batch.alerts.iter().map(|alert| (alert.fingerprint.as_str(), alert.firing, alert.since_ms)).collect()
}

#[test]
fn what_alertmanager_sent() {
    let batch = read(Kind::Alertmanager, &body("payloads/am-firing-grouped.json"));
    assert_eq!((batch.source.as_str(), batch.group.as_str()), ("alertmanager", r#"{}:{alertname="RegionDown"}"#));
    let (east, west) = (Some(1_795_226_299_250), Some(1_795_226_306_250));
    assert_eq!(states(&batch), [("5e7711989908e930", true, east), ("3a3213feecb97ada", true, west)]);
    assert_eq!(batch.alerts[0].labels["region"], "east");
    assert_eq!(batch.alerts[1].annotations["summary"], "west is down");
    let mixed = read(Kind::Alertmanager, &body("payloads/am-mixed-one-resolved-one-firing.json"));
    assert_eq!(states(&mixed), [("5e7711989908e930", false, east), ("3a3213feecb97ada", true, west)]);
    assert_eq!(mixed.resolved_ms, None);
    let resolved = read(Kind::Alertmanager, &body("payloads/am-resolved.json"));
    assert_eq!(
        (states(&resolved), resolved.resolved_ms),
        (vec![("3a3213feecb97ada", false, west)], Some(1_795_226_320_250))
    );
    assert_eq!(read(Kind::Alertmanager, &body("payloads/am-truncated-max_alerts.json")).truncated, 1);
    for name in ["am-firing-single", "am-firing-warning-lag", "am-api-posted-alerts-with-silence"] {
        assert!(
            read(Kind::Alertmanager, &body(&format!("payloads/{name}.json"))).alerts.iter().all(|alert| alert.firing)
        );
    }
}

#[test]
fn what_zabbix_sent() {
    let problem = read(Kind::Zabbix, &body("payloads/zabbix-webhook-problem.json"));
    assert_eq!((problem.group.as_str(), states(&problem)), ("db-east/23133", vec![("15", true, Some(0))]));
    let labels = &problem.alerts[0].labels;
    assert_eq!(
        (labels["runbook"].as_str(), labels["region"].as_str(), labels["host"].as_str()),
        ("failover-primary", "east", "db-east")
    );
    assert!(Matchers::parse(r#"severity=critical, zabbix_severity=~"High|Disaster""#).unwrap().matches(labels));
    let resolved = read(Kind::Zabbix, &body("payloads/zabbix-webhook-resolved.json"));
    assert_eq!((resolved.group, resolved.alerts[0].firing), (problem.group, false));
    let mut update: Value = serde_json::from_slice(&body("payloads/zabbix-webhook-problem.json")).unwrap();
    update["event_update_status"] = json!("1");
    let update = source(Kind::Zabbix).read(&serde_json::to_vec(&update).unwrap()).unwrap();
    assert_eq!(update, Parsed::NoNews("/event_update_status is '1'".to_owned()));
}

#[test]
fn what_nagios_and_icinga_sent() {
    let nagios = items("payloads/nagios-curl-webhook-bodies.json");
    assert_eq!(source(Kind::Nagios).read(&nagios[0]), Ok(Parsed::NoNews("/state_type is 'SOFT'".to_owned())));
    let firing: Vec<_> =
        nagios[1..].iter().map(|body| read(Kind::Nagios, body)).map(|batch| batch.alerts[0].firing).collect();
    assert_eq!(firing, [true, true, false, false]);
    let icinga: Vec<_> =
        items("payloads/icinga2-curl-webhook-bodies.json").iter().map(|body| read(Kind::Icinga, body)).collect();
    assert_eq!(states(&icinga[0]), [("db-east/postgres-primary", true, Some(1_795_226_730_000))]);
    assert_eq!(states(&icinga[1]), [("db-east/postgres-primary", false, Some(1_795_226_735_000))]);
    assert_eq!(icinga[0].alerts[0].annotations["summary"], "CRITICAL: region east unreachable");
}

#[test]
fn what_others_send_by_their_documentation() {
    let grafana = read(Kind::Grafana, &body("from-documentation/grafana-firing.json"));
    assert_eq!(states(&grafana), [("c6eadffa33fcdf37", true, Some(1_795_223_400_157))]);
    let duty =
        |name: &str| source(Kind::Pagerduty).read(&body(&format!("from-documentation/pagerduty-{name}.json"))).unwrap();
    let Parsed::Batch(triggered) = duty("triggered") else { panic!() };
    assert_eq!(states(&triggered), [("PEXAMPLE1", true, Some(1_795_226_400_000))]);
    assert_eq!(triggered.alerts[0].labels["priority"], "P1");
    let Parsed::Batch(resolved) = duty("resolved") else { panic!() };
    assert_eq!(states(&resolved), [("PEXAMPLE1", false, Some(1_795_226_970_000))]);
    assert_eq!(duty("acknowledged"), Parsed::NoNews("/event/event_type is 'incident.acknowledged'".to_owned()));
    let genie = read(Kind::Opsgenie, &body("from-documentation/opsgenie-create.json"));
    assert_eq!((genie.group.as_str(), genie.alerts[0].labels["runbook"].as_str()), ("orders-eu-1", "failover-primary"));
    assert!(!read(Kind::Opsgenie, &body("from-documentation/opsgenie-close.json")).alerts[0].firing);
}

#[test]
fn each_form_is_refused_where_another_belongs() {
    let bodies = [
        "payloads/am-resolved.json",
        "payloads/zabbix-webhook-problem.json",
        "from-documentation/opsgenie-create.json",
        "from-documentation/grafana-firing.json",
    ];
    for (kind, own) in [(Kind::Alertmanager, 0), (Kind::Zabbix, 1), (Kind::Opsgenie, 2), (Kind::Grafana, 3)] {
        for (at, name) in bodies.iter().enumerate().filter(|(at, _)| *at != own) {
            match source(kind).read(&body(name)) {
                Err(refused) => assert_eq!(refused.code, "LB1011", "{kind:?} {at}"),
                // What a template leaves out by `only` is not looked at further.
                Ok(parsed) => assert!(matches!(parsed, Parsed::NoNews(_)), "{kind:?} {at}"),
            }
        }
    }
    let message = |edit: &dyn Fn(&mut Value)| {
        let mut message: Value = serde_json::from_slice(&body("payloads/am-resolved.json")).unwrap();
        edit(&mut message);
        source(Kind::Alertmanager)
            .read(&serde_json::to_vec(&message).unwrap())
            .map(|_| ())
            .map_err(|refused| refused.code)
    };
    assert_eq!(message(&|_| ()), Ok(()));
    assert_eq!(message(&|m| m["status"] = json!("maybe")), Err("LB1011"));
    assert_eq!(message(&|m| m["version"] = json!("5")), Err("LB1011"));
    assert_eq!(message(&|m| m["groupKey"] = json!("")), Err("LB1011"));
    assert_eq!(message(&|m| m["groupKey"] = json!("x".repeat(5_000))), Err("LB1012"));
    assert_eq!(message(&|m| m["alerts"][0]["startsAt"] = json!("yesterday")), Err("LB1011"));
    assert_eq!(message(&|m| m["alerts"][0]["labels"]["x"] = json!(5)), Err("LB1011"));
    assert_eq!(message(&|m| m["alerts"] = Value::Array(vec![m["alerts"][0].clone(); 1_001])), Err("LB1012"));
    assert_eq!(
        message(&|m| (0..65).for_each(|n| m["alerts"][0]["labels"][format!("l{n}")] = json!("v"))),
        Err("LB1012")
    );
    // What Alertmanager may leave out, and what later versions may add.
    assert_eq!(message(&|m| m["alerts"][0]["fingerprint"] = json!(null)), Ok(()));
    assert_eq!(message(&|m| m["more"] = json!({"of": ["it"]})), Ok(()));
    assert_eq!(message(&|m| m["alerts"][0]["annotations"]["x"] = json!("ü".repeat(9_000))), Ok(()));
}

fn mapping() -> Mapping {
    let text = |text: &str| text.to_owned();
    Mapping {
        status: text("/s"),
        firing: vec![text("true")],
        resolved: vec![text("false")],
        group: vec![text("/a~1b"), text("/list/0")],
        since: Some(text("/at")),
        labels: [(text("host"), text("/host"))].into(),
        tags: Some(text("/tags")),
        ..Mapping::default()
    }
}

#[test]
fn any_json_is_read_by_pointers() {
    let generic = Source { name: "own".to_owned(), kind: Kind::Generic, mapping: Some(mapping()) };
    let one = |value: Value| generic.read(&serde_json::to_vec(&value).unwrap());
    let alert = |value: Value| -> (String, Alert) {
        let Ok(Parsed::Batch(batch)) = one(value) else { panic!() };
        (batch.group, batch.alerts[0].clone())
    };
    let (group, found) = alert(
        json!({"s": true, "a/b": "x/y", "list": [7], "at": 1_795_226_730, "host": "h", "tags": ["env:dr", "hot"]}),
    );
    assert_eq!(group, "x%2Fy/7");
    assert_eq!((found.firing, found.since_ms), (true, Some(1_795_226_730_000)));
    let labels: Vec<_> = found.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(labels, ["env=dr", "host=h", "hot="]);
    let base = json!({"s": "false", "a/b": "x", "list": ["y"]});
    for tags in [json!({"k": "v"}), json!([{"key": "k", "value": "v"}]), json!("k:v"), json!("{\"k\": \"v\"}")] {
        let mut value = base.clone();
        value["tags"] = tags.clone();
        assert_eq!(alert(value).1.labels["k"], "v", "{tags}");
    }
    assert_eq!(one(json!({"s": "other"})), Ok(Parsed::NoNews("/s is 'other'".to_owned())));
    assert_eq!(one(json!({"s": true})).unwrap_err().message, "the body has no text or number at /a~1b");
    assert_eq!(one(json!({"s": [1]})).unwrap_err().code, "LB1011");
    let none = Source { name: "own".to_owned(), kind: Kind::Generic, mapping: None };
    assert_eq!(none.read(b"{}").unwrap_err().code, "LB1018");
}

#[test]
fn a_mapping_that_cannot_work_is_refused() {
    assert_eq!(mapping().check(), Ok(()));
    for kind in Kind::ALL {
        assert_eq!(kind.template().map_or(Ok(()), |mapping| mapping.check()), Ok(()), "{kind:?}");
        assert_eq!(Kind::parse(kind.as_str()), Some(kind));
    }
    let edits: [&dyn Fn(&mut Mapping); 6] = [
        &|m| m.status.clear(),
        &|m| m.firing.clear(),
        &|m| m.group.clear(),
        &|m| m.status = "s".to_owned(),
        &|m| m.tags = Some("/a~2".to_owned()),
        &|m| m.group = vec!["/x".to_owned(); 65],
    ];
    for edit in edits {
        let mut mapping = mapping();
        edit(&mut mapping);
        assert_eq!(mapping.check().unwrap_err().code, "LB1018");
    }
}

proptest! {
    #[test]
    fn no_body_makes_a_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}\":,a0\\\\]{0,80}") {
        for kind in Kind::ALL {
            let source = Source { name: "s".to_owned(), kind, mapping: (kind == Kind::Generic).then(mapping) };
            let _ = (source.read(&bytes), source.read(text.as_bytes()));
        }
    }
}
