//! Templates, by handlebars: strict, so a name that there is not is an error, and never an empty place in a page at night.

use handlebars::Handlebars;
use lifeboat_core::Error;
use lifeboat_core::notify::Form;
use serde_json::Value;

/// Bytes of a template, and of what it makes.
pub(crate) const BYTES_MAX: usize = 64 * 1024;
const NAME: &str = "it";

/// A template that was read.
pub(crate) struct Template {
    registry: Handlebars<'static>,
    what: String,
}

fn in_json(text: &str) -> String {
    let quoted = Value::String(text.to_owned()).to_string();
    quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default().to_owned()
}

/// A text as a value of a form or a part of an address.
pub(crate) fn in_form(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

impl Template {
    /// Reads a template. Values are written as its form wants them, so that no value ends a string of JSON.
    ///
    /// # Errors
    /// `LB1091` it is none.
    pub(crate) fn new(what: &str, text: &str, form: Form) -> Result<Self, Error> {
        let mut registry = Handlebars::new();
        registry.set_strict_mode(true);
        match form {
            Form::Json => registry.register_escape_fn(in_json),
            Form::Form => registry.register_escape_fn(in_form),
            Form::Text => registry.register_escape_fn(handlebars::no_escape),
        }
        let template = Self { registry, what: what.to_owned() };
        if text.len() > BYTES_MAX {
            return Err(template.wrong(format!("it has more than {BYTES_MAX} bytes")));
        }
        let mut template = template;
        match template.registry.register_template_string(NAME, text) {
            Ok(()) => Ok(template),
            Err(cause) => Err(template.wrong(cause)),
        }
    }

    fn wrong(&self, cause: impl std::fmt::Display) -> Error {
        Error::new("LB1091", format!("the template of {} cannot be used", self.what))
            .with("cause", cause)
            .hint("README.md lists what a template can name; examples/notify has some that work")
    }

    /// Fills it in.
    ///
    /// # Errors
    /// `LB1091` it names something that there is not, or makes too much.
    pub(crate) fn render(&self, data: &Value) -> Result<String, Error> {
        let made = self.registry.render(NAME, data).map_err(|cause| self.wrong(cause))?;
        if made.len() > BYTES_MAX {
            return Err(self.wrong(format!("it makes more than {BYTES_MAX} bytes")));
        }
        Ok(made)
    }

    /// Tries it on that data; what is to be JSON has to be some.
    ///
    /// # Errors
    /// `LB1091`.
    pub(crate) fn check(&self, data: &Value, form: Form) -> Result<(), Error> {
        let made = self.render(data)?;
        if form == Form::Json {
            serde_json::from_str::<Value>(&made).map_err(|cause| self.wrong(format!("it makes no JSON: {cause}")))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_stay_values_in_every_form() {
        let data = json!({ "a": "x\" , \"evil\": \"1\n&b=2 ü" });
        let json = Template::new("t", "{\"k\": \"{{a}}\"}", Form::Json).unwrap().render(&data).unwrap();
        let back: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(back, json!({ "k": data["a"] }));
        let form = Template::new("t", "k={{a}}&l=1", Form::Form).unwrap().render(&data).unwrap();
        assert_eq!(form, "k=x%22%20%2C%20%22evil%22%3A%20%221%0A%26b%3D2%20%C3%BC&l=1");
    }

    #[test]
    fn a_name_that_there_is_not_is_an_error() {
        for text in ["{{nowhere}}", "{{#if a}", "{{a.b.c}}"] {
            let made = Template::new("t", text, Form::Text).and_then(|template| template.render(&json!({ "a": "x" })));
            assert_eq!(made.unwrap_err().code.0, "LB1091", "{text}");
        }
        let template = Template::new("t", "{{a}}", Form::Json).unwrap();
        assert_eq!(template.check(&json!({ "a": "x" }), Form::Json).unwrap_err().code.0, "LB1091");
    }
}
