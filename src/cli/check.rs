//! `finwait check`: a report, and an exit code that fails a job.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use toml::value::Date;

use super::args::{PrintArgs, ReadArgs};
use super::config::CheckSettings;
use super::report::{Job, print};
use super::{ERROR, FOUND, Outcome, input, output, read};
use crate::findings::Severity;
use crate::findings::thresholds::find;
use crate::limits::SETTINGS_BYTES_MAX;
use crate::report::ci::baseline::Baseline;
use crate::report::ci::gate::Gate;
use crate::report::ci::issues::{Issues, issues};
use crate::report::ci::no_segment;

/// `finwait check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    input: read::FilesArg,
    #[command(flatten)]
    gate: GateArgs,
    #[command(flatten)]
    print: PrintArgs,
    #[command(flatten)]
    pub read: ReadArgs,
}

/// What fails a check.
#[derive(Debug, Args)]
#[command(next_help_heading = "Gate")]
struct GateArgs {
    /// Fail on findings of this severity or above: note, warning or error [default: error]
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    fail_on: Option<Severity>,
    /// Allow up to N findings of a name; may be repeated, and the last N for a name counts
    #[arg(long, value_name = "NAME=N", value_parser = at_most)]
    max: Vec<(&'static str, u64)>,
    /// Do not fail on the findings listed in FILE, unless there are more of them
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Also fail on baseline entries that are not found any more: they are fixed, and should go
    #[arg(long)]
    fail_on_stale: bool,
    /// Exit with 0 whatever is found; errors still exit with 2
    #[arg(long)]
    exit_zero: bool,
    /// Write what fails now to FILE, as a baseline for later checks
    #[arg(long, value_name = "FILE", conflicts_with = "mask")]
    write_baseline: Option<PathBuf>,
}

impl GateArgs {
    /// What fails, with what a file says of it.
    fn gate(&self, settings: &CheckSettings) -> Gate {
        // What is said last of a name counts, as with other options.
        let mut max: Vec<(&'static str, u64)> = Vec::new();
        for (name, count) in settings.max.iter().chain(&self.max) {
            max.retain(|(known, _)| known != name);
            max.push((name, *count));
        }
        Gate {
            fail_on: self.fail_on.or(settings.fail_on).unwrap_or(Severity::Error),
            max,
            has_baseline: false,
            is_strict: false,
        }
    }
}

/// Checks captures.
pub fn check(args: &CheckArgs) -> Result<Outcome> {
    let Some(inputs) = read::inputs(&args.input.files) else {
        // A job's list of files may be empty, and its runner have a terminal: that must not pass.
        read::help(Some("check"))?;
        return Ok(Outcome::error("no FILE is named: nothing was checked".to_string()));
    };
    let settings = &args.read.settings.check;
    let known = args.gate.baseline.as_ref().or(settings.baseline.as_ref());
    let written = args.gate.write_baseline.as_ref();
    if written.is_some_and(|path| path.as_os_str() == "-") {
        bail!("--write-baseline takes a file, not `-`: standard output is for the report");
    }
    refuse_one_file_for_both(args.print.output.as_ref(), known.into_iter().chain(written))?;
    let mut baseline = known.map_or_else(|| Ok(Baseline::default()), |path| load(path, written))?;
    let has_baseline = known.or(written).is_some();
    let gate = Gate { has_baseline, is_strict: args.read.is_strict(), ..args.gate.gate(settings) };
    let mut analysis = read::read_for(args.print.format, &inputs, &args.read)?;
    let found = issues(&analysis);
    let mut outcome = read::outcome(&analysis, &args.read);
    let expired = baseline.expire(today());
    if analysis.totals.segments == 0 {
        outcome.messages.push(no_segment(&analysis));
        outcome.code = ERROR;
    }
    if let Some(path) = written {
        match outcome.code {
            0 => baseline = write_baseline(path, &inputs, &found, &gate, &baseline)?,
            _ => outcome.messages.push(format!("{}: not written", path.display())),
        }
    }
    let mut job = Job::check(gate, &analysis, found, &mut baseline);
    let [expired, mut stale] = [expired, baseline.stale()].map(|said| {
        let said = said?;
        Some(match &mut analysis.mask {
            Some(mask) => mask.text(&said).into_owned(),
            None => said,
        })
    });
    if args.gate.fail_on_stale || settings.fail_on_stale {
        job.judgement.stale = stale.take();
    }
    print(&analysis, &inputs, &args.print, &args.read, &job)?;
    let says = job.messages();
    outcome.messages.extend(says.iter().map(|says| analysis.names.text(says).into_owned()));
    let stale = stale.map(|stale| format!("warning: {stale}"));
    outcome.messages.extend(expired.into_iter().chain(stale));
    if job.judgement.fails() && outcome.code == 0 && !args.gate.exit_zero {
        outcome.code = FOUND;
    }
    Ok(outcome)
}

/// The day, in UTC.
fn today() -> Date {
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let [month, day] = [now.month(), now.day()].map(i8::unsigned_abs);
    Date { year: now.year().unsigned_abs(), month, day }
}

/// A report written over a baseline would lose it.
fn refuse_one_file_for_both<'a>(
    report: Option<&PathBuf>,
    mut baselines: impl Iterator<Item = &'a PathBuf>,
) -> Result<()> {
    let report = report.filter(|path| path.as_os_str() != "-");
    match report.filter(|report| baselines.any(|path| output::is_same_file(path, report))) {
        Some(path) => bail!("{}: is the baseline itself: give -o another file", path.display()),
        None => Ok(()),
    }
}

/// Reads a baseline. One that is not there yet, and is about to be written, holds nothing.
fn load(path: &Path, written: Option<&PathBuf>) -> Result<Baseline> {
    let is_first = written.is_some_and(|written| output::is_same_file(written, path));
    let name = path.display();
    let text = match input::text(path, SETTINGS_BYTES_MAX) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => match is_first {
            true => return Ok(Baseline::default()),
            false => Err(error).with_context(|| {
                format!("{name}: cannot read it (--write-baseline {name} makes it)")
            }),
        },
        read => read.with_context(|| format!("{name}: cannot read it")),
    };
    Baseline::parse(&text?).with_context(|| format!("{name}: is not a baseline"))
}

/// Writes what fails now as a baseline.
fn write_baseline(
    path: &Path,
    inputs: &[PathBuf],
    found: &Issues,
    gate: &Gate,
    before: &Baseline,
) -> Result<Baseline> {
    let baseline = Baseline::new(&found.issues, gate.fail_on, before);
    output::to_file(path, "--write-baseline", inputs, |out| {
        out.write_all(baseline.to_string().as_bytes())
    })?;
    Ok(baseline)
}

/// A severity by its name.
pub fn severity(name: &str) -> Result<Severity, String> {
    Severity::from_name(name).ok_or_else(|| "the severities are note, warning and error".into())
}

/// A finding's name, and how many of it are fine.
pub fn at_most(text: &str) -> Result<(&'static str, u64), String> {
    let form = || "not NAME=N, as in connection-refused=5".to_string();
    let (name, count) = text.split_once('=').ok_or_else(form)?;
    let rule = find(name).map_err(|error| error.to_string())?;
    Ok((rule.name, count.parse().map_err(|_| form())?))
}
