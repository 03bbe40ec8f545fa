//! `lifeboat`: the binary, and the only place where the parts are put together.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod args;
mod args_drill;
mod args_estimate;
mod args_evidence;
mod args_review;
mod args_service;
mod args_vault;
mod clock;
mod commands;
mod demo;
mod exit;
mod files;
mod live;
mod log;
mod looking;
mod memory;
mod past;
mod screen;
mod supervisor;
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
    log::set_up(&cli);
    let screen = Screen::new(&cli);
    match commands::dispatch(&World::new(&cli), cli.command) {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(error) => {
            screen.error(&error);
            if screen.log_only {
                tracing::error!(code = %error.code, hint = error.hint, context = ?error.context, "{}", error.message);
            }
            ExitCode::from(exit::code_of(&error))
        }
    }
}
