//! The table of clauses.

use super::story;
use crate::clauses::{as_csv, as_markdown, rows};
use crate::facts::of;
use crate::{Facts, Witness};
use lifeboat_core::plan::{Mode, Plan};

async fn case(change: impl Fn(&mut Facts, &mut Plan)) -> (Facts, Plan) {
    let (mut facts, state) = of(&story().await, &Witness::default()).unwrap();
    let mut plan = (*state.plan).clone();
    change(&mut facts, &mut plan);
    (facts, plan)
}

#[tokio::test]
async fn each_clause_says_what_is_shown_and_what_is_not() {
    let (facts, plan) = case(|_, _| {}).await;
    let rows = rows(&facts, &plan, 30);
    let clauses: Vec<&str> = rows.iter().map(|row| row.clause).collect();
    assert_eq!(
        clauses,
        [
            "Article 11(3)",
            "Article 11(6)",
            "Article 11(8)",
            "Article 12(1)",
            "Article 12(2)",
            "Article 12(3)",
            "Article 12(6)",
            "Article 12(7)",
            "8.4",
            "8.5",
            "9.1",
            "A1.2",
            "A1.3"
        ]
    );
    // No single run proves a whole clause.
    assert!(rows.iter().all(|row| !row.lacks.is_empty()));
    let drill = &rows[1].shows[0];
    assert!(drill.contains("drill, succeeded") && drill.contains("2023-11-14 22:13:20 UTC"), "{drill}");
    assert!(rows[6].shows.iter().any(|text| text == "data loss measured: at most 0 ms, within the objective"));
}

#[tokio::test]
async fn a_run_in_earnest_is_no_test() {
    let (facts, plan) = case(|facts, _| facts.mode = Mode::Failover).await;
    let rows = rows(&facts, &plan, 30);
    for at in [1, 9, 12] {
        assert!(rows[at].shows.is_empty() && rows[at].lacks[0].starts_with("a test: this run is a failover"), "{at}");
    }
}

#[tokio::test]
async fn hostile_names_stay_names() {
    let (facts, plan) = case(|facts, _| facts.runbook = "=cmd|' /C x'!A0\n<img src=x>\"".into()).await;
    let rows = rows(&facts, &plan, 30);
    let markdown = as_markdown(&facts, &rows);
    assert!(
        !markdown.contains("<img") && markdown.lines().filter(|line| line.starts_with('|')).count() == 2 + rows.len()
    );
    for line in markdown.lines().filter(|line| line.starts_with('|')) {
        assert_eq!(line.replace("\\|", "").matches('|').count(), 6, "{line}");
    }
    let csv = as_csv(&rows);
    assert_eq!(csv.lines().count(), 1 + rows.len());
    assert!(csv.lines().all(|line| line.starts_with('"') && line.ends_with('"') && !line.contains("\"=cmd")));
}
