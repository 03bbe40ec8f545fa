//! `cargo xtask schemas`: the generated files of `schemas/`, from the types and tables that the engine itself works with.
//!
//! Three small programs print them. The one of `core` is built apart, with the feature `schema`, and therefore by itself:
//! in one build with the rest, its derives would have half of the tree built a second time.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use crate::shell;

const CORE: [&str; 11] = [
    "cargo",
    "run",
    "--release",
    "--locked",
    "--quiet",
    "--package",
    "lifeboat-core",
    "--bin",
    "lifeboat-schemas",
    "--features",
    "schema",
];

/// Of the workspace with all its features, as the tests are built: then nothing is built twice.
const LANGUAGE: [&str; 8] =
    ["cargo", "build", "--release", "--locked", "--quiet", "--workspace", "--example", "language"];

/// Apart, as that of `core`.
const OPENAPI: [&str; 11] = [
    "cargo",
    "run",
    "--release",
    "--locked",
    "--quiet",
    "--package",
    "lifeboat-service",
    "--example",
    "openapi",
    "--features",
    "openapi",
];

/// Writes the generated files.
///
/// # Errors
/// A generator could not be built or run, or a file could not be written.
pub fn write() -> Result<(), String> {
    for (name, text) in generated()? {
        let path = path(&name);
        if std::fs::read_to_string(&path).is_ok_and(|there| there == text) {
            println!("schemas/{name}: as it was");
            continue;
        }
        std::fs::write(&path, text).map_err(|error| format!("schemas/{name}: {error}"))?;
        println!("schemas/{name}: written");
    }
    Ok(())
}

/// Tells whether the committed files are what would be generated.
///
/// # Errors
/// Each file that differs, with its first line that does.
pub fn check() -> Result<(), String> {
    let mut wrong = Vec::new();
    for (name, text) in generated()? {
        match std::fs::read_to_string(path(&name)) {
            Ok(there) if there == text => println!("schemas/{name}: as generated"),
            Ok(there) => {
                wrong.push(format!("\n  schemas/{name} differs from line {} on", first_difference(&there, &text)))
            }
            Err(error) => wrong.push(format!("\n  schemas/{name}: {error}")),
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(format!("schemas/ is not what the sources say; run 'cargo xtask schemas' and commit:{}", wrong.concat()))
}

/// The texts by name of file.
fn generated() -> Result<BTreeMap<String, String>, String> {
    let printed = shell::output(&CORE)?;
    let schemas: BTreeMap<String, Value> =
        serde_json::from_str(&printed).map_err(|error| format!("what lifeboat-schemas printed: {error}"))?;
    let mut files = BTreeMap::new();
    for (name, schema) in schemas {
        let text = serde_json::to_string_pretty(&schema).map_err(|error| format!("{name}: {error}"))?;
        files.insert(name, text + "\n");
    }
    shell::run(&LANGUAGE)?;
    let program = shell::target().join("release/examples/language");
    files.insert("runbook.md".to_owned(), shell::output(&[&program.to_string_lossy()])?);
    files.insert("openapi.json".to_owned(), shell::output(&OPENAPI)?);
    Ok(files)
}

fn path(name: &str) -> PathBuf {
    shell::root().join("schemas").join(name)
}

/// The first line, from 1, in which two texts differ.
fn first_difference(one: &str, other: &str) -> usize {
    one.lines().zip(other.lines()).take_while(|(a, b)| a == b).count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_has_its_line() {
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), 2);
        assert_eq!(first_difference("a\n", "a\nb\n"), 2);
        assert_eq!(first_difference("", "a"), 1);
    }
}
