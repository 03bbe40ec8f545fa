//! `init`: an operator's file to start from.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use lifeboat_core::Error;

use crate::exit::Exit;
use crate::world::World;

const TEXT: &str = include_str!("init.kdl");

/// Writes the file, and a folder for runbooks. Nothing that is there is touched.
///
/// # Errors
/// `LB0902` there is one already; `LB0901` it cannot be written.
pub fn init(world: &World) -> Result<Exit, Error> {
    let path = world.config.clone().unwrap_or_else(|| PathBuf::from("lifeboat.kdl"));
    let failed = |cause: std::io::Error| match cause.kind() {
        std::io::ErrorKind::AlreadyExists => Error::new("LB0902", format!("'{}' is there already", path.display()))
            .hint("nothing was changed; --config names another file"),
        _ => Error::new("LB0901", format!("'{}' cannot be written", path.display())).with("cause", cause),
    };
    let mut file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(failed)?;
    file.write_all(TEXT.as_bytes()).map_err(failed)?;
    // The service names what it cannot read, so a folder that is missing is worth making, and no more.
    let books = path.parent().unwrap_or(std::path::Path::new("")).join("runbooks");
    std::fs::create_dir_all(books).map_err(failed)?;
    world.screen.say(&format!("wrote '{0}'; look it over, then try: lifeboat check {0}", path.display()));
    Ok(Exit::Success)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use lifeboat_runbook::SourceFile;
    use lifeboat_runbook::operator::parse_operator;

    use super::*;

    #[test]
    fn the_file_is_good_as_it_is_and_with_all_that_it_offers() {
        for text in [TEXT.to_owned(), TEXT.replace("/-", "")] {
            let source = SourceFile { name: "lifeboat.kdl".to_owned(), text };
            let operator = parse_operator(&source, Path::new("/etc/lifeboat")).unwrap();
            assert_eq!(operator.service.unwrap().runbooks, [Path::new("/etc/lifeboat/runbooks")]);
        }
    }

    #[test]
    fn it_offers_all_that_the_operators_language_has() {
        let written = TEXT.replace("/-", "");
        for node in lifeboat_runbook::operator::NODES {
            let there = written.lines().any(|line| line.split_whitespace().next() == Some(node));
            assert!(there, "'{node}' is not in what 'lifeboat init' writes");
        }
    }
}
