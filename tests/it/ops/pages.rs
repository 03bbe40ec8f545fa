//! Completions in real shells, and manual pages before real readers of them.

use std::fs;
use std::process::Command;

use super::judged;
use crate::bench::Bench;

#[test]
fn shells_take_their_completions() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = bench.run(&["completions", shell]).expect(0).out;
        assert!(script.contains("snapshots") && script.contains("mark-done"), "{shell}: {script}");
        bench.write(&format!("completions.{shell}"), &script);
    }
    // What the shell would offer for these words.
    let path = |shell: &str| bench.path(&format!("completions.{shell}")).display().to_string();
    let bash = format!(
        "set -eu; source {}; COMP_WORDS=(lifeboat tok); COMP_CWORD=1; _lifeboat lifeboat tok lifeboat; echo \"${{COMPREPLY[*]}}\"; \
         COMP_WORDS=(lifeboat token re); COMP_CWORD=2; _lifeboat lifeboat re token; echo \"${{COMPREPLY[*]}}\"",
        path("bash")
    );
    assert_eq!(judged(Command::new("bash").args(["--norc", "-c", &bash])), "token\nrevoke\n");
    let zsh = format!(
        "autoload -U compinit && compinit -D -d {}/dump && source {} && whence -w _lifeboat",
        bench.dir.path().display(),
        path("zsh")
    );
    assert_eq!(judged(Command::new("zsh").args(["-f", "-c", &zsh])), "_lifeboat: function\n");
    let fish = format!("source {}; complete -C 'lifeboat token re'", path("fish"));
    let offered = judged(Command::new("fish").args(["--no-config", "-c", &fish]).env("HOME", bench.dir.path()));
    assert!(offered.starts_with("revoke\t"), "{offered}");
    bench.run(&["completions", "csh"]).expect(2);
}

#[test]
fn there_is_a_page_for_each_command_and_readers_have_nothing_against_it() {
    let bench = Bench::new();
    bench.run(&["man", "man/man1"]).expect(0).says("pages");
    let pages: Vec<_> = fs::read_dir(bench.path("man/man1")).unwrap().map(|page| page.unwrap().path()).collect();
    let names: Vec<String> =
        pages.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    for expected in
        ["lifeboat.1", "lifeboat-serve.1", "lifeboat-token-create.1", "lifeboat-vault-prune.1", "lifeboat-man.1"]
    {
        assert!(names.iter().any(|name| name == expected), "{expected} is not in {names:?}");
    }
    // Each command of the help has its page.
    let help = bench.run(&["--help"]).expect(0).out;
    let commands = help.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    let named = commands.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    for command in named.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help") {
        assert!(names.contains(&format!("lifeboat-{command}.1")), "'{command}' has no page");
    }
    for page in &pages {
        let read = |command: &mut Command| judged(command.arg(page).env("MANWIDTH", "100"));
        assert_eq!(
            read(Command::new("man").args(["--warnings", "--local-file", "--encoding=UTF-8", "-Tutf8", "-P", "true"]))
                .lines()
                .filter(|line| line.contains("warning"))
                .count(),
            0
        );
        // Without a date on purpose: the pages are the same for the same program. The rest is how clap's maker writes them.
        let lint = Command::new("mandoc").args(["-Tlint", "-Wwarning"]).arg(page).output().unwrap();
        let text = String::from_utf8_lossy(&lint.stdout).into_owned();
        let odd: Vec<&str> = text.lines().filter(|line| !line.contains("missing date")).collect();
        assert!(odd.is_empty(), "{odd:#?}");
    }
    let page = judged(Command::new("man").arg("--local-file").arg(bench.path("man/man1/lifeboat-token-create.1")));
    assert!(page.contains("lifeboat-token-create") && page.contains("--failover"), "{page}");
}
