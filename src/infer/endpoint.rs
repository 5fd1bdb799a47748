//! What the observer knows of one endpoint's sequence space: what it sent, what it has shown to
//! have received, and what it should have received if nothing was lost behind the observer.

use crate::decode::segment::Segment;
use crate::infer::event::{Event, Events};
use crate::infer::holes::Holes;
use crate::infer::state::State;
use crate::infer::tally::Tally;
use crate::infer::trail::Moment;
use crate::limits::SYN_GAPS_MAX;
use crate::seq::{SeqNum, WINDOW_MAX, WINDOW_SCALE_MAX};
use crate::time::{Span, Timestamp};

/// The turnaround that is counted on where no answer was ever timed.
pub(super) const TURNAROUND_UNKNOWN: Span = Span::from_millis(100);

/// Numbers beyond a hole in what an endpoint received.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Beyond {
    from: SeqNum,
    to: SeqNum,
    /// There is a second hole inside.
    ragged: bool,
}

/// Repeats of whatever the endpoint waits to see acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Repeats {
    /// Repeats since the last sign of progress.
    pub count: u16,
    /// The segments in which these repeat data, SYN, SYN+ACK or FIN.
    pub segments: u32,
    /// When what is repeated was first sent.
    pub since: Timestamp,
    /// The last repeat.
    pub last: Timestamp,
    /// The time between the last two.
    pub gap: Span,
}

impl Repeats {
    /// What was first sent at `since` is sent again. Whether that is one more repeat.
    pub fn add(&mut self, since: Timestamp, at: Timestamp) -> bool {
        /// Segments that are repeated together are one repeat.
        const TOGETHER: Span = Span::from_millis(2);
        if self.count > 0 && at.since(self.last) < TOGETHER {
            return false;
        }
        if self.count == 0 {
            (self.since, self.last) = (since, since);
        }
        self.count = self.count.saturating_add(1);
        self.gap = at.since(self.last);
        self.last = at;
        true
    }
}

/// When an endpoint sent its SYN or SYN+ACK, first and last, with the TSval of each; of one that
/// began with a SYN+ACK, without.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Opening {
    /// The first one.
    pub first: Moment,
    /// Its TSval.
    pub first_tsval: Option<u32>,
    /// The one before the newest.
    pub previous: Moment,
    /// Its TSval.
    pub previous_tsval: Option<u32>,
    /// The newest one.
    pub last: Moment,
    /// Its TSval.
    pub last_tsval: Option<u32>,
    /// The times between them.
    pub gaps: Gaps,
}

/// The first times between a SYN and its repeats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    micros: [u32; SYN_GAPS_MAX],
    len: u8,
}

impl Gaps {
    /// One more, if there is room.
    pub fn push(&mut self, gap: Span) {
        if let Some(place) = self.micros.get_mut(usize::from(self.len)) {
            *place = u32::try_from(gap.as_nanos() / 1_000).unwrap_or(u32::MAX);
            self.len += 1;
        }
    }

    /// All that are known, in whole microseconds.
    pub fn iter(&self) -> impl Iterator<Item = Span> {
        let known = self.micros.iter().take(self.len.into());
        known.map(|micros| Span::from_micros((*micros).into()))
    }
}

/// One endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Endpoint {
    /// The state it is in, as far as is known.
    pub state: State,
    /// Its initial sequence number, if a SYN or an ACK of one showed it.
    pub isn: Option<SeqNum>,
    /// The number after its SYN and what came with it.
    pub after_syn: Option<SeqNum>,
    /// The number of its first segment seen.
    pub first_seq: Option<SeqNum>,
    /// The number after the last that it sent.
    pub nxt: Option<SeqNum>,
    /// The highest number of its bare ACKs that were ahead of all that had passed: everything
    /// before it was sent before that ACK.
    pub shown: Option<SeqNum>,
    /// When `nxt` last moved.
    pub edge: Timestamp,
    /// When it last sent new data.
    pub spoke: Timestamp,
    /// What before `nxt` has not passed the observer.
    pub(super) holes: Holes,
    /// The number of its FIN.
    pub fin: Option<SeqNum>,
    /// Its FIN is known from an ACK only.
    pub fin_unseen: bool,
    /// A byte of it that the capture missed was once taken for its FIN.
    pub misread_as_fin: bool,
    /// The number of a RST in its name that lay ahead of all that it had sent.
    pub reset_ahead: Option<SeqNum>,
    /// The number of a RST in its name that may answer an ACK before the newest.
    pub guessed_reset: Option<SeqNum>,
    /// The number of the acceptable RST that it was taken to have believed, while it is.
    pub believed_reset: Option<SeqNum>,
    /// It may have sent a FIN that the capture does not hold.
    pub may_have_closed: bool,
    /// Its own FIN may have been there before the peer's came: waiting behind data, for it could
    /// not send all that it might have had, or lost before it passed.
    pub may_have_queued_fin: bool,
    /// What was on its way when it last sent, in KiB, rounded up, 15 at most.
    pub flight: u8,
    /// It opened with a SYN that carried data.
    pub fast_open: bool,
    /// That data was acknowledged with the SYN (RFC 7413).
    pub fast_open_accepted: bool,
    /// A SYN reached it in a synchronized state: it is to answer with an ACK.
    pub owes_challenge: bool,
    /// It sent a SYN+ACK.
    pub sent_syn_ack: bool,
    /// It has acknowledged the peer's SYN.
    pub acked_syn: bool,
    /// The highest acknowledgement number that it sent: received without doubt.
    pub proven: Option<SeqNum>,
    /// The next number it waits for, if all that passed the observer arrived.
    pub expected: Option<SeqNum>,
    beyond: Option<Beyond>,
    /// The highest number that its SACKs said it had received, behind something that it had not.
    pub sacked: Option<SeqNum>,
    /// The peer's newest segment that may have completed the peer's FIN.
    pub fin_candidate: Moment,
    /// The peer's newest segment that acknowledges this end's SYN.
    pub ack_candidate: Moment,
    /// The peer's newest segment that acknowledges this end's FIN and was not believed to arrive.
    pub close_candidate: Moment,
    /// The peer's newest segment that acknowledges this end's FIN.
    pub acked_by: Moment,
    /// The number behind the peer's data that passed with the ACK of this end's FIN and never
    /// without.
    pub acked_with: Option<SeqNum>,
    /// The handshake's ACK passed by itself, without data.
    pub bare_ack: bool,
    /// How often the peer's FIN was taken as received and was not.
    pub fin_doubts: u8,
    /// How often the ACK of its FIN was taken as received and was not.
    pub close_doubts: u8,
    /// What marks the packet that last carried its FIN: IPv4 identification and TSval.
    pub fin_mark: Option<(u16, Option<u32>)>,
    /// The TSval that its FIN first bore.
    pub fin_tsval: Option<u32>,
    /// How often the peer's answer in the handshake was taken as received and was not.
    pub handshake_doubts: u8,
    /// When its SYNs passed.
    pub opening: Opening,
    /// Shortest time in which it answered.
    pub turnaround: Option<Span>,
    /// When its TIME_WAIT last began.
    pub time_wait_since: Timestamp,
    /// Unanswered repeats.
    pub repeats: Repeats,
    /// Since when it advertises a closed window.
    pub window_closed: Option<Timestamp>,
    /// The TSval of the segment that last opened a closed window.
    pub opened_tsval: Option<u32>,
    /// Its newest window, unscaled.
    pub window: u16,
    /// Its window scale shift, if its SYN announced one.
    pub window_scale: Option<u8>,
    /// The capture, or its own fault, cut the options of its SYN: it may have announced more.
    pub options_cut: bool,
    /// Its SYN carried timestamps.
    pub timestamps: bool,
    /// Its SYN permitted SACK.
    pub sack_permitted: bool,
    /// Its maximum segment size, if its SYN announced one.
    pub mss: Option<u16>,
    /// TTL of its first segment; 0 if it sent none.
    pub ttl: u8,
    /// The window in its SYN, which is never scaled.
    pub syn_window: u16,
    /// Its newest segment.
    pub last: Moment,
    /// Its highest TSval.
    pub tsval: Option<u32>,
    /// Counts of what it sent.
    pub tally: Tally,
    /// The events whose transitions are still open, a bit each.
    open_events: Events,
    /// The events whose transitions may stand later than they happened, a bit each.
    late_events: Events,
    /// What was taken as received once was not.
    fell_back: bool,
}

impl Endpoint {
    /// Whether it ever sent a segment.
    pub fn has_sent(&self) -> bool {
        self.tally.segments > 0
    }

    /// Whether it has sent so much that its first numbers do not compare to its newest any more:
    /// sequence numbers have an order within half their range only.
    pub fn is_far_from_first(&self) -> bool {
        self.tally.bytes.saturating_add(self.tally.missing) >= WINDOW_MAX.into()
    }

    /// Whether `ack` acknowledges its SYN, as far as that is known.
    pub fn is_syn_acked_by(&self, ack: SeqNum) -> bool {
        self.isn.is_some_and(|isn| self.is_far_from_first() || ack.after(isn))
    }

    /// Whether everything before `number` has been shown to have arrived here.
    pub fn has_proven(&self, number: SeqNum) -> bool {
        self.proven.is_some_and(|proven| proven.at_or_after(number))
    }

    /// Whether everything before `number` should have arrived here.
    pub fn expects_beyond(&self, number: SeqNum) -> bool {
        self.expected.is_some_and(|expected| expected.at_or_after(number))
    }

    /// Its bare ACK bore this number, ahead of all that had passed.
    pub fn show(&mut self, number: SeqNum) {
        self.shown = Some(self.shown.map_or(number, |shown| shown.latest(number)));
    }

    /// The peer's segment passes on its way here; `acks` says whether it bears the ACK of this
    /// end's FIN, `seen` whether its numbers had passed before. Data that passed without that ACK,
    /// before or after, may have come without.
    pub fn take_ack_of_fin(&mut self, segment: &Segment, acks: bool, seen: bool) {
        let (from, to) = (segment.seq, segment.seq_end());
        let is_same = |data: SeqNum| data.after(from) && to.at_or_after(data);
        if acks && !seen {
            self.acked_with = Some(to);
        } else if !acks && self.acked_with.is_some_and(is_same) {
            self.acked_with = None;
        }
    }

    /// Whether the newest data that passed on its way here ends at this number, behind a hole.
    pub fn is_beyond_to(&self, number: SeqNum) -> bool {
        self.beyond.is_some_and(|beyond| beyond.to == number)
    }

    /// Remembers that a transition by this event may still be refuted.
    pub fn mark_open(&mut self, event: Event) {
        self.open_events.add(event);
    }

    /// Forgets open transitions by these events, and says whether there were any.
    pub fn take_open(&mut self, events: &[Event]) -> bool {
        self.open_events.remove(events)
    }

    /// Whether a transition by one of these events may still be refuted.
    pub fn has_open(&self, events: &[Event]) -> bool {
        self.open_events.has_any(events)
    }

    /// Remembers that what moved it by this event may have come before the segment that is taken
    /// for it.
    pub fn mark_late(&mut self, event: Event) {
        self.late_events.add(event);
    }

    /// Forgets that, for these events: it has shown which segment moved it.
    pub fn settle_late(&mut self, events: &[Event]) {
        self.late_events.remove(events);
    }

    /// Whether a transition by one of these events may stand later than it happened.
    pub fn may_be_late(&self, events: &[Event]) -> bool {
        self.late_events.has_any(events)
    }

    /// Takes note of how long it took to answer.
    pub fn sample_turnaround(&mut self, sample: Span) {
        if self.turnaround.is_none_or(|shortest| sample < shortest) {
            self.turnaround = Some(sample);
        }
    }

    /// The least time in which an answer to what passes on its way here can pass: the shortest so
    /// far, less what the host itself may have taken of it.
    pub fn fastest_answer(&self) -> Span {
        fastest_answer(self.turnaround.unwrap_or(Span::ZERO))
    }

    /// How long after a segment passed on its way here something may still pass that was sent
    /// before that segment arrived.
    pub fn in_flight(&self) -> Span {
        in_flight(self.turnaround.unwrap_or(TURNAROUND_UNKNOWN))
    }

    /// The size of the window that it advertises, in bytes.
    pub fn window_bytes(&self, peer_scales: bool) -> u32 {
        if self.window == 0 && self.window_closed.is_none() {
            return u32::from(self.syn_window);
        }
        self.scaled(self.window, peer_scales)
    }

    /// A window of its own in bytes; `peer_scales` says whether the peer announced a scale as well.
    pub(super) fn scaled(&self, window: u16, peer_scales: bool) -> u32 {
        scaled(window, self.window_scale.filter(|_| peer_scales))
    }

    /// The most that the peer puts into one segment, in bytes.
    pub fn segment_max(&self) -> u32 {
        segment_max(self.mss)
    }

    /// It has shown to have received everything before `number`.
    pub fn prove(&mut self, number: SeqNum) {
        self.proven = Some(self.proven.map_or(number, |proven| proven.latest(number)));
        self.expect(number);
    }

    /// Everything before `number` should have arrived.
    fn expect(&mut self, number: SeqNum) {
        let reached = self.expected.map_or(number, |expected| expected.latest(number));
        self.expected = Some(reached);
        if let Some(beyond) = self.beyond.filter(|beyond| reached.at_or_after(beyond.from)) {
            self.beyond = None;
            if !beyond.ragged {
                self.expected = Some(reached.latest(beyond.to));
            }
        }
    }

    /// A segment with the numbers `from..to` passed on its way here. Returns whether all of them
    /// had passed before.
    pub fn take(&mut self, from: SeqNum, to: SeqNum) -> bool {
        let Some(expected) = self.expected else {
            self.expected = Some(to);
            return false;
        };
        if expected.at_or_after(from) {
            let repeated = expected.at_or_after(to);
            self.expect(to);
            return repeated;
        }
        let Some(beyond) = self.beyond else {
            self.beyond = Some(Beyond { from, to, ragged: false });
            return false;
        };
        let inside = from.at_or_after(beyond.from) && beyond.to.at_or_after(to);
        let apart = from.after(beyond.to) || beyond.from.after(to);
        self.beyond = Some(Beyond {
            from: if from.before(beyond.from) { from } else { beyond.from },
            to: beyond.to.latest(to),
            ragged: beyond.ragged || apart,
        });
        inside && !beyond.ragged
    }

    /// What was taken as received was not: only what is proven counts, until more comes.
    pub fn fall_back(&mut self) {
        self.expected = self.proven;
        self.beyond = None;
        self.fell_back = true;
    }

    /// Whether it waits for something before `number`, and for nothing that passed before.
    pub fn waits_for_pieces(&self, number: SeqNum) -> bool {
        !self.fell_back && !self.expects_beyond(number)
    }

    /// Everything before `number` has passed on its way here, in whatever order.
    pub fn join_pieces(&mut self, number: SeqNum) {
        self.expected = Some(number);
        self.beyond = None;
    }

    /// It sent the same data, SYN or FIN again.
    pub fn repeat(&mut self, at: Timestamp) {
        self.tally.retransmitted += 1;
        self.repeats.segments = self.repeats.segments.saturating_add(1);
        self.repeats.add(self.edge, at);
    }

    /// Its window is `window` now.
    pub fn advertise(&mut self, window: u16, at: Timestamp) {
        self.window = window;
        match (window, self.window_closed) {
            (0, None) => self.window_closed = Some(at),
            (0, Some(since)) => self.tally.stalled(since, at),
            (_, Some(since)) => {
                self.tally.stalled(since, at);
                self.window_closed = None;
            }
            (_, None) => {}
        }
    }
}

/// The least time in which an answer can pass, where the fastest so far took so long.
pub(crate) fn fastest_answer(turnaround: Span) -> Span {
    /// What the host itself may have taken of it.
    const OWN_MAX: Span = Span::from_millis(1);
    let own = Span::from_nanos(turnaround.as_nanos() / 2).min(OWN_MAX);
    Span::from_nanos(turnaround.as_nanos() - own.as_nanos())
}

/// How long something may be on its way, where the fastest answer took so long.
pub(crate) fn in_flight(turnaround: Span) -> Span {
    /// Queues and timers on top of the fastest answer.
    const SLACK: Span = Span::from_millis(10);
    const JITTER_MAX: Span = Span::from_millis(100);
    turnaround.plus(turnaround.min(JITTER_MAX)).plus(SLACK)
}

/// A window in bytes, with the shift of its sender if both ends scale.
pub(super) fn scaled(window: u16, shift: Option<u8>) -> u32 {
    u32::from(window) << shift.unwrap_or(0).min(WINDOW_SCALE_MAX)
}

/// The most that is put into one segment to whoever announced that, in bytes.
pub(super) fn segment_max(mss: Option<u16>) -> u32 {
    /// Where it announced none; larger than most, since that only adds doubt.
    const MSS: u16 = 1460;
    u32::from(mss.unwrap_or(MSS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expecting(number: u32) -> Endpoint {
        Endpoint { expected: Some(SeqNum(number)), ..Endpoint::default() }
    }

    #[test]
    fn numbers_beyond_a_hole_wait_for_it_to_be_filled() {
        let mut end = expecting(100);
        assert!(!end.take(SeqNum(150), SeqNum(200)));
        assert_eq!(end.expected, Some(SeqNum(100)));
        assert!(end.take(SeqNum(160), SeqNum(180)), "those had passed already");
        assert!(!end.take(SeqNum(100), SeqNum(150)));
        assert_eq!(end.expected, Some(SeqNum(200)));
    }

    #[test]
    fn behind_a_second_hole_only_an_ack_tells() {
        let mut end = expecting(100);
        end.take(SeqNum(150), SeqNum(160));
        end.take(SeqNum(180), SeqNum(200));
        end.take(SeqNum(100), SeqNum(150));
        assert_eq!(end.expected, Some(SeqNum(150)));
        end.prove(SeqNum(200));
        assert_eq!(end.expected, Some(SeqNum(200)));
    }

    #[test]
    fn a_closed_window_is_timed_from_its_first_sight() {
        let mut end = Endpoint::default();
        end.advertise(0, Timestamp::from_nanos(10));
        end.advertise(0, Timestamp::from_nanos(30));
        assert_eq!(end.tally.zero_window, Span::from_nanos(20));
        end.advertise(512, Timestamp::from_nanos(45));
        assert_eq!(end.tally.zero_window, Span::from_nanos(35));
        assert_eq!(end.window_closed, None);
    }
}
