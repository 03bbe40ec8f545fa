//! Checksums of objects as headers: what is stored is held against them by the server that stores it.

use lifeboat_sdk::http::{Head, HeadExt};

/// The header of a checksum that is quickly computed.
pub const CRC32C: &str = "x-amz-checksum-crc32c";

/// What is known of bytes that come by once, and can't be summed before they are sent.
pub enum Known {
    /// Their checksum, as a header.
    Sum(&'static str, String),
    /// Nothing.
    Nothing,
}

/// Base 64, as headers have it.
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let word = three.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let digit = DIGITS.get((word >> (18 - 6 * place) & 63) as usize).copied().unwrap_or(b'A');
            text.push(if place <= three.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// The checksum of an object that comes from a server, as a header for the server that it goes to.
pub fn known(head: &Head) -> Known {
    if let Some(sum) = head.header(CRC32C).filter(|sum| !sum.contains('-')) {
        return Known::Sum(CRC32C, sum.to_owned());
    }
    let etag = head.header("etag").unwrap_or_default().trim_matches('"');
    let open = head.header("x-amz-server-side-encryption").is_none_or(|how| how == "AES256")
        && head.header("x-amz-server-side-encryption-customer-algorithm").is_none();
    // The ETag of what was put at once, and not under a key of somebody's own, is its MD5.
    let bytes: Option<Vec<u8>> = (0..etag.len() / 2)
        .map(|at| etag.get(2 * at..2 * at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect();
    match bytes.filter(|bytes| open && bytes.len() == 16 && etag.len() == 32) {
        Some(md5) => Known::Sum("content-md5", base64(&md5)),
        None => Known::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_written_in_base_64() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn an_etag_is_a_checksum_only_where_it_is_one() {
        let head = |pairs: &[(&str, &str)]| {
            let headers = pairs.iter().map(|(name, value)| lifeboat_sdk::http::Header {
                name: (*name).to_owned(),
                value: (*value).to_owned(),
            });
            known(&Head {
                status: 200,
                headers: headers.collect(),
                sends: 1,
                checksums: Vec::new(),
                url: String::new(),
            })
        };
        let md5 = ("etag", "\"25f9e794323b453885f5181f1b624d0b\"");
        assert!(matches!(head(&[md5]), Known::Sum("content-md5", sum) if sum == "JfnnlDI7RTiF9RgfG2JNCw=="));
        assert!(matches!(head(&[md5, ("x-amz-server-side-encryption", "aws:kms")]), Known::Nothing));
        assert!(matches!(head(&[("etag", "\"25f9e794323b453885f5181f1b624d0b-2\"")]), Known::Nothing));
        let crc = head(&[md5, ("x-amz-checksum-crc32c", "4waSgw==")]);
        assert!(matches!(crc, Known::Sum("x-amz-checksum-crc32c", sum) if sum == "4waSgw=="));
    }
}
