//! Connections that one side let go of all at once, long after their peers had closed them one by
//! one: so they go when a program ends.

use crate::findings::kept::{Join, joined, keep_most};
use crate::findings::time_buckets::TimeBuckets;
use crate::findings::trend::{Hosts, Stretch};
use crate::findings::waits::Wait;
use crate::history::{History, Role};
use crate::limits::{FINDING_FRAMES_MAX, TIME_BUCKETS_MAX};
use crate::time::{Span, Timestamp};

/// Those that waited too long and were closed in the end, by the time of their close.
#[derive(Debug)]
pub(super) struct Releases(TimeBuckets<Released>);

impl Default for Releases {
    fn default() -> Self {
        Releases(TimeBuckets::new(|buckets| buckets.len() as u64 > TIME_BUCKETS_MAX))
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
    /// When they had been closed by their peers.
    came: Stretch,
    /// When they were by this side.
    went: Stretch,
}

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
            came: Stretch(Some((entered.ts, entered.ts))),
            went: Stretch(Some((left, left))),
        };
        one.peers.add(history.addr(role.peer()).ip());
        self.0.add(left, one);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|(_, released)| released.count).sum()
    }

    /// The most that went at once, if they are at least so many and half of all, and within what
    /// time.
    pub fn at_once(&self, least: u64) -> Option<(Released, Span)> {
        let least = least.max(self.count().div_ceil(2));
        let all: Vec<&Released> = self.0.iter().map(|(_, released)| released).collect();
        let mut most = (0, 0..0);
        for begin in 0..all.len() {
            let (mut count, mut came, mut went) = (0, Stretch::default(), Stretch::default());
            for (end, released) in all.iter().enumerate().skip(begin) {
                count += released.count;
                came.join(&released.came);
                went.join(&released.went);
                if count >= least && count > most.0 && within(came, went).is_some() {
                    most = (count, begin..end + 1);
                }
            }
        }
        let mut found = Released::default();
        all.get(most.1).into_iter().flatten().for_each(|released| found.join(released));
        within(found.came, found.went).map(|span| (found, span))
    }
}

joined!(Releases(_));

joined!(Released { count, longest: keep_most, peers, frames: join_frames, came, went });

fn join_frames(own: &mut Vec<u64>, more: &Vec<u64>) {
    own.extend(more);
    own.sort_unstable();
    own.truncate(FINDING_FRAMES_MAX);
}

impl Released {
    /// When the first of them came.
    pub fn since(&self) -> Timestamp {
        self.came.ends().unwrap_or_default().0
    }

    /// How many came in a minute.
    pub fn per_minute(&self) -> f64 {
        self.count as f64 * 60.0 / self.came.length().as_secs_f64().max(1.0)
    }
}

/// Within what time all were let go, if they had come in ten times as long, or longer.
fn within(came: Stretch, went: Stretch) -> Option<Span> {
    /// Whatever comes within less came together itself.
    const APART: Span = Span::from_secs(1);
    let [came, went] = [came, went].map(|stretch| stretch.length());
    (came >= APART && went.times(10) <= came).then_some(went)
}
