//! The segments of one connection, kept while the capture is read, and folded for people: what
//! changes a state stands by itself, runs of ordinary segments become one row.

use std::collections::BTreeSet;

use crate::decode::segment::{Flags, Segment};
use crate::decode::tuple::End;
use crate::history::History;
use crate::infer::trail::Moment;
use crate::limits::{LADDER_CONTROL_ROWS_MAX, LADDER_SEGMENTS_MAX};
use crate::time::Span;

/// Ordinary segments in a row that are still shown one by one.
const RUN_SHOWN_MAX: usize = 2;

/// One step of a connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// A segment and its sender.
    Segment(End, Segment),
    /// Ordinary segments.
    Run(Run),
}

impl Step {
    fn frame(&self) -> u64 {
        match self {
            Step::Segment(_, segment) => segment.frame,
            Step::Run(run) => run.last.frame,
        }
    }
}

/// Segments that are told in sum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Run {
    /// How many, from end A and from end B.
    pub segments: [u64; 2],
    /// Their payload, likewise.
    pub bytes: [u64; 2],
    /// The first of them.
    pub first: Moment,
    /// The last of them.
    pub last: Moment,
    /// The longest time between two of them.
    pub pause: Span,
}

impl Run {
    fn new(from: End, segment: &Segment) -> Run {
        let at = segment.at();
        let mut run =
            Run { segments: [0; 2], bytes: [0; 2], first: at, last: at, pause: Span::ZERO };
        run.add(from, segment);
        run
    }

    fn add(&mut self, from: End, segment: &Segment) {
        let (a, b) = match from {
            End::A => (1, 0),
            End::B => (0, 1),
        };
        let payload = u64::from(segment.payload);
        self.join(&Run {
            segments: [a, b],
            bytes: [a * payload, b * payload],
            first: segment.at(),
            last: segment.at(),
            pause: Span::ZERO,
        });
    }

    fn join(&mut self, later: &Run) {
        let sum = |[a, b]: [u64; 2], [c, d]: [u64; 2]| [a.saturating_add(c), b.saturating_add(d)];
        self.segments = sum(self.segments, later.segments);
        self.bytes = sum(self.bytes, later.bytes);
        self.pause = self.pause.max(later.pause).max(later.first.ts.since(self.last.ts));
        self.last = later.last;
    }

    /// All segments.
    pub fn count(&self) -> u64 {
        self.segments.iter().sum()
    }
}

/// The steps of one connection so far.
#[derive(Clone, Debug, Default)]
pub struct Reel {
    steps: Vec<Step>,
}

impl Reel {
    /// Takes the next segment.
    pub fn push(&mut self, from: End, segment: &Segment) {
        let room = if is_control(segment) { 2 * LADDER_SEGMENTS_MAX } else { LADDER_SEGMENTS_MAX };
        let is_room = self.steps.len() < room;
        // A SYN that waited for its answer comes behind what passed meanwhile.
        let later = self.steps.iter().rev().take_while(|step| step.frame() > segment.frame);
        let at = self.steps.len() - later.count();
        match self.steps.last_mut() {
            _ if is_room => self.steps.insert(at, Step::Segment(from, *segment)),
            Some(Step::Run(run)) => run.add(from, segment),
            _ => self.steps.push(Step::Run(Run::new(from, segment))),
        }
    }

    /// What is worth a row each: steps that change, confirm or refute a state, those that facts
    /// and `frames` point to, and the control segments; all others in runs.
    pub fn folded(&self, history: &History, frames: &[u64]) -> Vec<Step> {
        let wanted = frames_of(history, frames);
        let mut control = 0;
        let mut rows = Vec::new();
        let mut run = Pending::default();
        for step in &self.steps {
            let Step::Segment(from, segment) = step else {
                run.take(step);
                continue;
            };
            let mut is_shown = wanted.contains(&segment.frame);
            if !is_shown && is_control(segment) {
                control += 1;
                is_shown = control <= LADDER_CONTROL_ROWS_MAX;
            }
            if is_shown {
                run.flush(&mut rows);
                rows.push(Step::Segment(*from, *segment));
            } else {
                run.take(step);
            }
        }
        run.flush(&mut rows);
        rows
    }
}

/// A run that may turn out too short to be one.
#[derive(Default)]
struct Pending {
    steps: Vec<Step>,
    run: Option<Run>,
}

impl Pending {
    fn take(&mut self, step: &Step) {
        if self.steps.len() <= RUN_SHOWN_MAX {
            self.steps.push(*step);
        }
        match (&mut self.run, step) {
            (Some(run), Step::Segment(from, segment)) => run.add(*from, segment),
            (Some(run), Step::Run(later)) => run.join(later),
            (run, Step::Segment(from, segment)) => *run = Some(Run::new(*from, segment)),
            (run, Step::Run(first)) => *run = Some(*first),
        }
    }

    fn flush(&mut self, rows: &mut Vec<Step>) {
        match self.run.take() {
            Some(run) if self.steps.len() > RUN_SHOWN_MAX => rows.push(Step::Run(run)),
            _ => rows.append(&mut self.steps),
        }
        self.steps.clear();
    }
}

fn is_control(segment: &Segment) -> bool {
    [Flags::SYN, Flags::FIN, Flags::RST].iter().any(|flag| segment.has(*flag))
}

/// The frames that say something about a state.
fn frames_of(history: &History, more: &[u64]) -> BTreeSet<u64> {
    let transitions = history.transitions.iter().flat_map(|t| [t.at.frame, t.confirmed.frame]);
    let refuted = history.refuted.iter().flat_map(|refuted| [refuted.at.frame, refuted.by.frame]);
    let facts = history.facts.iter().flat_map(|fact| [fact.first.frame, fact.last.frame]);
    transitions.chain(refuted).chain(facts).chain(more.iter().copied()).collect()
}
