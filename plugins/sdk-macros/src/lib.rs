//! The attribute `#[data]` of `lifeboat-sdk`. It only puts three derives and their paths before an item, so it needs no
//! parser, and a plugin builds without one more copy of `syn`.

use proc_macro::TokenStream;

/// Makes a struct or an enum fit for settings, arguments and outputs: it is read and written as JSON, its JSON Schema
/// comes from its fields and their documentation, and a field that nobody knows is an error.
#[proc_macro_attribute]
pub fn data(_arguments: TokenStream, item: TokenStream) -> TokenStream {
    let derives = "#[derive(::lifeboat_sdk::serde::Serialize, ::lifeboat_sdk::serde::Deserialize, \
         ::lifeboat_sdk::schemars::JsonSchema)]\
         #[serde(crate = \"::lifeboat_sdk::serde\", deny_unknown_fields)]\
         #[schemars(crate = \"::lifeboat_sdk::schemars\")]";
    match derives.parse::<TokenStream>() {
        Ok(mut tokens) => {
            tokens.extend(item);
            tokens
        }
        Err(_) => item,
    }
}
