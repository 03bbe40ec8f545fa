//! What can be found out about a bucket without changing anything, and what is absent.

use lifeboat_sdk::prelude::*;

use crate::bucket::Bucket;
use crate::finding;

/// Whether it can be listed.
pub fn readable(bucket: &Bucket) -> Vec<Finding> {
    vec![finding(&format!("the bucket {} can be listed", bucket.place()), bucket.exists())]
}

/// Whether it can be listed, and how safe it is there. Whether it may be written to is known by writing only.
pub fn writable(bucket: &Bucket) -> Vec<Finding> {
    let mut findings = readable(bucket);
    if findings.iter().any(|found| !found.ok) {
        return findings;
    }
    let name = &bucket.bucket;
    findings.push(good(format!("whether {} may be written to is not tried: that would change it", bucket.place())));
    findings.push(match bucket.versioning() {
        Ok(Some(status)) if status == "Enabled" => good(format!("{name} keeps versions: what is overwritten is kept")),
        Ok(_) => good(format!("{name} keeps no versions: what is overwritten or deleted is gone")),
        Err(error) => good(format!("{name}: whether it keeps versions can't be seen: {}", error.message)),
    });
    findings.push(match (bucket.object_lock(), bucket.retains()) {
        (Ok(Some(rule)), _) if rule.is_empty() => {
            good(format!("{name} can lock objects, and has no rule for new ones"))
        }
        (Ok(Some(rule)), _) => good(format!("{name} locks new objects: {rule}")),
        (Ok(None), true) => bad(format!("{name} can't lock objects, and the target says retain-days")),
        (Ok(None), false) => good(format!("{name} can't lock objects: its key may delete what is there")),
        (Err(error), true) => bad(format!("{name}: whether it locks objects can't be seen: {}", error.message)),
        (Err(error), false) => good(format!("{name}: whether it locks objects can't be seen: {}", error.message)),
    });
    findings
}
