//! `finwait check`: a report, and an exit code that fails a job.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::args::{PrintArgs, ReadArgs, finding};
use super::report::{Job, print};
use super::{ERROR, FOUND, Outcome, read};
use crate::findings::{self, Severity};
use crate::report::ci::NO_SEGMENT;
use crate::report::ci::gate::Gate;

/// `finwait check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Captures, pcap or pcapng; several are read as one, in time order
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    gate: GateArgs,
    #[command(flatten)]
    print: PrintArgs,
    #[command(flatten)]
    read: ReadArgs,
}

/// What fails a check.
#[derive(Debug, Args)]
#[command(next_help_heading = "Gate")]
struct GateArgs {
    /// Fail on findings of this severity or a graver one: note, warning or error
    #[arg(long, value_name = "SEVERITY", default_value = "error", value_parser = severity)]
    fail_on: Severity,
    /// Up to N findings of a name are fine; may be repeated
    #[arg(long, value_name = "NAME=N", value_parser = at_most)]
    max: Vec<(&'static str, u64)>,
}

/// Checks captures.
pub fn check(args: &CheckArgs) -> Result<Outcome> {
    let Some(inputs) = read::inputs(&args.files) else { return read::help(Some("check")) };
    let gate = Gate { fail_on: args.gate.fail_on, max: args.gate.max.clone() };
    let analysis = read::read(&inputs, &args.read, &mut ())?;
    let job = Job::check(gate, &analysis);
    print(&analysis, &inputs, &args.print, &args.read, &job)?;
    let mut outcome = read::outcome(&analysis, &args.read);
    if analysis.totals.segments == 0 {
        outcome.messages.push(NO_SEGMENT.to_string());
        outcome.code = ERROR;
    }
    outcome.messages.extend(job.messages());
    if job.judgement.failing() > 0 && outcome.code == 0 {
        outcome.code = FOUND;
    }
    Ok(outcome)
}

/// A severity by its name.
fn severity(name: &str) -> Result<Severity, String> {
    Severity::from_name(name).ok_or_else(|| "the severities are note, warning and error".into())
}

/// A finding's name, and how many of it are fine.
fn at_most(text: &str) -> Result<(&'static str, u64), String> {
    let form = || "not NAME=N, as in connection-refused=5".to_string();
    let (name, count) = text.split_once('=').ok_or_else(form)?;
    finding(name).map_err(|error| error.to_string())?;
    let rule = findings::rule(name).ok_or_else(form)?;
    Ok((rule.name, count.parse().map_err(|_| form())?))
}
