//! What a guest is told goes through here: a secret that a server or a library echoes is masked.

use zeroize::Zeroizing;

/// Shorter ones would mask every other word, and are guessed at once anyway.
const LEAST: usize = 4;
const MASK: &str = "(secret)";

/// The secrets of one exchange, in all the forms that they are sent in.
#[derive(Default)]
pub struct Mask(Vec<Zeroizing<String>>);

impl Mask {
    /// With one more.
    pub fn add(&mut self, secret: &str) {
        if secret.len() >= LEAST && !self.0.iter().any(|known| known.as_str() == secret) {
            self.0.push(Zeroizing::new(secret.to_owned()));
            // The longest first: one may be a part of another.
            self.0.sort_by_key(|known| std::cmp::Reverse(known.len()));
        }
    }

    /// The text without them.
    pub fn text(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), MASK))
    }

    /// The bytes with `*` in their place, of the same length.
    pub fn bytes(&self, data: &mut [u8]) {
        for secret in &self.0 {
            let secret = secret.as_bytes();
            let mut at = 0;
            while let Some(window) = data.get_mut(at..at + secret.len()) {
                if window == secret {
                    window.fill(b'*');
                    at += secret.len();
                } else {
                    at += 1;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn echoes_are_masked() {
        let mut mask = Mask::default();
        mask.add("hunter");
        mask.add("hunter22");
        mask.add("x");
        assert_eq!(mask.text("x=hunter22, y=hunter"), "x=(secret), y=(secret)");
        let mut data = b"a hunter22 b".to_vec();
        mask.bytes(&mut data);
        assert_eq!(data, b"a ******** b");
    }
}
