//! A copy of an SQLite database, and one reading statement on it.
//!
//! A statement could reach other files (`ATTACH`, `VACUUM INTO`, some pragmas), so only those that begin with a word that
//! reads are taken, only pragmas that check or describe, and only what SQLite itself calls read-only.

use cap_std::fs::Dir;
use lifeboat_core::ports::AttemptSink;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, InterruptHandle, OpenFlags};

use crate::bindings::lifeboat::plugin::types::{Error as GuestError, ErrorKind};
use crate::bounds::{QUERY_BYTES_MAX, QUERY_DATABASE_BYTES_MAX, QUERY_ROWS_MAX};
use crate::fault::{from_io, guest_error, refused};
use crate::stream::{FileSink, Source, pump};

/// Statements that may be asked.
const WORDS: [&str; 4] = ["select", "with", "values", "explain"];
/// Pragmas that may be asked: they check or describe.
const PRAGMAS: [&str; 11] = [
    "integrity_check",
    "quick_check",
    "foreign_key_check",
    "user_version",
    "application_id",
    "page_count",
    "page_size",
    "table_info",
    "table_list",
    "index_list",
    "encoding",
];

/// A copy in a folder of its own, removed with it.
pub struct Copy {
    connection: Connection,
    path: String,
    _dir: tempfile::TempDir,
}

impl Copy {
    /// Copies the database with what its journal holds, and opens the copy.
    pub fn make(dir: &Dir, path: &str, voice: &dyn AttemptSink) -> Result<Self, GuestError> {
        let fail = |error: std::io::Error| from_io("copy", path, &error);
        let scratch = tempfile::tempdir().map_err(fail)?;
        let into = Dir::open_ambient_dir(scratch.path(), cap_std::ambient_authority()).map_err(fail)?;
        for (suffix, needed) in [("", true), ("-wal", false), ("-journal", false)] {
            let name = format!("{path}{suffix}");
            let mut source = match Source::open(dir, &name, 0, None) {
                Ok(source) => source,
                Err(error) if !needed && error.kind == ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if source.left() > QUERY_DATABASE_BYTES_MAX {
                let message =
                    format!("'{name}' is larger than {QUERY_DATABASE_BYTES_MAX} bytes, too large to be queried");
                return Err(guest_error(ErrorKind::Permanent, message));
            }
            let target = into.try_clone().map_err(fail)?;
            let mut sink = FileSink::create(target, &format!("db{suffix}"), false)?;
            pump(&mut source, Some(&mut sink), voice)?;
            sink.commit()?;
        }
        // Writable, because SQLite has to bring the copy's journal in. The statement itself only reads.
        let flags =
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
        let connection =
            Connection::open_with_flags(scratch.path().join("db"), flags).map_err(|error| said(path, &error))?;
        Ok(Self { connection, path: path.to_owned(), _dir: scratch })
    }

    /// Ends the query from another thread.
    pub fn stopper(&self) -> InterruptHandle {
        self.connection.get_interrupt_handle()
    }

    /// All rows, as text.
    pub fn query(&self, query: &str) -> Result<Vec<Vec<String>>, GuestError> {
        allowed(query)?;
        let fail = |error: rusqlite::Error| said(&self.path, &error);
        let mut statement = self.connection.prepare(query).map_err(fail)?;
        if !statement.readonly() {
            return Err(refused("the query would change the database; only reading is allowed", None));
        }
        let columns = statement.column_count();
        let mut rows = statement.query([]).map_err(fail)?;
        let mut answer = Vec::new();
        let mut bytes = 0;
        while let Some(row) = rows.next().map_err(fail)? {
            let mut texts = Vec::with_capacity(columns);
            for column in 0..columns {
                let text = shown(row.get_ref(column).map_err(fail)?);
                bytes += text.len();
                texts.push(text);
            }
            answer.push(texts);
            if answer.len() > QUERY_ROWS_MAX || bytes > QUERY_BYTES_MAX {
                let message = format!("the answer has more than {QUERY_ROWS_MAX} rows or {QUERY_BYTES_MAX} bytes");
                return Err(guest_error(ErrorKind::Permanent, message));
            }
        }
        Ok(answer)
    }
}

fn said(path: &str, error: &rusqlite::Error) -> GuestError {
    guest_error(ErrorKind::Permanent, format!("SQLite on '{path}': {error}"))
}

fn shown(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        ValueRef::Blob(blob) => blob.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

fn allowed(query: &str) -> Result<(), GuestError> {
    let word = |text: &str| -> String {
        text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>().to_ascii_lowercase()
    };
    let text = query.trim_start();
    let first = word(text);
    if first == "pragma" {
        let name = word(text.get(first.len()..).unwrap_or_default().trim_start());
        if PRAGMAS.contains(&name.as_str()) && !query.contains('=') {
            return Ok(());
        }
    } else if WORDS.contains(&first.as_str()) {
        return Ok(());
    }
    let hint = format!("a query begins with {}, or is one of the pragmas {}", WORDS.join(", "), PRAGMAS.join(", "));
    Err(refused(format!("a statement that begins with '{}' is not allowed", crate::fault::cut(first)), Some(hint)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice::Quiet;

    fn database() -> (tempfile::TempDir, Dir) {
        let folder = tempfile::tempdir().unwrap();
        let connection = Connection::open(folder.path().join("a.sqlite")).unwrap();
        connection
            .execute_batch("PRAGMA journal_mode=WAL; CREATE TABLE t(a, b); INSERT INTO t VALUES(1, 'x'), (2, NULL);")
            .unwrap();
        let dir = Dir::open_ambient_dir(folder.path(), cap_std::ambient_authority()).unwrap();
        // The connection stays open, so the rows are in the write-ahead log only.
        std::mem::forget(connection);
        (folder, dir)
    }

    #[test]
    fn rows_come_from_a_copy_with_its_log() {
        let (_folder, dir) = database();
        let copy = Copy::make(&dir, "a.sqlite", &Quiet).unwrap();
        assert_eq!(copy.query("SELECT a, b FROM t ORDER BY a").unwrap(), [["1", "x"], ["2", ""]]);
        assert_eq!(copy.query(" PRAGMA integrity_check").unwrap(), [["ok"]]);
    }

    #[test]
    fn what_writes_or_reaches_elsewhere_is_refused() {
        let (folder, dir) = database();
        let copy = Copy::make(&dir, "a.sqlite", &Quiet).unwrap();
        let elsewhere = folder.path().join("elsewhere").display().to_string();
        for query in [
            "DELETE FROM t",
            "WITH x AS (SELECT 1) DELETE FROM t",
            &format!("ATTACH '{elsewhere}' AS e"),
            &format!("VACUUM INTO '{elsewhere}'"),
            "PRAGMA user_version = 7",
            "PRAGMA temp_store_directory('/tmp')",
            "SELECT 1; DELETE FROM t",
            "/* */ ATTACH 'x' AS y",
        ] {
            assert!(copy.query(query).is_err(), "{query}");
        }
        assert!(!std::path::Path::new(&elsewhere).exists());
        assert_eq!(copy.query("SELECT count(*) FROM t").unwrap(), [["2"]]);
    }

    #[test]
    fn endless_queries_are_interrupted_and_large_answers_refused() {
        let (_folder, dir) = database();
        let copy = Copy::make(&dir, "a.sqlite", &Quiet).unwrap();
        let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT";
        assert!(copy.query(&format!("{endless} i FROM n")).unwrap_err().message.contains("rows"));
        let stop = copy.stopper();
        std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(100));
            stop.interrupt();
        });
        assert!(copy.query(&format!("{endless} count(*) FROM n")).unwrap_err().message.contains("interrupted"));
        std::fs::write(_folder.path().join("bad.sqlite"), [7; 4096]).unwrap();
        let bad = Copy::make(&dir, "bad.sqlite", &Quiet).and_then(|copy| copy.query("SELECT 1 FROM sqlite_schema"));
        assert!(bad.unwrap_err().message.contains("not a database"));
    }
}
