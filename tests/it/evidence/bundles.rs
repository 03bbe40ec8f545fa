//! Bundles: made from a data folder, verified without one.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::{Elsewhere, independent, key, troubled};
use crate::bench::Bench;

#[test]
fn the_demos_recovery_is_verified_on_another_machine() {
    let bench = Bench::new();
    bench.run(&["demo", "--dir", "d", "--model-mib", "1"]).expect(0);
    let data = ["--data", "d/data", "--config", "d/lifeboat.kdl"];
    let runs = bench.run(&[&data[..], &["runs", "--json"]].concat()).expect(0).json();
    let run = runs[1]["run"].as_str().unwrap().to_owned();
    let ran = bench.run(&[&data[..], &["evidence", "export", &run, "--out", "recovery.evidence"]].concat()).expect(0);
    let key = key(&bench, &data);
    ran.says("recovery.evidence").says(&key);
    let mode = std::fs::metadata(bench.path("d/data/evidence-key")).unwrap().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = bench.run(&[&data[..], &["evidence", "export", &run, "--out", "recovery.evidence"]].concat());
    again.expect(2).says("LB1131");

    let elsewhere = Elsewhere::with(&bench.path("recovery.evidence"));
    let (code, answer) = elsewhere.verify(&key);
    assert_eq!(code, 0, "{answer:#}");
    assert_eq!((&answer["run"]["run"], &answer["run"]["status"]), (&runs[1]["run"], &"succeeded".into()));
    assert!(!elsewhere.bench.path(".lifeboat").exists(), "to verify makes nothing");
    assert!(independent(&elsewhere.bench.path("run.evidence"), &key).0);

    // One byte, anywhere.
    let size = std::fs::metadata(bench.path("recovery.evidence")).unwrap().len() as usize;
    for place in (0..size).step_by(size / 7) {
        let found = elsewhere.after(&key, |bytes| bytes[place] ^= 1);
        assert!(found.iter().all(|code| code.starts_with("LB112")) && !found.is_empty(), "byte {place}: {found:?}");
    }
    // An event left out, with all lengths mended.
    let found = elsewhere.after(&key, |bytes| {
        let text = String::from_utf8(bytes.clone()).unwrap();
        let from = text.find("\n5 ").unwrap() + 1;
        let line = text[from..].split_inclusive('\n').next().unwrap().len();
        let head = text.split_inclusive('\n').nth(1).unwrap().to_owned();
        let length: usize = head.trim_end().rsplit(' ').next().unwrap().parse().unwrap();
        let mended = head.replace(&length.to_string(), &(length - line).to_string());
        *bytes = format!("{}{}", &text[..from], &text[from + line..]).replacen(&head, &mended, 1).into_bytes();
    });
    assert_eq!(found, ["LB1122", "LB1124"]);
    elsewhere.bench.run(&["evidence", "verify", "run.evidence", "--key", &key]).expect(0).says("verified");

    // When the recovery point was taken is another run's word, and it is in the bundle.
    let report = ["report", "--bundle", "run.evidence", "--key", &key, "--format", "json"];
    let report = elsewhere.bench.run(&report).expect(0).json();
    assert_eq!(report["facts"]["data_loss"]["restored"][0]["told_by"], runs[0]["run"], "{report:#}");
    assert!(report["facts"]["data_loss"]["within_rpo"] == true);
}

#[test]
fn another_program_comes_to_the_same_verdict() {
    let bench = Bench::new();
    let run = troubled(&bench);
    bench.run(&["evidence", "export", &run, "--out", "run.evidence"]).expect(0);
    let key = key(&bench, &[]);
    let path = bench.path("run.evidence");
    let (good, told) = independent(&path, &key);
    assert!(good && told.starts_with(&format!("good: run {run}, succeeded")), "{told}");
    let bytes = std::fs::read(&path).unwrap();
    for place in (0..bytes.len()).step_by(bytes.len() / 40) {
        let mut bad = bytes.clone();
        bad[place] ^= 0x20;
        std::fs::write(bench.path("bad.evidence"), &bad).unwrap();
        assert!(!independent(&bench.path("bad.evidence"), &key).0, "byte {place}");
        bench.run(&["evidence", "verify", "bad.evidence", "--key", &key]).expect(1).says("NOT verified");
    }
    let other = format!("ed25519:{}", "ab".repeat(32));
    assert!(!independent(&path, &other).0);
    bench.run(&["evidence", "verify", "run.evidence", "--key", &other]).expect(1).says("LB1123");
}

#[test]
fn more_people_may_sign_and_keys_are_kept_to_oneself() {
    let bench = Bench::new();
    let run = troubled(&bench);
    bench.run(&["evidence", "export", &run, "--out", "run.evidence"]).expect(0).says("signed with ed25519:");
    bench.run(&["evidence", "key", "--new", "ada.key"]).expect(0).says("ed25519:");
    bench.run(&["evidence", "key", "--new", "ada.key"]).expect(2).says("LB1131");
    let file = bench.path("ada.key");
    assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    bench.run(&["evidence", "sign", "run.evidence", "--key", "ada.key", "--as", "Ada, auditor"]).expect(0);
    bench.run(&["evidence", "sign", "run.evidence", "--key", "ada.key"]).expect(2).says("LB1130");
    let engine = key(&bench, &[]);
    let both = ["evidence", "verify", "run.evidence", "--key", &engine, "--key", "ada.key"];
    bench.run(&both).expect(0).says("signed by 'Ada, auditor'").says("2 of 2 by a key that was given");
    assert!(independent(&bench.path("run.evidence"), &engine).0);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    bench.run(&["evidence", "sign", "run.evidence", "--key", "ada.key"]).expect(2).says("LB1129").says("chmod 600");
    bench.run(&["evidence", "verify", "run.evidence", "--key", "nobody"]).expect(2).says("LB1129");
    bench.run(&["evidence", "verify", "gone", "--key", &engine]).expect(2).says("LB0901");
    bench.run(&["evidence", "verify", "run.evidence"]).expect(2);
    // What is not whole is not signed.
    bench.write("half.evidence", "lifeboat-evidence 1\n");
    bench.run(&["evidence", "sign", "half.evidence", "--key", "ada.key"]).expect(1).says("LB1120");
}

#[test]
fn plugins_are_held_against_the_plan_and_files_may_be_left_out() {
    let bench = Bench::new();
    let run = troubled(&bench);
    let key = key(&bench, &[]);
    bench.run(&["evidence", "export", &run, "--no-files"]).expect(0).says(&format!("{run}.evidence"));
    let file = format!("{run}.evidence");
    let dist = concat!(env!("CARGO_MANIFEST_DIR"), "/../../plugins/dist");
    let verify = |plugin: &str| {
        bench.run(&["evidence", "verify", &file, "--key", &key, "--plugin", &format!("{dist}/{plugin}.wasm")])
    };
    verify("fs").expect(0).says("the files are those of fs").says("0 attached, 1 left out by name");
    verify("s3").expect(1).says("LB1127");
    let table = bench.run(&["evidence", "clauses", &file, "--key", &key]).expect(0).out;
    assert!(
        table.contains("Article 11(8)") && table.contains("A1.3") && table.contains("a test: this run is a failover")
    );
    let csv = bench.run(&["evidence", "clauses", &file, "--format", "csv"]).expect(0).says("no --key was given").out;
    assert_eq!(csv.lines().count(), 14, "{csv}");
    let json = bench.run(&["evidence", "clauses", &file, "--json", "-q"]).expect(0).json();
    assert_eq!(json.as_array().unwrap().len(), 13);
    assert!(json.as_array().unwrap().iter().all(|row| !row["lacks"].as_array().unwrap().is_empty()));
    assert!(independent(&bench.path(&file), &key).0);
    // A run that has not ended may be exported; it says so.
    let asks = bench.runbook("asks", r#"approve "go" role="sre""#);
    bench.run(&["run", "-y", &asks]).expect(3);
    bench.run(&["evidence", "export", &bench.newest(), "--out", "open.evidence"]).expect(0).says("has not ended");
    bench.run(&["evidence", "verify", "open.evidence", "--key", &key]).expect(0).says("waiting");
}
