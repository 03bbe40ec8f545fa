//! Opening and sealing of what a repository holds: AES-256 in counter mode, Poly1305-AES, zstd, SHA-256.
//!
//! `rustic_core` keeps its own for itself. It is needed here to write locks, and to read blobs in long ranges.

use std::io::Read;

use aes256ctr_poly1305aes::aead::AeadInPlace;
use aes256ctr_poly1305aes::{Aes256CtrPoly1305Aes, Key, Nonce, Tag};
use rustic_core::repofile::{KeyFile, MasterKey};
use sha2::{Digest, Sha256};

/// Bytes of the nonce before the sealed text, and of the tag after it.
const NONCE: usize = 16;
const TAG: usize = 16;
/// Both.
pub(crate) const OVERHEAD: u32 = 32;

/// A key file of somebody else must not make an opening take all memory.
const LOG_N_MAX: u8 = 20;

/// No file of a repository (index, snapshot, lock) is larger when it is unpacked; a larger one would only fill memory.
const LARGEST_FILE: u64 = 1 << 30;

/// The master key of a repository, ready for use.
#[derive(Clone)]
pub(crate) struct Cipher(Aes256CtrPoly1305Aes);

impl Cipher {
    /// The cipher of a master key; `None` when a part of the key has the wrong length.
    pub(crate) fn new(master: &MasterKey) -> Option<Self> {
        let whole: Vec<u8> = [master.encrypt.as_slice(), &master.mac.k, &master.mac.r].concat();
        if master.encrypt.len() != 32 || master.mac.k.len() != 16 || master.mac.r.len() != 16 {
            return None;
        }
        Some(Self(Aes256CtrPoly1305Aes::new(Key::from_slice(&whole))))
    }

    /// The master key in a key file that the password opens.
    pub(crate) fn master(file: &[u8], password: &str) -> Option<MasterKey> {
        let file: KeyFile = serde_json::from_slice(file).ok()?;
        let log_n = u8::try_from(file.n.checked_ilog2()?).ok().filter(|log_n| *log_n <= LOG_N_MAX)?;
        let params = scrypt::Params::new(log_n, file.r, file.p).ok()?;
        let mut whole = [0; 64];
        scrypt::scrypt(password.as_bytes(), &file.salt, &params, &mut whole).ok()?;
        let mut data = file.data;
        let opened = Self(Aes256CtrPoly1305Aes::new(Key::from_slice(&whole)));
        serde_json::from_slice(opened.open(&mut data)?).ok()
    }

    /// Opens a sealed text in place and gives the plain part of the buffer; `None` when it is not what was sealed.
    pub(crate) fn open<'a>(&self, sealed: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let (nonce, rest) = sealed.split_at_mut_checked(NONCE)?;
        let (text, tag) = rest.split_at_mut_checked(rest.len().checked_sub(TAG)?)?;
        let nonce = Nonce::clone_from_slice(nonce);
        self.0.decrypt_in_place_detached(&nonce, &[], text, Tag::from_slice(tag)).ok()?;
        Some(text)
    }

    /// The text of a file: an index, a snapshot, a lock; packed or not. `None` when it is not what was sealed.
    pub(crate) fn unseal_file(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = sealed.to_vec();
        let text = self.open(&mut sealed)?;
        match text.split_first()? {
            (b'{' | b'[', _) => Some(text.to_vec()),
            // A leading 2 says that zstd follows.
            (2, packed) => {
                let mut plain = Vec::new();
                let unpacker = zstd::stream::read::Decoder::new(packed).ok()?;
                unpacker.take(LARGEST_FILE).read_to_end(&mut plain).ok()?;
                Some(plain)
            }
            _ => None,
        }
    }

    /// A file, packed before it is sealed where the version of the repository allows it.
    pub(crate) fn seal_file(&self, text: &[u8], pack: bool) -> Option<Vec<u8>> {
        if !pack {
            return self.seal(text);
        }
        let packed = zstd::bulk::compress(text, zstd::DEFAULT_COMPRESSION_LEVEL).ok()?;
        self.seal(&[&[2], packed.as_slice()].concat())
    }

    /// Seals a text under a fresh random nonce.
    pub(crate) fn seal(&self, text: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = Nonce::default();
        getrandom::fill(&mut nonce).ok()?;
        let mut body = text.to_vec();
        let tag = self.0.encrypt_in_place_detached(&nonce, &[], &mut body).ok()?;
        Some([nonce.as_slice(), &body, &tag].concat())
    }
}

/// SHA-256, the name of everything in a repository.
pub(crate) fn sha256(data: &[u8]) -> [u8; 32] {
    Sha256::digest(data).into()
}

/// A digest as the name of a file: lower-case hexadecimal digits.
pub(crate) fn hex(digest: &[u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_and_what_was_changed_does_not() {
        let cipher = Cipher::new(&MasterKey::new()).unwrap();
        let mut sealed = cipher.seal(b"a lock").unwrap();
        assert_eq!(cipher.open(&mut sealed.clone()).unwrap(), b"a lock");
        sealed[17] ^= 1;
        assert!(cipher.open(&mut sealed).is_none());
        assert!(cipher.open(&mut [0; 31]).is_none());
        for pack in [false, true] {
            let sealed = cipher.seal_file(br#"{"packs":[]}"#, pack).unwrap();
            assert_eq!(cipher.unseal_file(&sealed).unwrap(), br#"{"packs":[]}"#);
        }
    }
}
