//! What goes wrong around a run: each gives a clear error with code and hint, loses nothing, and the next command works.

use std::fs;

use crate::bench::Bench;

const TAKE: &str = r#"snapshot "take" of="live" into="vault"
    verify "prove" snapshot="{{steps.take.snapshot}}" depth="data""#;

#[test]
fn a_second_process_on_the_same_data_folder_is_refused() {
    let bench = Bench::new();
    let slow = bench.runbook("slow", r#"wait "long" "60s""#);
    let file = bench.runbook("protect", TAKE);
    let mut child = bench.start(&["run", "-y", &slow]);
    bench.wait_for("waits for");
    bench.run(&["run", "-y", &file]).expect(2).says("LB0601").says(&child.id().to_string());
    // Looking needs no lock.
    let run = bench.newest();
    bench.run(&["show", &run]).expect(0).says("long");
    child.kill().unwrap();
    child.wait().unwrap();
    bench.run(&["run", "-y", &file]).expect(0);
}

#[test]
fn what_is_not_granted_is_refused_with_the_line_that_would_allow_it() {
    let bench = Bench::new();
    bench.write(
        "lifeboat.kdl",
        "secret \"vault-password\" file=\"password\"\ngrant \"fs\" { dir \"vault\" write=#true }\n",
    );
    let file = bench.runbook("protect", TAKE);
    let refused = bench.run(&["run", "-y", &file]).expect(1).says("LB0707").says("grant \"fs\" target=\"live\"");
    // The line that it prints is one that the operator file takes, and it is enough.
    let hint = refused.out.lines().find(|line| line.contains("grant \"fs\" target=\"live\"")).unwrap().to_owned();
    let line = &hint[hint.find("grant").unwrap()..];
    let line = &line[..=line.rfind('}').unwrap()];
    let operator = fs::read_to_string(bench.path("lifeboat.kdl")).unwrap();
    bench.write("lifeboat.kdl", &format!("{operator}{line}\n"));
    bench.run(&["run", "-y", &file]).expect(0);
}

#[test]
fn a_flipped_byte_in_the_vault_is_found() {
    let bench = Bench::new();
    let take = bench.runbook("protect", r#"snapshot "take" of="live" into="vault""#);
    let prove = bench.runbook("prove", r#"verify "prove" snapshot="latest" from="vault" depth="data""#);
    bench.run(&["run", "-y", &take]).expect(0);
    bench.run(&["run", "-y", &prove]).expect(0);
    let packs = crate::bench::tree(&bench.path("vault/data"));
    for (path, mut bytes) in packs {
        let middle = bytes.len() / 3;
        bytes[middle] ^= 1;
        let path = bench.path("vault/data").join(path);
        fs::remove_file(&path).unwrap();
        fs::write(path, bytes).unwrap();
    }
    bench.run(&["run", "-y", &prove]).expect(1).says("prove");
}

#[test]
fn a_wrong_password_and_a_missing_secret_are_named() {
    let bench = Bench::new();
    let file = bench.runbook("protect", TAKE);
    bench.run(&["run", "-y", &file]).expect(0);
    bench.write("password", "another horse\n");
    bench.run(&["run", "-y", &file]).expect(1).says("LB0801");
    fs::remove_file(bench.path("password")).unwrap();
    bench.run(&["run", "-y", &file]).expect(1).says("LB0710");
    bench.write("password", "correct horse\n");
    bench.run(&["run", "-y", &file]).expect(0);
}

#[test]
fn plugins_that_are_missing_wrong_or_no_plugins_are_named() {
    let bench = Bench::new();
    bench.write("odd.kdl", "runbook \"odd\" {\n    target \"x\" plugin=\"tape\" { root \"/x\" }\n}\n");
    bench.run(&["check", "odd.kdl"]).expect(2).says("tape");
    let file = bench.runbook("protect", TAKE);
    let operator = fs::read_to_string(bench.path("lifeboat.kdl")).unwrap();
    let pin = format!("pin \"fs\" digest=\"blake3:{}\"\n{operator}", "0".repeat(64));
    bench.write("lifeboat.kdl", &pin);
    bench.run(&["run", "-y", &file]).expect(2).says("LB0702");
    fs::create_dir(bench.path("more")).unwrap();
    bench.write("more/broken.wasm", "this is no WebAssembly");
    bench.write("lifeboat.kdl", &format!("plugins \"more\"\n{operator}"));
    bench.run(&["run", "-y", &file]).says("LB0703").says("broken.wasm");
    bench.write("lifeboat.kdl", "grant fs { dir \n");
    bench.run(&["run", "-y", &file]).expect(2).says("LB0903");
    bench.write("lifeboat.kdl", &operator);
    bench.run(&["run", "-y", &file]).expect(0);
}

#[test]
fn nobody_there_means_nothing_is_started() {
    let bench = Bench::new();
    let file = bench.runbook("protect", TAKE);
    bench.run(&["run", &file]).expect(2).says("--yes");
    assert!(!bench.path(".lifeboat").exists());
    bench.run(&["run", "-y", "no-such.kdl"]).expect(2).says("LB0901");
    bench.run(&["run", "-y", &file, "-i", "novalue"]).expect(2).says("LB0902");
}

#[test]
fn a_damaged_journal_is_said_and_harms_its_run_alone() {
    let bench = Bench::new();
    let file = bench.runbook("protect", TAKE);
    for _ in 0..3 {
        bench.run(&["run", "-y", &file]).expect(0);
    }
    let journal = bench.path(".lifeboat/journal");
    let segment = fs::read_dir(&journal).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&segment).unwrap();
    let text = b"attempt-finished";
    let place = bytes.windows(text.len()).position(|window| window == text).unwrap();
    bytes[place] ^= 1;
    fs::write(&segment, bytes).unwrap();
    fs::remove_dir_all(bench.path(".lifeboat/state")).unwrap();
    bench.run(&["doctor"]).expect(1).says("BAD");
    bench.run(&["run", "-y", &file]).expect(0).says("quarantine");
    let runs = bench.run(&["runs", "--json"]).expect(0).json();
    assert!(runs.as_array().unwrap().len() >= 3);
}

#[test]
fn the_fixtures_misbehaviour_fails_its_step_alone() {
    let bench = Bench::new();
    let dist = concat!(env!("CARGO_MANIFEST_DIR"), "/../../plugins/dist");
    let operator = fs::read_to_string(bench.path("lifeboat.kdl")).unwrap();
    bench.write(
        "lifeboat.kdl",
        &format!("plugins \"{dist}\"\ngrant \"fixture\" {{ dir \"estate\" write=#true }}\n{operator}"),
    );
    let dir = bench.dir.path().display();
    for (way, code) in [
        ("loop", "LB0705"),
        ("memory", "LB0704"),
        ("trap", "LB0706"),
        ("stack", "LB0706"),
        ("huge-output", "LB0708"),
        ("forbidden-path", "LB0707"),
    ] {
        let steps = format!(
            r#"target "bad" plugin="fixture" {{ root "{dir}/estate/live" }}
    validate "misbehaves" target="bad" {{ misbehave "{way}"; timeout "1s" }}
    snapshot "beside" of="live" into="vault""#
        );
        let file = bench.runbook("bad", &steps);
        let report = bench.run(&["run", "-y", "--json", &file]).expect(1).json();
        let step =
            |id: &str| report["steps"].as_array().unwrap().iter().find(|step| step["step"] == id).unwrap().clone();
        assert_eq!(step("misbehaves")["failure"]["code"], code, "{way}: {report:#}");
        assert_eq!(step("beside")["phase"], "done", "{way}");
    }
}
