//! AWS Signature Version 4, with the rules of S3 where the service is `s3`. Own code on `ring`'s HMAC: the signers on the
//! registry bring an SDK's types with them, and none signs the chunks of a stream. AWS's own examples are its tests.

use bytes::Bytes;
use ring::hmac::{HMAC_SHA256, Key, sign as hmac};

use zeroize::Zeroizing;

use super::Draft;
use crate::http::body::CHUNK;
use crate::http::sums::{hex, sha256_hex};
use crate::http::url::{decode, encode};

/// The key of an account.
pub struct Keys {
    /// Its id, which is no secret.
    pub id: String,
    /// The secret.
    pub secret: Zeroizing<String>,
    /// Of a session.
    pub token: Option<Zeroizing<String>>,
}

/// Whose signature.
pub struct Scope<'a> {
    /// The region.
    pub region: &'a str,
    /// The service.
    pub service: &'a str,
    /// `20130524T000000Z`.
    pub time: &'a str,
}

impl Scope<'_> {
    fn date(&self) -> &str {
        self.time.get(..8).unwrap_or_default()
    }

    fn text(&self) -> String {
        format!("{}/{}/{}/aws4_request", self.date(), self.region, self.service)
    }

    fn key(&self, secret: &str) -> Key {
        let mut tag =
            hmac(&Key::new(HMAC_SHA256, Zeroizing::new(format!("AWS4{secret}")).as_bytes()), self.date().as_bytes());
        for part in [self.region, self.service, "aws4_request"] {
            tag = hmac(&Key::new(HMAC_SHA256, tag.as_ref()), part.as_bytes());
        }
        Key::new(HMAC_SHA256, tag.as_ref())
    }
}

/// What the signature says of the body.
pub enum Payload {
    /// Its SHA-256, in hexadecimal digits.
    Digest(String),
    /// Nothing.
    Unsigned,
    /// Signed chunks, of so many bytes together.
    Chunks(u64),
}

impl Payload {
    fn word(&self) -> &str {
        match self {
            Payload::Digest(digest) => digest,
            Payload::Unsigned => "UNSIGNED-PAYLOAD",
            Payload::Chunks(_) => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        }
    }
}

/// Signs the request; gives the signer of its chunks where it has some.
pub fn sign(draft: &mut Draft, keys: &Keys, scope: &Scope<'_>, payload: &Payload) -> Option<ChunkSigner> {
    let s3 = scope.service == "s3";
    draft.set("x-amz-date", scope.time);
    if let Some(token) = &keys.token {
        draft.set("x-amz-security-token", token);
    }
    if s3 {
        draft.set("x-amz-content-sha256", payload.word());
    }
    if let Payload::Chunks(len) = payload {
        let coding = match draft.headers.get("content-encoding") {
            Some(own) => format!("aws-chunked,{own}"),
            None => "aws-chunked".to_owned(),
        };
        draft.set("content-encoding", &coding);
        draft.set("x-amz-decoded-content-length", &len.to_string());
        draft.set("content-length", &ChunkSigner::wire_len(*len).to_string());
    }
    let (key, area, previous) = seal(draft, keys, scope, payload.word());
    matches!(payload, Payload::Chunks(_)).then(|| ChunkSigner { key, time: scope.time.to_owned(), area, previous })
}

/// Signs what the draft says; gives the key, the scope in words, and the signature.
fn seal(draft: &mut Draft, keys: &Keys, scope: &Scope<'_>, payload: &str) -> (Key, String, String) {
    // What is sent is what is signed, byte for byte.
    let path = draft.url.path.split('/').map(|part| encode(&decode(part), b"")).collect::<Vec<_>>().join("/");
    let mut pairs: Vec<(String, String)> =
        draft.url.pairs().iter().map(|(name, value)| (encode(name, b""), encode(value, b""))).collect();
    pairs.sort();
    let query = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
    let canonical_path = if scope.service == "s3" { path.clone() } else { encode(&path, b"/") };
    draft.url.path = path;
    draft.url.query = Some(query.clone()).filter(|query| !query.is_empty());

    let signed = |name: &str| !matches!(name, "authorization" | "user-agent" | "accept");
    let headers: Vec<(&String, &String)> = draft.headers.iter().filter(|(name, _)| signed(name)).collect();
    let names = headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";");
    let lines: String = headers
        .iter()
        .map(|(name, value)| format!("{name}:{}\n", value.split_ascii_whitespace().collect::<Vec<_>>().join(" ")))
        .collect();
    let canonical = format!("{}\n{canonical_path}\n{query}\n{lines}\n{names}\n{payload}", draft.method);
    let (key, area) = (scope.key(&keys.secret), scope.text());
    let text = format!("AWS4-HMAC-SHA256\n{}\n{area}\n{}", scope.time, sha256_hex(canonical.as_bytes()));
    let signature = hex(hmac(&key, text.as_bytes()).as_ref());
    let id = &keys.id;
    let value = format!("AWS4-HMAC-SHA256 Credential={id}/{area}, SignedHeaders={names}, Signature={signature}");
    draft.set("authorization", &value);
    (key, area, signature)
}

/// Signs the chunks of a stream, each with the signature of the one before.
pub struct ChunkSigner {
    key: Key,
    time: String,
    area: String,
    previous: String,
}

impl ChunkSigner {
    /// What stands before the chunk.
    pub fn head(&mut self, chunk: &[u8]) -> Bytes {
        let text = format!(
            "AWS4-HMAC-SHA256-PAYLOAD\n{}\n{}\n{}\n{}\n{}",
            self.time,
            self.area,
            self.previous,
            sha256_hex(b""),
            sha256_hex(chunk)
        );
        self.previous = hex(hmac(&self.key, text.as_bytes()).as_ref());
        Bytes::from(format!("{:x};chunk-signature={}\r\n", chunk.len(), self.previous))
    }

    /// Bytes on the wire for so many bytes in chunks of [`CHUNK`].
    pub fn wire_len(len: u64) -> u64 {
        Self::wire_len_of(len, CHUNK as u64)
    }

    fn wire_len_of(len: u64, chunk: u64) -> u64 {
        let one = |size: u64| format!("{size:x}").len() as u64 + ";chunk-signature=".len() as u64 + 64 + 2 + size + 2;
        let (full, last) = (len / chunk, len % chunk);
        full * one(chunk) + if last > 0 { one(last) } else { 0 } + one(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::url::Url;

    fn keys(secret: &str, id: &str) -> Keys {
        Keys { id: id.to_owned(), secret: secret.to_owned().into(), token: None }
    }

    fn draft(method: &str, url: &str, headers: &[(&str, &str)]) -> Draft {
        let url = Url::parse(url).unwrap();
        let mut draft = Draft { method: method.to_owned(), url, headers: std::collections::BTreeMap::new() };
        let host = draft.url.authority();
        draft.set("host", &host);
        headers.iter().for_each(|(name, value)| draft.set(name, value));
        draft
    }

    fn signature(draft: &Draft) -> &str {
        draft.headers["authorization"].rsplit_once('=').unwrap().1
    }

    const S3: Scope<'_> = Scope { region: "us-east-1", service: "s3", time: "20130524T000000Z" };

    /// The examples of "Authenticating Requests: Using the Authorization Header" in the reference of S3.
    #[test]
    fn the_examples_of_s3() {
        let keys = keys("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "AKIAIOSFODNN7EXAMPLE");
        let host = "https://examplebucket.s3.amazonaws.com";
        for (method, path, headers, body, want) in [
            (
                "GET",
                "/test.txt",
                &[("range", "bytes=0-9")][..],
                &b""[..],
                "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            ),
            (
                "PUT",
                "/test$file.text",
                &[("date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")][..],
                b"Welcome to Amazon S3.",
                "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
            ),
            ("GET", "/?lifecycle", &[][..], b"", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
            (
                "GET",
                "/?prefix=J&max-keys=2",
                &[][..],
                b"",
                "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            ),
        ] {
            let mut draft = draft(method, &format!("{host}{path}"), headers);
            assert!(sign(&mut draft, &keys, &S3, &Payload::Digest(sha256_hex(body))).is_none());
            assert_eq!(signature(&draft), want, "{method} {path}");
        }
    }

    /// The example of "Transferring Payload in Multiple Chunks" in the reference of S3.
    #[test]
    fn the_example_of_a_chunked_upload() {
        let keys = keys("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "AKIAIOSFODNN7EXAMPLE");
        let url = "https://s3.amazonaws.com/examplebucket/chunkObject.txt";
        // The example has chunks of 64 KiB, and the length on the wire is part of the signature.
        assert_eq!(ChunkSigner::wire_len_of(66560, 65536), 66824);
        let headers = [
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ("content-encoding", "aws-chunked"),
            ("content-length", "66824"),
            ("x-amz-decoded-content-length", "66560"),
            ("x-amz-date", S3.time),
            ("x-amz-content-sha256", Payload::Chunks(0).word()),
        ];
        let (key, area, previous) = seal(&mut draft("PUT", url, &headers), &keys, &S3, Payload::Chunks(0).word());
        assert_eq!(previous, "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9");
        let mut signer = ChunkSigner { key, time: S3.time.to_owned(), area, previous };
        let head = |signer: &mut ChunkSigner, data: &[u8]| String::from_utf8(signer.head(data).to_vec()).unwrap();
        let first = head(&mut signer, &[b'a'; 65536]);
        assert_eq!(first, "10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n");
        let second = head(&mut signer, &[b'a'; 1024]);
        assert_eq!(second, "400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n");
        let last = head(&mut signer, b"");
        assert_eq!(last, "0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n");
    }

    /// `get-vanilla` and `get-vanilla-query-order-key-case` of AWS's test suite for Signature Version 4.
    #[test]
    fn the_test_suite_of_other_services() {
        let keys = keys("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "AKIDEXAMPLE");
        let scope = Scope { region: "us-east-1", service: "service", time: "20150830T123600Z" };
        for (path, want) in [
            ("/", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            ("/?Param2=value2&Param1=value1", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
        ] {
            let mut draft = draft("GET", &format!("https://example.amazonaws.com{path}"), &[]);
            sign(&mut draft, &keys, &scope, &Payload::Digest(sha256_hex(b"")));
            assert_eq!(signature(&draft), want);
            assert!(!draft.headers.contains_key("x-amz-content-sha256"));
        }
    }
}
