//! Files that people attach to what they say: kept in the data folder under the digest of their bytes.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use lifeboat_core::event::EvidenceFile;
use lifeboat_core::{Digest, Error, limits};
use serde_json::Value;

/// The folder in the data folder.
const FOLDER: &str = "evidence";

/// Where a file with that digest is kept.
pub fn path(data: &Path, digest: &Digest) -> PathBuf {
    data.join(FOLDER).join(digest.0.replace(':', "-"))
}

/// The outputs that a person gives: JSON, or `@FILE` with JSON in it.
///
/// # Errors
/// `LB0901` when the file cannot be read; `LB0902` when it is not JSON.
pub fn outputs(text: &str) -> Result<Value, Error> {
    let read = match text.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path).map_err(|cause| failed(Path::new(path), "read", cause))?,
        None => text.to_owned(),
    };
    if read.len() > limits::OUTPUTS_BYTES_MAX {
        let limit = limits::OUTPUTS_BYTES_MAX;
        return Err(Error::new("LB0902", format!("the outputs have {} bytes", read.len()))
            .hint(format!("outputs are facts for later steps, at most {limit} bytes; attach data with --evidence")));
    }
    serde_json::from_str(&read).map_err(|cause| {
        Error::new("LB0902", "the outputs are not JSON")
            .with("cause", cause)
            .hint("write --outputs '{\"NAME\": \"VALUE\"}'; 'lifeboat plugin inspect NAME' shows what a step gives")
    })
}

fn failed(path: &Path, what: &str, cause: std::io::Error) -> Error {
    Error::new("LB0901", format!("'{}' cannot be {what}", path.display())).with("cause", cause)
}

/// Keeps a copy of the file in the data folder, durable when this returns.
///
/// # Errors
/// `LB0901` when it cannot be read, is too large, or cannot be kept.
pub fn keep(data: &Path, path: &Path) -> Result<EvidenceFile, Error> {
    let limit = u64::try_from(limits::EVIDENCE_BYTES_MAX).unwrap_or(u64::MAX);
    let file = File::open(path).map_err(|cause| failed(path, "read", cause))?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|cause| failed(path, "read", cause))?;
    if bytes.len() > limits::EVIDENCE_BYTES_MAX {
        return Err(Error::new("LB0901", format!("'{}' has more than {limit} bytes", path.display()))
            .hint("attach what shows that the step is done: a log, a screenshot, a checksum list"));
    }
    let digest = Digest::of(&bytes);
    let folder = data.join(FOLDER);
    let kept = self::path(data, &digest);
    store(&folder, &kept, &bytes).map_err(|cause| failed(&kept, "written", cause))?;
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    Ok(EvidenceFile { name, digest, bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX) })
}

/// The same bytes have the same name, so a file that is there is right, unless its write was cut off.
fn store(folder: &Path, kept: &Path, bytes: &[u8]) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let half = kept.with_extension("part");
    let mut file = File::create(&half)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&half, kept)?;
    File::open(folder)?.sync_all()
}
