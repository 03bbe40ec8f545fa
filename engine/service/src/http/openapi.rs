//! The description of the API, made from the routes and their documentation. Built by `cargo xtask schemas` alone: what it needs
//! would have half of the tree built anew, and the service gives the committed document.

use lifeboat_core::plan::Mode;
use utoipa::openapi::schema::{Array, ArrayItems, Object, Schema, SchemaType, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, SecurityRequirement};
use utoipa::openapi::{InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Paths, RefOr};
use utoipa::{__dev::SchemaReferences, Path};

use super::{
    alerts, events, health, hooks, links, listing, notifications, readiness, records, runbooks, schedules, snapshots,
    start, takeover, tokens, verbs, views,
};
use crate::problem::Problem;

fn empty() -> OpenApi {
    let licence = LicenseBuilder::new().name("MIT OR Apache-2.0").build();
    let info = InfoBuilder::new()
        .title("Lifeboat")
        .description(Some(include_str!("about.txt")))
        .version("1")
        .license(Some(licence))
        .build();
    let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("A token of the service.")).build();
    let components = ComponentsBuilder::new().security_scheme("token", SecurityScheme::Http(token));
    OpenApiBuilder::new()
        .info(info)
        .paths(Paths::new())
        .components(Some(components.schema_from::<Problem>().build()))
        .security(Some([SecurityRequirement::new("token", Vec::<String>::new())]))
        .build()
}

fn add<P: Path + SchemaReferences>(document: &mut OpenApi) {
    let mut schemas = Vec::new();
    P::schemas(&mut schemas);
    if let Some(components) = &mut document.components {
        components.schemas.extend(schemas);
    }
    document.paths.add_path_operation(P::path(), P::methods(), P::operation());
}

macro_rules! document {
    ($($method:ident $path:literal $module:ident :: $handler:ident $doc:ident;)*) => {{
        let mut document = empty();
        $(add::<$module::$doc>(&mut document);)*
        document
    }};
}

/// The API as OpenAPI describes it.
pub fn openapi() -> OpenApi {
    let mut document = routes!(document);
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.post, &mut item.delete];
        for parameter in
            operations.into_iter().flatten().flat_map(|operation| operation.parameters.iter_mut().flatten())
        {
            if let Some(RefOr::T(Schema::Object(object))) = &mut parameter.schema {
                narrow(&parameter.name, object);
            }
        }
    }
    for schema in document.components.iter_mut().flat_map(|components| components.schemas.values_mut()) {
        let RefOr::T(Schema::Object(whole)) = schema else { continue };
        for (name, property) in &mut whole.properties {
            match (name.as_str(), property) {
                ("mode" | "status" | "reason", RefOr::T(Schema::Object(object))) => narrow(name, object),
                ("runbooks", RefOr::T(Schema::Array(Array { items: ArrayItems::RefOrSchema(item), .. }))) => {
                    if let RefOr::T(Schema::Object(object)) = item.as_mut() {
                        narrow("name", object);
                    }
                }
                _ => {}
            }
        }
    }
    document
}

/// What the derives do not say: a parameter that may be left out is not `null`, and what its text may be.
fn narrow(name: &str, object: &mut Object) {
    if let SchemaType::Array(types) = &object.schema_type
        && let Some(only) = types.iter().find(|one| **one != Type::Null)
    {
        object.schema_type = SchemaType::Type(only.clone());
    }
    if object.schema_type != SchemaType::Type(Type::String) {
        return;
    }
    let mut text = |shortest: usize, longest: usize, pattern: &str| {
        object.min_length = Some(shortest);
        object.max_length = Some(longest);
        object.pattern = Some(pattern.to_owned());
    };
    match name {
        "Idempotency-Key" => text(1, 200, "^[!-~]+$"),
        "If-Match" => text(1, 20, "^(\\*|\"[0-9]{1,18}\")$"),
        "cursor" => text(20, 20, "^r-[0-9a-hjkmnp-tv-z]{18}$"),
        "reason" => text(0, 1_024, "^\\P{C}*$"),
        "name" => text(1, 200, "^\\P{C}+$"),
        "mode" => object.enum_values = Some(Mode::ALL.iter().map(|mode| mode.as_str().into()).collect()),
        "status" => object.enum_values = Some(health::STATES.iter().map(|status| status.as_str().into()).collect()),
        _ => {}
    }
}
