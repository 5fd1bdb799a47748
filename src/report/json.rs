//! The machine formats: JSON Lines, and the same as one JSON object.
//!
//! Both are written line by line from the archive. Numbers are plain decimals: a duration of 100
//! nanoseconds is `0.0000001`, not `1e-7`, which not every script reads.

use std::io::{self, Write};
use std::ops::ControlFlow;

use serde::Serialize;
use serde_json::ser::Formatter;

use crate::history::History;
use crate::history::archive::{Foundry, Room};
use crate::limits::WRITERS_MAX;
use crate::parallel::in_order;
use crate::report::model::{CaptureLine, ConnectionLine, FindingLine, SummaryLine};
use crate::run::Analysis;

/// Connections of which a thread writes the lines at a time.
const PIECE: u64 = 64;

/// One object a line, or all in one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// JSON Lines.
    Lines,
    /// One JSON object.
    Object,
}

/// Writes the whole report: the capture, its connections by number, the findings about services
/// and the capture, those about connections by their number, and the sums.
pub fn report(analysis: &Analysis, shape: Shape, out: &mut dyn Write) -> io::Result<()> {
    match shape {
        Shape::Lines => {
            line(out, &CaptureLine::new(analysis))?;
            write_all_connections(analysis, shape, out)?;
            write_findings(analysis, shape, out)?;
            line(out, &SummaryLine::new(analysis))
        }
        Shape::Object => {
            out.write_all(b"{\"capture\":")?;
            value(out, &CaptureLine::new(analysis))?;
            out.write_all(b",\n\"connections\":[")?;
            write_all_connections(analysis, shape, out)?;
            out.write_all(b"],\n\"findings\":[")?;
            write_findings(analysis, shape, out)?;
            out.write_all(b"],\n\"summary\":")?;
            value(out, &SummaryLine::new(analysis))?;
            out.write_all(b"}\n")
        }
    }
}

/// Writes connections only: their lines, or an object with the member `connections`.
pub fn list(
    analysis: &Analysis,
    connections: impl Iterator<Item = History>,
    shape: Shape,
    out: &mut dyn Write,
) -> io::Result<()> {
    match shape {
        Shape::Lines => write_connections(analysis, connections, shape, out),
        Shape::Object => {
            out.write_all(b"{\"connections\":[")?;
            write_connections(analysis, connections, shape, out)?;
            out.write_all(b"]}\n")
        }
    }
}

/// Writes things of one kind: their lines, or what stands between the brackets of a list.
pub fn items(
    items: impl Iterator<Item = impl Serialize>,
    shape: Shape,
    out: &mut dyn Write,
) -> io::Result<()> {
    items.enumerate().try_for_each(|(at, it)| item(out, shape, at, &it))
}

fn write_connections(
    analysis: &Analysis,
    connections: impl Iterator<Item = History>,
    shape: Shape,
    out: &mut dyn Write,
) -> io::Result<()> {
    for (at, history) in connections.enumerate() {
        write_connection(analysis, &history, shape, at, out)?;
    }
    Ok(())
}

fn write_all_connections(analysis: &Analysis, shape: Shape, out: &mut dyn Write) -> io::Result<()> {
    let write = |history: &History, out: &mut Vec<u8>| {
        write_connection(analysis, history, shape, LATER, out)
    };
    each(analysis, shape, true, out, write)
}

fn write_connection(
    analysis: &Analysis,
    history: &History,
    shape: Shape,
    at: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    let findings = analysis.findings_naming(history);
    let mut names: Vec<_> = findings.iter().map(|finding| finding.name).collect();
    // Both ends may have raised the same one.
    names.dedup();
    item(out, shape, at, &ConnectionLine::new(history, analysis, &names))
}

fn write_findings(analysis: &Analysis, shape: Shape, out: &mut dyn Write) -> io::Result<()> {
    let grouped = &analysis.findings.grouped;
    items(grouped.iter().map(FindingLine::new), shape, out)?;
    each(analysis, shape, grouped.is_empty(), out, |history, out| {
        let own = analysis.findings_of(history);
        own.iter().try_for_each(|finding| item(out, shape, LATER, &FindingLine::new(finding)))
    })
}

/// What a thread has written of a few connections, and room to read in.
#[derive(Default)]
struct Written {
    foundry: Foundry,
    room: Room,
    bytes: Vec<u8>,
    failed: Option<io::Error>,
}

/// The place of an item that is not the first of its list.
const LATER: usize = 1;

/// Writes what `write` has to say of each connection, by number: items that are not the first of
/// their list, and of which the first becomes it if `is_first` says so. Several threads do it.
fn each(
    analysis: &Analysis,
    shape: Shape,
    mut is_first: bool,
    out: &mut dyn Write,
    write: impl Fn(&History, &mut Vec<u8>) -> io::Result<()> + Sync,
) -> io::Result<()> {
    let archive = &analysis.archive;
    let work = |piece: u64, own: &mut Written| {
        own.bytes.clear();
        for place in piece * PIECE..(piece + 1) * PIECE {
            if own.failed.is_none()
                && let Some(history) = archive.read(place, &mut own.foundry, &mut own.room)
            {
                own.failed = write(history, &mut own.bytes).err();
            }
        }
    };
    let mut failed = None;
    let threads = analysis.threads.min(WRITERS_MAX);
    in_order(threads, archive.reach().div_ceil(PIECE), work, |own: &mut Written| {
        let comma = usize::from(is_first && shape == Shape::Object);
        is_first &= own.bytes.is_empty();
        let written = out.write_all(own.bytes.get(comma..).unwrap_or_default());
        failed = own.failed.take().or(written.err());
        if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    failed.map_or(Ok(()), Err)
}

/// Writes the item at place `at` of a list.
fn item(out: &mut dyn Write, shape: Shape, at: usize, item: &impl Serialize) -> io::Result<()> {
    match shape {
        Shape::Lines => line(out, item),
        Shape::Object => {
            out.write_all(if at == 0 { b"\n" } else { b",\n" })?;
            value(out, item)
        }
    }
}

/// Writes a value and ends the line.
pub fn line(out: &mut dyn Write, item: &impl Serialize) -> io::Result<()> {
    value(out, item)?;
    out.write_all(b"\n")
}

fn value(out: &mut dyn Write, item: &impl Serialize) -> io::Result<()> {
    let mut serializer = serde_json::Serializer::with_formatter(out, PlainNumbers);
    item.serialize(&mut serializer).map_err(io::Error::from)
}

/// Compact JSON without exponents.
struct PlainNumbers;

impl Formatter for PlainNumbers {
    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        if value.fract() == 0.0 {
            return write!(writer, "{value:.1}");
        }
        write!(writer, "{value}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;

    #[test]
    fn durations_are_plain_decimals_down_to_the_nanosecond() {
        let shown = |nanos| {
            let mut out = Vec::new();
            line(&mut out, &Span::from_nanos(nanos)).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(shown(0), "0.0\n");
        assert_eq!(shown(1), "0.000000001\n");
        assert_eq!(shown(93_000), "0.000093\n");
        assert_eq!(shown(60_000_000_000), "60.0\n");
        assert_eq!(shown(4_210_500_000_001), "4210.500000001\n");
    }
}
