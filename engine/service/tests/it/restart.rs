//! The service dies at each write to its store, before it and after it; and the next one goes on with what is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lifeboat_core::Error;
use lifeboat_core::ports::StoreError;
use lifeboat_testkit::World;
use serde_json::json;
use tempfile::TempDir;

use crate::alerts::{book, message, runs};
use crate::bench::{Around, Bench, Wish, until};
use crate::unlucky::{Fate, Fates, Unlucky};

/// A store that is lost at its n-th write: before it, or right after it.
fn dying(writes: &Arc<AtomicU64>, dies_at: u64, after: bool) -> Around {
    let writes = Arc::clone(writes);
    Box::new(move |store| {
        let writes = Arc::clone(&writes);
        let fates: Fates = Box::new(move |_| {
            let lost = || StoreError::Indeterminate(Error::new("LB0603", "the disk is gone"));
            match writes.fetch_add(1, Ordering::SeqCst) + 1 {
                number if number < dies_at => Fate::Done,
                number if after && number == dies_at => Fate::Unheard(lost()),
                _ => Fate::Lost(lost()),
            }
        });
        Unlucky::around(store, fates)
    })
}

/// A folder in which the tokens were made that are used: these writes are not counted.
async fn prepared(books: &[(&'static str, String)]) -> (Arc<TempDir>, String) {
    let bench = Bench::with(Wish { books: books.to_vec(), ..Wish::default() }).await;
    let root = bench.admin().await;
    let (_, folder) = bench.stop().await;
    (folder, root)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incident_has_one_run_wherever_the_service_dies() {
    let mut lives = 0;
    for after in [false, true] {
        for dies_at in 1.. {
            let books = book("chain", &json!({}));
            let (folder, root) = prepared(&books).await;
            let (world, writes) = (World::new(), Arc::new(AtomicU64::new(0)));
            let body = message("east", &[("a", true, 1_700_000_000)]);
            let wish = |around| Wish {
                folder: Some(Arc::clone(&folder)),
                world: Some(world.clone()),
                around,
                ..Wish::default()
            };
            let bench = Bench::with(wish(Some(dying(&writes, dies_at, after)))).await;
            let answer = bench.post("/v1/hooks/alertmanager", &root, &body).await;
            let accepted = answer.status == 200;
            assert!(accepted || answer.status == 503, "{answer:?}");
            // As far as it gets.
            for _ in 0..60 {
                tokio::time::sleep(Duration::from_millis(10)).await;
                if writes.load(Ordering::SeqCst) >= dies_at {
                    break;
                }
            }
            let died = writes.load(Ordering::SeqCst) >= dies_at;
            bench.stop().await;
            let bench = Bench::with(wish(None)).await;
            if !accepted {
                // Who got no answer sends it again.
                crate::alerts::words(&bench, &root, &body).await;
            }
            until(Duration::from_secs(20), || async {
                let found = runs(&bench, &root).await;
                let open = bench.get("/v1/incidents", &root).await.json["incidents"].clone();
                found.len() == 1 && found[0].1 == "succeeded" && open[0]["phase"] == "ended"
            })
            .await;
            let run = runs(&bench, &root).await[0].0.clone();
            assert!((0..3).all(|n| world.entry(&run, &format!("s{n}")).happened == 1), "at write {dies_at}");
            assert_eq!(crate::alerts::words(&bench, &root, &body).await, ["repeated"]);
            bench.stop().await;
            lives += 1;
            if !died {
                break;
            }
        }
    }
    println!("{lives} lives");
    assert!(lives > 12, "{lives}: the writes of the service were met");
}
