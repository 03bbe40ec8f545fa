//! No text makes the compiler panic, and formatting changes nothing but the form.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::path::Path;

use common::{Files, catalog, source};
use lifeboat_core::graph::PlanGraph;
use lifeboat_core::plan::Mode;
use lifeboat_core::template::references_in;
use lifeboat_runbook::{SourceFile, check, check_with, compile_with, format, operator};
use proptest::prelude::*;

const DEMO: &str = include_str!("valid/demo.kdl");

/// Pieces that mean something to the lexer, the parser or the compiler.
const PIECES: [&str; 44] = [
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
    "include \"a.kdl\"\n",
    "run \"r\" runbook=\"b.kdl\" {",
    "for-each=\"{{inputs.list}}\"",
    "for-each \"a\" \"b\"\n",
    "when \"{{inputs.reason}}\" is=\"x\"\n",
    "input \"list\" type=\"list\" default=\"a,b\"\n",
    "{{item}}",
    "after=\"r\"",
    "lock \"x\"\n",
    "compensate { retry 3 }\n",
];

const PARENT: &str = include_str!("valid/parent.kdl");
const CHILD: &str = include_str!("valid/files/child.kdl");
const EACH: &str = include_str!("valid/each.kdl");

fn mutated() -> impl Strategy<Value = String> {
    mutated_from(DEMO)
}

fn mutated_from(text: &'static str) -> impl Strategy<Value = String> {
    let edit = (any::<prop::sample::Index>(), 0..40_usize, prop::sample::select(PIECES.to_vec()));
    prop::collection::vec(edit, 0..5).prop_map(move |edits| {
        let mut chars: Vec<char> = text.chars().collect();
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

    /// Whatever the files say, and however they name each other: an end, no panic, and places inside of the files.
    #[test]
    fn no_files_panic(parent in mutated_from(PARENT), child in mutated_from(CHILD), soup in soup()) {
        let names = ["files/child.kdl", "files/common.kdl", "files/deep/grandchild.kdl", "a.kdl", "b.kdl"];
        let texts = [&child, &soup, &child, &soup, &parent];
        let files = Files(names.iter().map(|name| (*name).to_owned()).zip(texts.map(String::clone)).collect());
        let first = source("x.kdl", &parent);
        for one in check_with(&first, &files, &catalog()).diagnostics {
            let text = if one.file == first.name { &first.text } else { &files.0[&one.file] };
            prop_assert!(text.get(one.span.offset..one.span.end()).is_some(), "{one:?}");
            prop_assert!(one.labels.iter().all(|(span, _)| text.get(span.offset..span.end()).is_some()), "{one:?}");
        }
        let inputs = [("reason".to_owned(), "fire".to_owned()), ("shards".to_owned(), soup.clone())].into();
        if let Ok(made) = compile_with(&first, &files, &catalog(), Mode::Failover, &inputs) {
            prop_assert!(PlanGraph::new(&made.plan).is_ok());
            prop_assert!(made.text.contains(&first.text));
        }
        formatting_keeps(&child);
    }

    /// What is checked and compiled agree: a clean file has a plan, and every reference in it has a step or an input.
    #[test]
    fn what_is_clean_compiles(text in mutated_from(EACH), items in "[a-z{}., ]{0,12}") {
        let file = source("x.kdl", &text);
        let inputs = [("files".to_owned(), items.clone())].into();
        let clean = check_with(&file, &Files::of(&[]), &catalog()).diagnostics.is_empty();
        match compile_with(&file, &Files::of(&[]), &catalog(), Mode::Failover, &inputs) {
            Ok(made) => {
                for step in &made.plan.steps {
                    for found in references_in(&step.args).unwrap() {
                        let known = match found.path[0].as_str() {
                            "steps" => step.after.contains(&found.path[1].as_str().into()),
                            _ => found.path[0] == "inputs" || found.path[0] == "run",
                        };
                        prop_assert!(known, "{} in {}", found.dotted(), step.id);
                    }
                }
            }
            Err(found) => prop_assert!(
                !clean || found.iter().all(|one| ["LB0219", "LB0220", "LB0221", "LB0226", "LB0231"].contains(&one.code)),
                "{found:?}"
            ),
        }
    }

    #[test]
    fn a_formatted_file_says_the_same(text in mutated()) {
        formatting_keeps(&text);
    }
}

/// Found by fuzzing: the form left the semicolon away, and the backslash became the end of a line.
#[test]
fn a_backslash_with_something_behind_it_is_a_mistake_and_with_a_comment_it_is_none() {
    for text in ["+\\;", "runbook \\ \"x\" {\n}\n"] {
        let errors = format(&source("x.kdl", text)).unwrap_err();
        assert!(errors.iter().any(|one| one.code == "LB0105"), "{text:?}: {errors:?}");
    }
    for text in ["wait \\ /* a */ /* b */ // c\n \"5m\"\n", "wait \"5m\" \\"] {
        formatting_keeps(text);
        assert!(format(&source("x.kdl", text)).is_ok(), "{text:?}");
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
