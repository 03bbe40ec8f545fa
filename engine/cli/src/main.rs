//! `lifeboat`: the binary, and the only place where the parts are put together.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod args;
mod args_drill;
mod args_estimate;
mod args_service;
mod args_vault;
mod clock;
mod commands;
mod demo;
mod exit;
mod files;
mod live;
mod memory;
mod past;
mod screen;
mod view;
mod world;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Cli;
use crate::screen::Screen;
use crate::world::World;

fn main() -> ExitCode {
    memory::set_up();
    let cli = Cli::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_env("LIFEBOAT_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("off"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let screen = Screen::new(&cli);
    match commands::dispatch(&World::new(&cli), cli.command) {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(error) => {
            screen.error(&error);
            ExitCode::from(exit::code_of(&error))
        }
    }
}
