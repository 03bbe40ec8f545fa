//! No text makes the language of matchers panic; a mistake has a place in the text; what is printed is read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lifeboat_alerts::{Labels, Matchers};

fuzz_target!(|text: &str| match Matchers::parse(text) {
    Ok(matchers) => {
        let labels: Labels = [("a".to_owned(), text.to_owned())].into();
        let again = Matchers::parse(&matchers.to_string());
        // What is printed is longer by its quotation marks.
        if let Ok(again) = again {
            assert_eq!(again.matches(&labels), matchers.matches(&labels));
            assert_eq!(again, matchers);
        } else {
            assert!(matchers.to_string().len() > lifeboat_alerts::limits::MATCHERS_BYTES_MAX);
        }
    }
    Err(refused) => {
        if let Some((begin, end)) = refused.span {
            assert!(text.get(begin..end).is_some());
        }
    }
});
