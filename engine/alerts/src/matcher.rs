//! Matchers as in Alertmanager: `severity="critical", region=~"eu-.*"`, with or without braces around them.
//!
//! A name or value may stand without quotes where it has none of `{}!=~,\"'` and no white space; in quotes, `\"`, `\\` and `\n`
//! stand for themselves. Both may be any UTF-8. A label that is not there has the empty value. Regular expressions are anchored at
//! both ends, and in the syntax of the crate `regex`, which is that of RE2 but for a few rare escapes.

use regex::{Regex, RegexBuilder};

use crate::alert::Labels;
use crate::limits::{MATCHERS_BYTES_MAX, MATCHERS_MAX, REGEX_BYTES_MAX};
use crate::refused::{Refused, shown};

/// How a label is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `=`
    Is,
    /// `!=`
    IsNot,
    /// `=~`
    Like,
    /// `!~`
    Unlike,
}

impl Op {
    /// How it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Is => "=",
            Self::IsNot => "!=",
            Self::Like => "=~",
            Self::Unlike => "!~",
        }
    }
}

/// One matcher.
#[derive(Clone, Debug)]
pub struct Matcher {
    label: String,
    op: Op,
    value: String,
    regex: Option<Regex>,
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.label, self.op, &self.value) == (&other.label, other.op, &other.value)
    }
}

impl Matcher {
    /// A matcher from its parts.
    ///
    /// # Errors
    /// `LB1017` where a regular expression is none, or too large.
    pub fn new(label: impl Into<String>, op: Op, value: impl Into<String>) -> Result<Self, Refused> {
        let (label, value) = (label.into(), value.into());
        let regex = matches!(op, Op::Like | Op::Unlike).then(|| compile(&value)).transpose()?;
        Ok(Self { label, op, value, regex })
    }

    /// Whether it holds for those labels.
    pub fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.label).map_or("", String::as_str);
        let like = || self.regex.as_ref().is_some_and(|regex| regex.is_match(value));
        match self.op {
            Op::Is => value == self.value,
            Op::IsNot => value != self.value,
            Op::Like => like(),
            Op::Unlike => !like(),
        }
    }

    /// The label that it looks at.
    pub fn label(&self) -> &str {
        &self.label
    }
}

impl std::fmt::Display for Matcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let quoted =
            |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"));
        let plain = !self.label.is_empty() && !self.label.contains(|c: char| c.is_whitespace() || RESERVED.contains(c));
        let label = if plain { self.label.clone() } else { quoted(&self.label) };
        write!(f, "{label}{}{}", self.op.as_str(), quoted(&self.value))
    }
}

fn compile(pattern: &str) -> Result<Regex, Refused> {
    let wrong = |reason: String| {
        let help = "it is anchored at both ends, and in the syntax of RE2: eu-.*, (a|b), [0-9]+";
        Refused::new("LB1017", format!("'{}' is not a regular expression: {reason}", shown(pattern)), help)
    };
    // By itself first: `a)|(b` must not become one by what is put around it.
    let built = [pattern.to_owned(), format!("^(?:{pattern})$")].map(|text| {
        RegexBuilder::new(&text).size_limit(REGEX_BYTES_MAX).dfa_size_limit(REGEX_BYTES_MAX).nest_limit(50).build()
    });
    let [own, anchored] = built;
    own.and(anchored).map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => wrong("it is too large".to_owned()),
        other => wrong(other.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()),
    })
}

/// All of these have to hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matchers(pub Vec<Matcher>);

const RESERVED: &str = "{}!=~,\\\"'`";

impl Matchers {
    /// Parses matchers.
    ///
    /// # Errors
    /// `LB1016` with the place of what is wrong; `LB1017` for a regular expression.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        if text.len() > MATCHERS_BYTES_MAX {
            let message = format!("the matchers have {} bytes, and at most {MATCHERS_BYTES_MAX} are read", text.len());
            return Err(Refused::new("LB1016", message, "write fewer"));
        }
        let mut reader = Reader { text, at: 0 };
        reader.all()
    }

    /// Whether all hold for those labels.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|matcher| matcher.matches(labels))
    }

    /// Whether they hold for an alert without any label: such matchers hold for nearly every alert.
    pub fn match_nothing(&self) -> bool {
        self.matches(&Labels::new())
    }
}

impl std::fmt::Display for Matchers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        write!(f, "{{{}}}", all.join(", "))
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.rest().starts_with(word);
        self.at += if found { word.len() } else { 0 };
        found
    }

    /// A mistake at the next character, or at the end.
    fn wrong(&self, message: impl Into<String>, help: &str) -> Refused {
        let next = self.rest().chars().next().map_or(0, char::len_utf8);
        Refused::new("LB1016", message, help).at(self.at, self.at + next)
    }

    fn all(&mut self) -> Result<Matchers, Refused> {
        let mut matchers = Vec::new();
        self.blanks();
        let open = self.at;
        let braced = self.take("{");
        loop {
            self.blanks();
            if self.rest().is_empty() || self.rest().starts_with('}') {
                break;
            }
            if matchers.len() == MATCHERS_MAX {
                return Err(self.wrong(format!("there are more than {MATCHERS_MAX} matchers"), "write fewer"));
            }
            matchers.push(self.one()?);
            self.blanks();
            if !self.take(",") {
                break;
            }
        }
        match (braced, self.take("}")) {
            (true, false) if self.rest().is_empty() => {
                return Err(Refused::new("LB1016", "this brace is not closed", "end with }").at(open, open + 1));
            }
            (false, true) => {
                self.at -= 1;
                return Err(self.wrong("this brace was not opened", "begin with {, or leave it out"));
            }
            _ => {}
        }
        self.blanks();
        if self.rest().is_empty() {
            return Ok(Matchers(matchers));
        }
        Err(self.wrong("a comma is missing here, or this is too much", "write a=\"b\", c=\"d\""))
    }

    fn one(&mut self) -> Result<Matcher, Refused> {
        let label = self.word("a label", "write a label first, as severity=\"critical\"")?;
        self.blanks();
        let begin = self.at;
        let op = match () {
            () if self.take("=~") => Op::Like,
            () if self.take("!~") => Op::Unlike,
            () if self.take("!=") => Op::IsNot,
            () if self.take("==") => {
                return Err(Refused::new("LB1016", "'==' is no operator", "write =, !=, =~ or !~").at(begin, begin + 2));
            }
            () if self.take("=") => Op::Is,
            () => return Err(self.wrong("an operator is missing", "write =, !=, =~ or !~ behind the label")),
        };
        self.blanks();
        let begin = self.at;
        let value = self.word("a value", "write a value in quotation marks; the empty value is \"\"")?;
        Matcher::new(label, op, value).map_err(|refused| refused.at(begin, self.at))
    }

    fn word(&mut self, what: &str, help: &str) -> Result<String, Refused> {
        if self.rest().starts_with('"') {
            return self.quoted();
        }
        let rest = self.rest();
        let end = rest.find(|c: char| c.is_whitespace() || RESERVED.contains(c)).unwrap_or(rest.len());
        let word = rest.get(..end).unwrap_or_default();
        if word.is_empty() {
            return Err(self.wrong(format!("{what} is missing"), help));
        }
        self.at += end;
        Ok(word.to_owned())
    }

    fn quoted(&mut self) -> Result<String, Refused> {
        let begin = self.at;
        let mut out = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.at = begin + at + 1;
                    return Ok(out);
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => out.push('\n'),
                    Some((_, c @ ('"' | '\\'))) => out.push(c),
                    // Alertmanager keeps it as it is, so that \d need not be written \\d.
                    Some((_, c)) => out.extend(['\\', c]),
                    None => break,
                },
                c => out.push(c),
            }
        }
        let wrong = Refused::new("LB1016", "this quotation mark is not closed", "end the text with \"");
        Err(wrong.at(begin, begin + 1))
    }
}
