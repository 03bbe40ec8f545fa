//! JSON Schemas from types.

use schemars::generate::SchemaSettings;
use serde_json::Value;

/// The JSON Schema (draft 2020-12) of a type, all in one piece: the compiler of runbooks shows parts of it to people.
pub fn schema_of<T: schemars::JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    if let Some(object) = schema.as_object_mut() {
        // The name of a Rust type says nothing to the author of a runbook.
        object.remove("title");
    }
    schema
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::schema_of;
    use crate::data;

    /// What the author of a runbook may write.
    #[data]
    struct Args {
        /// The path.
        path: String,
        /// How often.
        #[serde(default)]
        times: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        depth: Option<Depth>,
        #[serde(default)]
        expect: Vec<Expect>,
    }

    #[data]
    #[serde(rename_all = "lowercase")]
    enum Depth {
        Index,
        Data,
    }

    #[data]
    #[serde(tag = "kind", rename_all = "lowercase")]
    enum Expect {
        /// A file is there.
        File {
            path: String,
            min_size: Option<u64>,
        },
        Absent {
            path: String,
        },
    }

    #[test]
    fn a_struct_is_a_closed_object_with_its_words() {
        let schema = schema_of::<Args>();
        assert_eq!(schema["type"], "object");
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["required"], json!(["path"]));
        assert_eq!(schema["description"], "What the author of a runbook may write.");
        assert_eq!(schema["properties"]["path"], json!({"type": "string", "description": "The path."}));
        assert_eq!(schema["properties"]["times"]["default"], 0);
        assert!(schema.get("title").is_none() && schema.get("$schema").is_none());
    }

    #[test]
    fn a_schema_is_in_one_piece() {
        let text = schema_of::<Args>().to_string();
        assert!(!text.contains("$ref") && !text.contains("$defs"), "{text}");
    }

    #[test]
    fn a_tagged_enum_is_a_closed_object_for_each_variant() {
        let schema = schema_of::<Args>();
        let variants = schema["properties"]["expect"]["items"]["oneOf"].as_array().unwrap();
        assert_eq!(variants.len(), 2);
        assert_eq!(variants[0]["properties"]["kind"]["const"], "file");
        assert_eq!(variants[0]["description"], "A file is there.");
        assert_eq!(variants[0]["required"], json!(["kind", "path"]));
        assert!(variants.iter().all(|variant| variant["additionalProperties"] == false));
    }

    #[test]
    fn what_the_schema_refuses_is_refused_when_it_is_read() {
        let refused = |text: &str| serde_json::from_str::<Args>(text).err().unwrap().to_string();
        assert!(refused(r#"{"path":"a","paht":"b"}"#).contains("paht"));
        assert!(refused(r#"{}"#).contains("path"));
        assert!(refused(r#"{"path":"a","depth":"deep"}"#).contains("deep"));
        assert!(refused(r#"{"path":"a","expect":[{"kind":"absent","path":"x","min_size":1}]}"#).contains("min_size"));
        let args: Args =
            serde_json::from_str(r#"{"path":"a","depth":"data","expect":[{"kind":"file","path":"x"}]}"#).unwrap();
        assert!(matches!(args.depth, Some(Depth::Data)));
        assert!(matches!(args.expect[0], Expect::File { ref path, min_size: None } if path == "x"));
        assert_eq!(args.times, 0);
        assert_eq!(args.path, "a");
    }
}
