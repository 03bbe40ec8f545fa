//! Finding frames in the bytes of a segment, the good ones and the places that are not.

use crate::frame::{HEADER, Header, MAGIC};

/// A piece of a segment.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    /// A frame whose checksums are good.
    Good {
        /// Where its header starts.
        offset: usize,
        /// Its header.
        header: Header,
    },
    /// Bytes that are no frame.
    Bad {
        /// Where they start.
        offset: usize,
        /// What is wrong.
        reason: &'static str,
        /// Its header, where that is good and the payload is not.
        header: Option<Header>,
    },
}

/// The pieces of a segment from an offset on. Zeros up to the end are room, not a piece.
pub(crate) fn scan(bytes: &[u8], from: usize) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut offset = from;
    while let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) {
        if let Some(header) = Header::read(rest) {
            let length = usize::try_from(header.frame_bytes()).unwrap_or(usize::MAX);
            match rest.get(HEADER..length) {
                Some(payload) if crc32c::crc32c(payload) == header.payload_crc => {
                    pieces.push(Piece::Good { offset, header });
                }
                Some(_) => pieces.push(bad(offset, "a payload's checksum is wrong", Some(header))),
                None => pieces.push(bad(offset, "the file ends within a frame", Some(header))),
            }
            offset = offset.saturating_add(length);
            continue;
        }
        if rest.iter().all(|byte| *byte == 0) {
            break;
        }
        let skip = next_header(rest).unwrap_or(rest.len());
        pieces.push(bad(offset, "a frame's header is wrong", None));
        offset += skip;
    }
    pieces
}

fn bad(offset: usize, reason: &'static str, header: Option<Header>) -> Piece {
    Piece::Bad { offset, reason, header }
}

/// Where the next good header starts, after the first byte.
fn next_header(bytes: &[u8]) -> Option<usize> {
    let mut from = 1;
    loop {
        let rest = bytes.get(from..)?;
        let at = from + rest.windows(MAGIC.len()).position(|window| window == MAGIC)?;
        if Header::read(bytes.get(at..)?).is_some() {
            return Some(at);
        }
        from = at + 1;
    }
}
