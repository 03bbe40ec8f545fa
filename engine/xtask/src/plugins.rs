//! `cargo xtask plugins`: builds the plugins into `plugins/dist`, and tells when they no longer fit their sources.
//!
//! The built plugins are committed, so that a fresh machine with Rust alone can run the demo. What is committed must be
//! what the sources say: `plugins.lock` records the digests of both, and the toolchain, and a build with that toolchain
//! gives the same bytes in every folder.
//!
//! Debian's toolchain is preferred, because the lock names one that everybody can install; rustup's
//! `wasm32-unknown-unknown` target serves where it is missing.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

const TARGET: &str = "wasm32-unknown-unknown";

/// A plugin that is built: its package, the name of its file, its folder, and whether the file is committed.
struct Plugin {
    package: &'static str,
    file: &'static str,
    folder: &'static str,
    shipped: bool,
}

const PLUGINS: [Plugin; 6] = [
    Plugin { package: "lifeboat-plugin-fs", file: "fs.wasm", folder: "plugins/fs", shipped: true },
    Plugin { package: "lifeboat-plugin-s3", file: "s3.wasm", folder: "plugins/s3", shipped: true },
    Plugin {
        package: "lifeboat-plugin-azure-blob",
        file: "azure_blob.wasm",
        folder: "plugins/azure-blob",
        shipped: true,
    },
    Plugin { package: "lifeboat-plugin-gcs", file: "gcs.wasm", folder: "plugins/gcs", shipped: true },
    Plugin { package: "lifeboat-plugin-fixture", file: "fixture.wasm", folder: "plugins/fixture", shipped: true },
    Plugin {
        package: "lifeboat-example-plugin",
        file: "freshness.wasm",
        folder: "examples/write-a-plugin",
        // It is built so that it cannot rot, and is nobody's to run.
        shipped: false,
    },
];

/// What all plugins are made of, besides their own folder.
const SHARED: [&str; 6] = [
    "plugins/sdk",
    "plugins/sdk-bindings",
    "plugins/sdk-macros",
    "plugins/objects",
    "schemas/wit",
    "plugins/Cargo.toml",
];

/// `plugins/dist/plugins.lock`.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lock {
    /// The version of the compiler and the flags by which the bytes can be made again.
    toolchain: String,
    /// By name of the file.
    plugins: BTreeMap<String, Locked>,
}

/// One plugin in the lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Locked {
    /// The digest of the file in `plugins/dist`; nothing for one that is built as a proof only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wasm: Option<String>,
    /// The digest of all sources it is made of.
    sources: String,
}

/// Builds all plugins, copies them to `plugins/dist` and writes the lock.
///
/// # Errors
/// A sentence for a person: no toolchain, a build that fails, a folder that cannot be written to.
pub fn build() -> Result<(), String> {
    let root = root()?;
    let toolchain = Toolchain::find(&root)?;
    let built = toolchain.build(&root, &root.join("plugins/target"))?;
    let dist = root.join("plugins/dist");
    fs::create_dir_all(&dist).map_err(|error| format!("{}: {error}", dist.display()))?;
    let mut lock = Lock { toolchain: toolchain.words()?, plugins: BTreeMap::new() };
    for plugin in &PLUGINS {
        let bytes = read(&built.join(plugin.file))?;
        let mut locked = Locked { wasm: None, sources: sources(&root, plugin)? };
        if plugin.shipped {
            locked.wasm = Some(digest(&bytes));
            write_if_changed(&dist.join(plugin.file), &bytes)?;
        }
        println!("{}: {} KiB{}", plugin.file, bytes.len() / 1024, if plugin.shipped { "" } else { ", not shipped" });
        lock.plugins.insert(plugin.file.to_owned(), locked);
    }
    let text = toml::to_string(&lock).map_err(|error| format!("the lock cannot be written: {error}"))?;
    let text = format!("# Written by `cargo xtask plugins`: do not edit.\n{text}");
    write_if_changed(&dist.join("plugins.lock"), text.as_bytes())
}

/// Compares `plugins/dist` with its sources, and with `rebuild` also with what the recorded toolchain makes of them in
/// another folder, where that toolchain is installed.
///
/// # Errors
/// All that differs, with the command that mends it.
pub fn check(rebuild: bool) -> Result<(), String> {
    let root = root()?;
    let lock = read_lock(&root)?;
    let mut wrong = drift(&root, &lock)?;
    if wrong.is_empty() && rebuild {
        match Toolchain::find(&root).and_then(|toolchain| Ok((toolchain.words()?, toolchain))) {
            Ok((words, toolchain)) if words == lock.toolchain => wrong = differing_bytes(&root, &lock, &toolchain)?,
            Ok((words, _)) => println!("not rebuilt: the lock was made by '{}', here is '{words}'", lock.toolchain),
            Err(error) => println!("not rebuilt: {error}"),
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(format!("{}\nrun `cargo xtask plugins` and commit plugins/dist", wrong.join("\n")))
}

fn read_lock(root: &Path) -> Result<Lock, String> {
    let path = root.join("plugins/dist/plugins.lock");
    let bytes = read(&path)?;
    toml::from_str(&String::from_utf8_lossy(&bytes)).map_err(|error| format!("{}: {error}", path.display()))
}

/// Where the lock, the built files and the sources say different things.
fn drift(root: &Path, lock: &Lock) -> Result<Vec<String>, String> {
    let mut wrong = Vec::new();
    for plugin in &PLUGINS {
        let Some(locked) = lock.plugins.get(plugin.file) else {
            wrong.push(format!("{}: not in plugins.lock", plugin.file));
            continue;
        };
        if locked.sources != sources(root, plugin)? {
            wrong.push(format!("{}: its sources changed since it was built", plugin.file));
        }
        if plugin.shipped {
            let found = digest(&read(&root.join("plugins/dist").join(plugin.file))?);
            if locked.wasm.as_ref() != Some(&found) {
                wrong.push(format!("{}: it is not the file that plugins.lock names", plugin.file));
            }
        }
    }
    for name in lock.plugins.keys() {
        if !PLUGINS.iter().any(|plugin| plugin.file == name) {
            wrong.push(format!("{name}: in plugins.lock, but there is no such plugin"));
        }
    }
    Ok(wrong)
}

/// Builds a copy of the sources in another folder, and compares.
fn differing_bytes(root: &Path, lock: &Lock, toolchain: &Toolchain) -> Result<Vec<String>, String> {
    let copy = std::env::temp_dir().join(format!("lifeboat-plugins-{}", std::process::id()));
    let result = copy_sources(root, &copy).and_then(|()| toolchain.build(&copy, &copy.join("target")));
    let compared = result.and_then(|built| {
        let mut wrong = Vec::new();
        for plugin in PLUGINS.iter().filter(|plugin| plugin.shipped) {
            let found = digest(&read(&built.join(plugin.file))?);
            if lock.plugins.get(plugin.file).and_then(|locked| locked.wasm.as_ref()) != Some(&found) {
                wrong.push(format!("{}: a build with the recorded toolchain gives other bytes", plugin.file));
            }
        }
        Ok(wrong)
    });
    // What is left behind in the folder for temporary files does no harm.
    let _ = fs::remove_dir_all(&copy);
    compared
}

fn copy_sources(root: &Path, copy: &Path) -> Result<(), String> {
    let mut files = vec![PathBuf::from("plugins/Cargo.lock")];
    for place in PLUGINS.iter().map(|plugin| plugin.folder).chain(SHARED) {
        collect(root, Path::new(place), &mut files)?;
    }
    for file in files {
        let to = copy.join(&file);
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        fs::copy(root.join(&file), &to).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}

/// The digest of all sources of a plugin: paths from the root and contents, sorted, so that it is the same on every
/// machine.
fn sources(root: &Path, plugin: &Plugin) -> Result<String, String> {
    let mut files = vec![PathBuf::from("plugins/Cargo.lock")];
    for place in SHARED.into_iter().chain([plugin.folder]) {
        collect(root, Path::new(place), &mut files)?;
    }
    files.sort();
    let mut hasher = blake3::Hasher::new();
    for file in files {
        let bytes = read(&root.join(&file))?;
        hasher.update(file.to_string_lossy().as_bytes());
        hasher.update(&[0]);
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(&bytes);
    }
    Ok(format!("blake3:{}", hasher.finalize().to_hex()))
}

/// Every file below a place, or the place itself, by its path from the root. Prose is no source.
fn collect(root: &Path, place: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let path = root.join(place);
    if !path.is_dir() {
        if place.extension().is_none_or(|extension| extension != "md") {
            files.push(place.to_owned());
        }
        return Ok(());
    }
    for entry in fs::read_dir(&path).map_err(|error| format!("{}: {error}", path.display()))? {
        let name = entry.map_err(|error| format!("{}: {error}", path.display()))?.file_name();
        if name != "target" {
            collect(root, &place.join(name), files)?;
        }
    }
    Ok(())
}

/// A compiler for guests.
enum Toolchain {
    /// Debian's packages: the standard library is built from its sources, `wasm-ld` is a link in `tools`.
    Debian { tools: PathBuf },
    /// The one that runs this program, with rustup's target.
    Rustup,
}

impl Toolchain {
    fn find(root: &Path) -> Result<Self, String> {
        let linker = ["/usr/bin/wasm-ld-22", "/usr/bin/wasm-ld"].map(Path::new).into_iter().find(|path| path.exists());
        let sources = fs::read_dir("/usr/src").is_ok_and(|entries| {
            entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("rustc-"))
        });
        if let Some(linker) = linker
            && sources
            && ["/usr/bin/rustc", "/usr/bin/cargo"].iter().all(|tool| Path::new(tool).exists())
        {
            let tools = root.join("plugins/target/tools");
            link_linker(&tools, linker).map_err(|error| format!("{}: {error}", tools.display()))?;
            return Ok(Self::Debian { tools });
        }
        let libraries = rustc_says("rustc", &["--print", "target-libdir", "--target", TARGET])?;
        if Path::new(&libraries).exists() {
            return Ok(Self::Rustup);
        }
        Err("there is no toolchain for guests: \
             `apt-get install rustc-web cargo-web rust-web-src rust-web-llvm lld-22`, \
             or `rustup target add wasm32-unknown-unknown`"
            .to_owned())
    }

    /// What is recorded, and compared: the compiler and how it was called.
    fn words(&self) -> Result<String, String> {
        Ok(match self {
            Self::Debian { .. } => {
                format!("{}; {TARGET}; build-std=std,panic_abort", rustc_says("/usr/bin/rustc", &["-V"])?)
            }
            Self::Rustup => format!("{}; {TARGET}", rustc_says("rustc", &["-V"])?),
        })
    }

    /// Builds the plugins of the sources below `root`; the folder with the built files.
    fn build(&self, root: &Path, target: &Path) -> Result<PathBuf, String> {
        let mut command = match self {
            Self::Debian { tools } => {
                let mut command = Command::new("/usr/bin/cargo");
                let rest = std::env::var_os("PATH").unwrap_or_default();
                let path = std::env::join_paths(std::iter::once(tools.clone()).chain(std::env::split_paths(&rest)));
                command.env("PATH", path.map_err(|error| format!("PATH: {error}"))?);
                command.env("RUSTC", "/usr/bin/rustc").env("RUSTC_BOOTSTRAP", "1");
                command.arg("build").args(["-Z", "build-std=std,panic_abort"]);
                command
            }
            Self::Rustup => {
                let mut command = Command::new("cargo");
                command.arg("build");
                command
            }
        };
        // When cargo runs this program, it says which compiler it is by variables that would win over the paths above.
        for name in ["CARGO", "RUSTDOC", "RUSTUP_TOOLCHAIN", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "RUSTFLAGS"] {
            command.env_remove(name);
        }
        if matches!(self, Self::Rustup) {
            command.env_remove("RUSTC");
        }
        command.env("CARGO_ENCODED_RUSTFLAGS", self.flags(root)?).env("CARGO_TARGET_DIR", target);
        command.args(["--release", "--locked", "--target", TARGET]);
        for plugin in &PLUGINS {
            command.args(["--package", plugin.package]);
        }
        let status = command.current_dir(root.join("plugins")).status().map_err(|error| format!("cargo: {error}"))?;
        if !status.success() {
            return Err(format!("the build of the plugins failed ({status})"));
        }
        Ok(target.join(TARGET).join("release"))
    }

    /// Flags that take this machine's paths out of the files.
    fn flags(&self, root: &Path) -> Result<OsString, String> {
        let home = std::env::var_os("CARGO_HOME")
            .map(PathBuf::from)
            .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
        let mut flags = OsString::from("--remap-path-prefix=");
        flags.push(root.canonicalize().map_err(|error| format!("{}: {error}", root.display()))?);
        flags.push("=/lifeboat");
        if let Some(home) = home {
            for registry in registries(&home) {
                flags.push("\u{1f}--remap-path-prefix=");
                flags.push(registry);
                flags.push("=/registry");
            }
        }
        if let Self::Debian { .. } = self {
            let sysroot = rustc_says("/usr/bin/rustc", &["--print", "sysroot"])?;
            flags.push(format!("\u{1f}--remap-path-prefix={sysroot}/lib/rustlib/src/rust=/rustc"));
        }
        Ok(flags)
    }
}

/// The folders with the sources of packages; each registry has one, named by a hash of its address.
fn registries(home: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(home.join("registry/src"));
    let mut folders: Vec<_> = entries.map(|entries| entries.flatten().map(|e| e.path()).collect()).unwrap_or_default();
    folders.sort();
    folders
}

#[cfg(unix)]
fn link_linker(tools: &Path, linker: &Path) -> std::io::Result<()> {
    fs::create_dir_all(tools)?;
    let link = tools.join("wasm-ld");
    if fs::read_link(&link).is_ok_and(|to| to == linker) {
        return Ok(());
    }
    let _ = fs::remove_file(&link);
    std::os::unix::fs::symlink(linker, link)
}

#[cfg(not(unix))]
fn link_linker(_: &Path, _: &Path) -> std::io::Result<()> {
    Err(std::io::Error::other("Debian's toolchain is for Debian"))
}

fn rustc_says(rustc: &str, args: &[&str]) -> Result<String, String> {
    let output = Command::new(rustc).args(args).output().map_err(|error| format!("{rustc}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{rustc} {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn root() -> Result<PathBuf, String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    here.canonicalize().map_err(|error| format!("{}: {error}", here.display()))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<(), String> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()))
}

fn digest(bytes: &[u8]) -> String {
    format!("blake3:{}", blake3::hash(bytes).to_hex())
}
