//! The language of matchers: as in Alertmanager, with mistakes that say where they are.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use lifeboat_alerts::{Labels, Matcher, Matchers, Op};
use proptest::prelude::*;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn holds(text: &str, pairs: &[(&str, &str)]) -> bool {
    Matchers::parse(text).unwrap().matches(&labels(pairs))
}

#[test]
fn all_operators() {
    let alert = [("severity", "critical"), ("region", "eu-1")];
    for (text, expected) in [
        (r#"severity="critical""#, true),
        ("severity=critical", true),
        (r#"{severity="critical", region="eu-1",}"#, true),
        ("severity!=critical", false),
        (r#"region=~"eu-.*""#, true),
        // Anchored at both ends.
        (r#"region=~"eu""#, false),
        (r#"region=~"eu-1|us-1""#, true),
        (r#"region=~"us|eu""#, false),
        (r#"region!~"us-.*""#, true),
        (r#"region!~"(?i)EU-\d""#, false),
        // A label that is not there is empty.
        (r#"team="""#, true),
        (r#"team!="""#, false),
        (r#"team=~".+""#, false),
        (r#"team!~".+""#, true),
        ("{}", true),
        ("", true),
        ("  { severity = critical ,\n region =~ eu-.* } ", true),
    ] {
        assert_eq!(holds(text, &alert), expected, "{text}");
    }
}

#[test]
fn quotes_and_every_alphabet() {
    let alert = [("région du sud", "a \"b\" \\ ünd\n"), ("🔥", "x,y}"), ("a:b", "1")];
    assert!(holds("\"région du sud\"=\"a \\\"b\\\" \\\\ ünd\\n\", 🔥=\"x,y}\", a:b=1", &alert));
    assert!(holds("🔥=~\"x,.\\\\}\"", &alert));
}

#[test]
fn mistakes_say_where_they_are() {
    for (text, part, message) in [
        ("severity", "", "an operator is missing"),
        ("severity=", "", "a value is missing"),
        ("=x", "=", "a label is missing"),
        ("a=b c=d", "c", "a comma is missing"),
        ("a==b", "==", "'==' is no operator"),
        ("{a=b", "{", "this brace is not closed"),
        ("a=b}", "}", "this brace was not opened"),
        ("{a=b} x", "x", "a comma is missing here, or this is too much"),
        ("ü=\"x", "\"", "this quotation mark is not closed"),
        ("a='x'", "'", "a value is missing"),
        (",", ",", "a label is missing"),
        ("a=b,,c=d", ",", "a label is missing"),
        ("a=\"\\", "\"", "this quotation mark is not closed"),
    ] {
        let refused = Matchers::parse(text).unwrap_err();
        let (begin, end) = refused.span.unwrap();
        assert_eq!((refused.code, &text[begin..end]), ("LB1016", part), "{text}: {refused}");
        assert!(refused.message.starts_with(message), "{text}: {refused}");
    }
}

#[test]
fn expressions_are_bounded_and_whole() {
    for wrong in ["a=~\"(\"", "a=~\"a)|(b\"", "a=~\"[z-a]\"", "a=~\"(a{1000}){1000}\"", "a=~\"(?=x)\"", "a=~\"\\\\1\""]
    {
        let refused = Matchers::parse(wrong).unwrap_err();
        assert_eq!((refused.code, refused.span), ("LB1017", Some((3, wrong.len()))), "{wrong}");
    }
    let nested = format!("a=~\"{}{}\"", "(".repeat(1_000), ")".repeat(1_000));
    assert_eq!(Matchers::parse(&nested).unwrap_err().code, "LB1017");
    assert_eq!(Matchers::parse(&"a=b,".repeat(33)).unwrap_err().code, "LB1016");
    assert_eq!(Matchers::parse(&"a".repeat(5_000)).unwrap_err().code, "LB1016");
    // What takes others exponential time takes none here.
    assert!(!holds("a=~\"(a*)*b\"", &[("a", &"a".repeat(2_000))]));
}

#[test]
fn what_matches_nearly_all_is_known() {
    for (text, nothing) in
        [("", true), ("a!=b", true), ("a=~\".*\"", true), ("a=\"\"", true), ("a=b", false), ("a!=b,c=d", false)]
    {
        assert_eq!(Matchers::parse(text).unwrap().match_nothing(), nothing, "{text}");
    }
}

proptest! {
    #[test]
    fn what_is_printed_is_read_again(label in "\\PC{1,12}", value in "(?s).{0,20}", not in any::<bool>()) {
        let op = if not { Op::IsNot } else { Op::Is };
        let matchers = Matchers(vec![Matcher::new(label.clone(), op, value.clone()).unwrap(); 2]);
        prop_assert_eq!(Matchers::parse(&matchers.to_string()).unwrap(), matchers);
        prop_assert_eq!(Matcher::new(label.clone(), op, value.clone()).unwrap().matches(&labels(&[(&label, &value)])), !not);
    }

    #[test]
    fn no_text_makes_it_panic(text in "[a\"\\\\{}=!~,' ü\n(*]{0,30}") {
        if let Err(refused) = Matchers::parse(&text)
            && let Some((begin, end)) = refused.span
        {
            prop_assert!(text.get(begin..end).is_some());
        }
    }
}
