//! What is in a snapshot: its trees, read, hashed and laid out flat.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use lifeboat_core::{Failure, FailureKind};
use rustic_core::repofile::{Metadata, Node, SnapshotFile, Tree};
use rustic_core::{DataId, IndexedFullStatus, Repository, TreeId};

use crate::blobs::{Blob, Decoder, again, locate};
use crate::error::{DAMAGED, fail};
use crate::session::Session;

/// A folder of the listing.
pub(crate) struct Folder {
    /// The folder that it is in; 0 is the root itself.
    pub(crate) parent: usize,
    pub(crate) name: OsString,
    pub(crate) meta: Option<Metadata>,
}

/// Anything but a folder.
pub(crate) struct Item {
    pub(crate) folder: usize,
    pub(crate) name: OsString,
    pub(crate) node: Node,
}

/// A snapshot, laid out: folders before what is in them, the root first.
pub(crate) struct Listing {
    pub(crate) folders: Vec<Folder>,
    pub(crate) items: Vec<Item>,
}

impl Listing {
    /// The path of a folder below the root.
    pub(crate) fn folder_path(&self, folder: usize) -> PathBuf {
        let mut names = Vec::new();
        let mut at = folder;
        // A parent has a smaller index than its child, so this ends.
        while at != 0 {
            let Some(folder) = self.folders.get(at) else { break };
            names.push(&folder.name);
            at = folder.parent;
        }
        names.into_iter().rev().collect()
    }

    /// The path of an item below the root.
    pub(crate) fn path(&self, item: &Item) -> PathBuf {
        self.folder_path(item.folder).join(&item.name)
    }

    /// The plain files.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|item| item.node.is_file())
    }

    /// How many plain files, and their bytes.
    pub(crate) fn totals(&self) -> (u64, u64) {
        self.files().fold((0, 0), |(files, bytes), item| (files + 1, bytes + item.node.meta.size))
    }
}

/// The blobs of a node.
pub(crate) fn content(node: &Node) -> &[DataId] {
    node.content.as_deref().unwrap_or_default()
}

/// Lays a snapshot out. A tree that cannot be read is told to `problem` with the folder that it stands for; when that
/// gives the failure back, the listing ends with it.
pub(crate) fn list(
    session: &Session,
    repo: &Repository<IndexedFullStatus>,
    snapshot: &SnapshotFile,
    mut problem: impl FnMut(&Path, Failure) -> Result<(), Failure>,
) -> Result<Listing, Failure> {
    let mut reader = Reader { session, repo, decoder: Decoder::new(&session.cipher)? };
    let mut listing = Listing { folders: Vec::new(), items: Vec::new() };
    let root = match reader.root(snapshot) {
        Ok(root) => root,
        Err(failure) if failure.kind == FailureKind::Permanent => {
            problem(Path::new("."), failure)?;
            return Ok(listing);
        }
        Err(failure) => return Err(failure),
    };
    let tree = match root {
        Root::Tree(id, meta) => {
            listing.folders.push(Folder { parent: 0, name: OsString::new(), meta: meta.map(|meta| *meta) });
            id
        }
        Root::File(node) => {
            listing.folders.push(Folder { parent: 0, name: OsString::new(), meta: None });
            let name = safe_name(&node)?;
            listing.items.push(Item { folder: 0, name, node: *node });
            return Ok(listing);
        }
    };
    let mut stack = vec![(0usize, tree)];
    while let Some((folder, id)) = stack.pop() {
        match reader.tree(id) {
            Ok(tree) => spread(&mut listing, &mut stack, folder, tree, &mut problem)?,
            Err(failure) if failure.kind == FailureKind::Permanent => {
                problem(&listing.folder_path(folder), failure)?;
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(listing)
}

fn spread(
    listing: &mut Listing,
    stack: &mut Vec<(usize, TreeId)>,
    folder: usize,
    tree: Tree,
    problem: &mut impl FnMut(&Path, Failure) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for node in tree.nodes {
        let name = match safe_name(&node) {
            Ok(name) => name,
            Err(failure) => {
                problem(&listing.folder_path(folder), failure)?;
                continue;
            }
        };
        if !node.is_dir() {
            listing.items.push(Item { folder, name, node });
            continue;
        }
        let index = listing.folders.len();
        listing.folders.push(Folder { parent: folder, name, meta: Some(node.meta) });
        match node.subtree {
            Some(id) => stack.push((index, id)),
            None => problem(&listing.folder_path(index), fail(DAMAGED, "the folder has no tree"))?,
        }
    }
    Ok(())
}

/// A name from a tree is used as one part of a path, so it must be one: a damaged or malicious tree may hold anything.
fn safe_name(node: &Node) -> Result<OsString, Failure> {
    let name = node.name().into_owned();
    let mut parts = Path::new(&name).components();
    let plain =
        matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name.as_os_str());
    if plain && !name.as_encoded_bytes().contains(&0) {
        return Ok(name);
    }
    Err(fail(DAMAGED, format!("the snapshot holds an entry with the name {name:?}, which no file can have")))
}

enum Root {
    Tree(TreeId, Option<Box<Metadata>>),
    File(Box<Node>),
}

struct Reader<'a> {
    session: &'a Session,
    repo: &'a Repository<IndexedFullStatus>,
    decoder: Decoder,
}

impl Reader<'_> {
    /// The tree below the one path that was recorded. Stock restic records an absolute path also where it was given a
    /// relative one and the tree begins further down, so shorter and shorter ends of the path are tried. A snapshot of
    /// several paths is taken as a whole.
    fn root(&mut self, snapshot: &SnapshotFile) -> Result<Root, Failure> {
        let paths: Vec<&String> = snapshot.paths.iter().collect();
        let whole = Root::Tree(snapshot.tree, None);
        let [path] = paths.as_slice() else { return Ok(whole) };
        let parts: Vec<OsString> = Path::new(path)
            .components()
            .filter_map(|part| if let Component::Normal(name) = part { Some(name.to_os_string()) } else { None })
            .collect();
        let top = self.tree(snapshot.tree)?;
        for start in 0..parts.len() {
            if let Some(node) = self.descend(&top, parts.get(start..).unwrap_or_default())? {
                return Ok(match node.subtree {
                    Some(id) => Root::Tree(id, Some(Box::new(node.meta))),
                    None => Root::File(Box::new(node)),
                });
            }
        }
        Ok(whole)
    }

    fn descend(&mut self, top: &Tree, parts: &[OsString]) -> Result<Option<Node>, Failure> {
        let mut found: Option<Node> = None;
        for part in parts {
            let next = match &found {
                None => top.nodes.iter().find(|node| node.name() == part.as_os_str()).cloned(),
                Some(Node { subtree: Some(id), .. }) => {
                    let tree = self.tree(*id)?;
                    tree.nodes.into_iter().find(|node| node.name() == part.as_os_str())
                }
                Some(_) => None,
            };
            match next {
                Some(node) => found = Some(node),
                None => return Ok(None),
            }
        }
        Ok(found)
    }

    /// Reads a tree and proves that it is the one that was named.
    fn tree(&mut self, id: TreeId) -> Result<Tree, Failure> {
        self.session.watch.go_on()?;
        let blob: Blob = locate(self.session, self.repo, &id)?;
        let sealed = self.session.place.get(&blob.key(), u64::from(blob.offset), Some(u64::from(blob.length)))?;
        let mut sealed = sealed.to_vec();
        let plain = match self.decoder.plain(&mut sealed, &blob) {
            Ok(plain) => plain.into_owned(),
            Err(cause) => {
                let wrong = || fail(DAMAGED, format!("the tree {} in {} {cause}", id.to_hex().as_str(), blob.key()));
                again(self.session, &blob.key(), &blob, &mut self.decoder)?.ok_or_else(wrong)?.0
            }
        };
        serde_json::from_slice(&plain)
            .map_err(|cause| fail(DAMAGED, format!("the tree {} is not readable: {cause}", id.to_hex().as_str())))
    }
}
