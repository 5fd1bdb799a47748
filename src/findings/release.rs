//! Connections that one side let go of all at once, long after their peers had closed them one by
//! one: so they go when a program ends.

use crate::findings::trend::Hosts;
use crate::findings::waits::Wait;
use crate::history::{History, Role};
use crate::limits::FINDING_FRAMES_MAX;
use crate::time::{Span, Timestamp};

/// What is counted of them.
#[derive(Debug, Default)]
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
    bounds: Option<[(Timestamp, Timestamp); 2]>,
}

impl Released {
    /// One more: it waited too long, and was closed then.
    pub fn add(&mut self, history: &History, role: Role, wait: &Wait) {
        let entered = wait.stay.entered.at;
        let moments = [entered.ts, wait.stay.left.unwrap_or(history.until)];
        let bounds = self.bounds.unwrap_or(moments.map(|at| (at, at)));
        let [came, went] = bounds;
        let [enters, leaves] = moments;
        let widen =
            |(first, last): (Timestamp, Timestamp), at: Timestamp| (at.min(first), at.max(last));
        self.bounds = Some([widen(came, enters), widen(went, leaves)]);
        self.count += 1;
        self.longest = self.longest.max(wait.length);
        self.peers.add(history.addr(role.peer()).ip());
        let place = self.frames.partition_point(|frame| *frame < entered.frame);
        self.frames.insert(place, entered.frame);
        self.frames.truncate(FINDING_FRAMES_MAX);
    }

    /// When the first of them came.
    pub fn since(&self) -> Timestamp {
        self.bounds.map_or(Timestamp::default(), |[(first, _), _]| first)
    }

    /// Within what time all were let go, if they had come in ten times as long, or longer.
    pub fn at_once(&self) -> Option<Span> {
        /// Whatever comes within less came together itself.
        const APART: Span = Span::from_secs(1);
        let [came, went] = self.bounds?.map(|(first, last)| last.since(first));
        (came >= APART && went.times(10) <= came).then_some(went)
    }

    /// How many came in a minute.
    pub fn per_minute(&self) -> f64 {
        let [came, _] = self.bounds.unwrap_or_default().map(|(first, last)| last.since(first));
        self.count as f64 * 60.0 / came.as_secs_f64().max(1.0)
    }
}
