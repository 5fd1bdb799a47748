//! What is counted of many connections beside their number: when they came, how old they are, how
//! many at once, from how many hosts. All bounded, and none depends on the order of the
//! connections.

use std::collections::BTreeMap;

use crate::addr::Addr;
use crate::findings::kept::{Join, joined};
use crate::findings::service::Party;
use crate::findings::time_buckets::TimeBuckets;
use crate::findings::{Context, Finding, Value};
use crate::infer::trail::Moment;
use crate::limits::{FINDING_FRAMES_MAX, PEERS_MAX, TIME_BUCKETS_MAX};
use crate::time::{Span, Timestamp};

/// Beginnings and ends over time, in buckets whose width depends on the first and the last moment
/// only.
#[derive(Debug)]
pub(super) struct Crowd(TimeBuckets<Flow>);

/// What happened in a bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Flow {
    began: u64,
    /// Those of them that took nobody's place.
    fresh: u64,
    ended: u64,
}

impl Default for Crowd {
    fn default() -> Self {
        Crowd(TimeBuckets::new(|buckets| match buckets {
            [(first, _), .., (last, _)] => last.abs_diff(*first) >= TIME_BUCKETS_MAX,
            _ => false,
        }))
    }
}

impl Crowd {
    /// One more, from `begin` on, to `end` if it has one. One that `follows` took the place of
    /// another one that was over by then.
    pub fn add(&mut self, begin: Timestamp, end: Option<Timestamp>, follows: bool) {
        self.0.add(begin, Flow { began: 1, fresh: u64::from(!follows), ended: 0 });
        if let Some(end) = end {
            self.0.add(end, Flow { ended: 1, ..Flow::default() });
        }
    }

    /// The most that were there at the end of a bucket, and when.
    pub fn peak(&self) -> (u64, Timestamp) {
        let mut now = 0_u64;
        let mut peak = (0, Timestamp::default());
        for (begin, Flow { began, fresh, ended }) in self.0.iter() {
            // Within a bucket nobody knows who came first: those that end in it were there. But
            // whoever follows was not there together with the one before, so such a one counts
            // only if it is there at the end: never are there more than places.
            let most = now + fresh;
            now = (now + began).saturating_sub(*ended);
            let seen = if self.0.are_narrow() { most.max(now) } else { now };
            if seen > peak.0 {
                peak = (seen, begin);
            }
        }
        peak
    }
}

joined!(Crowd(_));

joined!(Flow { began, fresh, ended });

/// Lengths of time, counted by their magnitude: each class is twice the one before.
#[derive(Debug, Default)]
pub(super) struct Ages(BTreeMap<u32, u64>);

impl Ages {
    /// One more.
    pub fn add(&mut self, age: Span) {
        let seconds = age.as_nanos() / 1_000_000_000;
        *self.0.entry(u64::BITS - seconds.leading_zeros()).or_default() += 1;
    }

    /// `3 of 64 to 128 s, 34 of 128 to 256 s`.
    pub fn words(&self) -> String {
        let classes = self.0.iter().map(|(class, count)| match class {
            0 => format!("{count} below 1 s"),
            _ => {
                let least = 1_u64 << (class - 1);
                format!("{count} of {least} to {} s", least.saturating_mul(2))
            }
        });
        classes.collect::<Vec<_>>().join(", ")
    }
}

joined!(Ages(_));

/// Different hosts, as far as there is room for them: the first in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hosts {
    /// In order.
    known: Vec<Addr>,
    more: bool,
}

impl Hosts {
    /// One more.
    pub fn add(&mut self, host: Addr) {
        let is_behind = self.known.last().is_some_and(|last| host > *last);
        if is_behind && self.known.len() >= PEERS_MAX {
            self.more = true;
            return;
        }
        if let Err(place) = self.known.binary_search(&host) {
            self.known.insert(place, host);
        }
        if self.known.len() > PEERS_MAX {
            self.known.pop();
            self.more = true;
        }
    }

    /// Whether there are so many, as far as they are told apart.
    pub fn reach(&self, least: u64) -> bool {
        self.known.len() as u64 >= least
    }

    /// How many, or how many at least.
    pub fn count(&self) -> Value {
        Value::count(self.known.len() as u64, self.more)
    }

    /// `10.9.0.1`, or `3 hosts`, or `64 hosts or more`.
    pub fn words(&self) -> String {
        match (self.known.first(), self.known.len(), self.more) {
            (Some(only), 1, false) => only.to_string(),
            (_, count, false) => format!("{count} hosts"),
            (_, count, true) => format!("{count} hosts or more"),
        }
    }
}

impl Join for Hosts {
    fn join(&mut self, other: &Hosts) {
        other.known.iter().for_each(|host| self.add(*host));
        self.more |= other.more;
    }
}

/// The time from the first of some moments to the last.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Stretch(pub Option<(Timestamp, Timestamp)>);

impl Stretch {
    /// One more moment.
    pub fn add(&mut self, at: Timestamp) {
        self.join(&Stretch(Some((at, at))));
    }

    /// The first and the last, if there are any.
    pub fn ends(&self) -> Option<(Timestamp, Timestamp)> {
        self.0
    }

    /// From the first to the last.
    pub fn length(&self) -> Span {
        self.0.map_or(Span::ZERO, |(first, last)| last.since(first))
    }
}

impl Join for Stretch {
    fn join(&mut self, other: &Stretch) {
        self.0 = match (self.0, other.0) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (one, other) => one.or(other),
        };
    }
}

/// The connections that came first, to look at, and when the newest came.
#[derive(Debug, Default)]
pub(super) struct Firsts {
    first: Vec<(Moment, u64)>,
    newest: Timestamp,
}

impl Firsts {
    /// One more, by its first segment and its number.
    pub fn add(&mut self, first: Moment, id: u64) {
        self.goes_on(first.ts);
        let key = |(at, id): &(Moment, u64)| (at.ts, *id, at.frame);
        let own = key(&(first, id));
        let full = self.first.len() == FINDING_FRAMES_MAX;
        if full && self.first.last().is_some_and(|last| key(last) <= own) {
            return;
        }
        let place = self.first.partition_point(|known| key(known) < own);
        self.first.insert(place, (first, id));
        self.first.truncate(FINDING_FRAMES_MAX);
    }

    /// What is counted happened then, too.
    pub fn goes_on(&mut self, at: Timestamp) {
        self.newest = self.newest.max(at);
    }

    /// The connection that it is about, if so many are one.
    pub fn only(&self, connections: u64) -> Option<u64> {
        self.first.first().filter(|_| connections == 1).map(|(_, id)| *id)
    }

    /// A finding about no connection in particular.
    pub fn of_capture(&self, context: &Context, message: String) -> Finding {
        let (at, _) = self.first.first().copied().unwrap_or_default();
        let frames = self.first.iter().map(|(at, _)| at.frame).collect();
        Finding { frames, newest: Some(self.newest), ..context.of_capture(at, message) }
    }

    /// A finding about one side of a service that so many connections raised.
    pub fn finding(
        &self,
        connections: u64,
        party: &Party,
        context: &Context,
        message: String,
    ) -> Finding {
        Finding {
            connection: self.only(connections),
            role: Some(party.role),
            host: Some(party.addr()),
            service: Some(party.service),
            ..self.of_capture(context, message)
        }
    }
}

impl Join for Firsts {
    fn join(&mut self, other: &Firsts) {
        other.first.iter().for_each(|(first, id)| self.add(*first, *id));
        self.goes_on(other.newest);
    }
}

/// Those that came to hold a descriptor and never closed it.
pub(super) struct Came {
    /// How many.
    pub count: u64,
    /// Those whose peer ended their connection: their descriptors may be in use all the same.
    pub ended: u64,
    /// When the first came.
    pub first: Timestamp,
    /// When the last came.
    pub last: Timestamp,
    /// When the capture ended.
    pub until: Timestamp,
}

/// How the number of such connections moves.
pub(super) struct Trend {
    /// In a word.
    pub name: &'static str,
    /// In a clause, with the mark before it.
    pub words: String,
    /// How many came in a minute.
    pub per_minute: f64,
    /// Until the descriptors are used up, if the number grows.
    pub left: Option<Span>,
}

impl Came {
    fn per_minute(&self) -> f64 {
        let minutes = self.until.since(self.first).as_secs_f64() / 60.0;
        self.count as f64 / minutes.max(1.0 / 60.0)
    }

    /// The trend if none is left.
    pub fn ended(&self) -> Trend {
        let per_minute = self.per_minute();
        Trend { name: "ended", words: String::new(), per_minute, left: None }
    }

    /// The trend if some are left: none has come for long if that is `hold` or longer, and a
    /// program may have `limit` descriptors.
    pub fn trend(&self, hold: Span, limit: f64) -> Trend {
        let per_minute = self.per_minute();
        let (spread, quiet) = (self.last.since(self.first), self.until.since(self.last));
        if quiet >= hold && quiet > spread.times(4) {
            let words = format!("; all came within {spread}, none in the {quiet} since");
            return Trend { name: "burst", words, per_minute, left: None };
        }
        let apart = Span::from_nanos(spread.as_nanos() / self.count.saturating_sub(1).max(1));
        if quiet >= hold && quiet > apart.times(5) {
            let words = format!("; steady: they came within {spread}, none in the {quiet} since");
            return Trend { name: "steady", words, per_minute, left: None };
        }
        let left = Span::from_secs_f64((limit - self.count as f64).max(0.0) * 60.0 / per_minute);
        let when = match left {
            Span::ZERO => String::new(),
            left => format!(" in {left}"),
        };
        let words = match self.ended {
            0 => format!(
                ", growing by {per_minute:.1} per minute ({limit} descriptors are used up{when})"
            ),
            _ => format!(
                "; {per_minute:.1} more come per minute (if the program keeps the descriptors of \
                 all, {limit} are used up{when})"
            ),
        };
        Trend { name: "growing", words, per_minute, left: Some(left) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(at: i64) -> Timestamp {
        Timestamp::from_nanos(at * 1_000_000_000)
    }

    #[test]
    fn the_peak_of_a_crowd_counts_those_that_are_there_at_once() {
        let mut crowd = Crowd::default();
        for at in 0..10 {
            crowd.add(second(at * 10), Some(second(at * 10 + 25)), false);
        }
        assert_eq!(crowd.peak().0, 3);
        crowd.add(second(100), None, false);
        crowd.add(second(100_000), None, false);
        assert_eq!(crowd.0.iter().map(|(_, flow)| flow.began).sum::<u64>(), 12);
    }

    #[test]
    fn those_that_follow_one_another_are_never_there_at_once() {
        let mut crowd = Crowd::default();
        let moment = |millis: i64| Timestamp::from_nanos(millis * 1_000_000);
        // Two places, each taken again and again within one bucket, and in the next.
        for at in 0..150 {
            crowd.add(moment(at * 10), Some(moment(at * 10 + 20)), at >= 2);
        }
        assert_eq!(crowd.peak().0, 2);
        // A third place is taken for long, and after a pause once more.
        crowd.add(moment(500), Some(moment(2_500)), false);
        crowd.add(moment(5_000), Some(moment(9_500)), true);
        assert_eq!(crowd.peak().0, 3);
    }

    #[test]
    fn a_crowd_does_not_depend_on_the_order() {
        let spans = [(5, Some(9)), (1, None), (90_000, Some(90_001)), (40, Some(41)), (41, None)];
        let fill = |order: &mut dyn Iterator<Item = &(i64, Option<i64>)>| {
            let mut crowd = Crowd::default();
            order.for_each(|(begin, end)| crowd.add(second(*begin), end.map(second), false));
            let told = crowd.0.iter().map(|(begin, flow)| (begin, *flow));
            (crowd.0.are_narrow(), told.collect::<Vec<_>>())
        };
        assert_eq!(fill(&mut spans.iter()), fill(&mut spans.iter().rev()));
    }

    #[test]
    fn ages_are_told_by_magnitude() {
        let mut ages = Ages::default();
        [Span::ZERO, Span::from_secs(70), Span::from_secs(100), Span::from_secs(200)]
            .into_iter()
            .for_each(|age| ages.add(age));
        assert_eq!(ages.words(), "1 below 1 s, 2 of 64 to 128 s, 1 of 128 to 256 s");
    }

    #[test]
    fn hosts_beyond_the_bound_are_said_to_be_more() {
        let mut hosts = Hosts::default();
        hosts.add(Addr::from([10, 0, 0, 1]));
        assert_eq!((hosts.words().as_str(), hosts.count()), ("10.0.0.1", Value::Integer(1)));
        (0..=255).for_each(|last| hosts.add(Addr::from([10, 0, 0, last])));
        assert_eq!(hosts.words(), "64 hosts or more");
        assert_eq!(hosts.count(), Value::AtLeast(64));
        let mut first = Hosts::default();
        (0..64).for_each(|last| first.add(Addr::from([10, 0, 0, last])));
        assert_eq!(first.count(), Value::Integer(64));
        first.join(&hosts);
        assert_eq!(first, hosts, "there are more, though none of these");
    }
}
