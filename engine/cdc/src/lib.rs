//! The rolling hash by which files of a vault are cut into blobs: Rabin's fingerprint over a window of bytes, as restic has
//! it. Same bytes, same polynomial: same cuts, whichever of the programs cut them.
//!
//! It stands in for the crate `rustic_cdc` of the registry (see `[patch.crates-io]` in the root's `Cargo.toml`), with the part
//! of its interface that `rustic_core` uses. That one computes its tables of 256 entries anew for each file, which for a small
//! file takes longer than all the rest: 100,000 files of 4 KiB took 15 s, and restic 7.6 s.
//!
//! Source of the method: M. O. Rabin, *Fingerprinting by Random Polynomials*, 1981; A. Broder, *Some applications of Rabin's
//! fingerprinting method*, 1993.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

use std::sync::{Arc, Mutex, PoisonError};

/// A polynomial over the field of two elements: bit n is the coefficient of `x^n`.
pub type Polynom64 = u64;

/// What is asked of a polynomial.
pub trait Polynom {
    /// Its degree; -1 of the zero polynomial.
    fn degree(&self) -> i32;
    /// The rest of the division by `m`, which is not zero.
    #[must_use]
    fn modulo(&self, m: &Self) -> Self;
}

impl Polynom for Polynom64 {
    #[allow(clippy::cast_possible_wrap)] // At most 64.
    fn degree(&self) -> i32 {
        63 - self.leading_zeros() as i32
    }

    fn modulo(&self, m: &Self) -> Self {
        let (mut rest, degree) = (*self, m.degree());
        while rest.degree() >= degree {
            rest ^= m << (rest.degree() - degree);
        }
        rest
    }
}

/// What goes on from byte to byte.
pub trait RollingHash64 {
    /// Begins anew, as if nothing had been seen, and takes bytes in until one is missing to a full window; how many there were.
    fn reset_and_prefill_window<I: Iterator<Item = u8>>(&mut self, bytes: &mut I) -> usize;
    /// Takes a byte in, and the oldest of the window out.
    fn slide(&mut self, byte: u8);
}

/// What depends on the polynomial and the size of the window only.
#[derive(Debug)]
struct Tables {
    bits: u32,
    polynomial: Polynom64,
    /// What a byte adds to the hash when it is the oldest one of the window.
    out: [Polynom64; 256],
    /// The bits above the degree with what they are modulo the polynomial: one exclusive-or reduces the hash.
    reduce: [Polynom64; 256],
}

impl Tables {
    fn new(bits: u32, polynomial: Polynom64) -> Self {
        let (mut out, mut reduce) = ([0; 256], [0; 256]);
        let degree = polynomial.degree();
        for (byte, (out, reduce)) in (0_u64..).zip(out.iter_mut().zip(&mut reduce)) {
            *out = (1..1_u32 << bits).fold(byte.modulo(&polynomial), |hash, _| (hash << 8).modulo(&polynomial));
            let high = byte << degree;
            *reduce = high.modulo(&polynomial) | high;
        }
        Self { bits, polynomial, out, reduce }
    }

    /// Those of the vault that is at work: a process seldom has two.
    fn of(bits: u32, polynomial: Polynom64) -> Arc<Self> {
        static LAST: Mutex<Option<Arc<Tables>>> = Mutex::new(None);
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some(known) if known.bits == bits && known.polynomial == polynomial => known.clone(),
            _ => last.insert(Arc::new(Self::new(bits, polynomial))).clone(),
        }
    }
}

/// Rabin's fingerprint of the newest bytes.
#[derive(Clone, Debug)]
pub struct Rabin64 {
    tables: Arc<Tables>,
    shift: i32,
    /// The bytes of the window; an index of eight bits is never outside.
    window: [u8; 256],
    mask: u8,
    next: u8,
    /// The hash of the window.
    pub hash: Polynom64,
}

impl Rabin64 {
    /// A window of `2^bits` bytes, `bits` from 1 to 8, and a polynomial of a degree of 8 to 55. What is outside of these is
    /// taken as the nearest inside, so that no bytes make it fail.
    #[must_use]
    pub fn new_with_polynom(bits: u32, polynomial: &Polynom64) -> Self {
        let bits = bits.clamp(1, 8);
        let polynomial = (*polynomial & ((1 << 56) - 1)).max(1 << 8);
        let mask = u8::try_from((1_u32 << bits) - 1).unwrap_or(u8::MAX);
        let (tables, shift) = (Tables::of(bits, polynomial), polynomial.degree() - 8);
        Self { tables, shift, window: [0; 256], mask, next: 0, hash: 0 }
    }
}

impl RollingHash64 for Rabin64 {
    fn reset_and_prefill_window<I: Iterator<Item = u8>>(&mut self, bytes: &mut I) -> usize {
        self.window = [0; 256];
        (self.next, self.hash) = (0, 0);
        bytes.take(usize::from(self.mask)).map(|byte| self.slide(byte)).count()
    }

    #[inline]
    #[allow(clippy::indexing_slicing)] // Eight bits into 256 places.
    fn slide(&mut self, byte: u8) {
        let place = usize::from(self.next);
        self.hash ^= self.tables.out[usize::from(self.window[place])];
        self.window[place] = byte;
        let high = (self.hash >> self.shift) & 255;
        self.hash = ((self.hash << 8) | u64::from(byte)) ^ self.tables.reduce[high as usize];
        self.next = self.next.wrapping_add(1) & self.mask;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The polynomial of restic's documentation, of degree 53.
    const RESTIC: Polynom64 = 0x003D_A335_8B4D_C173;

    /// The definition, without a table: the bytes of the window as one polynomial, modulo the other.
    fn plainly(window: &[u8], polynomial: Polynom64) -> Polynom64 {
        window.iter().fold(0, |hash: u64, byte| ((hash << 8) | u64::from(*byte)).modulo(&polynomial))
    }

    #[test]
    fn polynomials_are_divided() {
        assert_eq!((0_u64.degree(), 1_u64.degree(), RESTIC.degree()), (-1, 0, 53));
        assert_eq!((7_u64.modulo(&3), 19_u64.modulo(&8), 19_u64.modulo(&4)), (1, 3, 3));
    }

    #[test]
    fn tables_are_made_once_and_another_polynomial_has_its_own() {
        let (first, second) = (Tables::of(6, RESTIC), Tables::of(6, RESTIC));
        let other = Rabin64::new_with_polynom(6, &(RESTIC ^ 2));
        assert!(Arc::ptr_eq(&first, &second) || first.out == second.out);
        assert_ne!(other.tables.out, first.out);
    }

    proptest! {
        #[test]
        fn the_hash_is_that_of_the_window_as_it_is_defined(
            bytes in proptest::collection::vec(any::<u8>(), 1..400),
            bits in 1..8_u32,
            low in any::<u64>(),
        ) {
            let polynomial = (low & ((1 << 53) - 1)) | (1 << 53) | 1;
            let mut rolling = Rabin64::new_with_polynom(bits, &polynomial);
            for (at, byte) in bytes.iter().enumerate() {
                rolling.slide(*byte);
                let begin = (at + 1).saturating_sub(1 << bits);
                prop_assert_eq!(rolling.hash, plainly(&bytes[begin..=at], polynomial));
            }
            // Begun anew, it is what a new one is.
            let mut fresh = Rabin64::new_with_polynom(bits, &polynomial);
            let taken = rolling.reset_and_prefill_window(&mut bytes.iter().copied());
            prop_assert_eq!(taken, bytes.len().min((1 << bits) - 1));
            bytes.iter().take(taken).for_each(|byte| fresh.slide(*byte));
            prop_assert_eq!(rolling.hash, fresh.hash);
            bytes.iter().for_each(|byte| { rolling.slide(*byte); fresh.slide(*byte) });
            prop_assert_eq!(rolling.hash, fresh.hash);
        }
    }
}
