//! URLs of requests: taken apart once, so that what is checked is what is used.

use http::Uri;

use crate::bindings::lifeboat::plugin::types::{Error as GuestError, ErrorKind};
use crate::fault::guest_error;

/// A URL, in parts. Path and query are percent-encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// `https`, not `http`.
    pub tls: bool,
    /// In lower case, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Begins with `/`.
    pub path: String,
    /// Without the `?`.
    pub query: Option<String>,
}

impl Url {
    /// Reads a whole URL. Names and passwords in it are refused.
    pub fn parse(text: &str) -> Result<Self, GuestError> {
        let text = text.split_once('#').map_or(text, |(front, _)| front);
        // Not the text itself: a query may hold a token.
        let shown = text.split_once('?').map_or(text, |(front, _)| front);
        let bad = |why: &str| {
            let shown = shown.rsplit_once('@').map_or(shown, |(_, rest)| rest);
            guest_error(ErrorKind::Permanent, format!("'{}' is no URL: {why}", crate::fault::cut(shown.to_owned())))
        };
        let uri: Uri = text.parse().map_err(|error: http::uri::InvalidUri| bad(&error.to_string()))?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(bad("it has to begin with https:// or http://")),
        };
        let authority = uri.authority().ok_or_else(|| bad("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad("a name or password does not belong into it"));
        }
        let host = Self::bare(authority.host());
        if host.is_empty() {
            return Err(bad("it has no host"));
        }
        let port = match authority.as_str().get(authority.host().len()..).unwrap_or_default() {
            "" => None,
            port => Some(port.trim_start_matches(':').parse::<u16>().map_err(|_| bad("its port is no number"))?),
        };
        Ok(Self {
            tls,
            host,
            port: port.unwrap_or(if tls { 443 } else { 80 }),
            path: if uri.path().is_empty() { "/".to_owned() } else { uri.path().to_owned() },
            query: uri.query().filter(|query| !query.is_empty()).map(str::to_owned),
        })
    }

    fn bare(host: &str) -> String {
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        match bare.unwrap_or(host).parse::<std::net::IpAddr>() {
            Ok(address) => address.to_string(),
            Err(_) => host.to_ascii_lowercase(),
        }
    }

    /// The URL that a guest means: below the endpoint where it begins with `/`, else by itself.
    pub fn wanted(endpoint: Option<&str>, url: &str) -> Result<Self, GuestError> {
        if !url.starts_with('/') {
            return Self::parse(url);
        }
        let Some(endpoint) = endpoint else {
            let message = "the target has no setting 'endpoint', which the request is to be below";
            return Err(guest_error(ErrorKind::Permanent, message));
        };
        let base = Self::parse(endpoint)?;
        if base.query.is_some() {
            return Err(guest_error(ErrorKind::Permanent, "the setting 'endpoint' has a query, which it can't have"));
        }
        // Put together and read again, so that it is checked as any other.
        Self::parse(&format!("{}{}{url}", base.origin(), base.path.trim_end_matches('/')))
    }

    /// Where a `Location` leads to, seen from here.
    pub fn follow(&self, location: &str) -> Result<Self, GuestError> {
        if location.contains("://") && !location.starts_with(['/', '?']) {
            return Self::parse(location);
        }
        let scheme = if self.tls { "https:" } else { "http:" };
        if location.starts_with("//") {
            return Self::parse(&format!("{scheme}{location}"));
        }
        if location.starts_with('/') {
            return Self::parse(&format!("{}{location}", self.origin()));
        }
        if location.starts_with('?') {
            return Self::parse(&format!("{}{}{location}", self.origin(), self.path));
        }
        let folder = self.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        Self::parse(&format!("{}{folder}/{location}", self.origin()))
    }

    /// Host, and port where it is not the usual one: the header `Host`.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let usual = if self.tls { 443 } else { 80 };
        if self.port == usual { host } else { format!("{host}:{}", self.port) }
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> String {
        format!("{}://{}", if self.tls { "https" } else { "http" }, self.authority())
    }

    /// For people: without the query, which may hold a signature.
    pub fn shown(&self) -> String {
        format!("{}{}", self.origin(), self.path)
    }

    /// Whether credentials for the one may be sent to the other.
    pub fn same_origin(&self, other: &Self) -> bool {
        (self.tls, &self.host, self.port) == (other.tls, &other.host, other.port)
    }

    /// For the client.
    pub fn uri(&self) -> Result<Uri, GuestError> {
        let query = self.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
        let text = format!("{}{}{query}", self.origin(), self.path);
        text.parse().map_err(|_| guest_error(ErrorKind::Permanent, format!("'{}' is no URL", self.shown())))
    }

    /// The names and values of the query, decoded.
    pub fn pairs(&self) -> Vec<(String, String)> {
        let query = self.query.as_deref().unwrap_or_default();
        let parts = query.split('&').filter(|part| !part.is_empty());
        parts.map(|part| part.split_once('=').unwrap_or((part, ""))).map(|(k, v)| (decode(k), decode(v))).collect()
    }

    /// Adds to the query what is encoded already.
    pub fn add_query(&mut self, more: &str) {
        match &mut self.query {
            Some(query) => {
                query.push('&');
                query.push_str(more);
            }
            None => self.query = Some(more.to_owned()),
        }
    }
}

/// Percent-decodes; what is no encoding stays as it is. Bytes that are no UTF-8 are replaced.
pub fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, more)) = rest.split_first() {
        let hex = more.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.filter(|_| first == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = more.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(first);
                rest = more;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Percent-encodes all but letters, digits, `-._~` and what is to be kept.
pub fn encode(text: &str, keep: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || keep.contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let url = Url::parse("HTTPS://Ex.Net:8443/a%20b?x=1&y=%2F#f").unwrap();
        assert_eq!((url.tls, url.host.as_str(), url.port), (true, "ex.net", 8443));
        assert_eq!(
            (url.path.as_str(), url.pairs()),
            ("/a%20b", vec![("x".into(), "1".into()), ("y".into(), "/".into())])
        );
        assert_eq!(Url::parse("http://[::1]:9/").unwrap().authority(), "[::1]:9");
        assert_eq!(Url::parse("http://h").unwrap().origin(), "http://h");
        for bad in ["ftp://h/", "https://", "h/x", "https://u:secret@h/", "http://h:99999/", "http://h/ü b"] {
            let error = Url::parse(bad).unwrap_err();
            assert!(!error.message.contains("secret"), "{}", error.message);
        }
    }

    #[test]
    fn requests_are_below_the_endpoint_and_redirects_are_seen_from_where_they_came() {
        let wanted = |url: &str| Url::wanted(Some("http://h:9/base/"), url).map(|url| url.shown()).unwrap();
        assert_eq!(wanted("/a?x"), "http://h:9/base/a");
        assert_eq!(wanted("https://other/b"), "https://other/b");
        assert_eq!(wanted("//evil/x"), "http://h:9/base//evil/x");
        assert!(Url::wanted(None, "/a").is_err());
        let from = Url::parse("https://h/a/b?q").unwrap();
        for (location, want) in [
            ("http://x/y", "http://x/y"),
            ("//x/y", "https://x/y"),
            ("/y", "https://h/y"),
            ("y?z", "https://h/a/y"),
            ("?z", "https://h/a/b"),
        ] {
            assert_eq!(from.follow(location).unwrap().shown(), want);
        }
    }
}
