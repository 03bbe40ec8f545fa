//! Mail over SMTP, by lettre.

use std::path::Path;
use std::time::Duration;

use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::{AsyncSmtpTransportBuilder, Error as SmtpError};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message as Letters, Tokio1Executor};
use lifeboat_core::Error;
use lifeboat_core::notify::{Mail, MailTls};

use crate::courier::Refused;

/// How long one word of the protocol may take.
const TIME: Duration = Duration::from_secs(20);
/// Codes by which a server refuses a login: the password may be another one by the next time.
const LOGIN: [u16; 4] = [454, 530, 534, 535];

/// What is sent.
pub(crate) struct Letter<'a> {
    pub(crate) to: &'a str,
    /// The same for every time that it is sent, so that a reader may know it again.
    pub(crate) id: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) body: &'a str,
}

fn for_good(what: &str, cause: impl std::fmt::Display) -> Refused {
    Refused::ForGood(Error::new("LB1094", what).with("cause", cause).hint("mend the channel in the operator's file"))
}

/// Sends it, and comes back when the server has taken it.
pub(crate) async fn send(mail: &Mail, password: Option<String>, letter: Letter<'_>) -> Result<(), Refused> {
    let made = write(mail, &letter)?;
    let transport = transport(mail, password).await?;
    match transport.send(made).await {
        Ok(_) => Ok(()),
        Err(cause) => Err(told(mail, letter.to, &cause)),
    }
}

fn write(mail: &Mail, letter: &Letter<'_>) -> Result<Letters, Refused> {
    let unfit = |cause: &dyn std::fmt::Display| for_good("the mail cannot be written", cause);
    let from = mail.from.parse().map_err(|cause: lettre::address::AddressError| unfit(&cause))?;
    let to = letter.to.parse().map_err(|cause: lettre::address::AddressError| unfit(&cause))?;
    let domain = mail.from.split_once('@').map_or("localhost", |(_, domain)| domain);
    Letters::builder()
        .from(from)
        .to(to)
        .subject(letter.subject)
        .message_id(Some(format!("<{}@{domain}>", letter.id)))
        .header(ContentType::TEXT_PLAIN)
        .body(letter.body.to_owned())
        .map_err(|cause| unfit(&cause))
}

async fn transport(mail: &Mail, password: Option<String>) -> Result<AsyncSmtpTransport<Tokio1Executor>, Refused> {
    let (kind, host, ca) = (mail.tls, mail.host.clone(), mail.ca.clone());
    // Certificates are read from files.
    let tls = tokio::task::spawn_blocking(move || tls(kind, host, ca.as_deref())).await;
    let tls = tls.unwrap_or_else(|cause| Err(for_good("TLS cannot be set up", cause)))?;
    let mut builder: AsyncSmtpTransportBuilder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&mail.host);
    builder = builder.port(mail.port).timeout(Some(TIME)).tls(tls);
    if let (Some((user, _)), Some(password)) = (&mail.login, password) {
        builder = builder.credentials(Credentials::new(user.clone(), password));
    }
    Ok(builder.build())
}

fn tls(kind: MailTls, host: String, ca: Option<&Path>) -> Result<Tls, Refused> {
    if kind == MailTls::None {
        return Ok(Tls::None);
    }
    let mut builder = TlsParameters::builder(host);
    if let Some(path) = ca {
        let later = |cause: std::io::Error| {
            let error = Error::new("LB1093", "the certificates for the mail server cannot be read");
            Refused::Now(error.with("path", path.display()).with("cause", cause))
        };
        let pem = std::fs::read(path).map_err(later)?;
        let certificate = Certificate::from_pem(&pem).map_err(|cause| for_good("the certificates are none", cause))?;
        builder = builder.certificate_store(CertificateStore::None).add_root_certificate(certificate);
    }
    let parameters = builder.build().map_err(|cause| for_good("TLS cannot be set up", cause))?;
    Ok(if kind == MailTls::Tls { Tls::Wrapper(parameters) } else { Tls::Required(parameters) })
}

fn told(mail: &Mail, to: &str, cause: &SmtpError) -> Refused {
    let code = cause.status().map(u16::from);
    let (host, port) = (&mail.host, mail.port);
    if cause.is_permanent() && !code.is_some_and(|code| LOGIN.contains(&code)) {
        let error = Error::new("LB1094", format!("the mail server {host}:{port} refused the message"));
        return Refused::ForGood(
            error.with("to", to).with("cause", cause).hint("look at the address, and at what the server says"),
        );
    }
    let error = Error::new("LB1093", format!("the mail server {host}:{port} did not take the message now"));
    Refused::Now(error.with("to", to).with("cause", cause))
}
