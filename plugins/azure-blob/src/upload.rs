//! Writing blobs: in one request, or in blocks. Blocks become a blob with one last request, and until then nobody sees them; the
//! service drops those that were never used after a week.

use lifeboat_objects::{Meta, Parts, base64};
use lifeboat_sdk::host::{Pumped, random};
use lifeboat_sdk::http::{Hash, Request, encode};
use lifeboat_sdk::prelude::*;

use crate::container::Container;

/// Blocks that a blob may have; the rule of Azure.
const BLOCKS_MAX: u64 = 50_000;

/// Bytes of a block for a blob of that size.
pub fn block_size(wanted: u64, size: u64) -> u64 {
    wanted.max(size.div_ceil(BLOCKS_MAX))
}

/// A blob that is sent in blocks.
pub struct Blocks<'a> {
    container: &'a Container,
    key: String,
    /// Two that write the same blob at once must not mix their blocks.
    own: String,
    ids: Vec<String>,
    like: Option<Meta>,
}

impl<'a> Blocks<'a> {
    /// Begins one. The service need not know of it.
    pub fn begin(container: &'a Container, key: &str, like: Option<&Meta>) -> Self {
        let own = random(8).iter().map(|byte| format!("{byte:02x}")).collect();
        Self { container, key: key.to_owned(), own, ids: Vec::new(), like: like.cloned() }
    }
}

impl Parts for Blocks<'_> {
    fn send(&mut self, data: &Reader, len: u64, _: bool) -> Result<(), Error> {
        // The service takes no empty blocks.
        if len == 0 {
            return Ok(());
        }
        let number = self.ids.len();
        let id = base64(format!("{}-{number:07}", self.own).as_bytes());
        let request = self.container.request("PUT", &self.key, &format!("comp=block&blockid={}", encode(&id)));
        self.container.send(&format!("put block {number} of '{}'", self.key), &request, data, len)?;
        self.ids.push(id);
        Ok(())
    }

    fn complete(&mut self, _: u64) -> Result<(), Error> {
        let mut body = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>");
        for id in &self.ids {
            body.push_str(&format!("<Latest>{id}</Latest>"));
        }
        body.push_str("</BlockList>");
        let mut request = self.container.retained(self.container.request("PUT", &self.key, "comp=blocklist"));
        if let Some(kind) = self.like.as_ref().and_then(|like| like.content_type.as_deref()) {
            request = request.header("x-ms-blob-content-type", kind);
        }
        // Of blocks the service makes no sum itself.
        if let Some(md5) = self.like.as_ref().and_then(|like| like.sum.as_deref()?.strip_prefix("md5:")) {
            request = request.header("x-ms-blob-content-md5", md5);
        }
        let what = format!("put '{}' together", self.key);
        self.container.fetch_with(&what, &request, body.into_bytes()).map(drop).map_err(Error::from)
    }

    fn abort(&mut self) {}
}

impl Container {
    fn blob(&self, key: &str, like: Option<&Meta>) -> Request {
        let kind = like.and_then(|like| like.content_type.as_deref()).unwrap_or("application/octet-stream");
        let request = self.request("PUT", key, "").header("x-ms-blob-type", "BlockBlob").header("content-type", kind);
        self.retained(request)
    }

    /// So many bytes of a reader in one request.
    pub fn send_whole(&self, key: &str, data: &Reader, size: u64, like: Option<&Meta>) -> Result<Pumped, Error> {
        let request = self.blob(key, like).checksum(Hash::Blake3);
        let answer = self.send(&format!("put '{key}'"), &request, data, size)?;
        let hex: String =
            answer.head.checksums.first().into_iter().flatten().map(|byte| format!("{byte:02x}")).collect();
        Ok(Pumped { bytes: size, digest: format!("blake3:{hex}") })
    }

    /// Bytes that are in memory in one request; with `fresh` only where there is nothing of that name.
    pub fn send_bytes(&self, key: &str, data: Vec<u8>, fresh: bool) -> Result<(), Error> {
        let mut request = self.blob(key, None);
        if fresh {
            request = request.header("if-none-match", "*");
        }
        self.fetch_with(&format!("put '{key}'"), &request, data).map(drop).map_err(Error::from)
    }
}

#[cfg(test)]
mod tests {
    use super::block_size;

    #[test]
    fn blocks_grow_so_that_there_are_never_too_many() {
        const MIB: u64 = 1024 * 1024;
        assert_eq!(block_size(64 * MIB, 100 * MIB), 64 * MIB);
        let size = 100 * 1024 * 1024 * MIB;
        assert!(size.div_ceil(block_size(64 * MIB, size)) <= 50_000);
    }
}
