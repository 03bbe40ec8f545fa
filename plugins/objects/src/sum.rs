//! Checksums that servers keep of objects, computed anew while the bytes are read: `md5:` or `crc32c:`, and base 64.

use lifeboat_sdk::prelude::*;
use md5::{Digest, Md5};

/// The polynomial of CRC-32C, its bits in reverse.
const POLYNOMIAL: u32 = 0x82F6_3B78;
/// What a byte does to a sum, for each of the eight places that it may have in a step.
const TABLES: [[u32; 256]; 8] = tables();

#[allow(clippy::indexing_slicing)] // Computed by the compiler, which would refuse what is out of bounds.
const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 == 1 { (sum >> 1) ^ POLYNOMIAL } else { sum >> 1 };
            bit += 1;
        }
        tables[0][byte] = sum;
        byte += 1;
    }
    let mut place = 1;
    while place < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[place - 1][byte];
            tables[place][byte] = (before >> 8) ^ tables[0][(before & 255) as usize];
            byte += 1;
        }
        place += 1;
    }
    tables
}

#[allow(clippy::indexing_slicing)] // A byte is below 256, and a place below 8.
fn look(place: usize, byte: u32) -> u32 {
    TABLES[place & 7][(byte & 255) as usize]
}

/// CRC-32C goes on with these bytes. It begins with `u32::MAX`, and its end is turned over.
fn crc32c(mut sum: u32, data: &[u8]) -> u32 {
    let (steps, rest) = data.as_chunks::<8>();
    for [a, b, c, d, e, f, g, h] in steps {
        let (low, high) = (u32::from_le_bytes([*a, *b, *c, *d]) ^ sum, u32::from_le_bytes([*e, *f, *g, *h]));
        sum = look(7, low)
            ^ look(6, low >> 8)
            ^ look(5, low >> 16)
            ^ look(4, low >> 24)
            ^ look(3, high)
            ^ look(2, high >> 8)
            ^ look(1, high >> 16)
            ^ look(0, high >> 24);
    }
    rest.iter().fold(sum, |sum, byte| (sum >> 8) ^ look(0, sum ^ u32::from(*byte)))
}

/// A checksum that is being computed.
enum Summing {
    Md5(Box<Md5>),
    Crc32c(u32),
}

impl Summing {
    fn like(sum: &str) -> Option<Self> {
        match sum.split_once(':')?.0 {
            "md5" => Some(Self::Md5(Box::default())),
            "crc32c" => Some(Self::Crc32c(u32::MAX)),
            _ => None,
        }
    }

    fn add(&mut self, data: &[u8]) {
        match self {
            Self::Md5(md5) => md5.update(data),
            Self::Crc32c(sum) => *sum = crc32c(*sum, data),
        }
    }

    fn finish(self) -> String {
        match self {
            Self::Md5(md5) => format!("md5:{}", base64(&md5.finalize())),
            Self::Crc32c(sum) => format!("crc32c:{}", base64(&(!sum).to_be_bytes())),
        }
    }
}

/// Reads to the end; the bytes, and their checksum of that sort where it is one that is known here.
pub fn read(body: &Reader, like: Option<&str>) -> Result<(u64, Option<String>), Error> {
    let Some(mut summing) = like.and_then(Summing::like) else {
        return Ok((host::digest(body)?.bytes, None));
    };
    let mut bytes = 0;
    loop {
        let data = body.read(1024 * 1024)?;
        if data.is_empty() {
            return Ok((bytes, Some(summing.finish())));
        }
        bytes += data.len() as u64;
        summing.add(&data);
    }
}

/// Base 64, with its `=` at the end.
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word = group.iter().fold(0_u32, |word, byte| (word << 8) | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = (word >> (18 - 6 * place)) & 63;
            let digit = DIGITS.get(usize::try_from(digit).unwrap_or(0)).copied().unwrap_or(b'A');
            out.push(if place > group.len() { '=' } else { char::from(digit) });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(like: &str, parts: &[&[u8]]) -> String {
        let mut summing = Summing::like(like).unwrap();
        parts.iter().for_each(|part| summing.add(part));
        summing.finish()
    }

    #[test]
    fn checksums_are_those_that_servers_give() {
        assert_eq!(sum("crc32c:", &[b"123456789"]), "crc32c:4waSgw==");
        assert_eq!(sum("crc32c:", &[b"1234", b"", b"56789"]), sum("crc32c:", &[b"123456789"]));
        let long: Vec<u8> = (0..1000_u32).map(|number| (number % 251) as u8).collect();
        let slow = !long.iter().fold(u32::MAX, |sum, byte| (sum >> 8) ^ look(0, sum ^ u32::from(*byte)));
        assert_eq!(sum("crc32c:", &[&long]), format!("crc32c:{}", base64(&slow.to_be_bytes())));
        assert_eq!(sum("md5:", &[b""]), "md5:1B2M2Y8AsgTpgAmY7PhCfg==");
        assert!(Summing::like("sha9:x").is_none());
    }

    #[test]
    fn base_64_is_filled_up() {
        for (bytes, text) in [(&b""[..], ""), (b"f", "Zg=="), (b"fo", "Zm8="), (b"foo", "Zm9v"), (b"foob", "Zm9vYg==")]
        {
            assert_eq!(base64(bytes), text);
        }
    }
}
