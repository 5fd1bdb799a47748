//! Lives, one after the other on one four-tuple: which of them a segment belongs to, what becomes
//! of a SYN that waits for its answer, and how one life ends another.

use crate::decode::Decoded;
use crate::decode::segment::{Flags, Segment};
use crate::decode::tuple::{End, FourTuple};
use crate::history::History;
use crate::history::archive::{Before, Followed, Shelf};
use crate::infer::trail::Moment;
use crate::infer::{Admission, Answer, Connection, Held, Params};
use crate::pipeline::{Keyed, Sink, Tracker};

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
        let place = self.places.find(keyed.hash, |id| self.shelf.is_of(id, tuple))?;
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
                Answer::Begins if segment.has(Flags::RST) && flow.connection.knows_syn(held) => {
                    self.drop_held(flow);
                    return self.stray(flow, from, segment);
                }
                Answer::Begins if flow.connection.goes_on(held, from, segment) => {
                    self.drop_held(flow);
                }
                Answer::Begins => {
                    if let Some(held) = flow.held.take() {
                        self.begin_held(flow, &held, segment);
                    }
                }
                Answer::Repeated => return held.repeat(segment),
                Answer::Challenged => flow.connection.note_challenged_syn(from, segment),
                Answer::Stale => self.drop_held(flow),
                Answer::Nothing => {}
            }
        }
        flow.connection.on_silence(segment.ts, self.params);
        match flow.connection.admit(from, segment) {
            Admission::Belongs => self.belongs(flow, from, segment),
            Admission::Begins => {
                let new = Connection::default();
                self.replace(flow, segment, stream, new, |old, at| old.supersede(at, at));
                self.belongs(flow, from, segment);
            }
            Admission::Held => {
                let held = Box::new(Held::new(from, segment, stream));
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
        for syn in &held.syns {
            self.tell(flow, held.from, syn);
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
        let stream = self.shelf.stream(flow.id);
        self.sink.segment(self.shelf.number(flow.id), stream, self.tuple, from, segment);
    }

    /// Ends the old life as `supersede` has it, and begins another.
    fn replace(
        &mut self,
        flow: &mut Followed,
        first: &Segment,
        stream: u32,
        connection: Connection,
        supersede: impl FnOnce(&mut Connection, Moment),
    ) {
        let mut old = core::mem::replace(&mut flow.connection, connection);
        // A held SYN's answer comes late: what the time before it did comes first.
        old.on_silence(first.ts, self.params);
        let states = End::BOTH.map(|end| old.end(end).state);
        supersede(&mut old, Moment { ts: first.ts, frame: first.frame });
        old.on_silence(first.ts, self.params);
        let id = flow.id;
        let history = History::new(
            self.shelf.number(id),
            self.shelf.stream(id),
            *self.tuple,
            &old,
            first.ts,
            self.shelf.predecessor(id),
        );
        let eldest = self.shelf.before(id).map_or(history.id, |before| before.first);
        self.shelf.pack(id, &history);
        let before = Before { id: history.id, states, first: eldest };
        flow.id = self.shelf.add(self.tuple, stream, Some(before));
    }

    /// A held SYN turns out to be a new life's first segment.
    fn begin_held(&mut self, flow: &mut Followed, held: &Held, answer: &Segment) {
        if let Some(first) = held.syns.first() {
            let connection = match flow.connection.knows_syn(held) {
                true => Connection::of_doubtful_syn(),
                false => Connection::default(),
            };
            let by = Moment { ts: answer.ts, frame: answer.frame };
            self.replace(flow, first, held.stream, connection, |old, at| old.supersede(at, by));
        }
        self.replay(flow, held);
    }

    fn replay(&mut self, flow: &mut Followed, held: &Held) {
        for syn in &held.syns {
            self.belongs(flow, held.from, syn);
        }
    }

    /// The capture ends, and nobody has answered a held SYN. With a number of its own it is an
    /// attempt all the same.
    pub fn end_held(&mut self, flow: &mut Followed) {
        let Some(held) = flow.held.take() else { return };
        if flow.connection.knows_syn(&held) {
            return self.stale(flow, &held);
        }
        if let Some(first) = held.syns.first() {
            let opener = held.from;
            let new = Connection::of_doubtful_syn();
            self.replace(flow, first, held.stream, new, |old, at| {
                old.supersede_end(opener, at, at);
            });
        }
        self.replay(flow, &held);
    }
}
