//! No text makes the compiler panic, and formatting changes nothing but the form.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::path::Path;

use common::{catalog, source};
use lifeboat_runbook::{SourceFile, check, format, operator};
use proptest::prelude::*;

const DEMO: &str = include_str!("valid/demo.kdl");

/// Pieces that mean something to the lexer, the parser or the compiler.
const PIECES: [&str; 34] = [
    "{",
    "}",
    "\"",
    "\"\"\"",
    "#\"",
    "\"#",
    "/*",
    "*/",
    "//",
    "/-",
    "\\",
    "\n",
    ";",
    "=",
    "(",
    ")",
    "#true",
    "1.5e9",
    "{{",
    "}}",
    "{{steps.take.snapshot}}",
    "runbook",
    "snapshot \"take\"",
    "after=\"take\"",
    "\u{feff}",
    "\r",
    "é",
    "\0",
    "\t",
    "restore",
    "mode \"drill\" {",
    "    ",
    "wait \"5m\"",
    "7",
];

fn mutated() -> impl Strategy<Value = String> {
    let edit = (any::<prop::sample::Index>(), 0..40_usize, prop::sample::select(PIECES.to_vec()));
    prop::collection::vec(edit, 0..5).prop_map(|edits| {
        let mut chars: Vec<char> = DEMO.chars().collect();
        for (at, remove, insert) in edits {
            let at = at.index(chars.len() + 1).min(chars.len());
            let end = (at + remove / 8).min(chars.len());
            chars.splice(at..end, insert.chars());
        }
        chars.into_iter().collect()
    })
}

fn soup() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..60).prop_map(|pieces| pieces.concat())
}

fn codes(text: &str) -> Vec<&'static str> {
    let mut codes: Vec<_> = check(&source("x.kdl", text), &catalog()).1.iter().map(|one| one.code).collect();
    codes.sort_unstable();
    codes
}

fn formatting_keeps(text: &str) {
    let Ok(once) = format(&source("x.kdl", text)) else { return };
    let twice = format(&source("x.kdl", &once)).unwrap_or_else(|errors| panic!("{errors:?}\n{text}\n---\n{once}"));
    assert_eq!(once, twice, "from {text:?}");
    assert_eq!(codes(text), codes(&once), "from {text}\n--- to\n{once}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(file) = SourceFile::from_bytes("x.kdl", &bytes) {
            let _ = check(&file, &catalog());
            let _ = operator::parse_operator(&file, Path::new("/"));
        }
    }

    #[test]
    fn no_soup_panics(text in soup()) {
        let _ = check(&source("x.kdl", &text), &catalog());
        let _ = operator::parse_operator(&source("x.kdl", &text), Path::new("/"));
        formatting_keeps(&text);
    }

    #[test]
    fn a_formatted_file_says_the_same(text in mutated()) {
        formatting_keeps(&text);
    }
}

#[test]
fn the_demo_is_in_canonical_form_and_comments_stay() {
    assert_eq!(format(&source("demo.kdl", DEMO)).unwrap(), DEMO);
    let text =
        "// a\nrunbook \"x\"   {\n\n\n  /* b */ owner   \"y\" ; // c\n wait \\ // d\n \"5m\"\n\n\n\n /- owner \"z\"\n}";
    let want = "// a\nrunbook \"x\" {\n    /* b */ owner \"y\" // c\n    wait \\ // d\n        \"5m\"\n\n    /- owner \"z\"\n}\n";
    assert_eq!(format(&source("x.kdl", text)).unwrap(), want);
}

#[test]
fn hostile_texts_end() {
    for piece in ["{", "}", "a{", "(", "/*", "\"", "/-", "\\\n", "#", "a=", "{{", "a \"\\q} \" {\n", ")", "*"] {
        let text = piece.repeat(60_000 / piece.len());
        assert!(check(&source("x.kdl", &text), &catalog()).0.is_none(), "{piece}");
        let inside = format!("runbook \"x\" {{\n{text}\n}}\n");
        assert!(!check(&source("x.kdl", &inside), &catalog()).1.is_empty(), "{piece}");
    }
}
