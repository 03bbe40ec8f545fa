//! Azure Storage: Shared Key for the Blob service, and shared access signatures.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::hmac::{HMAC_SHA256, Key, sign as hmac};

use super::Draft;

/// The version of the service that is asked for where the guest names none.
const VERSION: &str = "2021-12-02";

/// Signs with the key of the account. `now` is a date as HTTP writes it.
pub fn shared_key(draft: &mut Draft, account: &str, key: &[u8], now: &str) {
    draft.set("x-ms-date", now);
    if !draft.headers.contains_key("x-ms-version") {
        draft.set("x-ms-version", VERSION);
    }
    let signature =
        BASE64_STANDARD.encode(hmac(&Key::new(HMAC_SHA256, key), string_to_sign(draft, account).as_bytes()));
    draft.set("authorization", &format!("SharedKey {account}:{signature}"));
}

fn string_to_sign(draft: &Draft, account: &str) -> String {
    let header = |name: &str| draft.headers.get(name).map(String::as_str).unwrap_or_default();
    let length = Some(header("content-length")).filter(|length| *length != "0").unwrap_or_default();
    let mut text = format!("{}\n", draft.method);
    for value in [
        header("content-encoding"),
        header("content-language"),
        length,
        header("content-md5"),
        header("content-type"),
        // The date is in `x-ms-date`.
        "",
        header("if-modified-since"),
        header("if-match"),
        header("if-none-match"),
        header("if-unmodified-since"),
        header("range"),
    ] {
        text.push_str(value);
        text.push('\n');
    }
    for (name, value) in draft.headers.iter().filter(|(name, _)| name.starts_with("x-ms-")) {
        text.push_str(&format!("{name}:{}\n", value.trim()));
    }
    text.push_str(&format!("/{account}{}", draft.url.path));
    let mut query: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in draft.url.pairs() {
        query.entry(name.to_ascii_lowercase()).or_default().push(value);
    }
    for (name, mut values) in query {
        values.sort();
        text.push_str(&format!("\n{name}:{}", values.join(",")));
    }
    text
}

/// Adds a shared access signature to the query.
pub fn shared_access(draft: &mut Draft, signature: &str) {
    draft.url.add_query(signature.trim_start_matches('?'));
    if !draft.headers.contains_key("x-ms-version") {
        draft.set("x-ms-version", VERSION);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::url::Url;

    /// The example of "Authorize with Shared Key" in the reference of Azure Storage: listing a container.
    #[test]
    fn the_string_to_sign_is_that_of_the_reference() {
        let url = "https://myaccount.blob.core.windows.net/mycontainer?comp=metadata&restype=container&timeout=20";
        let mut draft = Draft { method: "GET".into(), url: Url::parse(url).unwrap(), headers: BTreeMap::new() };
        draft.set("x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT");
        draft.set("x-ms-version", "2015-02-21");
        let want = "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n\
                    /myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20";
        assert_eq!(string_to_sign(&draft, "myaccount"), want);
    }

    #[test]
    fn an_empty_body_has_no_length_and_a_signature_joins_the_query() {
        let url = Url::parse("https://a.net/c/b?x=1").unwrap();
        let mut draft = Draft { method: "PUT".into(), url, headers: BTreeMap::new() };
        draft.set("content-length", "0");
        assert!(string_to_sign(&draft, "a").starts_with("PUT\n\n\n\n\n"));
        draft.set("content-length", "11");
        assert!(string_to_sign(&draft, "a").starts_with("PUT\n\n\n11\n\n"));
        shared_access(&mut draft, "?sv=1&sig=a%2Bb");
        assert_eq!(draft.url.query.as_deref(), Some("x=1&sv=1&sig=a%2Bb"));
    }
}
