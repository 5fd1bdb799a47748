//! What kinds of segments a capture holds: where it has not one of a kind that every connection
//! has, somebody filtered it, and what follows from that kind cannot be told.

use crate::decode::segment::{Flags, Segment};

/// The kinds of segments that were seen, a bit for each: by FIN, SYN and RST, and whether there is
/// payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds(u16);

/// The only segments that a capture holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Only {
    /// Those with RST.
    Rst,
    /// Those with SYN, FIN or RST, of connections that carried more.
    Signals,
    /// Those with payload.
    Data,
    /// Others than bare ACKs, of many connections or long ones.
    NoBareAcks,
}

/// The flags that make a kind, the lowest bits of a header's.
const SIGNALS: u16 = Flags::FIN.bits() | Flags::SYN.bits() | Flags::RST.bits();
const _: () = assert!(SIGNALS == 7, "four bits with that for payload");
const DATA: u16 = SIGNALS + 1;

/// So many segments of a capture without one of a kind that connections have are no accident.
const SEGMENTS_MIN: u64 = 20;

impl Kinds {
    /// One more segment.
    #[inline(always)]
    pub fn add(&mut self, segment: &Segment) {
        let kind = segment.flags.bits() & SIGNALS;
        let data = if segment.payload > 0 { DATA } else { 0 };
        self.0 |= 1 << (kind | data);
    }

    /// To what the capture is limited, if beyond doubt; `segments` is how many it has.
    pub fn only(self, segments: u64) -> Option<Only> {
        let has =
            |is: &dyn Fn(u16) -> bool| (0..16).any(|kind| self.0 >> kind & 1 == 1 && is(kind));
        let flagged = |flag: Flags| move |kind: u16| kind & flag.bits() > 0;
        let (syn, fin, rst) = (flagged(Flags::SYN), flagged(Flags::FIN), flagged(Flags::RST));
        match () {
            () if self.0 == 0 => None,
            () if !has(&|kind| !rst(kind)) => Some(Only::Rst),
            () if segments < SEGMENTS_MIN => None,
            // A FIN comes after the ACK of a handshake: there were segments with neither.
            () if has(&syn) && has(&fin) && !has(&|kind| kind & SIGNALS == 0) => {
                Some(Only::Signals)
            }
            () if !has(&|kind| kind & DATA == 0) => Some(Only::Data),
            () if has(&syn) && has(&fin) && !has(&|kind| kind == 0) => Some(Only::NoBareAcks),
            () => None,
        }
    }
}

impl Only {
    /// Its word in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Only::Rst => "rst",
            Only::Signals => "syn-fin-rst",
            Only::Data => "data",
            Only::NoBareAcks => "no-bare-acks",
        }
    }

    /// What the capture lacks, in words.
    pub const fn words(self) -> &'static str {
        match self {
            Only::Rst => "only RSTs, so it does not show what they ended",
            Only::Signals => {
                "only segments with SYN, FIN or RST, so it does not show whether they were \
                 acknowledged"
            }
            Only::Data => "only segments with data, so most that opens or closes is not there",
            Only::NoBareAcks => {
                "no bare ACK: a state looks held where nothing else came in its place"
            }
        }
    }

    /// Whether the ACK of a handshake is among what is not there.
    pub const fn lacks_handshakes_ack(self) -> bool {
        matches!(self, Only::Signals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(all: &[(&[Flags], u32)]) -> Option<Only> {
        let mut kinds = Kinds::default();
        for (flags, payload) in all {
            let flags = flags.iter().fold(Flags::default(), |all, flag| all | *flag);
            kinds.add(&Segment { flags, payload: *payload, ..Segment::default() });
        }
        kinds.only(30)
    }

    #[test]
    fn a_few_segments_show_no_filter() {
        let mut kinds = Kinds::default();
        for flags in [Flags::SYN, Flags::FIN] {
            kinds.add(&Segment { flags, ..Segment::default() });
        }
        let found = [SEGMENTS_MIN - 1, SEGMENTS_MIN].map(|segments| kinds.only(segments));
        assert_eq!(found, [None, Some(Only::Signals)]);
    }

    #[test]
    fn a_capture_of_one_kind_is_one() {
        const SYN: (&[Flags], u32) = (&[Flags::SYN], 0);
        const SYN_ACK: (&[Flags], u32) = (&[Flags::SYN, Flags::ACK], 0);
        const ACK: (&[Flags], u32) = (&[Flags::ACK], 0);
        const DATA: (&[Flags], u32) = (&[Flags::ACK, Flags::PSH], 9);
        const FIN: (&[Flags], u32) = (&[Flags::FIN, Flags::ACK], 0);
        const RST: (&[Flags], u32) = (&[Flags::RST, Flags::ACK], 0);
        assert_eq!(only(&[]), None);
        // A flood, or a server out of reach: that may be all there was.
        assert_eq!(only(&[SYN]), None);
        assert_eq!(only(&[SYN, SYN_ACK]), None);
        assert_eq!(only(&[RST]), Some(Only::Rst));
        assert_eq!(only(&[SYN, SYN_ACK, FIN]), Some(Only::Signals));
        assert_eq!(only(&[DATA]), Some(Only::Data));
        assert_eq!(only(&[SYN, SYN_ACK, DATA, FIN]), Some(Only::NoBareAcks));
        // Refused, or a scan: that is all there was.
        assert_eq!(only(&[SYN, RST]), None);
        assert_eq!(only(&[SYN, SYN_ACK, RST]), None);
        assert_eq!(only(&[SYN, SYN_ACK, ACK, FIN]), None);
        assert_eq!(only(&[SYN, SYN_ACK, DATA]), None);
    }
}
