//! The expectations of a `validate` step, each with its words and its check.

use lifeboat_sdk::host::{digest, now_ms};
use lifeboat_sdk::prelude::*;

use crate::bucket::Bucket;
use crate::manifest::OWN;

/// One thing that must hold in the bucket. Paths are keys, below the prefix of the target.
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
    pub fn check(&self, bucket: &Bucket) -> Verdict {
        let failure = match self {
            Expectation::Object { path, min_size, max_size, max_age_hours, digest } => {
                object(bucket, path, (*min_size, *max_size), *max_age_hours, digest.as_deref())
            }
            Expectation::Absent { path } => {
                Ok(bucket.head(&bucket.full(path), None)?.map(|_| "it is there".to_owned()))
            }
            Expectation::Count { path, min, max, min_bytes } => {
                let (mut count, mut bytes) = (0, 0);
                each(bucket, path, |_, size| {
                    count += 1;
                    bytes += size;
                })?;
                Ok(range("objects", count, *min, *max).or_else(|| range("bytes", bytes, *min_bytes, None)))
            }
            Expectation::Newest { path, max_age_hours } => {
                let mut newest: Option<String> = None;
                each(bucket, path, |modified, _| {
                    if newest.as_deref().is_none_or(|known| known < modified) {
                        newest = Some(modified.to_owned());
                    }
                })?;
                Ok(match newest {
                    None => Some("there is no object".to_owned()),
                    Some(modified) => old(&modified, *max_age_hours),
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
fn each(bucket: &Bucket, path: &Option<String>, mut take: impl FnMut(&str, u64)) -> Result<(), Error> {
    let own = bucket.full(OWN);
    bucket.objects(&bucket.full(path.as_deref().unwrap_or_default()), |entry| {
        if !entry.key.starts_with(&own) {
            take(&entry.modified, entry.size);
        }
        Ok(())
    })
}

fn object(
    bucket: &Bucket,
    path: &str,
    (min, max): (Option<u64>, Option<u64>),
    max_age_hours: Option<u64>,
    expected: Option<&str>,
) -> Verdict {
    let key = bucket.full(path);
    let Some(entry) = bucket.first(&key)?.filter(|entry| entry.key == key) else {
        return Ok(Some("it is not there".to_owned()));
    };
    if let Some(failure) = range("bytes", entry.size, min, max) {
        return Ok(Some(failure));
    }
    if let Some(failure) = max_age_hours.and_then(|hours| old(&entry.modified, hours)) {
        return Ok(Some(failure));
    }
    let Some(expected) = expected else { return Ok(None) };
    let found = digest(&bucket.get(&key, None, 0, None)?.body)?.digest;
    Ok((!found.eq_ignore_ascii_case(expected)).then(|| format!("its digest is {found}, expected {expected}")))
}

fn range(what: &str, value: u64, min: Option<u64>, max: Option<u64>) -> Option<String> {
    match (min, max) {
        (Some(min), _) if value < min => Some(format!("{value} {what}, expected at least {min}")),
        (_, Some(max)) if value > max => Some(format!("{value} {what}, expected at most {max}")),
        _ => None,
    }
}

fn old(modified: &str, max_hours: u64) -> Option<String> {
    let Some(seconds) = seconds(modified) else {
        return Some(format!("the server's time '{modified}' is no time"));
    };
    let age = (now_ms() / 1_000).saturating_sub(seconds);
    (age > max_hours * 3_600).then(|| format!("it is {} hours old, expected at most {max_hours}", age / 3_600))
}

/// Seconds since the Unix epoch of `2026-11-21T06:47:55.000Z`.
fn seconds(text: &str) -> Option<u64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1..=12).contains(&month) || year < 1970 || !text.ends_with('Z') {
        return None;
    }
    // Years begin in March, so that the leap day is the last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    Some((days - 719_468) * 86_400 + hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::{Expectation, seconds};

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

    #[test]
    fn times_of_servers_are_read() {
        assert_eq!(seconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(seconds("2024-02-29T00:00:00.000Z"), Some(1_709_164_800));
        assert_eq!(seconds("2026-11-21T06:47:55.123Z"), Some(1_795_243_675));
        assert_eq!(seconds("Sat, 21 Nov 2026"), None);
    }
}
