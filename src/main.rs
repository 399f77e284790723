//! The command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    legwork::cli::main()
}
