//! Which packets belong to connections.
//!
//! The whole capture is followed once more, in the same way, so that a segment goes to the
//! connection in whose story it stands, whatever passed on its four-tuple. What stands in no story,
//! a copy or an ICMP error, goes with the connection that had the four-tuple when it came; a copy
//! of a SYN that waited for its answer goes where that went in the end.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::capture::Merge;
use crate::decode::segment::Segment;
use crate::decode::tuple::{End, FourTuple};
use crate::history::History;
use crate::limits::HELD_FRAMES_MAX;
use crate::pipeline::{Goes, Keyed, Sink, Tracker};
use crate::run::{Analysis, Options};
use crate::time::Timestamp;

/// Numbers, one bit each.
#[derive(Debug, Default)]
struct Bits {
    words: Vec<u64>,
    count: u64,
}

impl Bits {
    fn add(&mut self, number: u64) {
        let (word, bit) = ((number / 64) as usize, 1 << (number % 64));
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        if let Some(word) = self.words.get_mut(word) {
            self.count += u64::from(*word & bit == 0);
            *word |= bit;
        }
    }

    fn has(&self, number: u64) -> bool {
        let word = self.words.get((number / 64) as usize);
        word.is_some_and(|word| word & 1 << (number % 64) != 0)
    }
}

/// The connections that are wanted.
#[derive(Debug, Default)]
pub struct Chosen(Bits);

impl Chosen {
    /// Those of the analysis that `wanted` chooses.
    pub fn new(analysis: &Analysis, wanted: impl Fn(&History) -> bool) -> Chosen {
        let mut chosen = Chosen::default();
        let ids = analysis.archive.iter().filter(wanted).map(|history| history.id);
        ids.for_each(|id| chosen.0.add(id));
        chosen
    }
}

/// The packets that are wanted, by frame number.
#[derive(Debug, Default)]
pub struct Frames {
    bits: Bits,
    /// Whether a time among them is no whole number of microseconds.
    pub(super) has_nanos: bool,
    /// The latest time among them.
    pub last_ts: Option<Timestamp>,
}

impl Frames {
    fn add(&mut self, frame: u64, ts: Timestamp) {
        self.has_nanos |= ts.as_nanos() % 1000 != 0;
        self.last_ts = self.last_ts.max(Some(ts));
        self.bits.add(frame);
    }

    pub(super) fn has(&self, frame: u64) -> bool {
        self.bits.has(frame)
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.bits.count
    }
}

/// Finds the packets of these connections, in the capture that was analysed with these options.
pub fn find(mut merge: Merge, options: &Options, chosen: &Chosen) -> Frames {
    let finder = Finder {
        chosen,
        frames: Frames::default(),
        told: None,
        waiting: HashMap::default(),
        waiting_max: options.connections_max,
    };
    let mut tracker = options.tracker(finder);
    let mut intake = tracker.intake().noting_parts();
    let mut segments = Vec::new();
    loop {
        match merge.next_packet() {
            Ok(Some(packet)) => intake.packet(&packet, |keyed| segments.push(keyed)),
            Ok(None) => break,
            // It has been told of when the capture was analysed.
            Err(_) => continue,
        }
        let parts = intake.take_parts();
        for keyed in segments.drain(..) {
            take(&mut tracker, &keyed, &parts);
        }
    }
    tracker.close(intake).0.frames
}

/// Takes the next segment, which was put together from the packets of these frames if there are
/// any.
fn take(tracker: &mut Tracker<Finder<'_>>, keyed: &Keyed, parts: &[u64]) {
    let decoded = keyed.decoded();
    tracker.sink().told = None;
    tracker.batch(std::slice::from_ref(keyed));
    let goes = match tracker.sink().told {
        // Not only of SYNs that it answers.
        Some((id, frame)) if frame == decoded.segment.frame => Some(Goes::With(id)),
        _ => tracker.goes(keyed),
    };
    let Some(goes) = goes else { return };
    let ts = decoded.segment.ts;
    let frames = || [decoded.segment.frame].into_iter().chain(parts.iter().copied());
    let finder = tracker.sink();
    match goes {
        Goes::With(id) => finder.add(id, frames(), ts),
        Goes::AsAnswered(id) => {
            let has_room = finder.waiting.len() < finder.waiting_max;
            let waiting = if has_room {
                Some(finder.waiting.entry(decoded.tuple).or_default())
            } else {
                finder.waiting.get_mut(&decoded.tuple)
            };
            match waiting.filter(|waiting| waiting.len() + parts.len() < HELD_FRAMES_MAX) {
                Some(waiting) => waiting.extend(frames().map(|frame| (frame, ts))),
                None => finder.add(id, frames(), ts),
            }
        }
    }
}

/// Is told which connections segments are of.
struct Finder<'a> {
    chosen: &'a Chosen,
    frames: Frames,
    /// The connection and the frame that it was told of last.
    told: Option<(u64, u64)>,
    /// The frames of SYNs that wait for their answers, each before its copies.
    waiting: HashMap<FourTuple, Vec<(u64, Timestamp)>, RandomState>,
    /// Four-tuples for which there is room there.
    waiting_max: usize,
}

impl Finder<'_> {
    fn add(&mut self, id: u64, frames: impl Iterator<Item = u64>, ts: Timestamp) {
        if self.chosen.0.has(id) {
            frames.for_each(|frame| self.frames.add(frame, ts));
        }
    }
}

impl Sink for Finder<'_> {
    fn segment(&mut self, id: u64, _: u32, tuple: &FourTuple, _: End, segment: &Segment) {
        self.told = Some((id, segment.frame));
        self.add(id, [segment.frame].into_iter(), segment.ts);
        if self.waiting.is_empty() {
            return;
        }
        let first = self.waiting.get(tuple).and_then(|waiting| waiting.first());
        if first.is_some_and(|(frame, _)| *frame == segment.frame) {
            for (frame, ts) in self.waiting.remove(tuple).unwrap_or_default() {
                self.add(id, [frame].into_iter(), ts);
            }
        }
    }
}
