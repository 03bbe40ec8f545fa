//! The templates in examples/notify: each makes, for every kind of message, what its receiver reads.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use lifeboat_core::Error;
use lifeboat_core::notify::{About, Channel, Form, Given, Mail, MailTls, Recipient, Way, Webhook, retry_default};
use lifeboat_notify::Courier;
use lifeboat_secrets::{Secret, Secrets};

struct None_;

impl Secrets for None_ {
    fn get(&self, _: &str) -> Result<Secret, Error> {
        Ok(Secret::new(b"x".to_vec()))
    }
}

fn way(file: &Path) -> Way {
    let name = file.file_name().unwrap().to_str().unwrap();
    if name == "mail.txt" {
        let to = vec![Recipient { address: "a@b".to_owned(), person: None }];
        let (host, from) = ("h".to_owned(), "l@b".to_owned());
        return Way::Mail(Mail { host, port: 25, tls: MailTls::Tls, ca: None, login: None, from, to, subject: None });
    }
    let form = if name.ends_with(".txt") { Form::Form } else { Form::Json };
    let values = ["routing_key", "from", "to"].map(|name| (name.to_owned(), Given::Text("v".to_owned())));
    let url = Given::Text("https://example.net/".to_owned());
    Way::Webhook(Webhook { url, plain: false, ca: None, headers: Vec::new(), values: values.to_vec(), form })
}

#[test]
fn every_example_makes_what_its_receiver_reads() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/notify");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end != "md")).collect();
    assert!(files.len() >= 6, "{files:?}");
    for file in files {
        let channel = Channel {
            way: way(&file),
            template: Some(file.clone()),
            about: About::USUAL.into_iter().collect(),
            runbooks: Vec::new(),
            limit: 2,
            retry: retry_default(),
        };
        // It is rendered for a bare and a full message of each kind, and what is JSON is read back.
        let made = Courier::new(&BTreeMap::from([("c".to_owned(), channel)]), Arc::new(None_));
        made.map(drop).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
}

#[test]
fn the_example_of_mail_is_the_built_in_one() {
    assert_eq!(include_str!("../src/mail.txt"), include_str!("../../../examples/notify/mail.txt"));
}
