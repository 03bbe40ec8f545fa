//! Pictures, as SVG that is complete in itself. What they say in colour or line they say in words, too.

pub mod dag;
pub mod gantt;
pub mod layout;

use lifeboat_core::plan::StepKind;

/// A drawing of 20 by 20 for each kind: camera, tick in a circle, two arrows, arrow into a tray, magnifying glass,
/// fork, person, clock, letter.
pub const fn icon(kind: StepKind) -> &'static str {
    match kind {
        StepKind::Snapshot => "M1 6h4l2-3h6l2 3h4v12H1zM10 8a4 4 0 1 1 0 8a4 4 0 1 1 0-8",
        StepKind::Verify => "M10 1a9 9 0 1 1 0 18a9 9 0 1 1 0-18M6 10l3 3l5-6",
        StepKind::Transfer => "M1 6h16l-4-4M19 14H3l4 4",
        StepKind::Restore => "M10 1v11M5 8l5 5l5-5M1 13v6h18v-6",
        StepKind::Validate => "M8 1a7 7 0 1 1 0 14a7 7 0 1 1 0-14M13 13l6 6",
        StepKind::Switch => "M1 10h6l6-7h6M7 10l6 7h6M16 0l3 3l-3 3M16 14l3 3l-3 3",
        StepKind::Approve => "M10 1a4 4 0 1 1 0 8a4 4 0 1 1 0-8M2 19c0-9 16-9 16 0",
        StepKind::Wait => "M10 1a9 9 0 1 1 0 18a9 9 0 1 1 0-18M10 5v5l4 3",
        StepKind::Notify => "M1 4h18v12H1zM1 4l9 7l9-7",
    }
}

/// The text cut to `most` characters, so that it stays in its box; the whole is in the box's title.
pub fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return escape(text);
    }
    escape(&text.chars().take(most.saturating_sub(1)).chain(['…']).collect::<String>())
}

/// XML text. Control characters are not allowed in XML at all, so they become spaces.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            control if control.is_control() => out.push(' '),
            other => out.push(other),
        }
    }
    out
}
