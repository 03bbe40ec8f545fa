//! The binary.

mod view;

fn main() {}
