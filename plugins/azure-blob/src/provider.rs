//! Azure as the steps and the store see it.

use lifeboat_objects::{Asked, At, Begun, Bucket, Entry, Got, Meta, Note, Original, Take, got, range};
use lifeboat_sdk::host::Pumped;
use lifeboat_sdk::prelude::*;

use crate::Settings;
use crate::answer::refusal;
use crate::container::{Container, meta};
use crate::upload::{Blocks, block_size};

impl Bucket for Container {
    type Settings = Settings;
    type Parts<'a> = Blocks<'a>;

    const WORD: &'static str = "container";
    const PLUGIN: &'static str = "azure-blob";
    const SNAPSHOT: &'static str = "Writes down the versions of all blobs, or takes a snapshot of each";

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
        self.list(prefix, "", None, |listed| take(listed.entry).map(|()| true)).map_err(Error::from)
    }

    fn first(&self, prefix: &str) -> Result<Option<Entry>, Error> {
        let mut found = None;
        self.list(prefix, "", Some("1"), |listed| {
            found = Some(listed.entry);
            Ok(false)
        })?;
        Ok(found)
    }

    fn head(&self, key: &str, version: Option<&str>) -> Result<Option<Meta>, Error> {
        Ok(self.look(key, version)?.as_ref().map(meta))
    }

    fn get(&self, key: &str, version: Option<&str>, offset: u64, len: Option<u64>) -> Result<Got, Error> {
        let what = format!("get '{key}'");
        let mut request = self.request("GET", key, version.unwrap_or_default());
        if let Some(range) = range(offset, len) {
            request = request.header("range", range);
        }
        let asked = Asked { what: &what, things: "blobs", offset, len };
        Ok(got(&asked, request.send(&self.at.role), meta, refusal)?)
    }

    fn delete(&self, key: &str) -> Result<(), Error> {
        match self.fetch(&format!("delete '{key}'"), &self.request("DELETE", key, "")) {
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

    fn begin(&self, key: &str, like: Option<&Meta>) -> Result<Blocks<'_>, Error> {
        Ok(Blocks::begin(self, key, like))
    }

    fn part_for(&self, size: u64) -> u64 {
        block_size(self.at.part, size)
    }

    fn copies_from(&self, other: &Self) -> bool {
        self.at.origin == other.at.origin && !other.has_only_sas()
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
        self.reach()
    }

    fn freeze(&self, ctx: &Context<Settings>, prefix: &str, take: &mut Take<'_>) -> Result<(), Error> {
        self.freeze_all(ctx, prefix, take)
    }

    fn freezing(&self) -> Result<Vec<String>, Error> {
        let name = &self.at.bucket;
        Ok(match self.versions()? {
            Some(true) => Vec::new(),
            Some(false) => vec![format!("the account of {name} keeps no versions: a snapshot is taken of each blob")],
            None => vec![format!("{name} holds no blob yet that would tell whether the account keeps versions")],
        })
    }

    fn safety(&self) -> Vec<Finding> {
        let name = &self.at.bucket;
        let versions = good(match self.versions() {
            Ok(Some(true)) => format!("{name} keeps versions: what is overwritten is kept"),
            Ok(Some(false)) => format!("{name} keeps no versions"),
            Ok(None) => format!("{name} holds no blob yet that would tell whether it keeps versions"),
            Err(error) => format!("{name}: whether it keeps versions can't be seen: {}", error.message),
        });
        let deletes = good(match self.soft_delete() {
            Ok(Some(days)) => format!("what is deleted or overwritten in the account is kept for {days} days"),
            Ok(None) => "what is deleted in the account is gone: there is no soft delete".to_owned(),
            Err(error) => format!("whether the account keeps what is deleted can't be seen: {}", error.message),
        });
        let locks = match (self.immutability(), self.retains()) {
            (Ok(Some(rule)), _) => good(format!("{name}: {rule}")),
            (Ok(None), true) => {
                bad(format!("{name} has no version-level immutability, and the target says retain-days"))
            }
            (Ok(None), false) => good(format!("{name} is not immutable: its key may delete what is there")),
            (Err(error), true) => bad(format!("{name}: whether it is immutable can't be seen: {}", error.message)),
            (Err(error), false) => good(format!("{name}: whether it is immutable can't be seen: {}", error.message)),
        };
        vec![versions, deletes, locks]
    }

    fn overwriting(&self) -> Result<Option<String>, Error> {
        if self.versions()? != Some(false) || matches!(self.soft_delete(), Ok(Some(_))) {
            return Ok(None);
        }
        Ok(Some(format!("{} keeps no versions: what is overwritten there is gone", self.at.bucket)))
    }

    fn unlocked(&self) -> Result<Option<String>, Error> {
        let name = &self.at.bucket;
        Ok(match self.immutability() {
            Ok(Some(_)) => None,
            Ok(None) => Some(format!("{name} is not immutable: who may delete blobs can take it away")),
            Err(error) => Some(format!("{name}: whether it is immutable can't be seen: {}", error.message)),
        })
    }
}
