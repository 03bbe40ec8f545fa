//! What tidy looks for inside Rust files: long functions, unfinished ones, tests that are switched off.

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// Lines of a function, from `fn` to its last brace. What is longer does more than one thing.
const FUNCTION_LINES_MAX: usize = 70;

/// The findings in one file, as `(line, what)`.
///
/// # Errors
/// The text is not Rust.
pub fn findings(text: &str) -> Result<Vec<(usize, String)>, String> {
    let file = syn::parse_file(text).map_err(|error| format!("is not Rust: {error}"))?;
    let mut visitor = Visitor { found: Vec::new() };
    if !file.attrs.iter().any(|attribute| attribute.path().is_ident("doc")) {
        visitor.found.push((1, "has no module docs (`//!`) that say why it is there".to_owned()));
    }
    visitor.visit_file(&file);
    Ok(visitor.found)
}

struct Visitor {
    found: Vec<(usize, String)>,
}

impl Visitor {
    fn length(&mut self, name: &syn::Ident, start: Span, end: Span) {
        let (first, last) = (start.start().line, end.end().line);
        let lines = (last + 1).saturating_sub(first);
        if lines > FUNCTION_LINES_MAX {
            self.found.push((first, format!("function '{name}' has {lines} lines, {FUNCTION_LINES_MAX} are allowed")));
        }
    }
}

impl<'ast> Visit<'ast> for Visitor {
    fn visit_item_fn(&mut self, node: &'ast syn::ItemFn) {
        self.length(&node.sig.ident, node.sig.span(), node.block.span());
        visit::visit_item_fn(self, node);
    }

    fn visit_impl_item_fn(&mut self, node: &'ast syn::ImplItemFn) {
        self.length(&node.sig.ident, node.sig.span(), node.block.span());
        visit::visit_impl_item_fn(self, node);
    }

    fn visit_trait_item_fn(&mut self, node: &'ast syn::TraitItemFn) {
        if let Some(block) = &node.default {
            self.length(&node.sig.ident, node.sig.span(), block.span());
        }
        visit::visit_trait_item_fn(self, node);
    }

    fn visit_macro(&mut self, node: &'ast syn::Macro) {
        if let Some(name) = node.path.segments.last().map(|segment| segment.ident.to_string())
            && matches!(name.as_str(), "todo" | "unimplemented")
        {
            self.found.push((node.span().start().line, format!("'{name}!' is unfinished work")));
        }
        visit::visit_macro(self, node);
    }

    fn visit_attribute(&mut self, node: &'ast syn::Attribute) {
        if node.path().is_ident("ignore") {
            self.found.push((node.span().start().line, "a test is switched off".to_owned()));
        }
        visit::visit_attribute(self, node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_it_looks_for_and_nothing_else() {
        let body = "    let _ = 1;\n".repeat(69);
        let good = format!(
            "//! Why.\nfn short() {{\n    let _ = \"todo!()\"; // #[ignore]\n}}\nfn full() {{\n{}}}\n",
            &body[15..]
        );
        assert_eq!(findings(&good).unwrap(), Vec::new());
        let bad = format!("fn long() {{\n{body}}}\n#[test]\n#[ignore]\nfn off() {{\n    todo!()\n}}\n");
        let found = findings(&bad).unwrap();
        let lines: Vec<usize> = found.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 1, 73, 75], "{found:?}");
        assert!(findings("fn {").is_err());
    }
}
