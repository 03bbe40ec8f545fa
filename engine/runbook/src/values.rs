//! Values of KDL as values of runbooks: durations, names, JSON.

use kdl::KdlValue;
use lifeboat_core::limits::DURATION_MAX_MS;
use serde_json::{Map, Number, Value, json};

use crate::diagnostic::Span;
use crate::model::Places;
use crate::report::Report;
use crate::syntax::{Arg, Node};

/// Reads a duration as `90s`, `1h30m`, `250ms`, `2d`. Milliseconds.
///
/// # Errors
/// Why it is none.
pub fn parse_duration(text: &str) -> Result<u64, String> {
    let mut rest = text;
    let mut total = 0_u64;
    if rest.is_empty() {
        return Err("it is empty".to_owned());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, behind) = rest.split_at_checked(digits).unwrap_or((rest, ""));
        let letters = behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len());
        let (unit, next) = behind.split_at_checked(letters).unwrap_or((behind, ""));
        if number.is_empty() {
            return Err("it does not start with a number".to_owned());
        }
        let factor = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "" => return Err("it has no unit".to_owned()),
            other => return Err(format!("'{other}' is not a unit")),
        };
        let count: u64 = number.parse().map_err(|_| "it is too long".to_owned())?;
        let part = count.checked_mul(factor).ok_or("it is too long")?;
        total = total.checked_add(part).ok_or("it is too long")?;
        rest = next;
    }
    if total > DURATION_MAX_MS {
        return Err("it is longer than a year".to_owned());
    }
    Ok(total)
}

pub(crate) const DURATION_HELP: &str = "write a number and a unit: 250ms, 30s, 10m, 2h, 1d, 1h30m";

/// Names are parts of references, so they are made of what references are made of.
pub(crate) fn is_name(text: &str) -> bool {
    text.len() <= 100
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

pub(crate) fn type_word(value: &KdlValue) -> &'static str {
    match value {
        KdlValue::String(_) => "a string",
        KdlValue::Integer(_) => "a whole number",
        KdlValue::Float(_) => "a fraction",
        KdlValue::Bool(_) => "a boolean",
        KdlValue::Null => "null",
    }
}

/// A value as JSON. What JSON has no place for is reported.
pub(crate) fn to_json(arg: &Arg, report: &mut Report) -> Value {
    match &arg.value {
        KdlValue::String(text) => Value::String(text.clone()),
        KdlValue::Bool(value) => Value::Bool(*value),
        KdlValue::Null => Value::Null,
        KdlValue::Integer(number) => match (i64::try_from(*number), u64::try_from(*number)) {
            (Ok(number), _) => Value::from(number),
            (_, Ok(number)) => Value::from(number),
            _ => {
                report.error("LB0120", arg.span, "a number is too large").help("whole numbers have up to 64 bits");
                Value::Null
            }
        },
        KdlValue::Float(number) => Number::from_f64(*number).map(Value::Number).unwrap_or_else(|| {
            report.error("LB0120", arg.span, "this is not a finite number").help("write a number with digits");
            Value::Null
        }),
    }
}

/// The value that a node stands for: its argument; several arguments are an array; properties and children make an
/// object, in which an argument beside them is `value`. The places of all parts go into `places` below `at`.
pub(crate) fn node_to_json(node: &Node, at: &str, places: &mut Places, report: &mut Report) -> Value {
    places.insert(at.to_owned(), node.head);
    let own = match node.args.as_slice() {
        [] => None,
        [only] => Some(to_json(only, report)),
        several => {
            for (index, arg) in several.iter().enumerate() {
                places.insert(format!("{at}/{index}"), arg.span);
            }
            Some(Value::Array(several.iter().map(|arg| to_json(arg, report)).collect()))
        }
    };
    if node.props.is_empty() && node.children.is_empty() {
        return own.unwrap_or_else(|| if node.has_block { json!({}) } else { Value::Bool(true) });
    }
    let mut map = Map::new();
    if let Some(value) = own {
        map.insert("value".to_owned(), value);
    }
    for prop in &node.props {
        places.insert(format!("{at}/{}", escape(&prop.name)), prop.whole);
        let value = to_json(&prop.arg, report);
        if map.insert(prop.name.clone(), value).is_some() {
            twice(&prop.name, prop.whole, report);
        }
    }
    nodes_into(&mut map, node.children.iter(), at, places, report);
    Value::Object(map)
}

/// Nodes as members of an object. Nodes of the same name make an array.
pub(crate) fn nodes_into<'n>(
    map: &mut Map<String, Value>,
    nodes: impl Iterator<Item = &'n Node>,
    at: &str,
    places: &mut Places,
    report: &mut Report,
) {
    let mut by_name: Vec<(&str, Vec<&Node>)> = Vec::new();
    for node in nodes {
        match by_name.iter_mut().find(|(name, _)| *name == node.name) {
            Some((_, same)) => same.push(node),
            None => by_name.push((&node.name, vec![node])),
        }
    }
    for (name, same) in by_name {
        let here = format!("{at}/{}", escape(name));
        let value = match same.as_slice() {
            [only] => node_to_json(only, &here, places, report),
            several => {
                if let Some(first) = several.first() {
                    places.insert(here.clone(), first.head);
                }
                let items = several.iter().enumerate();
                items.map(|(index, node)| node_to_json(node, &format!("{here}/{index}"), places, report)).collect()
            }
        };
        let span = same.first().map_or(Span::default(), |node| node.head);
        if map.insert(name.to_owned(), value).is_some() {
            twice(name, span, report);
        }
    }
}

pub(crate) fn twice(name: &str, span: Span, report: &mut Report) {
    report.error("LB0119", span, format!("'{name}' is given twice")).help("keep one of them");
}

/// A name as a part of a JSON pointer.
pub(crate) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(parse_duration("250ms"), Ok(250));
        assert_eq!(parse_duration("1h30m"), Ok(5_400_000));
        assert_eq!(parse_duration("2d"), Ok(172_800_000));
        for wrong in ["", "5", "m", "5 m", "-1s", "5x", "99999999999999999999s", "400d", "1.5h", "5µ"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_are_what_references_can_say() {
        assert!(is_name("prove-offsite_2"));
        for wrong in ["", "-a", "a b", "a.b", "ü", "a{b"] {
            assert!(!is_name(wrong), "{wrong}");
        }
    }
}
