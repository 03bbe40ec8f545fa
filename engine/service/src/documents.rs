//! Small documents of the store, as JSON.

use std::sync::Arc;

use lifeboat_core::Error;
use lifeboat_core::ports::{Store, StoreError};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The documents of a store.
#[derive(Clone)]
pub(crate) struct Documents(Arc<dyn Store>);

/// A store's error in the words for a person.
pub(crate) fn told(error: StoreError) -> Error {
    match error {
        StoreError::Failed(error) | StoreError::Indeterminate(error) => error,
        other => Error::new("LB0601", format!("another engine wrote to the data folder: {other}"))
            .hint("only one engine may have a data folder"),
    }
}

impl Documents {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self(store)
    }

    /// A document with its version.
    ///
    /// # Errors
    /// The store's; `LB1071` when it is not of that kind.
    pub(crate) async fn read<T: DeserializeOwned>(&self, key: &str) -> Result<Option<(u64, T)>, Error> {
        let Some(found) = self.0.get_document(key).await.map_err(told)? else { return Ok(None) };
        let value = serde_json::from_slice(&found.value).map_err(|cause| {
            Error::new("LB1071", format!("the document '{key}' cannot be read")).with("cause", cause)
        })?;
        Ok(Some((found.version, value)))
    }

    /// Writes a document if it still has that version (0: it is not there). False when somebody else was first.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn write<T: Serialize>(&self, key: &str, expected: u64, value: &T) -> Result<bool, Error> {
        let bytes = serde_json::to_vec(value).map_err(|cause| {
            Error::new("LB1071", format!("the document '{key}' cannot be written as JSON")).with("cause", cause)
        })?;
        match self.0.put_document(key, expected, bytes).await {
            Ok(_) => Ok(true),
            Err(StoreError::DocumentConflict { .. }) => Ok(false),
            Err(error) => Err(told(error)),
        }
    }
}
