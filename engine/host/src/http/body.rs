//! Bodies of requests: bytes in memory, or a stream that a thread of its own reads, so that no bulk byte passes a guest and
//! none is kept for longer than a few buffers.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

use super::sign::sigv4::ChunkSigner;
use super::sums::Sums;
use crate::bindings::lifeboat::plugin::http::Hash;
use crate::source::Source;

/// Bytes that are read and sent at once; also the size of a signed chunk.
pub const CHUNK: usize = 256 * 1024;
/// Buffers under way between the reading thread and the connection.
const BUFFERS: usize = 4;

/// What is to be sent.
#[derive(Clone)]
pub enum Span {
    /// Bytes in memory.
    Memory(Bytes),
    /// A part of a file, which can be read again.
    File {
        /// The file.
        file: Arc<File>,
        /// Where it begins.
        at: u64,
        /// Its bytes.
        len: u64,
    },
    /// A stream that comes by once.
    Once {
        /// The stream, until it is taken.
        source: Arc<Mutex<Option<Source>>>,
        /// Its bytes.
        len: u64,
    },
}

impl Span {
    /// The next bytes of a source, which is given back behind them by [`Span::rest`].
    pub fn of(source: Source, len: u64) -> io::Result<Self> {
        Ok(match source {
            Source::Memory(data) => Span::Memory(data),
            Source::File { mut file, .. } => {
                let at = file.stream_position()?;
                Span::File { file: Arc::new(file), at, len }
            }
            once @ Source::Net(_) => Span::Once { source: Arc::new(Mutex::new(Some(once))), len },
        })
    }

    /// Bytes.
    pub fn len(&self) -> u64 {
        match self {
            Span::Memory(data) => data.len() as u64,
            Span::File { len, .. } | Span::Once { len, .. } => *len,
        }
    }

    /// Whether it can be read (again).
    pub fn again(&self) -> bool {
        match self {
            Span::Memory(_) | Span::File { .. } => true,
            Span::Once { source, .. } => source.lock().unwrap_or_else(PoisonError::into_inner).is_some(),
        }
    }

    /// Whether it can be read more than once.
    pub fn lasting(&self) -> bool {
        !matches!(self, Span::Once { .. })
    }

    /// Its checksums. Blocks.
    pub fn sums(&self, hashes: &[Hash]) -> io::Result<Vec<Vec<u8>>> {
        let mut sums = Sums::new(hashes.iter().copied());
        let mut reader = self.reader()?;
        while let Some(data) = reader.next()? {
            sums.update(&data);
        }
        Ok(sums.finish())
    }

    fn reader(&self) -> io::Result<Reading> {
        Ok(match self {
            Span::Memory(data) => Reading::Memory(data.clone()),
            Span::File { file, at, len } => Reading::File { file: Arc::clone(file), at: *at, left: *len },
            Span::Once { source, len } => {
                let taken = source.lock().unwrap_or_else(PoisonError::into_inner).take();
                let source = taken.ok_or_else(|| io::Error::other("the stream was read already"))?;
                Reading::Once { source, left: *len }
            }
        })
    }
}

/// A source behind what was sent, for its reader's handle: the file moved on, or the rest of a stream.
pub fn rest(span: &Span, whole: u64, back: Option<Source>) -> io::Result<Option<Source>> {
    Ok(match span {
        Span::Memory(_) => None,
        Span::File { file, at, len } => {
            let mut file = file.try_clone()?;
            file.seek(SeekFrom::Start(at.saturating_add(*len)))?;
            Some(Source::File { file, left: whole.saturating_sub(*len) })
        }
        Span::Once { source, .. } => back.or_else(|| source.lock().unwrap_or_else(PoisonError::into_inner).take()),
    })
}

enum Reading {
    Memory(Bytes),
    File { file: Arc<File>, at: u64, left: u64 },
    Once { source: Source, left: u64 },
}

impl Reading {
    /// The next chunk, full but for the last one; `None` at the end.
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        let short = || io::Error::new(io::ErrorKind::UnexpectedEof, "what is to be sent is shorter than it was");
        match self {
            Reading::Memory(data) if data.is_empty() => Ok(None),
            Reading::Memory(data) => Ok(Some(data.split_to(data.len().min(CHUNK)))),
            Reading::File { left: 0, .. } | Reading::Once { left: 0, .. } => Ok(None),
            Reading::File { file, at, left } => {
                let want = usize::try_from(*left).unwrap_or(usize::MAX).min(CHUNK);
                let mut buffer = vec![0; want];
                file.read_exact_at(&mut buffer, *at)
                    .map_err(|error| if error.kind() == io::ErrorKind::UnexpectedEof { short() } else { error })?;
                *at += want as u64;
                *left -= want as u64;
                Ok(Some(Bytes::from(buffer)))
            }
            Reading::Once { source, left } => {
                let want = usize::try_from(*left).unwrap_or(usize::MAX).min(CHUNK);
                let mut buffer = vec![0; want];
                if source.read(&mut buffer)? < want {
                    return Err(short());
                }
                *left -= want as u64;
                Ok(Some(Bytes::from(buffer)))
            }
        }
    }
}

/// What came of sending a body.
#[derive(Default)]
pub struct Fed {
    /// Bytes of the body (not of its framing) that the connection has taken.
    pub moved: AtomicU64,
    /// The checksums, once it was read to its end.
    pub sums: Mutex<Option<Vec<Vec<u8>>>>,
    /// Why it could not be read.
    pub error: Mutex<Option<String>>,
    /// A stream behind what was read of it.
    pub back: Mutex<Option<Source>>,
}

/// The body of one sending.
pub enum Outgoing {
    /// All of it in memory.
    Full(VecDeque<Bytes>, Arc<Fed>),
    /// Read by a thread that begins with the first question for bytes.
    Fed(Box<Feeding>),
}

/// A body that a thread reads.
pub struct Feeding {
    span: Span,
    hashes: Vec<Hash>,
    signer: Option<ChunkSigner>,
    wire_left: u64,
    queue: Option<mpsc::Receiver<io::Result<(Bytes, u64)>>>,
    fed: Arc<Fed>,
}

impl Outgoing {
    /// The body of that span; `signer` frames it in signed chunks.
    pub fn new(span: Option<&Span>, hashes: &[Hash], signer: Option<ChunkSigner>, fed: &Arc<Fed>) -> Self {
        let fed = Arc::clone(fed);
        match span {
            None => Outgoing::Full(VecDeque::new(), fed),
            Some(Span::Memory(data)) if signer.is_none() => {
                let mut data = data.clone();
                let mut parts = VecDeque::new();
                // In parts, so that progress is seen.
                while !data.is_empty() {
                    parts.push_back(data.split_to(data.len().min(CHUNK)));
                }
                Outgoing::Full(parts, fed)
            }
            Some(span) => {
                let wire_left = signer.as_ref().map_or(span.len(), |_| ChunkSigner::wire_len(span.len()));
                let (span, hashes) = (span.clone(), hashes.to_vec());
                Outgoing::Fed(Box::new(Feeding { span, hashes, signer, wire_left, queue: None, fed }))
            }
        }
    }
}

impl Feeding {
    fn start(&mut self) -> mpsc::Receiver<io::Result<(Bytes, u64)>> {
        let (send, receive) = mpsc::channel(BUFFERS);
        let (span, hashes, signer, fed) =
            (self.span.clone(), std::mem::take(&mut self.hashes), self.signer.take(), Arc::clone(&self.fed));
        tokio::task::spawn_blocking(move || {
            if let Err(error) = feed(&span, hashes, signer, &fed, &send) {
                *fed.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
                let _ = send.blocking_send(Err(error));
            }
        });
        receive
    }
}

fn feed(
    span: &Span,
    hashes: Vec<Hash>,
    mut signer: Option<ChunkSigner>,
    fed: &Fed,
    send: &mpsc::Sender<io::Result<(Bytes, u64)>>,
) -> io::Result<()> {
    let mut reading = Some(span.reader()?);
    let mut sums = Sums::new(hashes);
    // One is read ahead, so that it is known which is the last.
    let mut next = read(&mut reading)?;
    while let Some(data) = next {
        sums.update(&data);
        next = read(&mut reading)?;
        // Before the last bytes go: the answer to them may be there sooner than this thread goes on.
        if next.is_none() {
            leave(fed, &mut sums, &mut reading);
        }
        let count = data.len() as u64;
        let parts = match &mut signer {
            None => vec![data],
            Some(signer) => vec![signer.head(&data), data, Bytes::from_static(b"\r\n")],
        };
        for (index, part) in parts.into_iter().enumerate() {
            // The connection is gone: its own error is the one that counts.
            if send.blocking_send(Ok((part, if index == 0 { count } else { 0 }))).is_err() {
                return Ok(());
            }
        }
    }
    // Where there was nothing to read.
    leave(fed, &mut sums, &mut reading);
    if let Some(signer) = &mut signer {
        let mut last = signer.head(b"").to_vec();
        last.extend_from_slice(b"\r\n");
        let _ = send.blocking_send(Ok((Bytes::from(last), 0)));
    }
    Ok(())
}

fn read(reading: &mut Option<Reading>) -> io::Result<Option<Bytes>> {
    reading.as_mut().map_or(Ok(None), Reading::next)
}

/// Leaves the checksums, and the stream behind what was read of it, where who gets the answer looks for them; once.
fn leave(fed: &Fed, sums: &mut Sums, reading: &mut Option<Reading>) {
    let Some(reading) = reading.take() else { return };
    let sums = std::mem::replace(sums, Sums::new([]));
    *fed.sums.lock().unwrap_or_else(PoisonError::into_inner) = Some(sums.finish());
    if let Reading::Once { source, .. } = reading {
        *fed.back.lock().unwrap_or_else(PoisonError::into_inner) = Some(source);
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Outgoing::Full(parts, fed) => Poll::Ready(parts.pop_front().map(|part| {
                fed.moved.fetch_add(part.len() as u64, Ordering::Relaxed);
                Ok(Frame::data(part))
            })),
            Outgoing::Fed(feeding) => {
                if feeding.queue.is_none() {
                    feeding.queue = Some(feeding.start());
                }
                let Some(queue) = &mut feeding.queue else { return Poll::Ready(None) };
                match queue.poll_recv(cx) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(None) => Poll::Ready(None),
                    Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error))),
                    Poll::Ready(Some(Ok((data, count)))) => {
                        feeding.fed.moved.fetch_add(count, Ordering::Relaxed);
                        feeding.wire_left = feeding.wire_left.saturating_sub(data.len() as u64);
                        Poll::Ready(Some(Ok(Frame::data(data))))
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Outgoing::Full(parts, _) => parts.is_empty(),
            Outgoing::Fed(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Outgoing::Full(parts, _) => parts.iter().map(|part| part.len() as u64).sum(),
            Outgoing::Fed(feeding) => feeding.wire_left,
        })
    }
}
