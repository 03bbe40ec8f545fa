//! The expectations of a `validate` step, each with its words and its check.

use lifeboat_sdk::host::{EntryKind, digest, from_list, query_sqlite};
use lifeboat_sdk::prelude::*;
use lifeboat_sdk::range;

use crate::sentinel;

/// A value to compare with: what a database gives is text, and is compared as text.
#[data]
#[serde(untagged)]
pub enum Scalar {
    /// A truth value; SQLite has 0 and 1 for it.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(String),
}

impl Scalar {
    fn text(&self) -> String {
        match self {
            Scalar::Bool(value) => u8::from(*value).to_string(),
            Scalar::Int(value) => value.to_string(),
            Scalar::Float(value) => value.to_string(),
            Scalar::Text(value) => value.clone(),
        }
    }
}

/// One thing that must hold below the folder. Paths are relative to it.
#[data]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Expectation {
    /// A file is there, of that size and content.
    File {
        /// The path of the file.
        path: String,
        /// The least size, in bytes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min_size: Option<u64>,
        /// The greatest size, in bytes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_size: Option<u64>,
        /// The BLAKE3 digest of its bytes: `blake3:` and 64 hexadecimal digits.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<String>,
    },
    /// A folder is there.
    Directory {
        /// The path of the folder.
        path: String,
        /// The least number of files in it and below.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min_files: Option<u64>,
    },
    /// Nothing of that name is there.
    Absent {
        /// The path.
        path: String,
    },
    /// A file is an SQLite database that passes `PRAGMA integrity_check`, and gives that answer.
    Sqlite {
        /// The path of the database.
        path: String,
        /// A query that only reads. The first column of its first row is compared.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        query: Option<String>,
        /// What the query must give.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        equals: Option<Scalar>,
        /// The least number that the query must give.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<f64>,
    },
    /// All paths and contents together have that digest.
    Tree {
        /// The folder; without it, all of the target.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<String>,
        /// The BLAKE3 digest over one line for each file, in the order of their paths: the digest of its bytes, two
        /// spaces, its path, a line feed.
        digest: String,
    },
    /// A sentinel that `lifeboat sentinel write` put into the data is there. Its time tells how much was lost.
    Sentinel {
        /// The path of the file; without it, `.lifeboat-sentinel`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<String>,
        /// How old it may be at most, in minutes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_age_minutes: Option<u64>,
    },
    /// As many files are there.
    Count {
        /// The folder; without it, all of the target.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<String>,
        /// The least number of files in it and below.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<u64>,
        /// The greatest number of files in it and below.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<u64>,
    },
}

/// What is wrong, or nothing.
type Verdict = Result<Option<String>, Error>;

impl Expectation {
    /// What is expected, in words.
    pub fn words(&self) -> String {
        match self {
            Expectation::File { path, .. } => format!("file {path}"),
            Expectation::Directory { path, .. } => format!("directory {path}"),
            Expectation::Absent { path } => format!("absent {path}"),
            Expectation::Sqlite { path, query: None, .. } => format!("sqlite {path}"),
            Expectation::Sqlite { path, query: Some(query), .. } => format!("sqlite {path} ({query})"),
            Expectation::Tree { path, .. } => format!("tree {}", place(path)),
            Expectation::Sentinel { path, .. } => format!("sentinel {}", sentinel::place(path)),
            Expectation::Count { path, .. } => format!("count {}", place(path)),
        }
    }

    /// Looks. An error means that it could not be looked at.
    pub fn check(&self, dir: &Directory) -> Verdict {
        let failure = match self {
            Expectation::File { path, min_size, max_size, digest } => {
                file(dir, path, *min_size, *max_size, digest.as_deref())
            }
            Expectation::Directory { path, min_files } => directory(dir, path, *min_files),
            Expectation::Absent { path } => absent(dir, path),
            Expectation::Sqlite { path, query, equals, min } => {
                sqlite(dir, path, query.as_deref(), equals.as_ref(), *min)
            }
            Expectation::Tree { path, digest } => tree(dir, place(path), digest),
            Expectation::Sentinel { path, max_age_minutes } => {
                sentinel::check(dir, sentinel::place(path), *max_age_minutes)
            }
            Expectation::Count { path, min, max } => {
                files_below(dir, place(path)).map(|count| range("files", count, *min, *max))
            }
        }?;
        Ok(failure.map(|failure| format!("{}: {failure}", self.words())))
    }
}

fn place(path: &Option<String>) -> &str {
    path.as_deref().unwrap_or(".")
}

fn differs(found: &str, expected: &str) -> Option<String> {
    (!found.eq_ignore_ascii_case(expected)).then(|| format!("its digest is {found}, expected {expected}"))
}

fn file(dir: &Directory, path: &str, min: Option<u64>, max: Option<u64>, expected: Option<&str>) -> Verdict {
    let entry = match dir.stat(path) {
        Ok(entry) => entry,
        Err(error) if error.is_not_found() => return Ok(Some("it is not there".to_owned())),
        Err(error) => return Err(error),
    };
    if entry.kind != EntryKind::File {
        return Ok(Some("it is no file".to_owned()));
    }
    if let Some(failure) = range("bytes", entry.size, min, max) {
        return Ok(Some(failure));
    }
    match expected {
        Some(expected) => {
            let reader = dir.open_reader(path, 0, None)?;
            Ok(differs(&digest(&reader)?.digest, expected))
        }
        None => Ok(None),
    }
}

fn directory(dir: &Directory, path: &str, min_files: Option<u64>) -> Verdict {
    match dir.stat(path) {
        Ok(entry) if entry.kind == EntryKind::Directory => {}
        Ok(_) => return Ok(Some("it is no folder".to_owned())),
        Err(error) if error.is_not_found() => return Ok(Some("it is not there".to_owned())),
        Err(error) => return Err(error),
    }
    match min_files {
        Some(_) => Ok(range("files", files_below(dir, path)?, min_files, None)),
        None => Ok(None),
    }
}

fn absent(dir: &Directory, path: &str) -> Verdict {
    match dir.stat(path) {
        Ok(_) => Ok(Some("it is there".to_owned())),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

fn files_below(dir: &Directory, path: &str) -> Result<u64, Error> {
    let files = dir.open_dir(path)?.walk(".")?;
    Ok(files.iter().filter(|file| file.kind == EntryKind::File).count() as u64)
}

fn tree(dir: &Directory, path: &str, expected: &str) -> Verdict {
    let below = dir.open_dir(path)?;
    let mut lines = String::new();
    let files: Vec<_> = below.walk(".")?.into_iter().filter(|file| file.kind == EntryKind::File).collect();
    for (done, file) in (0..).zip(&files) {
        host::progress(done, Some(files.len() as u64), "files", &file.name);
        let reader = below.open_reader(&file.name, 0, None)?;
        lines.push_str(&format!("{}  {}\n", digest(&reader)?.digest, file.name));
    }
    // The host hashes the list too: a guest needs no hash of its own.
    Ok(differs(&digest(&from_list(lines.as_bytes()))?.digest, expected))
}

fn sqlite(dir: &Directory, path: &str, query: Option<&str>, equals: Option<&Scalar>, min: Option<f64>) -> Verdict {
    let complaints: Vec<String> =
        query_sqlite(dir, path, "PRAGMA integrity_check")?.into_iter().flatten().filter(|line| line != "ok").collect();
    if let Some(first) = complaints.first() {
        return Ok(Some(format!("the database is damaged: {first}")));
    }
    let Some(query) = query else {
        return Ok(None);
    };
    let rows = query_sqlite(dir, path, query)?;
    let Some(found) = rows.first().and_then(|row| row.first()) else {
        return Ok(Some("the query gives no row".to_owned()));
    };
    if let Some(expected) = equals.map(Scalar::text).filter(|expected| expected != found) {
        return Ok(Some(format!("the query gives '{found}', expected '{expected}'")));
    }
    match (min, found.parse::<f64>()) {
        (Some(min), Ok(number)) if number < min => {
            Ok(Some(format!("the query gives {number}, expected at least {min}")))
        }
        (Some(_), Err(_)) => Ok(Some(format!("the query gives '{found}', which is no number"))),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::{Expectation, Scalar};

    fn read(json: &str) -> Result<Expectation, String> {
        lifeboat_sdk::serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn expectations_are_read_by_kind() {
        for (json, words) in [
            (r#"{"kind":"file","path":"a","min_size":1,"digest":"blake3:00"}"#, "file a"),
            (r#"{"kind":"directory","path":"d","min_files":3}"#, "directory d"),
            (r#"{"kind":"absent","path":"lock"}"#, "absent lock"),
            (r#"{"kind":"sqlite","path":"o.db","query":"select 1","equals":1,"min":0.5}"#, "sqlite o.db (select 1)"),
            (r#"{"kind":"tree","digest":"blake3:00"}"#, "tree ."),
            (r#"{"kind":"sentinel","max_age_minutes":5}"#, "sentinel .lifeboat-sentinel"),
            (r#"{"kind":"count","path":"d","max":9}"#, "count d"),
        ] {
            assert_eq!(read(json).map(|expectation| expectation.words()), Ok(words.to_owned()));
        }
        assert!(read(r#"{"kind":"absent","path":"a","digest":"x"}"#).is_err());
        assert!(read(r#"{"kind":"fiel","path":"a"}"#).is_err_and(|error| error.contains("fiel")));
        assert!(read(r#"{"kind":"file"}"#).is_err_and(|error| error.contains("path")));
    }

    #[test]
    fn scalars_compare_as_a_database_writes_them() {
        let text = |json: &str| lifeboat_sdk::serde_json::from_str::<Scalar>(json).map(|scalar| scalar.text()).ok();
        assert_eq!(text("42").as_deref(), Some("42"));
        assert_eq!(text("true").as_deref(), Some("1"));
        assert_eq!(text("2.5").as_deref(), Some("2.5"));
        assert_eq!(text("\"ok\"").as_deref(), Some("ok"));
    }
}
