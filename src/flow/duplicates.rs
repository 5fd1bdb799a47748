//! Copies of one packet: a bridge, a mirror port or `-i any` shows it twice or more.
//!
//! A copy agrees in all that forwarding does not change, and comes soon after. A retransmission
//! differs in its IP identification or its timestamp option; where a packet has neither, only a
//! much shorter time tells them apart.

use core::hash::{BuildHasher, Hash};

use foldhash::fast::FixedState;

use crate::decode::Decoded;
use crate::limits::DUPLICATE_SLOTS;
use crate::time::{Span, Timestamp};

/// Copies through bridges and queues come within this time.
const WITHIN: Span = Span::from_millis(100);
/// The same for a packet that bears no mark of its own; half of the shortest retransmission
/// timeout in use, and of a keepalive's interval, is far more.
const WITHIN_UNMARKED: Span = Span::from_millis(5);

/// The packets of the last moments, a fingerprint each.
#[derive(Debug)]
pub struct Duplicates {
    recent: Vec<(u64, Timestamp)>,
}

impl Default for Duplicates {
    fn default() -> Self {
        Duplicates { recent: vec![(0, Timestamp::default()); DUPLICATE_SLOTS] }
    }
}

impl Duplicates {
    /// Whether the segment is a copy of one that passed a moment ago.
    pub fn is_copy(&mut self, decoded: &Decoded) -> bool {
        let segment = &decoded.segment;
        let fingerprint = fingerprint(decoded);
        let slot = fingerprint as usize & (DUPLICATE_SLOTS - 1);
        let Some(recent) = self.recent.get_mut(slot) else { return false };
        let marked = segment.ip_id != 0 || segment.options.timestamps.is_some();
        let within = if marked { WITHIN } else { WITHIN_UNMARKED };
        let apart = segment.ts.since(recent.1).max(recent.1.since(segment.ts));
        let copy = recent.0 == fingerprint && apart <= within;
        *recent = (fingerprint, segment.ts);
        copy
    }
}

fn fingerprint(decoded: &Decoded) -> u64 {
    let segment = &decoded.segment;
    let mut hasher = FixedState::with_seed(0).build_hasher();
    decoded.tuple.hash(&mut hasher);
    let numbers = u64::from(segment.seq.0) << 32 | u64::from(segment.ack.0);
    let shape = u64::from(segment.payload) << 32
        | u64::from(segment.flags.bits()) << 16
        | u64::from(segment.window);
    let (tsval, tsecr) = segment.options.timestamps.unwrap_or_default();
    let marks = u64::from(segment.ip_id) << 1 | decoded.sender as u64;
    (numbers, shape, u64::from(tsval) << 32 | u64::from(tsecr), marks).hash(&mut hasher);
    core::hash::Hasher::finish(&hasher)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::segment::{Options, Segment};
    use crate::decode::tuple::FourTuple;

    fn at(millis: u64, ip_id: u16, tsval: Option<u32>) -> Decoded {
        let (tuple, sender) = FourTuple::new(4, ([1; 16], 1), ([2; 16], 2));
        let ts = Timestamp::default().after(Span::from_millis(millis));
        let timestamps = tsval.map(|tsval| (tsval, 0));
        let options = Options { timestamps, ..Options::default() };
        Decoded { tuple, sender, segment: Segment { ts, ip_id, options, ..Segment::default() } }
    }

    #[test]
    fn the_same_packet_soon_after_is_a_copy() {
        let mut duplicates = Duplicates::default();
        assert!(!duplicates.is_copy(&at(0, 7, None)));
        assert!(duplicates.is_copy(&at(50, 7, None)));
        assert!(!duplicates.is_copy(&at(250, 7, None)));
    }

    #[test]
    fn a_retransmission_bears_another_mark() {
        let mut duplicates = Duplicates::default();
        assert!(!duplicates.is_copy(&at(0, 7, Some(1))));
        assert!(!duplicates.is_copy(&at(1, 8, Some(1))));
        assert!(!duplicates.is_copy(&at(2, 8, Some(2))));
    }

    #[test]
    fn without_a_mark_only_at_once() {
        let mut duplicates = Duplicates::default();
        assert!(!duplicates.is_copy(&at(0, 0, None)));
        assert!(duplicates.is_copy(&at(4, 0, None)));
        assert!(!duplicates.is_copy(&at(20, 0, None)));
    }
}
