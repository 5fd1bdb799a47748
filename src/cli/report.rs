//! `finwait report`, and `demo`, which is the same on a capture that is built in.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Result;

use super::args::{DemoArgs, Format, PrintArgs, ReadArgs, ReportArgs};
use super::{Outcome, output, read};
use crate::capture::{Merge, Source};
use crate::report::json::{self, Shape};
use crate::report::paper::Paper;
use crate::report::table;
use crate::run::{self, Analysis};

/// Reports on captures.
pub fn report(args: &ReportArgs) -> Result<Outcome> {
    let Some(inputs) = read::inputs(&args.files) else { return read::help(None) };
    let analysis = read::read(&inputs, &args.read, &mut ())?;
    print(&analysis, &inputs, &args.print, &args.read, "")?;
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
    let analysis = run::analyse(Merge::new(vec![source]), &args.read.options()?, &mut ());
    print(&analysis, &[], &args.print, &args.read, CODA)?;
    Ok(read::outcome(&analysis, &args.read))
}

/// Prints a report where it is wanted, one for people with a coda.
fn print(
    analysis: &Analysis,
    inputs: &[PathBuf],
    print: &PrintArgs,
    read: &ReadArgs,
    coda: &str,
) -> Result<()> {
    let write =
        |paper: Paper| move |out: &mut dyn Write| write(analysis, print.format, &paper, out, coda);
    match &print.output {
        Some(path) if path.as_os_str() != "-" => output::to_file(path, inputs, write(output::FILE)),
        _ => output::to_stdout(print.format.colored(read.color.color), write(output::paper())),
    }
}

fn write(
    analysis: &Analysis,
    format: Format,
    paper: &Paper,
    out: &mut dyn Write,
    coda: &str,
) -> io::Result<()> {
    match format {
        Format::Table => {
            table::report(analysis, paper, out)?;
            out.write_all(coda.as_bytes())
        }
        Format::Jsonl => json::report(analysis, Shape::Lines, out),
        Format::Json => json::report(analysis, Shape::Object, out),
    }
}
