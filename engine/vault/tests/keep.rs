//! The rules of what is kept mean what they mean for stock restic: the same snapshots, for the same reasons.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use common::{FolderStore, PASSWORD, dir, folder_vault, restic, sink};
use lifeboat_host::ports::Secret;
use lifeboat_vault::{GroupBy, KeepRules, Upkeep};
use rustic_core::repofile::SnapshotFile;
use rustic_core::{
    BytesList, Credentials, FileType, Id, ReadBackend, Repository, RepositoryBackends, RepositoryOptions, RusticResult,
    StringList, WriteBackend,
};

/// As much of a backend as saving snapshots takes.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn path(&self, kind: FileType, id: &Id) -> PathBuf {
        match kind {
            FileType::Config => self.0.join("config"),
            _ => self.0.join(kind.dirname()).join(id.to_hex().as_str()),
        }
    }
}

impl ReadBackend for Folder {
    fn location(&self) -> String {
        "folder".to_owned()
    }
    fn list_with_size(&self, kind: FileType) -> RusticResult<Vec<(Id, u32)>> {
        if kind == FileType::Config {
            return Ok(vec![(Id::default(), 1)]);
        }
        let entries = std::fs::read_dir(self.0.join(kind.dirname())).unwrap().flatten();
        Ok(entries.map(|entry| (entry.file_name().to_str().unwrap().parse().unwrap(), 1)).collect())
    }
    fn read_full(&self, kind: FileType, id: &Id) -> RusticResult<Bytes> {
        Ok(std::fs::read(self.path(kind, id)).unwrap().into())
    }
    fn read_partial(&self, kind: FileType, id: &Id, _: bool, offset: u32, length: u32) -> RusticResult<Bytes> {
        Ok(self.read_full(kind, id)?.slice(offset as usize..(offset + length) as usize))
    }
    fn warmup_path(&self, _: FileType, _: &Id) -> String {
        String::new()
    }
}

impl WriteBackend for Folder {
    fn write_bytes(&self, kind: FileType, id: &Id, _: bool, content: BytesList) -> RusticResult<()> {
        let parts: Vec<u8> = content.into_vec().concat();
        std::fs::write(self.path(kind, id), parts).unwrap();
        Ok(())
    }
    fn remove(&self, _: FileType, _: &Id, _: bool) -> RusticResult<()> {
        unreachable!("nothing is removed")
    }
}

/// A vault with many snapshots of one tree: hours, days, turns of years, zones, hosts, tags, and a clock that was ahead.
async fn make_vault(repo: &Path, source: &Path) {
    std::fs::create_dir_all(source).unwrap();
    std::fs::write(source.join("file"), "x").unwrap();
    let vault = folder_vault(repo).await;
    vault.snapshot(dir(source), "/srv".into(), "x".into(), vec![], sink()).await.unwrap();
    let backends = RepositoryBackends::new(Arc::new(Folder(repo.to_owned())), None);
    let opened = Repository::new(&RepositoryOptions::default().no_cache(true), &backends).unwrap();
    let opened = opened.open(&Credentials::password(PASSWORD)).unwrap();
    let model: SnapshotFile = opened.get_all_snapshots().unwrap().remove(0);
    for entry in std::fs::read_dir(repo.join("snapshots")).unwrap().flatten() {
        std::fs::remove_file(entry.path()).unwrap();
    }
    let mut all = Vec::new();
    let mut add = |time: String, host: &str, tags: &[&str]| {
        let mut snapshot = model.clone();
        snapshot.time = time.parse().unwrap_or_else(|error| panic!("{time}: {error}"));
        snapshot.hostname = host.to_owned();
        snapshot.tags = StringList::default();
        for tag in tags {
            snapshot.tags.add((*tag).to_owned());
        }
        all.push(snapshot);
    };
    // Every five hours and some minutes over two weeks around a turn of the year with ISO week 53.
    for step in 0..70 {
        let hours = step * 5;
        let (day, hour) = (20 + hours / 24, hours % 24);
        let date = if day <= 31 { format!("2020-12-{day:02}") } else { format!("2021-01-{:02}", day - 31) };
        let tags: &[&str] = if step % 7 == 0 {
            &["weekly", "a"]
        } else if step % 5 == 0 {
            &["a"]
        } else {
            &[]
        };
        add(format!("{date}T{hour:02}:{:02}:07+00:00[UTC]", step % 60), "alpha", tags);
    }
    // Ends of months, where spans run over; other zones, where the day is another one.
    for (month, day) in [(1, 31), (2, 28), (3, 3), (3, 4), (3, 30), (3, 31), (5, 31), (7, 1), (10, 31), (12, 31)] {
        for year in [2018, 2019, 2021] {
            add(format!("{year}-{month:02}-{day:02}T23:30:00-08:00[-08:00]"), "beta", &["a"]);
            add(format!("{year}-{month:02}-{day:02}T00:30:00+05:30[+05:30]"), "beta", &[]);
        }
    }
    add("2031-03-31T12:00:00+00:00[UTC]".into(), "beta", &["ahead"]);
    add("2021-03-31T12:00:00+00:00[UTC]".into(), "gamma", &[]);
    add("2021-02-28T12:00:00+00:00[UTC]".into(), "gamma", &[]);
    add("2021-03-01T12:00:00+00:00[UTC]".into(), "gamma", &[]);
    add("2021-03-03T11:00:00+00:00[UTC]".into(), "gamma", &[]);
    add("2021-03-03T13:00:00+00:00[UTC]".into(), "gamma", &[]);
    opened.save_snapshots(all).unwrap();
}

/// What stock restic would keep, and why.
fn theirs(repo: &Path, args: &[&str]) -> BTreeMap<String, Vec<String>> {
    let text = restic(repo, &[&["forget", "--dry-run", "--json"], args].concat());
    let json = text.lines().find(|line| line.starts_with('[')).unwrap_or_else(|| panic!("{text}"));
    let groups: serde_json::Value = serde_json::from_str(json).unwrap();
    let mut kept = BTreeMap::new();
    for group in groups.as_array().unwrap() {
        for reason in group["reasons"].as_array().unwrap() {
            let id = reason["snapshot"]["id"].as_str().map(str::to_owned);
            let matches = reason["matches"].as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned());
            kept.insert(id.unwrap_or_else(|| key_of(&reason["snapshot"])), matches.collect());
        }
    }
    kept
}

/// restic 0.14 does not put ids into its reasons: time, host and tags name these snapshots as well.
fn key_of(snapshot: &serde_json::Value) -> String {
    format!("{} {}", snapshot["time"].as_str().unwrap(), snapshot["hostname"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_keep_what_stock_restic_keeps() {
    let scratch = tempfile::tempdir().unwrap();
    let repo = scratch.path().join("repo");
    make_vault(&repo, &scratch.path().join("src")).await;
    let upkeep = Upkeep::open(Arc::new(FolderStore(repo.clone())), Secret::new(PASSWORD.into())).await.unwrap();
    let names: BTreeMap<String, String> = {
        let listed: serde_json::Value = serde_json::from_str(&restic(&repo, &["snapshots", "--json"])).unwrap();
        listed.as_array().unwrap().iter().map(|one| (one["id"].as_str().unwrap().to_owned(), key_of(one))).collect()
    };
    assert_eq!(names.len(), 136);
    let none = KeepRules::default();
    let tags = |list: &[&str]| vec![list.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>()];
    let cases: Vec<(KeepRules, Vec<&str>)> = vec![
        (KeepRules { last: 3, ..none.clone() }, vec!["--keep-last", "3"]),
        (KeepRules { last: 500, ..none.clone() }, vec!["--keep-last", "500"]),
        (KeepRules { hourly: 9, ..none.clone() }, vec!["--keep-hourly", "9"]),
        (KeepRules { daily: 12, ..none.clone() }, vec!["--keep-daily", "12"]),
        (KeepRules { weekly: 4, ..none.clone() }, vec!["--keep-weekly", "4"]),
        (KeepRules { monthly: 14, ..none.clone() }, vec!["--keep-monthly", "14"]),
        (KeepRules { yearly: 2, ..none.clone() }, vec!["--keep-yearly", "2"]),
        (
            KeepRules { last: 2, hourly: 4, daily: 7, weekly: 3, monthly: 6, yearly: 9, ..none.clone() },
            "--keep-last 2 --keep-hourly 4 --keep-daily 7 --keep-weekly 3 --keep-monthly 6 --keep-yearly 9"
                .split(' ')
                .collect(),
        ),
        (KeepRules { within: Some("1m".parse().unwrap()), ..none.clone() }, vec!["--keep-within", "1m"]),
        (KeepRules { within: Some("1y5m7d2h".parse().unwrap()), ..none.clone() }, vec!["--keep-within", "1y5m7d2h"]),
        (
            KeepRules { within: Some("36h".parse().unwrap()), monthly: 2, ..none.clone() },
            vec!["--keep-within", "36h", "--keep-monthly", "2"],
        ),
        (
            KeepRules { last: 1, tags: tags(&["a", "weekly"]), ..none.clone() },
            vec!["--keep-last", "1", "--keep-tag", "a,weekly"],
        ),
        (KeepRules { last: 1, tags: tags(&["a"]), ..none.clone() }, vec!["--keep-last", "1", "--keep-tag", "a"]),
        (KeepRules { daily: 3, group_by: vec![], ..none.clone() }, vec!["--keep-daily", "3", "--group-by", ""]),
        (
            KeepRules { weekly: 3, group_by: vec![GroupBy::Tags], ..none.clone() },
            vec!["--keep-weekly", "3", "--group-by", "tags"],
        ),
        (
            KeepRules { monthly: 3, group_by: vec![GroupBy::Host, GroupBy::Tags], ..none },
            vec!["--keep-monthly", "3", "--group-by", "host,tags"],
        ),
    ];
    for (rules, args) in cases {
        let plan = upkeep.forget_plan(rules, sink()).await.unwrap();
        let kept = plan.groups.iter().flat_map(|group| &group.keep);
        let ours: BTreeMap<String, Vec<String>> =
            kept.map(|fate| (names[&fate.id].clone(), fate.reasons.clone())).collect();
        let theirs: BTreeMap<String, Vec<String>> =
            theirs(&repo, &args).into_iter().map(|(id, why)| (names.get(&id).cloned().unwrap_or(id), why)).collect();
        assert_eq!(ours, theirs, "{args:?}");
        assert_eq!(ours.len() + plan.removed().count(), names.len(), "{args:?}");
    }
    // What would leave a group with nothing is refused.
    let rules = KeepRules { tags: tags(&["no such tag"]), ..KeepRules::default() };
    assert_eq!(upkeep.forget_plan(rules, sink()).await.unwrap_err().code.unwrap().0, "LB0810");
}
