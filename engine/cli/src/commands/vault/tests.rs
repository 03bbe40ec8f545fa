//! Golden files of what the commands about vaults print. `LIFEBOAT_BLESS=1` writes them anew.

use std::path::Path;

use lifeboat_vault::{PackRewrite, SetAside};

use super::*;

const SCREEN: Screen =
    Screen { json: false, quiet: false, log_only: false, colour_out: false, colour_err: false, live: false };

fn golden(name: &str, lines: &[String]) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/commands/vault/golden").join(name);
    let actual = format!("{}\n", lines.join("\n"));
    if std::env::var_os("LIFEBOAT_BLESS").is_some() {
        std::fs::write(&file, &actual).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(expected == actual, "{name} differs; LIFEBOAT_BLESS=1 accepts this:\n{actual}");
}

fn fate(number: u64, reasons: &[&str]) -> Fate {
    Fate {
        id: format!("{number:064x}").chars().rev().collect(),
        time_ms: 1_700_000_000_000 + number * 86_400_000,
        label: "orders".to_owned(),
        tags: vec!["nightly".to_owned()],
        reasons: reasons.iter().map(|reason| (*reason).to_owned()).collect(),
    }
}

fn pack(number: u64, bytes: u64, why: &str) -> PackFate {
    PackFate { id: format!("{number:x}").repeat(64), bytes, why: why.to_owned() }
}

fn damaged(number: u64, mendable: bool) -> DamagedSnapshot {
    let Fate { id, time_ms, label, .. } = fate(number, &[]);
    DamagedSnapshot { id, time_ms, label, mendable, why: "a part of the file 'a' is lost".to_owned() }
}

#[test]
fn a_plan_to_forget() {
    let plan = ForgetPlan {
        fingerprint: "0123456789abcdef".to_owned(),
        groups: vec![
            Group {
                host: Some("alpha".to_owned()),
                paths: Some(vec!["/srv/orders".to_owned()]),
                tags: None,
                label: None,
                keep: vec![fate(3, &["last snapshot", "daily snapshot"]), fate(1, &["monthly snapshot"])],
                remove: vec![fate(2, &[])],
            },
            Group {
                host: None,
                paths: None,
                tags: Some(vec!["a".to_owned(), "b".to_owned()]),
                label: Some("x".to_owned()),
                keep: vec![fate(9, &["last snapshot"])],
                remove: Vec::new(),
            },
        ],
        bytes_freed_by_prune: Some(5 << 20),
    };
    let (lines, todo) = forget_lines(&SCREEN, &plan);
    assert_eq!(todo.as_deref(), Some("0123456789abcdef"));
    golden("forget.txt", &lines);
}

#[test]
fn a_plan_to_prune() {
    let plan = PrunePlan {
        fingerprint: "0123456789abcdef".to_owned(),
        snapshots: 7,
        delete: (0..22).map(|number| pack(number % 16, 16 << 20, "nothing needs it")).collect(),
        rewrite: vec![PackRewrite { id: "c".repeat(64), bytes: 16 << 20, bytes_kept: 3 << 20 }],
        index_files: 2,
        bytes_before: 1 << 30,
        bytes_freed: 365 << 20,
        bytes_unused: 1000,
    };
    let (lines, todo) = prune_lines(&SCREEN, &plan);
    assert!(todo.is_some());
    golden("prune.txt", &lines);
}

#[test]
fn a_plan_to_repair_and_what_a_check_found() {
    let plan = RepairPlan {
        fingerprint: "0123456789abcdef".to_owned(),
        index_add: vec![pack(1, 16 << 20, "no index names it")],
        index_drop: vec![pack(2, 0, "it is missing")],
        rewrite: vec![PackRewrite { id: "c".repeat(64), bytes: 16 << 20, bytes_kept: 3 << 20 }],
        set_aside: vec![SetAside { key: "index/abc".to_owned(), why: "was changed after it was written".to_owned() }],
        lost: vec![damaged(4, false)],
        mended: vec![damaged(5, true)],
    };
    let (lines, todo) = repair_lines(&SCREEN, &plan);
    assert!(todo.is_some());
    golden("repair.txt", &lines);
    let report = VaultReport {
        snapshots: 7,
        packs: 12,
        bytes: 200 << 20,
        bytes_read: 100 << 20,
        problems: vec!["data/22/2222 is missing".to_owned()],
        damaged: vec![damaged(4, false), damaged(5, true)],
        notes: vec!["1 packs (16777216 bytes) are in no index".to_owned()],
    };
    golden("check.txt", &check_lines(&SCREEN, &report, true));
    let whole = VaultReport { snapshots: 7, packs: 12, bytes: 200 << 20, ..VaultReport::default() };
    golden("check-whole.txt", &check_lines(&SCREEN, &whole, false));
}

#[test]
fn locks() {
    let lock = |stale: Option<&str>, host: &str| LockInfo {
        id: "d".repeat(64),
        host: host.to_owned(),
        user: "sre".to_owned(),
        pid: 4711,
        time: "2026-11-21T17:00:00Z".to_owned(),
        exclusive: stale.is_none(),
        stale: stale.map(str::to_owned),
    };
    let all = [lock(Some("there is no process 4711 on this machine"), "alpha"), lock(None, "beta"), lock(None, "")];
    golden("unlock.txt", &all.iter().map(|lock| lock_line(&SCREEN, lock)).collect::<Vec<_>>());
}
