//! What can be found out about a bucket without changing anything, and what is absent.

use lifeboat_sdk::prelude::*;

use crate::Bucket;

/// Whether it can be listed.
pub fn readable<B: Bucket>(bucket: &B) -> Vec<Finding> {
    vec![finding(&format!("the {} {} can be listed", B::WORD, bucket.at().place()), bucket.exists())]
}

/// Whether it can be listed, and how safe it is there. Whether it may be written to is known by writing only.
pub fn writable<B: Bucket>(bucket: &B) -> Vec<Finding> {
    let mut findings = readable(bucket);
    if findings.iter().any(|found| !found.ok) {
        return findings;
    }
    let place = bucket.at().place();
    findings.push(good(format!("whether {place} may be written to is not tried: that would change it")));
    findings.extend(bucket.safety());
    findings
}
