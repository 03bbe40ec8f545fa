//! Small pages for people who come by a link: no script, nothing from elsewhere, and nothing that a browser may guess about.

use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, StatusCode, header};

use crate::problem::{Problem, Refusal};

const STYLE: &str = "body{font:16px/1.5 sans-serif;max-width:46em;margin:2em auto;padding:0 1em}\
table{border-collapse:collapse}td{padding:.2em 1em .2em 0;vertical-align:top;overflow-wrap:anywhere}\
td:first-child{color:#555;white-space:nowrap}button,input{font:inherit;padding:.4em 1em;margin:.5em .5em .5em 0}\
input{width:100%;box-sizing:border-box}code{overflow-wrap:anywhere}";
/// Steps that are listed.
const ITEMS_MAX: usize = 200;
/// Fields of a form.
const FIELDS_MAX: usize = 20;

/// A page.
pub(crate) struct Html {
    title: String,
    lines: Vec<String>,
    rows: Vec<(String, String)>,
    items: Vec<String>,
    asks: bool,
}

fn safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

impl Html {
    /// A page with that heading. Whatever is put into it is text.
    pub(crate) fn new(title: &str) -> Self {
        Self { title: title.to_owned(), lines: Vec::new(), rows: Vec::new(), items: Vec::new(), asks: false }
    }

    pub(crate) fn line(mut self, text: &str) -> Self {
        self.lines.extend((!text.is_empty()).then(|| text.to_owned()));
        self
    }

    pub(crate) fn row(mut self, name: &str, value: &str) -> Self {
        self.rows.extend((!value.is_empty()).then(|| (name.to_owned(), value.to_owned())));
        self
    }

    pub(crate) fn item(mut self, text: &str) -> Self {
        self.items.push(text.to_owned());
        self
    }

    /// With a form that answers yes or no.
    pub(crate) fn ask(mut self) -> Self {
        self.asks = true;
        self
    }

    fn print(&self) -> String {
        let title = safe(&self.title);
        let mut out = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
             <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n"
        );
        self.lines.iter().for_each(|line| out.push_str(&format!("<p>{}</p>\n", safe(line))));
        if !self.rows.is_empty() {
            out.push_str("<table>\n");
            let row = |(name, value): &(String, String)| {
                format!("<tr><td>{}</td><td>{}</td></tr>\n", safe(name), safe(value))
            };
            self.rows.iter().for_each(|one| out.push_str(&row(one)));
            out.push_str("</table>\n");
        }
        if self.asks {
            out.push_str(
                "<form method=\"post\">\n<p><label>Why <input name=\"reason\" maxlength=\"300\" autocomplete=\"off\"></label></p>\n\
                 <p><button name=\"answer\" value=\"approve\">Approve</button><button name=\"answer\" value=\"deny\">Deny</button></p>\n</form>\n",
            );
        }
        if !self.items.is_empty() {
            out.push_str("<p>The plan:</p>\n<ol>\n");
            self.items.iter().take(ITEMS_MAX).for_each(|item| out.push_str(&format!("<li>{}</li>\n", safe(item))));
            out.push_str("</ol>\n");
            if let Some(more @ 1..) = self.items.len().checked_sub(ITEMS_MAX) {
                out.push_str(&format!("<p>and {more} more</p>\n"));
            }
        }
        out.push_str("</body></html>\n");
        out
    }
}

/// The page, or the refusal as one.
pub(crate) fn of(made: Result<Html, Problem>) -> Response {
    let (status, html, code) = match made {
        Ok(html) => (StatusCode::OK, html, None),
        Err(problem) => {
            let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let html = Html::new(&problem.title).line(problem.hint.as_deref().unwrap_or_default());
            (status, html.row("code", &problem.code), Some(problem.code))
        }
    };
    let mut response = (status, html.print()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    let digest = STANDARD.encode(ring::digest::digest(&ring::digest::SHA256, STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    if let Some(code) = code {
        response.extensions_mut().insert(Refusal(code));
    }
    response
}

/// The fields of a form, as a browser sends them.
pub(crate) fn form(body: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(body);
    let pairs = text.split('&').take(FIELDS_MAX).filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (plain(name), plain(value))).collect()
}

fn plain(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let mut ahead = bytes.clone();
                let two = [ahead.next(), ahead.next()].map(|one| one.and_then(|one| char::from(one).to_digit(16)));
                match two {
                    [Some(high), Some(low)] => {
                        bytes = ahead;
                        out.push(u8::try_from(high * 16 + low).unwrap_or_default());
                    }
                    _ => out.push(b'%'),
                }
            }
            other => out.push(other),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_run_says_is_text_and_nothing_else() {
        let html = Html::new("<script>x</script>").row("a\"", "'><img src=x>").item("&").ask().print();
        assert!(!html.contains("<script") && !html.contains("<img"), "{html}");
        assert!(
            html.contains("&lt;script&gt;") && html.contains("&#39;&gt;&lt;img") && html.contains("<li>&amp;</li>")
        );
    }

    #[test]
    fn forms_are_read_as_browsers_send_them() {
        let found = form(b"reason=it+is+100%25+gone%2C+%C3%BC%zz%4&answer=approve&x");
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(found, [pair("reason", "it is 100% gone, ü%zz%4"), pair("answer", "approve")]);
    }
}
