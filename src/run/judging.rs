//! From the archive to the findings: every history is read once, and judged, in several threads.

use std::ops::ControlFlow;

use crate::findings::{Collector, Finding, Thresholds, check};
use crate::history::History;
use crate::history::archive::{Archive, Room};
use crate::parallel::in_order;

/// Connections that one thread judges at a time.
const PIECE: u64 = 256;

/// What was found.
pub(super) struct Judged {
    pub collector: Collector,
    /// Transitions and refutations that connections had no room for.
    pub transitions_dropped: u64,
}

/// A few histories with their findings, in room that is used again.
#[derive(Default)]
struct Few {
    rooms: Vec<Room>,
    findings: Vec<Finding>,
    /// For each connection that is there, its room and where its findings end.
    ends: Vec<(usize, usize)>,
}

/// Judges all connections, in the order of their numbers.
pub(super) fn judge(archive: &Archive, thresholds: &Thresholds, threads: usize) -> Judged {
    let mut judged =
        Judged { collector: Collector::new(thresholds.clone()), transitions_dropped: 0 };
    let pieces = archive.reach().div_ceil(PIECE);
    let work = |piece: u64, few: &mut Few| {
        few.rooms.resize_with(PIECE as usize, Room::default);
        few.ends.clear();
        few.findings.clear();
        for (at, (id, room)) in (piece * PIECE..).zip(&mut few.rooms).enumerate() {
            if let Some(history) = archive.read(id, room) {
                few.findings.extend(check(history, thresholds));
                few.ends.push((at, few.findings.len()));
            }
        }
    };
    in_order(threads, pieces, work, |few: &mut Few| {
        let mut findings = few.findings.drain(..);
        let mut begin = 0;
        for (at, end) in &few.ends {
            if let Some(history) = few.rooms.get(*at).map(Room::history) {
                judged.take(history, findings.by_ref().take(end - begin));
            }
            begin = *end;
        }
        ControlFlow::Continue(())
    });
    judged
}

impl Judged {
    fn take(&mut self, history: &History, findings: impl IntoIterator<Item = Finding>) {
        self.transitions_dropped += u64::from(history.dropped);
        self.collector.take(history, findings);
    }
}
