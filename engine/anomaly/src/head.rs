//! What the beginning of a file looks like: text, a known type, random, or something else.

/// How many bytes are looked at.
pub const HEAD_BYTES: usize = 4096;
/// Of fewer bytes nobody can tell whether they are random.
const RANDOM_BYTES_MIN: usize = 512;
/// How far below what random bytes have the entropy may be, in bits a byte. Of random bytes less than one in a million is.
const SLACK_BITS: f64 = 0.15;

/// What a beginning looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// Text.
    Text,
    /// A known type of file, compressed or not.
    Known,
    /// Random, and no known type: encrypted, most likely.
    Random,
    /// None of these, or too short to tell.
    Other,
}

/// What was seen of the files that were read for a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Files of which something could be told: all but empty ones.
    pub read: u64,
    /// Those that are text.
    pub text: u64,
    /// Those of a known type.
    pub known: u64,
    /// Those that look random.
    pub random: u64,
}

impl Sample {
    /// Counts one file.
    pub fn count(&mut self, head: Head) {
        self.read += 1;
        match head {
            Head::Text => self.text += 1,
            Head::Known => self.known += 1,
            Head::Random => self.random += 1,
            Head::Other => {}
        }
    }

    /// As it is written into a snapshot, for people and for [`Sample::read_back`].
    pub fn words(&self) -> String {
        let Self { read, text, known, random } = self;
        format!("lifeboat sampled {read} files: {text} text, {known} of a known type, {random} random")
    }

    /// Reads [`Sample::words`]; `None` for any other text.
    pub fn read_back(words: &str) -> Option<Self> {
        let rest = words.strip_prefix("lifeboat sampled ")?;
        let (read, rest) = rest.split_once(" files: ")?;
        let (text, rest) = rest.split_once(" text, ")?;
        let (known, rest) = rest.split_once(" of a known type, ")?;
        let random = rest.strip_suffix(" random")?;
        let number = |text: &str| text.parse::<u64>().ok();
        let sample = Self { read: number(read)?, text: number(text)?, known: number(known)?, random: number(random)? };
        let parts = sample.text.checked_add(sample.known)?.checked_add(sample.random)?;
        (parts <= sample.read).then_some(sample)
    }
}

/// Beginnings of well-known types: those that are compressed or encrypted on purpose, and so look random further on, and those
/// that people keep. From the database of `file(1)`.
const MAGIC: &[&[u8]] = &[
    b"%PDF-",
    b"%!PS",
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"\x1f\x8b",
    b"\x1f\x9d",
    b"BZh",
    b"\xfd7zXZ\x00",
    b"\x28\xb5\x2f\xfd",
    b"\x04\x22\x4d\x18",
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!\x1a\x07",
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF8",
    b"BM",
    b"II*\x00",
    b"MM\x00*",
    b"RIFF",
    b"ID3",
    b"\xff\xfb",
    b"OggS",
    b"fLaC",
    b"\x1aE\xdf\xa3",
    b"\x00\x00\x01\xba",
    b"\x00\x00\x01\xb3",
    b"\x7fELF",
    b"MZ",
    b"\xca\xfe\xba\xbe",
    b"\xcf\xfa\xed\xfe",
    b"\xfe\xed\xfa\xce",
    b"\x00asm",
    b"SQLite format 3\x00",
    b"PAR1",
    b"Obj\x01",
    b"ORC",
    b"\x89HDF\r\n\x1a\n",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    b"{\\rtf",
    b"wOFF",
    b"wOF2",
    b"OTTO",
    b"\x00\x01\x00\x00\x00",
    b"LUKS\xba\xbe",
    b"age-encryption.org/",
    b"Salted__",
    b"PGDMP",
    b"\xed\xab\xee\xdb",
    b"!<arch>\n",
    b"hsqs",
    b"QFI\xfb",
    b"KDMV",
    b"conectix",
    b"RDB",
    b"REDIS",
    b"\x93NUMPY",
    b"GGUF",
];

/// What the first bytes of a file look like; `None` of none. At most [`HEAD_BYTES`] are looked at.
pub fn look(bytes: &[u8]) -> Option<Head> {
    let head = bytes.get(..HEAD_BYTES).unwrap_or(bytes);
    if head.is_empty() {
        return None;
    }
    let at = |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    if MAGIC.iter().any(|magic| head.starts_with(magic)) || at(4, b"ftyp") || at(257, b"ustar") {
        return Some(Head::Known);
    }
    if is_text(head) {
        return Some(Head::Text);
    }
    Some(if is_random(head) { Head::Random } else { Head::Other })
}

/// UTF-8 without control characters but those of plain text. A letter that is cut at the end does no harm.
fn is_text(head: &[u8]) -> bool {
    let whole = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => {
            std::str::from_utf8(head.get(..error.valid_up_to()).unwrap_or_default()).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !whole.is_empty()
        && whole.chars().all(|letter| !letter.is_control() || matches!(letter, '\n' | '\r' | '\t' | '\x0c'))
}

/// Whether the entropy is what random bytes have: `8 - 255 / (2 n ln 2)` bits a byte, which is less than 8 because so few
/// bytes cannot be even (G. Miller, *Note on the bias of information estimates*, 1955).
fn is_random(head: &[u8]) -> bool {
    let count = head.len();
    if count < RANDOM_BYTES_MIN {
        return false;
    }
    let expected = 8.0 - 255.0 / (2.0 * count as f64 * std::f64::consts::LN_2);
    entropy(head) >= expected - SLACK_BITS
}

/// Shannon's entropy in bits a byte, from 0 to 8.
pub fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in bytes {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let all = bytes.len() as f64;
    let part = |count: &u32| {
        let share = f64::from(*count) / all;
        -share * share.log2()
    };
    counts.iter().filter(|count| **count > 0).map(part).sum()
}
