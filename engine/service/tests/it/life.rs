//! The start and the end of the service, what it counts, and what it does not give away.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lifeboat_core::event::Said;
use lifeboat_core::plan::Mode;
use lifeboat_core::service::Service;
use lifeboat_service::access::Role;
use lifeboat_testkit::{Act, World};
use serde_json::json;

use crate::bench::{Bench, Wish, all, found_below};

#[tokio::test]
async fn runs_are_handed_back_at_the_end_and_taken_up_at_the_next_start() {
    let world = World::new();
    world.acts("slow", [Act::Slow(60_000, Box::new(Act::Done(None)))]);
    let settings = Service { grace_ms: 300, ..Service::default() };
    let wish = || Wish { settings: settings.clone(), world: Some(world.clone()), ..Wish::default() };
    let bench = Bench::with(wish()).await;
    let root = bench.admin().await;
    let bo = bench.token(all(Role::Approver, "bo")).await;
    let (slow, _) = bench.run("slow", "drill", &root).await;
    let (waits, fingerprint) = bench.run("approve", "drill", &root).await;
    bench.status(&waits, &root, "waiting").await;
    crate::bench::until(Duration::from_secs(5), || async { world.entry(&slow, "slow").executed == 1 }).await;
    let (left, folder) = bench.stop().await;
    assert_eq!(left, 1, "one attempt took longer than it was given");
    let bench = Bench::with(Wish { folder: Some(folder), ..wish() }).await;
    assert_eq!(bench.server.as_ref().unwrap().taken_up(), (2, 0));
    bench.status(&slow, &root, "succeeded").await;
    let entry = world.entry(&slow, "slow");
    assert_eq!((entry.probed, entry.happened), (1, 1), "it was asked about, and done once");
    let yes = json!({ "fingerprint": fingerprint });
    assert_eq!(bench.post(&format!("/v1/runs/{waits}/steps/go/approve"), &bo, &yes).await.status, 200);
    bench.status(&waits, &root, "succeeded").await;
    assert!(bench.get("/v1/audit", &root).await.json["entries"].as_array().unwrap().len() >= 6, "the record goes on");
}

#[tokio::test]
async fn a_run_that_waits_for_a_lock_goes_on_when_it_is_free() {
    let bench = Bench::new().await;
    let root = bench.admin().await;
    let bo = bench.token(all(Role::Approver, "bo")).await;
    let (first, fingerprint) = bench.run("lock", "drill", &root).await;
    bench.status(&first, &root, "waiting").await;
    let (second, _) = bench.run("lock", "drill", &root).await;
    let view = bench.status(&second, &root, "waiting").await;
    assert_eq!(view["waits_for"], json!([first]));
    let yes = json!({ "fingerprint": fingerprint });
    let yes_to = |run: &str| (format!("/v1/runs/{run}/steps/go/approve"), yes.clone());
    let (path, body) = yes_to(&first);
    assert_eq!(bench.post(&path, &bo, &body).await.status, 200);
    bench.status(&first, &root, "succeeded").await;
    crate::bench::until(Duration::from_secs(5), || async {
        bench.get(&format!("/v1/runs/{second}"), &root).await.json["asking"] == json!(["go"])
    })
    .await;
    let (path, body) = yes_to(&second);
    assert_eq!(bench.post(&path, &bo, &body).await.status, 200);
    bench.status(&second, &root, "succeeded").await;
}

#[tokio::test]
async fn it_tells_of_its_health_and_counts() {
    let bench = Bench::new().await;
    let root = bench.admin().await;
    for path in ["/healthz", "/readyz"] {
        let answer = bench.get(path, "").await;
        assert_eq!((answer.status, &answer.json), (200, &json!({ "good": true })), "{path}");
    }
    assert_eq!(bench.get("/v1/openapi.json", "").await.json["openapi"], "3.1.0");
    let (run, _) = bench.run("chain", "drill", &root).await;
    bench.status(&run, &root, "succeeded").await;
    let (run, _) = bench.run("approve", "drill", &root).await;
    bench.status(&run, &root, "waiting").await;
    bench.get("/v1/runs", "wrong").await;
    assert_eq!(bench.get("/metrics", "").await.status, 401);
    // What listens to runs does so by itself.
    let counted = || async { bench.get("/metrics", &root).await.text.contains("lifeboat_runs_ended_total{") };
    crate::bench::until(Duration::from_secs(5), counted).await;
    let text = bench.get("/metrics", &root).await.text;
    for line in [
        "lifeboat_runs{state=\"succeeded\"} 1",
        "lifeboat_runs{state=\"waiting\"} 1",
        "lifeboat_runs{state=\"failed\"} 0",
        "lifeboat_step_seconds_count{runbook=\"chain\",kind=\"restore\",plugin=\"simulated\",outcome=\"done\"} 3",
        "lifeboat_runs_ended_total{runbook=\"chain\",mode=\"drill\",result=\"succeeded\"} 1",
        "lifeboat_recovery_seconds{runbook=\"chain\",mode=\"drill\"}",
        "lifeboat_last_success_timestamp_seconds{runbook=\"chain\",mode=\"drill\"} 1",
        "lifeboat_drill_age_seconds{runbook=\"slow\"} +Inf",
        "lifeboat_drill_age_seconds{runbook=\"chain\"} 0.",
        "lifeboat_objective_seconds{runbook=\"chain\",objective=\"rto\"} 900",
        "lifeboat_trace_spans_total{result=\"sent\"} 0",
        "lifeboat_runbooks{state=\"good\"} 6",
        "lifeboat_refused_total 2",
        "lifeboat_ready 1",
        "lifeboat_calls_total{method=\"GET\",route=\"/v1/runs/{run}\",status=\"200\"}",
        "lifeboat_store_write_seconds_bucket{le=\"+Inf\"}",
    ] {
        assert!(text.lines().any(|found| found.starts_with(line)), "{line} is not in\n{text}");
    }
    let open = Service { open_metrics: true, ..Service::default() };
    let open = Bench::with(Wish { settings: open, ..Wish::default() }).await;
    assert_eq!(open.get("/metrics", "").await.status, 200);
}

#[tokio::test]
async fn it_does_not_listen_beyond_this_machine_in_the_clear() {
    let settings = Service { listen: "0.0.0.0:0".parse().unwrap(), ..Service::default() };
    let error = Bench::try_with(Wish { settings: settings.clone(), ..Wish::default() }).await.err().unwrap();
    assert_eq!(error.code.0, "LB1050");
    let bench = Bench::with(Wish { settings: Service { plain: true, ..settings }, ..Wish::default() }).await;
    assert_eq!(bench.address.ip().to_string(), "0.0.0.0");
}

#[tokio::test]
async fn what_starts_runs_by_itself_comes_in_by_the_door() {
    let bench = Bench::new().await;
    let root = bench.admin().await;
    let door = bench.server.as_ref().unwrap().door();
    assert!(door.runbooks().iter().any(|book| book.name == "chain"));
    let run = door.new_run();
    assert!(!door.made(&run).await.unwrap());
    let said = || Said { by: "schedule nightly".to_owned(), why: "its time had come".to_owned() };
    let inputs = Default::default();
    assert_eq!(door.start(run.clone(), "chain", Mode::Drill, &inputs, said()).await.unwrap(), run);
    assert!(door.made(&run).await.unwrap());
    assert!(door.start(run.clone(), "chain", Mode::Drill, &inputs, said()).await.is_err(), "a name is used once");
    let view = bench.status(run.as_str(), &root, "succeeded").await;
    assert_eq!(view["started_by"], "schedule nightly");
    assert_eq!(door.start(door.new_run(), "none", Mode::Drill, &inputs, said()).await.err().unwrap().code.0, "LB1056");
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn no_token_is_in_a_log_or_in_the_data_folder() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();
    // With a second one there, all are asked whether a line is wanted, and not only that of the thread which comes to it first.
    let _other = tracing::Dispatch::new(tracing_subscriber::fmt().with_writer(std::io::sink).finish());
    // Of this thread alone: the other tests have their own.
    let _guard = tracing::subscriber::set_default(subscriber);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let bench = Bench::new().await;
        let root = bench.admin().await;
        let new = json!({ "owner": "ada", "roles": ["operator"], "drill": true, "expires_in_s": 60 });
        let made = bench.call("POST", "/v1/tokens", &root, &[("idempotency-key", "k")], Some(&new)).await;
        let secret = made.json["secret"].as_str().unwrap().to_owned();
        let (run, _) = bench.run("chain", "drill", &secret).await;
        bench.status(&run, &root, "succeeded").await;
        bench.get("/v1/me", &format!("{secret}0")).await;
        let (_, folder) = bench.stop().await;
        let proof = |token: &str| token.rsplit('_').next().unwrap().to_owned();
        let text = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
        assert!(text.contains("/v1/tokens"), "the log has the calls");
        for token in [&root, &secret] {
            assert!(!text.contains(&proof(token)), "a token is in the log");
            assert!(!found_below(folder.path(), proof(token).as_bytes()), "a token is in the data folder");
        }
        assert!(found_below(folder.path(), b"\"owner\":\"ada\""), "what is looked for would be found");
    });
}
