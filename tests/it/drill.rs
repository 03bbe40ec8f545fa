//! Drills: they reach nothing of production, and they leave nothing behind.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::bench::{Bench, tree};

/// A server of production: it counts who speaks to it, and refuses everybody.
fn production() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, count) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            counted.fetch_add(1, Ordering::SeqCst);
            let mut buffer = [0; 4_096];
            let _ = stream.read(&mut buffer);
            let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    (port, count)
}

/// A runbook with these nodes; `@DIR@` stands for the bench's folder.
fn runbook(bench: &Bench, name: &str, nodes: &str) -> String {
    let nodes = nodes.replace("@DIR@", &bench.dir.path().display().to_string());
    bench.write(&format!("{name}.kdl"), &format!("runbook \"{name}\" {{\n{nodes}\n}}\n"));
    format!("{name}.kdl")
}

fn entries(bench: &Bench, folder: &str) -> Vec<PathBuf> {
    std::fs::read_dir(bench.path(folder)).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn snapshots(bench: &Bench, file: &str) -> usize {
    let all = bench.run(&["snapshots", "vault", "--runbook", file, "--mode", "drill", "--json"]).expect(0).json();
    all.as_array().unwrap().len()
}

/// The target `vault`, and a drill's own place for what is restored.
const TARGETS: &str = r#"
    objectives rto="15m" rpo="1h"
    target "live" plugin="fs" site="primary" { root "@DIR@/estate/live" }
    target "vault" plugin="fs" site="second" { root "@DIR@/vault"; password secret="vault-password" }
    target "back" plugin="fs" site="second" { root "@DIR@/estate/back" }
    mode "drill" { target "back" { root "@DIR@/drill/{{run.id}}/back" } }
"#;

const RECOVER: &str = r#"
    verify "prove" snapshot="latest" from="vault" depth="data"
    restore "rebuild" snapshot="{{steps.prove.snapshot}}" into="back"
    validate "smoke" target="back" after="rebuild" { expect "count" min=40 }
"#;

fn protected() -> (Bench, String) {
    let bench = Bench::new();
    let take = bench.runbook("protect", r#"snapshot "take" of="live" into="vault""#);
    bench.run(&["run", "-y", &take]).expect(0);
    let file = runbook(&bench, "recover", &format!("{TARGETS}{RECOVER}"));
    (bench, file)
}

#[test]
fn a_drill_reaches_nothing_of_production_whatever_the_runbook_says() {
    let bench = Bench::new();
    let (port, spoken) = production();
    std::fs::create_dir(bench.path("plugins")).unwrap();
    let fixture = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../plugins/dist/fixture.wasm");
    std::fs::copy(fixture, bench.path("plugins/fixture.wasm")).unwrap();
    bench.write("key", "secret\n");
    bench.write(
        "lifeboat.kdl",
        &format!(
            r#"
plugins "plugins"
secret "vault-password" file="password"
secret "key" file="key"
grant "fs" {{ dir "estate" write=#true; dir "vault" write=#true }}
grant "fixture" {{ dir "estate" write=#true }}
grant "s3" {{ host "127.0.0.1" port={port} plain=#true }}
drill {{
    grant "fs" {{ dir "vault" write=#true; dir "drill" write=#true }}
    grant "fixture" {{ dir "drill" write=#true }}
}}
"#
        ),
    );
    let take = bench.runbook("protect", r#"snapshot "take" of="live" into="vault""#);
    bench.run(&["run", "-y", &take]).expect(0);
    // What the compiler cannot see: a place that is only known in the run, and a link in the drill's own folder.
    std::os::unix::fs::symlink(bench.path("estate/live"), bench.path("drill/link")).unwrap();
    let before = tree(&bench.path("estate"));
    let live = bench.path("estate/live").display().to_string();
    let link = bench.path("drill/link").display().to_string();
    let steps = [
        (
            "restore",
            r#"restore "bad" snapshot="latest" from="vault" into="place" { overwrite #true; waive "LB0302" reason="t" }"#,
            "fs",
        ),
        ("switch", r#"switch "bad" target="place" { link "current"; to "files" }"#, "fs"),
        ("guest", r#"switch "bad" target="place""#, "fixture"),
    ];
    for (name, step, plugin) in steps {
        let nodes = format!(
            r#"modes "drill"
    input "where" type="string" required=#true
    target "vault" plugin="fs" {{ root "@DIR@/vault"; password secret="vault-password" }}
    target "place" plugin="{plugin}" {{ root "/{{{{inputs.where}}}}" }}
    {step}"#
        );
        let file = runbook(&bench, name, &nodes);
        for place in [&live, &link] {
            let ran = bench.run(&["drill", &file, "-i", &format!("where={}", &place[1..])]).expect(1);
            ran.says("LB0707");
            assert_eq!(tree(&bench.path("estate")), before, "{name} at {place}");
        }
    }
    // An endpoint of production is not even spoken to.
    let nodes = format!(
        r#"modes "failover" "drill"
    target "bucket" plugin="s3" {{
        bucket "data"; endpoint "http://127.0.0.1:{port}"; access-key "k"; secret-key secret="key"
    }}
    validate "look" target="bucket" {{ expect "count" min=1 }}"#
    );
    let file = runbook(&bench, "bucket", &nodes);
    bench.run(&["drill", &file]).expect(1).says("LB0707").says("in mode drill");
    assert_eq!(spoken.load(Ordering::SeqCst), 0);
    // The very same step outside of a drill does speak to it.
    bench.run(&["run", "-y", &file]).expect(1);
    assert!(spoken.load(Ordering::SeqCst) > 0);
}

#[test]
fn a_drill_says_whether_it_passed_and_leaves_nothing() {
    let (bench, file) = protected();
    bench.run(&["plan", &file, "--mode", "drill"]).expect(0).says("removed at the end of the run");
    let ran = bench.run(&["drill", &file]).expect(0);
    ran.says("passed").says("0 of 1 left").says("RPA").says("by the snapshot of");
    assert_eq!(entries(&bench, "drill"), Vec::<PathBuf>::new());
    let run = bench.newest();
    bench.run(&["ledger", &run]).expect(0).says("removed").says("0 of 1 left").says("what is restored");
    bench.run(&["ledger"]).expect(0).says("nothing of any run is left");
    bench.run(&["cleanup", &run]).expect(2).says("LB1151");
    // The intent comes before the first attempt, and what was made is gone before the end.
    let events: Vec<Value> = bench.events();
    let place = |wanted: &dyn Fn(&Value) -> bool| events.iter().position(wanted).unwrap();
    let intent = place(&|event| event["event"] == "resources-intended" && event["step"] == "rebuild");
    let begun = place(&|event| event["event"] == "attempt-started" && event["step"] == "rebuild");
    let removed = place(&|event| event["event"] == "attempt-finished" && event["direction"] == "cleanup");
    let ended = place(&|event| event["event"] == "run-finished");
    assert!(intent < begun && begun < removed && removed < ended);
    let told = events[intent]["resources"][0]["place"].as_str().unwrap();
    assert_eq!(told, bench.path("drill").join(&run).join("back").display().to_string());
    // A run in earnest keeps what it made.
    bench.run(&["run", "-y", &file]).expect(0);
    assert_eq!(tree(&bench.path("estate/back")), tree(&bench.path("estate/live")));
    bench.run(&["ledger", &bench.newest()]).expect(0).says("it makes nothing");
}

#[test]
fn a_drill_that_fails_or_is_cancelled_leaves_nothing_either() {
    let (bench, _) = protected();
    let failing = RECOVER.replace("min=40", "min=4000");
    let file = runbook(&bench, "failing", &format!("{TARGETS}{failing}"));
    let ran = bench.run(&["drill", &file]).expect(1);
    ran.says("not passed").says("it failed at smoke").says("0 of 1 left");
    assert_eq!(entries(&bench, "drill"), Vec::<PathBuf>::new());
    bench.run(&["retry", &bench.newest(), "smoke"]).expect(2).says("LB0502");
    let asking = format!("{TARGETS}{RECOVER}\n    approve \"go\" role=\"sre\" after=\"smoke\"\n");
    let file = runbook(&bench, "asking", &asking);
    bench.run(&["drill", &file]).expect(3);
    let run = bench.newest();
    assert_eq!(entries(&bench, "drill").len(), 1);
    bench.run(&["cleanup", &run]).expect(2).says("LB1150");
    bench.run(&["cancel", &run]).expect(1).says("0 of 1 left");
    assert_eq!(entries(&bench, "drill"), Vec::<PathBuf>::new());
}

#[test]
fn in_shared_places_only_what_the_drill_made_is_removed() {
    let (bench, _) = protected();
    std::fs::create_dir_all(bench.path("drill/shared")).unwrap();
    let targets = TARGETS.replace("/drill/{{run.id}}/back", "/drill/shared");
    let take = r#"snapshot "again" of="back" into="vault" after="smoke""#;
    let file = runbook(&bench, "shared", &format!("{targets}{RECOVER}    {take}\n"));
    assert_eq!(snapshots(&bench, &file), 1);
    bench.run(&["drill", &file]).expect(0).says("0 of 2 left");
    assert_eq!(entries(&bench, "drill/shared"), Vec::<PathBuf>::new());
    assert_eq!(snapshots(&bench, &file), 1, "the drill's own snapshot is forgotten, and the others stay");
    // What was restored over something cannot be told from it, and is named instead.
    bench.write("drill/shared/mine.txt", "somebody's");
    let over = RECOVER.replace(r#"into="back""#, r#"into="back" overwrite=#true"#);
    let file = runbook(&bench, "over", &format!("{targets}{over}"));
    let ran = bench.run(&["drill", &file]).expect(1);
    ran.says("1 of 1 left").says("not passed");
    let run = bench.newest();
    let ledger = bench.run(&["ledger"]).expect(0);
    ledger.says(&run).says("left").says("started by tester").says(&format!("cleanup {run}")).says("{{run.id}}");
    bench.run(&["cleanup", &run]).expect(1).says("could not be removed");
    assert!(bench.path("drill/shared/mine.txt").exists());
    let rows = bench.run(&["ledger", "--json"]).expect(0).json();
    assert_eq!((rows[0]["left"].as_u64(), rows[0]["entries"][0]["state"].as_str()), (Some(1), Some("left")));
}

#[test]
fn a_drill_that_is_killed_at_any_time_leaves_nothing_after_its_resume() {
    let (bench, file) = protected();
    let mut random = blake3::Hasher::new().update(b"heavy").finalize_xof();
    let mut bytes = vec![0; 24 * 1024 * 1024];
    random.fill(&mut bytes);
    std::fs::write(bench.path("estate/live/model.bin"), bytes).unwrap();
    bench.run(&["run", "-y", "protect.kdl"]).expect(0);
    for round in 0..10 {
        let mut child = bench.start(&["drill", &file]);
        if round % 3 == 0 {
            let lines = ["rebuild  restore   started", "removing what was made", "smoke"];
            bench.wait_for(lines[round / 3 % lines.len()]);
        } else {
            std::thread::sleep(Duration::from_millis(40 + 90 * round as u64));
        }
        // It may have ended by itself.
        let _ = child.kill();
        child.wait().unwrap();
        bench.run(&["resume"]).expect(0);
        assert_eq!(entries(&bench, "drill"), Vec::<PathBuf>::new(), "round {round}");
        bench.run(&["ledger"]).expect(0).says("nothing of any run is left");
    }
    let runs = bench.run(&["runs", "--json"]).expect(0).json();
    for run in runs.as_array().unwrap() {
        assert_eq!(run["summary"]["status"], "succeeded", "{run}");
    }
}

#[test]
fn an_abandoned_drill_is_cleaned_up_when_somebody_asks() {
    let (bench, _) = protected();
    let asking = format!("{TARGETS}{RECOVER}\n    approve \"go\" role=\"sre\" after=\"smoke\"\n");
    let file = runbook(&bench, "asking", &asking);
    bench.run(&["drill", &file]).expect(3);
    let run = bench.newest();
    bench.run(&["abandon", &run]).expect(1).says("1 of 1 left");
    assert_eq!(entries(&bench, "drill").len(), 1);
    bench.run(&["ledger"]).expect(0).says(&format!("cleanup {run}"));
    bench.run(&["cleanup", &run, "-r", "the drill is over"]).expect(0);
    assert_eq!(entries(&bench, "drill"), Vec::<PathBuf>::new());
    let last = bench.events().last().cloned().unwrap();
    assert_eq!((last["event"].as_str(), last["result"].as_str()), (Some("run-finished"), Some("abandoned")));
}

#[test]
fn a_sentinel_that_is_found_in_what_was_restored_tells_what_was_lost() {
    let (bench, _) = protected();
    let wrong = bench.run(&["sentinel", "write", "recover.kdl", "--target", "nobody"]).expect(2);
    wrong.says("its targets are");
    let written = bench.run(&["sentinel", "write", "protect.kdl", "--target", "live", "--json"]).expect(0).json();
    std::thread::sleep(Duration::from_millis(60));
    bench.run(&["run", "-y", "protect.kdl"]).expect(0);
    let steps = RECOVER.replace("expect \"count\" min=40", "expect \"sentinel\" max_age_minutes=60");
    let file = runbook(&bench, "told", &format!("{TARGETS}    verification every=\"7d\"\n{steps}"));
    bench.run(&["drills", &file]).expect(0).says("needs verification: it was never drilled");
    bench.run(&["drill", &file]).expect(0).says("by the sentinel of");
    let run = bench.newest();
    let found = bench.run(&["measure", &run, "--json"]).expect(0).json();
    let loss = &found["losses"][0];
    assert_eq!((loss["basis"].as_str(), &loss["point_at"]), (Some("sentinel"), &written["at"]));
    let parts: u64 = found["parts"].as_object().unwrap().values().map(|ms| ms.as_u64().unwrap()).sum();
    assert_eq!(found["rta_ms"].as_u64(), Some(parts));
    bench.run(&["measure", &run]).expect(0).says("declared").says("validated").says("executing");
    bench.run(&["drills", &file]).expect(0).says(&run).says("verified until");
    let rows = bench.run(&["drills", &file, "--json"]).expect(0).json();
    assert_eq!(
        (rows["verification"]["state"].as_str(), rows["drills"][0]["passed"].as_bool()),
        (Some("verified"), Some(true))
    );
    // Another text is another runbook to verify.
    let file = runbook(&bench, "told", &format!("{TARGETS}    verification every=\"1d\"\n{steps}"));
    bench.run(&["drills", &file]).expect(0).says("it has changed since");
}

#[test]
fn readiness_tells_all_that_is_in_the_way_at_once() {
    let (bench, file) = protected();
    let ready = bench.run(&["readiness", &file, "--mode", "drill"]).expect(0);
    ready.says("secret vault-password: it can be read").says("in mode drill: ready");
    assert_eq!(entries(&bench, "drill"), Vec::<PathBuf>::new(), "who only looks makes nothing");
    // The primary site is not needed; the other one is.
    bench.run(&["readiness", &file, "--site-lost", "primary"]).expect(2).says("LB1155");
    let lost = bench.run(&["readiness", &file, "--site-lost", "second"]).expect(1);
    lost.says("LB1156").says("step prove").says("step rebuild").says("with site 'second' lost: not ready");
    let all = format!("{TARGETS}{RECOVER}    snapshot \"before\" of=\"live\" into=\"vault\" only=\"switchover\"\n");
    let both = runbook(&bench, "both", &format!("    modes \"failover\" \"switchover\" \"drill\"\n{all}"));
    bench.run(&["readiness", &both, "--mode", "switchover", "--site-lost", "primary"]).expect(1).says("step before");
    // Several things at once: no password, no grant, a snapshot that is too old.
    let old = TARGETS.replace("rpo=\"1h\"", "rpo=\"1ms\"");
    let file = runbook(&bench, "old", &format!("{old}{RECOVER}"));
    bench.run(&["readiness", &file]).expect(1).says("LB1161");
    std::fs::remove_file(bench.path("password")).unwrap();
    bench.write("estate/back/in-the-way.txt", "x");
    let bad = bench.run(&["readiness", &file, "--json"]).expect(1).json();
    let rows = bad["rows"].as_array().unwrap();
    let wrong: Vec<&Value> = rows.iter().filter(|row| row["ok"] == false).collect();
    assert!(wrong.len() >= 3, "{wrong:#?}");
    assert!(wrong.iter().all(|row| row["code"].is_string() && row["mend"].is_string()), "{wrong:#?}");
}

#[test]
fn the_checks_of_a_drill_are_checked_on_damaged_copies() {
    let (bench, file) = protected();
    // A count notices a missing file, and nothing else.
    let ran = bench.run(&["drill", &file, "--check-the-checks"]).expect(1);
    ran.says("missed   flip").says("missed   truncate").says("missed   stale").says("its checks would miss");
    assert_eq!(entries(&bench, "drill"), Vec::<PathBuf>::new());
    // The digest of everything notices all of it; the sentinel notices the age.
    bench.run(&["sentinel", "write", "protect.kdl", "--target", "live"]).expect(0);
    bench.run(&["run", "-y", "protect.kdl"]).expect(0);
    let mut lines = String::new();
    for (path, bytes) in tree(&bench.path("estate/live")) {
        let path = path.strip_prefix(bench.path("estate/live")).unwrap_or(&path).display().to_string();
        lines.push_str(&format!("blake3:{}  {path}\n", blake3::hash(&bytes).to_hex()));
    }
    let digest = format!("blake3:{}", blake3::hash(lines.as_bytes()).to_hex());
    let expects = format!("expect \"tree\" digest=\"{digest}\"; expect \"sentinel\" max_age_minutes=60");
    let steps = RECOVER.replace("expect \"count\" min=40", &expects);
    let file = runbook(&bench, "sharp", &format!("{TARGETS}{steps}"));
    let ran = bench.run(&["drill", &file, "--check-the-checks"]).expect(0);
    ran.says("10 of 10 damages were noticed").says("passed");
    assert_eq!(entries(&bench, "drill"), Vec::<PathBuf>::new());
    // Without it, nothing is damaged.
    bench.run(&["drill", &file]).expect(0);
    let none = runbook(&bench, "none", &format!("{TARGETS}{}", RECOVER.split("    validate").next().unwrap()));
    bench.run(&["drill", &none, "--check-the-checks"]).expect(2).says("LB1163");
}
