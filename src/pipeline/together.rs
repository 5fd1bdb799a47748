//! Several trackers that follow one capture, each of them a share of its four-tuples, and what they
//! know put together as if one had followed all.

use crate::flow::table::{Places, TUPLES_MAX};
use crate::history::archive::{Archive, Ascending, Deal};
use crate::pipeline::{Intake, Sink, Totals, Tracker};

/// In which frames connections and Wireshark's streams began, in their order.
#[derive(Debug, Default)]
pub(super) struct Begun {
    connections: Ascending,
    /// None as long as each connection has begun a stream, and nothing else has.
    streams: Option<Ascending>,
}

impl Begun {
    /// The frame has passed, and so many connections and streams have begun.
    #[inline]
    pub fn catch_up(&mut self, frame: u64, connections: u64, streams: u32) {
        if u64::from(streams) != connections {
            self.streams.get_or_insert_with(|| self.connections.clone());
        }
        while u64::from(self.connections.len()) < connections {
            self.connections.push(frame);
        }
        while let Some(begun) = self.streams.as_mut().filter(|begun| begun.len() < streams) {
            begun.push(frame);
        }
    }

    /// In which frames the streams began.
    fn streams(&self) -> &Ascending {
        self.streams.as_ref().unwrap_or(&self.connections)
    }
}

/// What a tracker holds of that for which there is a bound.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    /// Four-tuples.
    pub tuples: usize,
    /// Connections that others followed on their four-tuples.
    pub lives: usize,
    /// Four-tuples of which there were glimpses only, at some time.
    pub only_seen: usize,
}

impl<S: Sink> Tracker<S> {
    /// The same for one of several that follow a capture together. It bounds nothing by itself:
    /// whoever has it work looks at its [`Tracker::load`].
    pub(crate) fn among_others(self) -> Tracker<S> {
        Tracker { begun: Some(Begun::default()), connections_max: TUPLES_MAX, ..self }
    }

    /// The same, which takes segments that were made for another one.
    pub(crate) fn hashing_as(self, other: &Tracker<S>) -> Tracker<S> {
        Tracker { hasher: other.hasher.clone(), ..self }
    }

    /// What it holds.
    pub(crate) fn load(&self) -> Load {
        let tuples = self.places.len();
        let only_seen = self.only_seen.len() + self.seen_and_followed;
        Load { tuples, lives: self.connections() - tuples, only_seen }
    }
}

/// The capture is over for all of them: closes every record, and returns the records and the
/// totals.
pub(crate) fn close_together<S: Sink>(
    mut trackers: Vec<Tracker<S>>,
    intake: Intake,
) -> (Archive, Totals) {
    let begun: Vec<Begun> =
        trackers.iter_mut().map(|it| it.begun.take().unwrap_or_default()).collect();
    // Nothing is looked for any more: what comes now has the tables' memory.
    trackers.iter_mut().for_each(|tracker| tracker.places = Places::default());
    let mut connections = Deal::by_time(begun.iter().map(|it| &it.connections));
    let streams = match begun.iter().all(|it| it.streams.is_none()) {
        true => connections.clone(),
        false => Deal::by_time(begun.iter().map(Begun::streams)),
    };
    drop(begun);
    let mut totals = intake.into_totals();
    let until = totals.last_ts.unwrap_or_default();
    // Those that wait end in the order in which one tracker would end them.
    let mut held = Vec::new();
    for (index, tracker) in trackers.iter().enumerate() {
        for place in tracker.shelf.held() {
            let eldest =
                tracker.shelf.before(place).map_or(u64::from(place), |before| before.first);
            let eldest = u32::try_from(eldest).ok().and_then(|it| connections.number(index, it));
            held.push((eldest, index, place));
        }
    }
    held.sort_unstable();
    for (_, index, place) in held {
        let Some(tracker) = trackers.get_mut(index) else { continue };
        tracker.end_held(place, until);
        while connections.dealt_to(index) < tracker.shelf.begun() {
            connections.push(index);
        }
    }
    trackers.iter().for_each(|tracker| tracker.add_to(&mut totals));
    let mut shelves: Vec<_> = trackers.into_iter().map(|tracker| tracker.shelf).collect();
    shelves.iter_mut().for_each(|shelf| shelf.close(until));
    (Archive::of_several(shelves, connections, streams), totals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_began_without_a_stream_or_a_connection_is_told_apart() {
        let mut begun = Begun::default();
        for (frame, connections, streams) in [(1, 1, 1), (2, 2, 2), (5, 2, 3), (9, 3, 3)] {
            begun.catch_up(frame, connections, streams);
        }
        assert!(begun.connections.iter().eq([1, 2, 9]) && begun.streams().iter().eq([1, 2, 5]));
    }
}
