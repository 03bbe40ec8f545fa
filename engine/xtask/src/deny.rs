//! `cargo xtask deny`: what the tree of dependencies may hold, by `deny.toml`.
//!
//! Licences, forbidden crates and duplicates are judged here from `cargo metadata`, offline and in a second, since
//! cargo-deny takes minutes to build. Where cargo-deny is installed it runs too: it reads the same file, and it alone
//! knows the database of advisories.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::{shell, spdx};

#[derive(Deserialize)]
struct Rules {
    graph: Graph,
    licenses: Licences,
    bans: Bans,
    advisories: Advisories,
}

#[derive(Deserialize)]
struct Graph {
    targets: Vec<String>,
}

#[derive(Deserialize)]
struct Licences {
    allow: Vec<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

/// Licences that one crate may have besides.
#[derive(Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    skip: Vec<Entry>,
    deny: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "crate")]
    name: String,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
struct Advisories {
    ignore: Vec<Ignored>,
}

#[derive(Deserialize)]
struct Ignored {
    id: String,
    reason: String,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    id: String,
    license: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
}

/// Judges the locked tree for the targets that `deny.toml` names.
///
/// # Errors
/// Everything that is not allowed, and every entry of `deny.toml` that nothing needs any more.
pub fn run() -> Result<(), String> {
    let text =
        std::fs::read_to_string(shell::root().join("deny.toml")).map_err(|error| format!("deny.toml: {error}"))?;
    let rules: Rules = toml::from_str(&text).map_err(|error| format!("deny.toml: {error}"))?;
    let packages = packages(&rules.graph.targets)?;
    let mut wrong = licences(&packages, &rules.licenses);
    wrong.extend(bans(&packages, &rules.bans));
    for ignored in rules.advisories.ignore.iter().filter(|ignored| ignored.reason.trim().is_empty()) {
        wrong.push(format!("advisory {} is ignored without a reason", ignored.id));
    }
    for finding in &wrong {
        println!("{finding}");
    }
    if !wrong.is_empty() {
        return Err(format!("{} findings in {} crates", wrong.len(), packages.len()));
    }
    println!(
        "deny: {} crates; licences, bans and duplicates are in order; {} advisories ignored with reasons",
        packages.len(),
        rules.advisories.ignore.len()
    );
    if shell::has("cargo-deny") {
        return shell::run(&["cargo", "deny", "check"]);
    }
    println!("cargo-deny is not installed: advisories are not looked up");
    Ok(())
}

fn packages(targets: &[String]) -> Result<Vec<Package>, String> {
    let mut line = vec!["cargo", "metadata", "--locked", "--format-version", "1"];
    for target in targets {
        line.extend(["--filter-platform", target]);
    }
    let metadata: Metadata =
        serde_json::from_str(&shell::output(&line)?).map_err(|error| format!("cargo metadata: {error}"))?;
    let used: BTreeSet<&str> = metadata.resolve.nodes.iter().map(|node| node.id.as_str()).collect();
    Ok(metadata.packages.into_iter().filter(|package| used.contains(package.id.as_str())).collect())
}

fn licences(packages: &[Package], rules: &Licences) -> Vec<String> {
    let mut wrong = Vec::new();
    for package in packages {
        let name = format!("{}@{}", package.name, package.version);
        let own = rules.exceptions.iter().filter(|exception| exception.name == package.name);
        let allowed: Vec<String> =
            rules.allow.iter().chain(own.flat_map(|exception| &exception.allow)).cloned().collect();
        match package.license.as_deref().map(|expression| (expression, spdx::satisfied(expression, &allowed))) {
            Some((_, Ok(true))) => {}
            Some((expression, Ok(false))) => wrong.push(format!("{name}: licence '{expression}' is not allowed")),
            Some((_, Err(error))) => wrong.push(format!("{name}: {error}")),
            None => wrong.push(format!("{name} names no licence")),
        }
    }
    wrong
}

/// Of a crate that is there in several versions, all but one have to be skipped by name and with a reason.
fn bans(packages: &[Package], rules: &Bans) -> Vec<String> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in packages {
        versions.entry(&package.name).or_default().insert(&package.version);
    }
    let mut wrong = Vec::new();
    for entry in &rules.deny {
        if versions.contains_key(entry.name.as_str()) {
            wrong.push(format!("{} is banned: {}", entry.name, entry.reason));
        }
    }
    let skipped: BTreeSet<&str> = rules.skip.iter().map(|entry| entry.name.as_str()).collect();
    for (name, found) in &versions {
        let open: Vec<&&str> =
            found.iter().filter(|version| !skipped.contains(format!("{name}@{version}").as_str())).collect();
        if open.len() > 1 {
            let list: Vec<String> = open.iter().map(|version| format!("{name}@{version}")).collect();
            wrong.push(format!("{}: several versions, and deny.toml does not say why", list.join(", ")));
        }
    }
    for entry in &rules.skip {
        let several = entry.name.split_once('@').is_some_and(|(name, version)| {
            versions.get(name).is_some_and(|found| found.len() > 1 && found.contains(version))
        });
        if !several {
            wrong.push(format!("deny.toml skips {}, which is no duplicate any more", entry.name));
        }
        if entry.reason.trim().is_empty() {
            wrong.push(format!("deny.toml skips {} without a reason", entry.name));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, version: &str, license: Option<&str>) -> Package {
        let license = license.map(str::to_owned);
        Package { name: name.into(), version: version.into(), id: format!("{name}@{version}"), license }
    }

    fn entry(name: &str, reason: &str) -> Entry {
        Entry { name: name.into(), reason: reason.into() }
    }

    #[test]
    fn licences_have_to_be_named_and_allowed() {
        let tree = [
            package("a", "1.0.0", Some("MIT")),
            package("b", "1.0.0", Some("X")),
            package("c", "1.0.0", None),
            package("d", "1.0.0", Some("X")),
        ];
        let exceptions = vec![Exception { name: "d".into(), allow: vec!["X".into()] }];
        let rules = Licences { allow: vec!["MIT".into()], exceptions };
        assert_eq!(licences(&tree, &rules), ["b@1.0.0: licence 'X' is not allowed", "c@1.0.0 names no licence"]);
    }

    #[test]
    fn duplicates_need_reasons_and_reasons_need_duplicates() {
        let tree = [package("a", "1.0.0", None), package("a", "2.0.0", None), package("b", "1.0.0", None)];
        let judge = |skip, deny| bans(&tree, &Bans { skip, deny });
        assert_eq!(judge(vec![], vec![]).len(), 1);
        assert_eq!(judge(vec![entry("a@1.0.0", "old c needs it")], vec![]), Vec::<String>::new());
        assert_eq!(judge(vec![entry("a@1.0.0", "")], vec![]), ["deny.toml skips a@1.0.0 without a reason"]);
        let stale = judge(vec![entry("a@1.0.0", "c"), entry("b@1.0.0", "c")], vec![]);
        assert_eq!(stale, ["deny.toml skips b@1.0.0, which is no duplicate any more"]);
        assert_eq!(judge(vec![entry("a@1.0.0", "c")], vec![entry("b", "no")]), ["b is banned: no"]);
    }
}
