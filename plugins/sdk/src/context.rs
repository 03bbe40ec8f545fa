//! One call for one step, as its code sees it.

use std::marker::PhantomData;

use crate::bindings::storage::lifeboat::plugin::types::StepCall;
use crate::error::ErrorExt;
use crate::host::{self, Directory, Error, Repository, Target};
use crate::step::Data;

/// A call as it comes over the wire.
pub type Call = StepCall;

/// What a step's code knows of the call, besides its arguments. `S` is the type of the plugin's settings.
pub struct Context<S> {
    call: StepCall,
    settings: PhantomData<S>,
}

impl<S: Data> Context<S> {
    pub(crate) fn new(call: StepCall) -> Self {
        Self { call, settings: PhantomData }
    }

    /// The id of the run.
    pub fn run(&self) -> &str {
        &self.call.run
    }

    /// The name of the step in the runbook.
    pub fn step(&self) -> &str {
        &self.call.step
    }

    /// From 1.
    pub fn attempt(&self) -> u32 {
        self.call.attempt
    }

    /// Stable over all attempts of the step in this run: make the effect idempotent by it. An undo has the key of what it
    /// undoes, and finds by it what the effect left.
    pub fn key(&self) -> &str {
        &self.call.key
    }

    /// The fencing token: what acts under a lower upper half (the fence) than the latest is stale; the lower half counts
    /// attempts, of which several may go on at once.
    pub fn token(&self) -> u64 {
        self.call.token
    }

    /// `failover`, `switchover`, `failback` or `drill`.
    pub fn mode(&self) -> &str {
        &self.call.mode
    }

    /// The tag by which a probe finds the snapshot that this step made.
    pub fn key_tag(&self) -> String {
        format!("lifeboat-key:{}", self.call.key)
    }

    /// The tag of all that this run made.
    pub fn run_tag(&self) -> String {
        format!("run:{}", self.call.run)
    }

    /// The target of that role.
    ///
    /// # Errors
    /// Permanent, where the runbook gives the step no target of that role.
    pub fn target(&self, role: &str) -> Result<&Target, Error> {
        self.call.targets.iter().find(|target| target.role == role).ok_or_else(|| {
            Error::permanent(format!("the step {} has no target for '{role}'", self.call.step))
                .hint(format!("add {role}=\"…\" to the step"))
        })
    }

    /// The name of the target of that role, as in the runbook.
    ///
    /// # Errors
    /// As for [`Context::target`].
    pub fn name(&self, role: &str) -> Result<&str, Error> {
        self.target(role).map(|target| target.name.as_str())
    }

    /// The settings of the target of that role. The target must be one of this plugin's own.
    ///
    /// # Errors
    /// Permanent, where the settings are not those of this plugin.
    pub fn settings(&self, role: &str) -> Result<S, Error> {
        let target = self.target(role)?;
        parse(&format!("the settings of {}", target.name), &target.settings)
    }

    /// The folder that is the `root` of the target of that role. Needs the capability `dir`.
    ///
    /// # Errors
    /// What the host says, with the target's name.
    pub fn dir(&self, role: &str) -> Result<Directory, Error> {
        let name = self.name(role)?;
        host::open_dir(role).map_err(|error| error.during(name))
    }

    /// The vault that is the target of that role. Needs the capability `vault`.
    ///
    /// # Errors
    /// What the host says, with the target's name.
    pub fn vault(&self, role: &str, create: bool) -> Result<Repository, Error> {
        let name = self.name(role)?;
        host::open_vault(role, create).map_err(|error| error.during(name))
    }

    /// What an earlier attempt said by [`host::checkpoint`].
    ///
    /// # Errors
    /// Permanent, where it is of another type.
    pub fn checkpoint<T: serde::de::DeserializeOwned>(&self) -> Result<Option<T>, Error> {
        self.call.checkpoint.as_deref().map(|json| parse("the checkpoint", json)).transpose()
    }

    /// The outputs of what is undone or cleaned up, where they are known.
    pub(crate) fn outputs<T: serde::de::DeserializeOwned>(&self) -> Result<Option<T>, Error> {
        self.call.outputs.as_deref().map(|json| parse("the outputs", json)).transpose()
    }
}

/// Reads JSON, with an error that names what was read.
pub(crate) fn parse<T: serde::de::DeserializeOwned>(what: &str, json: &str) -> Result<T, Error> {
    serde_json::from_str(json).map_err(|error| Error::permanent(format!("{what} do not fit: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        root: String,
    }

    fn call(settings: &str) -> StepCall {
        StepCall {
            run: "r-1".into(),
            step: "take".into(),
            attempt: 2,
            key: "k".into(),
            token: 7,
            mode: "drill".into(),
            kind: "snapshot".into(),
            args: "{}".into(),
            targets: vec![Target { role: "of".into(), name: "orders".into(), settings: settings.into() }],
            checkpoint: Some("{\"previous\":3}".into()),
            outputs: None,
        }
    }

    #[test]
    fn settings_are_read_by_role() {
        let ctx = Context::<Settings>::new(call("{\"root\":\"/srv\"}"));
        assert_eq!(ctx.settings("of").unwrap().root, "/srv");
        assert_eq!(ctx.name("of").unwrap(), "orders");
        let missing = ctx.settings("into").unwrap_err();
        assert!(missing.message.contains("no target for 'into'"), "{}", missing.message);
        assert!(missing.hint.unwrap().contains("into="));
    }

    #[test]
    fn wrong_settings_say_whose_and_what() {
        let ctx = Context::<Settings>::new(call("{\"rot\":\"/srv\"}"));
        let error = ctx.settings("of").unwrap_err();
        assert!(error.message.starts_with("the settings of orders do not fit"), "{}", error.message);
        assert!(error.message.contains("rot"), "{}", error.message);
    }

    #[test]
    fn a_checkpoint_comes_back() {
        let ctx = Context::<Settings>::new(call("{}"));
        let back: Option<std::collections::BTreeMap<String, u32>> = ctx.checkpoint().unwrap();
        assert_eq!(back.unwrap()["previous"], 3);
        assert_eq!(ctx.key_tag(), "lifeboat-key:k");
    }
}
