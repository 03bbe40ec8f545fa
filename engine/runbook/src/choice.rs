//! A value that has to be one of several things, as plugins' schemas say it: `oneOf` with words, or with objects that a `kind` tells
//! apart. The message of a schema library, "not valid under any of the schemas", tells nobody what to write.

use serde_json::Value;

/// What is wrong with a value of a choice, and what to do about it.
pub(crate) struct Finding {
    pub(crate) message: String,
    pub(crate) help: String,
}

/// Explains why a value fits none of the branches; `None` where the branches are of another form.
pub(crate) fn explain(branches: &Value, value: &Value) -> Option<Finding> {
    let branches = branches.as_array()?;
    if let Some(words) = branches.iter().map(word).collect::<Option<Vec<_>>>() {
        return Some(unknown(&value.to_string(), value.as_str(), &words));
    }
    let kinds = branches.iter().map(|branch| word(branch.get("properties")?.get("kind")?));
    let kinds = kinds.collect::<Option<Vec<_>>>()?;
    let Some(kind) = value.get("kind").and_then(Value::as_str) else {
        return Some(Finding { message: "its kind is missing".to_owned(), help: one_of(&kinds) });
    };
    match kinds.iter().position(|known| *known == kind).and_then(|index| branches.get(index)) {
        None => Some(unknown(&format!("kind \"{kind}\""), Some(kind), &kinds)),
        Some(branch) => members(branch, kind, value),
    }
}

/// What is wrong with the members of an object whose kind is known.
fn members(branch: &Value, kind: &str, value: &Value) -> Option<Finding> {
    let known = crate::schema::property_names(branch);
    let known: Vec<&str> = known.iter().map(String::as_str).filter(|name| *name != "kind").collect();
    let has = |name: &str| value.get(name).is_some();
    if let Some(odd) = value.as_object()?.keys().find(|name| *name != "kind" && !known.contains(&name.as_str())) {
        let help = match crate::diagnostic::closest(odd, known.iter().copied()) {
            Some(best) => format!("did you mean '{best}'?"),
            None => format!("known here: {}", known.join(", ")),
        };
        return Some(Finding { message: format!("'{odd}' means nothing for \"{kind}\""), help });
    }
    let required = branch.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let missing: Vec<&str> = required.filter(|name| *name != "kind" && !has(name)).collect();
    if missing.is_empty() {
        return None;
    }
    let example: Vec<String> = missing.iter().map(|name| format!("{name}=…")).collect();
    Some(Finding {
        message: format!("\"{kind}\" needs {}", missing.join(" and ")),
        help: format!("write \"{kind}\" {}", example.join(" ")),
    })
}

fn word(schema: &Value) -> Option<&str> {
    schema.get("const")?.as_str()
}

fn unknown(shown: &str, word: Option<&str>, words: &[&str]) -> Finding {
    let help = match word.and_then(|word| crate::diagnostic::closest(word, words.iter().copied())) {
        Some(best) => format!("did you mean '{best}'?"),
        None => one_of(words),
    };
    Finding { message: format!("{shown} is not one of {}", words.join(", ")), help }
}

fn one_of(words: &[&str]) -> String {
    format!("one of: {}", words.join(", "))
}
