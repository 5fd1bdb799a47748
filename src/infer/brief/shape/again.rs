//! A FIN that is sent again and again, since nothing comes: the last thing that a shape may hold.
//! What the peer says then, if it says anything, the engine looks at.

use super::queued::is_free;
use super::{CLOSE, Cast, GAVE_UP, LINES, SENT_AGAIN};
use crate::decode::segment::Flags;
use crate::infer::brief::closing::{Later, Lines};
use crate::infer::endpoint::in_flight;
use crate::infer::silence::{FIN_REPEATS_MIN, fin_given_up};
use crate::infer::trail::Moment;
use crate::infer::{DOUBTS_MAX, IDLE_MIN};
use crate::time::{Span, Timestamp};

impl Cast<'_> {
    /// A FIN is sent again and again, from this line on behind `count` others. Returns how many
    /// lines there are.
    #[inline(never)]
    pub(super) fn repeat_fins(
        &mut self,
        first: Later,
        mut lines: Lines<'_>,
        mut before: (u64, u32),
        mut count: u8,
        two_msl: Span,
    ) -> Option<u8> {
        let mut next = Some(first);
        while let Some(later) = next {
            self.repeat_fin(&later, before, count.into(), two_msl)?;
            (before, count) = (later.moment, count + 1);
            next = lines.next();
        }
        Some(count)
    }

    /// Nothing has passed since a FIN, and now that again, so late that its peer may not have got
    /// the one before.
    fn repeat_fin(
        &mut self,
        later: &Later,
        before: (u64, u32),
        count: usize,
        two_msl: Span,
    ) -> Option<()> {
        const KIND: u16 = Flags::FIN.bits() | Flags::RST.bits() | Flags::ACK.bits();
        let segment = &later.segment;
        let (clock, now) = (self.clock, self.clock.time(later.moment.0));
        let silence = self.span(later.moment.0.checked_sub(before.0)?);
        let open_for = now.since(self.shape.points.get(CLOSE)?.ts);
        let round_trip = self.round_trip();
        let [a, b] = &mut self.sides;
        let [own, peer] = later.from.own_first([a, b]);
        let sent = own.fin?;
        let is_last = own.repeats.count > 0 || sent == before.0;
        let (tsval_rise, has_tsval) =
            (own.tsval_rise(segment), segment.options.timestamps.is_some());
        let is_marked = segment.ip_id != own.fin_mark || tsval_rise > 0;
        let is_new = is_marked || (segment.ip_id == 0 && !has_tsval);
        let is_plain = is_last
            && segment.flags.bits() & KIND == Flags::FIN.bits() | Flags::ACK.bits()
            && segment.ack == peer.lane.nxt
            && segment.seq == own.isn.add(1).add(own.bytes as u32)
            && segment.payload == 0
            && tsval_rise >= 0
            && segment.window > 0
            && is_new
            && count < LINES
            && open_for < two_msl
            && silence < IDLE_MIN
            && silence > in_flight(peer.lane.turnaround()?)
            && fin_given_up(&own.repeats, round_trip, now).is_none()
            && is_free(peer, own, later, clock);
        (is_plain && own.repeats.add(clock.time(sent), now)).then_some(())?;
        own.lane.segments += 1;
        own.lane.last = later.moment.0;
        own.lane.tsval = segment.options.timestamps.map_or(own.lane.tsval, |(tsval, _)| tsval);
        own.fin_mark = segment.ip_id;
        self.put_line(count, later, SENT_AGAIN);
        Some(())
    }

    /// Whether the end that sent its FIN again has given up, and when.
    pub(super) fn give_up(&mut self, end: Timestamp) -> Option<()> {
        const _: () = assert!(FIN_REPEATS_MIN >= DOUBTS_MAX as u16, "then no TIME_WAIT is left");
        let Some(own) = self.sides.iter().find(|side| side.repeats.count > 0) else {
            return Some(());
        };
        let Some(ts) = fin_given_up(&own.repeats, self.round_trip(), end) else {
            return Some(());
        };
        let at = Moment::silent(ts);
        // At the epoch itself it would look like no moment.
        (at != Moment::NONE).then_some(())?;
        *self.shape.points.get_mut(GAVE_UP)? = at;
        self.put(1, 16);
        Some(())
    }

    /// How long a segment and its answer may be on their ways.
    fn round_trip(&self) -> Span {
        let [a, b] = &self.sides;
        let [a, b] = [a, b].map(|it| in_flight(it.lane.turnaround().unwrap_or_default()));
        a.plus(b)
    }
}
