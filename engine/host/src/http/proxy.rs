//! Proxies: as the operator's file says, else as the environment does. What is on this machine is always reached directly.

use http::HeaderValue;
use hyper_util::client::proxy::matcher::Matcher;
use lifeboat_core::grants::Proxy;

use super::url::Url;

/// The ways out.
pub struct Proxies(Option<Matcher>);

/// One way out.
pub enum Way {
    /// To the server itself.
    Direct,
    /// Over a proxy, which resolves the name: then only names are checked, and literal addresses.
    Proxy {
        /// Its host.
        host: String,
        /// Its port.
        port: u16,
        /// What it is told of who asks.
        authorization: Option<HeaderValue>,
    },
}

impl Proxies {
    /// What the operator's file says, or the environment.
    pub fn new(operator: Option<&Proxy>) -> Self {
        match operator {
            None => Self(Some(Matcher::from_env())),
            Some(Proxy { url: None, .. }) => Self(None),
            Some(Proxy { url: Some(url), except }) => {
                let builder = Matcher::builder().all(url.clone()).no(except.join(","));
                Self(Some(builder.build()))
            }
        }
    }

    /// The way to that server.
    pub fn way(&self, url: &Url) -> Way {
        let local = url.host == "localhost"
            || url.host.parse::<std::net::IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback());
        let Some(matcher) = self.0.as_ref().filter(|_| !local) else { return Way::Direct };
        let Ok(uri) = url.uri() else { return Way::Direct };
        let Some(found) = matcher.intercept(&uri) else { return Way::Direct };
        let proxy = found.uri();
        let host = proxy.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        Way::Proxy { host, port: proxy.port_u16().unwrap_or(80), authorization: found.basic_auth().cloned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(proxies: &Proxies, url: &str) -> Option<(String, u16)> {
        match proxies.way(&Url::parse(url).unwrap()) {
            Way::Direct => None,
            Way::Proxy { host, port, .. } => Some((host, port)),
        }
    }

    #[test]
    fn the_operator_says_which_way() {
        let except = vec![".internal".to_owned(), "10.0.0.0/8".to_owned()];
        let proxies = Proxies::new(Some(&Proxy { url: Some("http://p.net:3128".to_owned()), except }));
        let there = Some(("p.net".to_owned(), 3128));
        assert_eq!(way(&proxies, "https://a.net/"), there);
        assert_eq!(way(&proxies, "http://a.net/"), there);
        for direct in
            ["https://x.internal/", "https://10.1.2.3/", "http://localhost:1/", "http://127.0.0.1/", "http://[::1]/"]
        {
            assert_eq!(way(&proxies, direct), None, "{direct}");
        }
        assert_eq!(way(&Proxies::new(Some(&Proxy { url: None, except: vec![] })), "https://a.net/"), None);
    }
}
