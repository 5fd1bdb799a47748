//! `finwait report`, and `demo`, which is the same on a capture that is built in. `check` prints
//! its report here too.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Result;

use super::args::{DemoArgs, PrintArgs, ReadArgs, ReportArgs, ReportFormat, When};
use super::{Outcome, output, read};
use crate::capture::{Merge, Source};
use crate::findings::Severity;
use crate::report::ci::baseline::Baseline;
use crate::report::ci::gate::{Gate, Judgement};
use crate::report::ci::issues::{Issues, Key, issues};
use crate::report::ci::{github, gitlab, junit, markdown, sarif};
use crate::report::html;
use crate::report::json::{self, Shape};
use crate::report::paper::Paper;
use crate::report::table;
use crate::run::{self, Analysis};

/// Reports on captures.
pub fn report(args: &ReportArgs) -> Result<Outcome> {
    let Some(inputs) = read::inputs(&args.input.files) else { return read::help(None) };
    let analysis = read::read_for(args.print.format, &inputs, &args.read)?;
    print(
        &analysis,
        &inputs,
        &args.print,
        &args.read,
        &Job::report(&args.print, &args.read, &analysis),
    )?;
    Ok(read::outcome(&analysis, &args.read))
}

/// The capture that is built in: a service on port 6800 that never closes, among others that do.
const DEMO: &[u8] = include_bytes!("../../testdata/kernel/demo/server.pcap");

/// What a report on it for people ends with.
const CODA: &str = " (demo.pcap is built in; `finwait demo --save demo.pcap` writes it)\n";

/// Reports on the capture that is built in.
pub fn demo(args: &DemoArgs) -> Result<Outcome> {
    if let Some(path) = &args.save {
        output::bytes_to_file(path, DEMO)?;
        return Ok(Outcome::default());
    }
    let source = Source::from_reader("demo.pcap", Box::new(DEMO))?;
    let tables = args.read.sockets.read(&[])?;
    let analysis = run::analyse(Merge::new(vec![source]), &args.read.options()?, &mut ());
    let analysis = read::fit_to_show(analysis, tables, &args.read)?;
    let job = Job { coda: CODA, ..Job::report(&args.print, &args.read, &analysis) };
    print(&analysis, &[], &args.print, &args.read, &job)?;
    Ok(read::outcome(&analysis, &args.read))
}

/// What a report is for.
pub struct Job {
    /// What would fail a job.
    pub gate: Gate,
    /// What does.
    pub judgement: Judgement,
    is_check: bool,
    coda: &'static str,
}

impl Job {
    /// A report: what `check` would fail on by default is marked, where the format marks it.
    fn report(print: &PrintArgs, read: &ReadArgs, analysis: &Analysis) -> Job {
        let gate = Gate {
            fail_on: Severity::Error,
            max: Vec::new(),
            has_baseline: false,
            is_strict: read.is_strict(),
        };
        let judgement = if print.format.is_grouped() {
            gate.judge(analysis, issues(analysis), |_| 0)
        } else {
            Judgement::default()
        };
        Job { gate, judgement, is_check: false, coda: "" }
    }

    /// A check.
    pub fn check(gate: Gate, analysis: &Analysis, found: Issues, baseline: &mut Baseline) -> Job {
        let judgement = gate.judge(analysis, found, |issue| {
            let place = issue
                .key
                .place
                .with_host(|host| analysis.mask.as_ref().map_or(host, |mask| mask.real(host)));
            baseline.take(&Key { place, ..issue.key }, issue.count(), issue.stuck)
        });
        Job { gate, judgement, is_check: true, coda: "" }
    }

    /// The check's word, where it says more than the exit code.
    pub fn messages(&self) -> Vec<String> {
        let fail_on = self.gate.fail_on;
        let mild = self.judgement.mild.iter().map(|(name, count)| {
            format!(
                "warning: {count} {name} are more than --max allows, but too mild to fail the \
                 check: see --fail-on {fail_on}"
            )
        });
        let judgement = &self.judgement;
        let has_word = judgement.failing() + judgement.known() > 0
            || judgement.stale.is_some()
            || !judgement.let_pass.is_empty();
        let word = has_word.then(|| self.judgement.sentence(&self.gate));
        mild.chain(word).collect()
    }
}

impl ReportFormat {
    /// Whether it groups findings by service and side.
    fn is_grouped(self) -> bool {
        !matches!(self, ReportFormat::Table | ReportFormat::Jsonl | ReportFormat::Json)
    }

    /// Whether to colour what is printed so; none where there is nothing to colour.
    fn colored(self, color: When) -> Option<When> {
        (self == ReportFormat::Table).then_some(color)
    }
}

/// Prints a report where it is wanted.
pub fn print(
    analysis: &Analysis,
    inputs: &[PathBuf],
    print: &PrintArgs,
    read: &ReadArgs,
    job: &Job,
) -> Result<()> {
    let write = |paper: Paper| {
        move |out: &mut dyn Write| write(analysis, print, &read.finding, &paper, job, out)
    };
    match &print.output {
        Some(path) if path.as_os_str() != "-" => {
            output::to_file(path, "-o", inputs, write(output::FILE))
        }
        _ => output::to_stdout(print.format.colored(read.color.color), write(output::paper())),
    }
}

fn write(
    analysis: &Analysis,
    print: &PrintArgs,
    options: &[OsString],
    paper: &Paper,
    job: &Job,
    out: &mut dyn Write,
) -> io::Result<()> {
    let Job { gate, judgement, .. } = job;
    let says = job.is_check.then(|| judgement.sentence(gate));
    let says = says.as_ref().map(|says| analysis.names.text(says));
    let says = says.as_deref();
    let anchor = print.anchor.as_deref();
    match print.format {
        ReportFormat::Table => {
            table::report(analysis, options, paper, out)?;
            table::known(judgement, &analysis.names, paper, out)?;
            out.write_all(job.coda.as_bytes())
        }
        ReportFormat::Jsonl => json::report(analysis, Shape::Lines, out),
        ReportFormat::Json => json::report(analysis, Shape::Object, out),
        ReportFormat::Markdown => markdown::write(analysis, judgement, says, out),
        ReportFormat::Html => html::write(analysis, judgement, says, out),
        ReportFormat::Junit => junit::write(analysis, judgement, gate, out),
        ReportFormat::Sarif => sarif::write(analysis, judgement, anchor, out),
        ReportFormat::Gitlab => gitlab::write(analysis, judgement, anchor, out),
        ReportFormat::Github => github::write(analysis, judgement, out),
    }
}
