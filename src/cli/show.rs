//! `finwait show`: one connection, by its id or by Wireshark's stream number.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};

use super::args::{Format, ShowArgs};
use super::read::Wanted;
use super::{ERROR, Outcome, output, read};
use crate::decode::segment::Segment;
use crate::decode::tuple::End;
use crate::history::History;
use crate::report::json::{self, Shape};
use crate::report::reel::Reel;
use crate::report::show;
use crate::run::{Analysis, Watcher};

/// Shows a connection.
pub fn show(args: &ShowArgs) -> Result<Outcome> {
    let (wanted, files) = match (args.stream, args.words.split_first()) {
        (Some(stream), _) => (Wanted::Stream(stream), args.words.as_slice()),
        (None, Some((id, files))) => (Wanted::Id(parse_id(id)?), files),
        (None, None) if io::stdin().is_terminal() => return read::help(Some("show")),
        (None, None) => {
            bail!("no connection is named: give an id as `finwait list` prints it, or --stream N")
        }
    };
    let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
    let Some(inputs) = read::inputs(&files) else { return read::help(Some("show")) };
    let mut reels = Reels { wanted, by_id: BTreeMap::new() };
    let analysis = read::read(&inputs, &args.read, &mut reels)?;
    let histories: Vec<History> =
        reels.by_id.keys().filter_map(|id| analysis.archive.get(*id)).collect();
    if histories.is_empty() {
        let mut outcome = read::outcome(&analysis, &args.read);
        outcome.messages.push(wanted.none(&analysis));
        return Ok(Outcome { code: ERROR, ..outcome });
    }
    output::to_stdout(args.format.colored(args.read.color.color), |out| match args.format {
        Format::Table => pages(&analysis, &histories, &reels, out),
        Format::Jsonl => json::list(&analysis, histories.into_iter(), Shape::Lines, out),
        Format::Json => json::list(&analysis, histories.into_iter(), Shape::Object, out),
    })?;
    Ok(read::outcome(&analysis, &args.read))
}

fn pages(
    analysis: &Analysis,
    histories: &[History],
    reels: &Reels,
    out: &mut dyn Write,
) -> io::Result<()> {
    for (at, history) in histories.iter().enumerate() {
        if at > 0 {
            writeln!(out)?;
        }
        if let Some(reel) = reels.by_id.get(&history.id) {
            let mut findings = analysis.findings_of(history);
            findings.extend(analysis.findings_naming(history.id).cloned());
            show::page(history, reel, &findings, analysis, &output::paper(), out)?;
        }
    }
    Ok(())
}

fn parse_id(word: &std::ffi::OsStr) -> Result<u64> {
    let word = word.to_string_lossy();
    word.parse().map_err(|_| {
        anyhow!("`{word}` is not a connection id: give one as `finwait list` prints it, then FILE")
    })
}

/// Keeps the segments of what is wanted. A stream may hold several lives.
struct Reels {
    wanted: Wanted,
    by_id: BTreeMap<u64, Reel>,
}

impl Watcher for Reels {
    fn segment(&mut self, id: u64, stream: u32, from: End, segment: &Segment) {
        let is_wanted = match self.wanted {
            Wanted::Id(wanted) => wanted == id,
            Wanted::Stream(wanted) => wanted == stream,
        };
        if is_wanted {
            self.by_id.entry(id).or_default().push(from, segment);
        }
    }
}
