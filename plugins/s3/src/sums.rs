//! Checksums of objects: what a server tells of one as [`Meta::sum`](lifeboat_objects::Meta) writes it, and as the header
//! against which another server holds what is stored.

use lifeboat_objects::base64;
use lifeboat_sdk::http::{Head, HeadExt};

/// The header of a checksum that is quickly computed.
pub const CRC32C: &str = "x-amz-checksum-crc32c";

/// The header for a checksum.
pub fn header(sum: &str) -> Option<(&'static str, &str)> {
    match sum.split_once(':')? {
        ("crc32c", value) => Some((CRC32C, value)),
        ("md5", value) => Some(("content-md5", value)),
        _ => None,
    }
}

/// The checksum of all bytes of an object that is read, where its server is sure of one.
pub fn known(head: &Head) -> Option<String> {
    if let Some(sum) = head.header(CRC32C).filter(|sum| !sum.contains('-')) {
        return Some(format!("crc32c:{sum}"));
    }
    let etag = head.header("etag").unwrap_or_default().trim_matches('"');
    let open = head.header("x-amz-server-side-encryption").is_none_or(|how| how == "AES256")
        && head.header("x-amz-server-side-encryption-customer-algorithm").is_none();
    // The ETag of what was put at once, and not under a key of somebody's own, is its MD5.
    let bytes: Option<Vec<u8>> = (0..etag.len() / 2)
        .map(|at| etag.get(2 * at..2 * at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect();
    let md5 = bytes.filter(|bytes| open && bytes.len() == 16 && etag.len() == 32)?;
    Some(format!("md5:{}", base64(&md5)))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let proved = |sum: &Option<String>| sum.as_deref().and_then(header).map(|(name, sum)| format!("{name}: {sum}"));
        assert_eq!(proved(&head(&[md5])).unwrap(), "content-md5: JfnnlDI7RTiF9RgfG2JNCw==");
        assert_eq!(head(&[md5, ("x-amz-server-side-encryption", "aws:kms")]), None);
        assert_eq!(head(&[("etag", "\"25f9e794323b453885f5181f1b624d0b-2\"")]), None);
        let crc = head(&[md5, ("x-amz-checksum-crc32c", "4waSgw==")]);
        assert_eq!(proved(&crc).unwrap(), "x-amz-checksum-crc32c: 4waSgw==");
        assert_eq!(header("sha9:x"), None);
    }
}
