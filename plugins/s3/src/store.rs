//! A bucket as a place for objects, so that it can hold a vault.

use lifeboat_sdk::host::{Pumped, from_list};
use lifeboat_sdk::prelude::*;
use lifeboat_sdk::{Object, Place, SELF, Store};

use crate::Settings;
use crate::bucket::Bucket;
use crate::copy::Original;

/// The store.
pub struct Objects;

fn open(at: &Place<Settings>) -> Result<Bucket, Error> {
    Bucket::open(SELF, &at.name, at.settings.clone())
}

fn not_found(key: &str) -> Error {
    Error { kind: ErrorKind::NotFound, message: format!("there is no object '{key}'"), hint: None }
}

impl Store for Objects {
    type Settings = Settings;

    fn list(at: &Place<Settings>, prefix: &str) -> Result<Vec<Object>, Error> {
        let bucket = open(at)?;
        let mut found = Vec::new();
        bucket.objects(&bucket.full(prefix), |entry| {
            // Consoles make empty objects that stand for folders.
            if let Some(key) = entry.key.strip_prefix(&bucket.prefix).filter(|key| !key.ends_with('/')) {
                found.push(Object { key: key.to_owned(), size: entry.size });
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn head(at: &Place<Settings>, key: &str) -> Result<Object, Error> {
        let bucket = open(at)?;
        let meta = bucket.head(&bucket.full(key), None)?.ok_or_else(|| not_found(key))?;
        Ok(Object { key: key.to_owned(), size: meta.size })
    }

    fn get(at: &Place<Settings>, key: &str, offset: u64, len: Option<u64>) -> Result<Reader, Error> {
        let bucket = open(at)?;
        if len == Some(0) {
            return Ok(from_list(&[]));
        }
        match bucket.get(&bucket.full(key), None, offset, len) {
            Ok(response) => Ok(response.body),
            // Behind the end there is nothing, and that is no error.
            Err(refused) if refused.status == 416 => Ok(from_list(&[])),
            Err(refused) => Err(refused.into()),
        }
    }

    fn put(at: &Place<Settings>, key: &str, data: &Reader) -> Result<Pumped, Error> {
        let bucket = open(at)?;
        bucket.put(&bucket.full(key), data)
    }

    fn delete(at: &Place<Settings>, key: &str) -> Result<(), Error> {
        let bucket = open(at)?;
        bucket.delete(&bucket.full(key))
    }

    fn copy(at: &Place<Settings>, source: &str, destination: &str) -> Result<(), Error> {
        let bucket = open(at)?;
        let key = bucket.full(source);
        let meta = bucket.head(&key, None)?.ok_or_else(|| not_found(source))?;
        let from = Original { bucket: &bucket, key: &key, version: None, size: meta.size, etag: &meta.etag };
        bucket.copy_from(&from, &bucket.full(destination), None, &|_| Ok(())).map(drop)
    }
}
