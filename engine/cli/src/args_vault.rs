//! The command line of `lifeboat vault`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use lifeboat_vault::{GroupBy, KeepRules, Within};

/// Which vault.
#[derive(Args, Debug)]
pub struct VaultArgs {
    /// The name of the vault's target.
    pub vault: String,
    /// The runbook that names the vault.
    #[arg(long, value_name = "RUNBOOK")]
    pub runbook: PathBuf,
    /// Mode: failover, switchover, failback or drill.
    #[arg(long, short, default_value = "failover", value_name = "MODE")]
    pub mode: String,
}

/// What is kept. The rules mean what they mean for `restic forget`.
#[derive(Args, Debug)]
pub struct KeepArgs {
    /// The newest N.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub keep_last: u32,
    /// The newest of each of the last N hours that have any.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub keep_hourly: u32,
    /// The same for days.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub keep_daily: u32,
    /// The same for weeks.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub keep_weekly: u32,
    /// The same for months.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub keep_monthly: u32,
    /// The same for years.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub keep_yearly: u32,
    /// All of this span before the newest: years, months, days, hours, as 1y5m7d2h.
    #[arg(long, value_name = "SPAN")]
    pub keep_within: Option<Within>,
    /// All that have these tags; more than one of them with commas. May be given more than once.
    #[arg(long, value_name = "TAGS")]
    pub keep_tag: Vec<String>,
    /// Rules count in each group for itself: host, paths, tags, label; with commas. Empty: one group.
    #[arg(long, default_value = "host,paths", value_name = "GROUPS", value_parser = groups)]
    pub group_by: Groups,
}

/// By what snapshots are grouped.
#[derive(Clone, Debug)]
pub struct Groups(Vec<GroupBy>);

fn percent(text: &str) -> Result<u8, String> {
    text.parse().ok().filter(|percent| *percent < 100).ok_or_else(|| format!("'{text}' is not from 0 to 99"))
}

fn groups(text: &str) -> Result<Groups, String> {
    let named = |name: &str| match name {
        "host" => Ok(GroupBy::Host),
        "path" | "paths" => Ok(GroupBy::Paths),
        "tag" | "tags" => Ok(GroupBy::Tags),
        "label" => Ok(GroupBy::Label),
        _ => Err(format!("'{name}' is none of host, paths, tags, label")),
    };
    text.split(',').filter(|name| !name.is_empty()).map(named).collect::<Result<_, _>>().map(Groups)
}

impl KeepArgs {
    /// The rules.
    pub fn rules(&self) -> KeepRules {
        KeepRules {
            last: self.keep_last,
            hourly: self.keep_hourly,
            daily: self.keep_daily,
            weekly: self.keep_weekly,
            monthly: self.keep_monthly,
            yearly: self.keep_yearly,
            within: self.keep_within,
            tags: self.keep_tag.iter().map(|tags| tags.split(',').map(str::to_owned).collect()).collect(),
            group_by: self.group_by.0.clone(),
        }
    }
}

/// The commands that look after a vault.
#[derive(Debug, Subcommand)]
pub enum VaultCommand {
    /// Show which snapshots the rules keep and which go; with --apply, remove these. The data is freed by prune.
    Forget {
        #[command(flatten)]
        /// The vault.
        at: VaultArgs,
        #[command(flatten)]
        /// What is kept.
        keep: KeepArgs,
        /// Do what the plan with this fingerprint says, if it is still the plan.
        #[arg(long, value_name = "FINGERPRINT")]
        apply: Option<String>,
    },
    /// Show what no snapshot needs, and how much that is; with --apply, free it.
    Prune {
        #[command(flatten)]
        /// The vault.
        at: VaultArgs,
        /// Of what stays, so many percent may be unused: packs are written anew until it is so.
        #[arg(long, default_value_t = lifeboat_vault::MAX_UNUSED, value_name = "PERCENT", value_parser = percent)]
        max_unused: u8,
        /// Do what the plan with this fingerprint says, if it is still the plan.
        #[arg(long, value_name = "FINGERPRINT")]
        apply: Option<String>,
    },
    /// Look the whole vault over: index, packs, every snapshot. Ends with 1 when something is wrong.
    Check {
        #[command(flatten)]
        /// The vault.
        at: VaultArgs,
        /// index: names and trees. data: every byte is read and hashed, too.
        #[arg(long, value_enum, default_value_t = Depth::Index, value_name = "DEPTH")]
        depth: Depth,
    },
    /// Show what a repair would do; with --apply, do it. The index is built anew from the packs; snapshots whose data is
    /// lost are named and set aside, with a copy.
    Repair {
        #[command(flatten)]
        /// The vault.
        at: VaultArgs,
        /// index: names and trees. data: every byte is read and hashed, too.
        #[arg(long, value_enum, default_value_t = Depth::Index, value_name = "DEPTH")]
        depth: Depth,
        /// Do what the plan with this fingerprint says, if it is still the plan.
        #[arg(long, value_name = "FINGERPRINT")]
        apply: Option<String>,
    },
    /// Remove locks that nobody holds any more, and show all.
    Unlock {
        #[command(flatten)]
        /// The vault.
        at: VaultArgs,
    },
}

/// How deep a check looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Depth {
    /// Names and trees.
    Index,
    /// Every byte.
    Data,
}
