//! Google Cloud Storage as the steps and the store see it.

use lifeboat_objects::{Asked, At, Begun, Bucket as Provider, Entry, Got, Meta, Note, Original, Take, got, range};
use lifeboat_sdk::host::Pumped;
use lifeboat_sdk::prelude::*;
use lifeboat_sdk::serde_json::Value;

use crate::Settings;
use crate::answer::refusal;
use crate::bucket::{Bucket, meta_of};
use crate::upload::Upload;

fn versions(about: &Value) -> bool {
    about.pointer("/versioning/enabled").and_then(Value::as_bool) == Some(true)
}

/// Seconds that stand in a document as text.
fn days(about: &Value, path: &str) -> Option<u64> {
    let seconds: u64 = about.pointer(path)?.as_str()?.parse().ok()?;
    Some(seconds / 86_400).filter(|_| seconds > 0)
}

/// How new objects are kept, in words; nothing where they are not.
fn kept(about: &Value) -> Option<String> {
    if let Some(days) = days(about, "/retentionPolicy/retentionPeriod") {
        let locked = about.pointer("/retentionPolicy/isLocked").and_then(Value::as_bool) == Some(true);
        let word = if locked { ", and nobody can shorten that" } else { "" };
        return Some(format!("a policy keeps new objects for {days} days{word}"));
    }
    let each = about.pointer("/objectRetention/mode").and_then(Value::as_str) == Some("Enabled");
    each.then(|| "each object can have a time before which nobody deletes it".to_owned())
}

impl Provider for Bucket {
    type Settings = Settings;
    type Parts<'a> = Upload<'a>;

    const WORD: &'static str = "bucket";
    const PLUGIN: &'static str = "gcs";
    const SNAPSHOT: &'static str = "Writes down which generations are live in a bucket that keeps versions";

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
        let mut query = vec![("alt", "media")];
        query.extend(version.map(|version| ("generation", version)));
        // Else what is kept compressed is given in another form.
        let mut request = self.request("GET", &self.path(Some(key)), &query).header("accept-encoding", "gzip");
        if let Some(range) = range(offset, len) {
            request = request.header("range", range);
        }
        let asked = Asked { what: &what, things: "objects", offset, len };
        got(&asked, request.send(&self.at.role), meta_of, refusal).map_err(|refused| self.instead(refused.into()))
    }

    fn delete(&self, key: &str) -> Result<(), Error> {
        match self.fetch(&format!("delete '{key}'"), &self.request("DELETE", &self.path(Some(key)), &[])) {
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

    fn part_for(&self, _: u64) -> u64 {
        // A resumable upload may have as many chunks as it likes.
        self.at.part
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
        if versions(&self.about()?) {
            return Ok(());
        }
        Err(Error::permanent(format!("the bucket {} keeps no versions", self.at.bucket)).hint(
            "turn object versioning on for the bucket: without it a snapshot would name what the next write takes away",
        ))
    }

    fn freeze(&self, _: &Context<Settings>, prefix: &str, take: &mut Take<'_>) -> Result<(), Error> {
        self.list(prefix, take)
    }

    fn freezing(&self) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }

    fn safety(&self) -> Vec<Finding> {
        let name = &self.at.bucket;
        let about = match self.about() {
            Ok(about) => about,
            Err(error) => {
                let why = format!("{name}: what it keeps can't be seen: {}", error.message);
                return vec![if self.retention().is_some() { bad(why) } else { good(why) }];
            }
        };
        let versions = match (versions(&about), days(&about, "/softDeletePolicy/retentionDurationSeconds")) {
            (true, _) => format!("{name} keeps versions: what is overwritten is kept"),
            (false, Some(days)) => {
                format!("{name} keeps no versions, and what is overwritten or deleted for {days} days")
            }
            (false, None) => format!("{name} keeps no versions: what is overwritten or deleted is gone"),
        };
        let each = about.pointer("/objectRetention/mode").and_then(Value::as_str) == Some("Enabled");
        let locks = match (kept(&about), self.retention().is_some()) {
            (_, true) if !each => bad(format!("{name} has no object retention, and the target says retain-days")),
            (Some(rule), _) => good(format!("{name}: {rule}")),
            (None, _) => good(format!("{name} retains nothing: its key may delete what is there")),
        };
        vec![good(versions), locks]
    }

    fn overwriting(&self) -> Result<Option<String>, Error> {
        let about = self.about()?;
        let soft = days(&about, "/softDeletePolicy/retentionDurationSeconds").is_some();
        let gone = !versions(&about) && !soft;
        Ok(gone.then(|| format!("{} keeps no versions: what is overwritten there is gone", self.at.bucket)))
    }

    fn unlocked(&self) -> Result<Option<String>, Error> {
        let free = kept(&self.about()?).is_none();
        Ok(free
            .then(|| format!("nothing is retained in {}: who may delete generations can take it away", self.at.bucket)))
    }
}

#[cfg(test)]
mod tests {
    use lifeboat_sdk::serde_json::json;

    use super::*;

    #[test]
    fn what_a_bucket_keeps_is_told_in_words() {
        let policy = json!({"retentionPolicy": {"retentionPeriod": "864000", "isLocked": true}});
        assert_eq!(kept(&policy).unwrap(), "a policy keeps new objects for 10 days, and nobody can shorten that");
        assert!(kept(&json!({"objectRetention": {"mode": "Enabled"}})).unwrap().starts_with("each object"));
        assert_eq!(kept(&json!({"retentionPolicy": {}})), None);
        assert!(versions(&json!({"versioning": {"enabled": true}})) && !versions(&json!({})));
    }
}
