//! How fast a vault may send: `upload-limit` of a target. It is the engine's to keep and not the plugin's.

use kdl::KdlValue;
use lifeboat_core::plan::UPLOAD_LIMIT_MIN;

use crate::fields::{at_most_args, no_block, no_props};
use crate::report::Report;
use crate::syntax::Node;
use crate::values::{twice, type_word};

/// The name of the field.
pub(crate) const NAME: &str = lifeboat_core::plan::UPLOAD_LIMIT;
const HELP: &str = "write bytes a second with a unit: upload-limit \"10MiB\" (KiB, MiB, GiB), or a plain number";

/// What the block of a target says about its speed, in bytes a second.
pub(crate) fn read(children: &[&Node], report: &mut Report) -> Option<u64> {
    let mut found = None;
    for node in children.iter().copied().filter(|child| child.name == NAME) {
        at_most_args(node, 1, report);
        no_props(node, report);
        no_block(node, report);
        let Some(arg) = node.args.first() else {
            report.error("LB0111", node.head, format!("'{NAME}' has no value")).help(HELP);
            continue;
        };
        let speed = match &arg.value {
            KdlValue::Integer(number) => u64::try_from(*number).ok(),
            KdlValue::String(text) => bytes(text),
            other => {
                let message = format!("'{NAME}' is {}, not a number of bytes", type_word(other));
                report.error("LB0113", arg.span, message).help(HELP);
                continue;
            }
        };
        let Some(speed) = speed.filter(|speed| *speed >= UPLOAD_LIMIT_MIN) else {
            let message = format!("'{NAME}' has to be at least {UPLOAD_LIMIT_MIN} bytes a second");
            report.error("LB0120", arg.span, message).help(HELP);
            continue;
        };
        if found.replace(speed).is_some() {
            twice(NAME, node.head, report);
        }
    }
    found
}

/// A number of bytes with or without a unit.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let factor: u64 = match unit.trim_start() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_numbers_with_binary_units() {
        for (text, speed) in [("65536", 65_536), ("10MiB", 10 << 20), ("512 KiB", 512 << 10), ("1GiB", 1 << 30)] {
            assert_eq!(bytes(text), Some(speed), "{text}");
        }
        for text in ["", "MiB", "10MB", "1.5MiB", "-1", "99999999999GiB"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }
}
