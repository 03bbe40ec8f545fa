//! Listings, page by page: of objects, of versions, of the parts of an upload.

use lifeboat_objects::xml::{self, Node};
use lifeboat_objects::{Entry, Take, stuck, time};
use lifeboat_sdk::prelude::*;

use crate::bucket::Bucket;

fn entry(node: Node<'_, '_>, encoded: bool) -> Entry {
    let version = xml::text(node, "VersionId");
    Entry {
        key: xml::decode(xml::text(node, "Key"), encoded),
        size: xml::text(node, "Size").parse().unwrap_or(0),
        etag: xml::text(node, "ETag").trim_matches('"').to_owned(),
        modified: time::millis(xml::text(node, "LastModified")),
        version: Some(version).filter(|version| !matches!(*version, "" | "null")).map(str::to_owned),
        sum: None,
    }
}

/// What a page leads to.
struct Page {
    entries: Vec<Entry>,
    /// The markers of the next page.
    next: Option<(String, String)>,
}

fn objects(what: &str, text: &str) -> Result<Page, Error> {
    let document = xml::parse(what, text)?;
    let root = document.root_element();
    let encoded = xml::text(root, "EncodingType") == "url";
    let entries = xml::children(root, "Contents").map(|node| entry(node, encoded)).collect();
    let token = xml::text(root, "NextContinuationToken").to_owned();
    let more = xml::text(root, "IsTruncated") == "true";
    if more && token.is_empty() {
        return Err(Error::temporary(format!("{what}: the server says that there is more, and not where")));
    }
    Ok(Page { entries, next: more.then(|| (token, String::new())) })
}

/// Only the newest version of each key, and not where that is the mark of a deletion.
fn versions(what: &str, text: &str) -> Result<Page, Error> {
    let document = xml::parse(what, text)?;
    let root = document.root_element();
    let encoded = xml::text(root, "EncodingType") == "url";
    let latest = xml::children(root, "Version").filter(|node| xml::text(*node, "IsLatest") == "true");
    let entries = latest.map(|node| entry(node, encoded)).collect();
    let key = xml::decode(xml::text(root, "NextKeyMarker"), encoded);
    let more = xml::text(root, "IsTruncated") == "true";
    if more && key.is_empty() {
        return Err(Error::temporary(format!("{what}: the server says that there is more, and not where")));
    }
    Ok(Page { entries, next: more.then(|| (key, xml::text(root, "NextVersionIdMarker").to_owned())) })
}

impl Bucket {
    /// Every object whose full key begins with that, in the order of their keys.
    ///
    /// # Errors
    /// What the server says, and what `take` says.
    pub fn list(&self, prefix: &str, take: &mut Take<'_>) -> Result<(), Error> {
        let what = format!("list '{prefix}' in the bucket {}", self.at.bucket);
        let mut token = String::new();
        loop {
            let mut query = vec![("list-type", "2"), ("encoding-type", "url"), ("prefix", prefix)];
            if !token.is_empty() {
                query.push(("continuation-token", &token));
            }
            let answer = self.fetch(&what, &self.request("GET", "", &query))?;
            let page = objects(&what, &String::from_utf8_lossy(&answer.body))?;
            page.entries.into_iter().try_for_each(&mut *take)?;
            match page.next {
                // A server that repeats itself would keep us for ever.
                Some((next, _)) if next == token => return Err(stuck(&what)),
                Some((next, _)) => token = next,
                None => return Ok(()),
            }
        }
    }

    /// The first object whose full key begins with that: the object of that very key, where there is one.
    ///
    /// # Errors
    /// What the server says.
    pub fn one(&self, prefix: &str) -> Result<Option<Entry>, Error> {
        let what = format!("look for '{prefix}' in the bucket {}", self.at.bucket);
        let query = [("list-type", "2"), ("encoding-type", "url"), ("max-keys", "1"), ("prefix", prefix)];
        let answer = self.fetch(&what, &self.request("GET", "", &query))?;
        Ok(objects(&what, &String::from_utf8_lossy(&answer.body))?.entries.into_iter().next())
    }

    /// The newest version of every object whose full key begins with that, in the order of their keys.
    ///
    /// # Errors
    /// What the server says, and what `take` says.
    pub fn newest(&self, prefix: &str, take: &mut Take<'_>) -> Result<(), Error> {
        let what = format!("list the versions of '{prefix}' in the bucket {}", self.at.bucket);
        let mut at = (String::new(), String::new());
        loop {
            let mut query = vec![("versions", ""), ("encoding-type", "url"), ("prefix", prefix)];
            if !at.0.is_empty() {
                query.push(("key-marker", &at.0));
            }
            if !at.1.is_empty() {
                query.push(("version-id-marker", &at.1));
            }
            let answer = self.fetch(&what, &self.request("GET", "", &query))?;
            let page = versions(&what, &String::from_utf8_lossy(&answer.body))?;
            page.entries.into_iter().try_for_each(&mut *take)?;
            match page.next {
                Some(next) if next == at => return Err(stuck(&what)),
                Some(next) => at = next,
                None => return Ok(()),
            }
        }
    }

    /// The parts of an unfinished upload, as number, ETag and size.
    ///
    /// # Errors
    /// What the server says; `not-found` where the upload is not there any more.
    pub fn parts(&self, key: &str, upload: &str) -> Result<Vec<(u32, String, u64)>, Error> {
        let what = format!("list the parts of '{key}'");
        let (mut found, mut marker) = (Vec::new(), String::new());
        loop {
            let mut query = vec![("uploadId", upload)];
            if !marker.is_empty() {
                query.push(("part-number-marker", &marker));
            }
            let answer = self.fetch(&what, &self.request("GET", key, &query))?;
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            let document = xml::parse(&what, &text)?;
            let root = document.root_element();
            for node in xml::children(root, "Part") {
                let (number, size) = (xml::text(node, "PartNumber").parse(), xml::text(node, "Size").parse());
                if let (Ok(number), Ok(size)) = (number, size) {
                    found.push((number, xml::text(node, "ETag").to_owned(), size));
                }
            }
            let next = xml::text(root, "NextPartNumberMarker").to_owned();
            if xml::text(root, "IsTruncated") != "true" {
                return Ok(found);
            }
            if next.is_empty() || next == marker {
                return Err(stuck(&what));
            }
            marker = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_objects_lead_to_the_next_and_keys_are_decoded() {
        let text = r#"<ListBucketResult><IsTruncated>true</IsTruncated><EncodingType>url</EncodingType>
            <NextContinuationToken>t1</NextContinuationToken>
            <Contents><Key>a%20b</Key><Size>5</Size><ETag>&quot;e&quot;</ETag><LastModified>x</LastModified></Contents>
            </ListBucketResult>"#;
        let page = objects("list", text).unwrap();
        assert_eq!(page.next, Some(("t1".to_owned(), String::new())));
        let [only] = page.entries.as_slice() else { panic!("{:?}", page.entries) };
        assert_eq!((only.key.as_str(), only.size, only.etag.as_str()), ("a b", 5, "e"));
        assert!(objects("list", "<R><IsTruncated>true</IsTruncated></R>").is_err(), "half a listing is none");
    }

    #[test]
    fn of_versions_only_the_newest_count_and_no_deletions() {
        let text = r#"<R><IsTruncated>false</IsTruncated>
            <Version><Key>a</Key><VersionId>2</VersionId><IsLatest>true</IsLatest><Size>1</Size></Version>
            <Version><Key>a</Key><VersionId>1</VersionId><IsLatest>false</IsLatest><Size>9</Size></Version>
            <DeleteMarker><Key>b</Key><VersionId>7</VersionId><IsLatest>true</IsLatest></DeleteMarker>
            <Version><Key>b</Key><VersionId>6</VersionId><IsLatest>false</IsLatest><Size>9</Size></Version>
            <Version><Key>c</Key><VersionId>null</VersionId><IsLatest>true</IsLatest><Size>3</Size></Version></R>"#;
        let page = versions("list", text).unwrap();
        let found: Vec<_> = page.entries.iter().map(|entry| (entry.key.as_str(), entry.version.as_deref())).collect();
        assert_eq!(found, [("a", Some("2")), ("c", None)]);
        assert_eq!(page.next, None);
    }
}
