//! How a server is reached.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Address and credentials. They are made for tests, protect nothing, and may be printed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// `http://127.0.0.1:PORT`, and for Azure the account as a path.
    pub endpoint: String,
    /// By name: `access-key`, `secret-key`, `region`, `account`, `token` and the like.
    pub values: BTreeMap<String, String>,
}

impl Access {
    /// Of these values.
    #[must_use]
    pub fn new(endpoint: String, values: &[(&str, &str)]) -> Self {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { endpoint, values }
    }

    /// The value of that name, or nothing.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }
}
