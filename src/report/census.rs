//! How many sockets were in which state, at moments spread over the capture.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use crate::addr::Addr;
use crate::capture::text::Clock;
use crate::infer::state::State;
use crate::report::json::{self, Shape};
use crate::report::sockets::{stays, wanted};
use crate::run::Analysis;
use crate::time::{Span, Timestamp};

/// Counts of sockets by state, at moments.
#[derive(Clone, Debug, Default)]
pub struct Census {
    /// The moments in order; the last is the capture's end. A capture without a packet has none.
    pub moments: Vec<Timestamp>,
    /// Of each state that any socket was in, in the order of a connection's life.
    pub states: BTreeMap<State, Count>,
    /// What the capture's times mean.
    pub clock: Clock,
}

/// The sockets that were in one state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// How many at each moment.
    pub at: Vec<u64>,
    /// How often one came into the state, between the moments as well.
    pub entered: u64,
}

/// That many moments from `first` to `last`, both among them.
pub fn moments(first: Timestamp, last: Timestamp, count: usize) -> Vec<Timestamp> {
    let nanos = u128::from(last.since(first).as_nanos());
    let steps = count.saturating_sub(1).max(1) as u128;
    let at = |step: u128| first.after(Span::from_nanos((nanos * step / steps) as u64));
    match nanos {
        0 => vec![last],
        _ => (0..=steps).map(at).collect(),
    }
}

/// Moments at that distance from `first` on, and `last`; `None` if they are more than `max`.
pub fn moments_every(
    first: Timestamp,
    last: Timestamp,
    step: Span,
    max: usize,
) -> Option<Vec<Timestamp>> {
    let steps = last.since(first).as_nanos().checked_div(step.as_nanos())?;
    let steps = usize::try_from(steps).ok().filter(|steps| *steps < max)?;
    let mut all: Vec<Timestamp> =
        (0..=steps as u64).map(|at| first.after(step.times(at))).collect();
    if all.last().is_some_and(|newest| *newest < last) {
        all.push(last);
    }
    Some(all)
}

impl Census {
    /// Counts the sockets of these hosts, or of all if none is named, at these moments.
    pub fn new(analysis: &Analysis, moments: Vec<Timestamp>, hosts: &[Addr]) -> Census {
        // What each state gained and lost since the moment before; summed up at the end.
        let mut changes: BTreeMap<State, (Vec<i64>, u64)> = BTreeMap::new();
        let index = |ts: Timestamp| moments.partition_point(|moment| *moment < ts);
        for history in analysis.archive.iter() {
            for role in wanted(&history, hosts) {
                for stay in stays(&history, role) {
                    let (change, entered) = changes
                        .entry(stay.state)
                        .or_insert_with(|| (vec![0; moments.len() + 1], 0));
                    *entered += 1;
                    let begins = index(stay.entered.at.ts);
                    let ends = stay.left.map_or(moments.len(), index);
                    if let Some(change) = change.get_mut(begins) {
                        *change += 1;
                    }
                    if let Some(change) = change.get_mut(ends) {
                        *change -= 1;
                    }
                }
            }
        }
        let states = changes.into_iter().map(|(state, (changes, entered))| {
            let sums = changes.iter().take(moments.len()).scan(0_i64, |sum, change| {
                *sum += change;
                Some(u64::try_from(*sum).unwrap_or_default())
            });
            (state, Count { at: sums.collect(), entered })
        });
        Census { states: states.collect(), moments, clock: analysis.clock() }
    }

    /// Writes it for programs: a line for each moment, or one object.
    pub fn as_json(&self, shape: Shape, out: &mut dyn Write) -> io::Result<()> {
        let lines = self.moments.iter().enumerate().map(|(at, moment)| CensusLine {
            ts: *moment,
            states: self
                .states
                .iter()
                .map(|(state, count)| (*state, count.at.get(at).copied().unwrap_or_default()))
                .collect(),
        });
        match shape {
            Shape::Lines => json::items(lines, shape, out),
            Shape::Object => {
                out.write_all(b"{\"census\":[")?;
                json::items(lines, shape, out)?;
                out.write_all(b"]}\n")
            }
        }
    }
}

/// The counts at one moment, for programs.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "census")]
struct CensusLine {
    ts: Timestamp,
    states: BTreeMap<State, u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(nanos: i64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    #[test]
    fn moments_reach_from_end_to_end() {
        assert_eq!(moments(at(10), at(20), 3), [at(10), at(15), at(20)]);
        assert_eq!(moments(at(10), at(11), 4), [at(10), at(10), at(10), at(11)]);
        assert_eq!(moments(at(10), at(10), 60), [at(10)]);
        let all = moments(at(i64::MIN), at(i64::MAX), 61);
        assert_eq!((all.len(), all.last()), (61, Some(&at(i64::MAX))));
    }

    #[test]
    fn steps_are_as_long_as_asked_but_for_the_last() {
        let every = |nanos, max| moments_every(at(10), at(20), Span::from_nanos(nanos), max);
        assert_eq!(every(4, 9), Some(vec![at(10), at(14), at(18), at(20)]));
        assert_eq!(every(5, 3), Some(vec![at(10), at(15), at(20)]));
        assert_eq!(every(1, 10), None);
        assert_eq!(every(0, 10), None);
    }
}
