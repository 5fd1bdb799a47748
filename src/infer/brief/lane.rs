//! The numbers of one end that run on while data flows and nothing else happens.

use crate::decode::segment::Segment;
use crate::decode::tuple::End;
use crate::infer::brief::clock::Clock;
use crate::infer::trail::Moment;
use crate::infer::{Connection, later_stamp};
use crate::seq::SeqNum;
use crate::time::Span;

/// Bytes of a lane at rest.
pub(super) const LANE: usize = 34;
/// Segments that one end may send before a lane is too narrow: fewer than 2^31 bytes then, so that
/// every number of the connection still comes after its first.
const SEGMENTS_MAX: u16 = i16::MAX as u16;
/// Payload that counts as ordinary.
pub(super) const PAYLOAD_MAX: u32 = u16::MAX as u32;
/// No answer has been timed.
const UNTIMED: u32 = u32::MAX;

/// What one end's segments move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lane {
    /// The number after the last that it sent.
    pub nxt: SeqNum,
    /// Its highest acknowledgement number.
    pub proven: SeqNum,
    /// When `nxt` last moved, in units since the first segment.
    pub edge: u64,
    /// When its newest segment passed, in units since the first segment.
    pub last: u64,
    /// Its newest segment's frame, counted from the first segment's.
    pub frame: u32,
    /// Its highest TSval.
    pub tsval: u32,
    /// Its newest window.
    pub window: u16,
    /// Shortest time in which it answered, in nanoseconds.
    pub turnaround: u32,
    /// Segments.
    pub segments: u16,
    /// What was on its way when it last sent, in KiB; at rest it is kept in the brief, not
    /// in the lane.
    pub flight: u8,
}

/// Where in a lane at rest each number stands. The highest of five bytes stand apart: the processor
/// reads and writes four at once.
mod at {
    pub const NXT: usize = 0;
    pub const PROVEN: usize = 4;
    pub const EDGE: usize = 8;
    pub const LAST: usize = 12;
    pub const FRAME: usize = 16;
    pub const TSVAL: usize = 20;
    pub const TURNAROUND: usize = 24;
    pub const WINDOW: usize = 28;
    pub const SEGMENTS: usize = 30;
    pub const EDGE_HIGH: usize = 32;
    pub const LAST_HIGH: usize = 33;
}
const _: () = assert!(at::LAST_HIGH + 1 == LANE);

#[inline(always)]
fn get<const N: usize>(bytes: &[u8; LANE], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

#[inline(always)]
fn put<const N: usize>(bytes: &mut [u8; LANE], at: usize, value: [u8; N]) {
    if let Some(place) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
        *place = value;
    }
}

#[inline(always)]
fn put_units(bytes: &mut [u8; LANE], (low, high): (usize, usize), units: u64) {
    put(bytes, low, (units as u32).to_le_bytes());
    put(bytes, high, [(units >> 32) as u8]);
}

impl Lane {
    /// The lane of an end that has sent nothing.
    pub const EMPTY: Lane = Lane {
        nxt: SeqNum(0),
        proven: SeqNum(0),
        edge: 0,
        last: 0,
        frame: 0,
        tsval: 0,
        window: 0,
        turnaround: UNTIMED,
        segments: 0,
        flight: 0,
    };

    #[inline(always)]
    pub fn read(bytes: &[u8; LANE], flight: u8) -> Lane {
        let four = |at| u32::from_le_bytes(get(bytes, at));
        let units =
            |low, high| u64::from(u8::from_le_bytes(get(bytes, high))) << 32 | u64::from(four(low));
        Lane {
            nxt: SeqNum(four(at::NXT)),
            proven: SeqNum(four(at::PROVEN)),
            edge: units(at::EDGE, at::EDGE_HIGH),
            last: units(at::LAST, at::LAST_HIGH),
            frame: four(at::FRAME),
            tsval: four(at::TSVAL),
            window: u16::from_le_bytes(get(bytes, at::WINDOW)),
            turnaround: four(at::TURNAROUND),
            segments: u16::from_le_bytes(get(bytes, at::SEGMENTS)),
            flight,
        }
    }

    /// Writes all of it but the flight, which rests elsewhere.
    #[inline(always)]
    pub fn write(&self, bytes: &mut [u8; LANE]) {
        put(bytes, at::NXT, self.nxt.0.to_le_bytes());
        put(bytes, at::PROVEN, self.proven.0.to_le_bytes());
        put_units(bytes, (at::EDGE, at::EDGE_HIGH), self.edge);
        put_units(bytes, (at::LAST, at::LAST_HIGH), self.last);
        put(bytes, at::FRAME, self.frame.to_le_bytes());
        put(bytes, at::TSVAL, self.tsval.to_le_bytes());
        put(bytes, at::TURNAROUND, self.turnaround.to_le_bytes());
        put(bytes, at::WINDOW, self.window.to_le_bytes());
        put(bytes, at::SEGMENTS, self.segments.to_le_bytes());
    }

    /// Its newest segment, of those before it runs.
    pub fn pass(&mut self, segment: &Segment, (units, frames): (u64, u32)) {
        (self.last, self.frame, self.window) = (units, frames, segment.window);
        self.tsval = match self.segments {
            0 => segment.options.timestamps.unwrap_or_default().0,
            _ => later_stamp(self.tsval, segment),
        };
        self.segments += 1;
    }

    /// The shortest time in which it answered, if any was timed.
    pub fn turnaround(&self) -> Option<Span> {
        (self.turnaround != UNTIMED).then(|| Span::from_nanos(self.turnaround.into()))
    }

    /// The shortest time in which it answered, if now it did so after so many nanoseconds. Longer
    /// than the shortest is no news; `None` if there is no room for the first.
    #[inline(always)]
    pub fn timed(&self, nanos: u64) -> Option<u32> {
        let nanos = nanos.min(UNTIMED.into()) as u32;
        Some(self.turnaround.min(nanos)).filter(|shortest| *shortest != UNTIMED)
    }

    /// It answered after so many nanoseconds. Whether there is room for that.
    #[inline]
    pub fn answered_after(&mut self, nanos: u64) -> bool {
        let timed = self.timed(nanos);
        self.turnaround = timed.unwrap_or(UNTIMED);
        timed.is_some()
    }

    /// It sent one more. Whether there is room for that.
    #[inline]
    pub fn count(&mut self) -> bool {
        self.segments += 1;
        self.segments < SEGMENTS_MAX
    }
}

impl Connection {
    /// Brings the numbers that run on up to date: those of `end` from its own lane, and what it
    /// waits for from its peer's.
    pub(super) fn run_on(
        &mut self,
        end: End,
        own: &Lane,
        peer: &Lane,
        clock: &Clock,
        first_frame: u64,
    ) {
        let last = Moment { ts: clock.time(own.last), frame: first_frame + u64::from(own.frame) };
        let endpoint = self.end_mut(end);
        let before = endpoint.nxt.unwrap_or_default();
        let more = own.nxt.offset_from(before).unsigned_abs();
        // Whoever sends data had not closed.
        endpoint.may_have_closed &= more == 0;
        endpoint.tally.bytes += u64::from(more);
        endpoint.nxt = Some(own.nxt);
        endpoint.proven = Some(own.proven);
        endpoint.expected = Some(peer.nxt);
        endpoint.edge = clock.time(own.edge);
        if more > 0 {
            endpoint.spoke = endpoint.edge;
        }
        endpoint.window = own.window;
        endpoint.flight = own.flight;
        endpoint.turnaround = own.turnaround();
        endpoint.tsval = endpoint.tsval.and(Some(own.tsval));
        endpoint.last = last;
        endpoint.tally.segments = own.segments.into();
        if last.frame >= self.last.frame {
            (self.last, self.spoke) = (last, last);
        }
        self.frames = self.ends.iter().map(|end| end.tally.segments).sum();
    }
}
