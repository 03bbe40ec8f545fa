//! The courier: what is sent, to whom, and what is tried again.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Mutex;

use lifeboat_core::notify::{About, LIMIT_DEFAULT, retry_default};

use super::*;

/// Secrets in a table, and which of them were said to be wrong.
#[derive(Default)]
pub(crate) struct Table {
    pub(crate) values: BTreeMap<String, String>,
    pub(crate) rejected: Mutex<Vec<String>>,
}

impl Secrets for Table {
    fn get(&self, name: &str) -> Result<Secret, Error> {
        let value = self.values.get(name).ok_or_else(|| Error::new("LB0710", "no such secret"))?;
        Ok(Secret::new(value.clone().into_bytes()))
    }

    fn rejected(&self, name: &str) {
        self.rejected.lock().unwrap().push(name.to_owned());
    }
}

pub(crate) fn secrets(values: &[(&str, &str)]) -> Arc<Table> {
    let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Arc::new(Table { values, rejected: Mutex::default() })
}

pub(crate) fn channel(way: Way) -> Channel {
    Channel {
        way,
        template: None,
        about: About::USUAL.into_iter().collect(),
        runbooks: Vec::new(),
        limit: LIMIT_DEFAULT,
        retry: retry_default(),
    }
}

pub(crate) fn hook(url: Given) -> Webhook {
    Webhook { url, plain: false, ca: None, headers: Vec::new(), values: Vec::new(), form: Form::Json }
}

/// What a sink was sent: head and body of each request.
pub(crate) type Sent = Arc<Mutex<Vec<(String, String)>>>;

/// A sink of webhooks: it gives these answers, one a request, and then 200. What it was sent, head and body.
pub(crate) fn sink(answers: &[&str]) -> (String, Sent) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook/secret-path", listener.local_addr().unwrap());
    let seen: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
    let (kept, answers) = (Arc::clone(&seen), answers.iter().map(|&one| one.to_owned()).collect::<Vec<_>>());
    std::thread::spawn(move || {
        for (stream, number) in listener.incoming().zip(0..) {
            let mut stream = stream.unwrap();
            let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
            let (head, length) = loop {
                let count = stream.read(&mut buffer).unwrap();
                bytes.extend_from_slice(&buffer[..count]);
                let text = String::from_utf8_lossy(&bytes).into_owned();
                if let Some(end) = text.find("\r\n\r\n") {
                    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
                    break (text[..end].to_owned(), length.unwrap_or(0));
                }
            };
            while bytes.len() < head.len() + 4 + length {
                let count = stream.read(&mut buffer).unwrap();
                bytes.extend_from_slice(&buffer[..count]);
            }
            let body = String::from_utf8_lossy(&bytes[head.len() + 4..]).into_owned();
            kept.lock().unwrap().push((head, body));
            let status = answers.get(number).map_or("200 OK", String::as_str);
            let _ = write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 10\r\nconnection: close\r\n\r\nno such-it");
        }
    });
    (url, seen)
}

fn courier(way: Way, template: Option<&str>, table: &Arc<Table>) -> Result<Courier, Error> {
    let folder = tempfile::tempdir().unwrap();
    let mut channel = channel(way);
    if let Some(text) = template {
        let path = folder.path().join("template");
        std::fs::write(&path, text).unwrap();
        channel.template = Some(path);
    }
    let table: Arc<dyn Secrets> = Arc::clone(table) as Arc<dyn Secrets>;
    Courier::new(&BTreeMap::from([("c".to_owned(), channel)]), table)
}

fn sample() -> Message {
    Message::samples().into_iter().find(|one| one.about == About::Approval && !one.run.is_empty()).unwrap()
}

#[test]
fn what_slack_is_sent_calls_nobody_together() {
    let mut message = sample();
    message.text = "<!channel> & <https://evil|click>".to_owned();
    let text = slack(&message)["text"].as_str().unwrap().to_owned();
    let golden = "*orders \"needs\" &lt;you&gt; &amp; me*\n\
                  &lt;!channel&gt; &amp; &lt;https://evil|click&gt;\n\
                  run `01890000-0000-7000-8000-000000000000` of orders (failover)\n\
                  The question stands until 2023-11-14T22:14:20Z.\n\
                  `lifeboat approve 0189 go --reason '…'`\n\
                  and 12 more:\n• bank failed";
    assert_eq!(text, golden);
    assert!(!text.contains("/v1/links/"), "a link of a person is not for a room full of people");
}

#[tokio::test]
async fn a_webhook_is_sent_its_template_with_its_secrets() {
    let (url, seen) = sink(&[]);
    let table = secrets(&[("key", "k-\"1"), ("token", "Bearer t0ken"), ("url", &url)]);
    let mut way = hook(Given::Secret("url".to_owned()));
    way.headers = vec![("authorization".to_owned(), Given::Secret("token".to_owned()))];
    way.values = vec![("routing_key".to_owned(), Given::Secret("key".to_owned()))];
    let template = "{\"routing_key\": \"{{values.routing_key}}\", \"summary\": \"{{title}}\", \"id\": \"{{id}}\"}";
    let courier = courier(Way::Webhook(way), Some(template), &table).unwrap();
    courier.send("c", "", "letter-1", &sample()).await.unwrap();
    let (head, body) = seen.lock().unwrap().remove(0);
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body, json!({ "routing_key": "k-\"1", "summary": "orders \"needs\" <you> & me", "id": "0000-go" }));
    assert!(head.starts_with("POST /hook/secret-path HTTP/1.1"), "{head}");
    assert!(head.contains("authorization: Bearer t0ken") && head.contains("idempotency-key: letter-1"), "{head}");
    assert!(table.rejected.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_refused_is_told_apart_and_names_no_secret() {
    let (url, _) = sink(&["500 such-it", "429 slow", "404 gone", "301 moved", "401 who"]);
    let table = secrets(&[("url", &url), ("other", "no such-it")]);
    let mut way = hook(Given::Secret("url".to_owned()));
    way.values = vec![("v".to_owned(), Given::Secret("other".to_owned()))];
    let courier = courier(Way::Webhook(way), Some("{\"a\": \"{{values.v}}\"}"), &table).unwrap();
    let mut found = Vec::new();
    for _ in 0..5 {
        let refused = courier.send("c", "", "l", &sample()).await.unwrap_err();
        let told = refused.error().to_string();
        assert!(told.contains("•••") && !told.contains("such-it") && !told.contains("secret-path"), "{told}");
        found.push(matches!(refused, Refused::Now(_)));
    }
    assert_eq!(found, [true, true, false, false, true]);
    assert!(table.rejected.lock().unwrap().contains(&"url".to_owned()), "it is read anew the next time");
}

#[tokio::test]
async fn where_nothing_can_be_sent_to_it_says_so() {
    let table = secrets(&[("far", "http://192.0.2.1/x"), ("bad", "no address at all")]);
    for (given, for_good) in [
        (Given::Secret("far".to_owned()), true),
        (Given::Secret("bad".to_owned()), true),
        (Given::Secret("gone".to_owned()), false),
        (Given::Text("http://127.0.0.1:1/".to_owned()), false),
    ] {
        let courier = courier(Way::Slack(hook(given.clone())), None, &table).unwrap();
        let refused = courier.send("c", "", "l", &sample()).await.unwrap_err();
        assert_eq!(matches!(refused, Refused::ForGood(_)), for_good, "{given:?}");
        assert!(!format!("{refused:?}").contains("no address at all"));
    }
    let courier = courier(Way::Slack(hook(Given::Text(String::new()))), None, &table).unwrap();
    assert_eq!(courier.send("d", "", "l", &sample()).await.unwrap_err().error().code.0, "LB1092");
}

#[test]
fn a_bad_template_is_refused_before_it_is_needed() {
    let table = secrets(&[]);
    for text in ["{{nowhere}}", "{\"a\": {{title}}}", "{\"a\": \"{{values.gone}}\"}", "{{#each}}"] {
        let made = courier(Way::Webhook(hook(Given::Text(String::new()))), Some(text), &table);
        assert_eq!(made.err().map(|error| error.code.0.into_owned()).as_deref(), Some("LB1091"), "{text}");
    }
    assert!(courier(Way::Slack(hook(Given::Text(String::new()))), Some("{\"text\": \"{{title}}\"}"), &table).is_ok());
}

#[test]
fn the_mail_says_what_to_do() {
    let template = Template::new("mail", BODY, Form::Text).unwrap();
    let bare = template.render(&data(&Message::new(About::Test, 0, "t", "just this"), Map::new())).unwrap();
    assert_eq!(bare, "just this\n\nat       1970-01-01T00:00:00Z\n");
    let full = template.render(&data(&sample(), Map::new())).unwrap();
    for part in [
        "role     incident-commander",
        "plan     blake3:0011",
        "  https://dr.example.net/v1/links/a.b",
        "And 12 more:\n  bank failed",
    ] {
        assert!(full.contains(part), "{part} is not in\n{full}");
    }
}
