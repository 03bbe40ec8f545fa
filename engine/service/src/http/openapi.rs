//! The description of the API, made from the routes and their documentation. Built by `cargo xtask schemas` alone: what it needs
//! would have half of the tree built anew, and the service gives the committed document.

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, SecurityRequirement};
use utoipa::openapi::{InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Paths};
use utoipa::{__dev::SchemaReferences, Path};

use super::{events, health, links, listing, notifications, records, runbooks, start, tokens, verbs, views};
use crate::problem::Problem;

fn empty() -> OpenApi {
    let licence = LicenseBuilder::new().name("MIT OR Apache-2.0").build();
    let info = InfoBuilder::new()
        .title("Lifeboat")
        .description(Some(include_str!("about.md")))
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
    routes!(document)
}
