//! Simulations of runbooks: what nobody handles is listed, and the exit status says whether there is anything.

use crate::bench::Bench;

#[test]
fn unhandled_branches_are_listed() {
    let bench = Bench::new();
    let dir = bench.dir.path().display().to_string();
    let steps = |more: &str| {
        format!(
            r#"target "service" plugin="fs" {{ root "{dir}/estate" }}
    verify "prove" snapshot="latest" from="vault"
    restore "rebuild" snapshot="{{{{steps.prove.snapshot}}}}" into="back"
    approve "go" role="commander" after="rebuild"
    switch "cutover" target="service" after="go" {{ link "current"; to "back" }}
    validate "smoke" target="back" after="cutover" {{ expect "file" path="db/empty.dat" }}
    {more}"#
        )
    };
    let file = bench.runbook("recover", &steps(""));
    let told = bench.run(&["simulate", &file]).expect(1);
    let told = told
        .says("waits for ever    go")
        .says("left behind       cutover: when smoke fails")
        .says("on-failure { compensate }");
    told.says("cases played (5 steps");
    let json = bench.run(&["simulate", &file, "--json"]).expect(1).json();
    assert_eq!((&json["played"], &json["branches"][0]["gap"]), (&json["possible"], &"left-behind".into()));
    let better = steps("on-failure { compensate }")
        .replace("role=\"commander\"", "role=\"commander\" timeout=\"30m\"")
        .replace("to \"back\" }", "to \"back\"; compensate { retry 3 backoff=\"1s\" } }");
    let file = bench.runbook("better", &better);
    bench.run(&["simulate", &file]).expect(0).says("every branch is handled");
    // Roles that nobody has do not keep it from being looked at.
    let operator = std::fs::read_to_string(bench.path("lifeboat.kdl")).unwrap();
    bench.write("lifeboat.kdl", &format!("{operator}\nrole \"auditor\" \"eve\"\n"));
    bench.run(&["plan", &file]).expect(2).says("LB0509");
    bench.run(&["simulate", &file]).expect(1).says("nobody may answer go");
    bench.run(&["simulate", &file, "--cases", "0"]).expect(2).says("LB0912");
    let few = bench.run(&["simulate", &file, "--cases", "5", "--seed", "7"]).expect(1);
    few.says("5 of").says("drawn with seed 7");
    assert!(!bench.path(".lifeboat").exists(), "nothing was started");
}
