//! Nodes `notify` of the operator's file, and what is refused of them.

use super::*;
use crate::SourceFile;
use crate::operator::parse_operator;

fn parse(text: &str) -> Result<Operator, Vec<(usize, &'static str)>> {
    let source = SourceFile { name: "lifeboat.kdl".to_owned(), text: text.to_owned() };
    let parsed = parse_operator(&source, Path::new("/etc/lifeboat"));
    parsed.map_err(|found| {
        assert!(found.iter().all(|one| one.help.is_some()), "{found:?}");
        found.iter().map(|one| (one.line, one.code)).collect()
    })
}

#[test]
fn channels_of_all_kinds_are_read() {
    let text = r#"
secret "smtp" env="S"; secret "chat" env="C"; secret "pd" env="P"
notify "mail" {
    email "smtp.example.net" from="lifeboat@example.net" user="lb" secret="smtp" ca="ca.pem" {
        to "ops@example.net"
        to "ada@example.net" person="ada"
        subject "{{title}}"
    }
    on "approval" "failed"
    runbooks "orders" "shop-*"
    limit 20
    retry 3 backoff="2s" max="10s" jitter=#false
}
notify "chat" { slack secret="chat" }
notify "pager" {
    webhook "https://events.example.net/v2/enqueue" { value "routing_key" secret="pd"; header "x-from" "lifeboat" }
    template "pager.json"
}
notify "here" { email "127.0.0.1" tls="none" from="a@b" { to "c@d" } }
notify "local" { webhook "http://127.0.0.1:9000/x" }
"#;
    let operator = parse(text).unwrap();
    let mail = &operator.notify["mail"];
    assert_eq!((mail.limit, mail.retry.count, mail.retry.max_ms), (20, 3, 10_000));
    assert_eq!(mail.about.iter().map(|about| about.as_str()).collect::<Vec<_>>(), ["approval", "failed"]);
    assert!(mail.tells_of("orders") && mail.tells_of("shop-eu") && !mail.tells_of("bank") && mail.tells_of(""));
    let Way::Mail(way) = &mail.way else { panic!("{mail:?}") };
    assert_eq!((way.port, way.tls, way.login.as_ref().unwrap().1.as_str()), (587, MailTls::Starttls, "smtp"));
    assert_eq!(way.ca.as_deref(), Some(Path::new("/etc/lifeboat/ca.pem")));
    assert_eq!(way.to[1], Recipient { address: "ada@example.net".to_owned(), person: Some("ada".to_owned()) });
    let pager = &operator.notify["pager"];
    assert_eq!((pager.way.secrets(), pager.about.len(), pager.limit), (vec!["pd"], About::USUAL.len(), LIMIT_DEFAULT));
    assert_eq!(pager.template.as_deref(), Some(Path::new("/etc/lifeboat/pager.json")));
    assert_eq!(operator.notify["chat"].way.secrets(), ["chat"]);
    assert_eq!(operator.notify.len(), 5);
}

#[test]
fn what_is_wrong_with_a_channel_is_said() {
    let cases = [
        ("notify \"a\"", "LB1090"),
        ("notify \"a\" { slack \"https://h/x\"; webhook \"https://h/x\" }", "LB1090"),
        ("notify \"a\" { email \"h\" from=\"a@b\" }", "LB1090"),
        ("notify \"a\" { email \"h\" from=\"a b@c\" { to \"c@d\" } }", "LB1090"),
        ("notify \"a\" { email \"h\" from=\"a@b\" tls=\"none\" { to \"c@d\" } }", "LB1090"),
        ("notify \"a\" { email \"h\" from=\"a@b\" user=\"u\" { to \"c@d\" } }", "LB1090"),
        ("notify \"a\" { email \"h\" from=\"a@b\" user=\"u\" secret=\"s\" { to \"c@d\" } }", "LB0413"),
        ("notify \"a\" { webhook \"http://h/x\" }", "LB1090"),
        ("notify \"a\" { webhook \"ftp://h/x\" }", "LB1090"),
        ("notify \"a\" { webhook \"https://u:p@h/x\" }", "LB1090"),
        ("notify \"a\" { webhook \"https://h/x\" form=\"form\" }", "LB1090"),
        ("notify \"a\" { webhook \"https://h/x\" { header \"a b\" \"c\" } }", "LB1090"),
        ("notify \"a\" { slack }", "LB1090"),
        ("notify \"a\" { slack \"https://h/x\"; on \"aproval\" }", "LB0120"),
        ("notify \"a\" { slack \"https://h/x\"; limit 1 }", "LB0120"),
        ("notify \"a\" { slack \"https://h/x\" }\nnotify \"a\" { slack \"https://h/x\" }", "LB0405"),
    ];
    for (text, code) in cases {
        let found = parse(text).unwrap_err();
        assert!(found.iter().any(|(_, found)| *found == code), "{text}: {found:?}");
    }
}
