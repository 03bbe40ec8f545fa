//! The runbooks of the library check clean, are in canonical form, and compile in each of their modes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::{Folder, catalog, rendered_files, source};
use lifeboat_core::plan::{Mode, Plan};
use lifeboat_core::plugin::Catalog;
use lifeboat_runbook::{check_with, compile_with, format};

fn library() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../runbooks")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// The plugins of the tests, and those for buckets: they keep vaults, too.
fn plugins() -> Catalog {
    let mut all = catalog();
    let places = [("azure-blob", ["account", "container"].as_slice()), ("gcs", &["bucket"])];
    for (name, settings) in places {
        let mut known = all["fs"].clone();
        name.clone_into(&mut known.description.name);
        let fields: BTreeMap<&str, serde_json::Value> =
            settings.iter().map(|field| (*field, serde_json::json!({ "type": "string" }))).collect();
        known.description.settings = serde_json::json!({
            "type": "object", "additionalProperties": false, "properties": fields, "required": settings
        });
        all.insert(name.to_owned(), known);
    }
    all
}

#[test]
fn the_library_is_clean() {
    let catalog = plugins();
    let mut count = 0;
    for entry in std::fs::read_dir(library()).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        assert!(folder.join("README.md").is_file(), "{}", folder.display());
        let others = Folder(folder.clone());
        let mut runbooks = Vec::new();
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "kdl") {
                let file = source(path.file_name().unwrap().to_str().unwrap(), &read(&path));
                assert_eq!(format(&file).unwrap(), file.text, "{}", path.display());
                runbooks.extend(file.text.contains("\nrunbook ").then_some(file));
            }
        }
        assert!(runbooks.iter().any(|file| file.name == "runbook.kdl"), "{}", folder.display());
        for file in runbooks {
            let checked = check_with(&file, &others, &catalog);
            let found = checked.diagnostics;
            assert!(found.is_empty(), "{}\n{}", folder.display(), rendered_files(&file, &others, &found));
            let runbook = checked.runbook.unwrap();
            let required = runbook.inputs.iter().filter(|input| input.required);
            let inputs: BTreeMap<String, String> =
                required.map(|input| (input.name.text.clone(), "1".to_owned())).collect();
            for mode in runbook.modes() {
                let made = compile_with(&file, &others, &catalog, mode, &inputs);
                let made = made.map_err(|found| rendered_files(&file, &others, &found)).unwrap();
                assert!(made.warnings.is_empty() && !made.plan.steps.is_empty());
                count += 1;
            }
        }
    }
    assert!(count >= 8, "{count}");
}

fn shards(mode: Mode, shards: &str) -> Plan {
    let folder = library().join("shards-recovery");
    let file = source("runbook.kdl", &read(&folder.join("runbook.kdl")));
    let inputs = BTreeMap::from([("reason".to_owned(), "x".to_owned()), ("shards".to_owned(), shards.to_owned())]);
    compile_with(&file, &Folder(folder), &catalog(), mode, &inputs).unwrap().plan
}

#[test]
fn the_shards_are_all_in_the_plan() {
    let plan = shards(Mode::Failover, "eu,us");
    let ids: Vec<&str> = plan.steps.iter().map(|step| step.id.as_str()).collect();
    let mut want = vec!["vault-is-whole".to_owned(), "go".to_owned()];
    for shard in ["eu", "us"] {
        want.extend(["prove", "rebuild", "look", "serve"].map(|step| format!("shard/{shard}/{step}")));
    }
    want.extend(["all-there/eu".to_owned(), "all-there/us".to_owned()]);
    assert_eq!(ids, want);
    let locks: Vec<&str> = plan.locks().into_iter().collect();
    assert_eq!(locks, ["fs:/srv/shards/eu", "fs:/srv/shards/eu/data", "fs:/srv/shards/us", "fs:/srv/shards/us/data"]);
    let drill = shards(Mode::Drill, "eu");
    assert!(drill.locks().iter().all(|lock| lock.starts_with("fs:/srv/drill/{{run.id}}/eu")));
    assert!(drill.steps.iter().all(|step| step.approval.is_none()));
}
