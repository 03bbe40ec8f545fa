//! Requests over HTTP, made and signed by the host.

use crate::bindings::lifeboat::plugin::http::{Answer, Body, Failure, Host, Request, Response};
use crate::bindings::lifeboat::plugin::types::Error as GuestError;
use crate::fault::{Fault, refused};
use crate::guest::Guest;

/// How a request fails: with an error that the guest sees and may handle, or with the end of the guest.
#[derive(Debug)]
pub enum HttpFault {
    /// Told to the guest.
    Guest(Failure),
    /// The guest is ended.
    Trap(wasmtime::Error),
}

impl From<Fault> for HttpFault {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Guest(error) => HttpFault::Guest(Failure { error, sent: false }),
            Fault::Trap(error) => HttpFault::Trap(error),
        }
    }
}

impl From<wasmtime::Error> for HttpFault {
    fn from(error: wasmtime::Error) -> Self {
        HttpFault::Trap(error)
    }
}

impl From<GuestError> for HttpFault {
    fn from(error: GuestError) -> Self {
        HttpFault::Guest(Failure { error, sent: false })
    }
}

impl Guest {
    /// The operator's file can't grant hosts yet, so all are refused.
    fn unreachable(&self, role: &str) -> GuestError {
        let bound = self.context.need("http").and_then(|()| self.context.target(role));
        bound
            .map_or_else(|error| error, |bound| refused(format!("no host is granted to '{}'", bound.target.name), None))
    }
}

impl Host for Guest {
    fn convert_failure(&mut self, fault: HttpFault) -> wasmtime::Result<Failure> {
        match fault {
            HttpFault::Guest(failure) => Ok(failure),
            HttpFault::Trap(error) => Err(error),
        }
    }

    async fn send(&mut self, role: String, _request: Request, _body: Body) -> Result<Response, HttpFault> {
        Err(self.unreachable(&role).into())
    }

    async fn fetch(&mut self, role: String, _request: Request, _body: Body, _max: u32) -> Result<Answer, HttpFault> {
        Err(self.unreachable(&role).into())
    }

    async fn secrets(&mut self, role: String) -> Result<Vec<String>, Fault> {
        self.context.need("http")?;
        Ok(self.context.target(&role)?.target.secrets.keys().cloned().collect())
    }
}
