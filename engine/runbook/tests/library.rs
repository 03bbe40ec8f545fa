//! The runbooks of the library check clean, are in canonical form, and compile in each of their modes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::{catalog, rendered, source};
use lifeboat_runbook::{check, compile, format};

#[test]
fn the_library_is_clean() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../runbooks");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let folder = entry.unwrap().path();
        let path = folder.join("runbook.kdl");
        if !folder.is_dir() {
            continue;
        }
        count += 1;
        assert!(folder.join("README.md").is_file(), "{}", folder.display());
        let text = std::fs::read_to_string(&path).unwrap();
        let file = source(&path.display().to_string(), &text);
        let (runbook, found) = check(&file, &catalog());
        assert!(found.is_empty(), "{}\n{}", path.display(), rendered(&text, &found));
        assert_eq!(format(&file).unwrap(), text, "{}", path.display());
        let runbook = runbook.unwrap();
        let inputs: BTreeMap<String, String> =
            runbook.inputs.iter().filter(|i| i.required).map(|i| (i.name.text.clone(), "1".to_owned())).collect();
        for mode in runbook.modes() {
            let plan = compile(&file, &catalog(), mode, &inputs).map_err(|found| rendered(&text, &found)).unwrap().0;
            assert!(!plan.steps.is_empty());
        }
    }
    assert!(count >= 3);
}
