//! Encryption of what the store writes: XChaCha20-Poly1305 under a data key of its own.
//!
//! A nonce has 24 bytes: 16 that are random for each opening of the store, and a count. So none is used twice, not even when
//! a torn frame is written anew under its old number, or a copy of the folder is brought back and goes on.
//! What a frame says in the clear (kind, length, number, batch, owners) and whose journal it is are bound to it: a frame that was
//! moved, numbered anew, or taken from another journal does not open.

use std::fs::File;
use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

const NONCE: usize = 24;
const TAG: usize = 16;
/// Bytes that sealing adds.
pub(crate) const ADDED: usize = NONCE + TAG;

/// A key of 32 bytes.
pub(crate) type Key32 = Zeroizing<[u8; 32]>;

/// Bytes of the system's randomness.
pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0u8; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Seals and opens what the store writes.
pub(crate) struct Seal {
    frames: XChaCha20Poly1305,
    index: XChaCha20Poly1305,
    names: Key32,
    identity: String,
    opening: [u8; 16],
    count: AtomicU64,
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal(…)")
    }
}

impl Seal {
    /// With the data key of the journal of that identity.
    pub fn new(data_key: &Key32, identity: &str) -> io::Result<Self> {
        let derive = |what: &str| Zeroizing::new(blake3::derive_key(what, data_key.as_slice()));
        let cipher = |what: &str| XChaCha20Poly1305::new((&*derive(what)).into());
        Ok(Self {
            frames: cipher("lifeboat 2026 journal frames"),
            index: cipher("lifeboat 2026 journal index"),
            names: derive("lifeboat 2026 journal names"),
            identity: identity.to_owned(),
            opening: random()?,
            count: AtomicU64::new(0),
        })
    }

    fn nonce(&self) -> [u8; NONCE] {
        let mut nonce = [0; NONCE];
        let count = self.count.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        for (to, from) in nonce.iter_mut().zip(self.opening.iter().chain(&count)) {
            *to = *from;
        }
        nonce
    }

    fn bound(&self, to: &[u8]) -> Vec<u8> {
        [self.identity.as_bytes(), b"\n", to].concat()
    }

    /// Seals the bytes from `start` on, in place; they become [`ADDED`] bytes longer. `None` where they are far too long.
    pub fn frame(&self, to: &[u8], out: &mut Vec<u8>, start: usize) -> Option<()> {
        let nonce = self.nonce();
        let tag = self
            .frames
            .encrypt_inout_detached(&XNonce::from(nonce), &self.bound(to), out.get_mut(start..)?.into())
            .ok()?;
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&tag);
        Some(())
    }

    /// Opens a sealed payload. `None` where it is not what was sealed with this key for this place.
    pub fn open_frame(&self, to: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        open(&self.frames, &self.bound(to), sealed)
    }

    /// Seals a value of the index for its key.
    pub fn value(&self, key: &[u8], value: &[u8]) -> Option<Vec<u8>> {
        let nonce = self.nonce();
        let mut out = Vec::with_capacity(value.len() + ADDED);
        out.extend_from_slice(value);
        let bound = self.bound(key);
        let tag = self.index.encrypt_inout_detached(&XNonce::from(nonce), &bound, out.as_mut_slice().into()).ok()?;
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&tag);
        Some(out)
    }

    /// Opens a value of the index.
    pub fn open_value(&self, key: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        open(&self.index, &self.bound(key), sealed)
    }

    /// What stands for a name where it would be in the clear.
    pub fn name(&self, kind: u8, name: &str) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.names);
        hasher.update(&[kind]);
        hasher.update(name.as_bytes());
        *hasher.finalize().as_bytes()
    }
}

/// Encrypts under a key that is used once: what wraps the data key.
pub(crate) fn wrap(key: &Key32, nonce: [u8; NONCE], to: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
    let mut out = plain.to_vec();
    let cipher = XChaCha20Poly1305::new((&**key).into());
    let tag = cipher.encrypt_inout_detached(&XNonce::from(nonce), to, out.as_mut_slice().into()).ok()?;
    out.extend_from_slice(&nonce);
    out.extend_from_slice(&tag);
    Some(out)
}

/// What [`wrap`] encrypted.
pub(crate) fn unwrap(key: &Key32, to: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    open(&XChaCha20Poly1305::new((&**key).into()), to, sealed).map(Zeroizing::new)
}

fn open(cipher: &XChaCha20Poly1305, to: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (text, rest) = sealed.split_at_checked(sealed.len().checked_sub(ADDED)?)?;
    let (nonce, tag) = rest.split_at_checked(NONCE)?;
    let nonce: [u8; NONCE] = nonce.try_into().ok()?;
    let tag: [u8; TAG] = tag.try_into().ok()?;
    let mut out = text.to_vec();
    cipher
        .decrypt_inout_detached(&XNonce::from(nonce), to, out.as_mut_slice().into(), &Tag::from(tag))
        .ok()
        .map(|()| out)
}
