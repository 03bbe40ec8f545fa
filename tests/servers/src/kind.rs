//! Which servers there are.

/// A server that can be had here. Two S3 play two regions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// SeaweedFS: signatures, versioning, object lock, conditional put, checksums.
    S3,
    /// rclone's S3: signatures are checked, but no versions, no locks, no conditions, no copies of parts.
    S3Weak,
    /// Azurite's blobs. It acknowledges before it saves: what is killed may have lost what it said it had.
    Azure,
    /// fake-gcs-server. It checks no credentials and few conditions.
    Gcs,
    /// OpenBao, which speaks Vault's API, in development mode: its data is gone when it ends.
    OpenBao,
    /// Rotel: a collector of traces, OTLP by HTTP and gRPC. It writes what it is sent into its log, and keeps nothing.
    Traces,
    /// Prometheus, which watches and fires. It reads `prometheus.yml` in its folder, where there is one.
    Prometheus,
    /// Alertmanager, which sends what fires. It reads `alertmanager.yml` in its folder, where there is one.
    Alertmanager,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::S3,
        Self::S3Weak,
        Self::Azure,
        Self::Gcs,
        Self::OpenBao,
        Self::Traces,
        Self::Prometheus,
        Self::Alertmanager,
    ];

    /// Names under which a server may stay up, and what each is. `s3-dr` is the second region.
    pub const NAMES: [(&'static str, Self); 9] = [
        ("s3", Self::S3),
        ("s3-dr", Self::S3),
        ("s3-weak", Self::S3Weak),
        ("azure", Self::Azure),
        ("gcs", Self::Gcs),
        ("openbao", Self::OpenBao),
        ("traces", Self::Traces),
        ("prometheus", Self::Prometheus),
        ("alertmanager", Self::Alertmanager),
    ];

    /// The kind behind a name of the command line.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    }

    /// What it is, for a person.
    #[must_use]
    pub fn product(self) -> &'static str {
        match self {
            Self::S3 => "SeaweedFS 4.48",
            Self::S3Weak => "rclone 1.75.2 serve s3",
            Self::Azure => "Azurite 3.35.0",
            Self::Gcs => "fake-gcs-server (wheel 0.1.1)",
            Self::OpenBao => "OpenBao 2.7.2",
            Self::Traces => "Rotel 0.0.1a15",
            Self::Prometheus => "Prometheus, as Debian has it",
            Self::Alertmanager => "Alertmanager, as Debian has it",
        }
    }
}
