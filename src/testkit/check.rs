//! Runs a trace and compares what comes out with what its lines expect.

use std::path::Path;

use crate::capture::Source;
use crate::decode::skip::Skip;
use crate::findings::{CaptureFacts, Collector, Finding, Summary, Thresholds};
use crate::history::{History, Role};
use crate::infer::Params;
use crate::infer::state::State;
use crate::limits::CONNECTIONS_MAX;
use crate::pipeline::{Pipeline, Totals};
use crate::testkit::trace::{CLIENT_PORT, Trace};
use crate::time::{Span, Timestamp};

/// Runs the first `count` segments and ends the capture at `end`. Histories by number.
fn run(trace: &Trace, count: usize, end: Timestamp) -> Vec<History> {
    run_all(trace, count, end).0
}

/// The same, with what was read in numbers.
fn run_all(trace: &Trace, count: usize, end: Timestamp) -> (Vec<History>, Totals) {
    let mut pipeline = Pipeline::new(Params::default(), CONNECTIONS_MAX, Vec::new());
    for decoded in trace.segments.iter().take(count) {
        pipeline.decoded(decoded);
    }
    pipeline.silence(end);
    let (mut histories, totals) = pipeline.finish();
    histories.sort_by_key(|history| history.id);
    (histories, totals)
}

/// Runs a trace, and holds every state that its lines expect against what is believed after that
/// line. Returns the histories at its end, by number.
pub fn check(text: &str) -> Vec<History> {
    let trace = Trace::parse(text);
    for expected in &trace.expected {
        let histories = run(&trace, expected.segments, expected.at);
        let port = CLIENT_PORT + expected.client;
        let newest = histories
            .iter()
            .rev()
            .find(|history| Role::BOTH.iter().any(|role| history.addr(*role).port() == port));
        let client = newest.and_then(|history| {
            Role::BOTH.into_iter().find(|role| history.addr(*role).port() == port)
        });
        let states = match (newest, client) {
            (Some(history), Some(role)) => {
                [history.last_state(role), history.last_state(role.peer())]
            }
            _ => [State::Unknown; 2],
        };
        let agree =
            expected.states.iter().zip(states).all(|(want, is)| want.is_none_or(|w| w == is));
        let line = text.lines().nth(expected.line - 1).unwrap_or_default();
        assert!(
            agree,
            "line {}: {}\nis {} {}\n{newest:#?}",
            expected.line,
            line.trim(),
            states[0],
            states[1]
        );
    }
    run(&trace, trace.segments.len(), trace.end)
}

/// The histories of a trace, unchecked.
pub fn connections(text: &str) -> Vec<History> {
    let trace = Trace::parse(text);
    run(&trace, trace.segments.len(), trace.end)
}

/// The only history of a trace, checked.
pub fn history(text: &str) -> History {
    let mut histories = check(text);
    assert_eq!(histories.len(), 1, "one connection: {histories:#?}");
    histories.remove(0)
}

/// The findings of a trace: those of its connections by number, then those of many and of the
/// capture.
pub fn findings(text: &str) -> Vec<Finding> {
    let summary = summary(text, Thresholds::default());
    let mut found: Vec<_> = summary.worst.into_values().flatten().collect();
    found.sort_by_key(|finding| finding.connection);
    found.extend(summary.grouped);
    found
}

/// What a collector makes of a trace.
pub fn summary(text: &str, mut thresholds: Thresholds) -> Summary {
    let trace = Trace::parse(text);
    for setting in &trace.settings {
        thresholds.set(setting).expect("a threshold");
    }
    let (histories, totals) = run_all(&trace, trace.segments.len(), trace.end);
    let mut skipped = totals.skipped.iter();
    let duplicates = skipped.find(|(reason, _)| *reason == Skip::Duplicate.name());
    let duplicates = duplicates.map_or(0, |(_, count)| count);
    let facts = CaptureFacts {
        packets: trace.segments.len() as u64 + trace.cut,
        segments: totals.segments,
        connections: totals.connections,
        duplicates,
        cut_headers: trace.cut,
        dropped: trace.dropped,
        backwards: trace.backwards().count() as u64,
        backwards_most: trace.backwards().max().unwrap_or_default(),
        first_ts: trace.segments.first().map(|first| first.segment.ts),
        last_ts: Some(trace.end),
    };
    Collector::collect(thresholds, histories.iter(), &facts)
}

/// The histories of a recorded capture, and of a minute of silence after it.
pub fn recorded(path: &Path) -> Vec<History> {
    let mut source = Source::open(path).expect("a capture");
    let mut last = Timestamp::default();
    let mut pipeline = Pipeline::new(Params::default(), CONNECTIONS_MAX, Vec::new());
    while let Some(packet) = source.next_packet().expect("a whole capture") {
        last = packet.ts;
        pipeline.packet(&packet);
    }
    pipeline.silence(last.after(Span::from_secs(60)));
    pipeline.finish().0
}
