//! A saved plan is read as it was written, or not at all.

use std::collections::BTreeMap;

use lifeboat_core::Digest;
use lifeboat_core::plugin::{Description, Known};
use lifeboat_review::{Saved, check_plugins};
use proptest::prelude::*;
use serde_json::json;

use crate::{at, recovery};

fn saved() -> Saved {
    Saved::new(recovery(), "runbook \"orders-loss\" {}\n".to_owned(), vec!["schedule a".to_owned()])
}

fn code(text: &str) -> String {
    Saved::read(text).unwrap_err().code.0.into_owned()
}

#[test]
fn what_was_saved_is_read_back() {
    let saved = saved();
    let text = saved.to_text();
    assert!(Saved::looks_like_one(&text) && !Saved::looks_like_one("runbook \"a\" {}"));
    assert_eq!(Saved::read(&text).unwrap(), saved);
    assert_eq!(saved.fingerprint, recovery().fingerprint());
    assert!(saved.is(&saved.fingerprint.0).is_ok());
    assert_eq!(saved.is("blake3:00").unwrap_err().code.0, "LB1191");
}

#[test]
fn a_change_is_noticed_wherever_it_is() {
    let text = saved().to_text();
    for (from, to) in [
        ("/srv/standby", "/srv/elsewhere"),
        ("\"quorum\": 2", "\"quorum\": 1"),
        ("runbook \\\"orders-loss\\\"", "runbook \\\"orders-lost\\\""),
        ("schedule a", "schedule b"),
    ] {
        assert!(text.contains(from), "{from} is not in {text}");
        assert_eq!(code(&text.replacen(from, to, 1)), "LB1191", "{from}");
    }
    // The fingerprint made anew is another one: a person who names the approved one is safe.
    let mut other = recovery();
    at(&mut other, "cutover").after.clear();
    let forged = Saved::new(other, saved().text, saved().triggers);
    assert!(Saved::read(&forged.to_text()).is_ok());
    assert_eq!(forged.is(&saved().fingerprint.0).unwrap_err().code.0, "LB1191");
}

#[test]
fn other_files_are_no_plans() {
    for text in ["", "{}", "[1]", "{\"lifeboat-plan\": \"1\"}", "runbook \"a\" {}"] {
        assert_eq!(code(text), "LB1190", "{text}");
    }
    let later = saved().to_text().replacen("\"lifeboat-plan\": 1", "\"lifeboat-plan\": 2", 1);
    let error = Saved::read(&later).unwrap_err();
    assert!(error.code.0 == "LB1190" && error.message.contains("later form 2"), "{error}");
    let mut newer = recovery();
    newer.format = 99;
    assert_eq!(code(&Saved::new(newer, String::new(), Vec::new()).to_text()), "LB1190");
}

#[test]
fn plugins_have_to_be_the_same() {
    let known = |bytes: &[u8]| {
        let description = json!({ "name": "fs", "version": "0.2.0", "summary": "", "settings": {}, "kinds": [] });
        let description: Description = serde_json::from_value(description).unwrap();
        BTreeMap::from([("fs".to_owned(), Known { description, digest: Digest::of(bytes) })])
    };
    assert!(check_plugins(&recovery(), &known(b"fs")).is_ok());
    let error = check_plugins(&recovery(), &known(b"other")).unwrap_err();
    assert_eq!(error.code.0, "LB1192");
    assert!(error.to_string().contains("fs: 0.1.0 (") && error.to_string().contains("0.2.0"), "{error}");
    let error = check_plugins(&recovery(), &BTreeMap::new()).unwrap_err();
    assert!(error.to_string().contains("there is none"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// One byte that is different is one too many, wherever it is.
    #[test]
    fn every_byte_counts(place in 0..10_000_usize, byte in any::<u8>()) {
        let text = saved().to_text();
        let mut bytes = text.clone().into_bytes();
        let place = place % bytes.len();
        prop_assume!(bytes[place] != byte);
        bytes[place] = byte;
        if let Ok(changed) = String::from_utf8(bytes) {
            prop_assert!(Saved::read(&changed).is_err(), "byte {place} as {byte} is not noticed");
        }
    }

    #[test]
    fn nothing_makes_it_panic(text in ".{0,200}") {
        let _ = Saved::read(&text);
    }
}
