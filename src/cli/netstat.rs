//! `finwait netstat`: the socket table of the capture's hosts at a moment, or its counts over time.

use anyhow::{Result, bail};

use super::args::{At, Format, NetstatArgs};
use super::{Outcome, output, read};
use crate::addr::Addr;
use crate::history::{History, Role};
use crate::limits::CENSUS_MOMENTS_MAX;
use crate::report::census::{Census, moments, moments_every};
use crate::report::json::Shape;
use crate::report::netstat::{self, Style};
use crate::report::plot;
use crate::report::sockets::SocketTable;
use crate::run::Analysis;
use crate::time::{Span, Timestamp};

/// Moments of a census, if no time between them is asked for.
const MOMENTS: usize = 60;

/// Shows a socket table.
pub fn netstat(args: &NetstatArgs) -> Result<Outcome> {
    let Some(inputs) = read::inputs(&args.files) else { return read::help(Some("netstat")) };
    let analysis = read::read(&inputs, &args.read, &mut ())?;
    match args.counts {
        true => counts(&analysis, args)?,
        false => table(&analysis, args)?,
    }
    let mut outcome = read::outcome(&analysis, &args.read);
    outcome.messages.extend(nothing(&analysis, args));
    Ok(outcome)
}

fn table(analysis: &Analysis, args: &NetstatArgs) -> Result<()> {
    let at = moment(analysis, args.at)?;
    let table = SocketTable::new(analysis, at, &hosts_of(analysis, args));
    output::to_stdout(args.format.colored(args.read.color.color), |out| match args.format {
        Format::Jsonl => table.as_json(Shape::Lines, out),
        Format::Json => table.as_json(Shape::Object, out),
        Format::Table if args.ss => netstat::table(&table, Style::Ss, out),
        Format::Table => {
            netstat::title(at, analysis.clock(), out)?;
            netstat::table(&table, Style::Netstat, out)
        }
    })
}

fn counts(analysis: &Analysis, args: &NetstatArgs) -> Result<()> {
    let first = analysis.totals.first_ts.unwrap_or_default();
    let last = analysis.totals.last_ts.unwrap_or_default();
    let moments = match args.every {
        None => moments(first, last, MOMENTS),
        Some(step) => match moments_every(first, last, step, CENSUS_MOMENTS_MAX) {
            Some(moments) => moments,
            None => bail!(
                "--every {} in a capture of {} gives more than {CENSUS_MOMENTS_MAX} counts",
                step,
                last.since(first)
            ),
        },
    };
    let census = Census::new(analysis, moments, &hosts_of(analysis, args));
    output::to_stdout(args.format.colored(args.read.color.color), |out| match args.format {
        Format::Jsonl => census.as_json(Shape::Lines, out),
        Format::Json => census.as_json(Shape::Object, out),
        Format::Table => plot::census(&census, &hosts_of(analysis, args), &output::paper(), out),
    })
}

/// The hosts that are meant, by the addresses that they have in reports.
fn hosts_of(analysis: &Analysis, args: &NetstatArgs) -> Vec<Addr> {
    args.host.iter().map(|host| analysis.shown(*host)).collect()
}

/// The moment that is meant. Outside the capture nothing is known.
fn moment(analysis: &Analysis, at: At) -> Result<Timestamp> {
    // Times are printed to the microsecond: one that was copied may be that much before.
    const PRINTED: Span = Span::from_micros(1);
    let first = analysis.totals.first_ts.unwrap_or_default();
    let last = analysis.totals.last_ts.unwrap_or_default();
    let ts = match at {
        At::End => last,
        At::After(span) => first.after(span),
        At::Time(ts) if ts < first && first.since(ts) < PRINTED => first,
        At::Time(ts) => ts,
    };
    if !(first..=last).contains(&ts) {
        bail!("--at {ts} lies outside the capture, which goes from {first} to {last}");
    }
    Ok(ts)
}

/// What to say where a table must be empty.
fn nothing(analysis: &Analysis, args: &NetstatArgs) -> Option<String> {
    if analysis.totals.connections == 0 {
        return Some("there is no TCP connection in the capture".to_string());
    }
    let hosts = hosts_of(analysis, args);
    let is_its =
        |history: &History| Role::BOTH.iter().any(|role| hosts.contains(&history.addr(*role).ip()));
    let is_there = args.host.is_empty() || analysis.archive.iter().any(|it| is_its(&it));
    (!is_there).then(|| "no connection of the capture has an end with that address".to_string())
}
