//! Copies of one packet: a bridge, a mirror port or `-i any` shows it twice or more.
//!
//! A copy agrees in all that forwarding does not change, and comes soon after. A retransmission
//! differs in its IP identification or its timestamp option; where a packet has neither, only a
//! much shorter time tells them apart. Two packets that differ in nothing but their payload, or in
//! an option that is not looked at, differ in their checksum.

use etherparse::checksum::Sum16BitWords;
use prefetch_index::prefetch_index;

use super::table::Hasher;
use crate::decode::Decoded;
use crate::decode::lot::LOTS;
use crate::decode::segment::{Flags, Segment};
use crate::limits::DUPLICATE_SLOTS_PER_LOT;
use crate::time::{Span, Timestamp};

/// Copies through bridges and queues come within this time.
const WITHIN: Span = Span::from_millis(100);
/// The same for a packet that bears no mark of its own; half of the shortest retransmission
/// timeout in use, and of a keepalive's interval, is far more.
const WITHIN_UNMARKED: Span = Span::from_millis(5);

/// The packets of the last moments, a fingerprint each.
#[derive(Debug)]
pub struct Duplicates {
    recent: Vec<Recent>,
}

/// By what a copy of a packet is known, and where that is kept: bits of a hash, and below them its
/// slot. Whoever agrees in the hash need not agree in the checksum, if it is a SYN or the checksum
/// is not whole: with 32 bits of a hash, one of five million SYNs was taken for a copy of another
/// in one run of a thousand.
#[derive(Clone, Copy, Debug)]
pub struct Fingerprint(u64);

/// Bits of a fingerprint that are its slot. As many as a checksum has, which replaces them there.
const SLOT_BITS: u32 = u16::BITS;
const SLOTS: usize = LOTS as usize * DUPLICATE_SLOTS_PER_LOT;
const _: () = assert!(SLOTS == 1 << SLOT_BITS);

impl Fingerprint {
    /// That of a segment. `hash` is the hash of its four-tuple, `lot` its lot.
    #[inline(always)]
    pub fn of(decoded: &Decoded, hash: u64, lot: u8, hasher: &Hasher) -> Fingerprint {
        let segment = &decoded.segment;
        let numbers = u64::from(segment.seq.0) << 32 | u64::from(segment.ack.0);
        let shape = u64::from(segment.payload) << 32
            | u64::from(segment.flags.bits()) << 16
            | u64::from(segment.window);
        let (tsval, tsecr) = segment.options.timestamps.unwrap_or_default();
        let stamps = u64::from(tsval) << 32 | u64::from(tsecr);
        let marks = u64::from(segment.ip_id) << 1 | decoded.sender as u64;
        // Marks do not make one four-tuple's hash another's, but by chance.
        let hash = hasher.mix([hash ^ marks, numbers, shape, stamps]);
        Fingerprint(hash << SLOT_BITS | u64::from(slot([numbers, shape, stamps, marks], lot)))
    }

    /// For what is not looked for: it tells no more than the lot.
    pub fn of_none(lot: u8) -> Fingerprint {
        Fingerprint(slot([0; 4], lot).into())
    }

    /// The lot that it is in.
    #[inline]
    pub fn lot(self) -> u8 {
        (self.slot() / DUPLICATE_SLOTS_PER_LOT) as u8
    }

    #[inline]
    fn slot(self) -> usize {
        self.0 as usize % SLOTS
    }

    /// The hash, and the checksum that goes with it.
    #[inline]
    fn with(self, checksum: u16) -> u64 {
        self.0 >> SLOT_BITS << SLOT_BITS | u64::from(checksum)
    }
}

/// One of them.
#[derive(Clone, Copy, Debug, Default)]
struct Recent {
    ts: Timestamp,
    /// A fingerprint's hash, with the packet's checksum.
    hash: u64,
}

impl Recent {
    /// Whether the segment with the same fingerprint comes soon enough after it, and agrees in its
    /// checksum.
    #[cold]
    fn may_be_of(&self, decoded: &Decoded) -> bool {
        let segment = &decoded.segment;
        let within = if is_marked(segment) { WITHIN } else { WITHIN_UNMARKED };
        let apart = segment.ts.since(self.ts).max(self.ts.since(segment.ts));
        let checksum = self.hash as u16;
        apart <= within && (checksum == segment.checksum || may_agree(decoded, checksum))
    }
}

impl Default for Duplicates {
    fn default() -> Self {
        Duplicates { recent: vec![Recent::default(); SLOTS] }
    }
}

impl Duplicates {
    /// Has the memory of its slot fetched, without waiting for it.
    #[inline]
    pub fn prefetch(&self, fingerprint: Fingerprint) {
        prefetch_index(&self.recent, fingerprint.slot());
    }

    /// Whether the segment with that fingerprint is a copy of one that passed a moment ago.
    #[inline(always)]
    pub fn is_copy(&mut self, decoded: &Decoded, fingerprint: Fingerprint) -> bool {
        let Some(recent) = self.recent.get_mut(fingerprint.slot()) else { return false };
        let hash = fingerprint.with(decoded.segment.checksum);
        let is_copy = (recent.hash ^ hash) >> SLOT_BITS == 0 && recent.may_be_of(decoded);
        *recent = Recent { ts: decoded.segment.ts, hash };
        is_copy
    }
}

/// Whether the packet bears a mark of its own, by which a copy of it is told from one that was sent
/// later.
pub fn is_marked(segment: &Segment) -> bool {
    segment.ip_id != 0 || segment.options.timestamps.is_some()
}

/// Whether a copy of the packet may bear another checksum: before its host's network interface has
/// made it whole, or where something on the way has clamped the MSS of a SYN.
#[cold]
fn may_agree(decoded: &Decoded, other: u16) -> bool {
    let own = decoded.segment.checksum;
    decoded.segment.has(Flags::SYN) || [own, other].iter().any(|sum| is_partial(decoded, *sum))
}

/// Whether a checksum is one that the network interface is to complete: none at all, or the sum of
/// the pseudo-header (RFC 9293 section 3.1), with or without the segment's length.
fn is_partial(decoded: &Decoded, checksum: u16) -> bool {
    const PROTOCOL: [u8; 2] = [0, 6];
    let sum = Sum16BitWords::new().add_2bytes(PROTOCOL);
    let [low, high] = decoded.tuple.addrs();
    let sum = sum.add_slice(&low).add_slice(&high);
    // The header's length is not kept.
    let lengths = (20..=60).step_by(4).map(|header| decoded.segment.payload.saturating_add(header));
    let is_sum = |len: u32| {
        let whole = sum.clone().add_slice(&len.to_be_bytes());
        !whole.ones_complement().to_be() == checksum
    };
    checksum == 0 || lengths.chain([0]).any(is_sum)
}

/// Where the segment's fingerprint is kept. Unlike that, it must not depend on the run's seed, nor
/// on what other threads follow: it decides which of the other packets push a fingerprint out, and
/// so what is found. Each lot has slots of its own.
#[inline(always)]
fn slot([numbers, shape, stamps, marks]: [u64; 4], lot: u8) -> u32 {
    const SPREADS: u64 = 0x9e37_79b9_7f4a_7c15;
    let all = numbers ^ shape.rotate_left(24) ^ stamps.rotate_left(40) ^ marks << 16;
    let within = all.wrapping_mul(SPREADS) >> (u64::BITS - DUPLICATE_SLOTS_PER_LOT.ilog2());
    (usize::from(lot) * DUPLICATE_SLOTS_PER_LOT + within as usize) as u32
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::decode::segment::{Options, Segment};
    use crate::decode::tuple::FourTuple;

    static HASHER: LazyLock<Hasher> = LazyLock::new(Hasher::default);

    fn is_copy(duplicates: &mut Duplicates, decoded: &Decoded) -> bool {
        // All are of one four-tuple.
        duplicates.is_copy(decoded, Fingerprint::of(decoded, 7, 3, &HASHER))
    }

    fn at(millis: u64, ip_id: u16, tsval: Option<u32>) -> Decoded {
        let (tuple, sender) = FourTuple::new(4, ([1; 16], 1), ([2; 16], 2));
        let ts = Timestamp::default().after(Span::from_millis(millis));
        let timestamps = tsval.map(|tsval| (tsval, 0));
        let options = Options { timestamps, ..Options::default() };
        Decoded { tuple, sender, segment: Segment { ts, ip_id, options, ..Segment::default() } }
    }

    #[test]
    fn all_of_the_hash_tells_packets_apart() {
        let hashes = || {
            let packets = (0..100).map(|ip_id| at(0, ip_id, None));
            packets.map(|packet| Fingerprint::of(&packet, 7, 3, &HASHER).with(0))
        };
        assert_eq!(hashes().fold(0, |one, other| one | other), u64::MAX << SLOT_BITS);
        assert_eq!(hashes().fold(u64::MAX, |one, other| one & other), 0);
        assert!(
            (0..LOTS).all(|lot| Fingerprint::of(&at(0, 1, None), 7, lot, &HASHER).lot() == lot)
        );
    }

    #[test]
    fn who_differs_in_one_bit_of_the_hash_is_no_copy() {
        let syn = {
            let decoded = at(0, 7, None);
            Decoded { segment: Segment { flags: Flags::SYN, ..decoded.segment }, ..decoded }
        };
        let first = Fingerprint::of(&syn, 7, 3, &HASHER);
        for bit in SLOT_BITS..u64::BITS {
            let mut duplicates = Duplicates::default();
            assert!(!duplicates.is_copy(&syn, first));
            assert!(!duplicates.is_copy(&syn, Fingerprint(first.0 ^ 1 << bit)), "{bit}");
            assert!(duplicates.is_copy(&syn, Fingerprint(first.0 ^ 1 << bit)), "{bit}");
        }
    }

    #[test]
    fn the_same_packet_soon_after_is_a_copy() {
        let mut duplicates = Duplicates::default();
        assert!(!is_copy(&mut duplicates, &at(0, 7, None)));
        assert!(is_copy(&mut duplicates, &at(50, 7, None)));
        assert!(!is_copy(&mut duplicates, &at(250, 7, None)));
    }

    #[test]
    fn a_retransmission_bears_another_mark() {
        let mut duplicates = Duplicates::default();
        assert!(!is_copy(&mut duplicates, &at(0, 7, Some(1))));
        assert!(!is_copy(&mut duplicates, &at(1, 8, Some(1))));
        assert!(!is_copy(&mut duplicates, &at(2, 8, Some(2))));
    }

    #[test]
    fn another_payload_or_option_shows_in_the_checksum() {
        let with_sum = |checksum| {
            let decoded = at(0, 7, None);
            Decoded { segment: Segment { checksum, ..decoded.segment }, ..decoded }
        };
        let mut duplicates = Duplicates::default();
        assert!(!is_copy(&mut duplicates, &with_sum(0xa924)));
        assert!(is_copy(&mut duplicates, &with_sum(0xa924)));
        assert!(!is_copy(&mut duplicates, &with_sum(0xa724)));
    }

    #[test]
    fn a_copy_from_before_checksum_offload_is_one() {
        // 192.0.2.1 to 192.0.2.2, 6, and a header of 32 bytes.
        let (tuple, sender) = FourTuple::new(
            4,
            (crate::decode::tuple::widen_v4([192, 0, 2, 1]), 1),
            (crate::decode::tuple::widen_v4([192, 0, 2, 2]), 2),
        );
        let partial = 0xc000 + 0x0201 + 0xc000 + 0x0202 + 6 + 32 - 0xffff;
        let with_sum = |checksum| {
            let segment = Segment { ip_id: 7, checksum, ..Segment::default() };
            Decoded { tuple, sender, segment }
        };
        for before in [partial as u16, partial as u16 - 32, 0] {
            let mut duplicates = Duplicates::default();
            assert!(!is_copy(&mut duplicates, &with_sum(before)));
            assert!(is_copy(&mut duplicates, &with_sum(0x1234)), "{before:#x}");
            assert!(!is_copy(&mut duplicates, &with_sum(0x1235)), "both are whole");
        }
    }

    #[test]
    fn copies_are_found_after_hundreds_of_other_packets() {
        let mut found = [0; 2];
        for (found, between) in found.iter_mut().zip([64, 512]) {
            let mut duplicates = Duplicates::default();
            for batch in 0..8 {
                let packets = || (0..between).map(|n| at(batch, batch as u16 * 512 + n + 1, None));
                packets().for_each(|packet| assert!(!is_copy(&mut duplicates, &packet)));
                let copies = packets().filter(|packet| is_copy(&mut duplicates, packet)).count();
                *found += copies * 100 / usize::from(between);
            }
            *found /= 8;
        }
        assert!(found[0] >= 97 && found[1] >= 85, "{found:?} percent");
    }

    #[test]
    fn without_a_mark_only_at_once() {
        let mut duplicates = Duplicates::default();
        assert!(!is_copy(&mut duplicates, &at(0, 0, None)));
        assert!(is_copy(&mut duplicates, &at(4, 0, None)));
        assert!(!is_copy(&mut duplicates, &at(20, 0, None)));
    }
}
