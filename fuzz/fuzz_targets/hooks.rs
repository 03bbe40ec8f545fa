//! What real servers send, bent: read as every kind of hook, and decided on. The same as the test `bad_input` of `alerts`, which runs
//! everywhere; here the bends are chosen by what they reach.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../engine/alerts/tests/bent/mod.rs"]
mod bent;

fuzz_target!(|input: (u8, &[u8])| {
    let (_, mut value) = bent::sent(usize::from(input.0));
    bent::bend(&mut value, input.1);
    bent::look(value.to_string().as_bytes());
    bent::look(input.1);
});
