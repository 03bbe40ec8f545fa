//! A plugin in one file. It validates that a folder was written to lately: a backup that nobody has touched for a week
//! is a sign that something has stopped.
//!
//! Build it with `cargo xtask plugins`, or by hand as plugins/README.md says; then use it in a runbook:
//!
//! ```kdl
//! target "dumps" plugin="freshness" { root "/srv/dumps" }
//! validate "fresh" target="dumps" max_age_hours=24
//! ```

use lifeboat_sdk::host::EntryKind;
use lifeboat_sdk::prelude::*;

const HOUR_MS: u64 = 3_600_000;

/// The folder that is looked at. These comments become the descriptions in the schema, and what `lifeboat check` says.
#[data]
pub struct Settings {
    /// The folder: an absolute path. The operator's file must grant it.
    root: String,
}

/// What the author of a runbook may write on the step.
#[data]
pub struct Args {
    /// The greatest age of the newest file, in hours.
    max_age_hours: u64,
}

/// What later steps may refer to, as in `{{steps.fresh.newest}}`.
#[data]
pub struct Outputs {
    /// The path of the newest file.
    newest: String,
    /// Its age, in milliseconds.
    age_ms: u64,
}

struct Freshness;

impl Step for Freshness {
    type Settings = Settings;
    type Args = Args;
    type Outputs = Outputs;

    const KIND: Kind = Kind::Validate;
    // A step that only reads can be tried again at any time, and there is nothing to undo.
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Checks that a folder was written to lately";
    const CAPABILITIES: &'static [Capability] = &[Capability::Dir];

    fn execute(ctx: &Context<Settings>, args: Args) -> Result<Outputs, Stop> {
        let files = ctx.dir("target")?.walk(".")?;
        let newest = files.into_iter().filter(|file| file.kind == EntryKind::File).max_by_key(|file| file.modified_ms);
        let Some(newest) = newest else {
            return Err(Error::permanent(format!("{} holds no file", ctx.name("target")?)).into());
        };
        let age_ms = host::now_ms().saturating_sub(newest.modified_ms);
        if age_ms / HOUR_MS >= args.max_age_hours {
            let message = format!("the newest file, {}, is {} hours old", newest.name, age_ms / HOUR_MS);
            return Err(Error::permanent(message).hint("look at what should write to it").into());
        }
        Ok(Outputs { newest: newest.name, age_ms })
    }

    fn preview(ctx: &Context<Settings>, args: Args) -> Result<Vec<String>, Error> {
        let root = ctx.settings("target")?.root;
        Ok(vec![format!("look whether a file below {root} is younger than {} hours", args.max_age_hours)])
    }
}

lifeboat_sdk::plugin! {
    name: "freshness",
    summary: "Folders that must be written to lately",
    settings: Settings,
    steps: [Freshness],
}
