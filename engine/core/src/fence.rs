//! Fencing: who acts on a target after somebody else took it over comes too late.
//!
//! The upper half of a token is the fence under which a run has its locks. It grows when a run takes them, and when an
//! engine takes a run with locks up again; so what an earlier run, or an earlier engine, still has under way has an older
//! one. The lower half counts the attempts under one fence: they are of one engine, which may carry out several at once.

/// Bits of a token that count attempts.
const ATTEMPT_BITS: u32 = 32;

/// The last token before the attempts under this fence; `None` for a fence that does not fit.
pub fn base(fence: u64) -> Option<u64> {
    fence.checked_shl(ATTEMPT_BITS).filter(|base| base >> ATTEMPT_BITS == fence)
}

/// Whether an attempt with this token may still act on a target that has seen `highest`.
pub fn admits(highest: u64, token: u64) -> bool {
    #[cfg(feature = "mutants")]
    if crate::mutant::is(crate::mutant::Mutant::TokenNotChecked) {
        return true;
    }
    token >> ATTEMPT_BITS >= highest >> ATTEMPT_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_overtaken_is_refused() {
        let (third, fourth) = (base(3).unwrap(), base(4).unwrap());
        assert!(admits(0, third) && admits(third, fourth + 1));
        assert!(admits(third + 9, third + 2), "attempts of one engine run side by side");
        assert!(!admits(fourth + 1, third + 9));
        assert_eq!(base(u64::MAX), None);
    }
}
