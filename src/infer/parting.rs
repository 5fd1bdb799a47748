//! The silence before a close, which a farewell may end: a few bytes that nobody asked for, with
//! the FIN or RST at once behind them. TLS says close_notify so, HTTP/2 GOAWAY, SMTP 421,
//! PostgreSQL why it hangs up.

use crate::decode::segment::{Flags, Segment};
use crate::decode::tuple::End;
use crate::infer::fact::FactKind;
use crate::infer::trail::Moment;
use crate::infer::{Connection, SILENCE_MIN};
use crate::seq::SeqNum;

/// The most bytes of a farewell: PostgreSQL's has 160 or so.
pub(super) const FAREWELL_MAX: u32 = 256;
/// The same of a client whose peer spoke last, of which more may be its next request: an alert of
/// TLS has 85 at most, and with the GOAWAY of HTTP/2 63.
pub(super) const ALERT_MAX: u32 = 85;

/// A few bytes that an end sent after a silence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Parting {
    end: End,
    /// When the silence began.
    since: Moment,
    at: Moment,
    /// Their first number.
    seq: SeqNum,
    /// The newest data was of the same end.
    unanswered: bool,
}

impl Connection {
    /// Looks at a segment for what begins a close, or is it, before anything else of it counts.
    pub(super) fn note_parting(&mut self, from: End, segment: &Segment, at: Moment) {
        if segment.has(Flags::FIN) || segment.has(Flags::RST) {
            self.note_close(from, segment, at);
        } else if (1..=FAREWELL_MAX).contains(&segment.payload) {
            self.note_farewell(from, segment, at);
        }
    }

    /// Whether the newest data was of that end.
    fn spoke_last(&self, end: End) -> bool {
        self.end(end).spoke > self.end(end.peer()).spoke
    }

    /// Whether so much data may be a farewell: it answers nothing.
    fn may_part(&self, from: End, payload: u32) -> bool {
        let is_client = self.client == Some(from);
        (self.spoke_last(from) && payload <= FAREWELL_MAX) || (is_client && payload <= ALERT_MAX)
    }

    /// What both have said before may end with this.
    fn note_farewell(&mut self, from: End, segment: &Segment, at: Moment) {
        let (own, peer) = (self.end(from), self.end(from.peer()));
        let is_open = [own, peer].iter().all(|end| end.has_sent() && end.fin.is_none());
        let is_next = own.nxt == Some(segment.seq) && own.tally.bytes + peer.tally.bytes > 0;
        // To an end that has not got the newest data yet, the silence goes on.
        let heard = segment.acked().zip(peer.nxt).is_none_or(|(ack, nxt)| !nxt.after(ack));
        let since = if heard { self.spoke } else { own.last };
        if at.ts.since(since.ts) >= SILENCE_MIN
            && is_open
            && is_next
            && (!heard || self.may_part(from, segment.payload))
            && !self.is_in_vain(from, segment)
        {
            let unanswered = heard && self.spoke_last(from);
            self.parting = Some(Parting { end: from, since, at, seq: segment.seq, unanswered });
        }
    }

    /// An end closes, if it has not before.
    fn note_close(&mut self, from: End, segment: &Segment, at: Moment) {
        let is_silent = at.ts.since(self.spoke.ts) >= SILENCE_MIN;
        if self.end(from).fin.is_some()
            || (!is_silent && self.parting.is_none())
            || self.is_in_vain(from, segment)
        {
            return;
        }
        let parting = self.parting.filter(|parting| self.goes_with(parting, from, segment, at));
        let (since, until, unanswered) = match parting {
            _ if is_silent && (segment.payload == 0 || self.may_part(from, segment.payload)) => {
                (self.spoke, at, self.spoke_last(from))
            }
            Some(Parting { since, at, unanswered, .. }) => (since, at, unanswered),
            None => return,
        };
        self.facts.put(FactKind::ClosedAfterIdle, from, since, until);
        let is_first = self.end(from.peer()).fin.is_none();
        if unanswered && is_first && self.client == Some(from) {
            self.facts.put(FactKind::ClosedUnanswered, from, since, until);
        }
    }

    /// Whether the end closes at once after that, has said no more than a farewell, and heard
    /// nothing in between.
    fn goes_with(&self, parting: &Parting, from: End, segment: &Segment, at: Moment) -> bool {
        let peer = self.end(from.peer());
        let said = segment.seq.add(segment.payload).offset_from(parting.seq);
        let heard = segment.acked().zip(peer.nxt).is_some_and(|(ack, nxt)| !nxt.after(ack));
        parting.end == from
            && at.ts.since(parting.at.ts) < SILENCE_MIN
            && (0..=FAREWELL_MAX as i32).contains(&said)
            && !(heard && peer.spoke > parting.at.ts)
    }
}
