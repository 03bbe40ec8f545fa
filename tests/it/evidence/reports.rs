//! Reports in their forms, of a real run and of a bundle of it.

use super::{Elsewhere, key, troubled};
use crate::bench::Bench;

/// What differs between two runs: ids, digests, times, durations.
fn steady(text: &str, bench: &Bench, run: &str) -> String {
    let text = text.replace(run, "RUN").replace(&bench.dir.path().display().to_string(), "DIR");
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(letter) = rest.chars().next() {
        let from_word = !out.ends_with(|before: char| before.is_ascii_alphanumeric());
        let (length, word) = if from_word { changing(rest) } else { (0, "") };
        if length > 0 {
            out.push_str(word);
            rest = &rest[length..];
        } else {
            out.push(letter);
            rest = &rest[letter.len_utf8()..];
        }
    }
    // What took no time at all is not in the table of shares.
    let steady = out.lines().filter(|line| !line.ends_with("| SHARE |"));
    steady
        .map(|line| if line.contains("from the beginning to the end") { "WHERE THE TIME WENT" } else { line })
        .collect::<Vec<_>>()
        .join("\n")
        + "\n"
}

fn changing(text: &str) -> (usize, &'static str) {
    let run = |good: fn(char) -> bool| text.chars().take_while(|letter| good(*letter)).count();
    let hex = run(|letter| letter.is_ascii_hexdigit());
    if hex == 64 || hex == 12 {
        return (hex, "DIGEST");
    }
    let digits = run(|letter| letter.is_ascii_digit());
    let after = &text[digits..];
    if digits == 4 && after.starts_with('-') && text.len() >= 19 && text.as_bytes()[13] == b':' {
        return (19, "DATE");
    }
    if digits == 0 {
        return (0, "");
    }
    let tenth = after.strip_prefix('.').map_or(0, |rest| 1 + rest.chars().take_while(char::is_ascii_digit).count());
    for (unit, word) in [(" ms", "TIME"), (" s", "TIME"), (" %", "SHARE")] {
        let end = &after[tenth..];
        if end.starts_with(unit) && !end[unit.len()..].starts_with(|next: char| next.is_ascii_alphanumeric()) {
            return (digits + tenth + unit.len(), word);
        }
    }
    (0, "")
}

#[test]
fn a_report_has_three_forms_and_a_golden_one() {
    let bench = Bench::new();
    let run = troubled(&bench);
    let md = bench.run(&["report", &run, "--format", "md"]).expect(0).out;
    let steady = steady(&md, &bench, &run);
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/it/evidence/golden/troubled.md");
    if std::env::var_os("LIFEBOAT_BLESS").is_some() {
        std::fs::write(golden, &steady).unwrap();
    }
    let expected = std::fs::read_to_string(golden).unwrap_or_default();
    assert!(expected == steady, "it differs; LIFEBOAT_BLESS=1 accepts this:\n{steady}");

    let html = bench.run(&["report", &run, "--format", "html"]).expect(0).out;
    assert!(html.starts_with("<!doctype html>") && html.trim_end().ends_with("</html>"));
    assert!(!html.contains("<b>rehearsal") && html.contains("&lt;b&gt;rehearsal&lt;/b&gt;"));
    for outside in ["http://", "https://", "<script", "@import", "url(http", "src="] {
        let found = html.replace("http-equiv", "").contains(outside);
        assert!(!found, "the page asks for something: {outside}");
    }
    let json = bench.run(&["report", &run, "--json"]).expect(0).json();
    assert_eq!(json["status"], "succeeded");
    assert_eq!(json["facts"]["people"].as_array().unwrap().len(), 3);
    assert_eq!(json["verdict"]["tone"], "good");
    let spent: u64 = json["facts"]["spent"].as_object().unwrap().values().map(|ms| ms.as_u64().unwrap()).sum();
    assert_eq!(spent, json["rta_ms"].as_u64().unwrap());
    bench.run(&["report", &run]).expect(0).says("RPA").says("by the snapshot of");
}

#[test]
fn a_report_of_a_bundle_is_that_of_the_run_and_says_who_signed() {
    let bench = Bench::new();
    let run = troubled(&bench);
    let key = key(&bench, &[]);
    bench.run(&["evidence", "export", &run, "--out", "run.evidence"]).expect(0);
    bench.run(&["report", &run, "--format", "html", "--out", "report.html"]).expect(0).says("report.html");
    let elsewhere = Elsewhere::with(&bench.path("run.evidence"));
    let of = ["report", "--bundle", "run.evidence", "--format"];
    let run_of = |more: &[&str]| elsewhere.bench.run(&[&of[..], more].concat());
    let json = run_of(&["json", "--key", &key]).expect(0).json();
    assert_eq!(json["facts"], bench.run(&["report", &run, "--json"]).expect(0).json()["facts"]);
    let html = run_of(&["html", "--key", &key]).expect(0).out;
    assert!(html.contains("1 of 1 signatures by a given key") && html.contains(&key));
    run_of(&["html"]).expect(0).says("nobody is known to stand behind it").says("no key was given");
    run_of(&["text", "--key", &key]).expect(0).says("RTA");
    let path = elsewhere.bench.path("run.evidence");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[500] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let bad = run_of(&["html"]).expect(1).says("LB1122");
    assert!(bad.out.is_empty(), "nothing is reported of what is not whole");
    elsewhere.bench.run(&["report"]).expect(2);
}
