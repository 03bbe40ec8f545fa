//! Mail from the real service: an approval is asked, mail arrives, its link approves, and the run goes on.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use lifeboat_servers::{Kind, Server};
use serde_json::Value;

use crate::background::Background;
use crate::bench::Bench;

const ASKS: &str = r#"snapshot "take" of="live" into="vault"
    notify "begun" to="mail" message="snapshot {{steps.take.snapshot}}"
    notify "elsewhere" to="nobody" after="take"
    approve "go" role="incident-commander" after="begun"
    wait "breathe" "50ms" { after "go" "elsewhere" }"#;

struct Served {
    bench: Bench,
    mail: Server,
    child: Background,
    port: u16,
}

impl Served {
    fn new() -> Self {
        let bench = Bench::new();
        let mail = Server::start(Kind::Smtp, &bench.path("smtp")).expect("cargo xtask servers install");
        let access = mail.access();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        bench.write("smtp-password", access.get("password"));
        let operator = fs::read_to_string(bench.path("lifeboat.kdl")).unwrap();
        let (mail_port, ca, user) = (access.get("port"), access.get("ca"), access.get("user"));
        let more = format!(
            r#"
secret "smtp" file="smtp-password"
role "incident-commander" "ada"
service {{ listen "127.0.0.1:{port}"; runbooks "books"; public-url "http://127.0.0.1:{port}" }}
notify "mail" {{
    email "127.0.0.1" port={mail_port} ca="{ca}" from="lifeboat@example.net" user="{user}" secret="smtp" {{
        to "later-ada@example.net" person="ada"
    }}
    on "approval" "succeeded"
    retry 5 backoff="50ms" max="100ms"
}}
"#
        );
        bench.write("lifeboat.kdl", &format!("{operator}{more}"));
        fs::create_dir(bench.path("books")).unwrap();
        let file = bench.runbook("asks", ASKS);
        fs::rename(bench.path(&file), bench.path("books").join(&file)).unwrap();
        let child = bench.start(&["serve"]);
        bench.wait_for("refused (GET");
        Self { bench, mail, child, port }
    }

    /// Waits for the mail whose subject has that text; head and body, as a person reads them.
    fn mail(&self, subject: &str) -> String {
        let folder = Path::new(self.mail.access().get("mails"));
        let start = Instant::now();
        loop {
            let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            for file in files.filter(|path| path.extension().is_some_and(|end| end == "json")) {
                let mail: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
                let text = plain(mail["data"].as_str().unwrap());
                if text.lines().any(|line| line.starts_with("Subject: ") && line.contains(subject)) {
                    assert_eq!((&mail["tls"], &mail["authenticated"]), (&Value::Bool(true), &Value::Bool(true)));
                    return text;
                }
            }
            assert!(start.elapsed() < Duration::from_secs(60), "no mail about '{subject}'");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn http(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        (text.split(' ').nth(1).unwrap().parse().unwrap(), text)
    }
}

/// Mail without what its way made of it: quoted-printable, whose long lines are broken.
fn plain(data: &str) -> String {
    let joined = data.replace("\r\n", "\n").replace("=\n", "");
    let mut bytes = Vec::new();
    let mut rest = joined.as_bytes();
    while let [first, after @ ..] = rest {
        let code = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match code.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) if *first == b'=' && byte > 31 => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn an_approval_is_answered_by_the_link_of_a_mail() {
    let mut served = Served::new();
    let bench = &served.bench;
    bench.run(&["notify", "test", "mail"]).expect(2).says("LB1093").says("451");
    bench.run(&["notify", "test", "mail"]).expect(2);
    bench.run(&["notify", "test", "mail"]).expect(0).says("later-ada@example.net");
    served.mail("a test of Lifeboat");
    bench.run(&["notify", "test", "pager"]).expect(2).says("LB1092").says("mail");
    bench.run(&["run", "-y", "books/asks.kdl"]).expect(3).says("asks for");
    let run = bench.newest();
    // A step tells; who is not there holds nothing up, and the record says so.
    assert!(served.mail("asks: begun").contains("snapshot "));
    let outputs: Vec<Value> = bench
        .events()
        .into_iter()
        .filter(|event| event["event"] == "attempt-finished" && event["step"] == "elsewhere")
        .map(|event| event["outputs"].clone())
        .collect();
    assert_eq!(outputs.len(), 1, "{outputs:?}");
    assert!(outputs[0]["not-told"][0]["error"].as_str().unwrap().contains("LB1092"), "{outputs:?}");
    let mail = served.mail("asks for approval: go");
    let base = format!("http://127.0.0.1:{}", served.port);
    let link = mail.split_whitespace().find(|word| word.starts_with(&format!("{base}/v1/links/"))).unwrap();
    let path = link.strip_prefix(&base).unwrap().to_owned();
    // Programs for mail open links by themselves: that answers nothing.
    for _ in 0..2 {
        let (status, page) = served.http("GET", &path, "");
        assert_eq!(status, 200, "{page}");
        assert!(page.contains("blake3:") && page.contains("incident-commander") && page.contains("ada"), "{page}");
    }
    bench.run(&["show", &run]).expect(0).says("0 so far");
    let (status, page) = served.http("POST", &path, "answer=approve&reason=primary+is+gone");
    assert_eq!(status, 200, "{page}");
    served.mail("asks succeeded");
    bench.run(&["show", &run]).expect(0).says("succeeded");
    let yes: Vec<Value> = bench.events().into_iter().filter(|event| event["event"] == "approved").collect();
    assert_eq!((yes.len(), &yes[0]["by"], &yes[0]["why"]), (1, &"ada".into(), &"primary is gone".into()));
    assert_eq!(served.http("POST", &path, "answer=deny").0, 410);
    assert_eq!(served.http("GET", &format!("{path}A"), "").0, 403);
    bench.run(&["notify", "ls"]).expect(0).says("sent").says("asks for approval: go");
    bench.run(&["notify", "ls", "--state", "failed"]).expect(0).says("there are no messages");
    let log = fs::read_to_string(bench.path("background.log")).unwrap();
    assert!(!log.contains(served.mail.access().get("password")) && !log.contains(&path), "{log}");
    served.child.kill().unwrap();
    served.child.wait().unwrap();
    // Without the service, the command looks itself.
    let all = served.bench.run(&["notify", "ls", "--json"]).expect(0).json();
    assert_eq!(all.as_array().unwrap().len(), 2, "{all}");
}
