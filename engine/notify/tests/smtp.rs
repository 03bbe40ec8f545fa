//! A real mail server, with TLS and a login: it takes mail, refuses it for now, and refuses it for good.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lifeboat_core::Error;
use lifeboat_core::notify::{About, Channel, Mail, MailTls, Recipient, Way};
use lifeboat_core::plan::Retry;
use lifeboat_core::ports::{BoxFuture, Clock, Rng, Store};
use lifeboat_notify::{Courier, Dispatcher, Entry, Message, Refused, Setting, State};
use lifeboat_secrets::{Secret, Secrets};
use lifeboat_servers::{Kind, Server};
use lifeboat_store::MemoryStore;
use serde_json::Value;

struct Wall;

impl Clock for Wall {
    fn now_ms(&self) -> u64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        u64::try_from(since.as_millis()).unwrap()
    }

    fn sleep_until(&self, at_ms: u64) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(Duration::from_millis(at_ms.saturating_sub(self.now_ms()))))
    }
}

impl Rng for Wall {
    fn next_u64(&self) -> u64 {
        9
    }
}

struct Password(String);

impl Secrets for Password {
    fn get(&self, _: &str) -> Result<Secret, Error> {
        Ok(Secret::new(self.0.clone().into_bytes()))
    }
}

struct World {
    _dir: tempfile::TempDir,
    server: Server,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start(Kind::Smtp, &dir.path().join("smtp"))
            .expect("aiosmtpd is needed: cargo xtask servers install");
        Self { _dir: dir, server }
    }

    fn channel(&self, tls: MailTls, to: &[&str]) -> Channel {
        let access = self.server.access();
        let port = if tls == MailTls::Tls { access.get("tls-port") } else { access.get("port") };
        let to = to.iter().map(|to| Recipient { address: (*to).to_owned(), person: None }).collect();
        Channel {
            way: Way::Mail(Mail {
                host: "127.0.0.1".to_owned(),
                port: port.parse().unwrap(),
                tls,
                ca: Some(access.get("ca").into()),
                login: Some((access.get("user").to_owned(), "smtp".to_owned())),
                from: "lifeboat@example.net".to_owned(),
                to,
                subject: None,
            }),
            template: None,
            about: About::USUAL.into_iter().collect(),
            runbooks: Vec::new(),
            limit: 30,
            retry: Retry { count: 4, backoff_ms: 50, max_ms: 100, jitter: false },
        }
    }

    fn courier(&self, channel: Channel, password: &str) -> Courier {
        let secrets = Arc::new(Password(password.to_owned()));
        Courier::new(&BTreeMap::from([("mail".to_owned(), channel)]), secrets).unwrap()
    }

    fn password(&self) -> &str {
        self.server.access().get("password")
    }

    fn mails(&self) -> Vec<Value> {
        let folder = Path::new(self.server.access().get("mails"));
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
        files.sort();
        files.iter().map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()).collect()
    }
}

fn message() -> Message {
    Message::new(
        About::Failed,
        1_700_000_000_000,
        "orders failed – größer",
        "rebuild failed: the disk is full.\n.\nBCC: x@y",
    )
}

#[tokio::test]
async fn mail_arrives_over_tls_with_a_login() {
    let world = World::new();
    for tls in [MailTls::Starttls, MailTls::Tls] {
        let courier = world.courier(world.channel(tls, &["ops@example.net"]), world.password());
        courier.send("mail", "ops@example.net", "letter-7", &message()).await.unwrap();
        let mail = world.mails().pop().unwrap();
        assert_eq!((&mail["tls"], &mail["authenticated"]), (&Value::Bool(true), &Value::Bool(true)), "{tls:?} {mail}");
        assert_eq!((&mail["from"], &mail["to"][0]), (&"lifeboat@example.net".into(), &"ops@example.net".into()));
        let data = mail["data"].as_str().unwrap();
        let (head, body) = data.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("Message-ID: <letter-7@example.net>"), "{head}");
        assert!(head.contains("Subject: ") && !head.contains("BCC"), "{head}");
        assert!(!body.is_empty());
    }
    assert_eq!(world.mails().len(), 2);
}

#[tokio::test]
async fn a_wrong_password_and_a_strange_certificate_are_told_without_a_secret() {
    let world = World::new();
    let courier = world.courier(world.channel(MailTls::Starttls, &["a@b.c"]), "notThePassword");
    let refused = courier.send("mail", "a@b.c", "l", &message()).await.unwrap_err();
    assert!(matches!(refused, Refused::Now(_)), "the password may be another one by the next time: {refused:?}");
    let told = refused.error().to_string();
    assert!(told.contains("535") && !told.contains("notThePassword"), "{told}");
    let mut channel = world.channel(MailTls::Starttls, &["a@b.c"]);
    if let Way::Mail(mail) = &mut channel.way {
        mail.ca = None;
    }
    let courier = world.courier(channel, world.password());
    let refused = courier.send("mail", "a@b.c", "l", &message()).await.unwrap_err();
    assert_eq!(refused.error().code.0, "LB1093", "nobody vouches for it: {refused:?}");
    assert!(world.mails().is_empty());
}

#[tokio::test]
async fn what_is_refused_for_now_is_sent_later_and_what_is_refused_for_good_is_shown() {
    let world = World::new();
    let to = ["later@example.net", "never@example.net", "ops@example.net"];
    let channel = world.channel(MailTls::Starttls, &to);
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let dispatcher = Dispatcher::start(Setting {
        courier: Arc::new(world.courier(channel, world.password())),
        store,
        clock: Arc::new(Wall),
        rng: Arc::new(Wall),
        public_url: None,
    })
    .await
    .unwrap();
    dispatcher.tell("run/9/failed", &message(), &[], &|_| None).await.unwrap();
    let start = Instant::now();
    let all: Vec<Entry> = loop {
        let all = dispatcher.outbox().all().await;
        if all.len() == 3 && all.iter().all(|entry| entry.state != State::Waiting) {
            break all;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{all:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let find = |to: &str| all.iter().find(|entry| entry.to.starts_with(to)).unwrap();
    assert_eq!((find("later").state, find("later").attempts), (State::Sent, 3));
    assert_eq!((find("ops").state, find("ops").attempts), (State::Sent, 1));
    assert_eq!((find("never").state, find("never").attempts), (State::Failed, 1));
    let error = find("never").error.as_ref().unwrap();
    assert!(error.contains("LB1094") && error.contains("550"), "{error}");
    assert_eq!(world.mails().len(), 2);
    dispatcher.stop().await;
}
