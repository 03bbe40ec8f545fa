//! A random runbook, and what must be there when it has ended.
//!
//! One or two chains bring a folder through vaults to another place and switch to it; a fan of swaps runs beside them; a
//! row of swaps of one pair comes last. A swap that is done twice is not done at all: its parity tells doubles.

use std::fmt::Write as _;
use std::path::Path;

use super::rng::Rng;

/// The names of the vaults.
pub const VAULTS: [&str; 2] = ["near", "far"];
/// Files of each folder that a chain protects.
pub const FILES: u64 = 24;

/// A step.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its name.
    pub id: String,
    /// Its kind.
    pub kind: &'static str,
}

/// A runbook and its effects.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// All steps.
    pub steps: Vec<Step>,
    /// Folders with a person's data: `live0` and so on.
    pub chains: u64,
    /// Those that are brought to another place: `live0` to `svc/back0` and so on.
    pub restores: Vec<u64>,
    /// Chains that end with a link: `svc/use0` leads to `back0` and so on.
    pub links: Vec<u64>,
    /// Snapshots and transfers into each vault.
    pub snapshots: [u64; 2],
    /// Swaps of each pair `svc/pair0/a` and `svc/pair0/b` and so on.
    pub pairs: Vec<u64>,
    lines: String,
}

impl Plan {
    /// A random one of 10 to 20 steps.
    pub fn random(rng: &mut Rng) -> Self {
        let mut plan = Self { chains: 1 + rng.below(2), ..Self::default() };
        for chain in 0..plan.chains {
            plan.chain(rng, chain);
        }
        for fan in 0..2 + rng.below(3) {
            plan.swap(&format!("fan{fan}"), None, None);
        }
        plan.row("use0", 2 + rng.below(2));
        plan
    }

    /// A small one, for campaigns that repeat it once for each system call.
    pub fn small(rng: &mut Rng) -> Self {
        let mut plan = Self { chains: 1, ..Self::default() };
        plan.step("take0", "snapshot", r#"of="live0" into="near""#);
        plan.snapshots = [1, 0];
        plan.swap("fan0", None, None);
        plan.row("fan0", 4 + rng.below(2));
        plan
    }

    fn step(&mut self, id: &str, kind: &'static str, rest: &str) {
        // Writing into a String cannot fail.
        let _ = writeln!(self.lines, "    {kind} \"{id}\" {rest}");
        self.steps.push(Step { id: id.to_owned(), kind });
    }

    fn chain(&mut self, rng: &mut Rng, chain: u64) {
        let first = usize::from(rng.percent(50));
        let [one, other] = if first == 0 { VAULTS } else { [VAULTS[1], VAULTS[0]] };
        let depth = ["index", "data", "restore"];
        let depth = |rng: &mut Rng| depth.get(rng.below(3) as usize).copied().unwrap_or("data");
        self.count(first);
        self.step(&format!("take{chain}"), "snapshot", &format!(r#"of="live{chain}" into="{one}""#));
        let snapshot = |of: &str| format!(r#"snapshot="{{{{steps.{of}{chain}.snapshot}}}}""#);
        let rest = format!(r#"{} depth="{}""#, snapshot("take"), depth(rng));
        self.step(&format!("prove{chain}"), "verify", &rest);
        let mut proved = "prove";
        if rng.percent(60) {
            self.count(1 - first);
            let rest = format!(r#"{} into="{other}""#, snapshot("prove"));
            self.step(&format!("move{chain}"), "transfer", &rest);
            let rest = format!(r#"{} depth="{}""#, snapshot("move"), depth(rng));
            self.step(&format!("check{chain}"), "verify", &rest);
            proved = "check";
        }
        let rest = format!(r#"{} into="back{chain}""#, snapshot(proved));
        self.step(&format!("rebuild{chain}"), "restore", &rest);
        self.restores.push(chain);
        let expect = format!(r#"{{ expect "count" path="" min={FILES} max={FILES} }}"#);
        let rest = format!(r#"target="back{chain}" after="rebuild{chain}" {expect}"#);
        self.step(&format!("smoke{chain}"), "validate", &rest);
        let (id, after) = (format!("use{chain}"), format!("smoke{chain}"));
        if rng.percent(60) {
            let rest = format!(r#"target="svc" after="{after}" {{ link "use{chain}"; to "back{chain}" }}"#);
            self.step(&id, "switch", &rest);
            self.links.push(chain);
        } else {
            self.swap(&id, Some(&after), None);
        }
    }

    fn count(&mut self, vault: usize) {
        if let Some(count) = self.snapshots.get_mut(vault) {
            *count += 1;
        }
    }

    /// Swaps of one pair, one after the other.
    fn row(&mut self, after: &str, length: u64) {
        let (pair, mut after) = (self.pairs.len(), after.to_owned());
        for number in 0..length {
            let id = format!("flip{number}");
            self.swap(&id, Some(&after), Some(pair));
            after = id;
        }
    }

    /// A swap of that pair, or of a new one.
    fn swap(&mut self, id: &str, after: Option<&str>, pair: Option<usize>) {
        let pair = pair.unwrap_or(self.pairs.len());
        if pair == self.pairs.len() {
            self.pairs.push(0);
        }
        if let Some(count) = self.pairs.get_mut(pair) {
            *count += 1;
        }
        let after = after.map_or(String::new(), |after| format!(r#" after="{after}""#));
        let rest = format!(r#"target="svc"{after} {{ swap {{ a "pair{pair}/a"; b "pair{pair}/b" }} }}"#);
        self.step(id, "switch", &rest);
    }

    /// The runbook, for a world in that folder.
    pub fn runbook(&self, root: &Path) -> String {
        let root = root.display();
        let mut text = String::from("runbook \"campaign\" {\n    objectives rto=\"15m\" rpo=\"5m\" mtpd=\"4h\"\n");
        for vault in VAULTS {
            let block = format!(r#"{{ root "{root}/{vault}"; password secret="vault-password" }}"#);
            let _ = writeln!(text, "    target \"{vault}\" plugin=\"fs\" site=\"{vault}\" {block}");
        }
        let mut target = |name: &str, site: &str, path: &str| {
            let _ = writeln!(text, "    target \"{name}\" plugin=\"fs\" site=\"{site}\" {{ root \"{root}/{path}\" }}");
        };
        target("svc", "far", "svc");
        for chain in 0..self.chains {
            target(&format!("live{chain}"), "near", &format!("live{chain}"));
            target(&format!("back{chain}"), "far", &format!("svc/back{chain}"));
        }
        text + &self.lines + "}\n"
    }

    /// The kind of a step.
    pub fn kind(&self, id: &str) -> &'static str {
        self.steps.iter().find(|step| step.id == id).map_or("?", |step| step.kind)
    }
}
