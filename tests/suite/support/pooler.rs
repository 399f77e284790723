//! PgBouncer in front of the tests' PostgreSQL.

use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::postgres::{Cluster, free_port};
use super::print_uncaptured;

/// A running PgBouncer. It stops when this is dropped.
pub struct Pooler {
    process: Child,
    port: u16,
    _folder: TempDir,
}

impl Pooler {
    /// Starts it in a mode: `session`, `transaction` or `statement`. Prints a message and returns `None` if PgBouncer or PostgreSQL is not
    /// installed.
    pub fn start(cluster: &Cluster, mode: &str) -> Option<Self> {
        let programs = Path::new("/usr/sbin");
        if !programs.join("pgbouncer").exists() {
            let test = std::thread::current().name().unwrap_or("a test").to_owned();
            print_uncaptured(&format!("==> SKIPPED for want of PgBouncer: {test}"));
            return None;
        }
        let folder = tempfile::Builder::new().prefix("legwork-pgbouncer-").tempdir().expect("a temporary folder");
        // PgBouncer does not run as root either.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("a readable folder");
        let (port, users, settings) =
            (free_port().expect("a port"), folder.path().join("users.txt"), folder.path().join("pgbouncer.ini"));
        std::fs::write(&users, "\"legwork\" \"\"\n").expect("write the users");
        let lines = [
            "[databases]".to_owned(),
            format!("* = host=127.0.0.1 port={} user=legwork", cluster.port),
            "[pgbouncer]".to_owned(),
            format!("listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any"),
            format!(
                "auth_file = {}\npool_mode = {mode}\nmax_client_conn = 100\ndefault_pool_size = 50",
                users.display()
            ),
        ];
        std::fs::write(&settings, lines.join("\n")).expect("write the settings");
        let mut command = cluster.owner.command(programs, "pgbouncer");
        let process = command
            .arg("-q")
            .arg(&settings)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("start PgBouncer");
        let pooler = Self { process, port, _folder: folder };
        let is_up = (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        assert!(is_up, "PgBouncer does not listen");
        Some(pooler)
    }

    /// The URL of a database through it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://legwork@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
