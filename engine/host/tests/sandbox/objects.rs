//! The store of a plugin, through the port that vaults use.

use bytes::Bytes;
use lifeboat_core::FailureKind;
use lifeboat_core::plan::Mode;
use lifeboat_host::ports::Object;

use crate::setting::setting;

#[tokio::test]
async fn objects_go_in_and_come_out_whole() {
    let setting = setting();
    let root = setting.folder("rw");
    let target = setting.target("fs", &root);
    let store = setting.host.object_store(&target, target.settings.clone(), Mode::Failover).unwrap();
    assert_eq!(store.location(), format!("fs:{}", root.display()));
    let large: Bytes = (0..20_000_000_u32).map(|i| (i % 251) as u8).collect::<Vec<_>>().into();
    store.put("data/aa/large", large.clone()).await.unwrap();
    store.put("config", Bytes::from_static(b"one")).await.unwrap();
    store.put("config", Bytes::from_static(b"second")).await.unwrap();
    assert!(store.get("data/aa/large", 0, None).await.unwrap() == large);
    assert_eq!(store.get("data/aa/large", 5_000_000, Some(1_000)).await.unwrap(), large.slice(5_000_000..5_001_000));
    assert_eq!(store.get("config", 3, None).await.unwrap(), "ond");
    let all = store.list("").await.unwrap();
    let object = |key: &str, size| Object { key: key.into(), size };
    assert_eq!(all, [object("config", 6), object("data/aa/large", 20_000_000)]);
    assert_eq!(store.list("data/").await.unwrap(), [object("data/aa/large", 20_000_000)]);
    assert_eq!(store.head("config").await.unwrap(), Some(object("config", 6)));
    assert_eq!(store.head("gone").await.unwrap(), None);
    assert!(store.get("gone", 0, None).await.is_err());
    store.delete("config").await.unwrap();
    store.delete("config").await.unwrap();
    assert!(!root.join("config").exists());
}

#[tokio::test]
async fn keys_cannot_lead_out_and_grants_hold() {
    let setting = setting();
    let root = setting.folder("rw");
    let target = setting.target("fs", &root);
    let store = setting.host.object_store(&target, target.settings.clone(), Mode::Failover).unwrap();
    for key in ["../x", "/etc/lifeboat-x", "a/../../x"] {
        store.put(key, Bytes::from_static(b"x")).await.unwrap_err();
        store.get(key, 0, None).await.unwrap_err();
    }
    assert!(!root.parent().unwrap().join("x").exists() && !std::path::Path::new("/etc/lifeboat-x").exists());
    let drill = setting.host.object_store(&target, target.settings.clone(), Mode::Drill).unwrap();
    assert_eq!(drill.list("").await.unwrap_err().kind, FailureKind::Refused);
    let fixture = setting.target("fixture", &root);
    let none = setting.host.object_store(&fixture, fixture.settings.clone(), Mode::Failover).map(|_| ());
    assert_eq!(none.unwrap_err().code.0, "LB0703");
}

/// Many at once: more than there are turns, and no one waits for ever.
#[tokio::test]
async fn many_calls_at_once_share_the_turns() {
    let setting = setting();
    let target = setting.target("fs", &setting.folder("rw"));
    let store = setting.host.object_store(&target, target.settings.clone(), Mode::Failover).unwrap();
    let puts = (0..100).map(|number| {
        let store = store.clone();
        tokio::spawn(async move { store.put(&format!("o/{number}"), Bytes::from(vec![1; 10])).await })
    });
    for put in puts.collect::<Vec<_>>() {
        put.await.unwrap().unwrap();
    }
    assert_eq!(store.list("o/").await.unwrap().len(), 100);
}
