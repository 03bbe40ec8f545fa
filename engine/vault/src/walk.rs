//! Which blobs the snapshots of a vault need: their trees are read level by level, many at once, each tree once.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use lifeboat_core::Failure;
use serde::Deserialize;

use crate::blobs::{self, Blob};
use crate::format::{Id, Kind};
use crate::inventory::Homes;
use crate::session::Session;

/// What snapshots need.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    /// Every tree that could be read, with the trees in it.
    pub(crate) trees: HashMap<Id, Vec<Id>>,
    /// Every part of a file.
    pub(crate) data: HashSet<Id>,
    /// Trees that cannot be read, or of whose files a part is lost; with the end of a sentence about it.
    pub(crate) broken: BTreeMap<Id, String>,
}

impl Walked {
    /// The trees that are broken, or have a broken one below them.
    pub(crate) fn tainted(&self) -> HashSet<Id> {
        let mut above: HashMap<Id, Vec<Id>> = HashMap::new();
        for (tree, below) in &self.trees {
            for child in below {
                above.entry(*child).or_default().push(*tree);
            }
        }
        let mut tainted: HashSet<Id> = self.broken.keys().copied().collect();
        let mut open: Vec<Id> = tainted.iter().copied().collect();
        while let Some(tree) = open.pop() {
            for parent in above.get(&tree).into_iter().flatten() {
                if tainted.insert(*parent) {
                    open.push(*parent);
                }
            }
        }
        tainted
    }
}

/// The little of a tree that matters here.
#[derive(Deserialize)]
struct Tree {
    #[serde(default)]
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    #[serde(default)]
    name: String,
    #[serde(default)]
    content: Option<Vec<Id>>,
    #[serde(default)]
    subtree: Option<Id>,
}

/// Walks all trees below these roots.
pub(crate) fn walk(session: &Session, homes: &Homes<'_>, roots: &[Id]) -> Result<Walked, Failure> {
    let walked = Mutex::new(Walked::default());
    let held = || walked.lock().unwrap_or_else(PoisonError::into_inner);
    let mut level: Vec<Id> = roots.to_vec();
    while !level.is_empty() {
        level.sort_unstable();
        level.dedup();
        let mut wanted: Vec<(Id, Blob)> = Vec::new();
        for id in &level {
            match homes.blob(Kind::Tree, id) {
                Some(blob) => wanted.push((*id, blob)),
                None => {
                    held().broken.insert(*id, "a folder is lost: no pack that is there has it".to_owned());
                }
            }
        }
        wanted.sort_by_key(|(_, blob)| (blob.pack, blob.offset));
        let (ids, blobs): (Vec<Id>, Vec<Blob>) = wanted.into_iter().unzip();
        let next: Mutex<Vec<Id>> = Mutex::new(Vec::new());
        blobs::for_each(session, &blobs, |index, read| {
            let Some(id) = ids.get(index) else { return Ok(()) };
            let parsed = read.and_then(|text| {
                serde_json::from_slice::<Tree>(text).map_err(|cause| format!("is not readable: {cause}"))
            });
            match parsed {
                Ok(tree) => next.lock().unwrap_or_else(PoisonError::into_inner).extend(held().add(*id, tree, homes)),
                Err(why) => {
                    held().broken.insert(*id, format!("a folder {why}"));
                }
            }
            Ok(())
        })?;
        level = next.into_inner().unwrap_or_else(PoisonError::into_inner);
        let walked = held();
        level.retain(|id| !walked.trees.contains_key(id) && !walked.broken.contains_key(id));
    }
    Ok(walked.into_inner().unwrap_or_else(PoisonError::into_inner))
}

impl Walked {
    /// Adds a tree; gives the trees in it.
    fn add(&mut self, id: Id, tree: Tree, homes: &Homes<'_>) -> Vec<Id> {
        let mut below = Vec::new();
        for node in tree.nodes {
            below.extend(node.subtree);
            for part in node.content.into_iter().flatten() {
                self.data.insert(part);
                if homes.place(Kind::Data, &part).is_none() {
                    let why = format!("a part of the file '{}' is lost: no pack that is there has it", node.name);
                    self.broken.entry(id).or_insert(why);
                }
            }
        }
        self.trees.insert(id, below.clone());
        below
    }
}
