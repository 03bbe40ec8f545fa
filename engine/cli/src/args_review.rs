//! Saved plans, differences and simulations, as clap reads them.

use std::path::PathBuf;

use clap::Args;

use crate::args::SaidArgs;

/// What is run: a runbook, or a saved plan exactly as it is.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// The runbook, a .kdl file.
    #[arg(required_unless_present = "plan")]
    pub runbook: Option<PathBuf>,
    /// Run exactly this saved plan, or refuse: 'lifeboat plan RUNBOOK --save FILE' makes one.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["runbook", "mode", "inputs"])]
    pub plan: Option<PathBuf>,
    /// The fingerprint that was approved: another plan in the file is refused.
    #[arg(long, value_name = "DIGEST", requires = "plan")]
    pub fingerprint: Option<String>,
    /// Mode: failover, switchover, failback or drill.
    #[arg(long, short, default_value = "failover", value_name = "MODE")]
    pub mode: String,
    /// A value for an input of the runbook.
    #[arg(long = "input", short = 'i', value_name = "KEY=VALUE")]
    pub inputs: Vec<String>,
}

/// Two plans to be compared.
#[derive(Args, Debug)]
#[command(after_help = "Exit status: 0 no differences, 1 differences, 2 wrong usage or a refused runbook.")]
pub struct DiffArgs {
    /// The old one: a runbook, or a saved plan.
    pub old: PathBuf,
    /// The new one: a runbook, or a saved plan.
    pub new: PathBuf,
    /// Mode for runbooks. Default: that of the saved plan, else failover.
    #[arg(long, short, value_name = "MODE")]
    pub mode: Option<String>,
    /// A value for an input of the runbooks. Default: those of the saved plan.
    #[arg(long = "input", short = 'i', value_name = "KEY=VALUE")]
    pub inputs: Vec<String>,
}

/// A runbook or a saved plan to be played.
#[derive(Args, Debug)]
#[command(
    after_help = "Exit status: 0 every branch is handled, 1 not every branch, 2 wrong usage or a refused runbook."
)]
pub struct SimulateArgs {
    /// The runbook, a .kdl file, or a saved plan.
    pub runbook: PathBuf,
    /// Mode: failover, switchover, failback or drill. Default: that of the saved plan, else failover.
    #[arg(long, short, value_name = "MODE")]
    pub mode: Option<String>,
    /// A value for an input of the runbook.
    #[arg(long = "input", short = 'i', value_name = "KEY=VALUE")]
    pub inputs: Vec<String>,
    /// The most cases. Default: as many as take some seconds, by the size of the plan.
    #[arg(long, value_name = "COUNT")]
    pub cases: Option<usize>,
    /// What draws the cases, where there are too many.
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    pub seed: u64,
}

/// A run that goes on in another mode.
#[derive(Args, Debug)]
#[command(after_help = "What is done and is the same in the new plan is not repeated; approvals are asked for anew.
Without --yes or --fingerprint, and with nobody to be asked, nothing is changed: it only shows.")]
pub struct TakeoverArgs {
    /// The run; 'lifeboat runs' lists them. The beginning is enough where it is unique.
    pub run: String,
    /// The mode to go on in: failover, switchover or failback.
    #[arg(long, short, value_name = "MODE")]
    pub mode: String,
    /// The runbook as it is now. Default: the text that the run was made from.
    #[arg(long, value_name = "FILE")]
    pub runbook: Option<PathBuf>,
    /// A value for an input of the runbook. Default: those of the run.
    #[arg(long = "input", short = 'i', value_name = "KEY=VALUE")]
    pub inputs: Vec<String>,
    /// Do not ask, and go on only by the plan that has this fingerprint.
    #[arg(long, value_name = "DIGEST")]
    pub fingerprint: Option<String>,
    /// Do not ask before going on.
    #[arg(long, short)]
    pub yes: bool,
    #[command(flatten)]
    /// Who and why.
    pub said: SaidArgs,
}
