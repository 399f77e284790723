//! A real server for one test.

use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use legwork::accounts::passwords::hashing::REQUIRED;
use legwork::clock::{Clock, Entropy};
use legwork::config::Config;
use legwork::db::{Conn, Use};
use legwork::env::Env;
use legwork::server::{self, Server};
use tokio::sync::oneshot;

use super::START;
use super::client::Client;
use super::site::{Engine, Site};

/// A server on a free port, with its own database, clock and mail folder. It stops when this is dropped.
pub struct App {
    /// First, so that the server is dropped before its site.
    running: Running,
    /// The server's environment: database, settings, metrics.
    pub env: Env,
    /// The server's clock, which only the test advances.
    pub clock: Clock,
    /// Which engine the test runs on.
    pub engine: Engine,
    /// `http://127.0.0.1:PORT`
    pub base: String,
    /// The HTTP client that all clients share.
    pub(super) http: reqwest::Client,
    /// The staff accounts, by name.
    pub(super) people: tokio::sync::Mutex<std::collections::HashMap<String, Client>>,
    /// The practitioner of [`App::clinic`].
    pub(super) practitioner_id: std::sync::OnceLock<String>,
    /// Last, so that the database is dropped after the server.
    pub site: Site,
}

/// Stops the server when dropped.
struct Running(Option<(oneshot::Sender<Stop>, JoinHandle<()>)>);

/// How a server stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    WaitForRequests,
    AtOnce,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop(Stop::WaitForRequests);
    }
}

impl Running {
    fn stop(&mut self, how: Stop) {
        if let Some((stop, thread)) = self.0.take() {
            let _ = stop.send(how);
            let _ = thread.join();
        }
    }
}

/// Runs a test on an engine, or skips it if the engine is missing.
pub fn run<F: Future<Output = ()>>(engine: Engine, test: impl FnOnce(App) -> F) {
    let Some(site) = Site::new(engine) else { return };
    let app = App::start(site, Clock::manual(START.parse().expect("an instant")), &[]);
    runtime().block_on(test(app));
}

/// How long a test may take. It only bounds a test that hangs, which would otherwise keep the suite from reporting anything.
const LIMIT: Duration = Duration::from_mins(10);

/// A runtime for a test's own thread.
pub struct Runtime(tokio::runtime::Runtime);

pub fn runtime() -> Runtime {
    Runtime(tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime"))
}

impl Runtime {
    /// Runs a test to its end. Fails if it takes longer than [`LIMIT`]; the long forms of the fault tests and of the fortnight have no limit.
    pub fn block_on<T>(&self, test: impl Future<Output = T>) -> T {
        self.0.block_on(async {
            if ["FAULTS", "FORTNIGHT"].into_iter().any(|name| std::env::var_os(name).is_some()) {
                return test.await;
            }
            tokio::time::timeout(LIMIT, test).await.unwrap_or_else(|_| panic!("the test did not end within {LIMIT:?}"))
        })
    }
}

impl App {
    /// Starts a server. `extra` are flags of the settings, such as `&["--smtp-url", "smtp://127.0.0.1:2525"]`.
    pub fn start(site: Site, clock: Clock, extra: &[&str]) -> Self {
        let config = site.config(extra);
        let (tell, told) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<Stop>();
        let (thread_clock, password_params) = (clock.clone(), site.password_params.clone());
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let opened = open(&config, &thread_clock).await;
                let server = opened.and_then(|env| Server::bind(Env { password_params, mail_spread: 0, ..env }, 2));
                let server = match server {
                    Ok(server) => server,
                    Err(error) => {
                        let _ = tell.send(Err(error));
                        return;
                    }
                };
                let stopper = server.handle();
                let _ = tell.send(Ok((server.addr, server.env.clone())));
                actix_web::rt::spawn(async move {
                    if stopped.await == Ok(Stop::AtOnce) {
                        stopper.stop_at_once();
                    } else {
                        stopper.stop().await;
                    }
                });
                let _ = server.serve().await;
            });
        });
        let (addr, env) = told.recv().expect("the server's thread").expect("the server starts");
        Self {
            env,
            clock,
            engine: site.engine,
            base: format!("http://{addr}"),
            http: http_client(),
            running: Running(Some((stop, thread))),
            people: tokio::sync::Mutex::default(),
            practitioner_id: std::sync::OnceLock::new(),
            site,
        }
    }

    /// Starts a server on SQLite with the tests' clock, for tests that need no second engine.
    pub fn on_sqlite(extra: &[&str]) -> Self {
        let site = Site::new(Engine::Sqlite).expect("SQLite is always there");
        Self::start(site, Clock::manual(START.parse().expect("an instant")), extra)
    }

    /// Stops the server and starts another over the same database, with other settings.
    pub fn restart(self, extra: &[&str]) -> Self {
        let Self { running, env, clock, site, .. } = self;
        drop(running);
        // The last handle releases SQLite's lock.
        drop(env);
        Self::start(site, clock, extra)
    }

    /// Like [`App::restart`], with hashes of passwords that cost what the program requires.
    pub fn with_required_hashes(mut self, extra: &[&str]) -> Self {
        self.site.password_params = REQUIRED;
        self.restart(extra)
    }

    /// Like [`App::restart`], but cuts off the requests on their way.
    pub fn cut_off(mut self, extra: &[&str]) -> Self {
        self.running.stop(Stop::AtOnce);
        self.restart(extra)
    }

    /// A client that is not signed in.
    pub fn anon(&self) -> Client {
        Client::new(self.http.clone(), self.base.clone(), self.clock.clone())
    }

    /// A client that is not signed in, at another address of this machine, such as 127.0.0.2.
    pub fn anon_at(&self, address: &str) -> Client {
        let http = builder().local_address(address.parse::<std::net::IpAddr>().expect("an address"));
        Client::new(http.build().expect("a client"), self.base.clone(), self.clock.clone())
    }

    /// Runs a closure in a transaction on the server's database.
    pub async fn db<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Conn) -> legwork::error::Result<T> + Send + 'static,
    ) -> T {
        self.env.db.write(work).await.expect("the test's own statement")
    }
}

/// Opens the server's environment. A server that has just ended may hold SQLite's lock for a moment longer.
async fn open(config: &Config, clock: &Clock) -> Result<Env, String> {
    let patience = Instant::now() + Duration::from_secs(5);
    loop {
        match server::opening::open(config.clone(), Use::Serve, clock.clone(), Entropy::system()) {
            Err(error) if error.contains("another legwork server") && Instant::now() < patience => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            opened => return opened,
        }
    }
}

/// An HTTP client without proxy and redirects.
pub fn http_client() -> reqwest::Client {
    builder().build().expect("a client")
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(std::time::Duration::from_mins(1))
}
