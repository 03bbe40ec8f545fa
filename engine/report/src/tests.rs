//! Pages of simulated runs, as golden files. `LIFEBOAT_BLESS=1` writes them anew; look at the difference before you commit.

use std::path::Path;

use lifeboat_core::event::Event;
use lifeboat_core::outcome::FailureKind;
use lifeboat_core::plan::{Effect, Mode, StepKind, TargetUse};
use lifeboat_evidence::facts::of;
use lifeboat_evidence::{Facts, Witness};
use lifeboat_runtime::Verb;
use lifeboat_testkit::{Act, PlanBuilder, Rig, said};
use serde_json::json;

use crate::page::Tone;
use crate::{Case, Page, Verdict, html, markdown, page};

const HOSTILE: &str = "</title><script>alert(1)</script> \"'`|&\u{7}\n<img src=x onerror=y>";

// Golden files are files; the crate itself reads none.
#[allow(clippy::disallowed_methods)]
fn golden(name: &str, actual: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/golden").join(name);
    if std::env::var_os("LIFEBOAT_BLESS").is_some() {
        std::fs::write(&file, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(expected == actual, "{name} differs; LIFEBOAT_BLESS=1 accepts this:\n{actual}");
}

fn slow(ms: u64, act: Act) -> [Act; 1] {
    [Act::Slow(ms, Box::new(act))]
}

/// A recovery with an approval, a retry, and a doubt that a person settles.
async fn recovery() -> Vec<Event> {
    let rig = Rig::new();
    let taken =
        json!({"snapshot": "5f2c9a7be0d14c83", "files": 412, "bytes": 9_000_000, "time_ms": 1_700_000_050_000_u64});
    rig.world.acts("take", slow(12_000, Act::Done(Some(taken.clone()))));
    rig.world.acts(
        "rebuild",
        [
            Act::Slow(30_000, Box::new(Act::Fail(FailureKind::Temporary))),
            Act::Slow(95_000, Box::new(Act::Done(Some(taken)))),
        ],
    );
    rig.world.acts("smoke", slow(8_000, Act::Done(None)));
    rig.world.acts("cutover", slow(2_000, Act::Fail(FailureKind::Permanent)));
    let mut plan = PlanBuilder::new()
        .approve("go", 2, None)
        .step("take")
        .lock("orders")
        .after(["go"])
        .step("rebuild")
        .retry(2, 5_000)
        .after(["take"])
        .wait("settle", 20_000)
        .after(["rebuild"])
        .step("smoke")
        .after(["settle"])
        .step("cutover")
        .effect(Effect::Irreversible)
        .after(["smoke"])
        .build();
    let kinds = [
        StepKind::Approve,
        StepKind::Snapshot,
        StepKind::Restore,
        StepKind::Wait,
        StepKind::Validate,
        StepKind::Switch,
    ];
    plan.steps.iter_mut().zip(kinds).for_each(|(step, kind)| step.kind = kind);
    plan.runbook = "orders-region-loss".into();
    plan.description = "Recover the orders service when the primary is lost".into();
    plan.owner = Some("sre-orders".into());
    (plan.objectives.rto_ms, plan.objectives.rpo_ms) = (Some(300_000), Some(60_000));
    plan.mode = Mode::Failover;
    let fingerprint = plan.fingerprint();
    let mut handle = rig.submit(plan).await;
    rig.rest(&mut handle).await;
    for (ms, who) in [(41_000, "ada"), (22_000, "grace")] {
        rig.clock.advance(ms);
        let yes = Verb::Approve { step: "go".into(), fingerprint: fingerprint.clone(), roles: None };
        rig.drive(handle.say(yes, said(who))).await.unwrap();
    }
    rig.rest(&mut handle).await;
    rig.clock.advance(64_000);
    let run = handle.run().clone();
    let done = Verb::MarkDone { step: "cutover".into(), outputs: json!({"value": 1}), evidence: Vec::new() };
    let mut handle = rig.drive(rig.engine.resume_saying(&run, done, said("ada"))).await.unwrap();
    rig.rest(&mut handle).await;
    rig.events(&run)
}

/// A drill of a suspect snapshot, with its sentinel, whose checks miss a damage, and of which something cannot be removed.
async fn drill() -> Vec<Event> {
    let rig = Rig::new();
    let why = "100 % of the files read look encrypted";
    let restored = json!({"snapshot": "ab12", "time_ms": 1_699_999_990_000_u64, "suspect": [why]});
    rig.world.acts("rebuild", slow(4_000, Act::Done(Some(restored))));
    let tried = json!([
        {"corruption": "flip", "file": "orders.db", "caught": true, "said": "the digest is another one"},
        {"corruption": "drop", "file": "a|b.txt", "caught": false, "said": ""},
    ]);
    let checked = json!({"checks": tried, "sentinel_ms": 1_699_999_970_000_u64});
    rig.world.acts("smoke", slow(1_000, Act::Done(Some(checked))));
    let mut plan = PlanBuilder::new()
        .step("rebuild")
        .lock("copy")
        .makes("what is restored")
        .step("smoke")
        .after(["rebuild"])
        .build();
    let name = plan.steps[0].targets[0].target.clone();
    let kinds = [(StepKind::Restore, "into"), (StepKind::Validate, "target")];
    for (step, (kind, role)) in plan.steps.iter_mut().zip(kinds) {
        step.kind = kind;
        step.targets = vec![TargetUse { role: role.into(), target: name.clone() }];
        step.makes.iter_mut().for_each(|makes| makes.target = name.clone());
    }
    (plan.runbook, plan.mode) = ("orders".into(), Mode::Drill);
    plan.objectives.rpo_ms = Some(60_000);
    let state = rig.run(plan).await;
    rig.events(&state.run)
}

/// A run whose every name is an attack, and that fails and is undone.
async fn hostile() -> Vec<Event> {
    let rig = Rig::new();
    let undone = format!("b{HOSTILE}");
    rig.world.acts(&undone, slow(3_000, Act::Fail(FailureKind::Permanent)));
    let mut plan = PlanBuilder::new()
        .compensate_on_failure()
        .step(&format!("a{HOSTILE}"))
        .effect(Effect::Compensatable)
        .step(&undone)
        .lock(HOSTILE)
        .after([format!("a{HOSTILE}").as_str()])
        .step("never")
        .after([undone.as_str()])
        .build();
    (plan.runbook, plan.description, plan.owner) = (HOSTILE.into(), HOSTILE.into(), Some(HOSTILE.into()));
    let state = rig.run(plan).await;
    rig.events(&state.run)
}

fn with<T>(events: &[Event], look: impl FnOnce(&Case<'_>) -> T) -> T {
    let (facts, state) = of(events, &Witness::default()).unwrap();
    look(&Case { facts: &facts, state: &state, events, proof: None })
}

fn page_of(events: &[Event]) -> Page {
    with(events, page)
}

#[tokio::test]
async fn golden_pages() {
    let page = page_of(&recovery().await);
    golden("recovery.html", &html(&page).unwrap());
    golden("recovery.md", &markdown(&page).unwrap());
    golden("hostile.md", &markdown(&page_of(&hostile().await)).unwrap());
    golden("drill.md", &markdown(&page_of(&drill().await)).unwrap());
}

#[tokio::test]
async fn no_name_becomes_a_part_of_the_page() {
    let page = page_of(&hostile().await);
    let text = html(&page).unwrap();
    assert!(!text.contains("<script") && !text.contains("<img") && !text.contains('\u{7}'));
    assert_eq!((text.matches("</head>").count(), text.matches("</html>").count()), (1, 1));
    // Tags are balanced, so that nothing was opened or closed by a name.
    for tag in ["section", "table", "tr", "td", "th", "figure", "div", "svg", "g", "text", "title", "p", "span", "code"]
    {
        let opened = text.matches(&format!("<{tag}>")).count() + text.matches(&format!("<{tag} ")).count();
        assert!(opened > 0 && opened == text.matches(&format!("</{tag}>")).count(), "{tag}");
    }
    let text = markdown(&page).unwrap();
    assert!(!text.contains("<script") && !text.contains("<img"));
    let cells = |line: &str| line.replace("\\|", "").matches('|').count();
    let lines: Vec<&str> = text.lines().collect();
    for pair in lines.windows(2).filter(|pair| pair.iter().all(|line| line.starts_with('|'))) {
        assert_eq!(cells(pair[0]), cells(pair[1]), "{pair:?}");
    }
}

#[tokio::test]
async fn verdicts_come_first_and_are_true() {
    let told = |change: &dyn Fn(&mut Facts), events: &[Event]| {
        let (mut facts, _) = of(events, &Witness::default()).unwrap();
        change(&mut facts);
        let verdict = Verdict::of(&facts);
        (verdict.tone, verdict.word, verdict.sentence)
    };
    let events = recovery().await;
    let (tone, word, sentence) = told(&|_| {}, &events);
    assert_eq!((tone, word.as_str()), (Tone::Good, "Recovered"));
    assert_eq!(sentence, "It took 4m 59s, within the objective of 5m.");
    let (tone, word, _) = told(&|facts| facts.within_rto = Some(false), &events);
    assert_eq!((tone, word.as_str()), (Tone::Warn, "Recovered, an objective is missed"));
    let (_, word, _) = told(&|facts| facts.mode = Mode::Drill, &events);
    assert_eq!(word, "Drill passed");
    let (tone, word, _) = told(&|facts| facts.steps[3].phase = "skipped".into(), &events);
    assert_eq!((tone, word.as_str()), (Tone::Warn, "Recovered, with steps skipped"));
    for end in 1..events.len() {
        let (tone, word, _) = told(&|_| {}, &events[..end]);
        assert!(tone != Tone::Good && (word.starts_with("Not ended") || word == "Failed"), "{end}: {word}");
    }
    let (tone, word, sentence) = told(&|_| {}, &hostile().await);
    assert_eq!((tone, word.as_str()), (Tone::Bad, "Drill failed"));
    assert!(sentence.starts_with("It failed after 3 s at step 'b"), "{sentence}");
}

/// Every beginning of a run has a page, and so have plans of no step and of very many.
#[tokio::test]
async fn every_run_has_a_page() {
    let events = recovery().await;
    for end in 1..=events.len() {
        let page = page_of(&events[..end]);
        assert!(html(&page).unwrap().contains("</html>") && !markdown(&page).unwrap().is_empty());
    }
    for plan in [PlanBuilder::new().build(), PlanBuilder::wide(400).build(), PlanBuilder::chain(130).build()] {
        let many = plan.steps.len() > crate::pictures::dag::STEPS_MAX;
        let rig = Rig::new();
        let state = rig.run(plan).await;
        let page = page_of(&rig.events(&state.run));
        assert_eq!(page.sections.iter().any(|section| section.id == "plan"), !many && !state.plan.steps.is_empty());
        assert!(html(&page).unwrap().contains("</html>"));
    }
}

#[test]
fn colours_have_enough_contrast() {
    let style = include_str!("../templates/style.css");
    let mut themes = style.split(":root{").skip(1);
    for name in ["light", "dark", "paper"] {
        let theme = themes.next().unwrap().split('}').next().unwrap();
        let colour = |name: &str| luminance(theme.split(&format!("--{name}:")).nth(1).unwrap());
        for (front, back) in [
            ("fg", "bg"),
            ("fg", "panel"),
            ("soft", "bg"),
            ("soft", "panel"),
            ("link", "bg"),
            ("good", "bg"),
            ("good", "panel"),
            ("warn", "bg"),
            ("warn", "panel"),
            ("bad", "bg"),
            ("bad", "panel"),
            ("warn", "warn-soft"),
            ("bad", "bad-soft"),
            ("fg", "people-soft"),
        ] {
            let (one, two) = (colour(front), colour(back));
            let ratio = (one.max(two) + 0.05) / (one.min(two) + 0.05);
            assert!(ratio >= 4.5, "{front} on {back}, {name}: {ratio:.2}");
        }
    }
}

/// The relative luminance of `#rrggbb`, as WCAG 2.2 defines it.
fn luminance(text: &str) -> f64 {
    let part = |at: usize| {
        let share = f64::from(u8::from_str_radix(&text[at..at + 2], 16).unwrap()) / 255.0;
        if share <= 0.04045 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
}
