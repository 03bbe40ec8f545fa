//! Prints `schemas/openapi.json`; `cargo xtask schemas` writes it.

fn main() -> Result<(), serde_json::Error> {
    println!("{}", lifeboat_service::openapi().to_pretty_json()?);
    Ok(())
}
