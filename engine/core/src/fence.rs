//! Fencing: who acts on a target with an older token than one that was seen there comes too late.

/// Whether an attempt with this token may still act on a target that has seen `highest`.
///
/// The same token may come again: it is the same attempt. A lower one belongs to an attempt, a run or an engine that was
/// overtaken; what it would do now, it would do behind the back of who took over.
pub fn admits(highest: u64, token: u64) -> bool {
    #[cfg(feature = "mutants")]
    if crate::mutant::is(crate::mutant::Mutant::TokenNotChecked) {
        return true;
    }
    token >= highest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_overtaken_is_refused() {
        assert!(admits(0, 1) && admits(7, 7) && admits(7, 8));
        assert!(!admits(7, 6));
    }
}
