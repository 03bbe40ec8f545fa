//! What plugins for buckets have in common: the steps, the manifests that are their recovery points, uploads in parts, and a
//! store for vaults. A provider says how its requests look by [`Bucket`]; what has to hold whoever the provider is stands here.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod answers;
mod copy;
mod expect;
mod manifest;
mod readiness;
mod refusal;
mod restore;
mod snapshot;
mod spread;
mod store;
mod sum;
pub mod time;
mod transfer;
mod upload;
mod validate;
mod verify;
pub mod xml;

use lifeboat_sdk::host::Pumped;
use lifeboat_sdk::prelude::*;
use lifeboat_sdk::{Data, http};

pub use answers::{Asked, SAID_MAX, got, judged, range};
pub use copy::{Begun, Note, Original};
pub use manifest::OWN;
pub use refusal::{Refusal, unanswered};
pub use restore::Restore;
pub use snapshot::Snapshot;
pub use store::Objects;
pub use sum::base64;
pub use transfer::Transfer;
pub use upload::Parts;
pub use validate::Validate;
pub use verify::Verify;

/// Bytes of an answer that is a document: a page of a listing has a few thousand entries.
pub const ANSWER_MAX: u32 = 8 * 1024 * 1024;

/// Where a bucket is.
#[derive(Clone)]
pub struct At {
    /// The role of the call.
    pub role: String,
    /// The name of the target.
    pub name: String,
    /// The bucket's own name.
    pub bucket: String,
    /// What all keys of the target begin with: empty, or ending in `/`.
    pub prefix: String,
    /// The server, and the account where the server has several: buckets of one origin can copy among themselves.
    pub origin: String,
    /// Bytes from which on an object is sent in parts, and of such a part.
    pub part: u64,
}

impl At {
    /// A place; the prefix as people write it, with or without a `/` at its end.
    pub fn new(role: &str, name: &str, bucket: String, prefix: Option<String>, origin: String, part: u64) -> Self {
        let prefix = prefix.unwrap_or_default();
        let prefix = if prefix.is_empty() || prefix.ends_with('/') { prefix } else { format!("{prefix}/") };
        Self { role: role.to_owned(), name: name.to_owned(), bucket, prefix, origin, part }
    }

    /// Another bucket there, without a prefix.
    #[must_use]
    pub fn beside(&self, bucket: &str) -> Self {
        Self { bucket: bucket.to_owned(), prefix: String::new(), ..self.clone() }
    }

    /// The key at the server of a key of the target.
    pub fn full(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// `BUCKET` or `BUCKET/PREFIX`, for people.
    pub fn place(&self) -> String {
        format!("{}/{}", self.bucket, self.prefix).trim_end_matches('/').to_owned()
    }
}

/// An object in a listing. Keys are full: with the prefix of the target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The key at the server.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// What the server changes whenever the object changes, without quotes.
    pub etag: String,
    /// Milliseconds since the Unix epoch; nothing where the server's time could not be read.
    pub modified: Option<u64>,
    /// The version, where there are versions, in the provider's own words.
    pub version: Option<String>,
    /// The server's checksum of all bytes, where it has one: see [`sum`](crate).
    pub sum: Option<String>,
}

/// What a server says of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Bytes.
    pub size: u64,
    /// As in [`Entry`].
    pub etag: String,
    /// As in [`Entry`].
    pub version: Option<String>,
    /// As in [`Entry`].
    pub sum: Option<String>,
    /// What it says it is.
    pub content_type: Option<String>,
}

impl Meta {
    /// Whether the bytes are those for sure: an ETag that is the same, or a checksum that is.
    pub fn is(&self, size: u64, etag: &str, sum: Option<&str>) -> bool {
        let same = self.etag == etag || (sum.is_some() && self.sum.as_deref() == sum);
        self.size == size && same
    }
}

/// An object that is being read.
pub struct Got {
    /// What the server says of it.
    pub meta: Meta,
    /// Its bytes.
    pub body: Reader,
}

/// A bucket of some provider, in a role of a call. Keys are full ones.
pub trait Bucket: Clone {
    /// The settings of the targets.
    type Settings: Data + Clone;
    /// An upload in parts.
    type Parts<'a>: Parts
    where
        Self: 'a;

    /// What the provider calls it: `bucket`, `container`.
    const WORD: &'static str;
    /// The plugin's name.
    const PLUGIN: &'static str;
    /// What a snapshot does, in one line.
    const SNAPSHOT: &'static str;

    /// The target of a role.
    ///
    /// # Errors
    /// Permanent, where no secrets for its key are named.
    fn open(role: &str, name: &str, settings: Self::Settings) -> Result<Self, Error>;
    /// Where it is.
    fn at(&self) -> &At;
    /// Another one at the same server, with the same key and no prefix.
    #[must_use]
    fn beside(&self, bucket: &str) -> Self;

    /// An error where it is not there or can't be reached.
    ///
    /// # Errors
    /// What the server says.
    fn exists(&self) -> Result<(), Error>;
    /// Every object whose key begins with that, in the order of their keys.
    ///
    /// # Errors
    /// What the server says, and what `take` says.
    fn objects(&self, prefix: &str, take: &mut Take<'_>) -> Result<(), Error>;
    /// The first object whose key begins with that: the object of that very key, where there is one.
    ///
    /// # Errors
    /// What the server says.
    fn first(&self, prefix: &str) -> Result<Option<Entry>, Error>;
    /// The object, or nothing. That the bucket is not there is an error.
    ///
    /// # Errors
    /// What the server says.
    fn head(&self, key: &str, version: Option<&str>) -> Result<Option<Meta>, Error>;
    /// The bytes of an object from an offset on; without a length, all of the rest. Behind its end there is nothing, and that is no
    /// error.
    ///
    /// # Errors
    /// What the server says; `not-found` where there is no such object.
    fn get(&self, key: &str, version: Option<&str>, offset: u64, len: Option<u64>) -> Result<Got, Error>;
    /// Deletes an object; one that is not there is deleted at once.
    ///
    /// # Errors
    /// What the server says.
    fn delete(&self, key: &str) -> Result<(), Error>;

    /// So many bytes of a reader in one request, with the type of what they are a copy of.
    ///
    /// # Errors
    /// What the server says.
    fn put_whole(&self, key: &str, data: &Reader, size: u64, like: Option<&Meta>) -> Result<Pumped, Error>;
    /// Bytes that are in memory in one request. With `fresh` the object has to be new, where the server can hold that: an error
    /// of the kind `already-exists` says that it is not.
    ///
    /// # Errors
    /// What the server says.
    fn put_bytes(&self, key: &str, data: Vec<u8>, fresh: bool) -> Result<(), Error>;
    /// Begins an upload in parts; nobody sees the object before it is complete.
    ///
    /// # Errors
    /// What the server says.
    fn begin(&self, key: &str, like: Option<&Meta>) -> Result<Self::Parts<'_>, Error>;
    /// Bytes of a part for an object of that size.
    fn part_for(&self, size: u64) -> u64;
    /// Lets the server copy by itself; `false` where it does not. `begun` is a large copy of an earlier attempt, `note` is told of
    /// one that begins.
    ///
    /// # Errors
    /// What the server says.
    fn copy_here(
        &self,
        from: &Original<'_, Self>,
        to: &str,
        begun: Option<&Begun>,
        note: &Note<'_>,
    ) -> Result<bool, Error>;
    /// Whether the server would copy by itself, as far as that is known before it is tried.
    fn copies_from(&self, other: &Self) -> bool;

    /// An error where no recovery point of it can be taken.
    ///
    /// # Errors
    /// Permanent with a hint, or what the server says.
    fn can_freeze(&self) -> Result<(), Error>;
    /// The state of every object whose key begins with that, in a version that later writes do not change.
    ///
    /// # Errors
    /// What the server says, and what `take` says.
    fn freeze(&self, ctx: &Context<Self::Settings>, prefix: &str, take: &mut Take<'_>) -> Result<(), Error>;
    /// How a snapshot is taken, in words, and what its safety lacks: for a preview.
    ///
    /// # Errors
    /// What the server says.
    fn freezing(&self) -> Result<Vec<String>, Error>;
    /// What is kept of what is overwritten, and what can't be deleted: for a readiness report.
    fn safety(&self) -> Vec<Finding>;
    /// What an overwrite destroys, or nothing: for a preview.
    ///
    /// # Errors
    /// What the server says.
    fn overwriting(&self) -> Result<Option<String>, Error>;
    /// What a copy can't be protected by here, or nothing: for a preview.
    ///
    /// # Errors
    /// What the server says.
    fn unlocked(&self) -> Result<Option<String>, Error>;
}

/// What is told of each object of a listing.
pub type Take<'a> = dyn FnMut(Entry) -> Result<(), Error> + 'a;

/// The bucket of a role of a step.
///
/// # Errors
/// As [`Bucket::open`], and where it is no target of this plugin.
pub fn of<B: Bucket>(ctx: &Context<B::Settings>, role: &str) -> Result<B, Error> {
    B::open(role, ctx.name(role)?, ctx.settings(role)?)
}

/// Whether the target of a role holds a vault, and not manifests.
///
/// # Errors
/// `refused` where the step has no target of that role.
pub fn is_vault(role: &str) -> Result<bool, Error> {
    Ok(http::secrets(role)?.iter().any(|name| name == "password"))
}

/// A server that repeats itself would keep us for ever.
pub fn stuck(what: &str) -> Error {
    Error::temporary(format!("{what}: the server gives the same page again and again"))
}

/// The error for an object that is not there.
pub fn not_found(key: &str) -> Error {
    Error { kind: ErrorKind::NotFound, message: format!("there is no object '{key}'"), hint: None }
}
