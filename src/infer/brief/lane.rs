//! The numbers of one end that run on while data flows and nothing else happens.

use crate::decode::segment::Segment;
use crate::decode::tuple::End;
use crate::infer::Connection;
use crate::infer::brief::clock::Clock;
use crate::infer::trail::Moment;
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
    /// Its newest TSval.
    pub tsval: u32,
    /// Its newest window.
    pub window: u16,
    /// Shortest time in which it answered, in nanoseconds.
    pub turnaround: u32,
    /// Segments.
    pub segments: u16,
    /// What was on its way when it last sent, in KiB; it rests elsewhere.
    pub flight: u8,
}

/// The first five bytes.
#[inline]
fn units(bytes: &[u8; 5]) -> u64 {
    let [a, b, c, d, e] = *bytes;
    u64::from_le_bytes([a, b, c, d, e, 0, 0, 0])
}

#[inline]
fn five(units: u64) -> [u8; 5] {
    // Four and one, which the processor can write at once.
    let [a, b, c, d] = (units as u32).to_le_bytes();
    [a, b, c, d, (units >> 32) as u8]
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
        let [
            n0,
            n1,
            n2,
            n3,
            p0,
            p1,
            p2,
            p3,
            e0,
            e1,
            e2,
            e3,
            e4,
            l0,
            l1,
            l2,
            l3,
            l4,
            f0,
            f1,
            f2,
            f3,
            t0,
            t1,
            t2,
            t3,
            w0,
            w1,
            r0,
            r1,
            r2,
            r3,
            s0,
            s1,
        ] = *bytes;
        Lane {
            nxt: SeqNum(u32::from_le_bytes([n0, n1, n2, n3])),
            proven: SeqNum(u32::from_le_bytes([p0, p1, p2, p3])),
            edge: units(&[e0, e1, e2, e3, e4]),
            last: units(&[l0, l1, l2, l3, l4]),
            frame: u32::from_le_bytes([f0, f1, f2, f3]),
            tsval: u32::from_le_bytes([t0, t1, t2, t3]),
            window: u16::from_le_bytes([w0, w1]),
            turnaround: u32::from_le_bytes([r0, r1, r2, r3]),
            segments: u16::from_le_bytes([s0, s1]),
            flight,
        }
    }

    #[inline(always)]
    pub fn write(&self, bytes: &mut [u8; LANE]) {
        let [n0, n1, n2, n3] = self.nxt.0.to_le_bytes();
        let [p0, p1, p2, p3] = self.proven.0.to_le_bytes();
        let [e0, e1, e2, e3, e4] = five(self.edge);
        let [l0, l1, l2, l3, l4] = five(self.last);
        let [f0, f1, f2, f3] = self.frame.to_le_bytes();
        let [t0, t1, t2, t3] = self.tsval.to_le_bytes();
        let [w0, w1] = self.window.to_le_bytes();
        let [r0, r1, r2, r3] = self.turnaround.to_le_bytes();
        let [s0, s1] = self.segments.to_le_bytes();
        *bytes = [
            n0, n1, n2, n3, p0, p1, p2, p3, e0, e1, e2, e3, e4, l0, l1, l2, l3, l4, f0, f1, f2, f3,
            t0, t1, t2, t3, w0, w1, r0, r1, r2, r3, s0, s1,
        ];
    }

    /// Its newest segment, of those before it runs.
    pub fn pass(&mut self, segment: &Segment, (units, frames): (u64, u32)) {
        (self.last, self.frame, self.window) = (units, frames, segment.window);
        self.tsval = segment.options.timestamps.unwrap_or_default().0;
        self.segments += 1;
    }

    /// The shortest time in which it answered, if any was timed.
    pub fn turnaround(&self) -> Option<Span> {
        (self.turnaround != UNTIMED).then(|| Span::from_nanos(self.turnaround.into()))
    }

    /// It answered after so many nanoseconds. Whether there is room for that.
    #[inline]
    pub fn answered_after(&mut self, nanos: u64) -> bool {
        match u32::try_from(nanos) {
            Ok(nanos) if nanos < UNTIMED => {
                self.turnaround = self.turnaround.min(nanos);
                true
            }
            // Longer than the shortest is no news.
            _ => self.turnaround != UNTIMED,
        }
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
        endpoint.window = own.window;
        endpoint.flight = own.flight;
        endpoint.turnaround = own.turnaround();
        endpoint.tsval = endpoint.tsval.and(Some(own.tsval));
        endpoint.last = last;
        endpoint.tally.segments = own.segments.into();
        if last.frame >= self.last.frame {
            self.last = last;
        }
        self.frames = self.ends.iter().map(|end| end.tally.segments).sum();
    }
}
