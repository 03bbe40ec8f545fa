//! Keys: ed25519 (RFC 8032), by ring. A key is its own name: there is no list of names that would have to be trusted.

use std::fmt;

use lifeboat_core::Error;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::hex;

const PUBLIC: &str = "ed25519:";
const PRIVATE: &str = "ed25519-private:";

fn bad(message: &str) -> Error {
    Error::new("LB1129", message)
        .hint("a public key is 'ed25519:' and 64 hexadecimal digits, as 'lifeboat evidence key' prints it")
}

/// A public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Reads `ed25519:` and 64 hexadecimal digits. Blanks around it are left out.
    ///
    /// # Errors
    /// `LB1129` when it is something else.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let digits = text.trim().strip_prefix(PUBLIC).ok_or_else(|| bad("this is not a public key"))?;
        hex::decode(digits.as_bytes()).map(Self).ok_or_else(|| bad("the digits of a public key are wrong"))
    }

    /// Whether this key's owner signed these bytes.
    pub(crate) fn signed(&self, bytes: &[u8], signature: &[u8; 64]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(bytes, signature).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC}{}", hex::encode(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for PublicKey {
    type Error = Error;
    fn try_from(text: String) -> Result<Self, Error> {
        // One key has one spelling: blanks around it could be changed unseen.
        let key = Self::parse(&text)?;
        if key.to_string() == text { Ok(key) } else { Err(bad("this is not a public key")) }
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

/// A private key. It is never printed, but for [`SigningKey::file`].
pub struct SigningKey {
    seed: Zeroizing<[u8; 32]>,
    pair: Ed25519KeyPair,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public())
    }
}

impl SigningKey {
    /// The key of 32 random bytes, which have to come from the system's secure randomness.
    ///
    /// # Errors
    /// `LB1129` when no key can be made of them, which none are known for.
    pub fn from_seed(seed: Zeroizing<[u8; 32]>) -> Result<Self, Error> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&*seed).map_err(|_| bad("no key can be made of these bytes"))?;
        Ok(Self { seed, pair })
    }

    /// The public key that belongs to it.
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(self.pair.public_key().as_ref()).for_each(|(to, from)| *to = *from);
        PublicKey(bytes)
    }

    /// The text of a file that holds it: the private key in the first line, the public one in the second.
    pub fn file(&self) -> Zeroizing<String> {
        let digits = Zeroizing::new(hex::encode(&*self.seed));
        Zeroizing::new(format!("{PRIVATE}{}\n{}\n", *digits, self.public()))
    }

    /// Reads such a file.
    ///
    /// # Errors
    /// `LB1129` when it is no such file, or its two lines do not belong together.
    pub fn read(text: &str) -> Result<Self, Error> {
        let no = |message: &str| {
            Error::new("LB1129", message).hint("'lifeboat evidence key --new FILE' makes a file with a private key")
        };
        let mut lines = text.lines();
        let (first, second) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        let digits = first.strip_prefix(PRIVATE).ok_or_else(|| no("this is not a file with a private key"))?;
        let seed = hex::decode(digits.as_bytes()).ok_or_else(|| no("the digits of the private key are wrong"))?;
        let key = Self::from_seed(Zeroizing::new(seed))?;
        if lines.next().is_some() || PublicKey::parse(second).ok() != Some(key.public()) {
            return Err(no("the two lines of the key file do not belong together: it is damaged"));
        }
        Ok(key)
    }

    pub(crate) fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        let mut signature = [0; 64];
        signature.iter_mut().zip(self.pair.sign(bytes).as_ref()).for_each(|(to, from)| *to = *from);
        signature
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032, section 7.1, test 2.
    #[test]
    fn a_vector_of_the_rfc() {
        let seed = hex::decode(b"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb").unwrap();
        let key = SigningKey::from_seed(Zeroizing::new(seed)).unwrap();
        let public = "ed25519:3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
        assert_eq!(key.public().to_string(), public);
        let signature = key.sign(&[0x72]);
        assert!(
            hex::encode(&signature).starts_with("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da")
        );
        assert!(key.public().signed(&[0x72], &signature) && !key.public().signed(&[0x73], &signature));
    }

    #[test]
    fn key_files_are_read_back_and_damage_is_seen() {
        let key = SigningKey::from_seed(Zeroizing::new([7; 32])).unwrap();
        let text = key.file();
        assert_eq!(SigningKey::read(&text).unwrap().public(), key.public());
        for bad in [text.replacen("07", "08", 1), text.replace("private", "public"), format!("{}more\n", *text)] {
            assert_eq!(SigningKey::read(&bad).unwrap_err().code.0, "LB1129");
        }
        assert_eq!(PublicKey::parse(&format!(" {}\n", key.public())).unwrap(), key.public());
        assert!(PublicKey::parse("ed25519:00").is_err());
        assert!(!format!("{key:?}").contains("0707"));
    }
}
