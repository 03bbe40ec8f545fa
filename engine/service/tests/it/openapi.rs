//! The committed description of the API is one of these routes. Whether it is what the sources say in every word, `cargo xtask schemas`
//! and its stage of CI tell: what makes it is not built here.

use std::collections::BTreeSet;

fn document() -> serde_json::Value {
    serde_json::from_str(include_str!("../../../../schemas/openapi.json")).unwrap()
}

#[test]
fn the_document_has_exactly_the_routes_that_are_served() {
    let document = document();
    let mut told = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        told.extend(item.as_object().unwrap().keys().map(|method| (method.clone(), path.clone())));
    }
    let served: BTreeSet<(String, String)> =
        lifeboat_service::paths().iter().map(|&(method, path)| (method.to_owned(), path.to_owned())).collect();
    assert_eq!(told, served, "run 'cargo xtask schemas' and commit schemas/openapi.json");
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    let document = document();
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

#[test]
fn parameters_of_the_path_and_no_others_are_said_to_stand_there() {
    let document = document();
    let mut seen = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let told: BTreeSet<&str> =
                parameters.filter(|one| one["in"] == "path").map(|one| one["name"].as_str().unwrap()).collect();
            let placed: BTreeSet<&str> = path.split('{').skip(1).map(|rest| rest.split('}').next().unwrap()).collect();
            assert_eq!(told, placed, "{method} {path}");
            seen += told.len();
        }
    }
    assert!(seen > 20, "only {seen} parameters");
}
