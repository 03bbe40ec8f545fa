//! What every command prints with: the choice of colour, errors for people, JSON for scripts.
//!
//! Data goes to standard output, everything else to standard error. Colour never carries meaning alone.

use std::io::{IsTerminal, Write};

use lifeboat_core::Error;
use serde::Serialize;

use crate::args::{Cli, Colour, Command, LogFormat};

/// How to print.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    /// Print JSON.
    pub json: bool,
    /// Print only what was asked for.
    pub quiet: bool,
    /// Standard error is a log for machines.
    pub log_only: bool,
    /// Standard output takes colour.
    pub colour_out: bool,
    /// Standard error takes colour.
    pub colour_err: bool,
    /// Standard error is a terminal: bars may move.
    pub live: bool,
}

/// A style, as its ANSI parameters.
#[derive(Clone, Copy, Debug)]
pub enum Ink {
    /// Strong.
    Bold,
    /// Weak.
    Dim,
    /// Good.
    Green,
    /// Bad.
    Red,
    /// Take care.
    Yellow,
    /// A name.
    Cyan,
}

impl Screen {
    /// From the command line and the surroundings.
    pub fn new(cli: &Cli) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let wanted = |terminal: bool| match cli.colour {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => terminal && !plain,
        };
        // A service whose log is read by a machine writes nothing else there.
        let log_only = cli.log == LogFormat::Json && matches!(cli.command, Command::Serve(_));
        let terminal = std::io::stderr().is_terminal();
        Self {
            json: cli.json,
            quiet: cli.quiet || log_only,
            log_only,
            colour_out: wanted(std::io::stdout().is_terminal()),
            colour_err: wanted(terminal),
            live: terminal && !cli.quiet && std::env::var_os("TERM").is_none_or(|term| term != "dumb"),
        }
    }

    /// Text in that ink on standard error.
    pub fn err(&self, ink: Ink, text: &str) -> String {
        paint(self.colour_err, ink, text)
    }

    /// Text in that ink on standard output.
    pub fn out(&self, ink: Ink, text: &str) -> String {
        paint(self.colour_out, ink, text)
    }

    /// A line for the person on standard error, unless quiet.
    pub fn say(&self, line: &str) {
        if !self.quiet {
            note(line);
        }
    }

    /// An error for a person.
    pub fn error(&self, error: &Error) {
        if self.log_only {
            return;
        }
        let head = self.err(Ink::Red, &format!("error[{}]", error.code));
        note(&format!("{head}: {}", error.message));
        for (name, value) in &error.context {
            note(&format!("  {}: {}", self.err(Ink::Dim, name), value.replace('\n', "\n    ")));
        }
        if let Some(hint) = &error.hint {
            note(&format!("  {}: {}", self.err(Ink::Cyan, "help"), hint.replace('\n', "\n        ")));
        }
        note(&format!("  {}", self.err(Ink::Dim, &format!("'lifeboat explain {}' tells more", error.code))));
    }
}

fn paint(colour: bool, ink: Ink, text: &str) -> String {
    if !colour {
        return text.to_owned();
    }
    let code = match ink {
        Ink::Bold => "1",
        Ink::Dim => "2",
        Ink::Green => "32",
        Ink::Red => "31",
        Ink::Yellow => "33",
        Ink::Cyan => "36",
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

/// A line on standard output. A reader that went away (`| head`) ends the program quietly, as users expect.
pub fn put(text: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// A line on standard error; nobody can be told when that fails.
pub fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// A value as JSON on standard output.
///
/// # Errors
/// `LB0904` when it cannot be written as JSON.
pub fn put_json<T: Serialize>(value: &T) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|cause| Error::new("LB0904", "the output cannot be written as JSON").with("cause", cause))?;
    put(&text);
    Ok(())
}
