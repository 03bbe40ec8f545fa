//! No schedule makes the reader panic; due times come one after the other; each is decided on once.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lifeboat_schedule::{BlackoutText, Missed, Rule, Spec, State, decide};

const ZONES: [&str; 4] = ["UTC", "Europe/Zurich", "Australia/Lord_Howe", "America/Sao_Paulo"];

fuzz_target!(|input: (&str, &str, u8, u32, u16)| {
    let (cron, time, zone, at, jitter) = input;
    let spec = Spec {
        cron: cron.to_owned(),
        zone: ZONES[usize::from(zone) % ZONES.len()].to_owned(),
        jitter_ms: u64::from(jitter) * 1_000,
        missed: Missed::RunOnce,
        blackouts: vec![BlackoutText { days: Some("Mon".to_owned()), ..BlackoutText::default() }],
        ..Spec::default()
    };
    let window = BlackoutText { from: Some(time.to_owned()), to: Some("12:00".to_owned()), ..BlackoutText::default() };
    let _ = lifeboat_schedule::Blackout::parse(&window);
    let Ok(rule) = Rule::new("r/s", &spec) else { return };
    let now = u64::from(at) * 1_000;
    let mut last = now;
    for due in rule.next(now, 20) {
        assert!(due.due_ms > last);
        last = due.due_ms;
    }
    let (state, _) = decide(&rule, &State::new(&rule, now), now + 3_600_000, None);
    assert!(decide(&rule, &state, now, Some("r-1")).1.len() <= 1);
});
