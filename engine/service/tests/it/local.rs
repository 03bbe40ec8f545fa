//! The socket in the data folder, and the client that goes with it.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::sync::Arc;

use lifeboat_core::StepId;
use lifeboat_core::ids::{Digest, RunId};
use lifeboat_core::plan::Mode;
use lifeboat_runtime::Verb;
use lifeboat_service::NewRun;
use lifeboat_service::access::Role;
use lifeboat_service::client::{Client, Told};
use serde_json::json;
use tempfile::TempDir;

use crate::bench::{Bench, Wish, all};

fn me() -> (u32, String) {
    let uid = rustix::process::geteuid().as_raw();
    (uid, lifeboat_service::access::Person::local(uid).name)
}

fn drill(runbook: &str) -> NewRun {
    let (runbook, reason) = (runbook.to_owned(), "by the client".to_owned());
    NewRun { runbook, mode: Mode::Drill, inputs: Default::default(), fingerprint: None, reason }
}

#[tokio::test]
async fn the_socket_is_its_users_alone_and_goes_with_the_service() {
    let bench = Bench::new().await;
    let path = bench.data().join("service.sock");
    let about = std::fs::metadata(&path).unwrap();
    assert!(about.file_type().is_socket());
    assert_eq!(about.permissions().mode() & 0o777, 0o600);
    let client = Client::find(&bench.data()).await.unwrap().unwrap();
    let (uid, name) = me();
    let seen = client.me().await.unwrap();
    assert_eq!((seen.name, seen.known_by), (name, format!("uid {uid}")));
    let (_, folder) = bench.stop().await;
    assert!(!path.exists());
    assert!(Client::find(&folder.path().join("data")).await.unwrap().is_none());
    // What a killed service leaves is no service, and no hindrance.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    assert!(Client::find(&folder.path().join("data")).await.unwrap().is_none());
    let bench = Bench::with(Wish { folder: Some(folder), ..Wish::default() }).await;
    assert!(Client::find(&bench.data()).await.unwrap().is_some());
}

#[tokio::test]
async fn a_data_folder_with_a_long_name_has_a_socket_too() {
    let outer = TempDir::new().unwrap();
    let long = outer.path().join("x".repeat(120));
    std::fs::create_dir(&long).unwrap();
    let bench = Bench::with(Wish { folder: Some(Arc::new(TempDir::new_in(&long).unwrap())), ..Wish::default() }).await;
    let client = Client::find(&bench.data()).await.unwrap().unwrap();
    assert_eq!(client.me().await.unwrap().name, me().1);
}

#[tokio::test]
async fn verbs_go_through_the_socket_and_are_recorded_by_the_kernels_word() {
    let bench = Bench::new().await;
    let root = bench.token(all(Role::Admin, "somebody")).await;
    let (run, _) = bench.run("approve", "failover", &root).await;
    bench.status(&run, &root, "waiting").await;
    let client = Client::find(&bench.data()).await.unwrap().unwrap();
    let run = RunId::parse(&run).unwrap();
    let mut follow = client.follow(&run, 0).await.unwrap();
    let view = client.say(&run, &Verb::Pause, "a look").await.unwrap();
    assert_eq!(view.paused_by, Some(me().1));
    client.say(&run, &Verb::Unpause, "").await.unwrap();
    let approve = |fingerprint: &Digest| Verb::Approve {
        step: StepId::from("go"),
        fingerprint: fingerprint.clone(),
        roles: None,
    };
    let wrong = client.say(&run, &approve(&Digest("blake3:0".to_owned())), "").await.unwrap_err();
    assert_eq!(wrong.code.0, "LB0506");
    client.say(&run, &approve(&view.fingerprint), "yes").await.unwrap();
    let (mut events, mut rest) = (0, None);
    while let Some(told) = follow.next().await {
        match told {
            Told::Event(seq, _) => {
                events += 1;
                assert_eq!(seq, events);
            }
            Told::Rest(resting) => rest = Some(resting),
            Told::Progress(_) | Told::Log(_) => {}
        }
    }
    let rest = rest.unwrap();
    assert_eq!((rest.rest.as_str(), rest.status.as_str(), rest.seq), ("ended", "succeeded", events));
    let view = client.run(&run).await.unwrap();
    assert_eq!(view.status.as_str(), "succeeded");
    assert_eq!(client.say(&run, &Verb::Pause, "").await.unwrap_err().code.0, "LB0502");
    let entries = bench.get("/v1/audit?limit=2", &root).await.json["entries"].clone();
    assert_eq!((&entries[0]["from"], &entries[0]["by"]), (&json!("socket"), &json!(me().1)));
    assert_eq!(entries[0]["known_by"], format!("uid {}", me().0));
}

#[tokio::test]
async fn runs_and_tokens_are_made_through_the_socket() {
    let bench = Bench::new().await;
    let client = Client::find(&bench.data()).await.unwrap().unwrap();
    assert!(client.runbooks().await.unwrap().iter().any(|book| book.name == "chain" && book.good));
    let run = client.start(&drill("chain")).await.unwrap();
    assert_eq!(run.started_by, me().1);
    assert_eq!(client.start(&drill("none")).await.unwrap_err().code.0, "LB1056");
    let (token, secret) = client.create_token(&all(Role::Viewer, "vi")).await.unwrap();
    assert_eq!(token.created_by, me().1);
    assert_eq!(bench.get("/v1/me", &secret).await.json["name"], "vi");
    assert_eq!(client.tokens().await.unwrap().len(), 1);
    client.revoke_token(&token.id).await.unwrap();
    assert_eq!(bench.get("/v1/me", &secret).await.status, 401);
    assert_eq!(client.revoke_token("a/../b").await.unwrap_err().code.0, "LB1056");
}
