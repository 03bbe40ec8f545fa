//! Ransomware on real files: the snapshot is suspect, and the switch is held until a person attests.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::bench::Bench;

const PROTECT: &str = r#"snapshot "take" of="live" into="vault""#;

/// Bytes that look random, by a seed.
fn random(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    (0..count).map(|_| (next() >> 24) as u8).collect()
}

/// A day's work: two files are changed, one is new, and now and then an old one goes.
fn a_day(bench: &Bench, day: usize) {
    for number in [day % 40, (day * 7 + 3) % 40] {
        bench.write(
            &format!("estate/live/files/{number}.txt"),
            &format!("file {number}, day {day}\n").repeat(number + 2),
        );
    }
    bench.write(&format!("estate/live/files/day-{day}.txt"), &format!("what happened on day {day}\n").repeat(20));
    if day % 4 == 3 {
        fs::remove_file(bench.path(&format!("estate/live/files/day-{}.txt", day - 2))).unwrap();
    }
}

/// Every file is rewritten with random bytes and has another name.
fn ransomware(root: &Path) {
    for (number, entry) in fs::read_dir(root.join("files")).unwrap().enumerate() {
        let path = entry.unwrap().path();
        let size = fs::metadata(&path).unwrap().len().max(3_000);
        fs::write(&path, random(u64::try_from(number).unwrap(), usize::try_from(size).unwrap())).unwrap();
        fs::rename(&path, path.with_extension("locked")).unwrap();
    }
}

fn suspects(bench: &Bench, file: &str) -> Vec<usize> {
    let all = bench.run(&["snapshots", "vault", "--runbook", file, "--json"]).expect(0).json();
    let reasons = |row: &Value| row["suspect"].as_array().unwrap().len();
    all.as_array().unwrap().iter().map(reasons).collect()
}

/// A runbook that goes over to what is restored from the newest snapshot. The switch names no step that touched it.
fn recover(bench: &Bench) -> String {
    std::os::unix::fs::symlink("live", bench.path("estate/current")).unwrap();
    let dir = bench.dir.path().display();
    bench.runbook(
        "recover",
        &format!(
            r#"target "service" plugin="fs" {{ root "{dir}/estate" }}
    mode "drill" {{
        target "back" {{ root "{dir}/drill/{{{{run.id}}}}/back" }}
        target "service" {{ root "{dir}/drill/{{{{run.id}}}}" }}
    }}
    verify "prove" snapshot="latest" from="vault"
    restore "rebuild" snapshot="{{{{steps.prove.snapshot}}}}" into="back"
    validate "smoke" target="back" after="rebuild" {{ expect "file" path="db/empty.dat" }}
    switch "cutover" target="service" after="smoke" {{ link "current"; to "back" }}
    on-failure {{ compensate }}"#
        ),
    )
}

#[test]
fn what_ransomware_did_is_suspect_and_is_not_switched_to() {
    let bench = Bench::new();
    let protect = bench.runbook("protect", PROTECT);
    for day in 0..10 {
        a_day(&bench, day);
        bench.run(&["run", "-y", &protect]).expect(0);
    }
    assert_eq!(suspects(&bench, &protect), [0; 10], "ordinary days are ordinary");
    let recover = recover(&bench);
    let link = || fs::read_link(bench.path("estate/current")).unwrap();

    ransomware(&bench.path("estate/live"));
    bench.run(&["run", "-y", &protect]).expect(0);
    let outputs = |events: &[Value], step: &str| {
        let finished = |event: &&Value| event["event"] == "attempt-finished" && event["step"] == step;
        events.iter().find(finished).unwrap()["outputs"].clone()
    };
    let told = outputs(&bench.events(), "take")["suspect"].to_string();
    assert!(told.contains("look encrypted") && told.contains("are gone"), "{told}");
    let all = suspects(&bench, &protect);
    assert!(all[..10].iter().all(|count| *count == 0) && all[10] >= 3, "{all:?}");
    bench
        .run(&["snapshots", "vault", "--runbook", &protect])
        .expect(0)
        .says("suspect: 100 % of the files read look encrypted");

    // Another machine's run, without any journal of the ones before: the vault itself tells.
    let other = ["--data", "other", "run", "-y", &recover];
    bench.run(&other).expect(3).says("held, a snapshot before it is suspect").says("attest");
    assert_eq!(link().to_str(), Some("live"), "nothing was switched");
    let runs = bench.run(&["--data", "other", "runs", "--json"]).expect(0).json();
    let run = runs[0]["run"].as_str().unwrap();
    assert_eq!(runs[0]["summary"]["status"], "waiting");
    let shown = bench.run(&["--data", "other", "show", run]).expect(0);
    shown.says("suspect by prove, rebuild: snapshot").says("look encrypted").says("attest");
    bench.run(&["--data", "other", "attest", run, "cutover", "--as", "ada"]).expect(2).says("--evidence");
    bench.run(&["--data", "other", "attest", run, "prove", "--evidence", "password"]).expect(2).says("LB1195");
    bench.run(&["--data", "other", "resume", run]).expect(3);
    assert_eq!(link().to_str(), Some("live"), "nor by taking it up again");
    bench.write("scan.log", "two engines, nothing found\n");
    let attest =
        ["--data", "other", "attest", run, "cutover", "--as", "ada", "--reason", "a test", "--evidence", "scan.log"];
    bench.run(&attest).expect(0).says("ada attests that it may go on");
    assert_eq!(link().to_str(), Some("back"));
    bench.run(&["--data", "other", "show", run]).expect(0).says("may use what is suspect, says ada").says("scan.log");

    // The day after nothing is new, and everything is encrypted still.
    bench.run(&["run", "-y", &protect]).expect(0);
    let told = outputs(&bench.events(), "take")["suspect"].to_string();
    assert!(told.contains("those of a suspect snapshot"), "{told}");
    // A drill holds nothing, and shows it.
    let drilled = bench.run(&["--data", "third", "drill", &recover]).expect(0);
    assert_eq!(drilled.code, 0);
}

/// The restic of this machine is an old one, which writes no counts: its snapshots are left alone.
#[test]
fn stock_restic_reads_over_what_was_sampled() {
    let bench = Bench::new();
    let protect = bench.runbook("protect", PROTECT);
    for day in 0..5 {
        a_day(&bench, day);
        bench.run(&["run", "-y", &protect]).expect(0);
    }
    let restic = |args: &[&str]| {
        let mut command = std::process::Command::new("restic");
        command.args(["--no-cache", "-r"]).arg(bench.path("vault")).args(args);
        let output = command.env("RESTIC_PASSWORD_FILE", bench.path("password")).output();
        let output = output.expect("stock restic is needed: apt-get install restic");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(restic(&["check"]).contains("no errors were found"));
    let live = bench.path("estate/live");
    restic(&["backup", live.to_str().unwrap()]);
    let text = restic(&["snapshots", "--json"]);
    let listed: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 6, "{text}");
    assert_eq!(suspects(&bench, &protect), [0; 6]);
}
