//! The command line, as clap reads it. Words and order follow the design's section 11.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::args_drill::{ReadinessArgs, SentinelCommand};
use crate::args_estimate::EstimateArgs;
use crate::args_evidence::{EvidenceCommand, ReportArgs};
use crate::args_review::{DiffArgs, RunArgs, SimulateArgs, TakeoverArgs};
use crate::args_service::{AlertsArgs, NotifyCommand, ServeArgs, TokenCommand};
use crate::args_vault::VaultCommand;

/// Lifeboat runs disaster-recovery runbooks: durable, rehearsed, measured.
#[derive(Debug, Parser)]
#[command(name = "lifeboat", version, propagate_version = true, max_term_width = 100, after_help = FIRST_STEPS)]
pub struct Cli {
    /// Folder that holds the state of runs.
    #[arg(long, global = true, env = "LIFEBOAT_DATA", default_value = ".lifeboat", value_name = "DIR")]
    pub data: PathBuf,
    /// Operator file: plugins, grants, secrets. Default: lifeboat.kdl in this folder, where there is one.
    #[arg(long, global = true, env = "LIFEBOAT_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print JSON for scripts.
    #[arg(long, global = true)]
    pub json: bool,
    /// Print only what was asked for, and errors.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// When to use colour. It never carries meaning alone.
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto, value_name = "WHEN")]
    pub colour: Colour,
    /// How the log on standard error is written. What is logged is said by LIFEBOAT_LOG, as 'info' or 'lifeboat=debug'.
    #[arg(long, global = true, env = "LIFEBOAT_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    pub log: LogFormat,
    #[command(subcommand)]
    /// The command.
    pub command: Command,
}

const FIRST_STEPS: &str = "First steps:
  lifeboat demo                  a disaster and its recovery, start to end, on local folders
  lifeboat check runbooks/       every mistake of every runbook, in one pass
  lifeboat plan RUNBOOK          what would happen, before it happens

Exit status: 0 succeeded, 1 the run failed, 2 wrong usage or a refused runbook,
3 the run waits for a person, 4 internal error.";

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// An object of JSON a line, with the run and the step.
    Json,
}

/// How a plan is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PlanFormat {
    /// For people.
    Text,
    /// For scripts.
    Json,
    /// For Markdown pages.
    Mermaid,
    /// For Graphviz.
    Dot,
    /// A picture.
    Svg,
}

/// How diagnostics are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// For people.
    Text,
    /// For scripts and CI.
    Json,
}

/// A runbook with its mode and inputs.
#[derive(Args, Debug)]
pub struct RunbookArgs {
    /// The runbook, a .kdl file.
    pub runbook: PathBuf,
    /// Mode: failover, switchover, failback or drill.
    #[arg(long, short, default_value = "failover", value_name = "MODE")]
    pub mode: String,
    /// A value for an input of the runbook.
    #[arg(long = "input", short = 'i', value_name = "KEY=VALUE")]
    pub inputs: Vec<String>,
}

/// Who speaks, and why.
#[derive(Args, Debug)]
pub struct SaidArgs {
    /// Your name for the record. Default: the login name.
    #[arg(long = "as", value_name = "NAME")]
    pub by: Option<String>,
    /// Your reason for the record.
    #[arg(long, short = 'r', default_value = "", value_name = "TEXT")]
    pub reason: String,
}

/// A verb on one step of a run.
#[derive(Args, Debug)]
pub struct StepVerb {
    /// The run; 'lifeboat runs' lists them. The beginning is enough where it is unique.
    pub run: String,
    /// The step.
    pub step: String,
    #[command(flatten)]
    /// Who and why.
    pub said: SaidArgs,
}

/// A verb on a run.
#[derive(Args, Debug)]
pub struct RunVerb {
    /// The run; 'lifeboat runs' lists them. The beginning is enough where it is unique.
    pub run: String,
    #[command(flatten)]
    /// Who and why.
    pub said: SaidArgs,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// A disaster and its recovery on local folders, start to end.
    Demo {
        /// Where the demo's estate is made.
        #[arg(long, default_value = "lifeboat-demo", value_name = "DIR")]
        dir: PathBuf,
        /// Size of the model-like file, in MiB.
        #[arg(long, default_value_t = 256, value_name = "MIB")]
        model_mib: u64,
    },
    /// Check runbooks: every mistake of every file, in one pass.
    Check {
        /// Files, or folders that are searched for *.kdl.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// Output format.
        #[arg(long, value_enum, default_value_t = CheckFormat::Text)]
        format: CheckFormat,
    },
    /// Put runbooks into their canonical form. Comments stay.
    Fmt {
        /// Files, or folders that are searched for *.kdl.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// Change nothing; fail when something would change.
        #[arg(long)]
        check: bool,
    },
    /// Print the page of an error code.
    Explain {
        /// The code, as LB0301.
        code: String,
    },
    /// Show what would happen, before it happens.
    Plan {
        #[command(flatten)]
        /// The runbook.
        runbook: RunbookArgs,
        /// Output format.
        #[arg(long, value_enum, default_value_t = PlanFormat::Text)]
        format: PlanFormat,
        /// Save it as a file too: 'lifeboat run --plan FILE' runs exactly that, or refuses.
        #[arg(long, value_name = "FILE")]
        save: Option<PathBuf>,
    },
    /// Say what is different between two runbooks or saved plans, most dangerous first.
    Diff(DiffArgs),
    /// Play a runbook in a world in which everything goes wrong, and list the branches that nobody handles.
    Simulate(SimulateArgs),
    /// Tell whether a runbook will meet its objective, from earlier runs and what is given; or work out a model.
    Estimate(Box<EstimateArgs>),
    /// Carry a runbook out, or a saved plan.
    Run {
        #[command(flatten)]
        /// The runbook or the plan.
        what: RunArgs,
        /// Do not ask before starting.
        #[arg(long, short)]
        yes: bool,
        #[command(flatten)]
        /// Who and why.
        said: SaidArgs,
    },
    /// Rehearse a runbook: run it in mode drill, with drill grants only.
    Drill {
        /// The runbook, a .kdl file.
        runbook: PathBuf,
        /// Damage copies of what was restored, and see whether each 'validate' notices: it has to.
        #[arg(long)]
        check_the_checks: bool,
        /// A value for an input of the runbook.
        #[arg(long = "input", short = 'i', value_name = "KEY=VALUE")]
        inputs: Vec<String>,
        #[command(flatten)]
        /// Who and why.
        said: SaidArgs,
    },
    /// List runs, newest last.
    Runs,
    /// Show a run: its steps, what it waits for, what to type.
    Show {
        /// The run.
        run: String,
    },
    /// Print the events of a run, one JSON object a line.
    Events {
        /// The run.
        run: String,
    },
    /// Take runs up again after a crash or a stop: one run, or all that have not ended.
    Resume {
        /// The run.
        run: Option<String>,
    },
    /// Try a failed or in-doubt step again, and go on.
    Retry(StepVerb),
    /// Go on without a step.
    Skip(StepVerb),
    /// End a run.
    Cancel {
        /// The run.
        run: String,
        /// Undo what was done, in reverse order.
        #[arg(long)]
        compensate: bool,
        #[command(flatten)]
        /// Who and why.
        said: SaidArgs,
    },
    /// What runs made and whether it was removed: of one run, or all that is left of any.
    Ledger {
        /// The run.
        run: Option<String>,
    },
    /// Remove what a run that has ended left behind.
    Cleanup(RunVerb),
    /// What a run measured: where the recovery time went, who was waited for, how much data was lost.
    Measure {
        /// The run.
        run: String,
    },
    /// Timed tokens in protected data: the newest that survives a recovery tells how much was lost.
    #[command(subcommand)]
    Sentinel(SentinelCommand),
    /// Whether a runbook could be run now, without doing any of it: all that is in the way, and what mends it.
    Readiness(ReadinessArgs),
    /// How the drills of a runbook went, and whether it is verified now.
    Drills {
        /// The runbook, a .kdl file.
        runbook: PathBuf,
        /// A value for an input of the runbook.
        #[arg(long = "input", short = 'i', value_name = "KEY=VALUE")]
        inputs: Vec<String>,
    },
    /// Say yes to an approval, and go on.
    Approve {
        #[command(flatten)]
        /// The run, the step, who and why.
        verb: StepVerb,
        /// The fingerprint of the plan that you looked at. Default: that of the run.
        #[arg(long, value_name = "DIGEST")]
        fingerprint: Option<String>,
    },
    /// Say no to an approval.
    Deny(StepVerb),
    /// Say that a step was done by hand (or undone, where its undo failed), and go on.
    MarkDone {
        #[command(flatten)]
        /// The run, the step, who and why.
        verb: StepVerb,
        /// Its outputs, one JSON object as the plugin would give; @FILE reads it from a file.
        #[arg(long, default_value = "{}", value_name = "JSON")]
        outputs: String,
        /// A file that shows it: kept in the data folder, named in the record by its digest.
        #[arg(long, value_name = "FILE")]
        evidence: Vec<PathBuf>,
    },
    /// Say that a switch may use a snapshot that is suspect, with a file that shows what was looked at; and go on.
    Attest {
        #[command(flatten)]
        /// The run, the step, who and why.
        verb: StepVerb,
        /// A file that shows it: kept in the data folder, named in the record by its digest.
        #[arg(long, required = true, value_name = "FILE")]
        evidence: Vec<PathBuf>,
    },
    /// Begin nothing new in a run; what is under way comes to its end.
    Pause(RunVerb),
    /// Let a paused run go on.
    Unpause(RunVerb),
    /// Take over by hand: the run ends as it is, nothing is undone, and its locks are free.
    Abandon(RunVerb),
    /// Go on with a run in another mode, as when the primary dies in the middle of a switchover: shows what is taken over and what
    /// runs, asks, and goes on.
    Takeover(TakeoverArgs),
    /// Write an operator file to start from: lifeboat.kdl, with what there is in comments.
    Init,
    /// Serve the API: runs, verbs, plans, events; until Ctrl-C. Other commands on this data folder then go through it.
    Serve(ServeArgs),
    /// What became of alerts: what was accepted, what was refused, and why.
    Alerts(AlertsArgs),
    /// Tokens of the service: make, list, revoke.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Messages to people: what was told, and whether a channel works.
    #[command(subcommand)]
    Notify(NotifyCommand),
    /// What a run did, how long it took, against its objectives: for the terminal, or as a page to keep.
    Report(ReportArgs),
    /// Evidence of runs, for others to verify: make, sign, verify, map to clauses.
    #[command(subcommand)]
    Evidence(EvidenceCommand),
    /// List the snapshots of a vault.
    Snapshots {
        /// The name of the vault's target.
        vault: String,
        /// The runbook that names the vault.
        #[arg(long, value_name = "RUNBOOK")]
        runbook: PathBuf,
        /// Mode: failover, switchover, failback or drill.
        #[arg(long, short, default_value = "failover", value_name = "MODE")]
        mode: String,
    },
    /// Look after a vault: forget, prune, check, repair, unlock.
    #[command(subcommand)]
    Vault(VaultCommand),
    /// Plugins: what there is, and what they can do.
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Schedules of runbooks: what there is, what is due next, and what became of it. Starts nothing.
    #[command(subcommand)]
    Schedule(ScheduleCommand),
    /// The journal in the data folder: encrypt it, or change the secret that it is encrypted with.
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write manual pages, one a command, into a folder.
    Man {
        /// The folder; it is made if it is not there.
        dir: PathBuf,
    },
    /// Look for what is wrong: data folder, operator file, plugins. With --repair, mend the data folder.
    Doctor {
        /// Mend what is damaged in the data folder. A copy of the journal as it was is made first, and kept.
        #[arg(long)]
        repair: bool,
        /// A run in quarantine to cut back to its last good event, so that it goes on from there. What is cut off is kept
        /// in a file beside the copy. May be given more than once.
        #[arg(long, value_name = "RUN", requires = "repair")]
        cut: Vec<String>,
    },
}

/// The commands about the journal.
#[derive(Debug, Subcommand)]
pub enum JournalCommand {
    /// Encrypt a journal that is in the clear, with the secret that 'journal encrypt' names in the operator file. The
    /// journal in the clear is kept beside it. A new data folder is encrypted from the start.
    Encrypt,
    /// Let an encrypted journal take a new secret: the one that 'journal encrypt' names now. Only the wrapped key is
    /// written anew.
    Rekey {
        /// The secret that it was encrypted with, as the operator file declares it.
        #[arg(long, value_name = "SECRET")]
        from: String,
    },
}

/// The commands about plugins.
#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// List plugins.
    Ls,
    /// Print the kinds of step, settings, arguments and outputs of a plugin.
    Inspect {
        /// Its name.
        name: String,
    },
}

/// The commands about schedules.
#[derive(Debug, Subcommand)]
pub enum ScheduleCommand {
    /// List the schedules of runbooks, each with its next due time.
    Ls {
        /// Runbooks, or folders that are searched for *.kdl. Without any: those of the service.
        paths: Vec<PathBuf>,
    },
    /// Print what is due next, over all schedules, in the order of time.
    Next {
        /// Runbooks, or folders that are searched for *.kdl. Without any: those of the service.
        paths: Vec<PathBuf>,
        /// How many due times.
        #[arg(long, short = 'n', default_value_t = 10, value_name = "COUNT")]
        count: usize,
    },
}
