//! Runbooks that are spread out: for-each, include, and child runbooks.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeMap;

use common::{Files, catalog, rendered_files, source};
use lifeboat_core::limits::{FAN_OUT_MAX, FILE_DEPTH_MAX};
use lifeboat_core::plan::{Condition, Fan, Mode, Plan, Test};
use lifeboat_core::{Digest, StepId};
use lifeboat_runbook::{Compiled, Diagnostic, check, check_with, compile_with, format};
use serde_json::json;

const EACH: &str = include_str!("valid/each.kdl");
const PARENT: &str = include_str!("valid/parent.kdl");
const CHILD: &str = include_str!("valid/files/child.kdl");
const GRANDCHILD: &str = include_str!("valid/files/deep/grandchild.kdl");
const COMMON: &str = include_str!("valid/files/common.kdl");

fn files() -> Files {
    Files::of(&[
        ("books/files/child.kdl", CHILD),
        ("books/files/deep/grandchild.kdl", GRANDCHILD),
        ("books/files/common.kdl", COMMON),
    ])
}

fn try_compile(text: &str, mode: Mode, inputs: &[(&str, &str)]) -> Result<Compiled, Vec<Diagnostic>> {
    let inputs: BTreeMap<String, String> = inputs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    compile_with(&source("books/x.kdl", text), &files(), &catalog(), mode, &inputs)
}

fn compiled(text: &str, mode: Mode, inputs: &[(&str, &str)]) -> Compiled {
    let file = source("books/x.kdl", text);
    let checked = check_with(&file, &files(), &catalog()).diagnostics;
    assert!(checked.is_empty(), "{}", rendered_files(&file, &files(), &checked));
    let made = try_compile(text, mode, inputs).map_err(|found| rendered_files(&file, &files(), &found)).unwrap();
    assert!(made.warnings.is_empty());
    made
}

/// `step: what it comes after` for each step.
fn shape(plan: &Plan) -> Vec<String> {
    let after = |step: &lifeboat_core::plan::Step| step.after.iter().map(StepId::as_str).collect::<Vec<_>>().join(" ");
    plan.steps.iter().map(|step| format!("{}: {}", step.id, after(step)).trim_end().to_owned()).collect()
}

#[test]
fn the_files_are_in_canonical_form() {
    for text in [EACH, PARENT, CHILD, GRANDCHILD, COMMON] {
        assert_eq!(format(&source("x.kdl", text)).unwrap(), text);
    }
}

#[test]
fn a_for_each_is_one_step_an_item() {
    let plan = compiled(EACH, Mode::Failover, &[("files", "a.txt, b, c")]).plan;
    assert_eq!(
        shape(&plan),
        [
            "take/eu:",
            "take/us:",
            "prove/eu: take/eu",
            "prove/us: take/us",
            "rebuild/eu: prove/eu",
            "rebuild/us: prove/us",
            "look/1: rebuild/eu rebuild/us",
            "look/b: rebuild/eu rebuild/us",
            "look/c: rebuild/eu rebuild/us",
            "done: look/1 look/b look/c",
        ]
    );
    let step = |id: &str| plan.step(&StepId::from(id)).unwrap();
    assert_eq!(step("take/eu").args, json!({ "label": "shard eu of {{inputs.name}}" }));
    assert_eq!(step("prove/us").args, json!({ "snapshot": "{{steps.take/us.snapshot}}", "depth": "data" }));
    assert_eq!(step("look/1").args, json!({ "expect": [{ "kind": "file", "path": "db/a.txt" }] }));
    assert_eq!(step("rebuild/eu").targets[1].target, "standby-eu");
    assert_eq!(plan.targets.keys().collect::<Vec<_>>(), ["orders", "standby-eu", "standby-us", "vault"]);
    let fan = |of: &str, item: &str, limit| Some(Fan { of: of.to_owned(), item: json!(item), limit });
    assert_eq!(step("take/eu").fan, fan("take", "eu", 1));
    assert_eq!(step("prove/eu").fan, fan("prove", "eu", 6), "without a word, all that may run at once");
    assert_eq!(step("look/1").fan, fan("look", "a.txt", 2));
    assert_eq!(step("done").fan, None);
    let when = Condition { value: "us-{{steps.prove/us.files}}".to_owned(), test: Test::Not(json!("us-0")) };
    assert_eq!(step("rebuild/us").when, [when]);
    assert_eq!(plan.inputs["files"], json!(["a.txt", "b", "c"]));
    assert_eq!(step("take/eu").line, step("take/us").line);
}

#[test]
fn an_empty_list_is_no_step_and_order_goes_on() {
    let plan = compiled(EACH, Mode::Failover, &[("files", "")]).plan;
    assert_eq!(shape(&plan)[6..], ["done: rebuild/eu rebuild/us"]);
    assert!(!format!("{plan:?}").contains("look"));
    let plan = compiled(EACH, Mode::Failover, &[("files", "x"), ("shards", "")]);
    assert_eq!(shape(&plan.plan), ["look/x:", "done: look/x"]);
}

#[test]
fn items_are_named_by_place_where_their_text_cannot_be_a_name() {
    let plan = compiled(EACH, Mode::Failover, &[("files", "x y,x,x/y")]).plan;
    let names: Vec<&str> = plan.steps.iter().map(|s| s.id.as_str()).filter(|id| id.starts_with("look")).collect();
    assert_eq!(names, ["look/1", "look/x", "look/3"]);
}

#[test]
fn bad_lists_are_refused_when_they_are_given() {
    let codes = |inputs: &[(&str, &str)]| {
        try_compile(EACH, Mode::Failover, inputs).unwrap_err().iter().map(|one| one.code).collect::<Vec<_>>()
    };
    assert_eq!(codes(&[("files", "{{run.id}}")]), ["LB0231"]);
    let many = |count: usize| (0..count).map(|number| format!("x{number}")).collect::<Vec<_>>().join(",");
    assert_eq!(codes(&[("files", &many(FAN_OUT_MAX + 1))]), ["LB0233"]);
    assert_eq!(codes(&[("files", "x,y,x")]), ["LB0231"]);
    assert_eq!(codes(&[("files", "x"), ("shards", "asia")]), ["LB0209"]);
    assert_eq!(codes(&[]), ["LB0219"]);
    assert!(try_compile(EACH, Mode::Failover, &[("files", &many(FAN_OUT_MAX))]).is_ok());
}

#[test]
fn an_approve_that_an_empty_list_takes_away_does_not_count() {
    let text = "runbook \"x\" {\n    input \"who\" type=\"list\" default=\"ops\"\n    target \"edge\" plugin=\"dns\" { zone \"z\" }\n    \
                approve \"go\" role=\"ops\" for-each=\"{{inputs.who}}\"\n    wait \"5s\" for-each=\"{{inputs.who}}\"\n    \
                switch \"cutover\" target=\"edge\" after=\"go\" { record \"a\" to=\"b\" }\n}\n";
    assert_eq!(shape(&compiled(text, Mode::Failover, &[("who", "a,b")]).plan)[4], "cutover: go/a go/b");
    let codes: Vec<_> = try_compile(text, Mode::Failover, &[("who", "")]).unwrap_err().iter().map(|d| d.code).collect();
    assert_eq!(codes, ["LB0301"]);
}

#[test]
fn a_child_runbook_becomes_steps_and_targets() {
    let plan = compiled(PARENT, Mode::Failover, &[("reason", "fire")]).plan;
    assert_eq!(
        shape(&plan),
        [
            "fence:",
            "db/prove: fence",
            "db/rebuild: db/prove",
            "db/look/users: db/rebuild",
            "db/look/orders: db/rebuild",
            "db/deep/note: db/look/orders db/look/users fence",
            "shards/eu/prove: fence",
            "shards/eu/rebuild: shards/eu/prove",
            "shards/eu/look/users: shards/eu/rebuild",
            "shards/eu/look/orders: shards/eu/rebuild",
            "shards/eu/deep/note: shards/eu/look/orders shards/eu/look/users",
            "shards/us/prove: fence",
            "shards/us/rebuild: shards/us/prove",
            "shards/us/look/users: shards/us/rebuild",
            "shards/us/look/orders: shards/us/rebuild",
            "shards/us/deep/note: shards/us/look/orders shards/us/look/users",
            "done: db/deep/note db/rebuild shards/eu/deep/note shards/us/deep/note",
        ]
    );
    let step = |id: &str| plan.step(&StepId::from(id)).unwrap();
    assert_eq!(step("db/prove").args["snapshot"], "latest");
    assert_eq!(step("db/deep/note").args["expect"][0]["path"], "why/{{inputs.reason}}/{{steps.fence.checked}}");
    assert_eq!(step("done").args["expect"][0]["path"], "{{steps.db/rebuild.files}}");
    assert_eq!(step("db/rebuild").args["snapshot"], "{{steps.db/prove.snapshot}}");
    assert_eq!(step("db/look/users").args["expect"][0]["bytes"], "{{inputs.db/count}}", "numbers stay numbers");
    assert_eq!((&plan.inputs["db/count"], &plan.inputs["reason"]), (&json!(12), &json!("fire")));
    assert_eq!(plan.inputs["shards/eu/count"], json!(1));
    let settings = |name: &str| plan.targets[name].settings["root"].as_str().unwrap().to_owned();
    assert_eq!(settings("db/home"), "/srv/db/main");
    assert_eq!(settings("shards/us/home"), "/srv/db/us");
    assert_eq!(settings("db/vault"), "/srv/vault", "the file that both include");
    assert_eq!(plan.targets["shards/us/home"].lock.as_deref(), Some("fs:/srv/db/us"));
    let fan = |of: &str, item: &str, limit| Some(Fan { of: of.to_owned(), item: json!(item), limit });
    assert_eq!(step("shards/eu/prove").fan, fan("shards", "eu", 1));
    assert_eq!(step("shards/eu/look/users").fan, fan("shards/eu/look", "users", 4), "the innermost counts");
    let when = Condition { value: "{{inputs.reason}}".to_owned(), test: Test::Not(json!("test")) };
    assert_eq!(step("db/deep/note").when, [when]);
    // A child's defaults are for its steps; its limits and triggers are not for the parent.
    assert_eq!((step("db/prove").policy.timeout_ms, step("fence").policy.timeout_ms), (420_000, 3_600_000));
    assert_eq!((plan.max_parallel, plan.on_failure.compensate, plan.runbook.as_str()), (4, true, "parent"));
}

#[test]
fn a_mode_leaves_out_the_same_steps_of_all_children() {
    let plan = compiled(PARENT, Mode::Drill, &[("reason", "fire")]).plan;
    assert_eq!(
        shape(&plan),
        [
            "db/prove:",
            "db/rebuild: db/prove",
            "db/look/users: db/rebuild",
            "db/look/orders: db/rebuild",
            "done: db/look/orders db/look/users db/rebuild"
        ]
    );
    assert_eq!(plan.targets["db/home"].settings["root"], "/srv/drill/{{run.id}}/main");
    assert_eq!(plan.targets["db/home"].lock.as_deref(), Some("fs:/srv/drill/{{run.id}}/main"));
}

#[test]
fn all_texts_are_kept_and_digested() {
    let made = compiled(PARENT, Mode::Failover, &[("reason", "fire")]);
    // What starts a run is no part of the plan, whose source it is.
    let (before, behind) = made.text.split_once("    on \"schedule\"").unwrap();
    let plan_text = format!("{before}{}", behind.split_once('\n').unwrap().1);
    assert_eq!(made.plan.source, Digest::of(plan_text.as_bytes()));
    let names: Vec<&str> = made.text.lines().filter_map(|line| line.strip_prefix("// file: ")).collect();
    assert_eq!(names, ["x.kdl", "files/common.kdl", "files/child.kdl", "files/deep/grandchild.kdl"]);
    for text in [PARENT, CHILD, COMMON, GRANDCHILD] {
        assert!(made.text.contains(text));
    }
    // Where the files are does not matter, what is in them does.
    let moved = Files(files().0.into_iter().map(|(name, text)| (name.replace("books/", "/srv/b/"), text)).collect());
    let inputs = BTreeMap::from([("reason".to_owned(), "fire".to_owned())]);
    let compile_at = |files: &Files| {
        compile_with(&source("/srv/b/x.kdl", PARENT), files, &catalog(), Mode::Failover, &inputs).unwrap().plan
    };
    assert_eq!(compile_at(&moved).fingerprint(), made.plan.fingerprint());
    let mut other = moved;
    other.0.get_mut("/srv/b/files/common.kdl").unwrap().push_str("// more\n");
    assert_ne!(compile_at(&other).fingerprint(), made.plan.fingerprint());
    // A file alone is its own text.
    let alone = compiled(EACH, Mode::Failover, &[("files", "x")]);
    assert_eq!((alone.text.as_str(), &alone.plan.source), (EACH, &Digest::of(EACH.as_bytes())));
}

#[test]
fn what_a_child_may_hold_cannot_make_references() {
    let child = "runbook \"c\" {\n    input \"a\" default=\"x{\"\n    input \"b\" default=\"{{run.id}}\"\n    input \"c\"\n    \
                 target \"t\" plugin=\"fs\" { root \"/srv/t\" }\n    \
                 validate \"v\" target=\"t\" { expect \"file\" path=\"{{inputs.a}}{run.id}}-{{inputs.b}}\" }\n    \
                 validate \"w\" target=\"t\" { expect \"file\" path=\"{{inputs.c}}\" }\n}\n";
    let files = Files::of(&[("c.kdl", child)]);
    let text = "runbook \"x\" { run \"c\" runbook=\"c.kdl\" }";
    let made = compile_with(&source("x.kdl", text), &files, &catalog(), Mode::Failover, &BTreeMap::new()).unwrap();
    assert_eq!(made.plan.steps[0].args["expect"][0]["path"], "{{inputs.c/a}}{run.id}}-{{inputs.c/b}}");
    assert_eq!((&made.plan.inputs["c/a"], &made.plan.inputs["c/b"]), (&json!("x{"), &json!("{{run.id}}")));
    assert_eq!(made.plan.inputs.get("c/c"), None, "an input without a value is missing at run time, as ever");
    let given = BTreeMap::from([("c/a".to_owned(), "y".to_owned())]);
    let refused = compile_with(&source("x.kdl", text), &files, &catalog(), Mode::Failover, &given).unwrap_err();
    assert_eq!(refused[0].code, "LB0220", "nobody gives inputs of a child from outside");
}

#[test]
fn depth_and_number_of_files_and_steps_have_limits() {
    let chain = |word: &str, end: &str, depth: usize| {
        let name = |at: usize| format!("f{at}.kdl");
        let mut all: BTreeMap<String, String> = BTreeMap::new();
        for at in 1..=depth {
            let next = match (word, at == depth) {
                (_, true) => end.to_owned(),
                ("include", _) => format!("include \"{}\"", name(at + 1)),
                _ => format!("run \"r\" runbook=\"{}\"", name(at + 1)),
            };
            let text = if word == "include" { next } else { format!("runbook \"r\" {{ {next} }}") };
            all.insert(name(at), text);
        }
        let first = if word == "include" { "include \"f1.kdl\"" } else { "run \"r\" runbook=\"f1.kdl\"" };
        let text = format!("runbook \"x\" {{ {first} }}");
        let found = check_with(&source("x.kdl", &text), &Files(all), &catalog()).diagnostics;
        found.iter().map(|one| one.code).collect::<Vec<_>>()
    };
    for word in ["include", "run"] {
        assert_eq!(chain(word, "wait \"5s\"", FILE_DEPTH_MAX), Vec::<&str>::new(), "{word}");
        assert_eq!(chain(word, "wait \"5s\"", FILE_DEPTH_MAX + 1), ["LB0142"], "{word}");
    }
    // Each level runs the next one ten times: a small text must not make a plan without end.
    let mut all = BTreeMap::new();
    for at in 1..8 {
        let runs: Vec<String> = (0..10).map(|n| format!("run \"r{n}\" runbook=\"f{}.kdl\"", at + 1)).collect();
        all.insert(format!("f{at}.kdl"), format!("runbook \"r\" {{ {} }}", runs.join("; ")));
    }
    all.insert("f8.kdl".to_owned(), "runbook \"r\" { wait \"5s\" }".to_owned());
    let text = "runbook \"x\" { run \"r\" runbook=\"f1.kdl\" }";
    let found = check_with(&source("x.kdl", text), &Files(all), &catalog()).diagnostics;
    assert_eq!(found.iter().map(|one| one.code).collect::<Vec<_>>(), ["LB0127"]);
}

#[test]
fn small_texts_make_no_plan_without_end() {
    let level = |next: &str, inside: &str| format!("runbook \"r\" {{ input \"a\" required=#true; {inside} }}{next}");
    let codes = |inside: &dyn Fn(usize) -> String, first: &str| {
        let mut all = BTreeMap::new();
        for at in 1..=12 {
            all.insert(format!("f{at}.kdl"), level("\n", &inside(at)));
        }
        let found = check_with(&source("x.kdl", first), &Files(all), &catalog()).diagnostics;
        let mut codes: Vec<_> = found.iter().map(|one| one.code).collect();
        codes.dedup();
        codes
    };
    let first = "runbook \"x\" { run \"r\" runbook=\"f1.kdl\" { input \"a\" \"{{run.id}}\" } }";
    // A text that is ten times as long on each level.
    let longer = "{{inputs.a}}".repeat(10);
    let text = |at: usize| {
        match at {
        12 => "target \"t\" plugin=\"fs\" { root \"/t\" }; validate \"v\" target=\"t\" { expect \"file\" path=\"{{inputs.a}}\" }".to_owned(),
        _ => format!("run \"r\" runbook=\"f{}.kdl\" {{ input \"a\" \"{longer}\" }}", at + 1),
    }
    };
    assert_eq!(codes(&text, first), ["LB0235"]);
    // Ten children on each level, and no step at all.
    let empty = |at: usize| match at {
        12 => String::new(),
        _ => (0..10).map(|n| format!("run \"r{n}\" runbook=\"f{}.kdl\" {{ input \"a\" \"x\" }}; ", at + 1)).collect(),
    };
    assert_eq!(codes(&empty, first), ["LB0126", "LB0235"]);
}

#[test]
fn a_text_alone_has_no_other_files() {
    let (_, found) = check(&source("x.kdl", "runbook \"x\" { include \"y.kdl\"; wait \"5s\" }"), &catalog());
    assert_eq!(found.iter().map(|one| one.code).collect::<Vec<_>>(), ["LB0140"]);
}

#[test]
fn a_thousand_children_compile() {
    let items: Vec<String> = (0..1_000).map(|n| format!("s{n}")).collect();
    let plan = compiled(PARENT, Mode::Failover, &[("reason", "fire"), ("shards", &items.join(","))]).plan;
    assert_eq!(plan.steps.len(), 7 + 5 * 1_000);
}
