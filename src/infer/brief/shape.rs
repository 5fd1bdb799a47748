//! The shape of an ordinary connection: what decides which states its ends were in, in which order
//! and on which ground. When, and how much, is no part of it.
//!
//! Millions of connections have a few hundred shapes, and two of one shape have the same history
//! but for moments, numbers and counts. So one of them is replayed, and the others are filled in.
//!
//! The engine compares times, numbers and windows in many rules. A shape holds how these
//! comparisons come out, or there is none: [`Brief::find_shape`] knows connections in which each
//! end sends what comes next and acknowledges all that passed, and in which nothing passes when an
//! answer to it may already be on its way; at their end a FIN may come again and again. What is not
//! so, the engine replays. A build with debug assertions replays all, and compares.

mod again;
mod queued;
mod unopened;

use queued::{goes_on, is_free};

use super::clock::Clock;
use super::closing::{Later, Lines};
use super::handshake::{Handshake, echoes};
use super::lane::Lane;
use super::{Blocks, Brief, CLIENT_IS_B, FOUND, Phase, SHAKEN, TIMESTAMPS, bits};
use crate::decode::segment::{Flags, Segment};
use crate::decode::tuple::End;
use crate::infer::endpoint::{Repeats, fastest_answer, scaled};
use crate::infer::fin::ACK_DELAY;
use crate::infer::parting::{ALERT_MAX, FAREWELL_MAX};
use crate::infer::queued::flight_kib;
use crate::infer::reset::{is_strange_ttl, shrank};
use crate::infer::trail::Moment;
use crate::infer::{IDLE_MIN, Params, SILENCE_MIN};
use crate::seq::{SeqNum, WINDOW_MAX};
use crate::time::{Span, Timestamp};

/// Lines of the close that a shape has room for.
const LINES: usize = 15;
const _: () = assert!(LINES <= 15, "half a byte of a key counts them");
/// The place of the first line of the close among the points; before it are none at all, the
/// segments of the opening, the server's first word, the last segments of both ends before the
/// close, and when one gave up.
const CLOSE: usize = 8;
/// Moments at which something may have happened.
pub const POINTS: usize = CLOSE + 2 * LINES;

/// What connections of one shape have in common, a bit for each thing that some rule looks at:
///
/// | byte | |
/// |---|---|
/// | 0 | who is the client, timestamps; in the high half, TIME_WAITs over, or who gave up |
/// | 1 | data in the handshake's ACK, a first word of the server |
/// | 1, in the high half | 16 a FIN was given up, 64 half open, 128 a refusal |
/// | 2 | who sent data, whose was the last, what is unacknowledged, who spoke last |
/// | 3 | lines of the close; in the high half, which segments of the opening were an end's last |
/// | 4 to 7, 8 to 11 | what the SYN, and the SYN+ACK, announced |
/// | from 16 | the lines of the close, two bytes each: what it is, and what is odd about it |
pub type Key = [u8; KEY_CLOSE + 2 * LINES];
/// The place in a key where the lines of the close begin, two bytes each.
const KEY_CLOSE: usize = 16;
// The second byte of a line. Two bits are a RST's, two the silence's before it; a FIN may have been
// sent before, and two say how long the data is that it bears.
const STRANGE_TTL: u8 = 1;
const SHRANK: u8 = 2;
const SILENT: u8 = 4;
const IDLE: u8 = 8;
const SENT_AGAIN: u8 = 16;
// How long data is that may be a farewell.
const LONGER: u8 = 32;
const LONG: u8 = 64;

/// What one end sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Its initial sequence number; `None` if it sent no SYN.
    pub isn: Option<SeqNum>,
    /// Segments.
    pub segments: u64,
    /// Payload bytes.
    pub bytes: u64,
    /// Those of them that it sent when the peer had closed.
    pub after_peer_fin: u64,
    /// When the FIN that it repeats was first sent.
    pub unanswered_since: Timestamp,
}

/// An ordinary connection: its shape, and what it does not share with others of that.
#[derive(Clone, Debug)]
pub struct Shape {
    /// The shape.
    pub key: Key,
    /// When something may have happened. What stands at a place is the same segment in all
    /// connections of a shape; the first place, and that of what did not pass, has frame 0. Behind
    /// the segments are the ends of the TIME_WAITs that they may have begun, without a frame.
    pub points: [Moment; POINTS],
    /// What both ends sent.
    pub sent: [Sent; 2],
}

impl Default for Shape {
    fn default() -> Shape {
        Shape {
            key: [0; KEY_CLOSE + 2 * LINES],
            points: [Moment::NONE; POINTS],
            sent: [Sent::default(); 2],
        }
    }
}

/// Where the points of the opening are.
const SYN: usize = 1;
const SYN_ACK: usize = 2;
const ACK: usize = 3;
const WORD: usize = 4;
const LAST: [usize; 2] = [5, 6];
/// Where the moment is at which the sender of a FIN gave up: before the ends of TIME_WAITs that are
/// the same, of which then none is told.
const GAVE_UP: usize = 7;

/// One end, on the way through the transcript.
#[derive(Clone, Copy, Debug, Default)]
struct Side {
    isn: SeqNum,
    ttl: u8,
    syn_window: u16,
    mss: Option<u16>,
    /// Its window's shift, if both ends scale.
    shift: Option<u8>,
    lane: Lane,
    bytes: u64,
    after_peer_fin: u64,
    /// Numbers that it sent and the peer has not acknowledged.
    unheard: u32,
    /// When its FIN passed, in units.
    fin: Option<u64>,
    /// What tells the packet with it from others, beside the TSval.
    fin_mark: u16,
    /// How often it was sent again.
    repeats: Repeats,
    /// It has sent something since the peer's FIN passed.
    has_answered: bool,
}

impl Side {
    /// By how much the TSval of its segment is more than its newest.
    #[inline(always)]
    fn tsval_rise(&self, segment: &Segment) -> i32 {
        let rise = |(tsval, _): (u32, u32)| tsval.wrapping_sub(self.lane.tsval) as i32;
        segment.options.timestamps.map_or(0, rise)
    }
}

impl Brief {
    /// Puts the shape of the connection that a capture up to `end` holds into `shape`; `None` if it
    /// has none.
    pub fn find_shape(
        &self,
        blocks: &Blocks,
        params: &Params,
        end: Timestamp,
        shape: &mut Shape,
    ) -> Option<()> {
        shape.key.fill(0);
        shape.points.fill(Moment::NONE);
        // It was not captured how it opened.
        (!self.is(FOUND)).then_some(())?;
        let two_msl = params.msl.times(2);
        let mut cast = Cast {
            clock: self.clock(),
            first_frame: self.frame(),
            shape,
            sides: [Side::default(); 2],
        };
        cast.put(0, self.marks & (CLIENT_IS_B | TIMESTAMPS));
        if self.phase == Phase::Opening {
            return cast.unopened(self.written(), end);
        }
        match self.is(SHAKEN) {
            true => cast.open(self.client(), &self.shaken(self.opening_at(blocks)?, blocks)?)?,
            false => cast.open_rarely(self.client(), &self.handshake(blocks)?)?,
        }
        let lanes = self.read_lanes();
        cast.run(&lanes)?;
        let mut count = 0;
        if self.phase == Phase::Closing {
            count = cast.close(self.closing(&lanes, blocks)?, two_msl)?;
        }
        cast.put(3, count);
        cast.wait_out(end, two_msl)?;
        cast.give_up(end)?;
        for (sent, side) in cast.shape.sent.iter_mut().zip(&cast.sides) {
            *sent = Sent {
                isn: Some(side.isn),
                segments: side.lane.segments.into(),
                bytes: side.bytes,
                after_peer_fin: side.after_peer_fin,
                unanswered_since: side.repeats.since,
            };
        }
        Some(())
    }
}

/// A shape that is being found.
struct Cast<'a> {
    clock: Clock,
    first_frame: u64,
    shape: &'a mut Shape,
    sides: [Side; 2],
}

impl Cast<'_> {
    /// Adds bits to a byte of the key.
    fn put(&mut self, at: usize, bits: u8) {
        if let Some(byte) = self.shape.key.get_mut(at) {
            *byte |= bits;
        }
    }

    /// Adds a line of the close, the `count`th from 0: what it is, and more of it.
    #[inline(always)]
    fn put_line(&mut self, count: usize, later: &Later, more: u8) {
        self.put(KEY_CLOSE + 2 * count, later.kind);
        self.put(KEY_CLOSE + 2 * count + 1, more);
        self.point(CLOSE + count, later.moment);
    }

    fn point(&mut self, at: usize, (units, frames): (u64, u32)) {
        let moment =
            Moment { ts: self.clock.time(units), frame: self.first_frame + u64::from(frames) };
        if let Some(place) = self.shape.points.get_mut(at) {
            *place = moment;
        }
    }

    fn span(&self, units: u64) -> Span {
        Span::from_nanos(self.clock.nanos(units))
    }

    fn side(&mut self, end: End) -> &mut Side {
        let [a, b] = &mut self.sides;
        if end == End::A { a } else { b }
    }

    /// Whether so many units are no more than a segment takes that is answered at once, and not
    /// none.
    fn is_in_time(&self, units: u64) -> bool {
        units > 0 && self.span(units) < SILENCE_MIN
    }

    /// The same as [`Cast::open`], with a handshake that is not like nearly all.
    #[inline(never)]
    fn open_rarely(&mut self, client: End, handshake: &Handshake) -> Option<()> {
        self.open(client, handshake)
    }

    /// SYN, SYN+ACK and ACK, each within a second of the one before; and the server's first word.
    /// What is not looked at of a handshake is not made of its bytes.
    #[inline(always)]
    fn open(&mut self, client: End, handshake: &Handshake) -> Option<()> {
        let [(syn, _), (syn_ack, answered), (ack, opened)] = &handshake.segments;
        let is_plain = self.is_in_time(answered.0)
            && self.is_in_time(opened.0.checked_sub(answered.0)?)
            && echoes(syn_ack.options.timestamps, syn.options.timestamps)
            && syn.window > 0
            && syn_ack.window > 0
            && !syn.options.incomplete
            && !syn_ack.options.incomplete;
        if !is_plain {
            return None;
        }
        self.announce(client, syn, 4);
        self.announce(client.peer(), syn_ack, 8);
        let [a, b] = &mut self.sides;
        if a.shift.is_none() || b.shift.is_none() {
            (a.shift, b.shift) = (None, None);
        }
        self.point(SYN, (0, 0));
        self.point(SYN_ACK, *answered);
        self.point(ACK, *opened);
        self.put(1, u8::from(ack.payload > 0));
        if let Some((units, frames)) = handshake.first_word {
            if self.span(units.checked_sub(opened.0)?) >= IDLE_MIN {
                return None;
            }
            self.point(WORD, (units, frames));
            self.put(1, 2);
        }
        Some(())
    }

    /// What a SYN says of its sender, and puts into the key at that place.
    #[inline(always)]
    fn announce(&mut self, from: End, syn: &Segment, at: usize) {
        let options = &syn.options;
        let flags = [
            (options.window_scale.is_some(), 1),
            (options.mss.is_some(), 2),
            (options.sack_permitted, 4),
            (syn.wrong_checksum, 8),
        ];
        let [low, high] = options.mss.unwrap_or_default().to_le_bytes();
        self.put(at, bits(flags));
        self.put(at + 1, options.window_scale.unwrap_or_default());
        self.put(at + 2, low);
        self.put(at + 3, high);
        let side = self.side(from);
        (side.isn, side.ttl, side.syn_window) = (syn.seq, syn.ttl, syn.window);
        (side.mss, side.shift) = (options.mss, options.window_scale);
    }

    /// The lanes: data in order.
    fn run(&mut self, lanes: &[Lane; 2]) -> Option<()> {
        for (side, lane) in self.sides.iter_mut().zip(lanes) {
            side.lane = *lane;
            let bytes = lane.nxt.offset_from(side.isn.add(1)).unsigned_abs();
            // Beyond, its first numbers do not compare to its newest any more.
            if bytes >= WINDOW_MAX || lane.turnaround().is_none() {
                return None;
            }
            side.bytes = bytes.into();
        }
        let [a, b] = lanes;
        let [unheard_a, unheard_b] = [a.nxt.offset_from(b.proven), b.nxt.offset_from(a.proven)];
        for (side, unheard) in self.sides.iter_mut().zip([unheard_a, unheard_b]) {
            side.unheard = u32::try_from(unheard).ok()?;
        }
        for (place, lane) in LAST.into_iter().zip(lanes) {
            self.point(place, (lane.last, lane.frame));
        }
        let [from_a, from_b] = self.sides.map(|side| side.bytes > 0);
        let order = [
            (from_a, 1),
            (from_b, 2),
            (a.edge > b.edge, 4),
            (b.edge > a.edge, 8),
            (unheard_a > 0, 16),
            (unheard_b > 0, 32),
            (a.frame > b.frame, 64),
        ];
        self.put(2, bits(order));
        // Whose last segment was which of the opening.
        let frame = |place: usize| self.shape.points.get(place).map_or(0, |point| point.frame);
        let is_last = |place: usize| LAST.iter().any(|last| frame(*last) == frame(place));
        let last = [(is_last(SYN_ACK), 16), (is_last(ACK), 32), (is_last(WORD), 64)];
        self.put(3, bits(last));
        Some(())
    }

    /// The segments from the first FIN or RST on. Returns how many they are. What begins with
    /// another has no shape.
    fn close(&mut self, mut lines: Lines<'_>, two_msl: Span) -> Option<u8> {
        let (mut before, mut count) = (lines.base().moment, 0);
        let (mut first, mut was_idle, mut was_reset) = (None, false, false);
        while let Some(later) = lines.next() {
            if !self.is_in_turn(&later) {
                return self.repeat_fins(later, lines, before, count, two_msl);
            }
            let units = later.moment.0;
            let silence = self.span(units.checked_sub(before.0)?);
            let is_idle = silence >= IDLE_MIN;
            // No TIME_WAIT can be over between two lines: none began before the first.
            let open_for = self.span(units - *first.get_or_insert(units));
            let in_order = units > before.0
                && (count > 0 || later.is_fin() || later.is_rst())
                && usize::from(count) < LINES
                && !(is_idle && was_idle)
                && open_for < two_msl
                // Whether one with ACK may have been overtaken by one without is a matter of time.
                && (!was_reset || (later.is_rst() && !later.segment.has(Flags::ACK)))
                && self.may_send(&later)
                && self.is_sure(&later)?;
            if !in_order {
                return None;
            }
            (was_idle, was_reset) = (was_idle || is_idle, was_reset || later.is_rst());
            let side = self.side(later.from);
            let window = scaled(side.lane.window, side.shift);
            let more = [
                (later.is_rst() && is_strange_ttl(side.ttl, later.segment.ttl), STRANGE_TTL),
                (later.is_rst() && side.lane.window > 0 && shrank(window, side.syn_window), SHRANK),
                (silence >= SILENCE_MIN, SILENT),
                (is_idle, IDLE),
                (later.is_fin() && later.segment.payload > ALERT_MAX, LONGER),
                (later.is_fin() && later.segment.payload > FAREWELL_MAX, LONG),
            ];
            self.put_line(count.into(), &later, bits(more));
            self.pass(&later);
            before = later.moment;
            count += 1;
        }
        Some(count)
    }

    /// Whether the segment is the next of its sender, and if it acknowledges anything, then all
    /// that the peer sent.
    #[inline(always)]
    fn is_in_turn(&self, later: &Later) -> bool {
        let [a, b] = &self.sides;
        let [own, peer] = later.from.own_first([a, b]);
        let acked = later.segment.acked();
        later.segment.seq == own.lane.nxt && acked.is_none_or(|acked| acked == peer.lane.nxt)
    }

    /// Whether the segment comes from a socket that may send such, and nothing about it is odd.
    /// What has sent a FIN sends no data behind it, nor, being in turn, the FIN again.
    fn may_send(&self, later: &Later) -> bool {
        let [a, b] = &self.sides;
        let [own, peer] = later.from.own_first([a, b]);
        let segment = &later.segment;
        let acks = segment.has(Flags::ACK);
        let are_closed = [own, peer].iter().all(|side| side.fin.is_some() && side.unheard == 0);
        // The answer to the handshake's ACK, or to that of a FIN, if it comes soon enough.
        let may_answer =
            !acks && (own.lane.segments == 1 || (own.fin.is_some() && peer.fin.is_some()));
        own.tsval_rise(segment) >= 0
            && match later.is_rst() {
                true => !later.is_fin() && segment.payload == 0 && !may_answer,
                false => acks && segment.window > 0 && !are_closed,
            }
            && (own.fin.is_none() || segment.seq_len() == 0)
    }

    /// Whether it is beyond doubt what the segment answers, and what waited for what. Times the
    /// answer; `None` if it took too long for that.
    fn is_sure(&mut self, later: &Later) -> Option<bool> {
        let (clock, units) = (self.clock, later.moment.0);
        let span = |units: u64| Span::from_nanos(clock.nanos(units));
        let [a, b] = &mut self.sides;
        let [own, peer] = later.from.own_first([a, b]);
        let speaks = later.segment.seq_len() > 0;
        let is_news = later.segment.has(Flags::ACK) && peer.unheard > 0;
        if is_news && !(speaks && peer.fin.is_some()) {
            let timed = own.lane.answered_after(clock.nanos(units - peer.lane.edge));
            timed.then_some(())?;
        }
        let fastest = fastest_answer(own.lane.turnaround().unwrap_or_default());
        let answers = |fin: u64| {
            let answered_after = span(units - fin);
            let may_be_late = speaks && own.fin.is_none();
            let latest = if may_be_late { fastest.plus(ACK_DELAY) } else { answered_after };
            (fastest..=latest).contains(&answered_after)
        };
        if goes_on(own, peer, later, clock) {
            return None;
        }
        let is_answer = own.has_answered || peer.fin.is_none_or(answers);
        Some(is_answer && (!later.is_fin() || is_free(peer, own, later, clock)))
    }

    /// The segment has passed.
    fn pass(&mut self, later: &Later) {
        let [a, b] = &mut self.sides;
        let [own, peer] = later.from.own_first([a, b]);
        let segment = &later.segment;
        own.has_answered |= peer.fin.is_some();
        own.lane.segments += 1;
        own.lane.last = later.moment.0;
        own.bytes += u64::from(segment.payload);
        if peer.fin.is_some() {
            own.after_peer_fin += u64::from(segment.payload);
        }
        if segment.has(Flags::ACK) {
            peer.unheard = 0;
        }
        if let Some((tsval, _)) = segment.options.timestamps {
            own.lane.tsval = tsval;
        }
        if later.is_rst() {
            return;
        }
        own.lane.window = segment.window;
        if segment.seq_len() > 0 {
            own.lane.nxt = segment.seq_end();
            own.lane.edge = later.moment.0;
            own.unheard += segment.seq_len();
            own.lane.flight = flight_kib(own.unheard);
        }
        if later.is_fin() {
            (own.fin, own.fin_mark) = (Some(later.moment.0), segment.ip_id);
        }
    }

    /// The ends of the TIME_WAITs that the lines may have begun, and how many are over.
    fn wait_out(&mut self, end: Timestamp, two_msl: Span) -> Option<()> {
        let (lines, silences) = self.shape.points.split_at_mut(CLOSE + LINES);
        let mut over = 0;
        let lines = lines.iter().skip(CLOSE).take_while(|line| line.frame > 0);
        for (line, silence) in lines.zip(silences) {
            *silence = Moment::silent(line.ts.after(two_msl));
            // At the epoch itself it would look like no moment.
            (*silence != Moment::NONE).then_some(())?;
            over += u8::from(end >= silence.ts);
        }
        self.put(0, over << 4);
        Some(())
    }
}
