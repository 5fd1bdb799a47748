//! A history in a few dozen bytes: variable-length numbers, times and frames as differences.
//!
//! Half a million finished connections wait for the report, so a finished one is kept packed. The
//! format is private to one run; reading what [`write`] wrote gives the same history back.

use crate::decode::tuple::{End, FourTuple};
use crate::history::{History, Predecessor, Side};
use crate::infer::RolesFrom;
use crate::infer::endpoint::Gaps;
use crate::infer::event::Event;
use crate::infer::fact::{Fact, FactKind};
use crate::infer::state::{Basis, State};
use crate::infer::tally::Tally;
use crate::infer::trail::{Moment, Refuted, Transition};
use crate::infer::zeek::ConnState;
use crate::time::{Span, Timestamp};

/// Appends the packed history.
pub(super) fn write(history: &History, bytes: &mut Vec<u8>) {
    let mut out = Writer { bytes, near: Moment::default() };
    out.number(history.id);
    out.number(u64::from(history.stream));
    out.bytes.extend_from_slice(&history.tuple.to_bytes());
    out.number(u64::from(history.client as u8) << 4 | history.roles_from as u64);
    out.moment(history.first);
    out.moment(history.last);
    out.time(history.until);
    out.number(history.frames);
    out.number(u64::from(history.dropped));
    out.number(history.zeek as u64);
    for side in &history.sides {
        out.side(side);
    }
    out.near = history.first;
    out.number(history.transitions.len() as u64);
    for transition in &history.transitions {
        out.transition(transition);
    }
    out.number(history.refuted.len() as u64);
    for refuted in &history.refuted {
        out.number((refuted.state as u64) << 1 | refuted.end as u64);
        out.number(u64::from(refuted.doubted));
        out.moment(refuted.at);
        out.moment(refuted.by);
    }
    out.number(history.facts.len() as u64);
    for fact in &history.facts {
        out.number((fact.kind.index() as u64) << 1 | fact.end as u64);
        out.moment(fact.first);
        out.moment(fact.last);
        out.number(u64::from(fact.count));
    }
    match history.predecessor {
        None => out.number(0),
        Some(predecessor) => {
            out.number(predecessor.id + 1);
            let [client, server] = predecessor.states;
            out.number((client as u64) << 4 | server as u64);
        }
    }
}

/// Reads a packed history; `None` if the bytes are not one.
pub(super) fn read(bytes: &[u8]) -> Option<History> {
    let mut input = Reader { bytes, near: Moment::default() };
    let id = input.number()?;
    let stream = input.number()? as u32;
    let (tuple, rest) = input.bytes.split_first_chunk()?;
    let tuple = FourTuple::from_bytes(tuple);
    input.bytes = rest;
    let roles = input.number()?;
    let first = input.moment()?;
    let last = input.moment()?;
    let until = input.time()?;
    let frames = input.number()?;
    let dropped = input.number()? as u32;
    let zeek = *ConnState::ALL.get(input.number()? as usize)?;
    let sides = [input.side()?, input.side()?];
    input.near = first;
    let transitions = input.list(Reader::transition)?;
    let refuted = input.list(|input| {
        let (end, state) = input.end_and_code()?;
        let state = *State::ALL.get(state)?;
        let doubted = input.number()? > 0;
        Some(Refuted { end, state, at: input.moment()?, by: input.moment()?, doubted })
    })?;
    let facts = input.list(|input| {
        let (end, kind) = input.end_and_code()?;
        let kind = *FactKind::ALL.get(kind)?;
        let (first, last) = (input.moment()?, input.moment()?);
        Some(Fact { kind, end, first, last, count: input.number()? as u32 })
    })?;
    let predecessor = match input.number()? {
        0 => None,
        id => {
            let states = input.number()? as usize;
            let states = [*State::ALL.get(states >> 4)?, *State::ALL.get(states & 15)?];
            Some(Predecessor { id: id - 1, states })
        }
    };
    let mut history = History {
        id,
        stream,
        tuple,
        client: if roles >> 4 == 0 { End::A } else { End::B },
        roles_from: *RolesFrom::ALL.get(roles as usize & 15)?,
        first,
        last,
        until,
        frames,
        sides,
        transitions,
        refuted,
        dropped,
        facts,
        predecessor,
        zeek,
        ..History::empty(tuple)
    };
    history.digest();
    Some(history)
}

struct Writer<'a> {
    bytes: &'a mut Vec<u8>,
    /// What the next moment is told as the difference to.
    near: Moment,
}

impl Writer<'_> {
    /// Seven bits a byte, the lowest first.
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    /// Small either way of zero.
    fn signed(&mut self, number: i64) {
        self.number((number << 1 ^ number >> 63) as u64);
    }

    fn optional(&mut self, number: Option<u64>) {
        match number {
            None => self.number(0),
            Some(number) => {
                self.number(1);
                self.number(number);
            }
        }
    }

    fn time(&mut self, ts: Timestamp) {
        self.signed(ts.as_nanos().wrapping_sub(self.near.ts.as_nanos()));
        self.near.ts = ts;
    }

    /// A silent moment is told apart by a frame difference of zero from frame 0.
    fn moment(&mut self, at: Moment) {
        self.time(at.ts);
        self.signed((at.frame as i64).wrapping_sub(self.near.frame as i64));
        self.near.frame = at.frame;
    }

    fn transition(&mut self, transition: &Transition) {
        let Transition { end, from, to, event, basis, at, confirmed } = *transition;
        self.number((event as u64) << 1 | end as u64);
        self.bytes.push((from as u8) << 4 | to as u8);
        let is_confirmed = confirmed.frame > 0;
        self.bytes.push(u8::from(is_confirmed) << 4 | basis as u8);
        self.moment(at);
        if is_confirmed {
            self.moment(confirmed);
        }
    }

    fn side(&mut self, side: &Side) {
        let tally = &side.tally;
        let flags = [side.acked_syn, side.fast_open, side.sack_permitted, side.timestamps];
        let flags = flags.iter().fold(0, |bits, flag| bits << 1 | u64::from(*flag));
        self.number((side.last_state as u64) << 4 | flags);
        for count in [
            tally.segments,
            tally.bytes,
            tally.retransmitted,
            tally.missing,
            tally.after_peer_fin,
            u64::from(tally.syns),
            u64::from(tally.fins),
            u64::from(tally.resets),
            tally.zero_window.as_nanos(),
            u64::from(side.unanswered_at_end),
        ] {
            self.number(count);
        }
        if side.unanswered_at_end > 0 {
            self.number(u64::from(side.unanswered_segments));
            self.number(side.unanswered_since.as_nanos() as u64);
        }
        self.number(side.last.ts.as_nanos() as u64);
        self.number(side.last.frame);
        self.optional(side.base_seq.map(u64::from));
        self.optional(side.window_scale.map(u64::from));
        self.optional(side.mss.map(u64::from));
        self.optional(side.window_closed.map(|since| since.as_nanos() as u64));
        self.number(side.syn_gaps.iter().count() as u64);
        side.syn_gaps.iter().for_each(|gap| self.number(gap.as_nanos()));
        if tally.zero_window > Span::ZERO {
            self.number(tally.zero_window_since.as_nanos() as u64);
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    near: Moment,
}

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        Some((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    fn optional(&mut self) -> Option<Option<u64>> {
        match self.byte()? {
            0 => Some(None),
            _ => Some(Some(self.number()?)),
        }
    }

    fn gaps(&mut self) -> Option<Gaps> {
        let mut gaps = Gaps::default();
        for _ in 0..self.number()? {
            gaps.push(Span::from_nanos(self.number()?));
        }
        Some(gaps)
    }

    fn time(&mut self) -> Option<Timestamp> {
        let nanos = self.near.ts.as_nanos().wrapping_add(self.signed()?);
        self.near.ts = Timestamp::from_nanos(nanos);
        Some(self.near.ts)
    }

    fn moment(&mut self) -> Option<Moment> {
        let ts = self.time()?;
        let frame = (self.near.frame as i64).wrapping_add(self.signed()?) as u64;
        self.near.frame = frame;
        Some(Moment { ts, frame })
    }

    fn end_and_code(&mut self) -> Option<(End, usize)> {
        let number = self.number()?;
        let end = if number & 1 == 0 { End::A } else { End::B };
        Some((end, (number >> 1) as usize))
    }

    fn list<T>(&mut self, item: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.number()?;
        (0..count).map(|_| item(self)).collect()
    }

    fn transition(&mut self) -> Option<Transition> {
        let (end, event) = self.end_and_code()?;
        let event = *Event::ALL.get(event)?;
        let states = self.byte()?;
        let from = *State::ALL.get(usize::from(states >> 4))?;
        let to = *State::ALL.get(usize::from(states & 15))?;
        let flags = self.byte()?;
        let basis = *Basis::ALL.get(usize::from(flags & 15))?;
        let at = self.moment()?;
        let confirmed = if flags >> 4 == 0 { Moment::NONE } else { self.moment()? };
        Some(Transition { end, from, to, event, basis, at, confirmed })
    }

    fn unanswered(&mut self) -> Option<(u16, u32, Timestamp)> {
        let count = self.number()? as u16;
        if count == 0 {
            return Some(Default::default());
        }
        let segments = self.number()? as u32;
        Some((count, segments, Timestamp::from_nanos(self.number()? as i64)))
    }

    fn side(&mut self) -> Option<Side> {
        let state = self.number()?;
        let tally = Tally {
            segments: self.number()?,
            bytes: self.number()?,
            retransmitted: self.number()?,
            missing: self.number()?,
            after_peer_fin: self.number()?,
            syns: self.number()? as u32,
            fins: self.number()? as u32,
            resets: self.number()? as u32,
            zero_window: Span::from_nanos(self.number()?),
            zero_window_since: Timestamp::default(),
        };
        let (unanswered_at_end, unanswered_segments, unanswered_since) = self.unanswered()?;
        let mut side = Side {
            last_state: *State::ALL.get((state >> 4) as usize)?,
            acked_syn: state & 8 > 0,
            fast_open: state & 4 > 0,
            sack_permitted: state & 2 > 0,
            timestamps: state & 1 > 0,
            tally,
            unanswered_at_end,
            unanswered_segments,
            unanswered_since,
            last: Moment {
                ts: Timestamp::from_nanos(self.number()? as i64),
                frame: self.number()?,
            },
            base_seq: self.optional()?.map(|number| number as u32),
            window_scale: self.optional()?.map(|number| number as u8),
            mss: self.optional()?.map(|number| number as u16),
            window_closed: self.optional()?.map(|nanos| Timestamp::from_nanos(nanos as i64)),
            syn_gaps: self.gaps()?,
        };
        if tally.zero_window > Span::ZERO {
            side.tally.zero_window_since = Timestamp::from_nanos(self.number()? as i64);
        }
        Some(side)
    }
}
