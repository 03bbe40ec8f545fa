//! From calls on the wire to a step's code and back.

use crate::context::{Call, Context, parse};
use crate::describe::KindDescription;
use crate::error::{ErrorExt, Stop};
use crate::host::{self, Error, Level, Outcome, ProbeAnswer};
use crate::schema::schema_of;
use crate::step::{Effect, Finding, Probe, Step};

/// One kind of step, its types forgotten, so that one table holds all of them.
pub struct StepEntry {
    kind: &'static str,
    pub(crate) describe: fn() -> KindDescription,
    preview: fn(Call) -> Result<Vec<String>, Error>,
    readiness: fn(Call) -> Result<Vec<Finding>, Error>,
    execute: fn(Call) -> Outcome,
    probe: fn(Call) -> Result<ProbeAnswer, Error>,
    compensate: fn(Call) -> Outcome,
    cleanup: fn(Call) -> Outcome,
}

impl StepEntry {
    /// The entry of a step.
    pub const fn of<T: Step>() -> Self {
        Self {
            kind: T::KIND.as_str(),
            describe: describe::<T>,
            preview: |call| {
                let (ctx, args) = open::<T>(call)?;
                T::preview(&ctx, args)
            },
            readiness: |call| {
                let (ctx, args) = open::<T>(call)?;
                T::readiness(&ctx, args)
            },
            execute: |call| match open::<T>(call) {
                Ok((ctx, args)) => outcome(T::execute(&ctx, args)),
                Err(error) => Outcome::Failed(error),
            },
            probe: |call| {
                let (ctx, args) = open::<T>(call)?;
                Ok(match T::probe(&ctx, args)? {
                    Probe::Happened(outputs) => ProbeAnswer::Happened(to_json(&outputs)?),
                    Probe::DidNotHappen => ProbeAnswer::DidNotHappen,
                    Probe::CannotTell(reason) => ProbeAnswer::CannotTell(reason),
                })
            },
            compensate: |call| undo::<T>(call, T::compensate),
            cleanup: |call| undo::<T>(call, T::cleanup),
        }
    }
}

fn describe<T: Step>() -> KindDescription {
    KindDescription {
        kind: T::KIND.as_str(),
        summary: T::SUMMARY,
        effect: T::EFFECT.as_str(),
        irreversible_with: T::IRREVERSIBLE_WITH,
        args: schema_of::<T::Args>(),
        outputs: schema_of::<T::Outputs>(),
        capabilities: T::CAPABILITIES.iter().map(|capability| capability.as_str()).collect(),
        probe: T::PROBES,
        compensate: T::EFFECT == Effect::Compensatable,
        cleanup: T::CLEANS,
    }
}

fn open<T: Step>(call: Call) -> Result<(Context<T::Settings>, T::Args), Error> {
    let args = parse(&format!("the arguments of the {} step {}", call.kind, call.step), &call.args)?;
    Ok((Context::new(call), args))
}

type Undo<T> = fn(&Context<<T as Step>::Settings>, <T as Step>::Args, Option<<T as Step>::Outputs>) -> Result<(), Stop>;

fn undo<T: Step>(call: Call, action: Undo<T>) -> Outcome {
    let opened = open::<T>(call).and_then(|(ctx, args)| {
        let outputs = ctx.outputs()?;
        Ok((ctx, args, outputs))
    });
    match opened {
        Ok((ctx, args, outputs)) => match action(&ctx, args, outputs) {
            Ok(()) => Outcome::Done("{}".to_owned()),
            Err(stop) => stopped(stop),
        },
        Err(error) => Outcome::Failed(error),
    }
}

fn outcome<O: serde::Serialize>(result: Result<O, Stop>) -> Outcome {
    match result {
        Ok(outputs) => match to_json(&outputs) {
            Ok(json) => Outcome::Done(json),
            // The effect is there; that its outputs cannot be written does not undo it.
            Err(error) => Outcome::Unknown(error.message),
        },
        Err(stop) => stopped(stop),
    }
}

fn stopped(stop: Stop) -> Outcome {
    match stop {
        Stop::Failed(error) => Outcome::Failed(error),
        Stop::Unknown(reason) => Outcome::Unknown(reason),
    }
}

fn to_json<O: serde::Serialize>(outputs: &O) -> Result<String, Error> {
    serde_json::to_string(outputs).map_err(|error| Error::permanent(format!("the outputs are no JSON: {error}")))
}

/// All steps of a plugin: what its exports call.
pub struct Steps(pub &'static [StepEntry]);

impl Steps {
    fn find(&self, call: &Call) -> Result<&'static StepEntry, Error> {
        watch_panics();
        self.0.iter().find(|entry| entry.kind == call.kind).ok_or_else(|| {
            Error::permanent(format!("the plugin carries out no {} steps (step {})", call.kind, call.step))
        })
    }

    /// The export `preview`.
    ///
    /// # Errors
    /// The step's own, and those of arguments that do not fit.
    pub fn preview(&self, call: Call) -> Result<Vec<String>, Error> {
        (self.find(&call)?.preview)(call)
    }

    /// The export `readiness`.
    ///
    /// # Errors
    /// The step's own, and those of arguments that do not fit.
    pub fn readiness(&self, call: Call) -> Result<Vec<Finding>, Error> {
        (self.find(&call)?.readiness)(call)
    }

    /// The export `execute`.
    pub fn execute(&self, call: Call) -> Outcome {
        match self.find(&call) {
            Ok(entry) => (entry.execute)(call),
            Err(error) => Outcome::Failed(error),
        }
    }

    /// The export `probe`. An error means that it cannot be told.
    pub fn probe(&self, call: Call) -> ProbeAnswer {
        let answer = self.find(&call).and_then(|entry| (entry.probe)(call));
        answer.unwrap_or_else(|error| ProbeAnswer::CannotTell(error.message))
    }

    /// The export `compensate`.
    pub fn compensate(&self, call: Call) -> Outcome {
        match self.find(&call) {
            Ok(entry) => (entry.compensate)(call),
            Err(error) => Outcome::Failed(error),
        }
    }

    /// The export `cleanup`.
    pub fn cleanup(&self, call: Call) -> Outcome {
        match self.find(&call) {
            Ok(entry) => (entry.cleanup)(call),
            Err(error) => Outcome::Failed(error),
        }
    }
}

/// A panic ends as a trap without a word; the hook gets its message into the run's log first.
pub(crate) fn watch_panics() {
    if cfg!(target_arch = "wasm32") {
        std::panic::set_hook(Box::new(|info| host::log(Level::Error, &info.to_string())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{ErrorKind, Target};
    use crate::step::{Capability, Kind};
    use crate::{data, describe};

    #[data]
    struct Settings {
        root: String,
    }

    #[data]
    struct Args {
        way: String,
    }

    #[data]
    struct Outputs {
        root: String,
    }

    struct Move;

    impl Step for Move {
        type Settings = Settings;
        type Args = Args;
        type Outputs = Outputs;
        const KIND: Kind = Kind::Switch;
        const EFFECT: Effect = Effect::Compensatable;
        const SUMMARY: &'static str = "Moves";
        const CAPABILITIES: &'static [Capability] = &[Capability::Dir];
        const PROBES: bool = true;

        fn execute(ctx: &Context<Settings>, args: Args) -> Result<Outputs, Stop> {
            match args.way.as_str() {
                "lost" => Err(Stop::Unknown("lost".to_owned())),
                "busy" => Err(Error::temporary("busy").into()),
                _ => Ok(Outputs { root: ctx.settings("target")?.root }),
            }
        }

        fn probe(_: &Context<Settings>, args: Args) -> Result<Probe<Outputs>, Error> {
            match args.way.as_str() {
                "there" => Ok(Probe::Happened(Outputs { root: "/there".to_owned() })),
                "dark" => Err(Error::temporary("too dark to see")),
                _ => Ok(Probe::DidNotHappen),
            }
        }

        fn compensate(_: &Context<Settings>, _: Args, outputs: Option<Outputs>) -> Result<(), Stop> {
            match outputs {
                Some(outputs) if outputs.root == "/srv" => Ok(()),
                _ => Err(Error::permanent("nothing to go by").into()),
            }
        }
    }

    struct Look;

    impl Step for Look {
        type Settings = Settings;
        type Args = Args;
        type Outputs = Outputs;
        const KIND: Kind = Kind::Validate;
        const EFFECT: Effect = Effect::Read;
        const SUMMARY: &'static str = "Looks";

        fn execute(_: &Context<Settings>, args: Args) -> Result<Outputs, Stop> {
            Ok(Outputs { root: args.way })
        }
    }

    const STEPS: Steps = Steps(&[StepEntry::of::<Move>(), StepEntry::of::<Look>()]);

    fn call(kind: &str, args: &str, outputs: Option<&str>) -> Call {
        Call {
            run: "r-1".into(),
            step: "cutover".into(),
            attempt: 1,
            key: "k".into(),
            token: 1,
            mode: "drill".into(),
            kind: kind.into(),
            args: args.into(),
            targets: vec![Target {
                role: "target".into(),
                name: "edge".into(),
                settings: "{\"root\":\"/srv\"}".into(),
            }],
            checkpoint: None,
            outputs: outputs.map(str::to_owned),
        }
    }

    #[test]
    fn outcomes_keep_their_three_values() {
        let done = STEPS.execute(call("switch", r#"{"way":"go"}"#, None));
        assert!(matches!(done, Outcome::Done(json) if json == r#"{"root":"/srv"}"#));
        let failed = STEPS.execute(call("switch", r#"{"way":"busy"}"#, None));
        assert!(matches!(failed, Outcome::Failed(error) if error.kind == ErrorKind::Temporary));
        let unknown = STEPS.execute(call("switch", r#"{"way":"lost"}"#, None));
        assert!(matches!(unknown, Outcome::Unknown(reason) if reason == "lost"));
    }

    #[test]
    fn arguments_that_do_not_fit_name_the_step_and_the_field() {
        let Outcome::Failed(error) = STEPS.execute(call("switch", r#"{"wya":"go"}"#, None)) else {
            panic!("it was carried out");
        };
        assert_eq!(error.kind, ErrorKind::Permanent);
        assert!(error.message.contains("switch step cutover") && error.message.contains("wya"), "{}", error.message);
        let Outcome::Failed(error) = STEPS.execute(call("restore", "{}", None)) else {
            panic!("it was carried out");
        };
        assert!(error.message.contains("no restore steps"), "{}", error.message);
    }

    #[test]
    fn a_probe_that_fails_cannot_tell() {
        let probe = |kind: &str, way: &str| STEPS.probe(call(kind, &format!("{{\"way\":\"{way}\"}}"), None));
        assert!(matches!(probe("switch", "there"), ProbeAnswer::Happened(json) if json.contains("/there")));
        assert!(matches!(probe("switch", "gone"), ProbeAnswer::DidNotHappen));
        assert!(matches!(probe("switch", "dark"), ProbeAnswer::CannotTell(reason) if reason.contains("dark")));
        assert!(matches!(probe("validate", "any"), ProbeAnswer::DidNotHappen));
    }

    #[test]
    fn an_undo_gets_the_outputs() {
        let args = r#"{"way":"go"}"#;
        let undone = STEPS.compensate(call("switch", args, Some(r#"{"root":"/srv"}"#)));
        assert!(matches!(undone, Outcome::Done(json) if json == "{}"));
        assert!(matches!(STEPS.compensate(call("switch", args, None)), Outcome::Failed(_)));
        // What only reads has nothing to undo.
        assert!(matches!(STEPS.compensate(call("validate", args, None)), Outcome::Done(_)));
    }

    #[test]
    fn the_description_says_what_the_steps_say() {
        let json: serde_json::Value =
            serde_json::from_str(&describe::<Settings>("edge", "1.2.3", "Edges", &STEPS, false)).unwrap();
        assert_eq!((json["name"].as_str(), json["version"].as_str()), (Some("edge"), Some("1.2.3")));
        assert_eq!(json["settings"]["required"], serde_json::json!(["root"]));
        let kinds = json["kinds"].as_array().unwrap();
        assert_eq!(kinds[0]["kind"], "switch");
        assert_eq!(kinds[0]["effect"], "compensatable");
        assert_eq!(kinds[0]["capabilities"], serde_json::json!(["dir"]));
        assert_eq!((&kinds[0]["probe"], &kinds[0]["compensate"]), (&true.into(), &true.into()));
        assert_eq!((&kinds[1]["probe"], &kinds[1]["compensate"]), (&true.into(), &false.into()));
        assert_eq!(kinds[0]["cleanup"], true, "what can be undone can be cleaned up");
    }
}
