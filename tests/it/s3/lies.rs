//! Bytes that change on their way, and servers that speak of other bytes than they were sent.

use lifeboat_servers::{Act, Fault};

use super::way::{PATIENT, RECOVER, Way};
use super::{make_bucket, put, runbook, shared, target, told};
use crate::bench::attempts;

#[test]
fn bits_that_turn_on_the_way_here_are_found_and_read_again() {
    let way = Way::new(&shared(), 6);
    let mut struck = Vec::new();
    for (part, at) in [("/data/", 5_000), ("/index/", 40), ("/snapshots/", 40), ("/config", 40), ("/locks/", 40)] {
        struck.push(way.proxy.fault(Fault::on("GET", part, Act::Flip(at)).times(2)));
    }
    let file = way.file("flipped", RECOVER);
    way.run(&file).expect(0);
    assert!(struck.iter().all(|one| one.count() > 0), "{struck:?}");
    assert_eq!(["take", "prove", "rebuild"].map(|step| way.attempts(step)), [1, 1, 1]);
    way.whole(&file);
}

#[test]
fn what_is_damaged_at_the_server_is_called_damaged() {
    let way = Way::new(&shared(), 4);
    let file = way.file("flipped", RECOVER);
    way.proxy.fault(Fault::on("GET", "/data/", Act::Flip(5_000)));
    way.run(&file).expect(1).says("prove").says("its seal is broken");
    way.proxy.heal();
    way.retry("prove").expect(0).says("succeeded");
    way.whole(&file);
}

#[test]
fn bits_that_turn_on_the_way_there_are_refused_and_sent_again() {
    let way = Way::new(&shared(), 6);
    let struck = ["/data/", "/index/", "/snapshots/"]
        .map(|part| way.proxy.fault(Fault::on("PUT", part, Act::FlipSent(100)).times(1)));
    let file = way.file("flipped", PATIENT);
    way.run(&file).expect(0);
    assert!(struck.iter().all(|one| one.count() == 1), "{struck:?}");
    assert!(way.attempts("take") > 1);
    way.whole(&file);
}

#[test]
fn a_server_that_says_it_stored_something_else_is_not_believed() {
    let way = Way::new(&shared(), 6);
    let lie = Act::Header("x-amz-checksum-crc32c", "AAAAAA==");
    let struck = way.proxy.fault(Fault::on("PUT", "/data/", lie).times(1));
    let file = way.file("lied", RECOVER);
    way.run(&file).expect(1).says("LB0740").says("stored other bytes");
    assert_eq!(struck.count(), 1);
    way.retry("take").expect(0).says("succeeded");
    way.whole(&file);
}

#[test]
fn a_part_whose_tag_is_a_lie_is_never_put_together() {
    let way = Way::new(&shared(), 12);
    let lie = Act::Header("etag", "\"00000000000000000000000000000000\"");
    let struck = way.proxy.fault(Fault::on("PUT", "partNumber=1", lie).times(1));
    let file = way.file_with("parts", "part-mib 5", PATIENT);
    way.run(&file).expect(0);
    assert_eq!(struck.count(), 1);
    assert!(way.attempts("take") > 1);
    way.whole(&file);
    let left = told(&way.direct, &["backend", "list-multipart-uploads", &format!(":s3:{}", way.bucket)]);
    assert!(!left.contains("UploadId"), "parts stay behind: {left}");
}

/// A copy whose bytes pass this machine, as between two providers.
#[test]
fn a_copy_between_servers_is_what_the_first_one_has() {
    let direct = shared();
    let way = Way::new(&direct, 1);
    let (from, to) = (format!("{}-from", way.bucket), format!("{}-to", way.bucket));
    make_bucket(&direct, &from, true);
    make_bucket(&direct, &to, false);
    let text = "0123456789abcdef".repeat(20_000);
    put(&way.bench, &direct, &format!("{from}/a.bin"), &text);
    put(&way.bench, &direct, &format!("{from}/b.bin"), &text.to_uppercase());
    let port = direct.endpoint.rsplit(':').next().unwrap();
    let operator = std::fs::read_to_string(way.bench.path("lifeboat.kdl")).unwrap();
    let grant = format!("grant \"s3\" {{ host \"127.0.0.1\" port={port} plain=#true }}\n");
    way.bench.write("lifeboat.kdl", &(operator + &grant));
    let targets = target("from", &way.proxied, 0, &from, "")
        + &target("points", &way.proxied, 0, &from, "")
        + &target("to", &direct, 0, &to, "");
    let steps = r#"snapshot "take" of="from" into="points"
        verify "prove" snapshot="{{steps.take.snapshot}}" depth="index"
        restore "rebuild" snapshot="{{steps.prove.snapshot}}" into="to" { retry 4 backoff="100ms" }"#;
    let struck = [
        way.proxy.fault(Fault::on("GET", "/a.bin", Act::Flip(70_000)).times(1)),
        way.proxy.fault(Fault::on("GET", "/b.bin", Act::Cut(70_000)).times(1)),
    ];
    let file = runbook(&way.bench, "copy", &targets, steps);
    way.run(&file).expect(0);
    assert_eq!(struck.map(|one| one.count()), [1, 1]);
    assert!(attempts(&way.bench.events(), "rebuild") > 1);
    assert!(told(&direct, &["cat", &format!(":s3:{to}/a.bin")]) == text);
    assert!(told(&direct, &["cat", &format!(":s3:{to}/b.bin")]) == text.to_uppercase());
}
