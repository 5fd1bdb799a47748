//! Lives, one after the other on one four-tuple: which of them a segment belongs to, what becomes
//! of a SYN that waits for its answer, and how one life ends another.

use crate::decode::Decoded;
use crate::decode::segment::{Flags, Segment};
use crate::decode::tuple::{End, FourTuple};
use crate::history::archive::{Before, Followed, Shelf};
use crate::history::{History, Identity};
use crate::infer::trail::Moment;
use crate::infer::{Admission, Answer, Connection, Held, Params};
use crate::pipeline::{Keyed, Sink, Tracker};
use crate::time::Timestamp;

/// Where a segment goes of which no connection is told, at least for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goes {
    /// With this connection, which has the four-tuple: it is a copy, or an ICMP error quotes it.
    With(u64),
    /// Where the SYN goes that waits there for its answer; it is that or like that. This connection
    /// has the four-tuple until then.
    AsAnswered(u64),
}

impl<S: Sink> Tracker<S> {
    /// Where the segment goes that was taken last, if no connection was told of it.
    pub(crate) fn goes(&self, keyed: &Keyed) -> Option<Goes> {
        let Decoded { tuple, segment, .. } = &keyed.decoded;
        if keyed.glimpse.is_some_and(|glimpse| glimpse.error.is_none()) {
            return None;
        }
        let place = self.places.find(keyed.hash, |place| self.shelf.is_of(place, tuple))?;
        let id = self.shelf.number(place);
        let is_like_held = keyed.glimpse.is_none() && segment.has(Flags::SYN);
        match is_like_held && self.shelf.is_holding(place) {
            true => Some(Goes::AsAnswered(id)),
            false => Some(Goes::With(id)),
        }
    }
}

/// The part of the pipeline that the segments of one four-tuple pass.
pub(super) struct Stage<'a, S> {
    pub params: &'a Params,
    pub shelf: &'a mut Shelf,
    pub sink: &'a mut S,
    pub tuple: &'a FourTuple,
}

impl<S: Sink> Stage<'_, S> {
    /// Finds the life that the segment belongs to.
    pub fn segment(&mut self, flow: &mut Followed, from: End, segment: &Segment, stream: u32) {
        if let Some(held) = &mut flow.held {
            match held.answered_by(from, segment) {
                // A copy of this life's own SYN found no socket: nobody asks again.
                Answer::Begins
                    if segment.has(Flags::RST)
                        && !held.is_answered()
                        && flow.connection.knows_syn(held) =>
                {
                    self.drop_held(flow);
                    return self.stray(flow, from, segment);
                }
                Answer::Begins
                    if !held.is_answered() && flow.connection.goes_on(held, from, segment) =>
                {
                    self.drop_held(flow);
                }
                Answer::Begins if held.is_open_after(from, segment) => {
                    return held.hold(from, segment);
                }
                // The old socket, which disowned the SYN, is there still: the lives overlap.
                Answer::Begins
                    if held.disowned().is_some() && flow.connection.is_there(held.from) =>
                {
                    return self.stray(flow, from, segment);
                }
                Answer::Begins => {
                    if let Some(held) = flow.held.take() {
                        self.begin_held(flow, &held, segment.at());
                    }
                }
                Answer::Repeated => return held.hold(from, segment),
                Answer::Challenged => {
                    held.defy(from, segment);
                    flow.connection.note_challenged_syn(from, segment);
                }
                Answer::Stale if held.is_answered() => held.disown(segment),
                Answer::Stale => self.drop_held(flow),
                Answer::Nothing => held.defy(from, segment),
            }
        }
        flow.connection.on_silence(segment.ts, self.params);
        match flow.connection.admit(from, segment) {
            Admission::Belongs => self.belongs(flow, from, segment),
            Admission::Begins => {
                // What waits for an answer was of the time before.
                self.drop_held(flow);
                let by = segment.at();
                let end = Succession { at: [Some(by); 2], by };
                self.replace(flow, end, segment.ts, stream, Connection::default());
                self.belongs(flow, from, segment);
            }
            Admission::Held => {
                let may_be_stale = flow.connection.may_be_stale(from, segment);
                let held = Box::new(Held::new(from, segment, stream, may_be_stale));
                // Two SYNs with different numbers, and nobody answered the first.
                self.drop_held(flow);
                flow.held = Some(held);
            }
        }
    }

    /// The held SYN, if there is one, came to nothing.
    fn drop_held(&mut self, flow: &mut Followed) {
        if let Some(held) = flow.held.take() {
            self.stale(flow, &held);
        }
    }

    fn stale(&mut self, flow: &mut Followed, held: &Held) {
        flow.connection.take_stale_syn(held);
        for (from, segment) in held.segments() {
            self.tell(flow, *from, segment);
        }
    }

    /// What answers a stale SYN says nothing of the connection either.
    fn stray(&mut self, flow: &mut Followed, from: End, segment: &Segment) {
        flow.connection.take_stray(from, segment);
        self.tell(flow, from, segment);
    }

    fn belongs(&mut self, flow: &mut Followed, from: End, segment: &Segment) {
        flow.connection.on_segment(from, segment, self.params);
        self.tell(flow, from, segment);
    }

    fn tell(&mut self, flow: &Followed, from: End, segment: &Segment) {
        let stream = self.shelf.stream(flow.place);
        self.sink.segment(self.shelf.number(flow.place), stream, self.tuple, from, segment);
    }

    /// Ends the old life, which lasted until then, and begins another.
    fn replace(
        &mut self,
        flow: &mut Followed,
        end: Succession,
        until: Timestamp,
        stream: u32,
        connection: Connection,
    ) {
        let mut old = core::mem::replace(&mut flow.connection, connection);
        // A held SYN's answer comes late: what the time before it did comes first.
        old.on_silence(until.min(end.by.ts), self.params);
        let [a, b] = end.at;
        let states = [(End::A, a), (End::B, b)].map(|(it, at)| match at {
            Some(at) => old.supersede(it, at, end.by),
            None => old.end(it).state,
        });
        old.on_silence(until, self.params);
        let place = flow.place;
        let (id, tuple) = (self.shelf.number(place), *self.tuple);
        let identity = Identity { id, stream: self.shelf.stream(place), tuple, until };
        let history = History::new(identity, &old, self.shelf.predecessor(place));
        let eldest = self.shelf.before(place).map_or(history.id, |before| before.first);
        self.shelf.pack(place, &history);
        let before = Before { id: history.id, states, first: eldest };
        flow.place = self.shelf.add(self.tuple, stream, Some(before));
    }

    /// A held SYN turns out to be a new life's first segment, by what passed then.
    fn begin_held(&mut self, flow: &mut Followed, held: &Held, by: Moment) {
        let Some((first, taken)) = held.first().zip(held.taken()) else { return };
        let disowned = held.disowned();
        let connection = match flow.connection.knows_syn(held) || disowned.is_some() {
            true => Connection::of_doubtful_syn(),
            false => Connection::default(),
        };
        let opener = if disowned.is_some() { None } else { Some(first.at()) };
        let end = Succession::of(held.from, opener, Some(taken.at()), by);
        let until = if disowned.is_some() { by.ts } else { taken.ts };
        self.replace(flow, end, until, held.stream, connection);
        self.replay(flow, held);
        if let Some(at) = disowned {
            flow.connection.disown_syn(held.from, at);
        }
    }

    fn replay(&mut self, flow: &mut Followed, held: &Held) {
        for (from, segment) in held.segments() {
            self.belongs(flow, *from, segment);
        }
    }

    /// The capture ends then, and nobody has answered a held SYN. With a number of its own it is an
    /// attempt all the same.
    pub fn end_held(&mut self, flow: &mut Followed, until: Timestamp) {
        let Some(held) = flow.held.take() else { return };
        if let Some(at) = held.disowned().filter(|_| !flow.connection.is_there(held.from)) {
            return self.begin_held(flow, &held, at);
        }
        if flow.connection.knows_syn(&held) || held.disowned().is_some() {
            return self.stale(flow, &held);
        }
        if let Some(first) = held.first().map(Segment::at) {
            // Unless it has answered, the other end has the connection that it had.
            let taken = if held.is_answered() { held.taken().map(Segment::at) } else { None };
            let end = Succession::of(held.from, Some(first), taken, first);
            let until = taken.map_or(until.max(first.ts), |taken| taken.ts);
            self.replace(flow, end, until, held.stream, Connection::of_doubtful_syn());
        }
        self.replay(flow, &held);
    }
}

/// How one life ends another.
#[derive(Clone, Copy)]
struct Succession {
    /// When the old socket of each end was over, if the new life ended it: whoever began that had
    /// none any more, the other end when it took the SYN.
    at: [Option<Moment>; 2],
    /// What shows it.
    by: Moment,
}

impl Succession {
    fn of(opener: End, began: Option<Moment>, taken: Option<Moment>, by: Moment) -> Succession {
        Succession { at: opener.own_first([began, taken]), by }
    }
}
