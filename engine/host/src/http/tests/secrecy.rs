//! No secret is ever told to a guest, whatever the server echoes.

use serde_json::json;

use super::place::{Place, ask, caller, say};
use crate::bindings::lifeboat::plugin::http::{
    Aws, AwsCredentials, AwsPayload, AzureKey, BasicLogin, GoogleKey, SecretHeader, Signing,
};
use crate::http::send::{Ask, Caller, in_memory};
use crate::http::sign::google::tests::key_file;

const SECRETS: [(&str, &str); 6] = [
    ("aws", "AKID:aws-SECRET-key:aws-SESSION-token"),
    ("azure", "YXp1cmUtU0VDUkVULWtleQ=="),
    ("sas", "?sv=1&sig=sas%2FSECRET%3D"),
    ("token", "bearer-SECRET-token"),
    ("password", "basic-SECRET-password"),
    ("api", "api-SECRET-key"),
];

fn schemes() -> Vec<Signing> {
    let aws = |payload| {
        let credentials = AwsCredentials::One("aws".into());
        Signing::AwsSigv4(Aws { region: "eu-1".into(), service: "s3".into(), credentials, payload })
    };
    vec![
        aws(AwsPayload::Automatic),
        aws(AwsPayload::Streaming),
        Signing::AzureSharedKey(AzureKey { account: "acc".into(), key: "azure".into() }),
        Signing::AzureSas("sas".into()),
        Signing::Bearer("token".into()),
        Signing::Basic(BasicLogin { user: "u".into(), password: "password".into() }),
        Signing::Header(SecretHeader { name: "X-Api".into(), prefix: "k ".into(), secret: "api".into() }),
    ]
}

fn clean(text: &str) {
    for secret in ["SECRET", "aws-SESSION", "U0VDUkVU"] {
        assert!(!text.contains(secret), "{text}");
    }
}

async fn told(caller: &Caller, ask: Ask) -> String {
    match caller.exchange(ask).await {
        Ok(mut got) => {
            let headers = std::mem::take(&mut got.headers);
            let url = got.url.clone();
            let body = got.whole(1 << 20).await.unwrap();
            format!("{headers:?} {url} {}", String::from_utf8_lossy(&body))
        }
        Err(broken) => format!("{broken:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn echoed_requests_are_masked_in_headers_bodies_and_errors() {
    // Everything that it was sent comes back: as body, as header, and as the place of a redirect that is refused.
    let place = Place::new(|_, request, stream| {
        let flat = request.replace("\r\n", " ");
        let status = if request.contains("/away") { "302 Found" } else { "200 OK" };
        let headers = format!("x-echo: {flat}\r\nlocation: http://gone.example/{}\r\n", flat.replace([' ', '?'], "/"));
        say(stream, status, &headers, request)
    });
    let (caller, sink) = caller(&[place.port], &SECRETS);
    for signing in schemes() {
        for path in ["/x", "/away"] {
            let span = Some(in_memory(b"data".to_vec()));
            let request = Ask { signing: signing.clone(), span, ..ask("PUT", &place.url(path)) };
            clean(&told(&caller, request).await);
        }
    }
    let seen = place.seen().join("\n");
    for sent in
        ["Bearer bearer-SECRET-token", "Basic dTpi", "x-api: k api-SECRET-key", "sig=sas%2FSECRET%3D", "SharedKey acc:"]
    {
        assert!(seen.contains(sent), "{sent} in {seen}");
    }
    assert!(seen.contains("x-amz-security-token: aws-SESSION-token"));
    assert!(seen.contains("4;chunk-signature="), "{seen}");
    clean(&sink.lines.lock().unwrap().join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_secrets_are_refused_without_telling_them() {
    let (caller, _) =
        caller(&[1], &[("aws", "SECRET-without-parts"), ("azure", "no base 64 SECRET"), ("token", "SECRET\nline")]);
    for signing in schemes() {
        let broken = caller.exchange(Ask { signing, ..ask("GET", "http://127.0.0.1:1/") }).await.err().unwrap();
        clean(&format!("{broken:?}"));
        assert!(broken.error.message.starts_with("LB0724"), "{}", broken.error.message);
        assert!(!broken.sent);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_do_not_go_to_another_host() {
    let other = Place::new(|_, _, stream| say(stream, "200 OK", "", ""));
    let port = other.port;
    let place = Place::new(move |_, _, stream| {
        say(stream, "307 Temporary", &format!("location: http://127.0.0.1:{port}/x\r\n"), "")
    });
    let (caller, _) = caller(&[place.port, other.port], &SECRETS);
    for signing in schemes() {
        assert_eq!(caller.exchange(Ask { signing, ..ask("GET", &place.url("/")) }).await.unwrap().status, 200);
    }
    let seen = other.seen();
    assert_eq!(seen.len(), schemes().len());
    for request in seen {
        clean(&request);
        assert!(!request.to_ascii_lowercase().contains("authorization"), "{request}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_google_token_is_asked_for_once_and_again_when_it_is_not_taken() {
    let tokens = Place::new(|number, request, stream| {
        assert!(request.contains("assertion=ey"), "{request}");
        let body = json!({"access_token": format!("google-SECRET-{number}"), "expires_in": 3600}).to_string();
        say(stream, "200 OK", "", &body)
    });
    let place = Place::new(|number, request, stream| match number {
        // The token is not taken any more.
        3 => say(stream, "401 Unauthorized", "", request),
        _ => say(stream, "200 OK", "", request),
    });
    let file = key_file(&tokens.url("/token"));
    let signing = Signing::GoogleServiceAccount(GoogleKey { key: "key".into(), scopes: vec!["s".into()] });
    let both = [place.port, tokens.port];
    let (caller, _) = caller(&both, &[("key", &file)]);
    for _ in 0..4 {
        let got = told(&caller, Ask { signing: signing.clone(), ..ask("GET", &place.url("/")) }).await;
        clean(&got);
    }
    assert_eq!((tokens.seen().len(), place.seen().len()), (2, 5));
    assert!(place.seen()[2].contains("Bearer google-SECRET-0"));
    assert!(place.seen()[4].contains("Bearer google-SECRET-1"));
    // The token server has to be granted, too.
    let (caller, _) = super::place::caller(&[place.port], &[("key", &file)]);
    let refused = caller.exchange(Ask { signing, ..ask("GET", &place.url("/")) }).await.err().unwrap();
    assert!(refused.error.hint.unwrap().contains(&format!("host \"127.0.0.1\" port={}", tokens.port)));
}
