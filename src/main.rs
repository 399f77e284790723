//! The command line.

use std::process::ExitCode;

/// jemalloc returns memory to the system after one second (`.cargo/config.toml`). The C library's allocator would keep
/// the 19 MiB of each password hash. SQLite's pages and statements use it as well.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    legwork::cli::main()
}
