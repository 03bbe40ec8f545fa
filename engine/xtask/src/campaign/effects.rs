//! What became of the folders, looked at from outside and counted against what the plan asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::plan::VAULTS;
use super::world::{World, at};

/// Effects that were found and were expected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Snapshots in vaults, also those that came by transfer.
    pub snapshots: u64,
    /// Files that were brought back.
    pub files: u64,
    /// Links that lead where they should.
    pub links: u64,
    /// Swaps.
    pub swaps: u64,
    /// Temporary files that a kill left in vaults, where they harm nobody.
    pub strays: u64,
}

impl Effects {
    /// Adds those of another world.
    pub fn add(&mut self, other: Self) {
        self.snapshots += other.snapshots;
        self.files += other.files;
        self.links += other.links;
        self.swaps += other.swaps;
        self.strays += other.strays;
    }
}

/// Compares everything with the plan.
///
/// # Errors
/// The first thing that is not as it would be after a run that nobody disturbed.
pub fn check(world: &World) -> Result<Effects, String> {
    let mut found = Effects { strays: strays(world)?, ..Effects::default() };
    for chain in &world.plan.restores {
        found.files += same(&world.path(&format!("live{chain}")), &world.path(&format!("svc/back{chain}")))?;
    }
    for chain in &world.plan.links {
        let link = world.path(&format!("svc/use{chain}"));
        let to = fs::read_link(&link).map_err(at(&link))?;
        if to != Path::new(&format!("back{chain}")) {
            return Err(format!("{} leads to {}", link.display(), to.display()));
        }
        found.links += 1;
    }
    for (pair, count) in world.plan.pairs.iter().enumerate() {
        let swapped = count % 2 == 1;
        for (side, other) in [("a", "b"), ("b", "a")] {
            let path = world.path(&format!("svc/pair{pair}/{side}/content"));
            let content = fs::read_to_string(&path).map_err(at(&path))?;
            let expected = format!("{pair} {}", if swapped { other } else { side });
            if content != expected {
                return Err(format!("pair {pair} was to be swapped {count} times: '{side}' holds '{content}'"));
            }
        }
        found.swaps += count;
    }
    for (vault, expected) in VAULTS.iter().zip(world.plan.snapshots) {
        if expected > 0 {
            found.snapshots += snapshots(world, vault, expected)?;
        }
    }
    let doctor = world.good(&["doctor"])?;
    if doctor.contains("BAD") { Err(format!("doctor finds:\n{doctor}")) } else { Ok(found) }
}

fn snapshots(world: &World, vault: &str, expected: u64) -> Result<u64, String> {
    let text = world.good(&["snapshots", vault, "--runbook", "run.kdl", "--json"])?;
    let all: Vec<Value> = serde_json::from_str(&text).map_err(|cause| format!("snapshots --json: {cause}\n{text}"))?;
    let tags = all.iter().filter_map(|one| one.get("tags")?.as_array()).flatten().filter_map(Value::as_str);
    // A copy keeps the keys of what it is a copy of.
    let keys: BTreeSet<&str> = tags.filter(|tag| tag.starts_with("lifeboat-key:")).collect();
    let count = all.len() as u64;
    if count != expected || (keys.len() as u64) < expected {
        return Err(format!("the vault {vault} should hold {expected} snapshots, and holds {count}:\n{text}"));
    }
    Ok(count)
}

/// What a file or folder is, to the byte.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    mode: u32,
    modified: Option<i64>,
    digest: String,
}

/// Requires two trees to be the same: paths, bytes, permissions, times. How many files they have.
fn same(one: &Path, other: &Path) -> Result<u64, String> {
    let (first, second) = (tree(one)?, tree(other)?);
    for path in first.keys().chain(second.keys()) {
        if first.get(path) != second.get(path) {
            let (a, b) = (first.get(path), second.get(path));
            return Err(format!("{} is not as in {}: {a:?} became {b:?}", other.join(path).display(), one.display()));
        }
    }
    Ok(first.values().filter(|entry| !entry.digest.is_empty()).count() as u64)
}

fn tree(root: &Path) -> Result<BTreeMap<PathBuf, Entry>, String> {
    let mut found = BTreeMap::new();
    for path in walk(root)? {
        let meta = fs::symlink_metadata(&path).map_err(at(&path))?;
        let digest = match meta.is_file() {
            true => blake3::hash(&fs::read(&path).map_err(at(&path))?).to_hex().to_string(),
            false => String::new(),
        };
        let entry = Entry { mode: meta.mode(), modified: meta.is_file().then(|| meta.mtime()), digest };
        found.insert(path.strip_prefix(root).unwrap_or(&path).to_owned(), entry);
    }
    Ok(found)
}

/// Everything below a folder.
fn walk(root: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(at(&folder))? {
            let path = entry.map_err(at(&folder))?.path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path.clone());
            }
            found.push(path);
        }
    }
    Ok(found)
}

/// Files that somebody left behind. Among a person's own data there must be none; in a vault they are counted.
fn strays(world: &World) -> Result<u64, String> {
    let name = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut count = 0;
    for vault in VAULTS {
        let all = walk(&world.path(vault))?;
        count += all.iter().filter(|path| name(path).ends_with(".tmp")).count() as u64;
    }
    for path in walk(&world.path("svc"))? {
        let name = name(&path);
        // The mark of a swap is how a probe knows that it was done; it stays.
        if name.contains("lifeboat") && !name.starts_with(".lifeboat-swap-") {
            return Err(format!("{} was left behind", path.display()));
        }
    }
    Ok(count)
}
