//! What a person sees, as golden files. `LIFEBOAT_BLESS=1` writes them anew; look at the difference before you commit.

use std::path::Path;

use clap::Parser;
use lifeboat_core::Error;
use lifeboat_core::event::{Event, EventKind, Said};
use lifeboat_core::ids::{Digest, RunId};
use lifeboat_core::outcome::Outcome;
use lifeboat_core::plan::Plan;
use lifeboat_core::ports::Direction;
use lifeboat_forecast::History;
use serde_json::json;

use super::{Found, models, page};
use crate::args::{Cli, Command};
use crate::args_estimate::EstimateArgs;
use crate::exit::Exit;
use crate::view::tests::recovery;

fn golden(name: &str, actual: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/commands/estimate/golden").join(name);
    if std::env::var_os("LIFEBOAT_BLESS").is_some() {
        std::fs::write(&file, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(expected == actual, "{name} differs; LIFEBOAT_BLESS=1 accepts this:\n{actual}");
}

fn args(line: &str) -> EstimateArgs {
    let cli = Cli::try_parse_from(["lifeboat", "estimate"].into_iter().chain(line.split_whitespace()));
    match cli.unwrap_or_else(|error| panic!("{error}")).command {
        Command::Estimate(args) => *args,
        other => panic!("{other:?}"),
    }
}

/// The recovery, each attempt of which may take so long.
fn patient(timeout_ms: u64) -> Plan {
    let mut plan = recovery();
    plan.steps.iter_mut().for_each(|step| step.policy.timeout_ms = timeout_ms);
    plan
}

fn ask(history: &History, timeout_ms: u64, line: &str) -> (String, Exit) {
    let (plan, args) = (patient(timeout_ms), args(&format!("recover.kdl {line}")));
    let found = Found::of(&plan, history, &args).unwrap();
    (page::runbook(&plan, &args, &found), found.exit())
}

/// Runs of the recovery, each step a little longer than in the run before.
fn history(runs: u64) -> History {
    let plan = recovery();
    let mut history = History::new();
    for run in 0..runs {
        let mut events = vec![created(&plan)];
        for (place, step) in plan.steps.iter().enumerate() {
            let took = 20_000 * (place as u64 + 1) + 1_000 * run;
            let step = step.id.clone();
            let (direction, number) = (Direction::Forward, 1);
            let moves = ["take", "prove", "offsite", "rebuild"].contains(&step.as_str());
            let outputs = if moves { json!({"bytes": 1_000_000_000_u64}) } else { json!({}) };
            let outcome = Outcome::Done { outputs };
            if step.as_str() == "go" {
                let said = |by: &str| Said { by: by.to_owned(), why: String::new() };
                let fingerprint = plan.fingerprint();
                let asked = EventKind::ApprovalRequested { step: step.clone(), fingerprint, expires_at: None };
                events.push(Event::new(0, asked));
                for by in ["ann", "bob"] {
                    let (step, fingerprint, said) = (step.clone(), plan.fingerprint(), said(by));
                    events.push(Event::new(took, EventKind::Approved { step, fingerprint, role: None, said }));
                }
                continue;
            }
            let key = Digest::of(b"key");
            events.push(Event::new(
                0,
                EventKind::AttemptStarted { step: step.clone(), direction, number, key, token: 1 },
            ));
            let done =
                EventKind::AttemptFinished { step, direction, number, outcome, retry_at: None, interrupted: false };
            events.push(Event::new(took, done));
        }
        history.learn(&events);
    }
    history
}

fn created(plan: &Plan) -> Event {
    let said = Said { by: "ann".to_owned(), why: String::new() };
    let (plan, fingerprint) = (Box::new(plan.clone()), plan.fingerprint());
    let (run, runbook, engine) = (RunId("r-1".to_owned()), String::new(), "test".to_owned());
    Event::new(
        0,
        EventKind::RunCreated { run, plan, fingerprint, runbook, engine, detected_at: None, continues: None, said },
    )
}

#[test]
fn a_runbook_as_a_person_sees_it() {
    let none = History::new();
    let (day, short) = (86_400_000, 600_000);
    for (name, history, timeout, line, exit) in [
        ("time-out.txt", &none, short, "--bytes 1TB --rate 20MB/s --takes go=1m", Exit::NotMet),
        (
            "too-much-data.txt",
            &none,
            day,
            "--bytes 1TB --rate 20MB/s --detect 2m --decide 5m --takes go=1m",
            Exit::NotMet,
        ),
        ("not-known.txt", &none, day, "--bytes 1TB", Exit::NotMet),
        ("no-rate-is-enough.txt", &none, day, "--bytes 1TB --rate 20MB/s --detect 20m --takes go=1m", Exit::NotMet),
        ("in-time.txt", &history(8), day, "--rto 20m", Exit::Success),
        ("scaled.txt", &history(8), day, "--rto 20m --bytes 5GB", Exit::NotMet),
    ] {
        let (text, came) = ask(history, timeout, line);
        golden(name, &text);
        assert_eq!(came, exit, "{name}");
    }
}

/// The rate that is said to be needed is enough, and a little less is not.
#[test]
fn the_rate_that_is_needed_is_enough() {
    let (plan, none) = (patient(86_400_000), History::new());
    let line = |rate: f64| format!("recover.kdl --bytes 100GB --rate {rate:.0}B/s --takes go=1m --takes offsite=1m");
    let found = Found::of(&plan, &none, &args(&line(2e7))).unwrap();
    let needed = found.rate_needed.unwrap().get();
    assert_eq!(Found::of(&plan, &none, &args(&line(needed * 1.001))).unwrap().met, Some(true));
    assert_eq!(Found::of(&plan, &none, &args(&line(needed * 0.97))).unwrap().met, Some(false));
}

#[test]
fn models_as_a_person_sees_them() {
    let mut all = String::new();
    for line in [
        "availability --mtbf 1000h --mttr 2h",
        "availability --mtbf 1000h --mttr 2h --parts 3 --needed 2 --objective 99.999%",
        "failure --parts 100 --each 1%",
        "recovery --bytes 1000GB --rate 20MB/s --rto 15m",
        "recovery --bytes 60GB --rate 100MB/s --restore-rate 200MB/s --detect 2m --decide 5m --validate 1m --rto 1h",
        "rpo --every 24h --takes 2h --lag 1h --rpo 12h",
        "frequency --backup 40 --loss 36/h --mtbf 1000d",
        "scheme --bytes 1TB --changed 5% --gb 0.01 --each 0.5 --loss 100/h --down 1000/h --rate 200MB/s --mtbf 200d",
        "storage --bytes 1TB --grows 1GB/d --changed 2% --stored 60% --keep 7x1d --keep 4x1w --capacity 1TB",
        "cost --downtime 4h --down 5000/h --lost 30m --loss 800/h --people 3 --time 2h --person 90/h --mtbf 730d",
        "drills --times 12 --people 2 --time 1h --person 90/h --moved 500GB --gb 0.09",
        "worth --before 50k --after 8k --invested 60k --running 12k --interest 5%",
    ] {
        let args = args(line);
        let answer = models::work_out(args.model.as_ref().unwrap()).unwrap();
        all.push_str(&format!("$ lifeboat estimate {line}\n{}\n", page::model(&answer)));
        assert!(!answer.json.is_null());
    }
    golden("models.txt", &all);
}

#[test]
fn what_means_nothing_is_refused_where_it_is_given() {
    let refused = |line: &str| {
        let cli = Cli::try_parse_from(["lifeboat", "estimate"].into_iter().chain(line.split_whitespace()));
        cli.expect_err(line).to_string()
    };
    assert!(refused("recovery --bytes 1TB --rate 20Mb/s").contains("read in two ways"));
    assert!(refused("availability --mtbf 1000 --mttr 2h").contains("LB0910"));
    assert!(refused("failure --parts 3 --each 120%").contains("probabilities are from 0 to 1"));
    assert!(refused("recover.kdl --rate 20MB/s").contains("--bytes"));
    assert!(refused("storage --bytes 1TB --keep 7").contains("7x1d"));
    let answer = |line: &str| -> Result<(), Error> { models::work_out(args(line).model.as_ref().unwrap()).map(|_| ()) };
    assert_eq!(&*answer("recovery --bytes 1TB --rate 0MB/s").unwrap_err().code.0, "LB0911");
    assert_eq!(&*answer("availability --mtbf 1h --mttr 1h --parts 2 --needed 3").unwrap_err().code.0, "LB0911");
}
