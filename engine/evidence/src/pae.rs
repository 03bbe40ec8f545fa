//! The bytes that are signed: DSSE's pre-authentication encoding, as in-toto uses it.
//!
//! Source: DSSE protocol 1.0.2, "Signature Definition", <https://github.com/secure-systems-lab/dsse/blob/master/protocol.md>:
//! `PAE(type, body) = "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body`, lengths in bytes, decimal, without leading
//! zeros. The exact bytes are signed, so no canonical form of JSON is needed, and the type is signed with them.

/// What is signed is of this type.
pub const STATEMENT_TYPE: &str = "application/vnd.lifeboat.evidence.statement.v1+json";

/// The encoding.
pub fn pae(kind: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {kind} {} ", kind.len(), body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vector of the protocol.
    #[test]
    fn the_vector_of_the_specification() {
        let found = pae("http://example.com/HelloWorld", b"hello world");
        assert_eq!(found, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }
}
