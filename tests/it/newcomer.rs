//! What somebody meets in the first hour: told at once, with the line to add, and never with a secret in it.

use crate::bench::Bench;

const TAKE: &str = r#"snapshot "take" of="live" into="vault""#;

#[test]
fn a_journal_is_encrypted_only_where_the_next_command_can_open_it() {
    let bench = Bench::new();
    let file = bench.runbook("protect", TAKE);
    bench.run(&["run", "-y", &file]).expect(0);
    let refused = bench.run(&["journal", "encrypt"]).expect(2).says("LB0616").says("nothing was changed");
    refused.says("journal encrypt=\"journal-key\"").says("secret \"journal-key\"");
    bench.run(&["runs"]).expect(0).says("protect");
    let operator = std::fs::read_to_string(bench.path("lifeboat.kdl")).unwrap();
    bench.write("key", "a long key of the journal");
    bench.write(
        "lifeboat.kdl",
        &format!("{operator}secret \"journal-key\" file=\"key\"\njournal encrypt=\"journal-key\"\n"),
    );
    bench.run(&["journal", "encrypt"]).expect(0).says("the journal is encrypted");
    bench.run(&["runs"]).expect(0).says("protect");
    bench.run(&["journal", "encrypt"]).expect(2).says("LB0619").says("it is encrypted already");
}

#[test]
fn secrets_are_listed_and_one_in_the_open_is_never_printed() {
    let bench = Bench::new();
    let listed = bench.run(&["plugin", "inspect", "s3"]).expect(0);
    listed.says("secret-key secret=\"NAME\"").says("credentials secret=\"NAME\"").says("password secret=\"NAME\"");
    bench.run(&["plugin", "inspect", "azure-blob"]).expect(0).says("account-key secret=\"NAME\"");
    for (setting, help) in [
        ("secret-key \"hunter-in-the-open\"", "secret-key secret=\"NAME\""),
        ("secret-kye \"hunter-in-the-open\"", "secret-key secret=\"NAME\""),
        ("password \"hunter-in-the-open\"", "password secret=\"NAME\""),
        ("quite-another \"x\"", "session-token"),
    ] {
        let text = format!(
            "runbook \"x\" {{\n    objectives rto=\"15m\" rpo=\"5m\" mtpd=\"4h\"\n    target \"vault\" plugin=\"s3\" {{\n        \
             bukket \"b\"\n        {setting}\n        prefix 7\n    }}\n    {TAKE}\n}}\n"
        );
        bench.write("x.kdl", &text);
        for command in ["check", "plan"] {
            let refused = bench.run(&[command, "x.kdl"]).expect(2).says("LB0213").says(help);
            let all = format!("{}{}", refused.out, refused.err);
            assert!(!all.contains("hunter"), "{command} {setting}: {all}");
        }
    }
}

#[test]
fn a_plan_tells_at_once_what_it_needs() {
    let bench = Bench::new();
    let file = bench.runbook("protect", TAKE);
    let whole = bench.run(&["plan", &file]).expect(0);
    assert!(!whole.out.contains("needed before"), "{}", whole.out);
    bench.write("lifeboat.kdl", "");
    let dir = bench.dir.path().display();
    let plan = bench.run(&["plan", &file]).expect(0).says("needed before it can run");
    let plan = plan.says(&format!("grant \"fs\" target=\"live\" {{ dir \"{dir}/estate/live\" }}"));
    let plan = plan.says(&format!("grant \"fs\" target=\"vault\" {{ dir \"{dir}/vault\" write=#true }}"));
    plan.says("secret \"vault-password\" file=\"PATH\"");
    let needed = bench.run(&["plan", &file, "--json"]).expect(0).json()["needed"].as_array().unwrap().len();
    assert_eq!(needed, 3);
    // With these lines it runs.
    let lines = format!(
        "grant \"fs\" target=\"live\" {{ dir \"{dir}/estate/live\" }}\n\
         grant \"fs\" target=\"vault\" {{ dir \"{dir}/vault\" write=#true }}\nsecret \"vault-password\" file=\"password\"\n"
    );
    bench.write("lifeboat.kdl", &lines);
    bench.run(&["run", "-y", &file]).expect(0);
    // A vault without a password is told of, too.
    let text = std::fs::read_to_string(bench.path(&file)).unwrap();
    bench.write("bare.kdl", &text.replace("; password secret=\"vault-password\"", ""));
    bench.run(&["plan", "bare.kdl"]).expect(0).says("target \"vault\" in the runbook: password secret=\"NAME\"");
}

#[test]
fn a_grant_to_a_misspelt_plugin_is_warned_of() {
    let bench = Bench::new();
    let operator = std::fs::read_to_string(bench.path("lifeboat.kdl")).unwrap();
    bench.write("lifeboat.kdl", &format!("{operator}grant \"azure-blb\" {{ host \"x.example\" }}\n"));
    let file = bench.runbook("protect", TAKE);
    for command in [&["doctor"][..], &["plan", &file]] {
        bench.run(command).expect(0).says("'azure-blb'").says("did you mean 'azure-blob'?");
    }
}

#[test]
fn a_server_that_is_away_is_no_defect_of_the_program() {
    let bench = Bench::new();
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    bench.write(
        "lifeboat.kdl",
        &format!(
            "http sends=1\nsecret \"vault-password\" file=\"password\"\nsecret \"key\" file=\"password\"\n\
             grant \"s3\" {{ host \"127.0.0.1\" port={port} plain=#true }}\ngrant \"fs\" {{ dir \"estate\" }}\n"
        ),
    );
    let dir = bench.dir.path().display();
    bench.write(
        "away.kdl",
        &format!(
            "runbook \"away\" {{\n objectives rto=\"15m\" rpo=\"5m\" mtpd=\"4h\"\n\
             target \"live\" plugin=\"fs\" {{ root \"{dir}/estate/live\" }}\n\
             target \"vault\" plugin=\"s3\" {{ endpoint \"http://127.0.0.1:{port}\"; bucket \"gone\"; access-key \"A\"; \
             secret-key secret=\"key\"; password secret=\"vault-password\" }}\n {TAKE}\n}}\n"
        ),
    );
    for command in [&["vault", "check"][..], &["snapshots"]] {
        let told = bench.run(&[command, &["vault", "--runbook", "away.kdl"]].concat()).expect(1).says("LB0723");
        told.says("look at the server, at the way to it");
    }
}
