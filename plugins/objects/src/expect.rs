//! The expectations of a `validate` step, each with its words and its check.

use lifeboat_sdk::host::{digest, now_ms};
use lifeboat_sdk::prelude::*;
use lifeboat_sdk::range;

use crate::manifest::OWN;
use crate::{Bucket, Entry};

/// One thing that must hold. Paths are keys, below the prefix of the target.
#[data]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Expectation {
    /// An object is there, of that size, age and content.
    Object {
        /// The key of the object.
        path: String,
        /// The least size, in bytes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min_size: Option<u64>,
        /// The greatest size, in bytes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_size: Option<u64>,
        /// The greatest age, in hours.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_age_hours: Option<u64>,
        /// The BLAKE3 digest of its bytes: `blake3:` and 64 hexadecimal digits.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<String>,
    },
    /// No object of that key is there.
    Absent {
        /// The key.
        path: String,
    },
    /// As many objects, with as many bytes, are there.
    Count {
        /// What their keys begin with; without it, all of the target.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<String>,
        /// The least number of objects.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<u64>,
        /// The greatest number of objects.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<u64>,
        /// The least sum of their bytes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min_bytes: Option<u64>,
    },
    /// The newest object is not too old.
    Newest {
        /// What the keys begin with; without it, all of the target.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<String>,
        /// The greatest age, in hours.
        max_age_hours: u64,
    },
}

/// What is wrong, or nothing.
type Verdict = Result<Option<String>, Error>;

impl Expectation {
    /// What is expected, in words.
    pub fn words(&self) -> String {
        match self {
            Expectation::Object { path, .. } => format!("object {path}"),
            Expectation::Absent { path } => format!("absent {path}"),
            Expectation::Count { path, .. } => format!("count {}", place(path)),
            Expectation::Newest { path, .. } => format!("newest {}", place(path)),
        }
    }

    /// Looks. An error means that it could not be looked at.
    pub fn check<B: Bucket>(&self, bucket: &B) -> Verdict {
        let failure = match self {
            Expectation::Object { path, min_size, max_size, max_age_hours, digest } => {
                object(bucket, path, (*min_size, *max_size), *max_age_hours, digest.as_deref())
            }
            Expectation::Absent { path } => {
                Ok(bucket.head(&bucket.at().full(path), None)?.map(|_| "it is there".to_owned()))
            }
            Expectation::Count { path, min, max, min_bytes } => {
                let (mut count, mut bytes) = (0, 0);
                each(bucket, path, |entry| {
                    count += 1;
                    bytes += entry.size;
                })?;
                Ok(range("objects", count, *min, *max).or_else(|| range("bytes", bytes, *min_bytes, None)))
            }
            Expectation::Newest { path, max_age_hours } => {
                let mut newest: Option<Option<u64>> = None;
                each(bucket, path, |entry| newest = newest.max(Some(entry.modified)))?;
                Ok(match newest {
                    None => Some("there is no object".to_owned()),
                    Some(modified) => old(modified, *max_age_hours),
                })
            }
        }?;
        Ok(failure.map(|failure| format!("{}: {failure}", self.words())))
    }
}

fn place(path: &Option<String>) -> &str {
    path.as_deref().unwrap_or("all")
}

/// Every object but Lifeboat's own.
fn each<B: Bucket>(bucket: &B, path: &Option<String>, mut take: impl FnMut(&Entry)) -> Result<(), Error> {
    let own = bucket.at().full(OWN);
    bucket.objects(&bucket.at().full(path.as_deref().unwrap_or_default()), &mut |entry| {
        if !entry.key.starts_with(&own) {
            take(&entry);
        }
        Ok(())
    })
}

fn object<B: Bucket>(
    bucket: &B,
    path: &str,
    (min, max): (Option<u64>, Option<u64>),
    max_age_hours: Option<u64>,
    expected: Option<&str>,
) -> Verdict {
    let key = bucket.at().full(path);
    let Some(entry) = bucket.first(&key)?.filter(|entry| entry.key == key) else {
        return Ok(Some("it is not there".to_owned()));
    };
    if let Some(failure) = range("bytes", entry.size, min, max) {
        return Ok(Some(failure));
    }
    if let Some(failure) = max_age_hours.and_then(|hours| old(entry.modified, hours)) {
        return Ok(Some(failure));
    }
    let Some(expected) = expected else { return Ok(None) };
    let found = digest(&bucket.get(&key, None, 0, None)?.body)?.digest;
    Ok((!found.eq_ignore_ascii_case(expected)).then(|| format!("its digest is {found}, expected {expected}")))
}

fn old(modified: Option<u64>, max_hours: u64) -> Option<String> {
    let Some(modified) = modified else {
        return Some("the server gives no time of it that can be read".to_owned());
    };
    let age = now_ms().saturating_sub(modified) / 1_000;
    (age > max_hours * 3_600).then(|| format!("it is {} hours old, expected at most {max_hours}", age / 3_600))
}

#[cfg(test)]
mod tests {
    use super::Expectation;

    fn read(json: &str) -> Result<Expectation, String> {
        lifeboat_sdk::serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn expectations_are_read_by_kind() {
        for (json, words) in [
            (r#"{"kind":"object","path":"a","min_size":1,"max_age_hours":2}"#, "object a"),
            (r#"{"kind":"absent","path":"lock"}"#, "absent lock"),
            (r#"{"kind":"count","path":"d/","max":9,"min_bytes":3}"#, "count d/"),
            (r#"{"kind":"newest","max_age_hours":24}"#, "newest all"),
        ] {
            assert_eq!(read(json).map(|expectation| expectation.words()), Ok(words.to_owned()));
        }
        assert!(read(r#"{"kind":"newest"}"#).is_err_and(|error| error.contains("max_age_hours")));
        assert!(read(r#"{"kind":"absent","path":"a","digest":"x"}"#).is_err());
    }
}
