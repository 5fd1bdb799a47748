//! From the archive to the findings: every history is read once, and judged, in several threads.
//! Those that concern somebody who is suspect are read once more.

use std::ops::ControlFlow;

use crate::findings::suspects::Keys;
use crate::findings::{
    self, CaptureFacts, Collector, Finding, Sketcher, Summary, Survey, Thresholds,
};
use crate::history::History;
use crate::history::archive::{Archive, Foundry, Room};
use crate::parallel::in_order;

/// Connections that one thread judges at a time.
const PIECE: u64 = 256;

/// What was found.
pub(super) struct Judged {
    pub findings: Summary,
    pub survey: Survey,
    /// Transitions and refutations that connections had no room for.
    pub transitions_dropped: u64,
}

/// A few histories with their findings, in room that is used again.
#[derive(Default)]
struct Few {
    foundry: Foundry,
    rooms: Vec<Room>,
    findings: Vec<Finding>,
    /// For each connection that is there, its room and where its findings end.
    ends: Vec<(usize, usize)>,
}

impl Few {
    /// Reads the connections of a piece that are wanted.
    fn read(&mut self, piece: u64, archive: &Archive, wanted: impl Fn(u64) -> bool) {
        self.rooms.resize_with(PIECE as usize, Room::default);
        self.ends.clear();
        self.findings.clear();
        for (at, (place, room)) in (piece * PIECE..).zip(&mut self.rooms).enumerate() {
            if wanted(place) && archive.read(place, &mut self.foundry, room).is_some() {
                self.ends.push((at, 0));
            }
        }
    }

    /// Finds what there is to find of each by itself.
    fn judge(&mut self, sketcher: &Sketcher<'_>) {
        for (at, end) in &mut self.ends {
            if let Some(room) = self.rooms.get(*at) {
                sketcher.sketch(room.history(), &mut self.findings);
            }
            *end = self.findings.len();
        }
    }

    /// Shows each with its findings.
    fn each(&mut self, mut take: impl FnMut(&History, &mut Vec<Finding>)) {
        let (mut own, mut begin) = (Vec::new(), 0);
        let mut all = self.findings.drain(..);
        for (at, end) in &self.ends {
            own.clear();
            own.extend(all.by_ref().take(end - begin));
            begin = *end;
            if let Some(room) = self.rooms.get(*at) {
                take(room.history(), &mut own);
            }
        }
    }
}

/// Judges all connections, in the order of their numbers.
pub(super) fn judge(
    archive: &Archive,
    thresholds: &Thresholds,
    facts: &CaptureFacts,
    threads: usize,
) -> Judged {
    let mut collector = Collector::new(thresholds.clone());
    let (mut survey, mut transitions_dropped) = (Survey::default(), 0);
    let sketcher = Sketcher::new(thresholds);
    let pieces = archive.reach().div_ceil(PIECE);
    let look = |piece: u64, few: &mut Few| {
        few.read(piece, archive, |_| true);
        few.judge(&sketcher);
    };
    in_order(threads, pieces, look, |few: &mut Few| {
        few.each(|history, own| {
            transitions_dropped += u64::from(history.dropped);
            survey.take(history, own);
            collector.take(history, own.drain(..));
        });
        ControlFlow::Continue(())
    });
    let suspicions = collector.suspicions();
    if suspicions.any() {
        let concerns = |place: u64| {
            let ends = archive.client_and_server(place);
            ends.is_none_or(|(client, server)| suspicions.concern(&Keys::new(client, server)))
        };
        let look = |piece: u64, few: &mut Few| few.read(piece, archive, concerns);
        in_order(threads, pieces, look, |few: &mut Few| {
            few.each(|history, _| collector.again(history, &suspicions));
            ControlFlow::Continue(())
        });
    }
    let mut findings = collector.finish(facts);
    survey.finish(&findings.grouped);
    for worst in findings.worst.values_mut() {
        findings::tell(worst, thresholds, |id| archive.get(id));
    }
    Judged { findings, survey, transitions_dropped }
}
