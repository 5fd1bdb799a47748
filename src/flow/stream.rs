//! Wireshark's `tcp.stream`, so that a user can jump there with a display filter.
//!
//! A four-tuple gets a number at its first segment, and another one at each SYN without ACK whose
//! sequence number is not the base of its direction, in any state and at any age. The base is the
//! first SYN's number, or what the first segment implies.

use crate::decode::segment::{Flags, Segment};
use crate::decode::tuple::End;
use crate::seq::SeqNum;

/// The numbering of one four-tuple.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Numbering {
    stream: u32,
    base: [Option<SeqNum>; 2],
    begun: bool,
}

impl Numbering {
    /// The stream of the next segment, sent by `from`; `next` is the first number not given yet.
    pub fn stream_of(&mut self, from: End, segment: &Segment, next: &mut u32) -> u32 {
        self.find(from, segment, next);
        let syn = segment.has(Flags::SYN);
        let [a, b] = &mut self.base;
        let (own, peer) = if from == End::A { (a, b) } else { (b, a) };
        if syn || own.is_none() {
            *own = Some(if syn { segment.seq } else { segment.seq.sub(1) });
        }
        if peer.is_none() && segment.has(Flags::ACK) {
            *peer = Some(segment.ack.sub(1));
        }
        self.stream
    }

    /// An ICMP error quotes a segment of `from`, or its header is broken: Wireshark looks for its
    /// stream all the same, but takes no base from it.
    pub fn seen(&mut self, from: End, segment: &Segment, next: &mut u32) {
        self.find(from, segment, next);
    }

    /// Goes on to the next stream where the segment is the first, or opens another.
    #[inline]
    fn find(&mut self, from: End, segment: &Segment, next: &mut u32) {
        let [a, b] = self.base;
        let own = if from == End::A { a } else { b };
        let opens = segment.has(Flags::SYN) && !segment.has(Flags::ACK);
        let reused = opens && own.is_some_and(|base| base != segment.seq);
        if reused {
            self.base = [None, None];
        }
        if reused || !self.begun {
            self.begun = true;
            self.stream = *next;
            *next = next.wrapping_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(flags: Flags, seq: u32, ack: u32) -> Segment {
        Segment { flags, seq: SeqNum(seq), ack: SeqNum(ack), ..Segment::default() }
    }

    #[test]
    fn another_syn_number_is_another_stream() {
        let (mut numbering, mut next) = (Numbering::default(), 4);
        let mut stream = |from, segment: Segment| numbering.stream_of(from, &segment, &mut next);
        assert_eq!(stream(End::A, segment(Flags::SYN, 100, 0)), 4);
        assert_eq!(stream(End::B, segment(Flags::SYN | Flags::ACK, 500, 101)), 4);
        assert_eq!(stream(End::A, segment(Flags::SYN, 100, 0)), 4, "the same again");
        assert_eq!(stream(End::A, segment(Flags::SYN, 900, 0)), 5);
        assert_eq!(stream(End::A, segment(Flags::ACK, 901, 7)), 5);
    }

    #[test]
    fn a_quoted_segment_takes_a_number_but_gives_no_base() {
        let (mut numbering, mut next) = (Numbering::default(), 0);
        numbering.seen(End::A, &segment(Flags::SYN, 100, 0), &mut next);
        let mut stream = |from, segment: Segment| numbering.stream_of(from, &segment, &mut next);
        assert_eq!(stream(End::A, segment(Flags::SYN, 777, 0)), 0, "none was known");
        numbering.seen(End::A, &segment(Flags::SYN, 900, 0), &mut next);
        let mut stream = |from, segment: Segment| numbering.stream_of(from, &segment, &mut next);
        assert_eq!(stream(End::A, segment(Flags::SYN, 950, 0)), 1, "which lost its base");
    }

    #[test]
    fn without_a_syn_the_first_segment_implies_the_base() {
        let (mut numbering, mut next) = (Numbering::default(), 0);
        let mut stream = |from, segment: Segment| numbering.stream_of(from, &segment, &mut next);
        assert_eq!(stream(End::B, segment(Flags::ACK, 501, 101)), 0);
        assert_eq!(stream(End::A, segment(Flags::SYN, 100, 0)), 0, "the SYN came late");
        assert_eq!(stream(End::A, segment(Flags::SYN, 101, 0)), 1);
    }
}
