//! Facts: what happened on a connection besides the transitions, without a judgement.
//!
//! The engine states a fact, findings say whether it matters. One fact of a kind is kept for each
//! endpoint, with its first and last moment and a count, so that the list is bounded by the kinds.

use crate::decode::icmp::IcmpError;
use crate::decode::tuple::End;
use crate::infer::trail::Moment;
use crate::time::{Span, Timestamp};

/// What happened. The endpoint of a fact is the one that sent the segment, unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FactKind {
    /// It refused a SYN with a RST.
    Refused,
    /// It answered a SYN on a live connection with an ACK (RFC 9293 section 3.10.7.4).
    ChallengedSyn,
    /// It sent a SYN that nothing came of: a stale duplicate, or a port tried too early.
    StaleSyn,
    /// It sent a RST inside the window but not at the next number: to be challenged (RFC 5961).
    InexactRst,
    /// It sent a RST outside the window.
    IgnoredRst,
    /// A RST came from it, or in its name, that later segments disprove.
    DisprovedRst,
    /// It sent new data after its own FIN.
    DataAfterFin,
    /// It sent data after the peer's FIN had come: the legal half-close.
    HalfCloseData,
    /// It repeated its SYN+ACK although an ACK had passed.
    SynAckRepeatedAfterAck,
    /// It repeated its FIN although an ACK of it had passed.
    FinRepeatedAfterAck,
    /// The peer acknowledged bytes of it that the capture does not hold.
    Gap,
    /// It probed with a keepalive.
    Keepalive,
    /// It probed the peer's closed window.
    WindowProbe,
    /// It advertised a closed window.
    ZeroWindow,
    /// It was in TIME_WAIT when the RST came that ended it; the endpoint is the victim.
    Assassinated,
    /// Its TIME_WAIT began again: the peer repeated its FIN.
    TimeWaitRestarted,
    /// Its SYN carried data.
    FastOpen,
    /// It spoke after both ends had been silent for long, and neither repeated anything in vain:
    /// from the last segment before to its own. The longest such silence that it ended.
    LongestIdle,
    /// The same of the newest that it ended, until the peer speaks again. A RST does not count.
    NewestIdle,
    /// It closed, by its first FIN or RST, after both ends had been silent, as far as it knew, and
    /// neither repeated anything in vain: from the last segment before, but for keepalives and
    /// their answers, to its own; or to its farewell, if it sent one and the FIN or RST at once.
    ClosedAfterIdle,
    /// Its new data crossed the peer's FIN: whichever passed first, the other does not acknowledge
    /// it.
    DataCrossedFin,
    /// It sent a RST when the newest data was the peer's.
    ResetOverData,
    /// It sent a RST when its window was smaller than at the start: received data took the room.
    ResetWithUnread,
    /// It answered with the RST of a host without such a socket when not all was acknowledged that
    /// it had sent a moment before, or the peer's window was closed: no host restarts so fast, but
    /// who closes may leave data, and its FIN behind that, unsent.
    ResetWhileBusy,
    /// A RST bears another TTL than what it sent before.
    StrangeTtl,
    /// It repeated its SYN+ACK although data of the peer had passed.
    SynAckRepeatedAfterData,
    /// It answered a keepalive.
    KeepaliveAnswered,
    /// The checksum of its SYN does not fit.
    WrongChecksum,
    /// It sent a RST, before any FIN of its own, when all was acknowledged that both ends had sent,
    /// by that RST at the latest, and the peer had sent data.
    ResetAllAcked,
    /// It repeated data, not for the first time, in a segment that some paths have no room for.
    LargeRepeated,
    /// It is the client, and closed first, as in [`FactKind::ClosedAfterIdle`], when the newest
    /// data was its own: nothing had come since.
    ClosedUnanswered,
    /// An ICMP error told it so about a segment of its own.
    Icmp(IcmpError),
}

impl FactKind {
    /// Every kind, in the order above.
    pub const ALL: [FactKind; 36] = [
        FactKind::Refused,
        FactKind::ChallengedSyn,
        FactKind::StaleSyn,
        FactKind::InexactRst,
        FactKind::IgnoredRst,
        FactKind::DisprovedRst,
        FactKind::DataAfterFin,
        FactKind::HalfCloseData,
        FactKind::SynAckRepeatedAfterAck,
        FactKind::FinRepeatedAfterAck,
        FactKind::Gap,
        FactKind::Keepalive,
        FactKind::WindowProbe,
        FactKind::ZeroWindow,
        FactKind::Assassinated,
        FactKind::TimeWaitRestarted,
        FactKind::FastOpen,
        FactKind::LongestIdle,
        FactKind::NewestIdle,
        FactKind::ClosedAfterIdle,
        FactKind::DataCrossedFin,
        FactKind::ResetOverData,
        FactKind::ResetWithUnread,
        FactKind::ResetWhileBusy,
        FactKind::StrangeTtl,
        FactKind::SynAckRepeatedAfterData,
        FactKind::KeepaliveAnswered,
        FactKind::WrongChecksum,
        FactKind::ResetAllAcked,
        FactKind::LargeRepeated,
        FactKind::ClosedUnanswered,
        FactKind::Icmp(IcmpError::PortUnreachable),
        FactKind::Icmp(IcmpError::Unreachable),
        FactKind::Icmp(IcmpError::TooBig),
        FactKind::Icmp(IcmpError::TimeExceeded),
        FactKind::Icmp(IcmpError::ParameterProblem),
    ];

    /// Its place in [`FactKind::ALL`].
    pub const fn index(self) -> usize {
        match self {
            FactKind::Refused => 0,
            FactKind::ChallengedSyn => 1,
            FactKind::StaleSyn => 2,
            FactKind::InexactRst => 3,
            FactKind::IgnoredRst => 4,
            FactKind::DisprovedRst => 5,
            FactKind::DataAfterFin => 6,
            FactKind::HalfCloseData => 7,
            FactKind::SynAckRepeatedAfterAck => 8,
            FactKind::FinRepeatedAfterAck => 9,
            FactKind::Gap => 10,
            FactKind::Keepalive => 11,
            FactKind::WindowProbe => 12,
            FactKind::ZeroWindow => 13,
            FactKind::Assassinated => 14,
            FactKind::TimeWaitRestarted => 15,
            FactKind::FastOpen => 16,
            FactKind::LongestIdle => 17,
            FactKind::NewestIdle => 18,
            FactKind::ClosedAfterIdle => 19,
            FactKind::DataCrossedFin => 20,
            FactKind::ResetOverData => 21,
            FactKind::ResetWithUnread => 22,
            FactKind::ResetWhileBusy => 23,
            FactKind::StrangeTtl => 24,
            FactKind::SynAckRepeatedAfterData => 25,
            FactKind::KeepaliveAnswered => 26,
            FactKind::WrongChecksum => 27,
            FactKind::ResetAllAcked => 28,
            FactKind::LargeRepeated => 29,
            FactKind::ClosedUnanswered => 30,
            FactKind::Icmp(error) => 31 + error as usize,
        }
    }
}

/// One kind of fact about one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fact {
    /// What happened.
    pub kind: FactKind,
    /// To whom; see [`FactKind`].
    pub end: End,
    /// The first time.
    pub first: Moment,
    /// The last time.
    pub last: Moment,
    /// How often.
    pub count: u32,
}

impl Fact {
    /// From its first moment to its last.
    pub fn span(&self) -> Span {
        self.last.ts.since(self.first.ts)
    }
}

/// The facts of one connection, in the order of their first moments.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts(Vec<Fact>);

impl Facts {
    /// The same room, empty.
    pub(super) fn cleared(mut self) -> Facts {
        self.0.clear();
        self
    }

    /// Notes that it happened once more.
    pub fn note(&mut self, kind: FactKind, end: End, at: Moment) {
        match self.0.iter_mut().find(|fact| fact.kind == kind && fact.end == end) {
            Some(fact) => {
                fact.last = at;
                fact.count = fact.count.saturating_add(1);
            }
            None => self.0.push(Fact { kind, end, first: at, last: at, count: 1 }),
        }
    }

    /// Puts a fact that spans a length of time in place of the one that is there.
    pub fn put(&mut self, kind: FactKind, end: End, first: Moment, last: Moment) {
        self.remove(kind, end);
        self.0.push(Fact { kind, end, first, last, count: 1 });
    }

    /// Forgets those of these kinds that began no earlier than `since`.
    pub(super) fn forget(&mut self, kinds: &[FactKind], since: Timestamp) {
        self.0.retain(|fact| !kinds.contains(&fact.kind) || fact.first.ts < since);
    }

    /// Forgets what is known of that kind about that endpoint.
    pub(super) fn remove(&mut self, kind: FactKind, end: End) {
        self.0.retain(|fact| fact.kind != kind || fact.end != end);
    }

    /// The fact of that kind about that endpoint.
    pub fn get(&self, kind: FactKind, end: End) -> Option<&Fact> {
        self.0.iter().find(|fact| fact.kind == kind && fact.end == end)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Fact> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_stands_at_its_place() {
        for (place, kind) in FactKind::ALL.into_iter().enumerate() {
            assert_eq!(kind.index(), place, "{kind:?}");
        }
    }
}
