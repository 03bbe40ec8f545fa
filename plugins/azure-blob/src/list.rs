//! Listings, page by page.

use lifeboat_objects::xml::{self, Node};
use lifeboat_objects::{Entry, Refusal, stuck, time};
use lifeboat_sdk::prelude::*;

use crate::container::{Container, query, snapshot_of, version_of};

/// A blob in a listing, or a version or snapshot of it.
pub struct Listed {
    /// What it is.
    pub entry: Entry,
    /// Whether it is the blob itself, and not what it was once.
    pub current: bool,
}

fn listed(node: Node<'_, '_>) -> Option<Listed> {
    let name = xml::child(node, "Name")?;
    let properties = xml::child(node, "Properties")?;
    // In accounts with folders, those are listed, too.
    if xml::text(properties, "ResourceType").eq_ignore_ascii_case("directory") {
        return None;
    }
    let encoded = name.attribute("Encoded").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let md5 = xml::text(properties, "Content-MD5");
    let (version, snapshot) = (xml::text(node, "VersionId"), xml::text(node, "Snapshot"));
    let old = !version.is_empty() && !xml::text(node, "IsCurrentVersion").eq_ignore_ascii_case("true");
    Some(Listed {
        entry: Entry {
            key: decode(name.text().unwrap_or_default(), encoded),
            size: xml::text(properties, "Content-Length").parse().unwrap_or(0),
            etag: xml::text(properties, "Etag").trim_matches('"').to_owned(),
            modified: time::millis(xml::text(properties, "Last-Modified")),
            version: match (version, snapshot) {
                ("", "") => None,
                ("", time) => Some(snapshot_of(time)),
                (id, _) => Some(version_of(id)),
            },
            sum: Some(md5).filter(|md5| !md5.is_empty()).map(|md5| format!("md5:{md5}")),
        },
        current: snapshot.is_empty() && !old,
    })
}

/// A name that XML could not hold as it is. A `+` in it is one.
fn decode(text: &str, encoded: bool) -> String {
    xml::decode(&text.replace('+', "%2B"), encoded).replace("%2B", "+")
}

/// A page, and the marker of the next one.
fn page(what: &str, text: &str) -> Result<(Vec<Listed>, String), Error> {
    let document = xml::parse(what, text)?;
    let root = document.root_element();
    let blobs = xml::child(root, "Blobs")
        .ok_or_else(|| Error::temporary(format!("{what}: the answer is no listing of blobs")))?;
    let found = xml::children(blobs, "Blob").filter_map(listed).collect();
    Ok((found, xml::text(root, "NextMarker").to_owned()))
}

impl Container {
    /// Everything whose name begins with that, in the order of names, with older states where `include` asks for them. It goes on
    /// as long as `take` says `true`.
    ///
    /// # Errors
    /// What the service says, and what `take` says.
    pub fn list(
        &self,
        prefix: &str,
        include: &str,
        max: Option<&str>,
        mut take: impl FnMut(Listed) -> Result<bool, Error>,
    ) -> Result<(), Refusal> {
        let what = format!("list '{prefix}' in the container {}", self.at.bucket);
        let mut marker = String::new();
        loop {
            let mut pairs = vec![("restype", "container"), ("comp", "list"), ("prefix", prefix)];
            if !include.is_empty() {
                pairs.push(("include", include));
            }
            if let Some(max) = max {
                pairs.push(("maxresults", max));
            }
            if !marker.is_empty() {
                pairs.push(("marker", &marker));
            }
            let answer = self.fetch(&what, &self.request("GET", "", &query(&pairs)))?;
            let (found, next) = page(&what, &String::from_utf8_lossy(&answer.body))?;
            for listed in found {
                if !take(listed)? {
                    return Ok(());
                }
            }
            if next.is_empty() {
                return Ok(());
            }
            if next == marker {
                return Err(stuck(&what).into());
            }
            marker = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"<EnumerationResults><Blobs>
        <Blob><Name>a</Name><Snapshot>2026-11-21T06:47:55.0000001Z</Snapshot><Properties><Content-Length>4</Content-Length>
          <Etag>"0x1"</Etag></Properties></Blob>
        <Blob><Name>a</Name><Properties><Content-Length>5</Content-Length><Etag>0x2</Etag><Content-MD5>bWQ1</Content-MD5>
          <Last-Modified>Sat, 21 Nov 2026 06:47:55 GMT</Last-Modified></Properties></Blob>
        <Blob><Name Encoded="true">b%EF%BF%BE+c</Name><VersionId>v1</VersionId><Properties/></Blob>
        <Blob><Name>b</Name><VersionId>v2</VersionId><IsCurrentVersion>true</IsCurrentVersion><Properties/></Blob>
        <Blob><Name>d</Name><Properties><ResourceType>directory</ResourceType></Properties></Blob>
        </Blobs><NextMarker>m</NextMarker></EnumerationResults>"#;

    #[test]
    fn what_blobs_were_is_told_from_what_they_are() {
        let (found, next) = page("list", PAGE).unwrap();
        assert_eq!(next, "m");
        let told: Vec<_> = found
            .iter()
            .map(|listed| (listed.entry.key.as_str(), listed.entry.version.as_deref(), listed.current))
            .collect();
        let want = [
            ("a", Some("snapshot=2026-11-21T06%3A47%3A55.0000001Z"), false),
            ("a", None, true),
            ("b\u{fffe}+c", Some("versionid=v1"), false),
            ("b", Some("versionid=v2"), true),
        ];
        assert_eq!(told, want);
        let entry = &found[1].entry;
        assert_eq!((entry.size, entry.etag.as_str(), entry.sum.as_deref()), (5, "0x2", Some("md5:bWQ1")));
        assert_eq!(entry.modified, Some(1_795_243_675_000));
        assert!(page("list", "<R/>").is_err());
    }
}
