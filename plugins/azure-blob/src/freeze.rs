//! The state of a container in versions that later writes do not change: those of the account where it keeps versions, and else
//! a snapshot of each blob, which the service makes without moving a byte.

use std::cell::Cell;

use lifeboat_objects::{Entry, Refusal, Take, time};
use lifeboat_sdk::http::{HeadExt, Repeat};
use lifeboat_sdk::prelude::*;

use crate::Settings;
use crate::container::{Container, meta, snapshot_of};

/// What the next attempt has to know.
#[data]
struct Since {
    /// When the first attempt began, by the service's clock: milliseconds since the Unix epoch.
    since: u64,
}

impl Container {
    /// Whether the account keeps versions; nothing where no blob is there that would tell.
    ///
    /// # Errors
    /// What the service says.
    pub fn versions(&self) -> Result<Option<bool>, Error> {
        let mut found = None;
        let told = self.list(&self.at.prefix, "versions", Some("1"), |listed| {
            found = Some(listed.entry.version.is_some());
            Ok(false)
        });
        match told {
            Ok(()) => Ok(found),
            Err(refused) if unknown(&refused) => Ok(Some(false)),
            Err(refused) => Err(refused.into()),
        }
    }

    /// Tells of every blob with the version that it has now.
    ///
    /// # Errors
    /// What the service says, and what `take` says.
    pub fn freeze_all(&self, ctx: &Context<Settings>, prefix: &str, take: &mut Take<'_>) -> Result<(), Error> {
        let since = self.since(ctx)?;
        let any = Cell::new(false);
        let mut frozen = |listed: crate::list::Listed| {
            any.set(true);
            if listed.current
                && let Some(entry) = self.frozen(listed.entry, since)?
            {
                take(entry)?;
            }
            Ok(true)
        };
        match self.list(prefix, "versions", None, &mut frozen) {
            Err(refused) if unknown(&refused) && !any.get() => self.list(prefix, "", None, frozen).map_err(Error::from),
            told => told.map_err(Error::from),
        }
    }

    /// When the first attempt began; nothing in the first one itself, which finds no snapshots of its own.
    fn since(&self, ctx: &Context<Settings>) -> Result<Option<u64>, Error> {
        if let Some(Since { since }) = ctx.checkpoint()? {
            return Ok(Some(since));
        }
        let answer =
            self.fetch("ask what time it is", &self.request("GET", "", "restype=container&comp=list&maxresults=1"))?;
        let since = answer.head.header("date").and_then(time::millis).unwrap_or_else(host::now_ms);
        host::checkpoint(&Since { since })?;
        Ok(None)
    }

    /// The blob in a version that stays; nothing where it is gone meanwhile.
    fn frozen(&self, entry: Entry, since: Option<u64>) -> Result<Option<Entry>, Error> {
        if entry.version.is_some() {
            return Ok(Some(entry));
        }
        if let Some(since) = since
            && let Some(version) = self.snapshot_since(&entry, since)?
        {
            return Ok(Some(Entry { version: Some(version), ..entry }));
        }
        // A second one does no harm.
        let request = self.request("PUT", &entry.key, "comp=snapshot").repeat(Repeat::Always);
        let what = format!("take a snapshot of '{}'", entry.key);
        let answer = match self.fetch(&what, &request) {
            Ok(answer) => answer,
            Err(refused) if refused.is_no_key() => return Ok(None),
            Err(refused) => return Err(refused.into()),
        };
        let Some(time) = answer.head.header("x-ms-snapshot") else {
            return Err(Error::permanent(format!("{what}: the service does not say which")));
        };
        let version = snapshot_of(time);
        if answer.head.header("etag").map(|etag| etag.trim_matches('"')) == Some(entry.etag.as_str()) {
            return Ok(Some(Entry { version: Some(version), ..entry }));
        }
        // It was written to since it was listed.
        let head = self.look(&entry.key, Some(&version))?;
        Ok(head.map(|head| {
            let found = meta(&head);
            Entry { size: found.size, etag: found.etag, sum: found.sum, version: Some(version), ..entry }
        }))
    }

    /// A snapshot of the blob as it is, that an earlier attempt took.
    fn snapshot_since(&self, entry: &Entry, since: u64) -> Result<Option<String>, Error> {
        let mut found = None;
        self.list(&entry.key, "snapshots", None, |listed| {
            let old = listed.entry;
            if !listed.current && old.key == entry.key && old.etag == entry.etag && old.size == entry.size {
                found = old.version.filter(|version| time_of(version).is_some_and(|time| time >= since));
            }
            // Longer names come behind it.
            Ok(old.key == entry.key)
        })?;
        Ok(found)
    }
}

/// When a snapshot was taken.
fn time_of(version: &str) -> Option<u64> {
    time::millis(&version.strip_prefix("snapshot=")?.replace("%3A", ":"))
}

/// Whether the service, or what plays it, does not know versions.
fn unknown(refused: &Refusal) -> bool {
    refused.is_unknown_request() || refused.is("FeatureNotSupported") || refused.is("InvalidQueryParameterValue")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_named_by_its_time() {
        let version = snapshot_of("2026-11-21T06:47:55.1234567Z");
        assert_eq!(time_of(&version), Some(1_795_243_675_123));
        assert_eq!(time_of("versionid=2026-11-21T06%3A47%3A55.1234567Z"), None);
    }
}
