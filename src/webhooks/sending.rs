//! One request to a receiver: resolved, checked, connected, sent, and its status read. Everything is limited: addresses, time, the head
//! and the body of the response. Redirects are not followed, proxies of the environment are not used, and nothing of the body is kept.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use url::{Host, Position, Url};

use super::model::WebhookFailure;
use super::networks;
use super::payload::SignedBody;
use crate::config::Settings;
use crate::config::network::Proxies;

/// How long an attempt may take.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// How long connecting to one of several addresses may take, and how many are tried.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
const MAX_ADDRESSES: usize = 3;
/// The greatest size of a response's head, and how many headers it may have.
const MAX_HEAD: usize = 16 * 1024;
const MAX_HEADERS: usize = 100;
/// How much of a response's body is read, and for how long. A receiver that is cut off while it responds may take that for a failure.
const MAX_BODY: usize = 16 * 1024;
const BODY_LIMIT: Duration = Duration::from_secs(1);

/// The outcome of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    pub status: Option<StatusCode>,
    /// None if the receiver accepted the event.
    pub failure: Option<WebhookFailure>,
    pub duration_ms: i32,
}

/// Sends requests to receivers. Cheap to clone.
#[derive(Clone)]
pub struct Sender {
    tls: TlsConnector,
    /// Networks beside the public internet that may be reached.
    opened: Option<Proxies>,
}

impl Sender {
    /// # Errors
    /// A text for the operator.
    pub fn new(settings: &Settings) -> Result<Self, String> {
        let roots: rustls::RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = builder.map_err(|error| format!("TLS of webhooks: {error}"))?;
        let config = config.with_root_certificates(roots).with_no_client_auth();
        Ok(Self { tls: TlsConnector::from(Arc::new(config)), opened: settings.webhook_allowed_networks.clone() })
    }

    /// Sends a request. The receiver has accepted it if its status is 2xx.
    pub async fn send(&self, url: &str, signed: SignedBody) -> Outcome {
        let began = Instant::now();
        let sent = match Url::parse(url) {
            Ok(url) => timeout(TIME_LIMIT, self.post(&url, signed)).await.unwrap_or(Err(WebhookFailure::Timeout)),
            Err(_) => Err(WebhookFailure::NameNotResolved),
        };
        let sent = match sent {
            Ok(answer) => Ok(answer.end().await),
            Err(failure) => Err(failure),
        };
        let failure = match sent {
            Ok(status) => (!status.is_success()).then_some(WebhookFailure::Status),
            Err(failure) => Some(failure),
        };
        let duration_ms = i32::try_from(began.elapsed().as_millis()).unwrap_or(i32::MAX);
        Outcome { status: sent.ok(), failure, duration_ms }
    }

    async fn post(&self, url: &Url, signed: SignedBody) -> Result<Answer, WebhookFailure> {
        let is_encrypted = url.scheme() != "http";
        let request = Request::post(&url[Position::BeforePath..Position::AfterQuery])
            .header(HOST, &url[Position::BeforeHost..Position::AfterPort])
            .header(USER_AGENT, "Legwork")
            .header(CONTENT_TYPE, "application/json")
            .header(CONNECTION, "close")
            .header("webhook-id", signed.id)
            .header("webhook-timestamp", signed.timestamp)
            .header("webhook-signature", signed.signature)
            .body(Full::new(Bytes::from(signed.body)))
            .map_err(|_| WebhookFailure::NameNotResolved)?;
        let stream = self.connect(url, is_encrypted).await?;
        if !is_encrypted {
            return exchange(stream, request).await;
        }
        let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host).map_err(|_| WebhookFailure::Tls)?;
        let stream = self.tls.connect(name, stream).await.map_err(|_| WebhookFailure::Tls)?;
        exchange(stream, request).await
    }

    /// Connects to an address of the host that may be reached. Names are resolved here only, so that the address which is checked is the
    /// one that is connected to.
    async fn connect(&self, url: &Url, is_encrypted: bool) -> Result<TcpStream, WebhookFailure> {
        let port = url.port_or_known_default().ok_or(WebhookFailure::NameNotResolved)?;
        let addresses: Vec<SocketAddr> = match url.host() {
            Some(Host::Ipv4(address)) => vec![(IpAddr::V4(address), port).into()],
            Some(Host::Ipv6(address)) => vec![(IpAddr::V6(address), port).into()],
            Some(Host::Domain(name)) => {
                let found = tokio::net::lookup_host((name, port)).await;
                found.map_err(|_| WebhookFailure::NameNotResolved)?.collect()
            }
            None => Vec::new(),
        };
        if addresses.is_empty() {
            return Err(WebhookFailure::NameNotResolved);
        }
        let may_connect =
            |address: &SocketAddr| networks::may_connect(address.ip(), self.opened.as_ref(), is_encrypted);
        let mut result = Err(WebhookFailure::ForbiddenAddress);
        for address in addresses.into_iter().filter(may_connect).take(MAX_ADDRESSES) {
            match timeout(CONNECT_LIMIT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                _ => result = Err(WebhookFailure::Connection),
            }
        }
        result
    }
}

/// A response whose head has arrived.
struct Answer {
    response: Response<Incoming>,
    /// Ends the connection when it is dropped.
    _connection: JoinSet<hyper::Result<()>>,
}

impl Answer {
    /// Reads the rest, within limits, and returns the status.
    async fn end(self) -> StatusCode {
        let (status, mut body) = (self.response.status(), self.response.into_body());
        let rest = async {
            let mut read = 0;
            while let Some(Ok(frame)) = body.frame().await {
                read += frame.data_ref().map_or(0, Bytes::len);
                if read > MAX_BODY {
                    return;
                }
            }
        };
        let _ = timeout(BODY_LIMIT, rest).await;
        status
    }
}

/// Sends a request over a connection, and reads the head of the response.
async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Answer, WebhookFailure>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut builder = http1::Builder::new();
    builder.max_buf_size(MAX_HEAD).max_headers(MAX_HEADERS);
    let handshake = builder.handshake(TokioIo::new(stream)).await;
    let (mut requests, connection) = handshake.map_err(|_| WebhookFailure::Connection)?;
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    match requests.send_request(request).await {
        Ok(response) => Ok(Answer { response, _connection: driver }),
        Err(error) if error.is_parse() => Err(WebhookFailure::InvalidResponse),
        Err(_) => Err(WebhookFailure::Connection),
    }
}
