//! Checksums of bodies, computed while the bytes go by.

use md5::Digest;
use ring::digest::{Context, SHA256, digest};

use crate::bindings::lifeboat::plugin::http::Hash;

/// One checksum under way.
enum Sum {
    Md5(Box<md5::Md5>),
    Sha256(Box<Context>),
    Crc32c(u32),
    Blake3(Box<blake3::Hasher>),
}

/// Some checksums of the same bytes.
pub struct Sums(Vec<Sum>);

impl Sums {
    /// Of nothing yet.
    pub fn new(hashes: impl IntoIterator<Item = Hash>) -> Self {
        let start = |hash| match hash {
            Hash::Md5 => Sum::Md5(Box::default()),
            Hash::Sha256 => Sum::Sha256(Box::new(Context::new(&SHA256))),
            Hash::Crc32c => Sum::Crc32c(0),
            Hash::Blake3 => Sum::Blake3(Box::default()),
        };
        Self(hashes.into_iter().map(start).collect())
    }

    /// With these bytes.
    pub fn update(&mut self, data: &[u8]) {
        for sum in &mut self.0 {
            match sum {
                Sum::Md5(hasher) => hasher.update(data),
                Sum::Sha256(context) => context.update(data),
                Sum::Crc32c(value) => *value = crc32c::crc32c_append(*value, data),
                Sum::Blake3(hasher) => {
                    hasher.update(data);
                }
            }
        }
    }

    /// The values, in order; CRC32C with its highest byte first, as object stores write it.
    pub fn finish(self) -> Vec<Vec<u8>> {
        let end = |sum| match sum {
            Sum::Md5(hasher) => hasher.finalize().to_vec(),
            Sum::Sha256(context) => context.finish().as_ref().to_vec(),
            Sum::Crc32c(value) => value.to_be_bytes().to_vec(),
            Sum::Blake3(hasher) => hasher.finalize().as_bytes().to_vec(),
        };
        self.0.into_iter().map(end).collect()
    }
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256, in hexadecimal digits.
pub fn sha256_hex(data: &[u8]) -> String {
    hex(digest(&SHA256, data).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_are_the_known_ones() {
        let mut sums = Sums::new([Hash::Md5, Hash::Sha256, Hash::Crc32c, Hash::Blake3]);
        sums.update(b"1234");
        sums.update(b"56789");
        let found: Vec<String> = sums.finish().iter().map(|value| hex(value)).collect();
        assert_eq!(found[0], "25f9e794323b453885f5181f1b624d0b");
        assert_eq!(found[1], "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225");
        assert_eq!(found[2], "e3069283");
        assert_eq!(found[3], blake3::hash(b"123456789").to_hex().as_str());
    }
}
