//! A runbook of 10,000 steps: parsed, checked in all modes, compiled. The bars are one second and 200 MiB.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fmt::Write;
use std::time::{Duration, Instant};

use lifeboat_runbook::SourceFile;
use lifeboat_tests::bench::{heading, line, median, memory_kib, world};

const STEPS: usize = 10_000;
const ROUNDS: usize = 5;
const BAR_MS: f64 = 1_000.0;
const BAR_MIB: f64 = 200.0;

/// Steps of four kinds that hand their outputs on, as real runbooks do.
fn text() -> String {
    let mut text = String::from("runbook \"big\" {\n");
    for name in ["orders", "vault", "standby"] {
        writeln!(text, "    target \"{name}\" plugin=\"fs\" {{ root \"/srv/{name}\"; password secret=\"p\" }}")
            .unwrap();
    }
    for i in 0..STEPS / 4 {
        writeln!(text, "    snapshot \"t{i}\" of=\"orders\" into=\"vault\"").unwrap();
        writeln!(text, "    verify \"p{i}\" snapshot=\"{{{{steps.t{i}.snapshot}}}}\" depth=\"data\"").unwrap();
        writeln!(text, "    restore \"r{i}\" snapshot=\"{{{{steps.p{i}.snapshot}}}}\" into=\"standby\"").unwrap();
        writeln!(text, "    validate \"c{i}\" target=\"standby\" after=\"r{i}\" {{ expect \"file\" path=\"x\" }}")
            .unwrap();
    }
    text + "}\n"
}

/// Milliseconds of the work, the middle one of some rounds.
fn timed(mut work: impl FnMut()) -> f64 {
    let one = |_| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    median((0..ROUNDS).map(one).map(|time: Duration| time.as_secs_f64() * 1e3).collect())
}

fn main() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let catalog = world::host(folder.path()).catalog();
    let source = SourceFile { name: "big.kdl".to_owned(), text: text() };
    // The compiler of the guests needed memory too; that is not asked here.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = memory_kib("VmRSS");
    let plan = world::compile(&source.text, &catalog);
    let peak = (memory_kib("VmHWM").saturating_sub(before)) as f64 / 1024.0;
    assert_eq!(plan.steps.len(), STEPS);

    let parse = timed(|| assert!(lifeboat_runbook::parse(&source).diagnostics.is_empty()));
    let check = timed(|| {
        let (_, mistakes) = lifeboat_runbook::check(&source, &catalog);
        assert!(mistakes.is_empty(), "{mistakes:?}");
    });
    let compile = timed(|| assert_eq!(world::compile(&source.text, &catalog).steps.len(), STEPS));
    let fingerprint = timed(|| assert_eq!(plan.fingerprint(), plan.fingerprint())) / 2.0;
    heading(&format!("plan of {STEPS} steps, {} KiB of text", source.text.len() / 1024));
    line("parse", parse, BAR_MS, "ms", "the bar");
    line("check, with parse, in all modes", check, BAR_MS, "ms", "the bar");
    line("compile, with parse and check", compile, BAR_MS, "ms", "the bar");
    line("fingerprint", fingerprint, BAR_MS, "ms", "the bar");
    line("memory of compile, above the host's", peak, BAR_MIB, "MiB", "the bar");
}
