//! Servers that answer late, half, never, elsewhere.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use lifeboat_core::grants::HostGrant;

use super::place::{Place, ask, caller, caller_with, say};
use crate::bindings::lifeboat::plugin::http::{Hash, Header, Wish};
use crate::bindings::lifeboat::plugin::types::ErrorKind;
use crate::http::body::{CHUNK, Span};
use crate::http::send::{Ask, in_memory};
use crate::http::sums::hex;

const MANY: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_used_again() {
    let place = Place::new(|_, _, stream| say(stream, "200 OK", "x-a: b\r\n", "hello"));
    let (caller, _) = caller(&[place.port], &[]);
    for _ in 0..5 {
        let got = caller.exchange(ask("GET", &place.url("/a?b=c"))).await.unwrap();
        assert_eq!((got.status, got.sends), (200, 1));
        assert!(got.headers.contains(&("x-a".into(), "b".into())));
        assert_eq!(got.whole(MANY).await.unwrap(), b"hello");
    }
    assert_eq!(place.connections.load(Ordering::SeqCst), 1);
    assert!(place.seen()[0].starts_with("GET /a?b=c HTTP/1.1\r\n"), "{}", place.seen()[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_overloaded_is_asked_again_when_it_says_so() {
    let place = Place::new(|number, _, stream| match number {
        0 => say(stream, "503 Slow Down", "retry-after: 1\r\n", "later"),
        1 => say(stream, "429 Too Many", "", "later"),
        _ => say(stream, "200 OK", "", "now"),
    });
    let (caller, _) = caller(&[place.port], &[]);
    let started = Instant::now();
    let got = caller.exchange(ask("PUT", &place.url("/"))).await.unwrap();
    assert_eq!((got.status, got.sends), (200, 3));
    assert!(started.elapsed() >= Duration::from_secs(1));
    // What is not idempotent is sent once, and its answer given as it is.
    let place = Place::new(|_, _, stream| say(stream, "503 Slow Down", "", "no"));
    let (caller, _) = super::place::caller(&[place.port], &[]);
    let got = caller.exchange(ask("POST", &place.url("/"))).await.unwrap();
    assert_eq!((got.status, got.sends), (503, 1));
    // An end to all patience: the last answer counts.
    let got = caller.exchange(ask("GET", &place.url("/"))).await.unwrap();
    assert_eq!((got.status, got.sends), (503, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_is_tried_again_and_told_of_truthfully() {
    let place = Place::new(|number, _, stream| number >= 2 && say(stream, "200 OK", "", "at last"));
    let (caller, _) = caller(&[place.port], &[]);
    let got = caller.exchange(ask("GET", &place.url("/"))).await.unwrap();
    assert_eq!((got.status, got.sends), (200, 3));
    let place = Place::new(|_, _, _| false);
    let (caller, _) = super::place::caller(&[place.port], &[]);
    let broken = caller.exchange(ask("POST", &place.url("/"))).await.err().unwrap();
    assert_eq!((broken.error.kind, broken.sent, place.seen().len()), (ErrorKind::Temporary, true, 1));
    assert!(broken.error.message.starts_with("LB0723"), "{}", broken.error.message);
    let broken = caller.exchange(ask("PUT", &place.url("/"))).await.err().unwrap();
    assert_eq!((broken.sent, place.seen().len()), (true, 5));
    let broken = caller.exchange(ask("GET", &place.url("/"))).await.err().unwrap();
    assert!(!broken.sent, "nothing is changed by GET");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_was_never_reached() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (caller, _) = caller(&[port], &[]);
    let broken = caller.exchange(ask("POST", &format!("http://127.0.0.1:{port}/"))).await.err().unwrap();
    assert_eq!((broken.error.kind, broken.sent), (ErrorKind::Temporary, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_cut_bodies_are_errors() {
    let place = Place::new(|number, _, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n0123456789");
        // A slow-loris goes on for ever; the other one hangs up.
        if number == 0 {
            std::thread::sleep(Duration::from_secs(3));
        }
        false
    });
    let (caller, _) = caller(&[place.port], &[]);
    let started = Instant::now();
    let slow = caller.exchange(ask("GET", &place.url("/"))).await.unwrap().whole(MANY).await.unwrap_err();
    assert_eq!(slow.kind, ErrorKind::Temporary);
    assert!(slow.message.contains("only 10 bytes came in 400 ms"), "{}", slow.message);
    assert!(started.elapsed() < Duration::from_secs(2));
    let cut = caller.exchange(ask("GET", &place.url("/"))).await.unwrap().whole(MANY).await.unwrap_err();
    assert_eq!(cut.kind, ErrorKind::Temporary);
    assert!(cut.message.contains("90 bytes before its end"), "{}", cut.message);
    let large = caller.exchange(ask("GET", &place.url("/"))).await.unwrap().whole(99).await.unwrap_err();
    assert!(large.message.contains("more than 99 bytes"), "{}", large.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_drips_is_too_slow_and_who_is_small_is_not() {
    let place = Place::new(|number, _, stream| {
        if number > 0 {
            return say(stream, "200 OK", "", "x");
        }
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
        (0..1000).all(|_| {
            std::thread::sleep(Duration::from_millis(20));
            stream.write_all(b"x").is_ok()
        })
    });
    let (caller, _) = caller(&[place.port], &[]);
    let started = Instant::now();
    let slow = caller.exchange(ask("GET", &place.url("/"))).await.unwrap().whole(MANY).await.unwrap_err();
    assert_eq!(slow.kind, ErrorKind::Temporary);
    assert!(slow.message.contains("bytes came in 400 ms"), "{}", slow.message);
    assert!(started.elapsed() < Duration::from_secs(2));
    let small = caller.exchange(ask("GET", &place.url("/"))).await.unwrap();
    // Time in which nobody reads is not the server's.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(small.whole(MANY).await.unwrap(), b"x");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_is_held_against_what_the_server_says_of_it() {
    let place = Place::new(|number, _, stream| {
        let body = if number == 0 { "123456780" } else { "123456789" };
        say(stream, "200 OK", "x-amz-checksum-crc32c: 4waSgw==\r\n", body)
    });
    let (caller, _) = caller(&[place.port], &[]);
    let wrong = caller.exchange(ask("GET", &place.url("/"))).await.unwrap().whole(MANY).await.unwrap_err();
    assert_eq!(wrong.kind, ErrorKind::Temporary);
    assert!(wrong.message.contains("LB0740"), "{}", wrong.message);
    let right = caller.exchange(ask("GET", &place.url("/"))).await.unwrap().whole(MANY).await;
    assert_eq!(right.unwrap(), b"123456789");
}

/// A secret that is another one once it was refused.
struct Turning(std::sync::atomic::AtomicUsize);

impl crate::ports::Secrets for Turning {
    fn get(&self, _: &str) -> Result<crate::ports::Secret, lifeboat_core::Error> {
        Ok(crate::ports::Secret::new(format!("token-{}", self.0.load(Ordering::SeqCst)).into_bytes()))
    }
    fn rejected(&self, _: &str) {
        let _ = self.0.compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_changed_meanwhile_is_used_at_once_and_a_wrong_one_is_asked_with_once() {
    let place =
        Place::new(|_, request, stream| match request.contains("Bearer token-1") && request.contains("/good") {
            true => say(stream, "200 OK", "", "in"),
            false => say(stream, "403 Forbidden", "", "out"),
        });
    let (mut caller, _) = caller(&[place.port], &[("token", "unused")]);
    caller.secrets = Arc::new(Turning(0.into()));
    let signing = || crate::bindings::lifeboat::plugin::http::Signing::Bearer("token".into());
    let got = caller.exchange(Ask { signing: signing(), ..ask("POST", &place.url("/good")) }).await.unwrap();
    assert_eq!((got.status, got.sends), (200, 2));
    // It is the newest now: to ask again would not help.
    let got = caller.exchange(Ask { signing: signing(), ..ask("GET", &place.url("/bad")) }).await.unwrap();
    assert_eq!((got.status, got.sends), (403, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_answers_meets_the_time_limit_and_the_cancel() {
    let place = Place::new(|_, _, _| {
        std::thread::sleep(Duration::from_secs(5));
        false
    });
    let (caller, sink) = caller(&[place.port], &[]);
    let started = Instant::now();
    let short = Ask { timeout: Some(Duration::from_millis(200)), ..ask("PUT", &place.url("/")) };
    let late = caller.exchange(short).await.err().unwrap();
    assert_eq!((late.error.kind, late.sent), (ErrorKind::Temporary, true));
    assert!(late.error.message.contains("its time is over"), "{}", late.error.message);
    let stop = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        sink.stop.store(true, Ordering::SeqCst);
    };
    let (ended, ()) = tokio::join!(caller.exchange(ask("GET", &place.url("/"))), stop);
    assert_eq!(ended.err().unwrap().error.kind, ErrorKind::Cancelled);
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_checked_as_the_first_url_was() {
    let place = Place::new(|_, request, stream| {
        let to = match request.split(' ').nth(1).unwrap() {
            "/metadata" => "http://169.254.169.254/latest/meta-data/",
            "/there" => "/here",
            "/loop" => "/loop",
            _ => return say(stream, "200 OK", "", "here"),
        };
        say(stream, "302 Found", &format!("location: {to}\r\n"), "")
    });
    let (caller, _) = caller(&[place.port], &[]);
    let refused = caller.exchange(ask("GET", &place.url("/metadata"))).await.err().unwrap();
    assert_eq!(refused.error.kind, ErrorKind::Refused);
    assert!(refused.error.hint.unwrap().contains("grant \"p\" target=\"t\" { host \"169.254.169.254\" plain=#true }"));
    let got = caller.exchange(ask("GET", &place.url("/there"))).await.unwrap();
    assert_eq!((got.status, got.url.as_str()), (200, place.url("/here").as_str()));
    let stay = Ask { follow: false, ..ask("GET", &place.url("/there")) };
    assert_eq!(caller.exchange(stay).await.unwrap().status, 302);
    let looped = caller.exchange(ask("GET", &place.url("/loop"))).await.err().unwrap();
    assert!(looped.error.message.contains("6 redirects"), "{}", looped.error.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_leads_to_this_machine_is_refused() {
    let place = Place::new(|_, _, stream| say(stream, "200 OK", "", "inside"));
    let named = |host: &str| HostGrant { host: host.into(), port: place.port, plain: true, ca: None, client: None };
    // No address as it is written, and the resolver makes one of it: a name as any other that leads inside.
    let (caller, _) = caller_with(vec![named("127.1")], &[]);
    let refused = caller.exchange(ask("GET", &format!("http://127.1:{}/", place.port))).await.err().unwrap();
    assert_eq!(refused.error.kind, ErrorKind::Refused, "{}", refused.error.message);
    assert!(refused.error.message.contains("which is this machine"), "{}", refused.error.message);
    assert!(!refused.sent && place.seen().is_empty());
    let (caller, _) = caller_with(vec![named("localhost")], &[]);
    assert_eq!(caller.exchange(ask("GET", &format!("http://localhost:{}/", place.port))).await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_sent_again_from_where_they_began_and_summed_on_the_way() {
    let place = Place::new(|number, _, stream| match number {
        0 => say(stream, "500 Oops", "", ""),
        _ => say(stream, "200 OK", "", ""),
    });
    let (caller, _) = caller(&[place.port], &[]);
    let mut file = tempfile::tempfile().unwrap();
    let data: Vec<u8> = (0..CHUNK * 2 + 77).map(|n| b'a' + (n % 26) as u8).collect();
    file.write_all(&data).unwrap();
    let span = Span::File { file: Arc::new(file), at: 10, len: data.len() as u64 - 10 };
    let wishes = vec![Wish { hash: Hash::Md5, header: None }, Wish { hash: Hash::Blake3, header: None }];
    let got = caller.exchange(Ask { span: Some(span.clone()), wishes, ..ask("PUT", &place.url("/")) }).await.unwrap();
    assert_eq!((got.status, got.sends), (200, 2));
    assert_eq!(hex(&got.sums[1]), blake3::hash(&data[10..]).to_hex().as_str());
    for seen in place.seen() {
        assert_eq!(seen.split_once("\r\n\r\n").unwrap().1.as_bytes(), &data[10..]);
    }
    let header = Some(Header { name: "X-Sum".into(), value: "crc32c=".into() });
    let wishes = vec![Wish { hash: Hash::Crc32c, header }];
    let small = Ask { span: Some(in_memory(b"123456789".to_vec())), wishes, ..ask("PUT", &place.url("/")) };
    caller.exchange(small).await.unwrap();
    assert!(place.seen()[2].contains("x-sum: crc32c=4waSgw==\r\n"), "{}", place.seen()[2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_stream_has_the_checksum_of_nothing() {
    let place = Place::new(|_, _, stream| say(stream, "200 OK", "", ""));
    let (caller, _) = caller(&[place.port], &[]);
    let span = Span::File { file: Arc::new(tempfile::tempfile().unwrap()), at: 0, len: 0 };
    let wishes = vec![Wish { hash: Hash::Blake3, header: None }, Wish { hash: Hash::Crc32c, header: None }];
    let got = caller.exchange(Ask { span: Some(span), wishes, ..ask("PUT", &place.url("/")) }).await.unwrap();
    assert_eq!(hex(&got.sums[0]), blake3::hash(b"").to_hex().as_str());
    assert_eq!(got.sums[1], [0; 4]);
}
