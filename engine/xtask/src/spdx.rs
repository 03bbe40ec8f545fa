//! Licence expressions (SPDX): whether an allow list satisfies one.
//!
//! The grammar is small: names, `AND`, `OR`, `WITH` an exception, brackets, and the slash that old manifests write for `OR`.

/// Whether the expression can be met with the allowed licences alone. A name with an exception (`A WITH B`) has to be
/// allowed as such or by its name alone, since an exception only ever permits more.
///
/// # Errors
/// The expression cannot be read.
pub fn satisfied(expression: &str, allowed: &[String]) -> Result<bool, String> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words: Vec<&str> = spaced.split_whitespace().rev().collect();
    let result = any(&mut words, allowed)?;
    words.last().map_or(Ok(result), |word| Err(format!("'{word}' is not expected in '{expression}'")))
}

/// The words are in reverse order, so that the next one is the last.
fn any(words: &mut Vec<&str>, allowed: &[String]) -> Result<bool, String> {
    let mut result = all(words, allowed)?;
    while words.last() == Some(&"OR") {
        words.pop();
        result |= all(words, allowed)?;
    }
    Ok(result)
}

fn all(words: &mut Vec<&str>, allowed: &[String]) -> Result<bool, String> {
    let mut result = one(words, allowed)?;
    while words.last() == Some(&"AND") {
        words.pop();
        result &= one(words, allowed)?;
    }
    Ok(result)
}

fn one(words: &mut Vec<&str>, allowed: &[String]) -> Result<bool, String> {
    match words.pop() {
        Some("(") => {
            let result = any(words, allowed)?;
            if words.pop() == Some(")") { Ok(result) } else { Err("a bracket is not closed".to_owned()) }
        }
        Some(name) if !matches!(name, ")" | "AND" | "OR" | "WITH") => {
            let mut result = allowed.iter().any(|licence| licence == name);
            if words.last() == Some(&"WITH") {
                words.pop();
                let exception = words.pop().ok_or("an exception has no name")?;
                result |= allowed.contains(&format!("{name} WITH {exception}"));
            }
            Ok(result)
        }
        Some(word) => Err(format!("'{word}' is not the name of a licence")),
        None => Err("a licence is missing".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_read_as_spdx_means_them() {
        let allowed = ["MIT".to_owned(), "Apache-2.0".to_owned(), "Unicode-3.0".to_owned()];
        let ok = |expression: &str| satisfied(expression, &allowed);
        for good in [
            "MIT",
            "GPL-3.0-only OR MIT",
            "GPL-3.0-only/Apache-2.0",
            "(MIT OR GPL-3.0-only) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception",
            "MIT AND Apache-2.0 OR GPL-3.0-only",
        ] {
            assert_eq!(ok(good), Ok(true), "{good}");
        }
        for bad in ["GPL-3.0-only", "MIT AND GPL-3.0-only", "GPL-2.0-only WITH Classpath-exception-2.0"] {
            assert_eq!(ok(bad), Ok(false), "{bad}");
        }
        for broken in ["", "MIT OR", "(MIT", "MIT)", "MIT Apache-2.0", "AND MIT", "MIT WITH"] {
            assert!(ok(broken).is_err(), "{broken}");
        }
    }
}
