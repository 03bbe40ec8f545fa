//! What `estimate` is asked, as clap reads it. Quantities have units, and are refused here where they mean nothing.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use lifeboat_forecast::{Bytes, Money, MoneyRate, Probability, Rate, Seconds};

/// A runbook and what is asked of it, or a model by its name.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true, after_help = EXAMPLES)]
pub struct EstimateArgs {
    #[command(subcommand)]
    /// A model.
    pub model: Option<Model>,
    /// The runbook, a .kdl file.
    pub runbook: Option<PathBuf>,
    /// Mode: failover, switchover, failback or drill.
    #[arg(long, short, default_value = "failover", value_name = "MODE")]
    pub mode: String,
    /// A value for an input of the runbook.
    #[arg(long = "input", short = 'i', value_name = "KEY=VALUE")]
    pub inputs: Vec<String>,
    /// How much data has to be brought back, as 1TB.
    #[arg(long, value_parser = Bytes::parse, value_name = "BYTES")]
    pub bytes: Option<Bytes>,
    /// How fast it moves, as 20MB/s: in each step that takes, copies, proves or restores it.
    #[arg(long, value_parser = Rate::parse, requires = "bytes", value_name = "RATE")]
    pub rate: Option<Rate>,
    /// From the failure until it is seen, as 2m.
    #[arg(long, value_parser = Seconds::parse, default_value = "0s", value_name = "TIME")]
    pub detect: Seconds,
    /// From then until the runbook is started.
    #[arg(long, value_parser = Seconds::parse, default_value = "0s", value_name = "TIME")]
    pub decide: Seconds,
    /// What a step takes, as go=5m. It goes before what earlier runs took. May be given more than once.
    #[arg(long, value_parser = step_takes, value_name = "STEP=TIME")]
    pub takes: Vec<(String, Seconds)>,
    /// The objective. Default: that of the runbook.
    #[arg(long, value_parser = Seconds::parse, value_name = "TIME")]
    pub rto: Option<Seconds>,
    /// How many runs have to meet it, as 95%.
    #[arg(long, value_parser = Probability::parse, default_value = "95%", value_name = "SHARE")]
    pub confidence: Probability,
    /// How many runs are simulated.
    #[arg(long, value_name = "COUNT")]
    pub samples: Option<u32>,
    /// The seed of the simulation: the same seed gives the same answer.
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    pub seed: u64,
}

const EXAMPLES: &str = "Examples:
  lifeboat estimate recover.kdl --bytes 1TB --rate 20MB/s --detect 2m --decide 5m
  lifeboat estimate availability --mtbf 1000h --mttr 2h
  lifeboat estimate recovery --bytes 1TB --rate 20MB/s --rto 15m
A runbook whose file is named like a model is written as ./availability.

Exit status: 0 the objective is met or there is none, 1 it is not met or that is not known.";

fn step_takes(text: &str) -> Result<(String, Seconds), lifeboat_core::Error> {
    let (step, time) = text.split_once('=').ok_or_else(|| {
        lifeboat_core::Error::new("LB0910", format!("'{text}' is no time of a step")).hint("write STEP=TIME, as go=5m")
    })?;
    Ok((step.to_owned(), Seconds::parse(time)?))
}

/// The models, by name.
#[derive(Debug, Subcommand)]
pub enum Model {
    /// How much of the time something works that fails and is mended, alone or several of a kind.
    Availability {
        /// Mean time between failures.
        #[arg(long, value_parser = Seconds::parse, value_name = "TIME")]
        mtbf: Seconds,
        /// Mean time to repair.
        #[arg(long, value_parser = Seconds::parse, value_name = "TIME")]
        mttr: Seconds,
        /// How many there are.
        #[arg(long, default_value_t = 1, value_name = "COUNT")]
        parts: usize,
        /// How many are needed. Default: all.
        #[arg(long, value_name = "COUNT")]
        needed: Option<usize>,
        /// The availability that is asked for, as 99.9%.
        #[arg(long, value_parser = Probability::parse, value_name = "SHARE")]
        objective: Option<Probability>,
    },
    /// How likely it is that at least one of several parts fails.
    Failure {
        /// How many parts.
        #[arg(long, value_name = "COUNT")]
        parts: u64,
        /// The probability that one fails, as 1%.
        #[arg(long, value_parser = Probability::parse, value_name = "SHARE")]
        each: Probability,
    },
    /// How long a recovery takes: detect, decide, transfer, restore, validate.
    Recovery {
        /// How much data.
        #[arg(long, value_parser = Bytes::parse, value_name = "BYTES")]
        bytes: Bytes,
        /// How fast it comes.
        #[arg(long, value_parser = Rate::parse, value_name = "RATE")]
        rate: Rate,
        /// How fast it is put in place. Default: it is in place when it has come.
        #[arg(long, value_parser = Rate::parse, value_name = "RATE")]
        restore_rate: Option<Rate>,
        /// It is put in place while it comes.
        #[arg(long, requires = "restore_rate")]
        overlapped: bool,
        /// Until the failure is seen.
        #[arg(long, value_parser = Seconds::parse, default_value = "0s", value_name = "TIME")]
        detect: Seconds,
        /// Until it is decided to recover.
        #[arg(long, value_parser = Seconds::parse, default_value = "0s", value_name = "TIME")]
        decide: Seconds,
        /// What else has to be done.
        #[arg(long, value_parser = Seconds::parse, default_value = "0s", value_name = "TIME")]
        other: Seconds,
        /// Until it is shown that the service is back.
        #[arg(long, value_parser = Seconds::parse, default_value = "0s", value_name = "TIME")]
        validate: Seconds,
        /// The objective.
        #[arg(long, value_parser = Seconds::parse, value_name = "TIME")]
        rto: Option<Seconds>,
    },
    /// How much is lost with backups on a schedule.
    Rpo {
        /// From one backup to the next.
        #[arg(long, value_parser = Seconds::parse, value_name = "TIME")]
        every: Seconds,
        /// How long one is made.
        #[arg(long, value_parser = Seconds::parse, default_value = "0s", value_name = "TIME")]
        takes: Seconds,
        /// Until it survives the loss of the site.
        #[arg(long, value_parser = Seconds::parse, default_value = "0s", value_name = "TIME")]
        lag: Seconds,
        /// How many of them are good.
        #[arg(long, value_parser = Probability::parse, default_value = "100%", value_name = "SHARE")]
        good: Probability,
        /// The objective.
        #[arg(long, value_parser = Seconds::parse, value_name = "TIME")]
        rpo: Option<Seconds>,
    },
    /// How often a backup should be made, so that backups and lost work together cost least.
    Frequency {
        /// What a backup costs.
        #[arg(long, value_parser = Money::parse, value_name = "MONEY")]
        backup: Money,
        /// What lost work costs, as 500/h.
        #[arg(long, value_parser = MoneyRate::parse, value_name = "MONEY/TIME")]
        loss: MoneyRate,
        /// Mean time between failures that lose work.
        #[arg(long, value_parser = Seconds::parse, value_name = "TIME")]
        mtbf: Seconds,
    },
    /// Full, incremental or differential, how often, and how many to a full one.
    Scheme {
        /// How much data.
        #[arg(long, value_parser = Bytes::parse, value_name = "BYTES")]
        bytes: Bytes,
        /// How much of it differs after a day, as 5%.
        #[arg(long, value_parser = Probability::parse, value_name = "SHARE")]
        changed: Probability,
        /// What 1 GB of a backup costs to make and keep.
        #[arg(long, value_parser = Money::parse, value_name = "MONEY")]
        gb: Money,
        /// What each backup costs besides.
        #[arg(long, value_parser = Money::parse, default_value = "0", value_name = "MONEY")]
        each: Money,
        /// What lost work costs.
        #[arg(long, value_parser = MoneyRate::parse, value_name = "MONEY/TIME")]
        loss: MoneyRate,
        /// What it costs to be without the service.
        #[arg(long, value_parser = MoneyRate::parse, value_name = "MONEY/TIME")]
        down: MoneyRate,
        /// How fast a restore reads.
        #[arg(long, value_parser = Rate::parse, value_name = "RATE")]
        rate: Rate,
        /// Mean time between failures that need a restore.
        #[arg(long, value_parser = Seconds::parse, value_name = "TIME")]
        mtbf: Seconds,
        /// The shortest interval that is looked at.
        #[arg(long, value_parser = Seconds::parse, default_value = "15m", value_name = "TIME")]
        shortest: Seconds,
        /// The longest.
        #[arg(long, value_parser = Seconds::parse, default_value = "30d", value_name = "TIME")]
        longest: Seconds,
    },
    /// How much room the recovery points of a vault take.
    Storage {
        /// How much data there is at the first point.
        #[arg(long, value_parser = Bytes::parse, value_name = "BYTES")]
        bytes: Bytes,
        /// How much is added, as 10GB/d.
        #[arg(long, value_parser = Rate::parse, default_value = "0GB/d", value_name = "RATE")]
        grows: Rate,
        /// How much of it is overwritten within a day.
        #[arg(long, value_parser = Probability::parse, default_value = "0%", value_name = "SHARE")]
        changed: Probability,
        /// What is stored for a byte of new data, after compression and deduplication.
        #[arg(long, value_parser = Probability::parse, default_value = "100%", value_name = "SHARE")]
        stored: Probability,
        /// Points that are kept and how far apart, as 7x1d. May be given more than once.
        #[arg(long, value_parser = keep, required = true, value_name = "COUNTxTIME")]
        keep: Vec<lifeboat_forecast::models::storage::Keep>,
        /// How long after the first point.
        #[arg(long, value_parser = Seconds::parse, default_value = "1y", value_name = "TIME")]
        after: Seconds,
        /// How much room there is.
        #[arg(long, value_parser = Bytes::parse, value_name = "BYTES")]
        capacity: Option<Bytes>,
    },
    /// What a failure and its recovery cost, and such failures a year.
    Cost {
        /// How long the service is away.
        #[arg(long, value_parser = Seconds::parse, default_value = "0s", value_name = "TIME")]
        downtime: Seconds,
        /// What that costs.
        #[arg(long, value_parser = MoneyRate::parse, default_value = "0/h", value_name = "MONEY/TIME")]
        down: MoneyRate,
        /// How much work is lost, as time.
        #[arg(long, value_parser = Seconds::parse, default_value = "0s", value_name = "TIME")]
        lost: Seconds,
        /// What lost work costs.
        #[arg(long, value_parser = MoneyRate::parse, default_value = "0/h", value_name = "MONEY/TIME")]
        loss: MoneyRate,
        #[command(flatten)]
        /// People, data and the rest.
        effort: EffortArgs,
        /// Mean time between such failures.
        #[arg(long, value_parser = Seconds::parse, value_name = "TIME")]
        mtbf: Option<Seconds>,
    },
    /// What drills cost a year.
    Drills {
        /// How many a year.
        #[arg(long, value_name = "COUNT")]
        times: u32,
        #[command(flatten)]
        /// People, data and the rest.
        effort: EffortArgs,
    },
    /// Whether a measure is worth its price.
    Worth {
        /// What failures cost a year without it.
        #[arg(long, value_parser = Money::parse, value_name = "MONEY")]
        before: Money,
        /// What they cost with it.
        #[arg(long, value_parser = Money::parse, value_name = "MONEY")]
        after: Money,
        /// What it costs once.
        #[arg(long, value_parser = Money::parse, default_value = "0", value_name = "MONEY")]
        invested: Money,
        /// What it costs each year.
        #[arg(long, value_parser = Money::parse, default_value = "0", value_name = "MONEY")]
        running: Money,
        /// The interest a year, as 5%.
        #[arg(long, value_parser = Probability::parse, default_value = "0%", value_name = "SHARE")]
        interest: Probability,
        /// How many years it is looked at.
        #[arg(long, default_value_t = 5, value_name = "COUNT")]
        years: u32,
    },
}

/// What people and data cost.
#[derive(Args, Clone, Debug)]
pub struct EffortArgs {
    /// How many people work on it.
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub people: u32,
    /// For how long.
    #[arg(long, value_parser = Seconds::parse, default_value = "0s", value_name = "TIME")]
    pub time: Seconds,
    /// What one of them costs, as 90/h.
    #[arg(long, value_parser = MoneyRate::parse, default_value = "0/h", value_name = "MONEY/TIME")]
    pub person: MoneyRate,
    /// How much data is moved.
    #[arg(long, value_parser = Bytes::parse, default_value = "0B", value_name = "BYTES")]
    pub moved: Bytes,
    /// What 1 GB of that costs.
    #[arg(long, value_parser = Money::parse, default_value = "0", value_name = "MONEY")]
    pub gb: Money,
    /// What it costs besides.
    #[arg(long, value_parser = Money::parse, default_value = "0", value_name = "MONEY")]
    pub fixed: Money,
}

fn keep(text: &str) -> Result<lifeboat_forecast::models::storage::Keep, lifeboat_core::Error> {
    let wrong = || {
        lifeboat_core::Error::new("LB0910", format!("'{text}' is no rule of retention"))
            .hint("write COUNTxTIME, as 7x1d for seven points a day apart")
    };
    let (points, every) = text.split_once('x').ok_or_else(wrong)?;
    Ok(lifeboat_forecast::models::storage::Keep {
        points: points.parse().map_err(|_| wrong())?,
        every: Seconds::parse(every)?,
    })
}
