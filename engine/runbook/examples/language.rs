//! Prints `schemas/runbook.md`; `cargo xtask schemas` writes it.

fn main() {
    print!("{}", lifeboat_runbook::language::reference());
}
