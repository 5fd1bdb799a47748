//! Connections that one side let go of all at once, long after their peers had closed them one by
//! one: so they go when a program ends.

use std::collections::BTreeMap;

use crate::findings::kept::Join;
use crate::findings::trend::Hosts;
use crate::findings::waits::Wait;
use crate::history::{History, Role};
use crate::limits::{FINDING_FRAMES_MAX, TIME_BUCKETS_MAX};
use crate::time::{Span, Timestamp};

/// The width of the first buckets: 2^30 nanoseconds, about a second.
const SHIFT_MIN: u32 = 30;

/// Those that waited too long and were closed in the end, by the time of their close, in buckets
/// that double their width when too many are in use.
#[derive(Debug)]
pub(super) struct Releases {
    shift: u32,
    buckets: BTreeMap<i64, Released>,
}

impl Default for Releases {
    fn default() -> Self {
        Releases { shift: SHIFT_MIN, buckets: BTreeMap::new() }
    }
}

/// What is counted of those that were closed in some time.
#[derive(Clone, Debug, Default)]
pub(super) struct Released {
    /// How many.
    pub count: u64,
    /// The longest wait.
    pub longest: Span,
    /// Who had closed them.
    pub peers: Hosts,
    /// When each closed, in the order of their coming: a few frames to look at.
    pub frames: Vec<u64>,
    /// When the first and the last had been closed by their peers, and by this side.
    bounds: Bounds,
}

type Bounds = Option<[(Timestamp, Timestamp); 2]>;

impl Releases {
    /// One more: it waited too long, and was closed then.
    pub fn add(&mut self, history: &History, role: Role, wait: &Wait) {
        let entered = wait.stay.entered.at;
        let left = wait.stay.left.unwrap_or(history.until);
        let mut one = Released {
            count: 1,
            longest: wait.length,
            peers: Hosts::default(),
            frames: vec![entered.frame],
            bounds: Some([entered.ts, left].map(|at| (at, at))),
        };
        one.peers.add(history.addr(role.peer()).ip());
        self.buckets.entry(left.as_nanos() >> self.shift).or_default().join(&one);
        self.widen_if_many();
    }

    fn widen_if_many(&mut self) {
        while self.buckets.len() as u64 > TIME_BUCKETS_MAX {
            self.widen();
        }
    }

    fn widen(&mut self) {
        self.shift += 1;
        for (bucket, released) in core::mem::take(&mut self.buckets) {
            self.buckets.entry(bucket >> 1).or_default().join(&released);
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.buckets.values().map(|released| released.count).sum()
    }

    /// The most that went at once, if they are at least so many and half of all, and within what
    /// time.
    pub fn at_once(&self, least: u64) -> Option<(Released, Span)> {
        let least = least.max(self.count().div_ceil(2));
        let all: Vec<&Released> = self.buckets.values().collect();
        let mut most = (0, 0..0);
        for begin in 0..all.len() {
            let (mut count, mut bounds) = (0, None);
            for (end, released) in all.iter().enumerate().skip(begin) {
                count += released.count;
                bounds = joined(bounds, released.bounds);
                if count >= least && count > most.0 && within(bounds).is_some() {
                    most = (count, begin..end + 1);
                }
            }
        }
        let mut found = Released::default();
        all.get(most.1).into_iter().flatten().for_each(|released| found.join(released));
        within(found.bounds).map(|span| (found, span))
    }
}

impl Join for Releases {
    fn join(&mut self, other: &Releases) {
        while self.shift < other.shift {
            self.widen();
        }
        for (bucket, released) in &other.buckets {
            self.buckets.entry(bucket >> (self.shift - other.shift)).or_default().join(released);
        }
        self.widen_if_many();
    }
}

impl Join for Released {
    fn join(&mut self, other: &Released) {
        self.count += other.count;
        self.longest = self.longest.max(other.longest);
        self.peers.join(&other.peers);
        self.frames.extend(&other.frames);
        self.frames.sort_unstable();
        self.frames.truncate(FINDING_FRAMES_MAX);
        self.bounds = joined(self.bounds, other.bounds);
    }
}

impl Released {
    /// When the first of them came.
    pub fn since(&self) -> Timestamp {
        self.bounds.map_or(Timestamp::default(), |[(first, _), _]| first)
    }

    /// How many came in a minute.
    pub fn per_minute(&self) -> f64 {
        let [came, _] = self.bounds.unwrap_or_default().map(|(first, last)| last.since(first));
        self.count as f64 * 60.0 / came.as_secs_f64().max(1.0)
    }
}

fn joined(one: Bounds, other: Bounds) -> Bounds {
    let (Some([came, went]), Some([comes, goes])) = (one, other) else { return one.or(other) };
    let widest =
        |(a, b): (Timestamp, Timestamp), (c, d): (Timestamp, Timestamp)| (a.min(c), b.max(d));
    Some([widest(came, comes), widest(went, goes)])
}

/// Within what time all were let go, if they had come in ten times as long, or longer.
fn within(bounds: Bounds) -> Option<Span> {
    /// Whatever comes within less came together itself.
    const APART: Span = Span::from_secs(1);
    let [came, went] = bounds?.map(|(first, last)| last.since(first));
    (came >= APART && went.times(10) <= came).then_some(went)
}
