//! What the program says of itself while it works: lines for people, or an object of JSON each for machines.

use tracing_subscriber::EnvFilter;

use crate::args::{Cli, Command, LogFormat};

/// What a service tells if nobody says otherwise: what happens to runs, and what is wrong below. Other commands are silent.
const SERVICE: &str = "warn,lifeboat=info";

/// Begins to log to standard error. What is logged is said by `LIFEBOAT_LOG`.
pub fn set_up(cli: &Cli) {
    let usual = if matches!(cli.command, Command::Serve(_)) { SERVICE } else { "off" };
    let filter = EnvFilter::try_from_env("LIFEBOAT_LOG").unwrap_or_else(|_| EnvFilter::new(usual));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match cli.log {
        LogFormat::Text => lines.with_ansi(crate::screen::Screen::new(cli).colour_err).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
}
