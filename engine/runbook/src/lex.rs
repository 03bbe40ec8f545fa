//! The tokens of a KDL text: just enough to know where nodes, strings and comments begin and end.
//!
//! The parser of the `kdl` crate gives no document at all once there is a mistake, and it is recursive. So a text is
//! first cut into nodes here, without recursion; each node is then parsed alone, and one broken node hides nothing of
//! the others. The formatter works on these tokens as well, which is why it can keep every comment where it is.

use lifeboat_core::limits::KDL_DEPTH_MAX;

use crate::diagnostic::Span;
use crate::report::Report;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Space,
    Newline,
    /// `//` to the end of the line.
    LineComment,
    BlockComment,
    /// A backslash, what follows it, and the newline that it takes away.
    Continuation,
    Text,
    /// A string that spans lines: its inside is never touched.
    LongText,
    Open,
    Close,
    Semicolon,
    Equals,
    /// `/-`: what follows is commented out.
    SlashDash,
    Word,
}

/// A token with its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Token {
    pub(crate) fn span(self) -> Span {
        Span::between(self.start, self.end)
    }
}

pub(crate) fn is_newline(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{b}' | '\u{c}' | '\u{2028}' | '\u{2029}')
}

fn is_space(c: char) -> bool {
    matches!(
        c,
        '\t' | ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'
            ..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' | '\u{feff}'
    )
}

/// Cuts a text into tokens. Strings and comments without an end, braces without a partner and nesting beyond the limit
/// are reported. The second result says whether it is nested too deep to be parsed.
pub(crate) fn lex(report: &mut Report) -> (Vec<Token>, bool) {
    let text = report.text().to_owned();
    let mut lexer = Lexer { text: &text, at: 0, problems: Vec::new() };
    let mut tokens = Vec::new();
    while let Some(c) = lexer.peek(0) {
        let start = lexer.at;
        let kind = lexer.next_kind(c);
        // Every branch takes at least one character; this keeps the loop finite even if one did not.
        if lexer.at == start {
            lexer.at += c.len_utf8();
        }
        tokens.push(Token { kind, start, end: lexer.at });
    }
    for (span, message, help) in lexer.problems {
        report.error("LB0105", span, message).help(help);
    }
    let too_deep = check_braces(&tokens, report);
    (tokens, too_deep)
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    problems: Vec<(Span, &'static str, &'static str)>,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.rest().chars().nth(ahead)
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.find(|c| !accept(c)).unwrap_or(rest.len());
    }

    fn next_kind(&mut self, c: char) -> Kind {
        match c {
            '{' => self.one(c, Kind::Open),
            '}' => self.one(c, Kind::Close),
            ';' => self.one(c, Kind::Semicolon),
            '=' => self.one(c, Kind::Equals),
            '"' => self.text_token(0),
            '#' => self.hash(),
            '\\' => self.continuation(),
            '/' if self.rest().starts_with("//") => {
                self.take_while(|c| !is_newline(c));
                Kind::LineComment
            }
            '/' if self.rest().starts_with("/*") => self.block_comment(),
            '/' if self.rest().starts_with("/-") => {
                self.at += 2;
                Kind::SlashDash
            }
            c if is_newline(c) => {
                self.at += if self.rest().starts_with("\r\n") { 2 } else { c.len_utf8() };
                Kind::Newline
            }
            c if is_space(c) => {
                self.take_while(is_space);
                Kind::Space
            }
            _ => {
                self.at += c.len_utf8();
                self.take_while(|c| !is_newline(c) && !is_space(c) && !"{};=\"#\\/".contains(c));
                Kind::Word
            }
        }
    }

    fn one(&mut self, c: char, kind: Kind) -> Kind {
        self.at += c.len_utf8();
        kind
    }

    /// `#true`, or the start of a raw string.
    fn hash(&mut self) -> Kind {
        let hashes = self.rest().bytes().take_while(|b| *b == b'#').count();
        if self.rest().get(hashes..).is_some_and(|rest| rest.starts_with('"')) {
            return self.text_token(hashes);
        }
        self.at += hashes;
        self.take_while(|c| !is_newline(c) && !is_space(c) && !"{};=\"#\\/".contains(c));
        Kind::Word
    }

    /// A string. With hashes in front it is raw: no escapes, and its end has as many hashes.
    fn text_token(&mut self, hashes: usize) -> Kind {
        let start = self.at;
        self.at += hashes;
        let long = self.rest().starts_with("\"\"\"");
        let quotes = if long { "\"\"\"" } else { "\"" };
        let closing = format!("{quotes}{}", "#".repeat(hashes));
        self.at += quotes.len();
        while let Some(c) = self.peek(0) {
            if self.rest().starts_with(&closing) {
                self.at += closing.len();
                return if long { Kind::LongText } else { Kind::Text };
            }
            if is_newline(c) && !long {
                break;
            }
            self.at += c.len_utf8();
            if c == '\\' && hashes == 0 {
                self.escaped();
            }
        }
        let help = if long { "close it with \"\"\"" } else { "close it with \" on the same line" };
        let end = if long { (start + closing.len()).min(self.at) } else { self.at };
        self.problems.push((Span::between(start, end), "a string is not closed", help));
        if long { Kind::LongText } else { Kind::Text }
    }

    /// What follows a backslash in a string: one character, or all white space up to the next text.
    fn escaped(&mut self) {
        match self.peek(0) {
            Some(c) if is_space(c) || is_newline(c) => self.take_while(|c| is_space(c) || is_newline(c)),
            Some(c) => self.at += c.len_utf8(),
            None => {}
        }
    }

    fn block_comment(&mut self) -> Kind {
        let start = self.at;
        let mut depth = 0_usize;
        while let Some(c) = self.peek(0) {
            if self.rest().starts_with("/*") {
                depth += 1;
                self.at += 2;
            } else if self.rest().starts_with("*/") {
                depth = depth.saturating_sub(1);
                self.at += 2;
            } else {
                self.at += c.len_utf8();
            }
            if depth == 0 {
                return Kind::BlockComment;
            }
        }
        let span = Span::between(start, start + 2);
        self.problems.push((span, "a comment is not closed", "close it with */"));
        Kind::BlockComment
    }

    fn continuation(&mut self) -> Kind {
        self.at += 1;
        let after_slash = self.at;
        self.take_while(is_space);
        while self.rest().starts_with("/*") {
            self.block_comment();
            self.take_while(is_space);
        }
        if self.rest().starts_with("//") {
            self.take_while(|c| !is_newline(c));
        }
        match self.peek(0) {
            None => Kind::Continuation,
            Some(c) if is_newline(c) => {
                self.at += if self.rest().starts_with("\r\n") { 2 } else { c.len_utf8() };
                Kind::Continuation
            }
            // The language has no such word. Without its end of line, a form that drops what says nothing would make one of it.
            Some(_) => {
                self.at = after_slash;
                let span = Span::between(after_slash.saturating_sub(1), after_slash);
                self.problems.push((
                    span,
                    "a backslash with something behind it",
                    "end the line after it, or leave it out",
                ));
                Kind::Word
            }
        }
    }
}

fn check_braces(tokens: &[Token], report: &mut Report) -> bool {
    let mut open = Vec::new();
    let mut too_deep = None;
    for token in tokens {
        match token.kind {
            Kind::Open => {
                open.push(*token);
                if open.len() > KDL_DEPTH_MAX {
                    too_deep = too_deep.or(Some(*token));
                }
            }
            Kind::Close if open.pop().is_none() => {
                report
                    .error("LB0106", token.span(), "a closing brace has no opening one")
                    .help("remove it, or open a block before it");
            }
            _ => {}
        }
    }
    if let Some(token) = too_deep {
        let message = format!("blocks are nested deeper than {KDL_DEPTH_MAX} levels");
        report.error("LB0104", token.span(), message).help("a runbook needs four levels; look for a missing '}'");
    }
    for token in open {
        report.error("LB0106", token.span(), "a block is not closed").help("add the '}' that closes it");
    }
    too_deep.is_some()
}
