//! From the archive to the findings: every history is read once, and judged. Those that concern
//! somebody who is suspect are read once more.
//!
//! Each thread has a collector and a survey of its own, so that a history, which is kilobytes, is
//! read and counted by one core; in the end they are joined, and who counted what does not show.

use crate::findings::suspects::Keys;
use crate::findings::{
    self, CaptureFacts, Collector, Finding, Sketcher, Summary, Survey, Suspicions, Thresholds,
};
use crate::history::archive::{Archive, Foundry, Room};
use crate::parallel::share;

/// Connections that one thread judges at a time.
const PIECE: u64 = 256;

/// What was found.
pub(super) struct Judged {
    pub findings: Summary,
    pub survey: Survey,
    /// Transitions and refutations that connections had no room for.
    pub transitions_dropped: u64,
}

/// What one thread found, and room to read in.
struct Judge {
    foundry: Foundry,
    room: Room,
    /// What is found about one connection by itself.
    own: Vec<Finding>,
    collector: Collector,
    survey: Survey,
    transitions_dropped: u64,
}

impl Judge {
    fn new(thresholds: &Thresholds) -> Judge {
        Judge {
            foundry: Foundry::default(),
            room: Room::default(),
            own: Vec::new(),
            collector: Collector::new(thresholds.clone()),
            survey: Survey::default(),
            transitions_dropped: 0,
        }
    }

    /// Looks at the connections of a piece.
    fn look(&mut self, piece: u64, archive: &Archive, sketcher: &Sketcher<'_>) {
        for place in places(piece) {
            if let Some(history) = archive.read(place, &mut self.foundry, &mut self.room) {
                sketcher.sketch(history, &mut self.own);
                self.transitions_dropped += u64::from(history.dropped);
                self.survey.take(history, &self.own);
                self.collector.take(history, self.own.drain(..));
            }
        }
    }

    /// Looks again at those of them that concern somebody suspect.
    fn look_again(&mut self, piece: u64, archive: &Archive, suspicions: &Suspicions) {
        for place in places(piece) {
            let ends = archive.client_and_server(place);
            let concerns =
                ends.is_none_or(|(client, server)| suspicions.concern(&Keys::new(client, server)));
            if concerns
                && let Some(history) = archive.read(place, &mut self.foundry, &mut self.room)
            {
                self.collector.again(history, suspicions);
            }
        }
    }

    fn join(&mut self, other: Judge) {
        self.collector.join(other.collector);
        self.survey.join(other.survey);
        self.transitions_dropped += other.transitions_dropped;
    }
}

fn places(piece: u64) -> core::ops::Range<u64> {
    piece * PIECE..(piece + 1) * PIECE
}

/// Judges all connections, in so many threads.
pub(super) fn judge(
    archive: &Archive,
    thresholds: &Thresholds,
    facts: &CaptureFacts,
    threads: usize,
) -> Judged {
    let sketcher = Sketcher::new(thresholds);
    let pieces = archive.reach().div_ceil(PIECE);
    let threads = (threads as u64).min(pieces).max(1);
    let mut judges: Vec<Judge> = (0..threads).map(|_| Judge::new(thresholds)).collect();
    share(&mut judges, pieces, |piece, judge| judge.look(piece, archive, &sketcher));
    let suspicions = Suspicions::of(judges.iter_mut().map(|judge| &mut judge.collector));
    if suspicions.any() {
        share(&mut judges, pieces, |piece, judge| judge.look_again(piece, archive, &suspicions));
    }
    let all = judges.into_iter().reduce(|mut all, judge| {
        all.join(judge);
        all
    });
    let Judge { collector, mut survey, transitions_dropped, .. } =
        all.unwrap_or_else(|| Judge::new(thresholds));
    let mut findings = collector.finish(facts);
    survey.finish(&findings.grouped);
    for worst in findings.worst.values_mut() {
        findings::tell(worst, thresholds, |id| archive.get(id));
    }
    Judged { findings, survey, transitions_dropped }
}
