//! A way to a real server on which things go wrong by a script: answers that a full or busy server gives, answers that are
//! lost, cut, changed or slow, and silence.
//!
//! What is not in the script passes as it came, with its header `Host`: signatures cover it, and the server checks them
//! against what the client meant.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::proxy_wire::{Head, Sized, pass, read_head};

/// How often something that lasts looks whether the proxy ends.
const LOOK: Duration = Duration::from_millis(20);

/// What goes wrong with a request.
#[derive(Clone, Debug)]
pub enum Act {
    /// The server never sees it; this is the answer: status with its words, more headers, body.
    Answer(&'static str, &'static str, &'static str),
    /// The server never sees it, and the connection is closed.
    Refuse,
    /// The server does what it was asked, and the answer is lost: nobody can tell.
    Lose,
    /// The answer is closed after so many bytes of its body.
    Cut(u64),
    /// One bit of that byte of the answer's body is another one; of the last byte where the body is shorter.
    Flip(u64),
    /// One bit of that byte of the request's body is another one.
    FlipSent(u64),
    /// The answer has this header with this value, whatever the server said.
    Header(&'static str, &'static str),
    /// The head of the answer comes byte by byte, with such a pause between.
    DripHead(Duration),
    /// The body of the answer comes byte by byte, with such a pause between.
    DripBody(Duration),
    /// The request is taken, and nothing is ever said.
    Stall,
    /// It takes so long before the request is passed on.
    Delay(Duration),
}

/// Which requests something goes wrong with.
#[derive(Clone, Debug)]
pub struct Fault {
    method: &'static str,
    part: String,
    skip: usize,
    times: usize,
    act: Act,
    met: Arc<AtomicUsize>,
}

impl Fault {
    /// Every request of that method (`*`: of any) in whose head that text is: a part of the path, or of a header.
    #[must_use]
    pub fn on(method: &'static str, part: &str, act: Act) -> Self {
        Self { method, part: part.to_owned(), skip: 0, times: usize::MAX, act, met: Arc::default() }
    }

    /// Only after so many of them.
    #[must_use]
    pub fn after(self, skip: usize) -> Self {
        Self { skip, ..self }
    }

    /// Only so many of them.
    #[must_use]
    pub fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }

    /// Whether it is this one's turn.
    fn meets(&mut self, head: &Head) -> bool {
        if !(self.method == "*" || head.method == self.method) || !head.text.contains(&self.part) {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        if self.times == 0 {
            return false;
        }
        self.times -= 1;
        self.met.fetch_add(1, Ordering::SeqCst);
        true
    }
}

/// How often a fault has struck.
#[derive(Clone, Debug)]
pub struct Struck(Arc<AtomicUsize>);

impl Struck {
    /// So often.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

#[derive(Debug)]
struct Shared {
    to: SocketAddr,
    faults: Mutex<Vec<Fault>>,
    seen: Mutex<Vec<String>>,
    closed: AtomicBool,
}

impl Shared {
    fn faults(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits; `false` where the proxy ended meanwhile.
    fn wait(&self, pause: Duration) -> bool {
        let mut left = pause;
        while !left.is_zero() {
            if self.closed.load(Ordering::Relaxed) {
                return false;
            }
            let part = left.min(LOOK);
            std::thread::sleep(part);
            left -= part;
        }
        !self.closed.load(Ordering::Relaxed)
    }
}

/// The proxy; it ends with this.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

impl Proxy {
    /// A proxy in front of a server on the loopback address, named as `http://127.0.0.1:PORT`.
    ///
    /// # Errors
    /// The address is none, or no port is free.
    pub fn start(endpoint: &str) -> Result<Self, String> {
        let place = endpoint.trim_start_matches("http://").trim_end_matches('/');
        let to = place.parse().map_err(|_| format!("'{endpoint}' is no address of a server"))?;
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        let port = listener.local_addr().map_err(|error| error.to_string())?.port();
        let shared =
            Arc::new(Shared { to, faults: Mutex::default(), seen: Mutex::default(), closed: AtomicBool::new(false) });
        let inside = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if inside.closed.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(stream), shared) = (stream, Arc::clone(&inside)) else { continue };
                std::thread::spawn(move || {
                    // Whatever breaks, breaks the connection: that is what a client sees of it.
                    let _ = serve(&shared, &stream);
                    let _ = stream.shutdown(Shutdown::Both);
                });
            }
        });
        Ok(Self { port, shared })
    }

    /// Where clients go.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// One more fault. Of those that fit, the first whose turn it is strikes.
    pub fn fault(&self, fault: Fault) -> Struck {
        let struck = Struck(Arc::clone(&fault.met));
        self.shared.faults().push(fault);
        struck
    }

    /// From here on nothing goes wrong any more.
    pub fn heal(&self) {
        self.shared.faults().clear();
    }

    /// Method and path of every request so far.
    #[must_use]
    pub fn seen(&self) -> Vec<String> {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        // It waits for a connection: this is one.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// One connection of a client: request after request.
fn serve(shared: &Shared, client: &TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    while let Some(head) = read_head(client)? {
        shared.seen.lock().unwrap_or_else(PoisonError::into_inner).push(head.line.clone());
        let act = shared.faults().iter_mut().find_map(|fault| fault.meets(&head).then(|| fault.act.clone()));
        let go_on = match act {
            Some(Act::Refuse) => false,
            Some(Act::Stall) => {
                while shared.wait(LOOK) {}
                false
            }
            Some(Act::Answer(status, headers, body)) => {
                // Read, as a server does that goes on with the next request.
                pass(client, io::sink(), head.length, |_, _| {})?;
                answer(client, &head, status, headers, body)?
            }
            other => forward(shared, client, &head, other.as_ref())?,
        };
        if !go_on {
            break;
        }
    }
    Ok(())
}

fn answer(mut client: &TcpStream, head: &Head, status: &str, headers: &str, body: &str) -> io::Result<bool> {
    let lines: String =
        headers.split('\n').filter(|line| !line.is_empty()).map(|line| format!("{}\r\n", line.trim())).collect();
    let length = body.len();
    let body = if head.method == "HEAD" { "" } else { body };
    write!(client, "HTTP/1.1 {status}\r\n{lines}content-length: {length}\r\n\r\n{body}")?;
    Ok(true)
}

fn forward(shared: &Shared, client: &TcpStream, head: &Head, act: Option<&Act>) -> io::Result<bool> {
    if let Some(Act::Delay(pause)) = act
        && !shared.wait(*pause)
    {
        return Ok(false);
    }
    // A connection for each request: where the server was killed meanwhile, none is found broken.
    let server = TcpStream::connect(shared.to)?;
    server.set_nodelay(true)?;
    (&server).write_all(head.with("connection", "close").as_bytes())?;
    let flip = match act {
        Some(Act::FlipSent(at)) => Some(*at),
        _ => None,
    };
    // A server that refuses early takes no more bytes, and its answer is what counts.
    pass(client, &server, head.length, |at, data| turn(flip, head.length, at, data))?;
    let Some(told) = read_head(&server)? else { return Ok(false) };
    if matches!(act, Some(Act::Lose)) {
        return Ok(false);
    }
    back(shared, client, &server, &told, head.method == "HEAD", act)
}

/// Passes the answer back.
fn back(
    shared: &Shared,
    mut client: &TcpStream,
    server: &TcpStream,
    told: &Head,
    empty: bool,
    act: Option<&Act>,
) -> io::Result<bool> {
    let mut text = told.without("connection");
    if let Some(Act::Header(name, value)) = act {
        text = Head::of(&text).with(name, value);
    }
    match act {
        Some(Act::DripHead(pause)) => {
            for byte in text.as_bytes() {
                client.write_all(&[*byte])?;
                if !shared.wait(*pause) {
                    return Ok(false);
                }
            }
        }
        _ => client.write_all(text.as_bytes())?,
    }
    if empty || matches!(told.status(), 100..=199 | 204 | 304) {
        return Ok(true);
    }
    let length = told.length;
    match act {
        Some(Act::Cut(bytes)) => {
            pass(server, client, Sized::Bytes((*bytes).min(length.bytes())), |_, _| {})?;
            Ok(false)
        }
        Some(Act::DripBody(pause)) => {
            for byte in io::BufReader::new(server).bytes() {
                client.write_all(&[byte?])?;
                if !shared.wait(*pause) {
                    return Ok(false);
                }
            }
            Ok(false)
        }
        Some(Act::Flip(at)) => {
            pass(server, client, length, |from, data| turn(Some(*at), length, from, data))?;
            Ok(length.is_known())
        }
        _ => {
            pass(server, client, length, |_, _| {})?;
            Ok(length.is_known())
        }
    }
}

/// Turns one bit around, where the byte is in this part.
fn turn(at: Option<u64>, whole: Sized, from: u64, data: &mut [u8]) {
    let Some(at) = at else { return };
    let at = at.min(whole.bytes().saturating_sub(1));
    let inside = at.checked_sub(from).and_then(|at| usize::try_from(at).ok());
    if let Some(byte) = inside.and_then(|at| data.get_mut(at)) {
        *byte ^= 1;
    }
}
