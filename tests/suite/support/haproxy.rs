//! HAProxy with the configuration of `deploy/haproxy.cfg`.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::postgres::free_port;
use super::print_uncaptured;

/// A running HAProxy. It stops when this is dropped.
pub struct Haproxy {
    process: Child,
    /// The base URL that clients use.
    pub base: String,
    _folder: TempDir,
}

impl Haproxy {
    /// Whether it is installed. Prints a message if not.
    pub fn is_installed() -> bool {
        let found = Path::new(Self::PROGRAM).exists();
        if !found {
            let test = std::thread::current().name().unwrap_or("a test").to_owned();
            print_uncaptured(&format!("==> SKIPPED for want of HAProxy: {test}"));
        }
        found
    }

    const PROGRAM: &str = "/usr/sbin/haproxy";

    /// Starts it in front of servers, given as `address:port`. Only the addresses differ from the example, and TLS is left out.
    pub fn start(servers: &[String]) -> Self {
        let folder = tempfile::Builder::new().prefix("legwork-haproxy-").tempdir().expect("a temporary folder");
        let file = folder.path().join("haproxy.cfg");
        let port = free_port().expect("a port");
        std::fs::write(&file, configuration(port, servers)).expect("write the configuration");
        let process = Command::new(Self::PROGRAM)
            .arg("-f")
            .arg(&file)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("start HAProxy");
        let haproxy = Self { process, base: format!("http://127.0.0.1:{port}"), _folder: folder };
        let is_up = (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        assert!(is_up, "HAProxy does not listen");
        haproxy
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The example with other addresses.
fn configuration(port: u16, servers: &[String]) -> String {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/haproxy.cfg");
    let example = std::fs::read_to_string(example).expect("the example");
    let mut lines = Vec::new();
    for line in example.lines() {
        let text = line.trim();
        if text.starts_with("bind ") {
            lines.push(format!("    bind 127.0.0.1:{port}"));
        } else if let Some(rest) = text.strip_prefix("server one 127.0.0.1:8080 ") {
            lines.extend(
                servers.iter().enumerate().map(|(number, address)| format!("    server s{number} {address} {rest}")),
            );
        } else {
            lines.push(line.to_owned());
        }
    }
    let text = lines.join("\n") + "\n";
    assert!(text.contains(" server s0 ") && text.contains(" bind 127.0.0.1:"), "the example has other lines:\n{text}");
    text
}
