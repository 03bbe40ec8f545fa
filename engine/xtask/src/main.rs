//! `cargo xtask …`: everything that is done to this repository besides building it, one entry each.
//!
//! It depends on little and on nothing of the engine, so that it builds in seconds on a fresh machine.

use std::process::ExitCode;

mod bench;
mod campaign;
mod ci;
mod deny;
mod functions;
mod fuzz;
mod plugins;
mod schemas;
mod servers;
mod shell;
mod spdx;
mod suite;
mod tidy;

const HELP: &str = "\
cargo xtask COMMAND

  test              install what the tests need (it says what), then run all of them
  ci                every check there is: tidy, fmt, clippy, deny, plugins, test, schemas, fuzz, campaign, demo, readme
  ci STAGE…         only these
  tidy              the house rules: lengths of files and functions, module docs, forbidden words
  deny              licences, duplicate dependencies and advisories, by deny.toml
  plugins           build plugins/dist from the sources
  plugins --check   tell whether plugins/dist still fits the sources; builds nothing
  plugins --rebuild build again and compare with plugins/dist, byte for byte
  schemas           write the generated files of schemas/
  schemas --check   tell whether schemas/ still fits the sources
  servers …         the real servers of the tests, for a person: up NAME…, down, ls, install
  fuzz [NAME…] [S]  build the fuzz targets and run them, or these, for S seconds each (60); no nightly compiler is needed
  bench NAME…       run benchmarks; each prints its figure and its physical limit
  campaign          list the campaigns that break the engine on purpose
  campaign NAME…    run one: cut, inject, sim, mutants, kill, power, inject-io; each finding comes with its command
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        ["test"] => suite::run(),
        ["ci", stages @ ..] => ci::run(stages),
        ["tidy"] => tidy::run(),
        ["deny"] => deny::run(),
        ["plugins"] => plugins::build(),
        ["plugins", "--check"] => plugins::check(false),
        ["plugins", "--rebuild"] => plugins::check(true),
        ["schemas"] => schemas::write(),
        ["schemas", "--check"] => schemas::check(),
        ["fuzz", names @ ..] => fuzz::command(names),
        ["bench", names @ ..] if !names.is_empty() => bench::run(names),
        ["servers", rest @ ..] => servers::run(rest),
        ["campaign", rest @ ..] => campaign::run(rest),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(format!("there is no '{}'\n\n{HELP}", other.join(" "))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}
