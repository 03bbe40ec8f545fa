//! The arguments of commands about readiness and sentinels.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::args::RunbookArgs;

/// The commands about sentinels.
#[derive(Debug, Subcommand)]
pub enum SentinelCommand {
    /// Write a timed token into the folder of a target; 'validate' with 'expect "sentinel"' finds it in what is restored.
    Write(SentinelArgs),
}

/// Where a sentinel is written, and how often.
#[derive(Args, Debug)]
pub struct SentinelArgs {
    /// The runbook that names the target.
    pub runbook: PathBuf,
    /// The target whose data is protected.
    #[arg(long, value_name = "TARGET")]
    pub target: String,
    /// Go on until Ctrl-C, one every so often: 30s, 5m. At least a second.
    #[arg(long, value_name = "DURATION")]
    pub every: Option<String>,
    /// Mode: failover, switchover, failback or drill.
    #[arg(long, short, default_value = "failover", value_name = "MODE")]
    pub mode: String,
    /// A value for an input of the runbook.
    #[arg(long = "input", short = 'i', value_name = "KEY=VALUE")]
    pub inputs: Vec<String>,
}

/// What readiness is asked about.
#[derive(Args, Debug)]
pub struct ReadinessArgs {
    #[command(flatten)]
    /// The runbook.
    pub runbook: RunbookArgs,
    /// Look as if that site were lost: nothing of it can be reached.
    #[arg(long, value_name = "SITE")]
    pub site_lost: Option<String>,
}
