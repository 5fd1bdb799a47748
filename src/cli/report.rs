//! `finwait report`, and `demo`, which is the same on a capture that is built in.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Result;

use super::args::{Format, PrintArgs, ReadArgs, ReportArgs};
use super::{Outcome, output, read};
use crate::report::json::{self, Shape};
use crate::report::paper::Paper;
use crate::report::table;
use crate::run::Analysis;

/// Reports on captures.
pub fn report(args: &ReportArgs) -> Result<Outcome> {
    let Some(inputs) = read::inputs(&args.files) else { return read::help(None) };
    let analysis = read::read(&inputs, &args.read, &mut ())?;
    print(&analysis, &inputs, &args.print, &args.read)?;
    Ok(read::outcome(&analysis, &args.read))
}

/// Prints a report where it is wanted.
fn print(
    analysis: &Analysis,
    inputs: &[PathBuf],
    print: &PrintArgs,
    read: &ReadArgs,
) -> Result<()> {
    let write = |paper: Paper| {
        move |out: &mut dyn Write| write(analysis, print.format, &paper, out)
    };
    match &print.output {
        Some(path) if path.as_os_str() != "-" => {
            output::to_file(path, inputs, write(output::FILE))
        }
        _ => output::to_stdout(read.color.color, write(output::paper())),
    }
}

fn write(
    analysis: &Analysis,
    format: Format,
    paper: &Paper,
    out: &mut dyn Write,
) -> io::Result<()> {
    match format {
        Format::Table => table::report(analysis, paper, out),
        Format::Jsonl => json::report(analysis, Shape::Lines, out),
        Format::Json => json::report(analysis, Shape::Object, out),
    }
}
