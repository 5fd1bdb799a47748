//! From the archive to the findings: every history is read once, and judged. Those that concern
//! somebody who is suspect are read once more, and in the end those of the worst findings, to tell
//! these in full.
//!
//! Each thread has a collector and a survey of its own, so that a history, which is kilobytes, is
//! read and counted by one core; in the end they are joined, and who counted what does not show.

use core::mem::replace;
use std::sync::{Mutex, PoisonError};

use crate::findings::suspects::Keys;
use crate::findings::{
    self, CaptureFacts, Collector, Finding, Sketcher, Summary, Survey, Suspicions, Thresholds,
};
use crate::history::archive::{Archive, Foundry, Room};
use crate::limits::JUDGES_MAX;
use crate::parallel::share;

/// Connections that one thread judges at a time.
const PIECE: u64 = 256;
/// Histories that are read one after the other, and then judged one after the other: a few, so that
/// they stay in a core's cache, and more than one, so that the code of both does.
const ROOMS: usize = 16;

/// What was found.
pub(super) struct Judged {
    pub findings: Summary,
    pub survey: Survey,
    /// Transitions and refutations that connections had no room for.
    pub transitions_dropped: u64,
}

/// What was found by one thread, and by all in the end.
struct Found {
    collector: Collector,
    survey: Survey,
    transitions_dropped: u64,
}

impl Found {
    fn new(thresholds: &Thresholds, connections: u64) -> Found {
        let collector = Collector::new(thresholds.clone(), connections);
        Found { collector, survey: Survey::default(), transitions_dropped: 0 }
    }

    fn joined(mut self, other: Found) -> Found {
        self.collector.join(other.collector);
        self.survey.join(other.survey);
        self.transitions_dropped += other.transitions_dropped;
        self
    }
}

/// One thread's room to read in, and what it found.
struct Judge<'a> {
    sketcher: Sketcher<'a>,
    foundry: Foundry,
    /// Rooms, and whose history is in them, if one is.
    rooms: [(Room, Option<Keys>); ROOMS],
    /// What is found about those connections by themselves.
    own: Vec<Finding>,
    found: Found,
}

impl<'a> Judge<'a> {
    fn new(thresholds: &'a Thresholds, found: Found) -> Self {
        let sketcher = Sketcher::new(thresholds);
        let (foundry, rooms) = (Foundry::default(), Default::default());
        Judge { sketcher, foundry, rooms, own: Vec::new(), found }
    }

    /// Looks at the connections of a piece.
    fn look(&mut self, piece: u64, archive: &Archive) {
        let Found { collector, survey, transitions_dropped } = &mut self.found;
        let mut places = archive.places_ahead(numbers(piece));
        for _ in numbers(piece).step_by(ROOMS) {
            for (room, keys) in &mut self.rooms {
                let place = places.next();
                let history = place.and_then(|it| archive.read(it, &mut self.foundry, room));
                *keys = history.map(Keys::of);
            }
            let rooms = self.rooms.iter();
            let all = rooms.filter_map(|(room, keys)| Some((room.history(), keys.as_ref()?)));
            let mut some = Vec::with_capacity(ROOMS);
            some.extend(all);
            for (history, keys) in &some {
                let before = self.own.len();
                self.sketcher.sketch(history, &mut self.own);
                *transitions_dropped += u64::from(history.dropped);
                survey.take(history, keys, self.own.get(before..).unwrap_or_default());
            }
            collector.take(&some, self.own.drain(..));
        }
    }

    /// Looks again at those of them that concern somebody suspect.
    fn look_again(&mut self, piece: u64, archive: &Archive, suspicions: &Suspicions) {
        for place in archive.places(numbers(piece)) {
            let ends = archive.client_and_server(place);
            let keys = ends.map(|(client, server)| Keys::new(client, server));
            if keys.as_ref().is_none_or(|keys| suspicions.concern(keys))
                && let Some(history) = archive.read(place, &mut self.foundry, &mut self.rooms[0].0)
            {
                let keys = keys.unwrap_or_else(|| Keys::of(history));
                self.found.collector.again(history, &keys, suspicions);
            }
        }
    }

    /// Tells the worst of one name in full. What was learnt of shapes serves to read them again.
    fn tell(&mut self, worst: &mut [Finding], archive: &Archive, thresholds: &Thresholds) {
        let (foundry, room) = (&mut self.foundry, &mut self.rooms[0].0);
        findings::tell(worst, thresholds, |id| archive.find(id, foundry, room).cloned());
    }
}

fn numbers(piece: u64) -> core::ops::Range<u64> {
    piece * PIECE..(piece + 1) * PIECE
}

/// What all of these found; from now on they have found nothing.
fn joined(judges: &mut [Judge<'_>], nothing: impl Fn() -> Found) -> Found {
    let found = judges.iter_mut().map(|it| replace(&mut it.found, nothing()));
    found.reduce(Found::joined).unwrap_or_else(nothing)
}

/// Judges all connections, in so many threads at most.
pub(super) fn judge(
    archive: &Archive,
    thresholds: &Thresholds,
    facts: &CaptureFacts,
    threads: usize,
) -> Judged {
    let pieces = archive.reach().div_ceil(PIECE);
    let threads = (threads as u64).min(JUDGES_MAX).min(pieces).max(1);
    let nothing = || Found::new(thresholds, archive.reach());
    let mut judges: Vec<_> = (0..threads).map(|_| Judge::new(thresholds, nothing())).collect();
    share(&mut judges, pieces, |piece, judge| judge.look(piece, archive));
    let mut all = joined(&mut judges, nothing);
    let suspicions = all.collector.suspicions();
    if suspicions.any() {
        share(&mut judges, pieces, |piece, judge| judge.look_again(piece, archive, &suspicions));
        all = all.joined(joined(&mut judges, nothing));
    }
    let Found { collector, mut survey, transitions_dropped } = all;
    let mut findings = collector.finish(facts);
    survey.finish(&findings.grouped);
    let worst: Vec<_> = findings.worst.values_mut().map(Mutex::new).collect();
    share(&mut judges, worst.len() as u64, |name, judge| {
        if let Some(worst) = worst.get(name as usize) {
            // Nobody else has it.
            let mut worst = worst.lock().unwrap_or_else(PoisonError::into_inner);
            judge.tell(&mut worst, archive, thresholds);
        }
    });
    findings.lead(&survey.groups, thresholds, |id| archive.get(id));
    Judged { findings, survey, transitions_dropped }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Decoded;
    use crate::decode::segment::{Flags, Segment};
    use crate::decode::tuple::{FourTuple, widen_v4};
    use crate::infer::Params;
    use crate::pipeline::Pipeline;
    use crate::time::{Span, Timestamp};

    /// They would, in a table that did not grow with the connections.
    #[test]
    fn strangers_take_no_places_of_those_that_count() {
        const STRANGERS: u32 = 16_000;
        const WRONG: u32 = 20;
        let mut pipeline = Pipeline::new(Params::default(), 1_000_000, ());
        // Those that come first in order are kept.
        for number in 0..STRANGERS + WRONG {
            let client = widen_v4((0x0a00_0000 + number).to_be_bytes());
            let segment = Segment {
                ts: Timestamp::default().after(Span::from_millis(number.into())),
                frame: u64::from(number) + 1,
                window: 500,
                flags: Flags::SYN,
                wrong_checksum: number >= STRANGERS,
                ..Segment::default()
            };
            // So many that it is not a list.
            for port in 0..15 * u16::from(segment.wrong_checksum) + 1 {
                let server = (widen_v4([192, 0, 2, 1]), 80);
                let (tuple, sender) = FourTuple::new(4, (client, 50_000 + port), server);
                pipeline.decoded(&Decoded { tuple, sender, segment });
            }
        }
        let archive = pipeline.close().1;
        for threads in [1, 3] {
            let facts = CaptureFacts::default();
            let judged = judge(&archive, &Thresholds::default(), &facts, threads);
            let found = judged.findings.by_name.get("checksum-offload").copied();
            assert_eq!(found, Some(WRONG.into()), "{threads}");
        }
    }
}
