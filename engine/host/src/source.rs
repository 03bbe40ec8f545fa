//! Where bytes come from: files, memory, the network. Guests hold handles on these, and never the bytes.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use bytes::Bytes;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};

use crate::bindings::lifeboat::plugin::types::{Error as GuestError, ErrorKind};
use crate::fault::{from_io, guest_error};
use crate::http::incoming::NetSource;

/// Where bytes come from.
pub enum Source {
    /// A file, from its current position on.
    File {
        /// The file.
        file: File,
        /// Bytes left to read.
        left: u64,
    },
    /// Bytes in memory.
    Memory(Bytes),
    /// The body of an answer over HTTP.
    Net(Box<NetSource>),
}

impl Source {
    /// A part of a regular file below the folder. Pipes and devices are refused: opening one could block for ever.
    pub fn open(dir: &Dir, path: &str, offset: u64, len: Option<u64>) -> Result<Self, GuestError> {
        let fail = |error: io::Error| from_io("open", path, &error);
        let mut options = OpenOptions::new();
        let nonblock = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
        options.read(true).custom_flags(nonblock);
        let mut file = dir.open_with(path, &options).map_err(fail)?.into_std();
        let meta = file.metadata().map_err(fail)?;
        if !meta.is_file() {
            return Err(guest_error(ErrorKind::Permanent, format!("open '{path}': it is no regular file")));
        }
        if offset > 0 {
            file.seek(SeekFrom::Start(offset)).map_err(fail)?;
        }
        let rest = meta.len().saturating_sub(offset);
        Ok(Source::File { file, left: len.map_or(rest, |len| len.min(rest)) })
    }

    /// Bytes left; `None` where that is not known.
    pub fn known(&self) -> Option<u64> {
        match self {
            Source::File { left, .. } => Some(*left),
            Source::Memory(data) => Some(data.len() as u64),
            Source::Net(net) => net.left(),
        }
    }

    /// Bytes left, or as many as there could be.
    pub fn left(&self) -> u64 {
        self.known().unwrap_or(u64::MAX)
    }

    /// What it is, for messages.
    pub fn name(&self) -> String {
        match self {
            Source::File { .. } => "a file".to_owned(),
            Source::Memory(_) => "bytes".to_owned(),
            Source::Net(net) => net.from().to_owned(),
        }
    }

    /// Reads at most as many bytes as the buffer has; 0 at the end.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Source::File { file, left } => {
                let want = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
                let Some(part) = buffer.get_mut(..want) else { return Ok(0) };
                let mut count = 0;
                while let Some(rest) = part.get_mut(count..).filter(|rest| !rest.is_empty()) {
                    match file.read(rest) {
                        Ok(0) => break,
                        Ok(n) => count += n,
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => return Err(error),
                    }
                }
                *left -= count as u64;
                Ok(count)
            }
            Source::Memory(data) => {
                let part = data.split_to(data.len().min(buffer.len()));
                if let Some(front) = buffer.get_mut(..part.len()) {
                    front.copy_from_slice(&part);
                }
                Ok(part.len())
            }
            Source::Net(net) => net.read(buffer),
        }
    }
}
