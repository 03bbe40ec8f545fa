//! `switch target=`: makes another folder the one in use, in one atomic step, by a symbolic link or by a swap of names.

use lifeboat_sdk::prelude::*;

use crate::{Settings, link, swap};

/// What the author of a runbook may write: `link` and `to`, or `swap`.
#[data]
#[schemars(extend("oneOf" = [{"required": ["link", "to"]}, {"required": ["swap"]}]))]
pub struct Args {
    /// The path of a symbolic link below the root: what is in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    link: Option<String>,
    /// The path that the link shall lead to, also below the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    /// Two folders below the root that change places.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    swap: Option<Swap>,
}

/// Two folders that change places.
#[data]
pub struct Swap {
    /// The folder in use: it goes out of service.
    pub a: String,
    /// The folder that takes its place.
    pub b: String,
}

/// What later steps may refer to.
#[data]
pub struct Outputs {
    /// What the link led to before, or the folder that went out of service; nothing, where there was no link.
    pub previous: Option<String>,
    /// The link, or the name in use.
    pub link: String,
    /// What the link leads to now, or the folder that is in service.
    pub now: String,
}

/// Which way it is done.
enum Way {
    Link { link: String, to: String },
    Swap(Swap),
}

fn way(args: Args) -> Result<Way, Error> {
    match args {
        Args { link: Some(link), to: Some(to), swap: None } => Ok(Way::Link { link, to }),
        Args { link: None, to: None, swap: Some(swap) } => Ok(Way::Swap(swap)),
        _ => Err(Error::permanent("a switch of a folder needs either link and to, or swap")),
    }
}

/// The step.
pub struct Switch;

impl Step for Switch {
    type Settings = Settings;
    type Args = Args;
    type Outputs = Outputs;

    const KIND: Kind = Kind::Switch;
    const EFFECT: Effect = Effect::Compensatable;
    const SUMMARY: &'static str = "Makes another folder the one in use, atomically";
    const CAPABILITIES: &'static [Capability] = &[Capability::Dir];
    const PROBES: bool = true;

    fn execute(ctx: &Context<Settings>, args: Args) -> Result<Outputs, Stop> {
        let dir = ctx.dir("target")?;
        match way(args)? {
            Way::Link { link, to } => link::execute(ctx, &dir, &link, &to),
            Way::Swap(swap) => swap::execute(ctx, &dir, &swap),
        }
    }

    fn preview(ctx: &Context<Settings>, args: Args) -> Result<Vec<String>, Error> {
        let root = ctx.settings("target")?.root;
        Ok(vec![match way(args)? {
            Way::Link { link, to } => format!("below {root}: make the link {link} lead to {to}"),
            Way::Swap(swap) => format!("below {root}: swap the names {} and {}", swap.a, swap.b),
        }])
    }

    fn readiness(ctx: &Context<Settings>, args: Args) -> Result<Vec<Finding>, Error> {
        let dir = ctx.dir("target")?;
        match way(args)? {
            Way::Link { link, to } => link::readiness(&dir, &link, &to),
            Way::Swap(swap) => Ok(swap::readiness(&dir, &swap)),
        }
    }

    fn probe(ctx: &Context<Settings>, args: Args) -> Result<Probe<Outputs>, Error> {
        let dir = ctx.dir("target")?;
        match way(args)? {
            Way::Link { link, to } => link::probe(ctx, &dir, &link, &to),
            Way::Swap(swap) => swap::probe(ctx, &dir, &swap),
        }
    }

    fn compensate(ctx: &Context<Settings>, args: Args, outputs: Option<Outputs>) -> Result<(), Stop> {
        let dir = ctx.dir("target")?;
        match way(args)? {
            Way::Link { link, to } => link::compensate(ctx, &dir, &link, &to, outputs),
            Way::Swap(swap) => swap::compensate(ctx, &dir, &swap),
        }
    }

    fn cleanup(ctx: &Context<Settings>, args: Args, _: Option<Outputs>) -> Result<(), Stop> {
        let dir = ctx.dir("target")?;
        match way(args)? {
            Way::Link { link, .. } => link::cleanup(ctx, &dir, &link),
            Way::Swap(swap) => swap::cleanup(ctx, &dir, &swap),
        }
    }
}
