//! The `landfall` binary: all of it is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    landfall_pipeline::cli::main()
}
