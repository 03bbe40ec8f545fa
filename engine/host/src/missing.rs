//! What a target would be refused for, told before anything runs: by the operator's file alone, without a look at the world.

use std::path::Path;

use lifeboat_core::grants::Operator;
use lifeboat_core::plan::{Mode, Target};
use serde_json::Value;

use crate::grants::{Wish, allow_line, covered};
use crate::http::egress::{Egress, allow_host_line};
use crate::http::url::Url;

/// The line of the operator's file that is missing, or nothing. `http`: a step needs requests to the target; `write`: a step changes
/// what is below its `root`. What depends on the run (`{{run.id}}`) is not judged.
pub fn missing_grant(operator: &Operator, target: &Target, mode: Mode, http: bool, write: bool) -> Option<String> {
    let setting = |name: &str| target.settings.get(name).and_then(Value::as_str).filter(|text| !text.contains("{{"));
    let (plugin, name) = (target.plugin.as_str(), target.name.as_str());
    if let Some(root) = setting("root") {
        let wish = Wish { plugin, target: name, mode, root: Path::new(root), makes: false };
        return (!covered(operator, &wish, write)).then(|| allow_line(plugin, name, root, write));
    }
    if !http {
        return None;
    }
    let egress = Egress::new(operator, plugin, name, mode);
    let Some(endpoint) = target.settings.get("endpoint") else {
        // The plugin knows its provider's own host; without any grant it will not get there.
        return egress.hosts.is_empty().then(|| allow_host_line(plugin, name, "HOST", 443, false));
    };
    let url = endpoint.as_str().filter(|text| !text.contains("{{")).and_then(|text| Url::parse(text).ok())?;
    egress.check(&url).is_err().then(|| allow_host_line(plugin, name, &url.host, url.port, !url.tls))
}

#[cfg(test)]
mod tests {
    use lifeboat_core::grants::{DirGrant, Grant, HostGrant};
    use serde_json::json;

    use super::*;

    fn target(plugin: &str, settings: Value) -> Target {
        serde_json::from_value(json!({ "name": "t", "plugin": plugin, "settings": settings })).unwrap()
    }

    fn operator(plugin: &str, dir: Option<(&str, bool)>, host: Option<(&str, u16, bool)>) -> Operator {
        let dirs = dir.map(|(path, write)| DirGrant { path: path.into(), write }).into_iter().collect();
        let host = host.map(|(host, port, plain)| HostGrant { host: host.into(), port, plain, ca: None, client: None });
        let grant = Grant { plugin: plugin.into(), target: None, dirs, hosts: host.into_iter().collect() };
        Operator { grants: vec![grant], ..Operator::default() }
    }

    #[test]
    fn a_folder_is_granted_or_the_line_is_told() {
        let folder = target("fs", json!({ "root": "/nowhere/here" }));
        let missing = |dir, write| missing_grant(&operator("fs", dir, None), &folder, Mode::Failover, false, write);
        assert_eq!(missing(Some(("/nowhere", false)), false), None);
        assert_eq!(
            missing(Some(("/nowhere/her", true)), false).unwrap(),
            "grant \"fs\" target=\"t\" { dir \"/nowhere/here\" }"
        );
        let write = missing(Some(("/nowhere", false)), true).unwrap();
        assert_eq!(write, "grant \"fs\" target=\"t\" { dir \"/nowhere/here\" write=#true }");
        let other = operator("s3", Some(("/nowhere", true)), None);
        assert!(missing_grant(&other, &folder, Mode::Failover, false, false).is_some(), "a grant is of one plugin");
        let drill = missing_grant(&operator("fs", Some(("/nowhere", true)), None), &folder, Mode::Drill, false, false);
        assert!(drill.is_some(), "in a drill the others do not count");
    }

    #[test]
    fn a_server_is_granted_with_its_port_and_way() {
        let bucket = target("s3", json!({ "endpoint": "http://10.0.0.7:9000" }));
        let missing = |host| missing_grant(&operator("s3", None, host), &bucket, Mode::Failover, true, false);
        assert_eq!(missing(Some(("10.0.0.7", 9000, true))), None);
        let line = "grant \"s3\" target=\"t\" { host \"10.0.0.7\" port=9000 plain=#true }";
        assert_eq!(missing(Some(("10.0.0.7", 9000, false))).unwrap(), line);
        assert_eq!(missing(None).unwrap(), line);
        let amazon = target("s3", json!({}));
        let line = missing_grant(&operator("s3", None, None), &amazon, Mode::Failover, true, false).unwrap();
        assert_eq!(line, "grant \"s3\" target=\"t\" { host \"HOST\" }");
        assert_eq!(missing_grant(&operator("s3", None, None), &amazon, Mode::Failover, false, false), None);
    }
}
