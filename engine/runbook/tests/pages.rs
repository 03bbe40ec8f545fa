//! Every code that the engine can show has a page.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::path::Path;

fn collect(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // Tests may use codes that do not exist.
            if !path.ends_with("tests") && !path.ends_with("target") {
                collect(&path, found);
            }
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            // Codes are written as string literals; comments may speak of ranges.
            for (at, _) in text.match_indices("\"LB") {
                let code: String = text[at + 1..].chars().take(6).collect();
                if code.len() == 6 && code[2..].bytes().all(|b| b.is_ascii_digit()) {
                    found.insert(code);
                }
            }
        }
    }
}

#[test]
fn every_code_has_a_page_and_every_page_a_form() {
    let mut used = BTreeSet::new();
    collect(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap(), &mut used);
    let pages: BTreeSet<String> = lifeboat_runbook::codes().map(str::to_owned).collect();
    let without: Vec<_> = used.difference(&pages).collect();
    assert!(without.is_empty(), "codes without a page: {without:?}");
    for code in &pages {
        let page = lifeboat_runbook::explain(code).unwrap();
        assert!(page.starts_with(&format!("# {code}: ")), "{code}");
        assert!(page.contains("## How to mend it") && page.contains("## Example"), "{code}");
    }
    // The compiler's own pages are all used; those of other parts may be ahead of them.
    let idle: Vec<_> = pages.iter().filter(|code| code.as_str() < "LB0500" && !used.contains(*code)).collect();
    assert!(idle.is_empty(), "pages that nothing shows: {idle:?}");
    assert_eq!(lifeboat_runbook::explain("lb0303"), lifeboat_runbook::explain("LB0303"));
    assert_eq!(lifeboat_runbook::explain("LB9999"), None);
}
