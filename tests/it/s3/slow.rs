//! Servers that are busy, slow, silent, or break off: what passes is waited for, what does not ends in bounded time.

use std::time::{Duration, Instant};

use lifeboat_servers::{Act, Fault};

use super::shared;
use super::way::{RECOVER, Way};

const LATER: Act = Act::Answer("503 Slow Down", "retry-after: 1", "<Error><Code>SlowDown</Code></Error>");

#[test]
fn a_busy_server_is_asked_again_when_it_says_and_no_step_notices() {
    let way = Way::new(&shared(), 6);
    // It may ask for a second: that is longer than the bench's longest pause.
    let operator = std::fs::read_to_string(way.bench.path("lifeboat.kdl")).unwrap();
    way.bench.write("lifeboat.kdl", &operator.replace("pause=\"300ms\"", "pause=\"5s\""));
    let struck = [
        way.proxy.fault(Fault::on("PUT", "/data/", LATER).times(1)),
        way.proxy.fault(Fault::on("GET", "list-type", Act::Answer("429 Too Many", "", "")).after(3).times(1)),
        way.proxy.fault(Fault::on("PUT", "/snapshots/", Act::Answer("500 Oh", "", "")).times(2)),
        way.proxy.fault(Fault::on("GET", "/index/", Act::Answer("502 Bad Gateway", "", "<html>")).times(1)),
        way.proxy.fault(Fault::on("DELETE", "/locks/", Act::Answer("504 Late", "", "")).times(1)),
    ];
    let file = way.file("busy", RECOVER);
    let begun = Instant::now();
    way.run(&file).expect(0);
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!(struck.map(|one| one.count()), [1, 1, 2, 1, 1]);
    assert_eq!(["take", "prove", "rebuild"].map(|step| way.attempts(step)), [1, 1, 1]);
    way.whole(&file);
}

#[test]
fn a_server_that_stays_busy_fails_the_step_and_a_retry_goes_on() {
    let way = Way::new(&shared(), 6);
    way.proxy.fault(Fault::on("PUT", "/data/", LATER));
    let file = way.file("busy", RECOVER);
    let begun = Instant::now();
    way.run(&file).expect(1).says("SlowDown").says("take");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    way.proxy.heal();
    assert_eq!(way.snapshots(&file), 0, "a failed snapshot is none");
    way.retry("take").expect(0).says("succeeded");
    way.whole(&file);
}

#[test]
fn answers_that_break_off_are_asked_for_again() {
    let way = Way::new(&shared(), 6);
    let struck = [
        way.proxy.fault(Fault::on("GET", "/data/", Act::Cut(1_000)).times(3)),
        way.proxy.fault(Fault::on("GET", "list-type", Act::Cut(30)).after(2).times(2)),
        way.proxy.fault(Fault::on("GET", "/snapshots/", Act::Cut(0)).times(1)),
        way.proxy.fault(Fault::on("GET", "/index/", Act::Cut(7)).times(2)),
    ];
    let file = way.file("cut", RECOVER);
    way.run(&file).expect(0);
    assert_eq!(struck.map(|one| one.count()), [3, 2, 1, 2]);
    assert_eq!(["take", "prove", "rebuild"].map(|step| way.attempts(step)), [1, 1, 1]);
    way.whole(&file);
}

#[test]
fn answers_that_are_lost_double_nothing() {
    let way = Way::new(&shared(), 6);
    let struck = ["/keys/", "/config", "/data/", "/index/", "/snapshots/", "/locks/"]
        .map(|part| way.proxy.fault(Fault::on("PUT", part, Act::Lose).times(1)));
    let gone = way.proxy.fault(Fault::on("DELETE", "/locks/", Act::Lose).times(1));
    let file = way.file("lost", RECOVER);
    way.run(&file).expect(0);
    assert!(struck.iter().all(|one| one.count() == 1) && gone.count() == 1);
    assert_eq!(way.attempts("take"), 1);
    way.whole(&file);
}

#[test]
fn a_snapshot_whose_answers_are_all_lost_is_looked_for_and_not_taken_twice() {
    let way = Way::new(&shared(), 4);
    way.proxy.fault(Fault::on("PUT", "/snapshots/", Act::Lose));
    let file = way.file("doubt", RECOVER);
    way.run(&file).expect(0);
    assert_eq!(way.attempts("take"), 1, "it is there, and the step says so");
    way.whole(&file);
}

#[test]
fn a_server_that_is_gone_behind_a_lost_answer_leaves_the_step_in_doubt_until_it_is_back() {
    let way = Way::new(&shared(), 4);
    way.proxy.fault(Fault::on("PUT", "/snapshots/", Act::Lose));
    let file = way.file("doubt", RECOVER);
    let mut child = way.bench.start(&["run", "-y", &file]);
    way.wait_for("/vault/snapshots/", 1);
    way.proxy.fault(Fault::on("*", "", Act::Refuse));
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(3), "nobody can know, and a person is asked: {}", way.log());
    way.proxy.heal();
    let events = way.bench.events();
    let probed = events.iter().find(|event| event["event"] == "probed" && event["step"] == "take").unwrap();
    assert_eq!(probed["answer"], "cannot-tell");
    way.retry("take").expect(0).says("succeeded");
    // It could not give its lock back.
    way.bench.run(&["vault", "unlock", "vault", "--runbook", &file]).expect(0);
    way.whole(&file);
}

#[test]
fn heads_and_bodies_that_drip_and_servers_that_say_nothing_are_given_up_and_asked_again() {
    let way = Way::new(&shared(), 6);
    let pause = Duration::from_millis(40);
    let struck = [
        way.proxy.fault(Fault::on("PUT", "/data/", Act::Stall).times(1)),
        way.proxy.fault(Fault::on("GET", "/data/", Act::DripHead(pause)).times(1)),
        way.proxy.fault(Fault::on("GET", "/data/", Act::DripBody(pause)).times(1)),
        way.proxy.fault(Fault::on("GET", "/snapshots/", Act::Stall).times(1)),
        way.proxy.fault(Fault::on("GET", "list-type", Act::DripBody(pause)).after(4).times(1)),
    ];
    let file = way.file("slow", RECOVER);
    let begun = Instant::now();
    way.run(&file).expect(0);
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
    assert_eq!(struck.map(|one| one.count()), [1, 1, 1, 1, 1]);
    assert_eq!(["take", "prove", "rebuild"].map(|step| way.attempts(step)), [1, 1, 1]);
    way.whole(&file);
}

#[test]
fn a_server_that_only_drips_fails_the_step_in_bounded_time() {
    let way = Way::new(&shared(), 4);
    way.proxy.fault(Fault::on("GET", "/data/", Act::DripBody(Duration::from_millis(40))));
    let file = way.file("drip", RECOVER);
    let begun = Instant::now();
    way.run(&file).expect(1).says("LB0723").says("bytes came in 1000 ms");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    way.proxy.heal();
    way.retry("prove").expect(0).says("succeeded");
    way.whole(&file);
}
