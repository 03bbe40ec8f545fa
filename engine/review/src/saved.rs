//! A plan as one file.
//!
//! What is saved is what runs: the compiled plan with the digests of its plugins, and the text that it was made from. The
//! fingerprint is that of the plan, which approvals name. The seal is a digest over everything in the file, so that a
//! change of the text or the triggers is noticed, too. The file is only read in the very form in which it is written: one
//! byte that is different is one too many. Neither is a signature: who can write the file can seal it anew, and then the
//! fingerprint is another one. So a person who approved a plan names its fingerprint when it is run.

use lifeboat_core::plan::{PLAN_FORMAT, Plan};
use lifeboat_core::plugin::Catalog;
use lifeboat_core::{Digest, Error, limits};
use serde::{Deserialize, Serialize};

/// The version of the file's form.
pub const SAVED_FORMAT: u32 = 1;

/// A saved plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    /// The version of this form.
    #[serde(rename = "lifeboat-plan")]
    pub form: u32,
    /// The digest that approvals name: [`Plan::fingerprint`].
    pub fingerprint: Digest,
    /// The digest over fingerprint, triggers and text.
    pub seal: Digest,
    /// What starts the runbook by itself, one line each. It is no part of the plan, and of interest to a review.
    pub triggers: Vec<String>,
    /// The plan.
    pub plan: Plan,
    /// The text that it was compiled from.
    pub text: String,
}

impl Saved {
    /// A plan with its text, ready to be written or compared.
    pub fn new(plan: Plan, text: String, triggers: Vec<String>) -> Self {
        let fingerprint = plan.fingerprint();
        let seal = seal(&fingerprint, &triggers, &text);
        Self { form: SAVED_FORMAT, fingerprint, seal, triggers, plan, text }
    }

    /// The file.
    pub fn to_text(&self) -> String {
        // Plans hold JSON values, texts and numbers only: that always serialises.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Whether a file may be a saved plan at all: runbooks never begin like this.
    pub fn looks_like_one(text: &str) -> bool {
        text.trim_start().starts_with('{')
    }

    /// Reads a file.
    ///
    /// # Errors
    /// `LB1190` it is no saved plan, or one of a later form; `LB1191` it is not as it was saved.
    pub fn read(text: &str) -> Result<Self, Error> {
        if text.len() > limits::EVENT_BYTES_MAX {
            return Err(none(format!("it has {} bytes", text.len())));
        }
        #[derive(Deserialize)]
        struct Head {
            #[serde(rename = "lifeboat-plan")]
            form: u32,
        }
        let head: Head = serde_json::from_str(text).map_err(|cause| none(cause.to_string()))?;
        if head.form > SAVED_FORMAT {
            return Err(Error::new("LB1190", format!("the saved plan has the later form {}", head.form))
                .hint("use the Lifeboat that saved it, or a later one"));
        }
        let saved: Self = serde_json::from_str(text).map_err(|cause| none(cause.to_string()))?;
        if saved.plan.format > PLAN_FORMAT {
            return Err(Error::new("LB1190", format!("the plan has the later format {}", saved.plan.format))
                .hint("use the Lifeboat that saved it, or a later one"));
        }
        let found = saved.plan.fingerprint();
        if found != saved.fingerprint {
            return Err(changed("the plan in the file is not the one that was saved")
                .with("saved", &saved.fingerprint)
                .with("found", found));
        }
        if seal(&saved.fingerprint, &saved.triggers, &saved.text) != saved.seal {
            return Err(changed("the text or the triggers in the file are not those that were saved"));
        }
        if saved.to_text() != text {
            return Err(changed("the file is not in the form in which it was saved"));
        }
        Ok(saved)
    }

    /// Whether it is the plan that a person means.
    ///
    /// # Errors
    /// `LB1191` it has another fingerprint.
    pub fn is(&self, fingerprint: &str) -> Result<(), Error> {
        if self.fingerprint.0 == fingerprint {
            return Ok(());
        }
        Err(Error::new("LB1191", "the file holds another plan than the one that was asked for")
            .with("asked for", fingerprint)
            .with("in the file", &self.fingerprint)
            .hint("compare the two with 'lifeboat diff', and have the one that is meant approved"))
    }
}

fn none(cause: String) -> Error {
    Error::new("LB1190", "the file is no saved plan")
        .with("cause", cause)
        .hint("save one with: lifeboat plan RUNBOOK --save FILE")
}

fn changed(message: &str) -> Error {
    Error::new("LB1191", message).hint("nothing was started; save the plan again, and have it looked at again")
}

fn seal(fingerprint: &Digest, triggers: &[String], text: &str) -> Digest {
    Digest::of_json(&(SAVED_FORMAT, fingerprint, triggers, text))
}

/// Whether the plugins are those that a plan was saved with.
///
/// # Errors
/// `LB1192` with each one that is missing or another one.
pub fn check_plugins(plan: &Plan, catalog: &Catalog) -> Result<(), Error> {
    let mut error = Error::new("LB1192", "the plugins are not those that the plan was saved with");
    for (name, pin) in &plan.plugins {
        match catalog.get(name) {
            None => error = error.with(name, format!("{} was saved, and there is none", pin.version)),
            Some(known) if known.digest != pin.digest => {
                let (now, now_digest) = (&known.description.version, known.digest.short());
                let saved = format!("{} ({}) was saved", pin.version, pin.digest.short());
                error = error.with(name, format!("{saved}, and {now} ({now_digest}) is there"));
            }
            Some(_) => {}
        }
    }
    if error.context.is_empty() {
        return Ok(());
    }
    Err(error.hint("use the plugins that it was saved with, or save the plan again and have it looked at again"))
}
