//! `on "schedule"`: what starts a run by the clock.

use lifeboat_core::plan::Mode;
use lifeboat_schedule::{Blackout, BlackoutText, Cron, Missed, Overlap, Refused, Rule, Spec, zone};

use crate::diagnostic::Span;
use crate::fields::{Field, Fields, at_most_args};
use crate::model::{Named, ScheduleDef};
use crate::report::Report;
use crate::syntax::Node;
use crate::triggers::mode;
use crate::values::is_name;

pub(crate) const FIELDS: [&str; 8] = ["name", "cron", "zone", "mode", "jitter", "overlap", "missed", "blackout"];

pub(crate) fn read(node: &Node, report: &mut Report) -> Option<ScheduleDef> {
    let mut fields = Fields::new(node);
    let name = fields.string("name", report);
    if let Some(name) = name.as_ref().filter(|name| !is_name(&name.text)) {
        report
            .error("LB0115", name.span, format!("'{}' cannot be a name", name.text))
            .help("names are made of letters, digits, '-' and '_', and start with a letter or digit");
    }
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
    let named_zone = fields.string("zone", report);
    if let Some(named) = &named_zone
        && let Err(refused) = zone(&named.text)
    {
        refuse(refused, named.span, report);
    }
    let mode = mode(&mut fields, Mode::Drill, report);
    let jitter = fields.duration("jitter", report);
    let overlap = fields.word("overlap", &Overlap::WORDS, report).and_then(|word| Overlap::parse(&word.text));
    let missed = fields.word("missed", &Missed::WORDS, report).and_then(|word| Missed::parse(&word.text));
    let blackouts: Vec<_> = fields.all("blackout").iter().filter_map(|field| blackout(field, report)).collect();
    fields.refuse_rest(&FIELDS, report);
    let spec = Spec {
        cron: cron?.text,
        zone: named_zone.map_or_else(|| "UTC".to_owned(), |zone| zone.text),
        jitter_ms: jitter.map_or(0, |(ms, _)| ms),
        overlap: overlap.unwrap_or_default(),
        missed: missed.unwrap_or_default(),
        blackouts,
    };
    let name = name.unwrap_or_else(|| Named { text: "schedule".to_owned(), span: node.head });
    // What is left: the limits. All else was reported where it stands.
    if let Err(refused) = Rule::new(name.text.as_str(), &spec)
        && refused.code == "LB1003"
    {
        refuse(refused, jitter.map_or(node.head, |(_, span)| span), report);
    }
    Some(ScheduleDef { name, mode: mode?, spec })
}

fn refuse(refused: Refused, span: Span, report: &mut Report) {
    report.error(refused.code, span, refused.message).help(refused.help);
}

fn check_cron(cron: &Named, report: &mut Report) {
    match Cron::parse(&cron.text) {
        Ok(parsed) => {
            let traps = parsed.traps().join("; ");
            if !traps.is_empty() {
                report.warn("LB1004", cron.span, "this may be due on other days than it was meant to").help(traps);
            }
        }
        Err(refused) => refuse(refused, cron.span, report),
    }
}

fn blackout(field: &Field<'_>, report: &mut Report) -> Option<BlackoutText> {
    let Some(node) = field.node else {
        report
            .error("LB0113", field.span, "'blackout' is a node")
            .help("{ blackout from=\"08:00\" to=\"18:00\" days=\"Mon-Fri\" }");
        return None;
    };
    at_most_args(node, 0, report);
    let mut fields = Fields::new(node);
    let mut text = |name: &str| fields.string(name, report).map(|named| named.text);
    let text = BlackoutText { from: text("from"), to: text("to"), days: text("days"), reason: text("reason") };
    fields.refuse_rest(&["from", "to", "days", "reason"], report);
    if let Err(refused) = Blackout::parse(&text) {
        refuse(refused, node.head, report);
        return None;
    }
    Some(text)
}
