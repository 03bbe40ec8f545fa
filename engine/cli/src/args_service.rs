//! The command line of the service and of its tokens.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

/// How the service is started.
#[derive(Args, Debug)]
pub struct ServeArgs {
    /// Address and port, instead of what the operator file says.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// A folder with runbooks, besides those of the operator file. May be given more than once.
    #[arg(long, value_name = "DIR")]
    pub runbooks: Vec<PathBuf>,
}

/// What is shown of alerts.
#[derive(Args, Debug)]
pub struct AlertsArgs {
    /// How many, the newest.
    #[arg(long, short = 'n', default_value_t = 50, value_name = "COUNT")]
    pub count: usize,
    /// The incidents that are not over, instead.
    #[arg(long, conflicts_with = "close")]
    pub open: bool,
    /// Close an incident that has no run under way: it starts nothing any more.
    #[arg(long, value_name = "NUMBER")]
    pub close: Option<u64>,
    /// Your reason for the record, with --close.
    #[arg(long, short = 'r', default_value = "", value_name = "TEXT")]
    pub reason: String,
}

/// The commands about tokens.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token. It is printed this once; only a digest is kept.
    Create(CreateArgs),
    /// List tokens, without what proves them.
    Ls,
    /// End a token at once.
    Revoke {
        /// Its id, as 'lifeboat token ls' prints it.
        id: String,
    },
}

/// A token that is to be made.
#[derive(Args, Debug)]
pub struct CreateArgs {
    /// The person or program that it is for: the name under which all is recorded that is done with it.
    pub owner: String,
    /// Role: viewer, operator, approver, admin, or sender (of alerts). May be given more than once.
    #[arg(long = "role", value_name = "ROLE", required = true)]
    pub roles: Vec<String>,
    /// Let it act on drills.
    #[arg(long)]
    pub drill: bool,
    /// Let it act on runs in earnest: failover, switchover, failback.
    #[arg(long)]
    pub failover: bool,
    /// A runbook in its scope; '*' at the end stands for anything. Without any, all are. May be given more than once.
    #[arg(long = "runbook", value_name = "NAME")]
    pub runbooks: Vec<String>,
    /// How many days it is good for, at most 366.
    #[arg(long, default_value_t = 90, value_name = "DAYS")]
    pub days: u16,
    /// What it is for.
    #[arg(long, default_value = "", value_name = "TEXT")]
    pub note: String,
}
