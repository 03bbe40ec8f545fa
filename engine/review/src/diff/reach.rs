//! What a plan reaches: hosts, folders, secrets, and what its plugins need of the host.
//!
//! Hosts and folders are read from the settings of targets and the arguments of steps: an address with a scheme is a host
//! and a port, an absolute path a folder. Hosts that a plugin makes up from other settings (a bucket's region, the name of
//! an account) are told as changes of those settings.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_core::plan::Plan;
use serde_json::Value;

use super::Half;
use super::change::{Change, Kind};
use super::steps::members;

/// What a plan reaches, and by which target or step.
#[derive(Default)]
struct Reach {
    hosts: BTreeMap<String, String>,
    folders: BTreeMap<String, String>,
    secrets: BTreeMap<String, String>,
    needs: BTreeSet<String>,
}

impl Reach {
    fn of(plan: &Plan) -> Self {
        let mut reach = Self::default();
        for (name, target) in &plan.targets {
            let by = format!("target {name}");
            reach.texts(&target.settings, &by);
            for secret in target.secrets.values() {
                reach.secrets.entry(secret.clone()).or_insert_with(|| by.clone());
            }
        }
        for step in &plan.steps {
            reach.texts(&step.args, &format!("step {}", step.id));
            let plugin = step.plugin.as_deref().unwrap_or_default();
            reach.needs.extend(step.capabilities.iter().map(|need| format!("plugin {plugin} needs {need}")));
        }
        reach
    }

    fn texts(&mut self, value: &Value, by: &str) {
        match value {
            Value::String(text) => {
                if let Some(host) = host(text) {
                    self.hosts.entry(host).or_insert_with(|| by.to_owned());
                } else if text.starts_with('/') && by.starts_with("target") {
                    self.folders.entry(text.clone()).or_insert_with(|| by.to_owned());
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.texts(item, by)),
            Value::Object(map) => map.values().for_each(|item| self.texts(item, by)),
            _ => {}
        }
    }
}

/// The host and port of an address with a scheme.
fn host(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let known =
        !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    let authority = rest.split(['/', '?', '#']).next().filter(|_| known)?;
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host).to_ascii_lowercase();
    if authority.is_empty() {
        return None;
    }
    // What is in brackets is an address with colons of its own.
    let has_port = authority.rsplit_once(':').is_some_and(|(front, port)| {
        port.bytes().all(|b| b.is_ascii_digit()) && (!front.contains(':') || front.ends_with(']'))
    });
    let port = match scheme.to_ascii_lowercase().as_str() {
        _ if has_port => return Some(authority),
        "https" => 443,
        "http" => 80,
        _ => return Some(authority),
    };
    Some(format!("{authority}:{port}"))
}

pub(super) fn compare(old: &Half<'_>, new: &Half<'_>, changes: &mut Vec<Change>) {
    let (before, after) = (Reach::of(&old.saved.plan), Reach::of(&new.saved.plan));
    let mut named = |kind, what: &str, was: &BTreeMap<String, String>, is: &BTreeMap<String, String>| {
        for (name, by) in is.iter().filter(|(name, _)| !was.contains_key(*name)) {
            changes.push(Change::new(kind, name.as_str(), format!("new {what} {name}, by {by}")));
        }
        for (name, by) in was.iter().filter(|(name, _)| !is.contains_key(*name)) {
            changes.push(Change::new(Kind::ReachGone, name.as_str(), format!("no {what} {name} any more, by {by}")));
        }
    };
    named(Kind::NewEgress, "egress", &before.hosts, &after.hosts);
    named(Kind::NewGrant, "grant: folder", &before.folders, &after.folders);
    named(Kind::NewGrant, "grant: secret", &before.secrets, &after.secrets);
    for need in after.needs.difference(&before.needs) {
        changes.push(Change::new(Kind::NewGrant, need.as_str(), format!("new grant: {need}")));
    }
    for need in before.needs.difference(&after.needs) {
        changes.push(Change::new(Kind::ReachGone, need.as_str(), format!("no grant any more: {need}")));
    }
    targets(&old.saved.plan, &new.saved.plan, changes);
    plugins(&old.saved.plan, &new.saved.plan, changes);
}

fn targets(old: &Plan, new: &Plan, changes: &mut Vec<Change>) {
    for (name, target) in &new.targets {
        let Some(was) = old.targets.get(name) else {
            changes.push(Change::new(Kind::TargetChanged, name.as_str(), format!("target {name} is new")));
            continue;
        };
        let mut push = |kind, what: &str, before: String, after: String| {
            changes.push(Change::of(kind, name.as_str(), &format!("target {name}: {what}"), before, after));
        };
        let none = || "none".to_owned();
        if was.plugin != target.plugin {
            push(Kind::PluginChanged, "plugin", was.plugin.clone(), target.plugin.clone());
        }
        if was.site != target.site {
            let site = |site: &Option<String>| site.clone().unwrap_or_else(none);
            push(Kind::TargetChanged, "site", site(&was.site), site(&target.site));
        }
        for (setting, before, after) in members(&was.settings, &target.settings) {
            push(Kind::TargetChanged, &setting, before, after);
        }
        let uses: BTreeSet<&String> = was.secrets.keys().chain(target.secrets.keys()).collect();
        for used in uses.into_iter().filter(|used| was.secrets.get(*used) != target.secrets.get(*used)) {
            let secret = |found: Option<&String>| found.cloned().unwrap_or_else(none);
            let (before, after) = (secret(was.secrets.get(used)), secret(target.secrets.get(used)));
            push(Kind::TargetChanged, &format!("secret of {used}"), before, after);
        }
        if was.lock != target.lock {
            let lock = |lock: &Option<String>| lock.clone().unwrap_or_else(none);
            push(Kind::RoomChanged, "lock", lock(&was.lock), lock(&target.lock));
        }
    }
    for name in old.targets.keys().filter(|name| !new.targets.contains_key(*name)) {
        changes.push(Change::new(Kind::TargetChanged, name.as_str(), format!("target {name} is not used any more")));
    }
}

fn plugins(old: &Plan, new: &Plan, changes: &mut Vec<Change>) {
    for (name, pin) in &new.plugins {
        match old.plugins.get(name) {
            Some(was) if was.digest != pin.digest => {
                let told = |pin: &lifeboat_core::plan::PluginPin| format!("{} ({})", pin.version, pin.digest.short());
                let what = format!("plugin {name}");
                changes.push(Change::of(Kind::PluginChanged, name.as_str(), &what, told(was), told(pin)));
            }
            Some(was) if was.version != pin.version => {
                let what = format!("plugin {name}: version");
                changes.push(Change::of(Kind::Wording, name.as_str(), &what, was.version.clone(), pin.version.clone()));
            }
            Some(_) => {}
            None => changes.push(Change::new(
                Kind::PluginChanged,
                name.as_str(),
                format!("plugin {name} {} ({}) is new", pin.version, pin.digest.short()),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_ports() {
        let of = |text: &str| host(text).unwrap_or_default();
        assert_eq!(of("https://S3.example.net/bucket"), "s3.example.net:443");
        assert_eq!(of("http://user:word@[::1]:9000?x"), "[::1]:9000");
        assert_eq!(of("http://[::1]"), "[::1]:80");
        assert_eq!(of("dns://10.0.0.1:53"), "10.0.0.1:53");
        assert_eq!(of("/srv/a"), "");
        assert_eq!(of("a b://x"), "");
        assert_eq!(of("https://"), "");
    }
}
