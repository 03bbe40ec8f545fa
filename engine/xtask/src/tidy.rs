//! `cargo xtask tidy`: the house rules that no other tool checks, over all files that git tracks.

use crate::{functions, shell};

/// Lines of a Rust file. What is longer is more than one thing.
const FILE_LINES_MAX: usize = 500;

/// Texts that have no business in a public repository: where it was made, and by which private mirrors. They are put
/// together here, so that this file passes its own check.
const FORBIDDEN: [(&str, &str); 7] = [
    (concat!("/wo", "rk/"), "the path of somebody's machine"),
    (concat!("/ro", "ot/"), "the path of somebody's machine"),
    (concat!("/tmp/", "t-"), "the path of somebody's machine"),
    (concat!("arti", "factory"), "the host of a private registry"),
    (concat!("jf", "rog"), "the host of a private registry"),
    (concat!("index.", "crates"), "the host of a registry"),
    (concat!("static.", "crates"), "the host of a registry"),
];

/// Endings of the files that are text and ours.
const TEXT: [&str; 10] = [".rs", ".md", ".toml", ".kdl", ".wit", ".json", ".sh", ".yml", ".html", ".txt"];

/// Checks every tracked file and prints each finding as `file:line: what`.
///
/// # Errors
/// There were findings; how many.
pub fn run() -> Result<(), String> {
    let files = shell::tracked()?;
    let mut findings: Vec<String> = Vec::new();
    for path in &files {
        // What is not UTF-8 is not text: built plugins, pictures, damaged files for tests.
        let Ok(text) = std::fs::read_to_string(shell::root().join(path)) else { continue };
        let found = check(path, &text);
        findings.extend(found.into_iter().map(|(line, what)| format!("{path}:{line}: {what}")));
    }
    for finding in &findings {
        println!("{finding}");
    }
    if findings.is_empty() {
        println!("tidy: {} files, nothing to say", files.len());
        return Ok(());
    }
    Err(format!("{} findings in {} files", findings.len(), files.len()))
}

/// Files that are data of tests: they are as they are on purpose.
fn is_data(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "golden" | "damaged" | "snapshots"))
}

fn check(path: &str, text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    if path.ends_with(".lock") {
        return found;
    }
    for (number, line) in (1..).zip(text.lines()) {
        for (word, why) in FORBIDDEN {
            if line.contains(word) {
                found.push((number, format!("names {why}: '{word}'")));
            }
        }
        let blank = line.ends_with(' ') || line.ends_with('\t');
        if blank && !is_data(path) && TEXT.iter().any(|ending| path.ends_with(ending)) {
            found.push((number, "ends with blanks".to_owned()));
        }
    }
    if is_data(path) {
        return found;
    }
    if path.ends_with(".rs") {
        found.extend(rust(text));
    } else if path.ends_with(".md") && !text.trim_start().starts_with("# ") {
        found.push((1, "does not begin with a title (`# …`)".to_owned()));
    } else if path.ends_with("Cargo.toml") {
        found.extend(manifest(path, text));
    }
    found
}

fn rust(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let lines = text.lines().count();
    if lines > FILE_LINES_MAX {
        found.push((lines, format!("the file has {lines} lines, {FILE_LINES_MAX} are allowed")));
    }
    match functions::findings(text) {
        Ok(more) => found.extend(more),
        Err(message) => found.push((1, message)),
    }
    found
}

/// A crate of a workspace takes over its lints, or some rules hold everywhere but there.
fn manifest(path: &str, text: &str) -> Option<(usize, String)> {
    let table: toml::Table = match text.parse() {
        Ok(table) => table,
        Err(error) => return Some((1, format!("is not TOML: {error}"))),
    };
    let inherits = table.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool);
    // The fuzz targets are a workspace of their own, made by cargo-fuzz; the example of a plugin is there to be copied out
    // of this repository, so it stands by itself.
    let alone = path.starts_with("fuzz/") || path == "examples/write-a-plugin/Cargo.toml";
    let crates = table.contains_key("package") && !alone;
    (crates && inherits != Some(true)).then(|| (1, "does not inherit the workspace's lints".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_finds_its_breach() {
        let home = concat!("see /wo", "rk/main");
        assert_eq!(check("a.md", &format!("# A\n\n{home}\n")).len(), 1);
        assert_eq!(check("a.md", "No title\n").len(), 1);
        assert_eq!(check("a.md", "# A \n").len(), 1);
        assert_eq!(check("tests/golden/a.txt", "as it is \n").len(), 0);
        assert_eq!(check("a/Cargo.toml", "[package]\nname = \"a\"\n").len(), 1);
        assert_eq!(check("a/Cargo.toml", "[package]\nname = \"a\"\n[lints]\nworkspace = true\n").len(), 0);
        assert_eq!(check("a.rs", &format!("//! Why.\n{}", "// A line.\n".repeat(499))).len(), 0);
        assert_eq!(check("a.rs", &format!("//! Why.\n{}", "// A line.\n".repeat(500))).len(), 1);
    }
}
