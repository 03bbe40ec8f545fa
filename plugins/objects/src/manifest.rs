//! Recovery points of buckets: a manifest of keys and versions.
//!
//! A manifest is an object of its own below `lifeboat/snapshots/` of the target that keeps it: lines of JSON, a head, one
//! line for each object, and an end with the totals, so that half a manifest is told from a whole one. It is written by
//! one last request, under a name that is made of the key of the step: what a second attempt writes is the same one.

use lifeboat_sdk::host::{digest, from_list, now_ms};
use lifeboat_sdk::prelude::*;
use lifeboat_sdk::{Data, serde_json};

use crate::upload::Sink;
use crate::{Bucket, Entry};

/// What Lifeboat keeps for itself below the prefix of a target.
pub const OWN: &str = "lifeboat/";
/// Where the manifests are.
const MANIFESTS: &str = "lifeboat/snapshots/";
/// Bytes at the end of a manifest that hold its last line.
const TAIL: u64 = 256;
/// Bytes of one line: a key has at most a thousand.
const LINE_MAX: usize = 64 * 1024;

/// The first line.
#[data]
#[derive(Clone)]
pub struct Top {
    /// The version of the form: 1.
    pub manifest: u32,
    /// Its id.
    pub id: String,
    /// When it was made: milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// What it is called.
    pub label: String,
    /// The run that made it.
    pub run: String,
    /// The server that has the bytes.
    pub origin: String,
    /// The bucket that has the bytes.
    pub bucket: String,
}

/// An object.
#[data]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its key below the prefix that was protected.
    pub key: String,
    /// Its full key in the bucket that has the bytes.
    pub at: String,
    /// Its version there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Bytes.
    pub size: u64,
    /// As the server gave it, without quotes.
    pub etag: String,
    /// The server's checksum of all bytes, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sum: Option<String>,
}

/// The last line.
#[data]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Objects.
    pub objects: u64,
    /// Bytes in them.
    pub bytes: u64,
}

/// Where one is, and how large.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its id.
    pub id: String,
    key: String,
    size: u64,
}

/// The id of what a step makes: the same for all its attempts.
pub fn id_of<S: Data>(ctx: &Context<S>) -> Result<String, Error> {
    let hash = digest(&from_list(ctx.key().as_bytes()))?.digest;
    Ok(hash.trim_start_matches("blake3:").to_owned())
}

/// The first line of a new one.
pub fn top<B: Bucket>(ctx: &Context<B::Settings>, id: &str, label: String, data: &B) -> Top {
    Top {
        manifest: 1,
        id: id.to_owned(),
        time_ms: now_ms(),
        label,
        run: ctx.run().to_owned(),
        origin: data.at().origin.clone(),
        bucket: data.at().bucket.clone(),
    }
}

fn key_of<B: Bucket>(keeper: &B, id: &str) -> String {
    keeper.at().full(&format!("{MANIFESTS}{id}.ndjson"))
}

/// The manifest of that very id, if it is there.
pub fn exact<B: Bucket>(keeper: &B, id: &str) -> Result<Option<Found>, Error> {
    let key = key_of(keeper, id);
    Ok(keeper.head(&key, None)?.map(|meta| Found { id: id.to_owned(), key, size: meta.size }))
}

/// A full id, a unique beginning of one, or `latest`.
pub fn find<B: Bucket>(keeper: &B, wanted: &str) -> Result<Found, Error> {
    let folder = keeper.at().full(MANIFESTS);
    let latest = wanted == "latest";
    let begin = if latest { "" } else { wanted };
    let mut fits: Vec<(Entry, Found)> = Vec::new();
    keeper.objects(&format!("{folder}{begin}"), &mut |entry| {
        let id = entry.key.strip_prefix(&folder).and_then(|name| name.strip_suffix(".ndjson")).map(str::to_owned);
        if let Some(id) = id {
            let found = Found { id, key: entry.key.clone(), size: entry.size };
            // Of a thousand recovery points only the newest are wanted.
            if latest && fits.first().is_some_and(|(first, _)| first.modified < entry.modified) {
                fits.clear();
            }
            if !latest || fits.first().is_none_or(|(first, _)| first.modified == entry.modified) {
                fits.push((entry, found));
            }
        }
        Ok(())
    })?;
    // Servers tell whole seconds: of those of one second, they themselves know which is the newest.
    if latest && fits.len() > 1 {
        let mut newest: Option<(u64, Found)> = None;
        for (_, found) in fits {
            let time = Pages::open(keeper, &found)?.top.time_ms;
            if newest.as_ref().is_none_or(|(known, _)| *known < time) {
                newest = Some((time, found));
            }
        }
        return newest.map(|(_, found)| found).ok_or_else(|| no_snapshot(wanted, &keeper.at().place()));
    }
    let (count, place) = (fits.len(), keeper.at().place());
    match fits.pop() {
        Some((_, found)) if count == 1 => Ok(found),
        None => Err(no_snapshot(wanted, &place)),
        Some(_) => Err(Error::permanent(format!("'{wanted}' is the beginning of {count} snapshots at {place}"))
            .hint("give more of it")),
    }
}

fn no_snapshot(wanted: &str, place: &str) -> Error {
    let message = format!("there is no snapshot '{wanted}' at {place}");
    Error { kind: ErrorKind::NotFound, message, hint: None }
}

/// The totals of a manifest, from its end. A manifest without an end is none.
pub fn totals<B: Bucket>(keeper: &B, found: &Found) -> Result<Totals, Error> {
    let offset = found.size.saturating_sub(TAIL);
    let reader = keeper.get(&found.key, None, offset, Some(found.size - offset))?.body;
    let mut tail = Vec::new();
    loop {
        let more = reader.read(4096)?;
        if more.is_empty() {
            break;
        }
        tail.extend(more);
    }
    let text = String::from_utf8_lossy(&tail);
    text.lines().last().and_then(|line| serde_json::from_str(line).ok()).ok_or_else(|| cut(&found.id))
}

fn cut(id: &str) -> Error {
    Error::permanent(format!("the snapshot {id} is damaged: its manifest is cut off"))
        .hint("recover from an earlier snapshot, or from another place")
}

/// A manifest that is written.
pub struct Draft<'a, B: Bucket> {
    sink: Sink<'a, B>,
    totals: Totals,
}

impl<'a, B: Bucket> Draft<'a, B> {
    /// Begins one at its keeper.
    pub fn new(keeper: &'a B, top: &Top) -> Result<Self, Error> {
        let mut draft = Self { sink: Sink::new(keeper, &key_of(keeper, &top.id), None), totals: Totals::default() };
        draft.line(top)?;
        Ok(draft)
    }

    fn line<T: lifeboat_sdk::serde::Serialize>(&mut self, line: &T) -> Result<(), Error> {
        let mut text = serde_json::to_vec(line).map_err(|error| Error::permanent(format!("the manifest: {error}")))?;
        text.push(b'\n');
        self.sink.write(&text)
    }

    /// One more object.
    pub fn add(&mut self, item: &Item) -> Result<(), Error> {
        self.totals.objects += 1;
        self.totals.bytes += item.size;
        self.line(item)
    }

    /// So far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Leaves nothing behind.
    pub fn give_up(mut self) {
        self.sink.give_up();
    }

    /// Makes it an object. One that another attempt made in the meantime stays as it is.
    pub fn finish(mut self) -> Result<Totals, Error> {
        let totals = self.totals;
        self.line(&totals)?;
        match self.sink.finish(true) {
            Err(error) if error.kind != ErrorKind::AlreadyExists => Err(error),
            _ => Ok(totals),
        }
    }
}

/// Ends a draft. Where that goes wrong, what counts is what is there: an answer may be lost, and not what it was about.
///
/// # Errors
/// Failed where there is no manifest, unknown where nobody can say.
pub fn publish<B: Bucket>(keeper: &B, draft: Draft<'_, B>, id: &str) -> Result<Totals, Stop> {
    let failed = draft.finish().err();
    match (exact(keeper, id), failed) {
        // Another attempt may have been first: then its totals count.
        (Ok(Some(found)), _) => totals(keeper, &found).map_err(|error| Stop::Unknown(error.message)),
        (Ok(None), Some(error)) => Err(error.into()),
        (Ok(None), None) => Err(Stop::Unknown(format!("the manifest {id} was written and is not there"))),
        (Err(error), None) => Err(Stop::Unknown(error.message)),
        // A server that refused it has not taken it.
        (Err(_), Some(first)) if first.kind != ErrorKind::Temporary => Err(first.into()),
        (Err(second), Some(first)) => Err(Stop::Unknown(format!("{}; and then: {}", first.message, second.message))),
    }
}

/// A manifest that is read, line by line: it may be larger than what a guest can hold.
pub struct Pages {
    reader: Reader,
    held: Vec<u8>,
    id: String,
    ended: Option<Totals>,
    counted: Totals,
    /// Its first line.
    pub top: Top,
}

impl Pages {
    /// Opens it.
    pub fn open<B: Bucket>(keeper: &B, found: &Found) -> Result<Self, Error> {
        let reader = keeper.get(&found.key, None, 0, None)?.body;
        let nothing = Top {
            manifest: 0,
            id: String::new(),
            time_ms: 0,
            label: String::new(),
            run: String::new(),
            origin: String::new(),
            bucket: String::new(),
        };
        let (held, counted) = (Vec::new(), Totals::default());
        let mut pages = Self { reader, held, id: found.id.clone(), ended: None, counted, top: nothing };
        let line = pages.line()?.ok_or_else(|| cut(&found.id))?;
        pages.top = serde_json::from_slice(&line).map_err(|error| pages.damaged(&error))?;
        if pages.top.manifest != 1 {
            return Err(Error::permanent(format!("the snapshot {} is of a newer Lifeboat", found.id)));
        }
        Ok(pages)
    }

    fn damaged(&self, error: &serde_json::Error) -> Error {
        Error::permanent(format!("the snapshot {} is damaged: {error}", self.id))
            .hint("recover from an earlier snapshot, or from another place")
    }

    fn line(&mut self) -> Result<Option<Vec<u8>>, Error> {
        loop {
            if let Some(end) = self.held.iter().position(|byte| *byte == b'\n') {
                let rest = self.held.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.held, rest);
                line.pop();
                return Ok(Some(line));
            }
            // Small reads, since what is left of each is moved once for every line.
            let more = self.reader.read(16 * 1024)?;
            if more.is_empty() {
                return if self.held.is_empty() { Ok(None) } else { Err(cut(&self.id)) };
            }
            self.held.extend(more);
            if self.held.len() > LINE_MAX {
                return Err(cut(&self.id));
            }
        }
    }

    /// The next object. After the last one the totals have been compared.
    pub fn next(&mut self) -> Result<Option<Item>, Error> {
        let Some(line) = self.line()? else {
            return if self.ended.is_some() { Ok(None) } else { Err(cut(&self.id)) };
        };
        if let Ok(totals) = serde_json::from_slice::<Totals>(&line) {
            self.ended = Some(totals);
            return if totals == self.counted { self.next() } else { Err(cut(&self.id)) };
        }
        let item: Item = serde_json::from_slice(&line).map_err(|error| self.damaged(&error))?;
        self.counted.objects += 1;
        self.counted.bytes += item.size;
        Ok(Some(item))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_manifest_are_told_apart() {
        let item = r#"{"key":"a","at":"p/a","version":"v1","size":3,"etag":"e"}"#;
        let read: Item = serde_json::from_str(item).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), item);
        assert!(serde_json::from_str::<Totals>(item).is_err());
        let totals = serde_json::to_string(&Totals { objects: 1, bytes: 3 }).unwrap();
        assert!((totals.len() as u64) < TAIL);
        assert!(serde_json::from_str::<Item>(&totals).is_err());
    }
}
