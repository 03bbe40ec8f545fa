//! What a server says of the bytes that it sends, held against those that come. A bit that turns on the way, in a cache or
//! on the server's disk is found before anybody uses the bytes as a whole.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderMap;

use super::sums::Sums;
use crate::bindings::lifeboat::plugin::http::Hash;

/// A checksum that is to come out.
pub struct Proof {
    sums: Sums,
    want: Vec<u8>,
    header: &'static str,
}

impl Proof {
    /// The one of a whole body, where the server gives one: the cheapest to compute.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        // A server that unpacks what it stores in a packed form tells the sum of the packed one.
        let packed = text("x-goog-stored-content-encoding").is_some_and(|coding| coding != "identity");
        let goog = |name: &str| {
            let all = headers.get_all("x-goog-hash").into_iter().filter_map(|value| value.to_str().ok());
            let mut parts = all.flat_map(|value| value.split(','));
            parts.find_map(|part| part.trim().strip_prefix(name)).filter(|_| !packed)
        };
        let one = |hash: Hash, header: &'static str, value: Option<&str>| {
            // The sum of sums of an upload in parts ends in their number: it is no sum of the bytes.
            let want = BASE64_STANDARD.decode(value?.trim()).ok()?;
            (want.len() == length(hash)).then(|| Self { sums: Sums::new([hash]), want, header })
        };
        one(Hash::Crc32c, "x-amz-checksum-crc32c", text("x-amz-checksum-crc32c"))
            .or_else(|| one(Hash::Crc32c, "x-goog-hash", goog("crc32c=")))
            .or_else(|| one(Hash::Sha256, "x-amz-checksum-sha256", text("x-amz-checksum-sha256")))
            .or_else(|| one(Hash::Md5, "x-goog-hash", goog("md5=")))
            .or_else(|| one(Hash::Md5, "content-md5", text("content-md5")))
    }

    /// With these bytes.
    pub fn update(&mut self, data: &[u8]) {
        self.sums.update(data);
    }

    /// At the end: what does not fit.
    pub fn end(self) -> Result<(), String> {
        if self.sums.finish().first() == Some(&self.want) {
            return Ok(());
        }
        Err(format!("LB0740: the bytes that came are not those that '{}' speaks of", self.header))
    }
}

fn length(hash: Hash) -> usize {
    match hash {
        Hash::Md5 => 16,
        Hash::Crc32c => 4,
        Hash::Sha256 | Hash::Blake3 => 32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(pairs: &[(&'static str, &'static str)]) -> Option<Proof> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        Proof::of(&headers)
    }

    fn holds(pairs: &[(&'static str, &'static str)], data: &[u8]) -> Option<bool> {
        let mut proof = proof(pairs)?;
        proof.update(data);
        Some(proof.end().is_ok())
    }

    #[test]
    fn sums_of_three_providers_are_held_against_the_bytes() {
        let md5 = "JfnnlDI7RTiF9RgfG2JNCw==";
        for pairs in [
            [("x-amz-checksum-crc32c", "4waSgw==")],
            [("x-goog-hash", "md5=AAAAAAAAAAAAAAAAAAAAAA==,crc32c=4waSgw==")],
            [("content-md5", md5)],
        ] {
            assert_eq!(holds(&pairs, b"123456789"), Some(true), "{pairs:?}");
            assert_eq!(holds(&pairs, b"123456780"), Some(false), "{pairs:?}");
        }
    }

    #[test]
    fn what_is_no_sum_of_the_bytes_proves_nothing() {
        assert!(proof(&[]).is_none());
        assert!(proof(&[("x-amz-checksum-crc32c", "4waSgw==-3")]).is_none());
        let packed = [("x-goog-stored-content-encoding", "gzip"), ("x-goog-hash", "crc32c=4waSgw==")];
        assert!(proof(&packed).is_none());
    }
}
