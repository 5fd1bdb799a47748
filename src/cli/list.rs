//! `finwait list`: one row per connection, of those that are wanted.

use anyhow::Result;

use super::args::{Format, ListArgs};
use super::{Outcome, output, read};
use crate::report::json::{self, Shape};
use crate::report::list;

/// Lists connections.
pub fn list(args: &ListArgs) -> Result<Outcome> {
    let Some(inputs) = read::inputs(&args.input.files) else { return read::help(Some("list")) };
    let analysis = read::read(&inputs, &args.read, &mut ())?;
    let filter = args.filter.filter(&analysis);
    let mut rows = None;
    output::to_stdout(args.format.colored(args.read.color.color), |out| {
        let wanted = || analysis.archive.iter().filter(|it| filter.admits(&analysis, it));
        match args.format {
            Format::Jsonl => json::list(&analysis, wanted(), Shape::Lines, out),
            Format::Json => json::list(&analysis, wanted(), Shape::Object, out),
            Format::Table => {
                rows = Some(list::table(&analysis, &filter, &output::paper(), out)?);
                Ok(())
            }
        }
    })?;
    let mut outcome = read::outcome(&analysis, &args.read);
    if rows == Some(0) {
        outcome.messages.push(read::no_match(&analysis));
    }
    Ok(outcome)
}
