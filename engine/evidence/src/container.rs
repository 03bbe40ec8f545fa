//! The file: a line with its version, parts with their lengths, the manifest as the last part, signatures, and an end.
//!
//! Every byte has one meaning. There are no blanks to choose, no order to choose and no way to write a number twice, so a
//! byte that differs is either in a part, whose digest is in the manifest, or in the frame, which does not read any more.

use lifeboat_core::Error;

use crate::{hex, limits};

/// The first line, without what ends it. The number is the version of the format.
pub const MAGIC: &str = "lifeboat-evidence";
/// The version of the format that is written, and the latest that is read.
pub const FORMAT: u32 = 1;
/// The name of the part that is signed.
pub const MANIFEST: &str = "manifest.json";

/// A part: a name, and bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    pub name: &'a str,
    pub bytes: &'a [u8],
}

/// A signature and the words that it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawSignature<'a> {
    pub signature: [u8; 64],
    pub statement: &'a [u8],
}

/// A bundle as it lies in its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container<'a> {
    /// All parts but the manifest, in their order.
    pub parts: Vec<Part<'a>>,
    pub manifest: &'a [u8],
    pub signatures: Vec<RawSignature<'a>>,
    /// Where the signatures begin.
    pub signed_from: usize,
}

fn broken(at: usize, message: impl Into<String>) -> Error {
    Error::new("LB1120", message)
        .with("byte", at)
        .hint("get the file again from where it was made; a copy that was cut or changed proves nothing")
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// The line from here on, without its end; `most` bytes at most.
    fn line(&mut self, most: usize) -> Result<&'a [u8], Error> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let end = rest.iter().take(most + 1).position(|byte| *byte == b'\n');
        let Some(line) = end.and_then(|end| rest.get(..end)) else {
            let what = if rest.len() <= most { "the bundle ends in the middle" } else { "a line is too long" };
            return Err(broken(self.at, what));
        };
        self.at += line.len() + 1;
        Ok(line)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let end = self.at.checked_add(length).filter(|end| *end < self.bytes.len());
        let found = end.and_then(|end| self.bytes.get(self.at..end));
        let found = found.ok_or_else(|| broken(self.at, "the bundle ends in the middle of a part"))?;
        self.at += length;
        if self.bytes.get(self.at) != Some(&b'\n') {
            return Err(broken(self.at, "a part does not end where it says"));
        }
        self.at += 1;
        Ok(found)
    }
}

/// A decimal number as it is written here: no sign, no leading zero.
fn number(text: &str) -> Option<usize> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

/// Letters, digits and a few marks: a name says nothing to a terminal.
fn is_name(text: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'/');
    !text.is_empty() && text.len() <= limits::NAME_BYTES_MAX && text.bytes().all(good)
}

/// Reads a bundle.
///
/// # Errors
/// `LB1120` when it is no bundle, or not a whole one; `LB1121` when it has a later format.
pub fn read(bytes: &[u8]) -> Result<Container<'_>, Error> {
    if bytes.len() > limits::BUNDLE_BYTES_MAX {
        return Err(broken(0, format!("the bundle has more than {} bytes", limits::BUNDLE_BYTES_MAX)));
    }
    let mut cursor = Cursor { bytes, at: 0 };
    head(&mut cursor)?;
    let mut found = Container::default();
    loop {
        let from = cursor.at;
        let line = cursor.line(limits::NAME_BYTES_MAX + 40)?;
        let text = std::str::from_utf8(line).map_err(|_| broken(from, "this is not a part"))?;
        let words = text.strip_prefix("part ").and_then(|rest| rest.split_once(' '));
        let Some((name, length)) = words.and_then(|(name, length)| Some((name, number(length)?))) else {
            return Err(broken(from, "this is not a part"));
        };
        if !is_name(name) || found.parts.len() >= limits::PARTS_MAX || found.parts.iter().any(|part| part.name == name)
        {
            return Err(broken(from, "a part has a name that cannot be, or that another one has"));
        }
        let part = cursor.take(length)?;
        if name == MANIFEST {
            if part.len() > limits::MANIFEST_BYTES_MAX {
                return Err(broken(from, "the manifest is too large"));
            }
            found.manifest = part;
            break;
        }
        found.parts.push(Part { name, bytes: part });
    }
    found.signed_from = cursor.at;
    tail(&mut cursor, &mut found)?;
    Ok(found)
}

fn head(cursor: &mut Cursor<'_>) -> Result<(), Error> {
    let not_one = || broken(0, "this is not a bundle of evidence");
    let line = cursor.line(40).map_err(|_| not_one())?;
    let version = std::str::from_utf8(line).ok().and_then(|line| line.strip_prefix(MAGIC)?.strip_prefix(' '));
    let version = version.and_then(number).ok_or_else(not_one)?;
    match u32::try_from(version) {
        Ok(FORMAT) => Ok(()),
        Ok(1..) | Err(_) => Err(Error::new("LB1121", format!("the bundle has the later format {version}"))
            .hint("verify it with the Lifeboat that made it, or a later one")),
        Ok(0) => Err(not_one()),
    }
}

fn tail<'a>(cursor: &mut Cursor<'a>, found: &mut Container<'a>) -> Result<(), Error> {
    loop {
        let from = cursor.at;
        let line = cursor.line(limits::STATEMENT_BYTES_MAX + 140)?;
        if let Some(rest) = line.strip_prefix(b"signature ") {
            let read = || {
                let (digits, rest) = rest.split_at_checked(128)?;
                let statement = rest.strip_prefix(b" ")?;
                Some(RawSignature { signature: hex::decode(digits)?, statement })
            };
            let signature = read().ok_or_else(|| broken(from, "a signature cannot be read"))?;
            if found.signatures.len() >= limits::SIGNATURES_MAX {
                return Err(broken(from, "there are too many signatures"));
            }
            found.signatures.push(signature);
            continue;
        }
        let count = line.strip_prefix(b"end ").and_then(|rest| std::str::from_utf8(rest).ok()).and_then(number);
        if count != Some(found.signatures.len()) {
            return Err(broken(from, "the bundle does not end as it should, or signatures are missing"));
        }
        if cursor.at != cursor.bytes.len() {
            return Err(broken(cursor.at, "something follows the end of the bundle"));
        }
        return Ok(());
    }
}

/// Writes parts and manifest; signatures and the end are added by [`finish`].
pub fn write(parts: &[Part<'_>], manifest: &[u8]) -> Vec<u8> {
    let mut out = format!("{MAGIC} {FORMAT}\n").into_bytes();
    for part in parts.iter().chain([&Part { name: MANIFEST, bytes: manifest }]) {
        out.extend_from_slice(format!("part {} {}\n", part.name, part.bytes.len()).as_bytes());
        out.extend_from_slice(part.bytes);
        out.push(b'\n');
    }
    out
}

/// Adds the signatures and the end.
pub fn finish(out: &mut Vec<u8>, signatures: &[RawSignature<'_>]) {
    for one in signatures {
        out.extend_from_slice(format!("signature {} ", hex::encode(&one.signature)).as_bytes());
        out.extend_from_slice(one.statement);
        out.push(b'\n');
    }
    out.extend_from_slice(format!("end {}\n", signatures.len()).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let parts = [Part { name: "a.txt", bytes: b"one\ntwo" }, Part { name: "file/b", bytes: b"" }];
        let mut out = write(&parts, b"{}");
        finish(&mut out, &[RawSignature { signature: [9; 64], statement: b"{\"by\":\"x\"}" }]);
        out
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = sample();
        let read = read(&bytes).unwrap();
        assert_eq!(read.parts.len(), 2);
        assert_eq!(read.parts[0].bytes, b"one\ntwo");
        assert_eq!((read.manifest, read.signatures.len()), (&b"{}"[..], 1));
    }

    #[test]
    fn no_beginning_of_a_bundle_is_one_and_nothing_may_follow() {
        let bytes = sample();
        for end in 0..bytes.len() {
            assert_eq!(read(&bytes[..end]).unwrap_err().code.0, "LB1120", "{end}");
        }
        for more in ["\n", "x", "end 1\n"] {
            assert!(read(&[&bytes[..], more.as_bytes()].concat()).unwrap_err().message.contains("follows the end"));
        }
    }

    #[test]
    fn odd_frames_are_refused() {
        let text = String::from_utf8(sample()).unwrap();
        for (from, to) in [
            ("part a.txt 7", "part a.txt 07"),
            ("part a.txt 7", "part a.txt +7"),
            ("part a.txt 7", "part a.txt 18446744073709551615"),
            ("part a.txt 7", "part a.txt 99999999999999999999999"),
            ("part a.txt 7", "part A.txt 7"),
            ("part a.txt 7", "part  7"),
            ("part file/b 0", "part a.txt 0"),
            ("end 1", "end 2"),
            ("end 1", "end 01"),
            ("signature 09", "signature 0G"),
            ("lifeboat-evidence 1", "lifeboat-evidence 0"),
            ("lifeboat-evidence 1", "lifeboat-evidence 1 "),
        ] {
            assert_eq!(read(text.replacen(from, to, 1).as_bytes()).unwrap_err().code.0, "LB1120", "{to}");
        }
        let later = text.replacen("evidence 1", "evidence 2", 1);
        assert_eq!(read(later.as_bytes()).unwrap_err().code.0, "LB1121");
    }
}
