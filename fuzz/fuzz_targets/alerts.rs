//! No body makes a reader panic, whatever its source; what is read is bounded; what is decided on it is what its events make.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lifeboat_alerts::kernel::{Fact, State, Trigger, decide};
use lifeboat_alerts::{Kind, Mapping, Parsed, Scheme, Source, limits, verify};

fn mapping() -> Mapping {
    let text = str::to_owned;
    Mapping {
        status: text("/s"),
        firing: vec![text("1")],
        resolved: vec![text("0")],
        group: vec![text("/g")],
        since: Some(text("/t")),
        tags: Some(text("/l")),
        ..Mapping::default()
    }
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(header) = std::str::from_utf8(bytes) {
        assert!(verify(Scheme::Timed, &[b"secret"], header, b"body", 1_795_226_730_000, 300_000).is_err());
    }
    let triggers = Kind::ALL.map(|kind| Trigger {
        runbook: "r".to_owned(),
        sources: vec![kind.as_str().to_owned()],
        ..Trigger::default()
    });
    let mut state = State::default();
    for kind in Kind::ALL {
        let source = Source { name: kind.as_str().to_owned(), kind, mapping: (kind == Kind::Generic).then(mapping) };
        let Ok(Parsed::Batch(batch)) = source.read(bytes) else { continue };
        assert!(batch.alerts.len() <= limits::ALERTS_PER_BODY_MAX);
        for now_ms in [1, 1_795_226_730_000] {
            let outcome = decide(&state, &triggers, &Fact::Alerts(batch.clone()), now_ms);
            assert!(!outcome.verdicts.is_empty());
            outcome.events.iter().for_each(|event| state.apply(event));
        }
        assert!(state.open() <= Kind::ALL.len());
    }
});
