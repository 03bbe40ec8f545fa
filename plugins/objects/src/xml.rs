//! XML as S3 and Azure speak it: small documents, read whole.

use lifeboat_sdk::prelude::*;
pub use roxmltree::{Document, Node};

/// Reads a document.
pub fn parse<'a>(what: &str, text: &'a str) -> Result<Document<'a>, Error> {
    Document::parse(text).map_err(|error| {
        Error::temporary(format!("{what}: the server's answer is no XML: {error}"))
            .hint("look whether the endpoint is that of the storage service, and no proxy is in between")
    })
}

/// The text of the first child of that name; empty where there is none.
pub fn text<'a>(node: Node<'a, '_>, name: &str) -> &'a str {
    child(node, name).and_then(|child| child.text()).unwrap_or_default()
}

/// The first child of that name.
pub fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    children(node, name).next()
}

/// The children of that name.
pub fn children<'a, 'i: 'a>(node: Node<'a, 'i>, name: &str) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(move |child| child.tag_name().name() == name)
}

/// Text as it stands in a document.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A key in a listing that was asked for in the form of URLs; servers that do not know the form give it plain.
pub fn decode(text: &str, encoded: bool) -> String {
    if !encoded {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match (first, digits.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            (byte, _) => {
                bytes.push(if *byte == b'+' { b' ' } else { *byte });
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_and_texts_are_found_by_name_whatever_the_namespace() {
        let document = parse(
            "list",
            r#"<?xml version="1.0"?><R xmlns="http://s3/"><A>x &amp; y</A><B><C>1</C></B><B><C>2</C></B><E/></R>"#,
        )
        .unwrap();
        let root = document.root_element();
        assert_eq!(text(root, "A"), "x & y");
        assert_eq!(children(root, "B").map(|b| text(b, "C")).collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!((text(root, "E"), text(root, "F")), ("", ""));
        assert!(parse("list", "<html><p></html>").unwrap_err().message.starts_with("list: "));
        assert!(parse("list", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>").is_err(), "no DTD is read");
    }

    #[test]
    fn keys_come_back_from_the_form_of_urls() {
        assert_eq!(decode("a%2Fb%20c+d%C3%BC", true), "a/b c dü");
        assert_eq!(decode("100%", true), "100%");
        assert_eq!(decode("a%20b", false), "a%20b");
    }
}
