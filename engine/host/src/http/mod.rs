//! Requests over HTTP for guests: checked against the grants ([`egress`]), signed ([`sign`]), sent over connections that go to
//! checked addresses ([`connect`]), repeated and redirected by rule ([`send`]). Nothing here knows WebAssembly.

pub mod body;
pub mod connect;
pub mod egress;
pub mod got;
pub mod incoming;
pub mod mask;
pub mod proof;
pub mod proxy;
pub mod rules;
pub mod send;
pub mod sign;
pub mod sums;
#[cfg(test)]
mod tests;
mod tls;
pub mod token;
pub mod url;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use lifeboat_core::grants::{HostGrant, Operator, Patience};

use self::body::Outgoing;
use self::connect::Connector;
use self::proxy::Proxies;
use self::token::Tokens;

/// Sets of grants whose connections are kept.
const CLIENTS_MAX: usize = 256;

/// Times of the client. Tests have shorter ones.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Name, connection, proxy and TLS together.
    pub connect: Duration,
    /// How long a connection may move no byte of a body, in either direction.
    pub idle: Duration,
    /// How long a server may think once it has the whole request: putting the parts of an upload together takes minutes.
    pub answer: Duration,
    /// The first pause before a repetition; each next one is twice as long.
    pub pause: Duration,
    /// The longest pause, also where the server asks for a longer one.
    pub pause_max: Duration,
    /// Sendings of one request.
    pub sends: u32,
    /// Bytes a second that a body has to move, over the time of `idle`: who sends a byte now and then is no server.
    pub least: u64,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            idle: Duration::from_secs(60),
            answer: Duration::from_secs(5 * 60),
            pause: Duration::from_millis(200),
            pause_max: Duration::from_secs(30),
            sends: 6,
            least: 1024,
        }
    }
}

impl Times {
    /// As the operator's file says.
    pub fn of(patience: &Patience) -> Self {
        let (own, ms) = (Self::default(), |ms: Option<u64>| ms.map(Duration::from_millis));
        let pause_max = ms(patience.pause_ms).unwrap_or(own.pause_max);
        Self {
            connect: ms(patience.connect_ms).unwrap_or(own.connect),
            idle: ms(patience.idle_ms).unwrap_or(own.idle),
            answer: ms(patience.answer_ms).unwrap_or(own.answer),
            pause: own.pause.min(pause_max),
            pause_max,
            sends: patience.sends.unwrap_or(own.sends),
            least: patience.least.map_or(own.least, u64::from),
        }
    }

    /// Bytes that have to move in the time of `idle`.
    pub fn floor(&self) -> u64 {
        let millis = u64::try_from(self.idle.as_millis()).unwrap_or(u64::MAX);
        (self.least.saturating_mul(millis) / 1_000).max(1)
    }
}

type Pool = Client<Connector, Outgoing>;

/// Connections and tokens, kept over calls.
pub struct Hub {
    proxies: Arc<Proxies>,
    /// A connection is used again only under the very grants that it was made under.
    clients: Mutex<HashMap<Arc<[HostGrant]>, Pool>>,
    /// Tokens of service accounts.
    pub tokens: Tokens,
    /// The times.
    pub times: Times,
}

impl Hub {
    /// As the operator's file says.
    pub fn new(operator: &Operator, times: Times) -> Self {
        let proxies = Arc::new(Proxies::new(operator.proxy.as_ref()));
        Self { proxies, clients: Mutex::default(), tokens: Tokens::default(), times }
    }

    /// The connections under these grants.
    fn pool(&self, hosts: &Arc<[HostGrant]>) -> Pool {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = clients.get(hosts) {
            return pool.clone();
        }
        if clients.len() >= CLIENTS_MAX {
            clients.clear();
        }
        let connector =
            Connector { hosts: Arc::clone(hosts), proxies: Arc::clone(&self.proxies), limit: self.times.connect };
        let pool = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            // Shorter than servers keep them, so that few are found closed.
            .pool_idle_timeout(Duration::from_secs(20))
            .pool_max_idle_per_host(32)
            .build(connector);
        clients.insert(Arc::clone(hosts), pool.clone());
        pool
    }

    /// What a plain request over a proxy says of who asks.
    fn proxy_login(&self, url: &url::Url) -> Option<http::HeaderValue> {
        match self.proxies.way(url) {
            proxy::Way::Proxy { authorization, .. } if !url.tls => authorization,
            _ => None,
        }
    }
}
