//! Prints the generated JSON Schemas, as one object of file name and schema. `cargo xtask schemas` writes the files.
//!
//! It is no part of Lifeboat: only the feature `schema` builds it.

use std::collections::BTreeMap;

use lifeboat_core::schema;

fn main() -> serde_json::Result<()> {
    let schemas = BTreeMap::from([("event.schema.json", schema::event()), ("plan.schema.json", schema::plan())]);
    println!("{}", serde_json::to_string(&schemas)?);
    Ok(())
}
