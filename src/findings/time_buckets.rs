//! Counts over time, in buckets that double their width where they become too many.

use crate::findings::kept::Join;
use crate::time::Timestamp;

/// The width of the first buckets: 2^30 nanoseconds, about a second.
const SHIFT_MIN: u32 = 30;

/// Something counted for each bucket of time. What it holds does not depend on the order in which
/// it came, if whether there are too many buckets depends on no more than which ones they are.
#[derive(Clone, Debug)]
pub(super) struct TimeBuckets<T> {
    shift: u32,
    /// Those in use, in order.
    all: Vec<(i64, T)>,
    are_many: fn(&[(i64, T)]) -> bool,
}

impl<T: Clone + Join> TimeBuckets<T> {
    /// None yet. All double their width while `are_many` says of those in use that they are.
    pub fn new(are_many: fn(&[(i64, T)]) -> bool) -> TimeBuckets<T> {
        TimeBuckets { shift: SHIFT_MIN, all: Vec::new(), are_many }
    }

    /// One more at that time.
    pub fn add(&mut self, ts: Timestamp, one: T) {
        let at = ts.as_nanos() >> self.shift;
        // Mostly the newest bucket, or a new one after it.
        if let Some((_, counts)) = self.all.last_mut().filter(|(last, _)| *last == at) {
            return counts.join(&one);
        }
        let place = self.all.partition_point(|(known, _)| *known < at);
        match self.all.get_mut(place) {
            Some((known, counts)) if *known == at => counts.join(&one),
            _ => {
                self.all.insert(place, (at, one));
                self.widen_if_many();
            }
        }
    }

    /// What is counted in each, in order of time, with its beginning.
    pub fn iter(&self) -> impl Iterator<Item = (Timestamp, &T)> {
        let begin = |at: i64| Timestamp::from_nanos(at << self.shift);
        self.all.iter().map(move |(at, counts)| (begin(*at), counts))
    }

    /// Whether they are as narrow as can be.
    pub fn are_narrow(&self) -> bool {
        self.shift == SHIFT_MIN
    }

    fn widen_if_many(&mut self) {
        while (self.are_many)(&self.all) {
            self.widen();
        }
    }

    fn widen(&mut self) {
        self.shift += 1;
        self.all.iter_mut().for_each(|(at, _)| *at >>= 1);
        self.join_equal();
    }

    /// Makes one of those at the same place, which stand together.
    fn join_equal(&mut self) {
        self.all.dedup_by(|(next, more), (at, counts)| {
            let is_same = next == at;
            if is_same {
                counts.join(more);
            }
            is_same
        });
    }
}

impl<T: Clone + Join> Join for TimeBuckets<T> {
    fn join(&mut self, other: &TimeBuckets<T>) {
        // In wider buckets nobody knows where in them narrower ones were.
        while self.shift < other.shift {
            self.widen();
        }
        let narrower = self.shift - other.shift;
        self.all.extend(other.all.iter().map(|(at, counts)| (at >> narrower, counts.clone())));
        self.all.sort_by_key(|(at, _)| *at);
        self.join_equal();
        self.widen_if_many();
    }
}
