//! The command line.

use std::process::ExitCode;

/// Memory goes back to the system a second after it was needed (`.cargo/config.toml`): hashing one password takes 19 MiB, and the
/// C library's allocator keeps them. SQLite's pages and statements are in it as well.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    legwork::cli::main()
}
