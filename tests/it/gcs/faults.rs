//! What goes wrong: a key that the account does not know, a token that is none, a bucket that vanishes, a service that is busy.

use super::{Gate, bench, target};
use crate::bench::tree;
use crate::remote::{RECOVER, VAULT, heavy, operator, runbook};

#[test]
fn a_wrong_key_is_told_and_never_printed() {
    let gate = Gate::start();
    let bench = bench(&gate);
    gate.make("keys", false);
    let vault = target("vault", &gate, "keys", VAULT);
    let file = runbook(&bench, "keys", &vault, r#"snapshot "take" of="live" into="vault""#);
    let wrong = gate.key_file("stranger");
    bench.write("gcs-key", &wrong);
    let ran = bench.run(&["run", "-y", &file]).expect(1).says("LB0724").says("it answered 401");
    let events = bench.run(&["events", &bench.newest()]).expect(0);
    let line = std::fs::read_to_string(gate.dir.path().join("stranger.pem")).unwrap();
    let line = line.lines().nth(3).unwrap();
    for text in [&ran.out, &ran.err, &events.out] {
        assert!(!text.contains(line), "{text}");
    }
    // The secret is read anew: the same run goes on with the right one.
    bench.write("gcs-key", &gate.key_file("account"));
    bench.run(&["run", "-y", &file]).expect(0);
    assert!(!gate.remote().objects("keys").is_empty());
}

#[test]
fn a_token_that_is_none_is_refused_with_what_to_do() {
    let gate = Gate::start();
    let bench = bench(&gate);
    operator(&bench, "secret \"token\" file=\"token\"\n");
    bench.write("token", "aTokenThatNobodyGave");
    gate.make("tokens", false);
    let vault =
        target("vault", &gate, "tokens", VAULT).replace("credentials secret=\"gcs-key\"", "token secret=\"token\"");
    let file = runbook(&bench, "tokens", &vault, r#"snapshot "take" of="live" into="vault""#);
    let ran = bench.run(&["run", "-y", &file]).expect(1).says("401").says("look at the secrets of the target");
    assert!(!ran.out.contains("aTokenThat") && !ran.err.contains("aTokenThat"));
}

#[test]
fn a_bucket_that_vanishes_is_named_and_no_vault_is_made_elsewhere() {
    let gate = Gate::start();
    let (bench, remote) = (bench(&gate), gate.remote());
    gate.make("fleeting", false);
    let vault = target("vault", &gate, "fleeting", VAULT);
    let file = runbook(&bench, "take", &vault, r#"snapshot "take" of="live" into="vault""#);
    bench.run(&["run", "-y", &file]).expect(0);
    remote.told(&["purge", &remote.place("fleeting")]);
    let check = runbook(&bench, "check", &vault, r#"verify "prove" snapshot="latest" from="vault""#);
    for file in [&check, &file] {
        bench.run(&["run", "-y", file]).expect(1).says("the bucket is not there");
    }
    assert!(gate.behind("GET", "/storage/v1/b/fleeting", "").starts_with("HTTP/1.1 404"), "nothing made it anew");
}

#[test]
fn a_service_that_is_busy_now_and_then_is_asked_again() {
    let gate = Gate::busy();
    let bench = bench(&gate);
    gate.make("busy", false);
    heavy(&bench, 12);
    let vault = target("vault", &gate, "busy", &format!("chunk-mib 1; {VAULT}"));
    let file = runbook(&bench, "recover", &vault, RECOVER);
    bench.run(&["run", "-y", &file]).expect(0).says("succeeded");
    assert_eq!(tree(&bench.path("estate/live")), tree(&bench.path("estate/back")));
    let all = bench.run(&["snapshots", "vault", "--runbook", &file, "--json"]).expect(0).json();
    assert_eq!(all.as_array().unwrap().len(), 1);
    let listed = gate.behind("GET", "/storage/v1/b/busy/o?prefix=vault/snapshots/", "");
    assert_eq!(listed.matches("\"mediaLink\"").count(), 1, "{listed}");
}
