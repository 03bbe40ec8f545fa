//! `on "schedule"` and `on "alert"`: what starts a run by itself.

use std::str::FromStr;

use lifeboat_core::plan::Mode;

use crate::fields::{Fields, at_most_args, no_block, no_props, string, unknown_node};
use crate::model::{Named, Trigger};
use crate::read::mode_word;
use crate::report::Report;
use crate::syntax::Node;

/// The areas of the IANA time zone database, and its zones without an area. The full list is a data base that changes
/// every few months; the service resolves the zone with the one of its machine.
const ZONE_AREAS: [&str; 11] = [
    "Africa",
    "America",
    "Antarctica",
    "Arctic",
    "Asia",
    "Atlantic",
    "Australia",
    "Europe",
    "Indian",
    "Pacific",
    "Etc",
];
const ZONES_ALONE: [&str; 4] = ["UTC", "GMT", "CET", "EET"];

pub(crate) fn read(node: &Node, report: &mut Report) -> Option<Trigger> {
    at_most_args(node, 1, report);
    let Some(arg) = node.args.first() else {
        report
            .error("LB0111", node.head, "this 'on' does not say on what")
            .help("write on \"schedule\" or on \"alert\"");
        return None;
    };
    let what = string(arg, "on", report)?;
    match what.text.as_str() {
        "schedule" => schedule(node, report),
        "alert" => alert(node, report),
        other => {
            report
                .error("LB0120", what.span, format!("'{other}' starts no run"))
                .did_you_mean(other, ["schedule", "alert"]);
            None
        }
    }
}

fn mode(fields: &mut Fields<'_>, default: Mode, report: &mut Report) -> Option<Mode> {
    match fields.string("mode", report) {
        Some(word) => mode_word(&word.text, word.span, report),
        None => Some(default),
    }
}

fn schedule(node: &Node, report: &mut Report) -> Option<Trigger> {
    let mut fields = Fields::new(node);
    let cron = fields.string("cron", report);
    match &cron {
        Some(cron) => check_cron(cron, report),
        None if node.props.iter().any(|prop| prop.name == "cron") => {}
        None => {
            report
                .error("LB0118", node.head, "a schedule needs 'cron'")
                .help("write cron=\"0 0 3 * * Sun\": second, minute, hour, day, month, weekday");
        }
    }
    let zone = fields.string("zone", report);
    if let Some(zone) = &zone {
        check_zone(zone, report);
    }
    let mode = mode(&mut fields, Mode::Drill, report);
    fields.refuse_rest(&["cron", "zone", "mode"], report);
    let zone = zone.map_or_else(|| "UTC".to_owned(), |zone| zone.text);
    Some(Trigger::Schedule { cron: cron?.text, zone, mode: mode? })
}

fn check_cron(cron: &Named, report: &mut Report) {
    if let Err(error) = cron::Schedule::from_str(&cron.text) {
        let fields = cron.text.split_whitespace().count();
        let help = if fields == 5 {
            format!("seconds come first: cron=\"0 {}\"", cron.text)
        } else {
            "six fields: second, minute, hour, day of month, month, weekday".to_owned()
        };
        let reason = error.to_string();
        let reason = reason.lines().next().unwrap_or_default().trim().trim_end_matches('.').to_owned();
        report.error("LB0122", cron.span, format!("'{}' is not a schedule: {reason}", cron.text)).help(help);
    }
}

fn check_zone(zone: &Named, report: &mut Report) {
    let well_formed = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_uppercase())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "_-+".contains(c))
    };
    let known = match zone.text.split_once('/') {
        None => ZONES_ALONE.contains(&zone.text.as_str()),
        Some((area, place)) => {
            ZONE_AREAS.contains(&area) && place.split('/').count() <= 2 && place.split('/').all(well_formed)
        }
    };
    if !known {
        let area = zone.text.split('/').next().unwrap_or_default();
        let diagnostic = report.error("LB0123", zone.span, format!("'{}' is not a time zone", zone.text));
        diagnostic.help("write a name of the IANA data base, as Europe/Berlin or UTC");
        if let Some(best) = crate::diagnostic::closest(area, ZONE_AREAS.into_iter().chain(ZONES_ALONE)) {
            let whole = zone.text.replacen(area, best, 1);
            if whole != zone.text {
                diagnostic.help(format!("did you mean '{whole}'?"));
            }
        }
    }
}

fn alert(node: &Node, report: &mut Report) -> Option<Trigger> {
    let mut fields = Fields::new(node);
    let source = fields.string("source", report);
    if source.is_none() && !node.props.iter().any(|prop| prop.name == "source") {
        report.error("LB0118", node.head, "an alert needs 'source'").help("write source=\"alertmanager\"");
    }
    let mode = mode(&mut fields, Mode::Failover, report);
    let hold_ms = fields.duration("hold", report).map_or(0, |(ms, _)| ms);
    let mut matches = Vec::new();
    for field in fields.all("match") {
        let Some(child) = field.node else {
            report
                .error("LB0113", field.span, "'match' is a node with two values")
                .help("{ match \"LABEL\" \"VALUE\" }");
            continue;
        };
        no_props(child, report);
        no_block(child, report);
        at_most_args(child, 2, report);
        match child.args.as_slice() {
            [label, value, ..] => {
                if let (Some(label), Some(value)) = (string(label, "match", report), string(value, "match", report)) {
                    matches.push((label.text, value.text));
                }
            }
            _ => {
                report
                    .error("LB0111", child.head, "'match' needs a label and a value")
                    .help("match \"LABEL\" \"VALUE\"");
            }
        }
    }
    if matches.is_empty() && fields.node.children.iter().all(|child| child.name != "match") {
        report
            .error("LB0118", node.head, "an alert without 'match' would start a run for every alert")
            .help("add { match \"alertname\" \"NAME\" }");
    }
    let (props, children) = fields.rest();
    for prop in props {
        report
            .error("LB0110", prop.whole, format!("'on' has no property '{}'", prop.name))
            .did_you_mean(&prop.name, ["source", "mode", "hold"]);
    }
    for child in children {
        unknown_node(child, "on", &["match"], report);
    }
    Some(Trigger::Alert { source: source?.text, mode: mode?, hold_ms, matches })
}
