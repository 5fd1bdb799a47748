//! `finwait netstat`: the socket table of the capture's hosts at a moment, or its counts over time.

use anyhow::{Result, bail};
use clap::Args;

use super::args::{Format, ReadArgs, seconds};
use super::at::At;
use super::{Outcome, output, read};
use crate::addr::Addr;
use crate::history::{History, Role};
use crate::limits::CENSUS_MOMENTS_MAX;
use crate::pipeline::Totals;
use crate::report::census::{Census, moments, moments_every};
use crate::report::json::Shape;
use crate::report::netstat::{self, Style};
use crate::report::plot;
use crate::report::sockets::SocketTable;
use crate::run::Analysis;
use crate::time::{Span, Timestamp};

/// `finwait netstat`.
#[derive(Debug, Args)]
pub struct NetstatArgs {
    #[command(flatten)]
    input: read::FilesArg,
    /// The time to show: RFC 3339 as in 2026-11-20T11:01:29Z, +SECONDS from the capture's start,
    /// or end
    #[arg(
        long,
        value_name = "TIME",
        default_value = "end",
        conflicts_with = "counts",
        value_parser = At::parse,
        allow_hyphen_values = true
    )]
    at: At,
    /// Only the sockets of this host, by address or name, with it on the local side; may be
    /// repeated
    #[arg(long, value_name = "ADDR")]
    host: Vec<Addr>,
    /// Show how many sockets were in each state over the course of the capture
    #[arg(long)]
    counts: bool,
    /// Time between two counts
    #[arg(long, value_name = "SECONDS", requires = "counts", value_parser = seconds)]
    every: Option<Span>,
    /// Print the columns of ss instead of those of netstat
    #[arg(long, conflicts_with = "counts")]
    ss: bool,
    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,
    #[command(flatten)]
    pub read: ReadArgs,
}

/// Moments of a census, if no time between them is asked for.
const MOMENTS: usize = 60;

/// Shows a socket table.
pub fn netstat(args: &NetstatArgs) -> Result<Outcome> {
    let Some(inputs) = read::inputs(&args.input.files) else { return read::help(Some("netstat")) };
    let analysis = read::read(&inputs, &args.read, &mut ())?;
    if args.counts {
        counts(&analysis, args)?
    } else {
        table(&analysis, args)?
    }
    let mut outcome = read::outcome(&analysis, &args.read);
    outcome.messages.extend(nothing(&analysis, args));
    outcome.messages.extend(elsewhen(&analysis, args));
    Ok(outcome)
}

fn table(analysis: &Analysis, args: &NetstatArgs) -> Result<()> {
    let at = moment(analysis, args.at)?;
    let hosts = analysis.hosts(&args.host);
    let table = SocketTable::new(analysis, at.unwrap_or_default(), &hosts);
    let paper = output::paper();
    output::to_stdout(args.format.colored(args.read.color.color), |out| match args.format {
        Format::Jsonl => table.as_json(Shape::Lines, out),
        Format::Json => table.as_json(Shape::Object, out),
        Format::Table if args.ss => netstat::table(&table, Style::Ss, &paper, out),
        Format::Table => {
            netstat::title(at, analysis.clock(), &paper, out)?;
            netstat::table(&table, Style::Netstat, &paper, out)
        }
    })
}

fn counts(analysis: &Analysis, args: &NetstatArgs) -> Result<()> {
    let Totals { first_ts, last_ts, .. } = analysis.totals;
    let moments = match (first_ts.zip(last_ts), args.every) {
        (None, _) => Vec::new(),
        (Some((first, last)), None) => moments(first, last, MOMENTS),
        (Some((first, last)), Some(step)) => {
            match moments_every(first, last, step, CENSUS_MOMENTS_MAX) {
                Some(moments) => moments,
                None => bail!(
                    "--every {} in a capture of {} gives more than {CENSUS_MOMENTS_MAX} counts",
                    step,
                    last.since(first)
                ),
            }
        }
    };
    let census = Census::new(analysis, moments, &analysis.hosts(&args.host));
    output::to_stdout(args.format.colored(args.read.color.color), |out| match args.format {
        Format::Jsonl => census.as_json(Shape::Lines, out),
        Format::Json => census.as_json(Shape::Object, out),
        Format::Table => plot::census(&census, &analysis.hosts(&args.host), &output::paper(), out),
    })
}

/// The moment that is meant; none in a capture without a packet. Outside the capture nothing is
/// known.
fn moment(analysis: &Analysis, at: At) -> Result<Option<Timestamp>> {
    // Times are printed to the microsecond: one that was copied may be that much before.
    const PRINTED: Span = Span::from_micros(1);
    let Totals { first_ts: Some(first), last_ts: Some(last), .. } = analysis.totals else {
        match at {
            At::End => return Ok(None),
            _ => bail!("--at: there is no packet in the capture, and so no moment but its end"),
        }
    };
    // And the capture's length to three digits, as the moments of --counts are.
    let is_printed_as_last = |after: Span| after.to_string() == last.since(first).to_string();
    let ts = match at.of(analysis).unwrap_or(last) {
        ts if ts < first && first.since(ts) < PRINTED => first,
        ts if ts > last && matches!(at, At::After(after) if is_printed_as_last(after)) => last,
        ts => ts,
    };
    if !(first..=last).contains(&ts) {
        bail!("--at {ts} lies outside the capture, which goes from {first} to {last}");
    }
    Ok(Some(ts))
}

/// What to say where a table must be empty.
fn nothing(analysis: &Analysis, args: &NetstatArgs) -> Option<String> {
    if analysis.totals.connections == 0 {
        return Some(read::no_connection(analysis));
    }
    let hosts = analysis.hosts(&args.host);
    let is_its =
        |history: &History| Role::BOTH.iter().any(|role| hosts.contains(&history.addr(*role).ip()));
    let is_there = args.host.is_empty() || analysis.archive.iter().any(|it| is_its(&it));
    (!is_there).then(|| "no connection of the capture has an end with that address".to_string())
}

/// Where the table is of another moment than the hosts' own, what to ask for.
fn elsewhen(analysis: &Analysis, args: &NetstatArgs) -> Option<String> {
    let at = moment(analysis, args.at).ok().flatten().filter(|_| !args.counts)?;
    let taken = analysis.sockets.as_ref()?.taken();
    let first = taken.first().filter(|_| taken.iter().all(|taken| !taken.is_of(at)))?;
    let name = first.snapshot.name();
    Some(format!("{name} was taken at another moment; --at {} compares with it", first.compared_at))
}
