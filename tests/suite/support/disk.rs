//! A small disk for one test: a tmpfs that only root, or a user namespace, can mount.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::print_uncaptured;

/// A mounted disk; unmounted when dropped.
pub struct Disk {
    folder: TempDir,
    /// The process in whose namespace the disk is mounted, if the test is not root.
    holder: Option<Child>,
}

impl Disk {
    /// Mounts a disk of this many bytes. Prints a message and returns `None` if that is impossible.
    pub fn of(bytes: u64) -> Option<Self> {
        let folder = tempfile::Builder::new().prefix("legwork-test-disk-").tempdir().expect("a folder");
        let mount = format!("mount -t tmpfs -o size={bytes},mode=0777 tmpfs '{}'", folder.path().display());
        let as_root = Command::new("sh").arg("-c").arg(&mount).stderr(Stdio::null()).status();
        if as_root.is_ok_and(|status| status.success()) {
            return Some(Self { folder, holder: None });
        }
        let mut holder = Command::new("unshare")
            .args(["-rm", "sh", "-c", &format!("{mount} && echo mounted && cat >/dev/null")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok();
        let mut line = String::new();
        if let Some(out) = holder.as_mut().and_then(|holder| holder.stdout.take()) {
            let _ = BufReader::new(out).read_line(&mut line);
        }
        if line.trim() == "mounted" {
            return Some(Self { folder, holder });
        }
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        print_uncaptured(&format!(
            "\n==> SKIPPED: no small disk can be mounted here (neither as root nor with unshare): {test}\n"
        ));
        None
    }

    /// The mount point, as the programs of [`Disk::command`] see it.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Whether only the programs of [`Disk::command`] see the disk.
    pub fn is_in_a_namespace(&self) -> bool {
        self.holder.is_some()
    }

    /// A command that sees the disk.
    pub fn command(&self, program: &str) -> Command {
        match &self.holder {
            None => Command::new(program),
            Some(holder) => {
                let mut command = Command::new("nsenter");
                command.args(["-U", "-m", "--preserve-credentials", "-t", &holder.id().to_string(), program]);
                command
            }
        }
    }

    /// Runs shell commands that see the disk.
    pub fn shell(&self, commands: &str) -> bool {
        self.command("sh").arg("-c").arg(commands).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }

    /// Creates a file that fills the disk up to `left` bytes. A program that writes meanwhile may leave less.
    pub fn fill(&self, left: u64) -> PathBuf {
        let path = self.path().join("ballast");
        let command = format!(
            "avail=$(df --output=avail -B1 '{0}' | tail -1); head -c $((avail - {left})) /dev/zero > '{1}'; test -s '{1}'",
            self.path().display(),
            path.display()
        );
        assert!(self.shell(&command), "fill the disk");
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        match &mut self.holder {
            None => {
                let _ = Command::new("umount").arg("-l").arg(self.folder.path()).status();
            }
            Some(holder) => {
                if let Some(mut stdin) = holder.stdin.take() {
                    let _ = stdin.flush();
                }
                let _ = holder.wait();
            }
        }
    }
}
