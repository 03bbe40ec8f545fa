//! A bucket as a place for objects, so that it can hold a vault.

use std::marker::PhantomData;

use lifeboat_sdk::host::{Pumped, from_list};
use lifeboat_sdk::prelude::*;
use lifeboat_sdk::{Object, Place, SELF, Store};

use crate::copy::{Original, copy};
use crate::{Bucket, not_found, upload};

/// The store.
pub struct Objects<B>(PhantomData<B>);

fn open<B: Bucket>(at: &Place<B::Settings>) -> Result<B, Error> {
    B::open(SELF, &at.name, at.settings.clone())
}

impl<B: Bucket> Store for Objects<B> {
    type Settings = B::Settings;

    fn list(at: &Place<B::Settings>, prefix: &str) -> Result<Vec<Object>, Error> {
        let bucket: B = open(at)?;
        let mut found = Vec::new();
        bucket.objects(&bucket.at().full(prefix), &mut |entry| {
            // Consoles make empty objects that stand for folders.
            if let Some(key) = entry.key.strip_prefix(&bucket.at().prefix).filter(|key| !key.ends_with('/')) {
                found.push(Object { key: key.to_owned(), size: entry.size });
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn head(at: &Place<B::Settings>, key: &str) -> Result<Object, Error> {
        let bucket: B = open(at)?;
        let meta = bucket.head(&bucket.at().full(key), None)?.ok_or_else(|| not_found(key))?;
        Ok(Object { key: key.to_owned(), size: meta.size })
    }

    fn get(at: &Place<B::Settings>, key: &str, offset: u64, len: Option<u64>) -> Result<Reader, Error> {
        let bucket: B = open(at)?;
        if len == Some(0) {
            return Ok(from_list(&[]));
        }
        Ok(bucket.get(&bucket.at().full(key), None, offset, len)?.body)
    }

    fn put(at: &Place<B::Settings>, key: &str, data: &Reader) -> Result<Pumped, Error> {
        let bucket: B = open(at)?;
        upload::put(&bucket, &bucket.at().full(key), data, None)
    }

    fn put_new(at: &Place<B::Settings>, key: &str, data: &Reader) -> Result<Pumped, Error> {
        let bucket: B = open(at)?;
        upload::put_new(&bucket, &bucket.at().full(key), data)
    }

    fn delete(at: &Place<B::Settings>, key: &str) -> Result<(), Error> {
        let bucket: B = open(at)?;
        bucket.delete(&bucket.at().full(key))
    }

    fn copy(at: &Place<B::Settings>, source: &str, destination: &str) -> Result<(), Error> {
        let bucket: B = open(at)?;
        let key = bucket.at().full(source);
        let meta = bucket.head(&key, None)?.ok_or_else(|| not_found(source))?;
        let from = Original { bucket: &bucket, key: &key, version: None, size: meta.size, etag: &meta.etag };
        copy(&bucket, &from, &bucket.at().full(destination), None, &|_| Ok(())).map(drop)
    }
}
