//! The canonical form of a file: indentation by four spaces, one space between words, at most one empty line.
//!
//! It works on tokens and not on the document, so every comment stays where it is, strings keep their spelling, and
//! nothing that the author said can be lost. Formatting a second time changes nothing.

use crate::lex::{Kind, Token, lex};
use crate::report::Report;

const INDENT: &str = "    ";

/// The text in canonical form. The text has no syntax errors.
pub(crate) fn format(report: &mut Report) -> String {
    let (tokens, _) = lex(report);
    let text = report.text().to_owned();
    let mut printer =
        Printer { out: String::new(), depth: 0, line_start: true, empty_lines: 0, gap: false, carried: false };
    for (index, token) in tokens.iter().enumerate() {
        let word = text.get(token.start..token.end).unwrap_or_default();
        printer.token(*token, word, &tokens, index);
    }
    let mut out = printer.out;
    out.truncate(out.trim_end().len());
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

struct Printer {
    out: String,
    depth: usize,
    line_start: bool,
    empty_lines: usize,
    /// There was white space before the next token.
    gap: bool,
    /// The line goes on from the one before by a backslash.
    carried: bool,
}

impl Printer {
    fn token(&mut self, token: Token, word: &str, all: &[Token], index: usize) {
        match token.kind {
            Kind::Space => self.gap = true,
            Kind::Newline => self.newline(),
            Kind::Continuation => self.continuation(word),
            Kind::Open => {
                self.gap = true;
                self.put(word);
                self.depth += 1;
                self.gap = true;
            }
            Kind::Close => {
                self.depth = self.depth.saturating_sub(1);
                if self.line_start {
                    self.empty_lines = 0;
                }
                self.gap = true;
                self.put(word);
            }
            Kind::Semicolon => self.semicolon(all, index),
            Kind::Equals => {
                self.gap = false;
                self.put(word);
                self.gap = false;
            }
            // A slashdash and what it takes away stay apart or together as they were.
            _ => {
                if self.out.ends_with('=') && !self.line_start {
                    self.gap = false;
                }
                self.put(word.trim_end());
            }
        }
    }

    fn newline(&mut self) {
        if self.line_start {
            self.empty_lines += 1;
        } else {
            self.out.push('\n');
        }
        self.line_start = true;
        self.carried = false;
        self.gap = false;
    }

    fn continuation(&mut self, word: &str) {
        let comment = word.trim_start_matches('\\').trim();
        self.gap = true;
        self.put(if comment.is_empty() { "\\".to_owned() } else { format!("\\ {comment}") }.as_str());
        self.newline();
        self.carried = true;
    }

    /// A semicolon before the end of a line or block says nothing.
    fn semicolon(&mut self, all: &[Token], index: usize) {
        let next = all.iter().skip(index + 1).find(|token| token.kind != Kind::Space);
        let says_nothing = next
            .is_none_or(|next| matches!(next.kind, Kind::Newline | Kind::Close | Kind::Semicolon | Kind::LineComment));
        if !says_nothing && !self.line_start {
            self.gap = false;
            self.put(";");
        }
        self.gap = true;
    }

    fn put(&mut self, word: &str) {
        if self.line_start {
            let after_open = self.out.trim_end().ends_with('{');
            if self.empty_lines > 0 && !self.out.is_empty() && !after_open && !self.carried {
                self.out.push('\n');
            }
            self.empty_lines = 0;
            let depth = self.depth + usize::from(self.carried);
            self.out.extend(std::iter::repeat_n(INDENT, depth));
            self.line_start = false;
        } else if self.gap && !self.out.is_empty() {
            self.out.push(' ');
        }
        self.gap = false;
        self.out.push_str(word);
    }
}
