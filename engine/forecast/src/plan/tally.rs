//! Many samples, counted. Each has a stream of randomness of its own, and only whole numbers are added up, so the answer is the
//! same on any number of threads.

use super::Question;
use super::model::Model;
use super::sample::{Came, Sample};
use crate::random::Random;

/// What all samples came to.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Times of those that succeeded, in seconds from the beginning of the sample; sorted.
    pub times: Vec<f64>,
    /// By step: how often it was on the chain that ended a sample.
    pub critical: Vec<u32>,
    /// By step: its time on that chain, over all samples, in whole microseconds: their sum does not depend on its order.
    pub spent: Vec<u128>,
    /// By step: how often it was the first to fail for good.
    pub failed: Vec<u32>,
    /// What was waited for locks, over all samples that succeeded, in microseconds.
    pub waited: u128,
}

impl Tally {
    /// Draws as many samples as are asked for.
    pub(super) fn of(model: &Model, asked: &Question) -> Self {
        let threads = u32::try_from(asked.threads).unwrap_or(1).clamp(1, asked.samples.max(1));
        let mut whole = Self::empty(model);
        std::thread::scope(|scope| {
            let work = move |thread: u32| {
                let share = |n: u32| (u64::from(asked.samples) * u64::from(n) / u64::from(threads)) as u32;
                Self::some(model, asked, share(thread)..share(thread + 1))
            };
            let others: Vec<_> = (1..threads).map(|thread| scope.spawn(move || work(thread))).collect();
            whole.add(work(0));
            for other in others {
                match other.join() {
                    Ok(tally) => whole.add(tally),
                    // A thread that died has said why already, and takes the caller down as if it were one with it.
                    Err(cause) => std::panic::resume_unwind(cause),
                }
            }
        });
        whole.times.sort_by(f64::total_cmp);
        whole
    }

    fn empty(model: &Model) -> Self {
        let count = model.nodes.len();
        Self { critical: vec![0; count], spent: vec![0; count], failed: vec![0; count], ..Self::default() }
    }

    fn some(model: &Model, asked: &Question, numbers: std::ops::Range<u32>) -> Self {
        let (mut tally, mut sample) = (Self::empty(model), Sample::new(model));
        for number in numbers {
            match sample.run(Random::stream(asked.seed, u64::from(number))) {
                Came::Failed(step) => bump(&mut tally.failed, step),
                Came::Succeeded(time) => {
                    tally.times.push(time);
                    tally.waited += micros(sample.waited);
                    for (step, spent) in &sample.path {
                        bump(&mut tally.critical, *step);
                        if let Some(sum) = tally.spent.get_mut(*step as usize) {
                            *sum += micros(*spent);
                        }
                    }
                }
            }
        }
        tally
    }

    fn add(&mut self, other: Self) {
        self.times.extend(other.times);
        self.waited += other.waited;
        self.critical.iter_mut().zip(other.critical).for_each(|(sum, more)| *sum += more);
        self.failed.iter_mut().zip(other.failed).for_each(|(sum, more)| *sum += more);
        self.spent.iter_mut().zip(other.spent).for_each(|(sum, more)| *sum += more);
    }
}

fn micros(seconds: f64) -> u128 {
    (seconds * 1e6).round() as u128
}

fn bump(counts: &mut [u32], step: u32) {
    if let Some(count) = counts.get_mut(step as usize) {
        *count += 1;
    }
}
