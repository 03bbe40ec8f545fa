//! One golden file a mistake. `LIFEBOAT_BLESS=1` writes what is found; a person reads the difference.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use common::{Folder, catalog, rendered, rendered_files, source};
use lifeboat_runbook::{check, check_with};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mistakes")
}

fn files() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "kdl")).collect();
    files.sort();
    files
}

#[test]
fn every_mistake_is_reported_as_its_golden_file_says() {
    let bless = std::env::var_os("LIFEBOAT_BLESS").is_some();
    let mut different = Vec::new();
    for path in files() {
        let text = std::fs::read_to_string(&path).unwrap();
        let (file, others) = (source("runbook.kdl", &text), Folder(folder()));
        let found = check_with(&file, &others, &catalog()).diagnostics;
        assert!(!found.is_empty(), "{} has no mistake", path.display());
        assert!(found.iter().all(|one| one.help.is_some()), "{} has a mistake without help", path.display());
        let now = rendered_files(&file, &others, &found);
        let golden = path.with_extension("expected");
        if bless {
            std::fs::write(&golden, &now).unwrap();
        } else if std::fs::read_to_string(&golden).unwrap_or_default() != now {
            different.push(format!("{}:\n{now}", path.display()));
        }
    }
    assert!(different.is_empty(), "LIFEBOAT_BLESS=1 accepts this:\n{}", different.join("\n"));
}

#[test]
fn there_are_many_mistakes_with_many_codes() {
    let mut codes = BTreeSet::new();
    for path in files() {
        let text = std::fs::read_to_string(&path).unwrap();
        let found = check_with(&source("x", &text), &Folder(folder()), &catalog()).diagnostics;
        codes.extend(found.into_iter().map(|one| one.code));
    }
    assert!(files().len() >= 60, "{} files", files().len());
    assert!(codes.len() >= 45, "{} codes: {codes:?}", codes.len());
}

#[test]
fn a_secret_in_the_open_is_in_no_excerpt_and_places_stay_where_they_are() {
    let text = std::fs::read_to_string(folder().join("secret-written.kdl")).unwrap();
    // A mistake on the line below, whose excerpt has lines above it, too.
    let text = text.replace("root \"/srv/standby\"", "roof \"/srv/standby\"").replace("hunter2", "hünter2");
    let (_, found) = check(&source("runbook.kdl", &text), &catalog());
    assert!(found.len() >= 2, "{found:?}");
    for one in found {
        let place = miette::SourceSpan::from((one.span.offset, one.span.len));
        let excerpt = miette::Diagnostic::source_code(&one).unwrap().read_span(&place, 3, 3).unwrap().data().to_vec();
        let excerpt = String::from_utf8(excerpt).unwrap();
        assert!(!excerpt.contains("nter2") && excerpt.contains("password **********"), "{excerpt}");
        assert!(one.line != 3 || one.column == 53, "{one:?}");
    }
}

#[test]
fn ten_mistakes_are_ten_reports() {
    let text = include_str!("ten-mistakes.kdl");
    let (_, found) = check(&source("ten-mistakes.kdl", text), &catalog());
    assert_eq!(found.len(), 10, "{}", rendered(text, &found));
}
