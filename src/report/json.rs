//! The machine formats: JSON Lines, and the same as one JSON object.
//!
//! Both are written line by line from the archive. Numbers are plain decimals: a duration of 100
//! nanoseconds is `0.0000001`, not `1e-7`, which not every script reads.

use std::io::{self, Write};
use std::ops::ControlFlow;

use serde::Serialize;
use serde_json::ser::Formatter;

use crate::findings::{Finding, Sketcher, Thresholds};
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
            member(out, "{\"capture\":", &CaptureLine::new(analysis))?;
            out.write_all(b",\n\"connections\":[")?;
            write_all_connections(analysis, shape, out)?;
            out.write_all(b"],\n\"findings\":[")?;
            write_findings(analysis, shape, out)?;
            member(out, "],\n\"summary\":", &SummaryLine::new(analysis))?;
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
    let mut bytes = Vec::new();
    for (at, it) in items.enumerate() {
        bytes.clear();
        item(&mut bytes, shape, at, &it)?;
        out.write_all(&bytes)?;
    }
    Ok(())
}

fn write_connections(
    analysis: &Analysis,
    connections: impl Iterator<Item = History>,
    shape: Shape,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    for (at, history) in connections.enumerate() {
        bytes.clear();
        let own = analysis.findings_of(&history);
        write_connection(analysis, &history, &own, shape, at, &mut bytes)?;
        out.write_all(&bytes)?;
    }
    Ok(())
}

fn write_all_connections(analysis: &Analysis, shape: Shape, out: &mut dyn Write) -> io::Result<()> {
    each(analysis, shape, true, out, |history, sketches, out| {
        write_connection(analysis, history, sketches, shape, LATER, out)
    })
}

/// Writes a connection, of which these are the findings about it by itself.
fn write_connection(
    analysis: &Analysis,
    history: &History,
    own: &[Finding],
    shape: Shape,
    at: usize,
    out: &mut Vec<u8>,
) -> io::Result<()> {
    let all = own.iter().chain(analysis.findings_naming(history.id));
    let mut names: Vec<_> = all.map(|finding| finding.name).collect();
    // Both ends may have raised the same one.
    names.dedup();
    item(out, shape, at, &ConnectionLine::new(history, analysis, &names))
}

fn write_findings(analysis: &Analysis, shape: Shape, out: &mut dyn Write) -> io::Result<()> {
    let grouped = &analysis.findings.grouped;
    items(grouped.iter().map(FindingLine::new), shape, out)?;
    each(analysis, shape, grouped.is_empty(), out, |history, sketches, out| {
        if sketches.is_empty() {
            return Ok(());
        }
        let own = analysis.findings_of(history);
        own.iter().try_for_each(|finding| item(out, shape, LATER, &FindingLine::new(finding)))
    })
}

/// What a thread has written of a few connections, and what it works with.
struct Written<'a> {
    foundry: Foundry,
    room: Room,
    sketcher: Sketcher<'a>,
    sketches: Vec<Finding>,
    bytes: Vec<u8>,
    failed: Option<io::Error>,
}

impl<'a> Written<'a> {
    fn nothing(thresholds: &'a Thresholds) -> Written<'a> {
        Written {
            foundry: Foundry::default(),
            room: Room::default(),
            sketcher: Sketcher::new(thresholds),
            sketches: Vec::new(),
            bytes: Vec::new(),
            failed: None,
        }
    }
}

/// The place of an item that is not the first of its list.
const LATER: usize = 1;

/// Writes what `write` has to say of each connection, by number, given sketches of the findings
/// about it by itself: items that are not the first of their list, and of which the first becomes
/// it if `is_first` says so. Several threads do it.
fn each(
    analysis: &Analysis,
    shape: Shape,
    mut is_first: bool,
    out: &mut dyn Write,
    write: impl Fn(&History, &[Finding], &mut Vec<u8>) -> io::Result<()> + Sync,
) -> io::Result<()> {
    let archive = &analysis.archive;
    let work = |piece: u64, own: &mut Written<'_>| {
        own.bytes.clear();
        for place in archive.places_ahead(piece * PIECE..(piece + 1) * PIECE) {
            if own.failed.is_none()
                && let Some(history) = archive.read(place, &mut own.foundry, &mut own.room)
            {
                own.sketches.clear();
                own.sketcher.sketch(history, &mut own.sketches);
                own.failed = write(history, &own.sketches, &mut own.bytes).err();
            }
        }
    };
    let mut failed = None;
    let threads = analysis.threads.min(WRITERS_MAX);
    let nothing = || Written::nothing(&analysis.thresholds);
    in_order(threads, archive.reach().div_ceil(PIECE), nothing, work, |own| {
        let comma = usize::from(is_first && shape == Shape::Object);
        is_first &= own.bytes.is_empty();
        let written = out.write_all(own.bytes.get(comma..).unwrap_or_default());
        failed = own.failed.take().or(written.err());
        if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    failed.map_or(Ok(()), Err)
}

/// Adds the item at place `at` of a list.
fn item(out: &mut Vec<u8>, shape: Shape, at: usize, item: &impl Serialize) -> io::Result<()> {
    let (before, after): (&[u8], &[u8]) = match shape {
        Shape::Lines => (b"", b"\n"),
        Shape::Object if at == 0 => (b"\n", b""),
        Shape::Object => (b",\n", b""),
    };
    out.extend_from_slice(before);
    value(out, item)?;
    out.extend_from_slice(after);
    Ok(())
}

/// Writes a value and ends the line.
pub fn line(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    items([value].into_iter(), Shape::Lines, out)
}

/// Writes a value behind what names it.
fn member(out: &mut dyn Write, name: &str, it: &impl Serialize) -> io::Result<()> {
    let mut bytes = name.as_bytes().to_vec();
    value(&mut bytes, it)?;
    out.write_all(&bytes)
}

fn value(out: &mut Vec<u8>, it: &impl Serialize) -> io::Result<()> {
    let mut serializer = serde_json::Serializer::with_formatter(out, Plain);
    it.serialize(&mut serializer).map_err(io::Error::from)
}

/// Compact JSON without exponents, and without letters that a terminal obeys: it is looked at, too.
struct Plain;

impl Formatter for Plain {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if fragment.bytes().all(|byte| byte < 0x7f) {
            return writer.write_all(fragment.as_bytes());
        }
        let mut rest = fragment;
        while let Some(at) = rest.find(is_obeyed) {
            let (before, from) = rest.split_at(at);
            writer.write_all(before.as_bytes())?;
            let mut letters = from.chars();
            if let Some(letter) = letters.next() {
                write!(writer, "\\u{:04x}", u32::from(letter))?;
            }
            rest = letters.as_str();
        }
        writer.write_all(rest.as_bytes())
    }

    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        if let Some(nanos) = whole_nanos(value) {
            let mut digits = [0; DIGITS];
            return writer.write_all(plain_seconds(nanos, &mut digits));
        }
        if value.fract() == 0.0 {
            return write!(writer, "{value:.1}");
        }
        write!(writer, "{value}")
    }
}

/// Whether a terminal obeys the letter: control characters, and marks that turn the writing's
/// direction or break a line. None has more than four digits.
pub(super) fn is_obeyed(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}')
        || matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Digits before the point of what has nine behind it and fifteen in all.
const WHOLE: usize = 6;
/// Bytes of such a number.
const DIGITS: usize = WHOLE + 1 + 9;

/// The number in billionths, if it is a whole number of them with fifteen digits at most. These
/// digits without the zeros at their end are the shortest that tell it from all other numbers: a
/// float keeps fifteen apart.
fn whole_nanos(value: f64) -> Option<u64> {
    let nanos = (value * 1e9).round() as u64;
    (nanos < 1_000_000_000_000_000 && nanos as f64 / 1e9 == value && value.is_sign_positive())
        .then_some(nanos)
}

/// Nanoseconds as seconds, without zeros at the end but for one behind the point.
fn plain_seconds(nanos: u64, digits: &mut [u8; DIGITS]) -> &[u8] {
    let mut put = |places: core::ops::Range<usize>, mut number: u64| {
        for digit in digits.get_mut(places).into_iter().flatten().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
    };
    put(0..WHOLE, nanos / 1_000_000_000);
    put(WHOLE + 1..DIGITS, nanos % 1_000_000_000);
    digits[WHOLE] = b'.';
    let is_zero = |digit: &&u8| **digit == b'0';
    let leading = digits.iter().take(WHOLE - 1).take_while(is_zero).count();
    let trailing = digits.iter().rev().take(8).take_while(is_zero).count();
    digits.get(leading..DIGITS - trailing).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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

    #[test]
    fn what_a_terminal_obeys_is_escaped() {
        let text = "a\u{9b}31m\u{202e}b\u{2066}\u{85}\u{7f}é✓\u{61c}";
        let mut out = Vec::new();
        line(&mut out, &text).unwrap();
        let shown = String::from_utf8(out).unwrap();
        assert_eq!(shown, "\"a\\u009b31m\\u202eb\\u2066\\u0085\\u007fé✓\\u061c\"\n");
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
    }

    proptest! {
        #[test]
        fn numbers_are_written_as_the_shortest_decimals(
            nanos in prop_oneof![
                any::<u64>(),
                0..2_000_000_000_000_000_u64,
                (0..2_000_000_u64).prop_map(|micros| micros * 1_000),
            ],
            other in any::<f64>(),
        ) {
            for number in [nanos as f64 / 1e9, nanos as f64 / 1e7, nanos as f64, other, -0.0] {
                let mut out = Vec::new();
                Plain.write_f64(&mut out, number).unwrap();
                let plain = match number.fract() == 0.0 {
                    true => format!("{number:.1}"),
                    false => number.to_string(),
                };
                prop_assert_eq!(String::from_utf8(out).unwrap(), plain);
            }
        }
    }
}
