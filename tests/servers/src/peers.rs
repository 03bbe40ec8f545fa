//! Stock rclone and stock restic as they reach a server: what judges a test and what a benchmark measures against are the same
//! commands.

use std::path::Path;
use std::process::Command;

use crate::{Access, Kind, program};

/// A server as rclone reaches it: the backend, and its settings as variables, so that no key stands on a command line.
#[derive(Clone, Debug)]
pub struct Remote {
    backend: &'static str,
    settings: Vec<(String, String)>,
}

impl Remote {
    /// Of these settings, named as rclone names them.
    #[must_use]
    pub fn new(backend: &'static str, settings: &[(&str, &str)]) -> Self {
        let settings = settings.iter().map(|(key, value)| (key.to_uppercase(), (*value).to_owned())).collect();
        Self { backend, settings }
    }

    /// A place, as rclone writes it.
    #[must_use]
    pub fn place(&self, path: &str) -> String {
        format!(":{}:{path}", self.backend)
    }

    /// Makes it what [`Remote::place`] means to an rclone that this command starts, or is.
    pub fn reach(&self, command: &mut Command) {
        self.set(command, &format!("RCLONE_{}", self.backend.to_uppercase()));
    }

    /// Makes it a remote of that name, so that one command reaches two servers.
    pub fn reach_as(&self, name: &str, command: &mut Command) {
        let prefix = format!("RCLONE_CONFIG_{}", name.to_uppercase());
        command.env(format!("{prefix}_TYPE"), self.backend);
        self.set(command, &prefix);
    }

    fn set(&self, command: &mut Command, prefix: &str) {
        command.env_remove("AWS_CA_BUNDLE").env("RCLONE_CONFIG", "/dev/null");
        command.envs(self.settings.iter().map(|(key, value)| (format!("{prefix}_{key}"), value)));
    }

    /// Stock rclone with these arguments.
    ///
    /// # Errors
    /// It is not installed.
    pub fn rclone(&self, args: &[&str]) -> Result<Command, String> {
        let mut command = Command::new(program(Kind::S3Weak)?);
        self.reach(&mut command);
        command.args(args);
        Ok(command)
    }

    /// Stock restic on a repository, through stock rclone: it reads where it is, and nothing of Lifeboat's is in between.
    ///
    /// # Errors
    /// rclone is not installed.
    pub fn restic(&self, place: &str, password: &Path) -> Result<Command, String> {
        let rclone = format!("rclone.program={}", program(Kind::S3Weak)?.display());
        let mut command = Command::new("restic");
        self.reach(&mut command);
        command.env("RESTIC_PASSWORD_FILE", password);
        command.args(["-o", &rclone, "-r", &format!("rclone:{}", self.place(place))]);
        Ok(command)
    }
}

impl Access {
    /// As rclone reaches it, where it speaks S3.
    #[must_use]
    pub fn s3(&self) -> Remote {
        let (id, key) = (self.get("access-key"), self.get("secret-key"));
        let settings =
            [("provider", "Other"), ("endpoint", &self.endpoint), ("access_key_id", id), ("secret_access_key", key)];
        Remote::new("s3", &settings)
    }

    /// Stock restic on a repository in a bucket, by its own S3.
    #[must_use]
    pub fn restic(&self, place: &str, password: &Path) -> Command {
        let mut command = Command::new("restic");
        command.env_remove("AWS_CA_BUNDLE").env("RESTIC_PASSWORD_FILE", password);
        command.env("AWS_ACCESS_KEY_ID", self.get("access-key")).env("AWS_SECRET_ACCESS_KEY", self.get("secret-key"));
        command.args(["-o", "s3.bucket-lookup=path", "-r", &format!("s3:{}/{place}", self.endpoint)]);
        command
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn keys_are_variables_and_no_arguments() {
        let access = Access::new("http://127.0.0.1:9".to_owned(), &[("access-key", "id"), ("secret-key", "hush")]);
        let mut copy = Command::new("rclone");
        access.s3().reach_as("here", &mut copy);
        let restic = access.restic("orders/vault", Path::new("/p"));
        let set = |command: &Command, name: &str| {
            command.get_envs().any(|(key, value)| key == name && value == Some(OsStr::new("hush")))
        };
        assert!(set(&copy, "RCLONE_CONFIG_HERE_SECRET_ACCESS_KEY") && set(&restic, "AWS_SECRET_ACCESS_KEY"));
        assert!(
            copy.get_envs().any(|(key, value)| key == "RCLONE_CONFIG_HERE_TYPE" && value == Some(OsStr::new("s3")))
        );
        assert!(restic.get_args().all(|argument| argument != "hush"));
        assert!(restic.get_args().any(|argument| argument == "s3:http://127.0.0.1:9/orders/vault"));
        assert_eq!(access.s3().place("orders"), ":s3:orders");
    }
}
