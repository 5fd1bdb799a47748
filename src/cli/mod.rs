//! The command line: what each command does, and which exit code it ends with.
//!
//! Commands return an [`Outcome`] and print nothing on standard error but progress: `main` prints
//! the messages. Output that nobody reads any more (`| head`) is no error.

mod args;
mod at;
mod check;
mod config;
mod explain;
mod extract;
mod input;
mod interrupt;
mod list;
mod netstat;
mod output;
mod progress;
mod read;
mod report;
mod show;
mod sockets;
mod watch;

use std::ffi::OsString;
use std::io::{self, Write};

use anyhow::Result;
use clap::{CommandFactory, FromArgMatches};

use args::{Cli, Command};
use config::Config;

use crate::report::text::clean;

/// How a command ended.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The exit code: 0, 1 for a check that found something, or 2 for an error.
    pub code: u8,
    /// What is to be said on standard error.
    pub messages: Vec<String>,
}

/// The exit code of a check that found something.
const FOUND: u8 = 1;

/// The exit code of an error.
const ERROR: u8 = 2;

impl Outcome {
    fn error(message: String) -> Outcome {
        Outcome { code: ERROR, messages: vec![message] }
    }
}

/// Runs the command line.
pub fn run(args: impl IntoIterator<Item = OsString>) -> Outcome {
    let (args, guess) = args::with_command_first(args);
    let mut cli = match parsed(args, guess) {
        Ok(cli) => cli,
        Err(told) => return printed(&told),
    };
    let mut outcome = match settle(&mut cli).and_then(|()| command(&cli.command)) {
        Ok(outcome) => outcome,
        Err(error) if is_closed_pipe(&error) => Outcome::default(),
        Err(error) => {
            let guess = cli.command.read_args().and_then(|read| read.guess.as_deref());
            let hint = error.downcast_ref().and_then(|error| read::hint(guess, error));
            Outcome::error(format!("{error:#}{}", hint.unwrap_or_default()))
        }
    };
    // A path may hold what a terminal or a job's runner obeys.
    outcome.messages.iter_mut().for_each(|message| *message = clean(&spelt_out(message)).into());
    outcome
}

/// Prints what there is to say instead of a command's doing: help, or what is wrong with the line.
fn printed(told: &clap::Error) -> Outcome {
    let printed = told.print().and_then(|()| io::stdout().flush());
    match printed {
        Err(error) if !told.use_stderr() && error.kind() != io::ErrorKind::BrokenPipe => {
            Outcome::error(format!("{}: {error}", output::CANNOT_PRINT))
        }
        _ => Outcome { code: told.exit_code() as u8, messages: Vec::new() },
    }
}

/// Reads the command line, whose first word may have been meant as a command.
fn parsed(args: Vec<OsString>, guess: Option<OsString>) -> Result<Cli, clap::Error> {
    let matches = Cli::command().try_get_matches_from(args)?;
    let mut cli = Cli::from_arg_matches(&matches)?;
    if let (Some(read), Some((_, matches))) = (cli.command.read_args(), matches.subcommand()) {
        read.finding = args::finding_options(matches);
        read.guess = guess;
    }
    Ok(cli)
}

/// Reads the settings of a file, for a command that reads captures.
fn settle(cli: &mut Cli) -> Result<()> {
    if let Some(read) = cli.command.read_args().filter(|read| !read.no_config) {
        read.settings = Config::load(read.config.as_deref())?;
    }
    Ok(())
}

fn command(command: &Command) -> Result<Outcome> {
    match command {
        Command::Report(args) => report::report(args),
        Command::List(args) => list::list(args),
        Command::Show(args) => show::show(args),
        Command::Netstat(args) => netstat::netstat(args),
        Command::Check(args) => check::check(args),
        Command::Explain(args) => explain::explain(args),
        Command::Watch(args) => watch::watch(args),
        Command::Extract(args) => extract::extract(args),
        Command::Demo(args) => report::demo(args),
    }
}

/// A message about standard input calls it so, and not by the sign that stands for it.
fn spelt_out(message: &str) -> String {
    let (kind, rest) = match message.strip_prefix("warning: ") {
        Some(rest) => ("warning: ", rest),
        None => ("", message),
    };
    match rest.strip_prefix("-: ") {
        Some(rest) => format!("{kind}standard input: {rest}"),
        None => message.to_owned(),
    }
}

/// Whether the reader of standard output has gone.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}
