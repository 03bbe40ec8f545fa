//! The committed description of the API is that of the sources. `LIFEBOAT_BLESS=1` writes it anew, as `cargo xtask schemas` does.

use std::path::Path;

#[test]
fn the_document_is_what_the_sources_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/openapi.json");
    let text = lifeboat_service::openapi().to_pretty_json().unwrap() + "\n";
    if std::env::var_os("LIFEBOAT_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap();
    assert!(there == text, "run 'cargo xtask schemas' and commit schemas/openapi.json");
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    let document: serde_json::Value = serde_json::to_value(lifeboat_service::openapi()).unwrap();
    let mut open = vec![&document];
    let mut seen = 0;
    while let Some(value) = open.pop() {
        match value {
            serde_json::Value::Object(map) => {
                if let Some(reference) = map.get("$ref").and_then(|reference| reference.as_str()) {
                    seen += 1;
                    let found = document.pointer(reference.strip_prefix('#').unwrap());
                    assert!(found.is_some(), "{reference} leads nowhere");
                }
                open.extend(map.values());
            }
            serde_json::Value::Array(values) => open.extend(values),
            _ => {}
        }
    }
    assert!(seen > 20, "only {seen} references");
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.contains_key("/v1/runs/{run}/steps/{step}/approve"));
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap() {
            assert!(operation["operationId"].is_string(), "{method} {path}");
            assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{method} {path}");
        }
    }
}
