//! S3 as the steps and the store see it.

use lifeboat_objects::{Asked, At, Begun, Bucket as Provider, Entry, Got, Meta, Note, Original, Take, got, range};
use lifeboat_sdk::host::Pumped;
use lifeboat_sdk::prelude::*;

use crate::Settings;
use crate::answer::refusal;
use crate::bucket::{Bucket, meta};
use crate::sums;
use crate::upload::{Upload, part_size};

impl Bucket {
    fn keeps_versions(&self) -> Result<bool, Error> {
        Ok(self.versioning()?.as_deref() == Some("Enabled"))
    }
}

impl Provider for Bucket {
    type Settings = Settings;
    type Parts<'a> = Upload<'a>;

    const WORD: &'static str = "bucket";
    const PLUGIN: &'static str = "s3";
    const SNAPSHOT: &'static str = "Writes down which versions are the newest in a bucket that keeps versions";

    fn open(role: &str, name: &str, settings: Settings) -> Result<Self, Error> {
        Self::at_role(role, name, settings)
    }

    fn at(&self) -> &At {
        &self.at
    }

    fn beside(&self, bucket: &str) -> Self {
        self.next_to(bucket)
    }

    fn exists(&self) -> Result<(), Error> {
        self.reach()
    }

    fn objects(&self, prefix: &str, take: &mut Take<'_>) -> Result<(), Error> {
        self.list(prefix, take)
    }

    fn first(&self, prefix: &str) -> Result<Option<Entry>, Error> {
        self.one(prefix)
    }

    fn head(&self, key: &str, version: Option<&str>) -> Result<Option<Meta>, Error> {
        self.look(key, version)
    }

    fn get(&self, key: &str, version: Option<&str>, offset: u64, len: Option<u64>) -> Result<Got, Error> {
        let what = format!("get '{key}'");
        let query: Vec<(&str, &str)> = version.map(|version| ("versionId", version)).into_iter().collect();
        let mut request = self.request("GET", key, &query);
        request = match range(offset, len) {
            Some(range) => request.header("range", range),
            // The host holds what comes against the sum that the server then tells.
            None => request.header("x-amz-checksum-mode", "ENABLED"),
        };
        let asked = Asked { what: &what, things: "objects", offset, len };
        Ok(got(&asked, request.send(&self.at.role), |head| Meta { sum: sums::known(head), ..meta(head) }, refusal)?)
    }

    fn delete(&self, key: &str) -> Result<(), Error> {
        match self.fetch(&format!("delete '{key}'"), &self.request("DELETE", key, &[])) {
            Ok(_) => Ok(()),
            Err(refused) if refused.is_no_key() => self.reach(),
            Err(refused) => Err(refused.into()),
        }
    }

    fn put_whole(&self, key: &str, data: &Reader, size: u64, like: Option<&Meta>) -> Result<Pumped, Error> {
        self.send_whole(key, data, size, like)
    }

    fn put_bytes(&self, key: &str, data: Vec<u8>, fresh: bool) -> Result<(), Error> {
        self.send_bytes(key, data, fresh)
    }

    fn begin(&self, key: &str, like: Option<&Meta>) -> Result<Upload<'_>, Error> {
        Upload::begin(self, key, like)
    }

    fn part_for(&self, size: u64) -> u64 {
        part_size(self.at.part, size)
    }

    fn copies_from(&self, other: &Self) -> bool {
        self.at.origin == other.at.origin
    }

    fn copy_here(
        &self,
        from: &Original<'_, Self>,
        to: &str,
        begun: Option<&Begun>,
        note: &Note<'_>,
    ) -> Result<bool, Error> {
        self.copy_there(from, to, begun, note)
    }

    fn can_freeze(&self) -> Result<(), Error> {
        let status = self.versioning()?;
        if status.as_deref() == Some("Enabled") {
            return Ok(());
        }
        let word = status.map_or("off", |_| "suspended");
        Err(Error::permanent(format!("the bucket {} keeps no versions (versioning is {word})", self.at.bucket)).hint(
            "turn versioning on for the bucket: without it a snapshot would name objects that the next write takes away",
        ))
    }

    fn freeze(&self, _: &Context<Settings>, prefix: &str, take: &mut Take<'_>) -> Result<(), Error> {
        self.newest(prefix, take)
    }

    fn freezing(&self) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }

    fn safety(&self) -> Vec<Finding> {
        let name = &self.at.bucket;
        let versions = match self.keeps_versions() {
            Ok(true) => good(format!("{name} keeps versions: what is overwritten is kept")),
            Ok(false) => good(format!("{name} keeps no versions: what is overwritten or deleted is gone")),
            Err(error) => good(format!("{name}: whether it keeps versions can't be seen: {}", error.message)),
        };
        let locks = match (self.object_lock(), self.retains()) {
            (Ok(Some(rule)), _) if rule.is_empty() => {
                good(format!("{name} can lock objects, and has no rule for new ones"))
            }
            (Ok(Some(rule)), _) => good(format!("{name} locks new objects: {rule}")),
            (Ok(None), true) => bad(format!("{name} can't lock objects, and the target says retain-days")),
            (Ok(None), false) => good(format!("{name} can't lock objects: its key may delete what is there")),
            (Err(error), true) => bad(format!("{name}: whether it locks objects can't be seen: {}", error.message)),
            (Err(error), false) => good(format!("{name}: whether it locks objects can't be seen: {}", error.message)),
        };
        vec![versions, locks]
    }

    fn overwriting(&self) -> Result<Option<String>, Error> {
        let gone = !self.keeps_versions()?;
        Ok(gone.then(|| format!("{} keeps no versions: what is overwritten there is gone", self.at.bucket)))
    }

    fn unlocked(&self) -> Result<Option<String>, Error> {
        let free = self.object_lock()?.is_none();
        Ok(free.then(|| {
            format!("there is no object lock in {}: who may delete versions can take it away", self.at.bucket)
        }))
    }
}
