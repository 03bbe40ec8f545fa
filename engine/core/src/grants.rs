//! What the operator lets plugins reach: the other side of what plugins declare. Neither side widens the other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::ids::Digest;
use crate::plan::{Mode, Plan};
pub use crate::secrets::{Login, SecretCommand, SecretServer, SecretSource, ServerSecret};

/// The operator's file (`lifeboat.kdl`), read and checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    /// Folders with plugins (`*.wasm`), besides the built-in ones.
    pub plugin_dirs: Vec<PathBuf>,
    /// Digests that plugins must have, by name. A plugin that is not listed here is not pinned.
    pub pins: BTreeMap<String, Digest>,
    /// What plugins may reach, outside drills.
    pub grants: Vec<Grant>,
    /// What plugins may reach in drills. In a drill, only these count.
    pub drill_grants: Vec<Grant>,
    /// Where secrets come from, by name.
    pub secrets: BTreeMap<String, SecretSource>,
    /// Servers that keep secrets, by name.
    #[serde(default)]
    pub secret_servers: BTreeMap<String, SecretServer>,
    /// The name of the secret that encrypts the journal; `None`: it is not encrypted.
    #[serde(default)]
    pub journal_secret: Option<String>,
    /// Who has which role, for approvals. Where nobody has any, no list is kept, and whoever may open the data folder may
    /// answer.
    #[serde(default)]
    pub roles: BTreeMap<String, Vec<String>>,
    /// The way out for HTTP; `None`: as the environment says (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`).
    #[serde(default)]
    pub proxy: Option<Proxy>,
    /// How patient requests over HTTP are.
    #[serde(default)]
    pub http: Patience,
    /// How many steps of all runs together may be under way at once; `None`: the default.
    pub max_parallel: Option<u32>,
    /// How the service is set up; `None`: as it is by itself, without runbooks.
    #[serde(default)]
    pub service: Option<crate::service::Service>,
    /// Who is told what, by the name of the channel.
    #[serde(default)]
    pub notify: BTreeMap<String, crate::notify::Channel>,
    /// What is taken for lost, whatever is granted: while it is looked whether a recovery needs it.
    #[serde(default)]
    pub lost: Lost,
}

/// A site that is taken for lost: nothing of it can be reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// Its targets.
    pub targets: BTreeSet<String>,
    /// Their folders, with all that is below them.
    pub roots: Vec<PathBuf>,
    /// Their hosts, whichever target names them.
    pub hosts: BTreeSet<String>,
}

impl Lost {
    /// All that the plan has at that site.
    pub fn site(plan: &Plan, site: &str) -> Self {
        let mut lost = Self::default();
        for target in plan.targets.values().filter(|target| target.site.as_deref() == Some(site)) {
            lost.targets.insert(target.name.clone());
            let text = |name: &str| target.settings.get(name).and_then(serde_json::Value::as_str);
            lost.roots.extend(text("root").map(PathBuf::from));
            lost.hosts.extend(text("endpoint").and_then(host_of).map(str::to_lowercase));
        }
        lost
    }

    /// Whether a folder is gone for that target.
    pub fn has_folder(&self, target: &str, root: &Path) -> bool {
        self.targets.contains(target) || self.roots.iter().any(|lost| root.starts_with(lost))
    }

    /// Whether a host is gone for that target.
    pub fn has_host(&self, target: &str, host: &str) -> bool {
        self.targets.contains(target) || self.hosts.contains(host)
    }
}

/// The host in `https://HOST:PORT/…`.
fn host_of(endpoint: &str) -> Option<&str> {
    let rest = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    let place = rest.split(['/', '?', '#']).next()?;
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    match place.strip_prefix('[') {
        Some(v6) => v6.split(']').next(),
        None => place.split(':').next(),
    }
}

/// What one plugin may reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The plugin.
    pub plugin: String,
    /// The one target that it is for; `None`: any target of the plugin.
    pub target: Option<String>,
    /// Folders, with all that is below them.
    pub dirs: Vec<DirGrant>,
    /// Hosts that may be spoken to over HTTP.
    #[serde(default)]
    pub hosts: Vec<HostGrant>,
}

/// A host that may be spoken to over HTTP, on one port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HostGrant {
    /// A name in lower case, `*.` and the name that all others end in, or an address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether it is spoken to without TLS, and never with it.
    #[serde(default)]
    pub plain: bool,
    /// A file of certificates (PEM) that are trusted instead of this machine's own.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// The files (PEM) of certificate and key by which the engine shows who it is.
    #[serde(default)]
    pub client: Option<(PathBuf, PathBuf)>,
}

/// The way out for HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Proxy {
    /// `http://HOST:PORT`; `None`: no proxy, whatever the environment says.
    pub url: Option<String>,
    /// Hosts that are reached directly: names, endings with a `.` in front, addresses, networks (`10.0.0.0/8`).
    #[serde(default)]
    pub except: Vec<String>,
}

/// How patient requests over HTTP are; `None`: the host's own figure.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patience {
    /// Milliseconds until there is a connection.
    pub connect_ms: Option<u64>,
    /// Milliseconds that a body may stand still, and over which its least speed is measured.
    pub idle_ms: Option<u64>,
    /// Milliseconds that a server may think once it has the whole request.
    pub answer_ms: Option<u64>,
    /// Milliseconds of the longest pause before a request is sent again.
    pub pause_ms: Option<u64>,
    /// Bytes a second that a body has to come or go with.
    pub least: Option<u32>,
    /// How often one request is sent at most.
    pub sends: Option<u32>,
}

/// A folder that may be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirGrant {
    /// An absolute path.
    pub path: PathBuf,
    /// Whether it may be changed.
    pub write: bool,
}

impl Operator {
    /// The roles of a person; `None` where no list is kept.
    pub fn roles_of(&self, person: &str) -> Option<Vec<String>> {
        let has = |people: &Vec<String>| people.iter().any(|name| name == person);
        let roles = self.roles.iter().filter(|(_, people)| has(people)).map(|(role, _)| role.clone());
        (!self.roles.is_empty()).then(|| roles.collect())
    }

    /// The grants that count in that mode: the drill grants and nothing else in a drill.
    pub fn grants_for(&self, mode: Mode) -> &[Grant] {
        if mode == Mode::Drill { &self.drill_grants } else { &self.grants }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_out_of_endpoints() {
        for (endpoint, host) in [
            ("https://s3.example.net", "s3.example.net"),
            ("http://10.0.0.1:9000/x", "10.0.0.1"),
            ("https://user@h.example:1", "h.example"),
            ("http://[::1]:9000", "::1"),
        ] {
            assert_eq!(host_of(endpoint), Some(host));
        }
    }

    #[test]
    fn a_lost_site_has_its_folders_with_all_below_and_its_hosts_for_everybody() {
        let lost = Lost {
            targets: ["live".to_owned()].into(),
            roots: vec!["/srv/live".into()],
            hosts: ["s3.example.net".to_owned()].into(),
        };
        assert!(lost.has_folder("live", Path::new("/elsewhere")) && lost.has_folder("x", Path::new("/srv/live/db")));
        assert!(!lost.has_folder("x", Path::new("/srv/live2")) && !lost.has_folder("x", Path::new("/srv")));
        assert!(lost.has_host("x", "s3.example.net") && !lost.has_host("x", "other.example.net"));
    }
}
