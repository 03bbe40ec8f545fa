//! One more signature on a bundle.

use lifeboat_core::Error;

use crate::container::{self, RawSignature};
use crate::keys::SigningKey;
use crate::limits;
use crate::manifest::{Statement, sha256};
use crate::pae::{STATEMENT_TYPE, pae};

/// Who signs.
#[derive(Clone, Copy, Debug)]
pub struct Signer<'a> {
    /// The key.
    pub key: &'a SigningKey,
    /// The name that goes with the signature: nobody checks it, the key is what counts.
    pub by: &'a str,
    /// When, in milliseconds since the Unix epoch.
    pub at: u64,
}

/// The words and their signature.
pub(crate) fn statement(manifest: &[u8], signer: &Signer<'_>) -> Result<([u8; 64], Vec<u8>), Error> {
    if signer.by.len() > limits::SIGNER_BYTES_MAX || signer.by.chars().any(char::is_control) {
        return Err(Error::new("LB1130", "the name of who signs is too long, or has control characters in it"));
    }
    let said =
        Statement { manifest: sha256(manifest), key: signer.key.public(), by: signer.by.to_owned(), at: signer.at };
    let text = serde_json::to_vec(&said)
        .map_err(|cause| Error::new("LB1130", "the signature cannot be written").with("cause", cause))?;
    Ok((signer.key.sign(&pae(STATEMENT_TYPE, &text)), text))
}

/// The bundle with one more signature. Whether what it says is true is not looked at: [`crate::verify`] does that, and who
/// signs does so first.
///
/// # Errors
/// `LB1120` and `LB1121` when this is no bundle; `LB1130` when this key has signed it already, or cannot.
pub fn sign(bundle: &[u8], signer: &Signer<'_>) -> Result<Vec<u8>, Error> {
    let found = container::read(bundle)?;
    let key = signer.key.public();
    let same = |one: &RawSignature<'_>| {
        serde_json::from_slice::<Statement>(one.statement).is_ok_and(|statement| statement.key == key)
    };
    if found.signatures.iter().any(same) {
        return Err(Error::new("LB1130", "this key has signed this bundle already").with("key", key));
    }
    if found.signatures.len() >= limits::SIGNATURES_MAX {
        return Err(Error::new("LB1130", format!("the bundle has {} signatures", limits::SIGNATURES_MAX)));
    }
    let (signature, text) = statement(found.manifest, signer)?;
    let mut signatures = found.signatures.clone();
    signatures.push(RawSignature { signature, statement: &text });
    let mut out = bundle.get(..found.signed_from).unwrap_or_default().to_vec();
    container::finish(&mut out, &signatures);
    Ok(out)
}
