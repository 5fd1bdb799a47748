//! The command: parse, run, exit. The only place that prints an error.

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let outcome = finwait::cli::run(std::env::args_os());
    let mut stderr = std::io::stderr().lock();
    for message in &outcome.messages {
        // Nobody is left to tell if standard error is closed.
        let _ = writeln!(stderr, "finwait: {message}");
    }
    ExitCode::from(outcome.code)
}
