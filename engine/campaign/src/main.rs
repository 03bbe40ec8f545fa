//! `campaign cut|inject|sim|mutants [--seed N] [--count N]`: breaks the engine in a simulated world, in every way and at
//! every place, and looks whether its promises hold. All is seeded: what is found is found again by its seed.
//!
//! `cargo xtask campaign` runs this.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

mod cases;
mod cut;
mod inject;
#[cfg(feature = "mutants")]
mod mutants;
mod people;
mod report;
mod sim;
mod torn;
mod truth;

use std::future::Future;
use std::process::ExitCode;
use std::time::Instant;

use report::{Found, Report};

/// Plans and seeds of each campaign, where nothing else is said: minutes on two cores.
const CUT_PLANS: u64 = 1_000;
const INJECT_PLANS: u64 = 400;
const SIM_SEEDS: u64 = 4_000;

/// Runs a future on a runtime of its own: what it leaves under way ends with it, as with a process.
pub(crate) fn block<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn number(args: &[String], name: &str) -> Option<u64> {
    let place = args.iter().position(|arg| arg == name)?;
    Some(args.get(place + 1)?.parse().unwrap_or_else(|_| panic!("{name} takes a number")))
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let seed = number(&args, "--seed").unwrap_or(0);
    let count = number(&args, "--count");
    let seeds = |usual: u64| seed..seed + count.unwrap_or(usual);
    let start = Instant::now();
    let done: Result<Report, Found> = match args.first().map(String::as_str) {
        Some("cut") => cut::run(seeds(CUT_PLANS)),
        Some("inject") => inject::run(seeds(INJECT_PLANS)),
        Some("sim") => sim::run(seeds(SIM_SEEDS)),
        #[cfg(feature = "mutants")]
        Some("mutants") => mutants::run(),
        _ => {
            eprintln!("campaign cut|inject|sim|mutants [--seed N] [--count N]; mutants needs the feature of that name");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(report) => {
            println!("{report}; first seed {seed}, {:.1} s", start.elapsed().as_secs_f64());
            ExitCode::SUCCESS
        }
        Err(found) => {
            println!("{found}");
            ExitCode::FAILURE
        }
    }
}
