//! Secrets: never in anything that Lifeboat writes, changed without a restart, and told by doctor.

use std::process::Command;

use crate::bench::{Bench, tree};

/// A secret that is easy to find, also in another form.
const CANARY: &str = "canary-6c1f0e5d9a7b4832-Zq";

/// The bench's operator file with the password from a command.
fn by_command(bench: &Bench) {
    let dir = bench.dir.path().display();
    let text = std::fs::read_to_string(bench.path("lifeboat.kdl")).unwrap();
    let command = format!("secret \"vault-password\" {{ command \"/bin/cat\" \"{dir}/password\" }}");
    bench.write("lifeboat.kdl", &text.replace("secret \"vault-password\" file=\"password\"", &command));
    bench.write("password", &format!("{CANARY}\n"));
}

fn base64(bytes: &[u8]) -> String {
    const SIGNS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for part in bytes.chunks_exact(3) {
        let sum = part.iter().fold(0usize, |sum, byte| (sum << 8) | usize::from(*byte));
        out.extend([18, 12, 6, 0].map(|shift| char::from(SIGNS[(sum >> shift) & 63])));
    }
    out
}

/// The canary in the forms in which it could slip out: as it is, in hex, in base64 at each of its three places, backwards.
fn forms() -> Vec<Vec<u8>> {
    let hex: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    let numbers = CANARY.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(", ");
    let mut forms = vec![CANARY.to_owned(), hex.to_uppercase(), hex, numbers, CANARY.chars().rev().collect()];
    forms.extend((0..3).map(|place| base64(&CANARY.as_bytes()[place..])));
    forms.into_iter().map(String::into_bytes).collect()
}

fn holds(bytes: &[u8]) -> bool {
    forms().iter().any(|form| bytes.windows(form.len()).any(|window| window == form))
}

#[test]
fn a_secret_is_in_nothing_that_is_written_or_printed() {
    let bench = Bench::new();
    by_command(&bench);
    assert!(holds(&std::fs::read(bench.path("password")).unwrap()), "the search finds what is there");
    let file = bench.runbook(
        "protect",
        r#"snapshot "take" of="live" into="vault"
    verify "prove" snapshot="{{steps.take.snapshot}}" depth="data""#,
    );
    let mut printed = Vec::new();
    let mut run = |args: &[&str], code: i32| {
        let output = bench.command(args).env("LIFEBOAT_LOG", "trace").output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        printed.push((args.join(" "), [output.stdout.clone(), output.stderr].concat()));
        String::from_utf8(output.stdout).unwrap()
    };
    run(&["run", "-y", &file], 0);
    let first = bench.newest();
    // The vault's password is another one now, so this one is refused; then its command fails, and says it aloud.
    bench.write("password", &format!("{CANARY}-wrong\n"));
    run(&["run", "-y", &file], 1);
    let second = bench.newest();
    bench.write("loud.sh", "cat \"$1\" >&2\ncat \"$1\"\nexit 3\n");
    let operator = std::fs::read_to_string(bench.path("lifeboat.kdl")).unwrap();
    let dir = bench.dir.path().display();
    let loud = format!("\"/bin/sh\" \"{dir}/loud.sh\" \"{dir}/password\"");
    bench.write("lifeboat.kdl", &operator.replace(&format!("\"/bin/cat\" \"{dir}/password\""), &loud));
    run(&["run", "-y", &file], 1);
    let third = bench.newest();
    assert!(run(&["events", &third], 0).contains("LB0415"));
    assert!(run(&["doctor"], 1).contains("BAD secret vault-password (command /bin/sh): LB0415"));
    bench.write("lifeboat.kdl", &operator);
    assert!(run(&["doctor"], 0).contains("ok  secret vault-password (command /bin/cat) can be read"));
    run(&["snapshots", "vault", "--runbook", &file], 2);
    run(&["plan", &file, "--format", "json"], 0);
    run(&["runs", "--json"], 0);
    for id in [&first, &second, &third] {
        run(&["events", id], 0);
        run(&["show", id, "--json"], 0);
        run(&["report", id], 0);
    }
    for (what, bytes) in &printed {
        assert!(!holds(bytes), "{what} shows the secret");
    }
    let mut files = 0;
    for (path, bytes) in tree(bench.dir.path()).into_iter().filter(|(path, _)| path.as_os_str() != "password") {
        assert!(!holds(&bytes), "{} holds the secret", path.display());
        files += 1;
    }
    assert!(files > 50, "only {files} files were looked at");
}

#[test]
fn a_changed_password_is_used_by_the_next_attempt_of_the_same_process() {
    for command in [true, false] {
        let bench = Bench::new();
        if command {
            by_command(&bench);
        }
        let file = bench.runbook(
            "protect",
            r#"snapshot "first" of="live" into="vault"
    wait "pause" for="6s" after="first"
    snapshot "second" of="live" into="vault" after="pause""#,
        );
        let mut child = bench.start(&["run", "-y", &file]);
        bench.wait_for("pause");
        bench.write("new-password", "another horse\n");
        let mut restic = Command::new("restic");
        restic.args(["--no-cache", "-r"]).arg(bench.path("vault")).args(["key", "passwd", "--new-password-file"]);
        restic.arg(bench.path("new-password")).env("RESTIC_PASSWORD_FILE", bench.path("password"));
        let output = restic.output().expect("stock restic is needed: apt-get install restic");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::rename(bench.path("new-password"), bench.path("password")).unwrap();
        let status = child.wait().unwrap();
        let log = std::fs::read_to_string(bench.path("background.log")).unwrap();
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(!log.contains("LB0801"), "{log}");
    }
}
