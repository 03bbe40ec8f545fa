//! The parts of restic's repository format that are read and written here and not by `rustic_core`: names, index files
//! and the headers of packs. The library keeps the means to write them for itself, and what is deleted has to be named
//! in the plan before, which needs the whole index in one's own hands.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::cipher::{OVERHEAD, hex, sha256};

/// Bytes of an entry in the header of a pack: kind, length, digest; and the length when unpacked, where it is packed.
const ENTRY: usize = 37;
const ENTRY_PACKED: usize = 41;
/// Bytes at the end of a pack that hold the length of its header.
pub(crate) const HEADER_LENGTH: u64 = 4;

/// A SHA-256, the name of everything in a repository.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Id(pub(crate) [u8; 32]);

impl Id {
    /// The name of these bytes.
    pub(crate) fn of(data: &[u8]) -> Self {
        Self(sha256(data))
    }

    /// From 64 hexadecimal digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        if text.len() != 64 {
            return None;
        }
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(text.chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(digest))
    }

    /// As 64 hexadecimal digits.
    pub(crate) fn hex(&self) -> String {
        hex(&self.0)
    }

    /// The key of the pack of that name.
    pub(crate) fn pack_key(&self) -> String {
        let hex = self.hex();
        format!("data/{}/{hex}", hex.get(..2).unwrap_or_default())
    }
}

impl std::fmt::Debug for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.hex())
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.hex())
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not the name of an object"))
    }
}

/// What a blob holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// A part of a file.
    Data,
    /// A folder.
    Tree,
}

/// A blob in its pack.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct BlobEntry {
    pub(crate) id: Id,
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    pub(crate) offset: u32,
    pub(crate) length: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) uncompressed_length: Option<u32>,
}

/// A pack in an index file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PackEntry {
    pub(crate) id: Id,
    #[serde(default)]
    pub(crate) blobs: Vec<BlobEntry>,
}

/// An index file.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct IndexFile {
    pub(crate) packs: Vec<PackEntry>,
    /// What another program has marked to be deleted later; here it counts as long as it is there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) packs_to_delete: Vec<PackEntry>,
}

/// As much of an index file as the names of its packs.
#[derive(Debug, Deserialize)]
pub(crate) struct PackNames {
    pub(crate) packs: Vec<PackName>,
    #[serde(default)]
    pub(crate) packs_to_delete: Vec<PackName>,
}

/// The name of a pack.
#[derive(Debug, Deserialize)]
pub(crate) struct PackName {
    pub(crate) id: Id,
}

/// The sealed header at the end of a pack.
pub(crate) fn header_of(pack: &[u8]) -> Option<&[u8]> {
    let (rest, length) = pack.split_last_chunk::<4>()?;
    let start = rest.len().checked_sub(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    rest.get(start..)
}

/// The plain header of a pack with these blobs.
pub(crate) fn header(blobs: &[BlobEntry]) -> Vec<u8> {
    let mut text = Vec::with_capacity(blobs.len() * ENTRY_PACKED);
    for blob in blobs {
        let kind = u8::from(blob.kind == Kind::Tree);
        text.push(if blob.uncompressed_length.is_some() { kind + 2 } else { kind });
        text.extend_from_slice(&blob.length.to_le_bytes());
        if let Some(unpacked) = blob.uncompressed_length {
            text.extend_from_slice(&unpacked.to_le_bytes());
        }
        text.extend_from_slice(&blob.id.0);
    }
    text
}

/// The blobs that a plain header lists; `None` when it is none.
pub(crate) fn parse_header(mut text: &[u8]) -> Option<Vec<BlobEntry>> {
    let number = |bytes: &[u8]| Some(u32::from_le_bytes(bytes.try_into().ok()?));
    let mut blobs = Vec::new();
    let mut offset = 0u32;
    while let Some(first) = text.first() {
        let packed = first & 2 != 0;
        let (entry, rest) = text.split_at_checked(if packed { ENTRY_PACKED } else { ENTRY })?;
        let kind = match first & !2 {
            0 => Kind::Data,
            1 => Kind::Tree,
            _ => return None,
        };
        let length = number(entry.get(1..5)?)?;
        let unpacked = if packed { Some(number(entry.get(5..9)?)?) } else { None };
        let id = Id(entry.get(entry.len() - 32..)?.try_into().ok()?);
        blobs.push(BlobEntry { id, kind, offset, length, uncompressed_length: unpacked });
        offset = offset.checked_add(length)?;
        text = rest;
    }
    Some(blobs)
}

/// What a blob takes of a pack, its entry in the header included.
pub(crate) fn weight(blob: &BlobEntry) -> u64 {
    let entry = if blob.uncompressed_length.is_some() { ENTRY_PACKED } else { ENTRY };
    u64::from(blob.length) + entry as u64
}

/// The size of a pack with these blobs, and no other.
pub(crate) fn pack_size(blobs: &[BlobEntry]) -> u64 {
    blobs.iter().map(weight).sum::<u64>() + u64::from(OVERHEAD) + HEADER_LENGTH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_it_was_written() {
        let blob = |seed: &[u8], kind, offset, length, uncompressed_length| BlobEntry {
            id: Id::of(seed),
            kind,
            offset,
            length,
            uncompressed_length,
        };
        let blobs = vec![
            blob(b"a", Kind::Data, 0, 40, None),
            blob(b"b", Kind::Tree, 40, 50, Some(900)),
            blob(b"c", Kind::Tree, 90, 60, None),
            blob(b"d", Kind::Data, 150, 33, Some(1)),
        ];
        let text = header(&blobs);
        assert_eq!(parse_header(&text).unwrap(), blobs);
        assert_eq!(pack_size(&blobs), 183 + text.len() as u64 + 32 + 4);
        assert!(parse_header(&text[..text.len() - 1]).is_none());
        assert!(parse_header(&[9; 41]).is_none());
        assert_eq!(Id::parse(&Id::of(b"a").hex()), Some(Id::of(b"a")));
        assert_eq!(Id::parse("zz"), None);
    }
}
