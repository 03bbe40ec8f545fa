//! From text to nodes: the text is cut at its nodes, each is parsed by the `kdl` crate on its own.

use kdl::{KdlDocument, KdlNode, KdlValue};

use crate::diagnostic::Span;
use crate::lex::{Kind, Token, lex};
use crate::report::Report;

/// The longest text of one node below the runbook: far more than anybody writes, and little enough that the parser's
/// recursion ends long before its stack does.
const NODE_BYTES_MAX: usize = 64 * 1024;
/// The stack of the thread that parses. The parser's frames are largest in its own recovery from mistakes, where it
/// recurses once per character; 4 KiB a character of the longest node.
const PARSER_STACK_BYTES: usize = NODE_BYTES_MAX * 4 * 1024;

/// A value with its place.
#[derive(Clone, Debug)]
pub(crate) struct Arg {
    pub(crate) value: KdlValue,
    pub(crate) span: Span,
}

/// `name=value` with its places.
#[derive(Clone, Debug)]
pub(crate) struct Prop {
    pub(crate) name: String,
    /// Of name and value together.
    pub(crate) whole: Span,
    pub(crate) arg: Arg,
}

/// A node of the document with places in the whole text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) name_span: Span,
    /// From its name to the end of its values; its children are not in it.
    pub(crate) head: Span,
    /// With its children.
    pub(crate) whole: Span,
    pub(crate) args: Vec<Arg>,
    pub(crate) props: Vec<Prop>,
    pub(crate) children: Vec<Node>,
    pub(crate) has_block: bool,
}

impl Node {
    /// Moves all its places: its text stands behind others.
    pub(crate) fn shift(&mut self, by: usize) {
        self.name_span.offset += by;
        self.head.offset += by;
        self.whole.offset += by;
        self.args.iter_mut().for_each(|arg| arg.span.offset += by);
        for prop in &mut self.props {
            prop.whole.offset += by;
            prop.arg.span.offset += by;
        }
        // The depth of a text was checked before it was parsed.
        self.children.iter_mut().for_each(|child| child.shift(by));
    }
}

/// A text, parsed as far as it can be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parsed {
    pub(crate) nodes: Vec<Node>,
    /// Names (second words) of nodes that could not be parsed: what refers to them is not reported.
    pub(crate) broken: Vec<String>,
    /// A part of it is in a file that could not be read.
    pub(crate) incomplete: bool,
}

/// Parses a text. The children of top nodes with the name `split` are cut one by one, so that a mistake in one hides
/// none of the others.
pub(crate) fn parse(report: &mut Report, split: &str) -> Parsed {
    let (tokens, too_deep) = lex(report);
    if too_deep {
        return Parsed::default();
    }
    let text = blank_comments(report.text(), &tokens);
    let pieces = cut_all(&text, &tokens, split);
    let work = move || pieces.into_iter().map(|piece| parse_piece(&text, piece)).collect::<Vec<_>>();
    let thread = std::thread::Builder::new().name("parse".to_owned()).stack_size(PARSER_STACK_BYTES).spawn(work);
    let results = match thread.map(std::thread::JoinHandle::join) {
        Ok(Ok(results)) => results,
        Ok(Err(_)) | Err(_) => {
            report.error("LB0103", Span::default(), "the text could not be parsed").help("the KDL parser gave up");
            return Parsed::default();
        }
    };
    assemble(results, report)
}

/// A stretch of the text that holds one node, and what to do with it.
struct Piece {
    range: Span,
    /// It is the head of a node whose children are the pieces that follow with `child`.
    head: bool,
    child: bool,
}

enum Outcome {
    Nodes(Vec<Node>),
    Broken { name: Option<String>, problems: Vec<(&'static str, Span, String, Option<String>)> },
}

struct Result_ {
    piece: Piece,
    outcome: Outcome,
}

/// Comments become spaces of the same length: places stay what they are, and the parser never recurses into comments.
fn blank_comments(text: &str, tokens: &[Token]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for token in tokens.iter().filter(|token| matches!(token.kind, Kind::LineComment | Kind::BlockComment)) {
        if let Some(part) = bytes.get_mut(token.start..token.end) {
            part.fill(b' ');
        }
    }
    String::from_utf8(bytes).unwrap_or_default()
}

/// The statements of a list of tokens: each ends at a newline or semicolon outside of blocks.
fn statements(tokens: &[Token]) -> Vec<&[Token]> {
    let mut all = Vec::new();
    let mut depth = 0_usize;
    let mut start = 0;
    let mut dashed = false;
    for (index, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth = depth.saturating_sub(1),
            Kind::Newline | Kind::Semicolon if depth == 0 && !dashed => {
                all.push(tokens.get(start..index).unwrap_or_default());
                start = index + 1;
            }
            _ => {}
        }
        let transparent = matches!(token.kind, Kind::Space | Kind::Newline | Kind::LineComment | Kind::BlockComment);
        dashed = token.kind == Kind::SlashDash || (dashed && transparent);
    }
    all.push(tokens.get(start..).unwrap_or_default());
    all.retain(|tokens| {
        let first = tokens.iter().find(|token| {
            !matches!(token.kind, Kind::Space | Kind::LineComment | Kind::BlockComment | Kind::Continuation)
        });
        first.is_some_and(|token| token.kind != Kind::SlashDash)
    });
    all
}

fn cut_all(text: &str, tokens: &[Token], split: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for statement in statements(tokens) {
        let (Some(first), Some(last)) = (statement.first(), statement.last()) else { continue };
        let whole = Span::between(first.start, last.end);
        let first_word = statement.iter().find(|token| matches!(token.kind, Kind::Word | Kind::Text));
        let named = first_word
            .is_some_and(|token| text.get(token.start..token.end).is_some_and(|word| word.trim_matches('"') == split));
        let open = statement.iter().position(|token| token.kind == Kind::Open).filter(|_| named);
        let Some(open) = open else {
            pieces.push(Piece { range: whole, head: false, child: false });
            continue;
        };
        let close = matching_close(statement, open);
        let open_at = statement.get(open).map_or(whole.offset, |token| token.start);
        pieces.push(Piece { range: Span::between(first.start, open_at), head: true, child: false });
        for inner in statements(statement.get(open + 1..close).unwrap_or_default()) {
            if let (Some(first), Some(last)) = (inner.first(), inner.last()) {
                pieces.push(Piece { range: Span::between(first.start, last.end), head: false, child: true });
            }
        }
        let behind = statement.get(close + 1..).unwrap_or_default();
        let rest: Vec<_> = behind.iter().filter(|t| !matches!(t.kind, Kind::Space | Kind::Close)).collect();
        let blank = |t: &&Token| matches!(t.kind, Kind::LineComment | Kind::BlockComment | Kind::Continuation);
        if let (Some(first), Some(last)) = (rest.first(), rest.last())
            && !rest.iter().all(blank)
        {
            pieces.push(Piece { range: Span::between(first.start, last.end), head: false, child: false });
        }
    }
    pieces
}

fn matching_close(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.kind {
            Kind::Open => depth += 1,
            Kind::Close => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return index;
                }
            }
            _ => {}
        }
    }
    tokens.len()
}

fn parse_piece(text: &str, piece: Piece) -> Result_ {
    let part = text.get(piece.range.offset..piece.range.end()).unwrap_or_default();
    let outcome = if part.len() > NODE_BYTES_MAX {
        let message = format!("a node is larger than {NODE_BYTES_MAX} bytes");
        Outcome::Broken {
            name: second_word(part),
            problems: vec![("LB0102", Span { offset: piece.range.offset, len: 1 }, message, None)],
        }
    } else {
        match std::panic::catch_unwind(|| KdlDocument::parse_v2(part)) {
            Ok(Ok(document)) => {
                Outcome::Nodes(document.nodes().iter().map(|node| convert(node, part, piece.range.offset)).collect())
            }
            Ok(Err(error)) => broken(&error, part, piece.range),
            Err(_) => {
                let problem = ("LB0103", piece.range, "this node could not be parsed".to_owned(), None);
                Outcome::Broken { name: second_word(part), problems: vec![problem] }
            }
        }
    };
    Result_ { piece, outcome }
}

/// One mistake of a node is enough: what the parser says after its first recovery is mostly an echo of it.
fn broken(error: &kdl::KdlError, part: &str, range: Span) -> Outcome {
    let first = error.diagnostics.iter().min_by_key(|problem| problem.span.offset());
    let problems = first.map(|problem| {
        let at = trimmed(part, problem.span.offset(), problem.span.len());
        let span = Span { offset: range.offset + at.offset, len: at.len };
        let message = problem.message.clone().unwrap_or_else(|| "this is not KDL".to_owned());
        ("LB0103", span, lower_first(&message), problem.help.clone())
    });
    Outcome::Broken { name: second_word(part), problems: problems.into_iter().collect() }
}

fn lower_first(message: &str) -> String {
    let message = message.trim_end_matches(['.', '!']);
    let mut chars = message.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}

fn second_word(part: &str) -> Option<String> {
    let rest = part.trim_start().split_once(char::is_whitespace)?.1.trim_start();
    let name = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split(['"', '\n']).next()?,
        None => rest.split(|c: char| c.is_whitespace() || "{};=\"".contains(c)).next()?,
    };
    (!name.is_empty()).then(|| name.to_owned())
}

/// A place without the white space around it, within the text and at character boundaries.
fn trimmed(text: &str, offset: usize, len: usize) -> Span {
    let floor = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let (start, end) = (floor(offset), floor(offset.saturating_add(len)));
    let part = text.get(start..end).unwrap_or_default();
    let kept = part.trim();
    if kept.is_empty() {
        return Span { offset: start, len: 0 };
    }
    Span { offset: start + (part.len() - part.trim_start().len()), len: kept.len() }
}

fn convert(node: &KdlNode, text: &str, base: usize) -> Node {
    let place = |span: miette::SourceSpan| {
        let at = trimmed(text, span.offset(), span.len());
        Span { offset: base + at.offset, len: at.len }
    };
    let mut converted = Node {
        name: node.name().value().to_owned(),
        name_span: place(node.name().span()),
        has_block: node.children().is_some(),
        ..Node::default()
    };
    let mut end = converted.name_span.end();
    for entry in node.entries() {
        let whole = place(entry.span());
        end = end.max(whole.end());
        let value = entry.value().clone();
        match entry.name() {
            None => converted.args.push(Arg { value, span: whole }),
            Some(name) => {
                let name_end = place(name.span()).end();
                let part = text.get(name_end - base..whole.end() - base).unwrap_or_default();
                let behind = part.find('=').map_or(name_end, |at| name_end + at + 1);
                let at = trimmed(text, behind - base, whole.end().saturating_sub(behind));
                let span = Span { offset: base + at.offset, len: at.len };
                converted.props.push(Prop { name: name.value().to_owned(), whole, arg: Arg { value, span } });
            }
        }
    }
    converted.head = Span::between(converted.name_span.offset, end);
    converted.whole = Span::between(converted.name_span.offset, place(node.span()).end().max(end));
    // The depth of a text was checked before it came here: this recursion ends.
    if let Some(children) = node.children() {
        converted.children = children.nodes().iter().map(|child| convert(child, text, base)).collect();
    }
    converted
}

fn assemble(results: Vec<Result_>, report: &mut Report) -> Parsed {
    let mut parsed = Parsed::default();
    for result in results {
        match result.outcome {
            Outcome::Broken { name, problems } => {
                parsed.broken.extend(name);
                for (code, span, message, help) in problems {
                    if report.any_at(span.offset, &["LB0105", "LB0106"]) {
                        continue;
                    }
                    let diagnostic = report.error(code, span, message);
                    let general = || {
                        "runbooks are KDL 2: strings stand in quotation marks, booleans are #true and #false".to_owned()
                    };
                    diagnostic.help = Some(help.unwrap_or_else(general));
                }
                if result.piece.head {
                    // The runbook's own line is broken; its steps are still worth reading.
                    parsed.nodes.push(Node { name: "runbook".to_owned(), has_block: true, ..Node::default() });
                }
            }
            Outcome::Nodes(mut nodes) => {
                if result.piece.head
                    && let Some(node) = nodes.last_mut()
                {
                    node.has_block = true;
                }
                match parsed.nodes.last_mut().filter(|_| result.piece.child) {
                    Some(parent) => parent.children.extend(nodes),
                    None => parsed.nodes.extend(nodes),
                }
            }
        }
    }
    parsed
}
