//! A FIN that is sent again and again, since nothing comes: the last thing that a shape may hold.
//! What the peer says then, if it says anything, the engine looks at.

use super::{CLOSE, Cast, GAVE_UP, KEY_CLOSE, LINES, SENT_AGAIN, is_free};
use crate::decode::tuple::End;
use crate::infer::brief::transcript::Reader;
use crate::infer::endpoint::in_flight;
use crate::infer::silence::{FIN_REPEATS_MIN, fin_given_up};
use crate::infer::trail::Moment;
use crate::infer::{DOUBTS_MAX, IDLE_MIN};
use crate::time::{Span, Timestamp};

impl Cast<'_> {
    /// Nothing has passed since a FIN, and now that again, so late that its peer may not have got
    /// the one before. Returns its moment.
    pub(super) fn repeat_fin(
        &mut self,
        lines: &mut Reader<'_>,
        before: (u64, u32),
        count: usize,
        two_msl: Span,
    ) -> Option<(u64, u32)> {
        let (turn, seq) = lines.fin_again(before)?;
        let (clock, now) = (self.clock, self.clock.time(turn.moment.0));
        let silence = self.span(turn.moment.0.checked_sub(before.0)?);
        let open_for = now.since(self.shape.points.get(CLOSE)?.ts);
        let round_trip = self.round_trip();
        let [a, b] = &mut self.sides;
        let (own, peer) = if turn.from == End::A { (a, b) } else { (b, a) };
        let sent = own.fin?;
        let is_last = own.repeats.count > 0 || sent == before.0;
        let is_marked = turn.ip_id != own.fin_mark || (turn.has_tsval && turn.tsval_rise > 0);
        let is_new = is_marked || (turn.ip_id == 0 && !turn.has_tsval);
        let is_plain = is_last
            && seq == own.isn.add(1).add(own.bytes as u32)
            && turn.tsval_rise >= 0
            && turn.window > 0
            && is_new
            && count < LINES
            && open_for < two_msl
            && silence < IDLE_MIN
            && silence > in_flight(peer.lane.turnaround()?)
            && fin_given_up(&own.repeats, round_trip, now).is_none()
            && is_free(peer, own, &turn, clock);
        (is_plain && own.repeats.add(clock.time(sent), now)).then_some(())?;
        own.lane.segments += 1;
        own.lane.last = turn.moment.0;
        own.fin_mark = turn.ip_id;
        self.put(KEY_CLOSE + 2 * count, u8::from(turn.from == End::B));
        self.put(KEY_CLOSE + 2 * count + 1, SENT_AGAIN);
        self.point(CLOSE + count, turn.moment);
        Some(turn.moment)
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
        (at != Moment::default()).then_some(())?;
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
