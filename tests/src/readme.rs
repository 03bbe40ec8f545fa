//! What the README shows is what works.

use lifeboat_core::plan::Mode;
use lifeboat_runbook::SourceFile;

use crate::bench::world;

/// The blocks of KDL in the README, in its order.
fn blocks() -> Vec<SourceFile> {
    let text = std::fs::read_to_string(world::root().join("README.md")).unwrap();
    let inside = |block: &str| block.split_once("```").unwrap().0.to_owned();
    text.split("```kdl\n")
        .skip(1)
        .map(|block| SourceFile { name: "README.md".to_owned(), text: inside(block) })
        .collect()
}

#[test]
fn the_runbook_of_the_readme_compiles_in_its_modes() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = world::host(folder.path()).catalog();
    let runbook = &blocks()[0];
    let (_, mistakes) = lifeboat_runbook::check(runbook, &catalog);
    assert!(mistakes.is_empty(), "{mistakes:?}");
    let inputs = [("reason".to_owned(), "fire".to_owned())].into();
    for (mode, steps) in [(Mode::Failover, 5), (Mode::Drill, 4)] {
        let (plan, _) = lifeboat_runbook::compile(runbook, &catalog, mode, &inputs).unwrap();
        assert_eq!(plan.steps.len(), steps);
    }
}

#[test]
fn the_operators_file_of_the_readme_grants_what_its_runbook_uses() {
    let operator = lifeboat_runbook::operator::parse_operator(&blocks()[1], std::path::Path::new("/etc")).unwrap();
    assert_eq!((operator.grants.len(), operator.drill_grants.len()), (1, 2));
    assert!(operator.secrets.contains_key("vault-password"));
    let drilled: Vec<_> = operator.grants_for(Mode::Drill).iter().flat_map(|grant| &grant.dirs).collect();
    assert!(drilled.iter().all(|dir| !dir.path.starts_with("/srv/site")), "{drilled:?}");
}
