//! What one way to one reader does next: pure.

use crate::limit::Budget;

/// A message that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waits {
    pub(crate) number: u64,
    pub(crate) next_at: u64,
    /// Smaller is more urgent.
    pub(crate) rank: u8,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing before that time; `None`: before something comes.
    Wait(Option<u64>),
    /// Send the first of these, with the others collected in it.
    Send(Vec<u64>),
}

/// How urgent a severity is.
pub(crate) fn rank(severity: &str) -> u8 {
    match severity {
        "critical" => 0,
        "warning" => 1,
        _ => 2,
    }
}

/// What to do now. With the last message that may be sent for a while, everything that waits is told.
pub(crate) fn next(waiting: &[Waits], budget: &Budget, now: u64) -> Next {
    let mut due: Vec<&Waits> = waiting.iter().filter(|one| one.next_at <= now).collect();
    due.sort_by_key(|one| (one.rank, one.number));
    let left = budget.left(now);
    match due.as_slice() {
        [] => Next::Wait(waiting.iter().map(|one| one.next_at).min()),
        _ if left == 0 => Next::Wait(Some(budget.free_at())),
        [first, ..] if left > 1 => Next::Send(vec![first.number]),
        all => Next::Send(all.iter().map(|one| one.number).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(number: u64, next_at: u64, rank: u8) -> Waits {
        Waits { number, next_at, rank }
    }

    #[test]
    fn a_storm_is_collected_and_the_urgent_leads() {
        let mut budget = Budget::new(4);
        let waiting: Vec<Waits> = (1..=15).map(|number| one(number, 0, if number == 9 { 0 } else { 2 })).collect();
        assert_eq!(next(&waiting, &budget, 10), Next::Send(vec![9]));
        budget.spend(10);
        let rest: Vec<Waits> = waiting.iter().copied().filter(|one| one.number != 9).collect();
        let Next::Send(all) = next(&rest, &budget, 10) else { panic!() };
        assert_eq!(all, [1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15]);
        budget.spend(10);
        assert_eq!(next(&[one(16, 0, 0)], &budget, 10), Next::Wait(Some(1_800_010)));
        assert_eq!(next(&[one(16, 0, 0)], &budget, 1_800_010), Next::Send(vec![16]));
    }

    #[test]
    fn what_is_not_due_is_waited_for() {
        let budget = Budget::new(10);
        assert_eq!(next(&[], &budget, 5), Next::Wait(None));
        assert_eq!(next(&[one(1, 9, 0), one(2, 7, 0)], &budget, 5), Next::Wait(Some(7)));
        assert_eq!(next(&[one(1, 9, 0), one(2, 5, 2)], &budget, 5), Next::Send(vec![2]));
    }
}
