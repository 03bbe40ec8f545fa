//! The demo's estate: a small but real primary site (a database with rows, files, a model-like binary), two vaults, and the
//! runbooks and operator file that a person would write for it.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use lifeboat_core::Error;

/// Marks a folder as one that the demo made, and may make anew.
const MARK: &str = ".made-by-lifeboat-demo";
/// What the demo makes anew each time. The data folder stays: it is the history of runs.
const MADE: [&str; 3] = ["site", "vault", "remote-vault"];
const ORDERS: u32 = 5_000;
const FILES: u32 = 400;

const PROTECT: &str = include_str!("protect.kdl");
const RECOVER: &str = include_str!("recover.kdl");
const OPERATOR: &str = include_str!("operator.kdl");

/// The demo's folder.
pub struct Estate {
    /// Absolute.
    pub dir: PathBuf,
}

/// What a folder tree is: for telling whether two are the same to the byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// Digest over paths and contents.
    pub digest: String,
    /// Files in it.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
}

fn failed(path: &Path, cause: &dyn std::fmt::Display) -> Error {
    Error::new("LB0901", format!("the demo cannot work on '{}'", path.display()))
        .with("cause", cause)
        .hint("--dir names another folder; the demo needs about three times the model's size of free disk")
}

impl Estate {
    /// Makes the estate. A folder that the demo made before is made anew; any other one is left alone.
    ///
    /// # Errors
    /// `LB0902` when the folder holds something else; `LB0901` when it cannot be written.
    pub fn make(dir: &Path, model_mib: u64) -> Result<Self, Error> {
        fs::create_dir_all(dir).map_err(|cause| failed(dir, &cause))?;
        let dir = fs::canonicalize(dir).map_err(|cause| failed(dir, &cause))?;
        let io = |cause: io::Error| failed(&dir, &cause);
        let empty = fs::read_dir(&dir).map_err(io)?.next().is_none();
        if !empty && !dir.join(MARK).exists() {
            return Err(Error::new("LB0902", format!("'{}' holds something else", dir.display()))
                .hint("--dir names a folder for the demo: a new one, an empty one, or one of an earlier demo"));
        }
        fs::write(dir.join(MARK), "The demo of Lifeboat made this folder and may make it anew.\n").map_err(io)?;
        for name in MADE {
            match fs::remove_dir_all(dir.join(name)) {
                Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(io(cause)),
                _ => fs::create_dir_all(dir.join(name)).map_err(io)?,
            }
        }
        let estate = Self { dir };
        estate.configure().map_err(|cause| failed(&estate.dir, &cause))?;
        estate.fill(model_mib).map_err(|cause| failed(&estate.dir, &cause))?;
        estate.database().map_err(|cause| failed(&estate.dir, &cause))?;
        Ok(estate)
    }

    /// The primary site.
    pub fn primary(&self) -> PathBuf {
        self.dir.join("site/primary")
    }

    /// The standby site.
    pub fn standby(&self) -> PathBuf {
        self.dir.join("site/standby")
    }

    /// A path below the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn configure(&self) -> io::Result<()> {
        // A backslash or a quote in the path must not end the string in KDL.
        let escaped = self.dir.display().to_string().replace('\\', "\\\\").replace('"', "\\\"");
        fs::create_dir_all(self.path("runbooks"))?;
        for (name, text) in
            [("runbooks/protect.kdl", PROTECT), ("runbooks/recover.kdl", RECOVER), ("lifeboat.kdl", OPERATOR)]
        {
            fs::write(self.path(name), text.replace("@DIR@", &escaped))?;
        }
        let password = self.path("vault-password");
        if !password.exists() {
            let mut random = [0_u8; 24];
            fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
            let text: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
            let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(password)?;
            writeln!(file, "{text}")?;
        }
        Ok(())
    }

    fn fill(&self, model_mib: u64) -> io::Result<()> {
        let primary = self.primary();
        fs::create_dir_all(primary.join("models"))?;
        let mut stream = blake3::Hasher::new().update(b"the demo's model").finalize_xof();
        let mut model = fs::File::create(primary.join("models/forecast.bin"))?;
        let mut chunk = vec![0_u8; 1024 * 1024];
        for _ in 0..model_mib {
            stream.fill(&mut chunk);
            model.write_all(&chunk)?;
        }
        for number in 0..FILES {
            let folder = primary.join(format!("invoices/2026-{:02}", number % 12 + 1));
            fs::create_dir_all(&folder)?;
            let text = format!("invoice {number}\namount {}.{:02} EUR\n", number * 7 % 900, number % 100);
            fs::write(folder.join(format!("invoice-{number:04}.txt")), text.repeat(40))?;
        }
        symlink("primary", self.path("site/current"))
    }

    fn database(&self) -> Result<(), Box<dyn std::error::Error>> {
        fs::create_dir_all(self.primary().join("db"))?;
        let mut database = rusqlite::Connection::open(self.primary().join("db/orders.sqlite"))?;
        database.execute_batch(
            "create table orders (id integer primary key, item text not null, cents integer not null)",
        )?;
        let change = database.transaction()?;
        for number in 0..ORDERS {
            let row = (number, format!("item {}", number % 97), number * 13 % 5_000);
            change.execute("insert into orders values (?1, ?2, ?3)", row)?;
        }
        change.commit()?;
        Ok(())
    }

    /// The disaster: the primary site and the vault beside it are gone.
    ///
    /// # Errors
    /// `LB0901` when they cannot be removed.
    pub fn destroy(&self) -> Result<(), Error> {
        for path in [self.primary(), self.path("vault")] {
            fs::remove_dir_all(&path).map_err(|cause| failed(&path, &cause))?;
        }
        Ok(())
    }
}

/// What a tree is: every path and every byte.
///
/// # Errors
/// `LB0901` when it cannot be read.
pub fn tree(root: &Path) -> Result<Tree, Error> {
    let mut all = blake3::Hasher::new();
    let mut sum = Tree { digest: String::new(), files: 0, bytes: 0 };
    for path in walk(root).map_err(|cause| failed(root, &cause))? {
        let whole = root.join(&path);
        let mut one = blake3::Hasher::new();
        let copied = fs::File::open(&whole).and_then(|mut file| io::copy(&mut file, &mut one));
        sum.bytes += copied.map_err(|cause| failed(&whole, &cause))?;
        sum.files += 1;
        all.update(path.as_os_str().as_encoded_bytes());
        all.update(&[0]);
        all.update(one.finalize().as_bytes());
    }
    sum.digest = all.finalize().to_hex().to_string();
    Ok(sum)
}

fn walk(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
