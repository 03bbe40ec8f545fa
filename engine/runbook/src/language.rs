//! The language as a table: every node and field of a runbook and of the operator's file, with what it takes and means.
//!
//! `schemas/runbook.md` is printed from it. The compiler reads nodes where they are checked, so the table is held to it by
//! a test: what the compiler asks a node for is in the table, and what is in the table is asked for.

mod operator;
mod triggers;

use std::fmt::Write as _;

use lifeboat_core::plan::{InDoubt, Mode, StepKind};

use self::operator::OPERATOR;
use self::triggers::{ON, TRIGGERS};
use crate::model::InputType;
use crate::steps::{WAIVABLE, roles, takes_snapshot};

/// A node: how it is written, what it is for, and its fields.
struct Node {
    name: &'static str,
    form: &'static str,
    about: &'static str,
    fields: &'static [Field],
}

/// A field, written as a property (`name=value`) or as a child node (`name value`): name, form, meaning.
type Field = (&'static str, &'static str, &'static str);

const fn node(name: &'static str, form: &'static str, about: &'static str, fields: &'static [Field]) -> Node {
    Node { name, form, about, fields }
}

/// What stands in a runbook besides its steps.
const RUNBOOK: [Node; 14] = [
    node("description", "description \"TEXT\"", "What the runbook is for.", &[]),
    node("owner", "owner \"TEXT\"", "Who answers for it.", &[]),
    node(
        "objectives",
        "objectives rto=\"15m\" rpo=\"5m\" mtpd=\"4h\"",
        "What the business asks for. Each may be left out.",
        &[
            ("rto", "duration", "Recovery time objective; below `mtpd`."),
            ("rpo", "duration", "Recovery point objective."),
            ("mtpd", "duration", "Maximum tolerable period of disruption."),
        ],
    ),
    node(
        "verification",
        "verification every=\"7d\"",
        "What it takes to count as verified: `lifeboat drills` tells whether it does.",
        &[("every", "duration", "For how long a drill that passed counts, if the text is still the same.")],
    ),
    node(
        "input",
        "input \"NAME\" type=\"string\"",
        "What a run is given with `--input NAME=VALUE`.",
        &[
            ("type", "word", "One of the types of inputs; `string` if it is left out."),
            ("required", "boolean", "Whether a run has to give it."),
            ("default", "value", "Its value where a run does not give one."),
        ],
    ),
    node(
        "target",
        "target \"NAME\" plugin=\"fs\" { SETTING VALUE; SETTING secret=\"NAME\" }",
        "A thing acted on. Its settings are the plugin's: `lifeboat plugin inspect PLUGIN` prints them. A secret is named and never written.",
        &[
            ("plugin", "string, required", "The plugin that knows it."),
            ("site", "string", "Where it is, in your words."),
            (
                "lock",
                "string, or `#false`",
                "The lock that a run holds while it may write to the target. Without it: its plugin and its `root`.",
            ),
            ("upload-limit", "number, or string as \"10MiB\"", "How many bytes a second a vault may send there."),
        ],
    ),
    node(
        "mode",
        "mode \"drill\" { target \"NAME\" { SETTING VALUE }; keep \"4h\" }",
        "What a mode uses instead of a target's settings.",
        &[(
            "keep",
            "duration, 1d",
            "Of drills: how long what they make may stay, where their end could not remove it; then people are told. 1s to 365d.",
        )],
    ),
    node(
        "modes",
        "modes \"failover\" \"drill\"",
        "The modes that the runbook can be run in. Without it: all, and `drill` where the runbook says anything about drills.",
        &[],
    ),
    node(
        "on",
        "on \"schedule\" cron=\"0 0 3 * * Sun\" … or on \"alert\" source=\"alertmanager\" { match … }",
        "What starts a run by itself. It is no part of the plan: to change it leaves the fingerprint as it is.",
        &ON,
    ),
    node(
        "on-failure",
        "on-failure { compensate; notify \"pager\" }",
        "What happens when a step fails for good: with `compensate`, what is done is undone, last first; with `notify`, these channels of the operator's file are told, besides those that are told of all failures.",
        &[],
    ),
    node("defaults", "defaults timeout=\"10m\" { retry 3 }", "The policy of all steps that say nothing else.", &POLICY),
    node(
        "run",
        "run \"NAME\" runbook=\"../db/runbook.kdl\" { input \"NAME\" VALUE }",
        "Another runbook, as a part of this one: its steps are `NAME/STEP`, its targets `NAME/TARGET`, and both are in the plan that is approved.",
        &RUN,
    ),
    node(
        "include",
        "include \"common.kdl\"",
        "The nodes of that file, as if they stood here. Each file counts once; its path starts from the folder of the file that names it.",
        &[],
    ),
    node("max-parallel", "max-parallel 8", "How many steps of a run may be under way at once: 1 to 10000.", &[]),
];

/// How an attempt is carried out: of a step that a plugin does, and of `defaults`.
const POLICY: [Field; 4] = [
    ("timeout", "duration", "The longest that one attempt may take."),
    ("heartbeat", "duration", "The longest silence of a plugin that is taken for life."),
    ("retry", "whole number, 0 to 999", "Attempts after the first one; see `retry`."),
    ("in-doubt", "word", "What to do with an attempt of which nobody knows whether it happened."),
];

/// What every step may have.
const STEP: [Field; 9] = [
    (
        "after",
        "names of steps",
        "They have to be done before. A reference to an output makes the same order by itself.",
    ),
    ("only", "modes", "The step is in these modes alone."),
    ("except", "modes", "The step is in all other modes."),
    ("estimate", "duration", "What it is expected to take, for the forecast of `plan`."),
    WHEN,
    EACH,
    CONCURRENCY,
    ("compensate", "boolean, or a block", "Whether it is undone when the run unwinds, and how; see `compensate`."),
    ("waive", "node: rule, reason=…", "A rule that does not hold here, in writing; see `waive`."),
];

const WHEN: Field = ("when", "node: value, test", "The step is needed only if this holds; see `when`.");
const EACH: Field = ("for-each", "`{{inputs.NAME}}`, or items", "Once for each item, with `{{item}}`; see `for-each`.");
const CONCURRENCY: Field =
    ("concurrency", "whole number, 1 to 10000", "How many items of a `for-each` are under way at once.");

/// The fields of a child runbook.
const RUN: [Field; 8] = [
    ("runbook", "path, required", "Its file, from the folder of the file that names it."),
    ("input", "node: name, value", "What the child is given. Several values are a list."),
    ("after", "names of steps", "All steps of the child begin after these."),
    ("only", "modes", "The child is in these modes alone."),
    ("except", "modes", "The child is in all other modes."),
    WHEN,
    EACH,
    CONCURRENCY,
];

/// The fields of the steps of the engine itself.
const APPROVE: [Field; 3] = [
    ("role", "string, required", "Who may answer."),
    ("quorum", "whole number, 1 to 100", "How many different people have to say yes; 1 if it is left out."),
    ("timeout", "duration", "How long the question stands; for ever if it is left out."),
];
const NOTIFY: [Field; 3] = [
    (
        "to",
        "names of channels",
        "Who is told: nodes `notify` of the operator's file. The step's own name, if it is left out.",
    ),
    ("message", "string", "What they are told, besides which run it is."),
    (
        "required",
        "boolean",
        "Whether the run fails where nobody could be told. Without it the run goes on, and its record says so.",
    ),
];
const WAIT: [Field; 1] = [("for", "duration", "How long, where it is not the last value: `wait \"NAME\" \"5m\"`.")];
const VALIDATE: [Field; 1] = [(
    "scan",
    "boolean",
    "It looks for malware: once it is done, a suspect snapshot that comes before it holds no `switch` after it.",
)];

/// Nodes inside of others.
const INNER: [Node; 6] = [
    node(
        "retry",
        "retry 3 backoff=\"2s\" max=\"1m\" jitter=#true",
        "How often, and how long between.",
        &[
            ("backoff", "duration", "The first delay; each is twice the one before. `1s` if it is left out."),
            ("max", "duration", "The longest delay. `1m` if it is left out."),
            (
                "jitter",
                "boolean",
                "Whether a delay is drawn between half and all of its length; `#true` if it is left out.",
            ),
        ],
    ),
    node(
        "when",
        "when \"{{inputs.size}}\" above=10",
        "What has to hold for a step to be needed. Without a test: the value is there, and is neither `#false`, nor 0, nor empty. All conditions of a step have to hold. What uses the outputs of a step that is not needed is not needed either.",
        &[
            ("is", "value", "It is this."),
            ("not", "value", "It is not this."),
            ("above", "number", "It is a number greater than this."),
            ("below", "number", "It is a number less than this."),
        ],
    ),
    node(
        "for-each",
        "for-each \"{{inputs.shards}}\" concurrency=2",
        "One step for each item of a list that is known before the run; or the items themselves: `for-each \"a\" \"b\"`. `{{item}}` is the item; `{{steps.NAME.OUTPUT}}` of another `for-each` over the same list is that of the same item.",
        &[CONCURRENCY],
    ),
    node(
        "compensate",
        "compensate { retry 5 backoff=\"1s\"; timeout \"5m\" }",
        "How a step is undone, where that differs from how it is done.",
        &[
            ("timeout", "duration", "The longest that one attempt to undo it may take."),
            ("retry", "whole number, 0 to 999", "Attempts after the first one; see `retry`."),
        ],
    ),
    node(
        "waive",
        "waive \"LB0301\" reason=\"TEXT\"",
        "A rule and why it does not hold here.",
        &[("reason", "string, required", "Why, for those who review.")],
    ),
    node(
        "expect",
        "expect \"KIND\" NAME=VALUE",
        "Of a `validate`: one thing to check. Kinds and fields are the plugin's.",
        &[],
    ),
];

/// The reference of the language, in Markdown.
pub fn reference() -> String {
    let mut page = String::from(HEAD);
    for node in &RUNBOOK {
        section(&mut page, node);
    }
    page.push_str("\n## Steps\n\nA step is `KIND \"NAME\" FIELDS`. These fields are for all kinds:\n");
    fields(&mut page, &STEP);
    page.push_str("\nThese are for the kinds that a plugin carries out, and for `defaults`:\n");
    fields(&mut page, &POLICY);
    page.push_str(
        "\nWhat a step of a plugin has besides is an argument for the plugin: `lifeboat plugin inspect PLUGIN`.\n",
    );
    StepKind::ALL.into_iter().for_each(|kind| step(&mut page, kind));
    page.push_str("\n## Inside of others\n");
    for node in TRIGGERS.iter().chain(&INNER) {
        section(&mut page, node);
    }
    page.push_str("\n## Words\n\n");
    let doubt = [InDoubt::Probe, InDoubt::Rerun, InDoubt::Ask].map(InDoubt::as_str);
    for (what, words) in [
        ("modes", &Mode::ALL.map(Mode::as_str)[..]),
        ("types of inputs", &InputType::WORDS),
        ("`in-doubt`", &doubt),
        ("rules that can be waived", &WAIVABLE),
    ] {
        let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
        let _ = writeln!(page, "- {what}: {}", words.join(", "));
    }
    page.push_str(OPERATOR_HEAD);
    for node in &OPERATOR {
        section(&mut page, node);
    }
    page
}

const HEAD: &str = "\
# The language of runbooks

Made by `cargo xtask schemas` from the tables of the compiler (`engine/runbook/src/language.rs`); do not edit it.

A runbook is a file in [KDL](https://kdl.dev) version 2 with one node, `runbook \"NAME\" { … }`. A field is written as a property
(`timeout=\"10m\"`) or as a node in the block (`timeout \"10m\"`), as you like.

- A duration is numbers with units: `250ms`, `30s`, `10m`, `2h`, `1d`, `1h30m`.
- A name is made of letters, digits, `-` and `_`, and starts with a letter or digit.
- A reference is `{{steps.NAME.OUTPUT}}`, `{{inputs.NAME}}`, `{{run.id}}` or `{{run.mode}}`, inside of a string.

`lifeboat check FILE` reports all mistakes of a file at once, `lifeboat explain CODE` prints the page of a code.

## In a runbook
";

const OPERATOR_HEAD: &str = "
## The operator's file

`lifeboat.kdl` in the folder where the command runs, or `--config FILE`. It says what plugins may reach.
";

fn section(page: &mut String, node: &Node) {
    let _ = writeln!(page, "\n### `{}`\n\n```\n{}\n```\n\n{}", node.name, node.form, node.about);
    fields(page, node.fields);
}

fn fields(page: &mut String, fields: &[Field]) {
    if fields.is_empty() {
        return;
    }
    page.push_str("\n| field | value | meaning |\n|---|---|---|\n");
    for (name, form, about) in fields {
        let _ = writeln!(page, "| `{name}` | {form} | {about} |");
    }
}

fn step(page: &mut String, kind: StepKind) {
    let about = match kind {
        StepKind::Snapshot => "Makes a recovery point of a target in a vault.",
        StepKind::Verify => "Proves that a recovery point is whole.",
        StepKind::Transfer => "Copies a recovery point to another vault.",
        StepKind::Restore => "Brings a recovery point back into a target.",
        StepKind::Validate => "Checks that a target is as it is expected to be.",
        StepKind::Switch => "Makes a target serve from another place.",
        StepKind::Approve => "Asks people. `lifeboat approve RUN STEP` answers.",
        StepKind::Notify => "Tells somebody. It never holds a recovery up, unless it is `required`.",
        StepKind::Wait => "Lets time pass: `wait \"5m\"` or `wait \"NAME\" \"5m\"`.",
    };
    let _ = writeln!(page, "\n### `{}`\n\n{about}", kind.as_str());
    let mut rows: Vec<(&str, &str, &str)> = Vec::new();
    for (role, required) in roles(kind) {
        let form = if *required { "name of a target, required" } else { "name of a target" };
        let about = match *role {
            "of" => "What the snapshot is made of.",
            "into" => "Where it goes.",
            "from" => "The vault that has the snapshot. It may be left out where a reference to a snapshot tells it.",
            _ => "What it acts on.",
        };
        rows.push((role, form, about));
    }
    if takes_snapshot(kind) {
        rows.push(("snapshot", "string, required", "As `{{steps.NAME.snapshot}}`."));
    }
    rows.extend(match kind {
        StepKind::Approve => &APPROVE[..],
        StepKind::Wait => &WAIT[..],
        StepKind::Notify => &NOTIFY[..],
        StepKind::Validate => &VALIDATE[..],
        _ => &[],
    });
    fields(page, &rows);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::SourceFile;
    use crate::fields::asked;

    /// A runbook with every node that there is.
    const EVERYTHING: &str = r#"
runbook "r" {
    description "d"; owner "o"; objectives rto="1m"; verification every="7d"; input "i" type="string"
    input "l" type="list" default="a"
    target "t" plugin="fs" site="s" { lock "x"; root "/t"; upload-limit "1MiB" }
    mode "drill" { target "t" site="s" { root "/d" } }
    modes "failover" "drill"
    on "schedule" name="n" cron="0 0 3 * * Sun" zone="UTC" mode="drill" jitter="1m" { blackout days="Mon" }
    on "alert" source="a" mode="failover" hold="1m" { match "l" "v"; group "l"; agree 2 label="p"; budget 1 within="1h" }
    on-failure { compensate; notify "x" }
    defaults timeout="1m" heartbeat="1s" in-doubt="ask" { retry 1 backoff="1s" max="2s" jitter=#true }
    max-parallel 2
    snapshot "a" of="t" into="t" for-each="{{inputs.l}}" { waive "LB0301" reason="r"; when "{{inputs.i}}" is="x"; }
    switch "z" target="t" { compensate { timeout "1m"; retry 1 }; for-each "a" concurrency=2 }
    run "k" runbook="k.kdl" after="a" only="drill" { input "i" "v"; when "{{inputs.i}}" }
    verify "b" snapshot="x" from="t"
    transfer "c" snapshot="x" into="t"
    restore "d" snapshot="x" into="t"
    validate "e" target="t" scan=#true { expect "file" path="x" }
    switch "f" target="t"
    approve "g" role="r" quorum=1 timeout="1m" after="a" only="drill"
    wait "h" for="1m" after="g" except="drill"
    notify "n" to="x" message="m" required=#true
}
"#;
    const OPERATED: &str = "role \"r\" \"p\"\nplugins \"p\"\npin \"fs\" digest=\"x\"\ndrill { grant \"fs\" { dir \"/d\" write=#true; host \"h\" } }\n\
                            proxy \"none\"\nhttp idle=\"1s\"\n\
                            secret \"s\" env=\"E\"\nmax-parallel 3\njournal encrypt=\"s\"\n\
                            secret-server \"v\" address=\"https://h\" { token secret=\"s\" }\n\
                            secret-server \"w\" address=\"https://h\" { approle role-id=\"r\" secret=\"s\" }\n\
                            secret-server \"x\" address=\"https://h\" { jwt role=\"r\" secret=\"s\" }\n\
                            automatic \"r\"\nhook \"h\" kind=\"generic\" { group \"/g\"; status \"/s\" firing=\"1\" resolved=\"0\" }\n\
                            service { tls cert=\"c\" key=\"k\"; readiness every=\"1h\" }\n\
                            notify \"n\" { email \"h\" from=\"a@b\" { to \"c@d\" person=\"p\" } }\n\
                            notify \"o\" { slack \"https://h\" }\n\
                            notify \"q\" { webhook \"https://h\" { header \"a\" \"b\"; value \"c\" secret=\"s\" } }\n";

    fn names(node: &str, fields: &[Field]) -> Vec<(String, String)> {
        fields.iter().map(|(name, ..)| (node.to_owned(), (*name).to_owned())).collect()
    }

    #[test]
    fn the_table_is_what_the_compiler_asks_for() {
        let mut table: BTreeSet<(String, String)> = BTreeSet::new();
        for node in RUNBOOK.iter().chain(&TRIGGERS).chain(&INNER).chain(&OPERATOR) {
            // A target's two fields are told from its settings by the reader of targets itself.
            table.extend(names(node.name, node.fields).into_iter().filter(|(node, _)| node != "target"));
        }
        for kind in StepKind::ALL {
            let name = kind.as_str();
            table.extend(names(name, &STEP));
            table.extend(roles(kind).iter().map(|(role, _)| (name.to_owned(), (*role).to_owned())));
            match kind {
                StepKind::Approve => table.extend(names(name, &APPROVE)),
                StepKind::Wait => table.extend(names(name, &WAIT)),
                StepKind::Notify => {
                    table.extend(names(name, &POLICY));
                    table.extend(names(name, &NOTIFY));
                }
                _ => table.extend(names(name, &POLICY)),
            }
            if kind == StepKind::Validate {
                table.extend(names(name, &VALIDATE));
            }
            if takes_snapshot(kind) {
                table.insert((name.to_owned(), "snapshot".to_owned()));
            }
        }
        asked::clear();
        let source = |text: &str| SourceFile { name: "x.kdl".to_owned(), text: text.to_owned() };
        let checked = crate::parse(&source(EVERYTHING));
        // Read on its own, without the file of the child.
        assert_eq!(checked.diagnostics.iter().map(|found| found.code).collect::<Vec<_>>(), ["LB0140"]);
        let refused = crate::operator::parse_operator(&source(OPERATED), Path::new("/")).unwrap_err();
        assert_eq!(refused.iter().map(|found| found.code).collect::<Vec<_>>(), ["LB0402"]);
        let mut found = asked::taken();
        // A test is read as a property, whatever its name.
        found.extend(crate::when::TESTS.map(|test| ("when".to_owned(), test.to_owned())));
        // A lock is asked for of a step only to say where it belongs.
        found.retain(|(node, field)| node == "target" || field != "lock");
        assert_eq!(found, table);
    }

    #[test]
    fn the_nodes_are_those_that_the_compiler_knows() {
        let mut table: Vec<&str> = RUNBOOK.iter().map(|node| node.name).collect();
        let mut known: Vec<&str> = crate::read::NODES.into_iter().chain(["max-parallel", "run", "include"]).collect();
        table.sort_unstable();
        known.sort_unstable();
        assert_eq!(table, known);
        let mut known: Vec<&str> = crate::operator::NODES
            .into_iter()
            .chain(["dir", "host", "token", "approle", "jwt", "status", "tls", "readiness"])
            .chain(["email", "to", "slack", "webhook", "header", "value"])
            .collect();
        known.sort_unstable();
        let mut table: Vec<&str> = OPERATOR.iter().map(|node| node.name).collect();
        table.sort_unstable();
        assert_eq!(table, known);
        let page = reference();
        for name in table.iter().chain(&known) {
            assert!(page.contains(&format!("### `{name}`")), "{name}");
        }
    }
}
