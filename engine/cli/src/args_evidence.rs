//! The command line of `report` and `evidence`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For the terminal.
    Text,
    /// One page that needs nothing else; light, dark, and on paper.
    Html,
    /// For wikis and reviews.
    Md,
    /// For scripts.
    Json,
}

/// How the table of clauses is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ClauseFormat {
    /// A table in Markdown.
    Md,
    /// For spreadsheets.
    Csv,
    /// For scripts.
    Json,
}

/// `report`.
#[derive(Args, Debug)]
pub struct ReportArgs {
    /// The run; 'lifeboat runs' lists them. The beginning is enough where it is unique.
    #[arg(required_unless_present = "bundle", conflicts_with = "bundle")]
    pub run: Option<String>,
    /// A bundle of evidence to make the report from: no data folder is needed.
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,
    /// A public key that has to have signed the bundle: its text, or a file with it. May be given more than once.
    #[arg(long = "key", value_name = "PUB", requires = "bundle")]
    pub keys: Vec<String>,
    /// How it is written. Default: text, or json with --json.
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<ReportFormat>,
    /// Write it to this file; one that is there is replaced.
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// The commands about evidence.
#[derive(Debug, Subcommand)]
pub enum EvidenceCommand {
    /// Make a bundle of evidence of a run: one file, signed with the engine's key.
    Export {
        /// The run; 'lifeboat runs' lists them. The beginning is enough where it is unique.
        run: String,
        /// The file to make. Default: RUN.evidence in this folder. One that is there is left alone.
        #[arg(long, short, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Leave out the files that people attached; their digests stay in.
        #[arg(long)]
        no_files: bool,
    },
    /// Verify a bundle. Needs no data folder, no engine and no network.
    Verify {
        /// The bundle.
        file: PathBuf,
        /// A public key that has to have signed it: its text, or a file with it. May be given more than once.
        #[arg(long = "key", value_name = "PUB", required = true)]
        keys: Vec<String>,
        /// A plugin's file that has to be one of those the plan pins. May be given more than once.
        #[arg(long = "plugin", value_name = "FILE")]
        plugins: Vec<PathBuf>,
    },
    /// Add a signature to a bundle, after a look at whether it is whole.
    Sign {
        /// The bundle.
        file: PathBuf,
        /// The file with your private key, as 'lifeboat evidence key --new' makes it.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The name that goes with the signature. Default: the login name.
        #[arg(long = "as", value_name = "NAME")]
        by: Option<String>,
    },
    /// Print the engine's public key, made at its first use; or make a key pair of your own.
    Key {
        /// The file to make, for a private key of your own. One that is there is left alone.
        #[arg(long, value_name = "FILE")]
        new: Option<PathBuf>,
    },
    /// Print what a bundle shows of clauses of DORA, ISO 22301 and SOC 2, and what it does not.
    Clauses {
        /// The bundle.
        file: PathBuf,
        /// A public key that has to have signed it: its text, or a file with it. May be given more than once.
        #[arg(long = "key", value_name = "PUB")]
        keys: Vec<String>,
        /// How it is written. Default: md, or json with --json.
        #[arg(long, value_enum, value_name = "FORMAT")]
        format: Option<ClauseFormat>,
    },
}
