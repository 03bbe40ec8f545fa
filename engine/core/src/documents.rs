//! Small documents of a store, as JSON: what is kept besides the events of runs.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::ports::{Store, StoreError};

/// The documents of a store.
#[derive(Clone)]
pub struct Documents(Arc<dyn Store>);

/// A store's error in the words for a person.
pub fn told(error: StoreError) -> Error {
    match error {
        StoreError::Failed(error) | StoreError::Indeterminate(error) => error,
        StoreError::Conflict { .. } | StoreError::Fenced { .. } | StoreError::DocumentConflict { .. } => {
            Error::new("LB0601", format!("another engine wrote to the data folder: {error}"))
                .hint("only one engine may have a data folder; the other one goes on with it")
        }
    }
}

impl Documents {
    /// The documents of that store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self(store)
    }

    /// A document with its version.
    ///
    /// # Errors
    /// The store's; `LB1071` when it is not of that kind.
    pub async fn read<T: DeserializeOwned>(&self, key: &str) -> Result<Option<(u64, T)>, Error> {
        let Some(found) = self.0.get_document(key).await.map_err(told)? else { return Ok(None) };
        let value = serde_json::from_slice(&found.value).map_err(|cause| {
            Error::new("LB1071", format!("the document '{key}' cannot be read")).with("cause", cause)
        })?;
        Ok(Some((found.version, value)))
    }

    /// Writes a document if it still has that version (0: it is not there), and gives its new one; `None` when somebody else was
    /// first.
    ///
    /// # Errors
    /// The store's; `LB1071` when it is no JSON.
    pub async fn write<T: Serialize>(&self, key: &str, expected: u64, value: &T) -> Result<Option<u64>, Error> {
        let bytes = serde_json::to_vec(value).map_err(|cause| {
            Error::new("LB1071", format!("the document '{key}' cannot be written as JSON")).with("cause", cause)
        })?;
        match self.0.put_document(key, expected, bytes).await {
            Ok(version) => Ok(Some(version)),
            Err(StoreError::DocumentConflict { .. }) => Ok(None),
            Err(error) => Err(told(error)),
        }
    }

    /// Writes a document that nobody else writes, whatever it is now.
    ///
    /// # Errors
    /// As [`Documents::put`].
    pub async fn set<T: Serialize>(&self, key: &str, value: &T) -> Result<(), Error> {
        let version = self.0.get_document(key).await.map_err(told)?.map_or(0, |found| found.version);
        self.put(key, version, value).await.map(drop)
    }

    /// Writes a document that nobody else writes and that has that version, and gives its new one.
    ///
    /// # Errors
    /// As [`Documents::write`]; `LB0601` when somebody else wrote it all the same.
    pub async fn put<T: Serialize>(&self, key: &str, expected: u64, value: &T) -> Result<u64, Error> {
        let written = self.write(key, expected, value).await?;
        written.ok_or_else(|| {
            Error::new("LB0601", format!("another engine wrote the document '{key}'"))
                .hint("only one engine may have a data folder; the other one goes on with it")
        })
    }
}
