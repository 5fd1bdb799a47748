//! The first half of the way: from packets to segments that know their four-tuple's hash, and by
//! what a copy of them is known.

use crate::capture::{LinkType, Packet};
use crate::decode::icmp::IcmpError;
use crate::decode::opener::{Found, Opener};
use crate::decode::plain::{self, Framed, Ip, Plain};
use crate::decode::skip::Skip;
use crate::decode::{self, Decoded};
use crate::flow::duplicates::Fingerprint;
use crate::flow::table::Hasher;
use crate::limits::BEGUN_EARLIER_MAX;
use crate::pipeline::Totals;
use crate::time::{Moment, Timestamp};

/// A segment on its way to its connection.
#[derive(Clone, Copy, Debug)]
pub struct Keyed {
    /// The hash of its four-tuple.
    pub(super) hash: u64,
    /// The segment.
    pub(super) decoded: Decoded,
    /// What a copy of it is recognised by.
    pub(super) fingerprint: Fingerprint,
    /// Set if this is all that is seen of the segment.
    pub(super) glimpse: Option<Glimpse>,
}

/// What is seen of a segment that is none to the connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Glimpse {
    /// This ICMP error quotes it; else its header is broken or cut.
    pub error: Option<IcmpError>,
    /// Wireshark takes a stream number for it.
    pub is_numbered: bool,
}

impl Keyed {
    /// The segment, or what an ICMP error quotes of it.
    pub(crate) fn decoded(&self) -> &Decoded {
        &self.decoded
    }

    /// The lot of its four-tuple.
    #[inline]
    pub(crate) fn lot(&self) -> u8 {
        self.fingerprint.lot()
    }

    /// When it passed, or the ICMP error that quotes it.
    pub fn ts(&self) -> Timestamp {
        self.decoded.segment.ts
    }
}

/// Makes segments of packets, and counts both.
#[derive(Debug)]
pub struct Intake {
    hasher: Hasher,
    opener: Opener,
    /// A packet held several segments.
    has_met_several: bool,
    totals: Totals,
}

impl Intake {
    pub(super) fn new(hasher: Hasher, decode_tunnels: bool) -> Intake {
        Intake {
            hasher,
            opener: Opener::new(decode_tunnels),
            has_met_several: false,
            totals: Totals::default(),
        }
    }

    /// The same, which notes the frames of fragments.
    pub(crate) fn noting_parts(self) -> Intake {
        Intake { opener: self.opener.noting_parts(), ..self }
    }

    /// The frames of all fragments that the packet which was taken last made whole.
    pub(crate) fn take_parts(&mut self) -> Vec<u64> {
        self.opener.take_parts()
    }

    /// Whether a packet held several segments, so that a frame does not tell one from the other.
    pub(crate) fn has_met_several(&self) -> bool {
        self.has_met_several
    }

    /// Takes the next packet of the capture, and hands on its segments, copies of others among
    /// them: one or none, and of the few packets that hold several, all.
    #[inline(always)]
    pub fn packet(&mut self, packet: &Packet<'_>, take: impl FnMut(Keyed)) {
        let Packet { link, data, orig_len, ts, frame, .. } = *packet;
        self.count(ts);
        let at = Moment { ts, frame };
        match Framed::find(link, data, orig_len) {
            Some(Framed::V4(packet, room)) => {
                if let Some(plain) = plain::v4(packet, room) {
                    return self.plain(plain, at, take);
                }
            }
            Some(Framed::V6(packet, room)) => {
                if let Some(plain) = plain::v6(packet, room) {
                    return self.plain(plain, at, take);
                }
            }
            None => {}
        }
        self.other_packet(link, data, orig_len, at, take);
    }

    /// The same with a plain packet.
    #[inline(always)]
    fn plain<I: Ip>(&mut self, plain: Plain<'_, I>, at: Moment, mut take: impl FnMut(Keyed)) {
        let lot = plain.lot();
        // To its end: so nothing of the segment goes through memory before it is where it stays.
        match plain.usual_segment(at) {
            Some(decoded) => take(self.segment_of(decoded, lot)),
            None => self.unusual(plain, at, lot, take),
        }
    }

    /// The same with one that is a SYN, or has other options.
    #[inline(never)]
    fn unusual<I: Ip>(
        &mut self,
        plain: Plain<'_, I>,
        at: Moment,
        lot: u8,
        mut take: impl FnMut(Keyed),
    ) {
        take(self.segment_of(plain.segment(at), lot));
    }

    /// The same with a packet that is not like nearly all.
    #[inline(never)]
    fn other_packet(
        &mut self,
        link: LinkType,
        data: &[u8],
        orig_len: u32,
        at: Moment,
        mut take: impl FnMut(Keyed),
    ) {
        let first = match decode::decode_any(link, data, orig_len, at) {
            Ok(decoded) => Some(self.segment(decoded)),
            Err(skip) => self.open(skip, link, data, orig_len, at),
        };
        if let Some(keyed) = first {
            take(keyed);
        }
        while let Some(keyed) = self.further() {
            take(keyed);
        }
    }

    #[inline(always)]
    fn count(&mut self, ts: Timestamp) {
        let totals = &mut self.totals;
        totals.packets += 1;
        // The time of a silence may be there already.
        totals.first_ts.get_or_insert(ts);
        match &mut totals.last_ts {
            Some(last) if *last <= ts => *last = ts,
            Some(last) => {
                totals.backwards += 1;
                // So rare that it costs nothing to look whether the capture began earlier yet.
                let is_near = |first: &Timestamp| first.since(ts) <= BEGUN_EARLIER_MAX;
                if totals.first_ts.as_ref().is_some_and(is_near) {
                    totals.first_ts = totals.first_ts.min(Some(ts));
                }
                totals.backwards_most = totals.backwards_most.max(last.since(ts));
            }
            last => *last = Some(ts),
        }
    }

    /// Looks deeper into a packet that shows no segment at first sight.
    #[cold]
    fn open(
        &mut self,
        skip: Skip,
        link: LinkType,
        data: &[u8],
        orig_len: u32,
        at: Moment,
    ) -> Option<Keyed> {
        match self.opener.open(skip, link, data, orig_len, at) {
            Ok(found) => self.found(found),
            Err(skip) => {
                self.totals.skipped.add(skip);
                None
            }
        }
    }

    /// What else is in the packet that was taken last.
    #[inline]
    fn further(&mut self) -> Option<Keyed> {
        while let Some(found) = self.opener.further() {
            self.has_met_several = true;
            if let Some(keyed) = self.found(found) {
                return Some(keyed);
            }
        }
        None
    }

    #[cold]
    fn found(&mut self, found: Found) -> Option<Keyed> {
        match found {
            Found::Segment(decoded) => Some(self.segment(decoded)),
            Found::Error(error, quoted, is_numbered) => {
                self.totals.skipped.add(Skip::IcmpError);
                Some(self.seen(quoted, Glimpse { error: Some(error), is_numbered }))
            }
            Found::Broken(why, seen) => {
                self.totals.skipped.add(why);
                Some(self.seen(seen, Glimpse { error: None, is_numbered: true }))
            }
        }
    }

    fn seen(&self, decoded: Decoded, glimpse: Glimpse) -> Keyed {
        let hash = self.hasher.hash(&decoded.tuple);
        let fingerprint = Fingerprint::of_none(decoded.tuple.lot());
        Keyed { hash, decoded, fingerprint, glimpse: Some(glimpse) }
    }

    /// Takes the next segment.
    #[inline(always)]
    pub fn segment(&mut self, decoded: Decoded) -> Keyed {
        let lot = decoded.tuple.lot();
        self.segment_of(decoded, lot)
    }

    /// The same of one that is known to be in that lot.
    #[inline(always)]
    fn segment_of(&mut self, decoded: Decoded, lot: u8) -> Keyed {
        let hash = self.hasher.hash(&decoded.tuple);
        let fingerprint = Fingerprint::of(&decoded, hash, lot, &self.hasher);
        self.totals.segments += 1;
        self.totals.kinds.add(&decoded.segment);
        Keyed { hash, decoded, fingerprint, glimpse: None }
    }

    /// The capture goes on until `now`, without a packet.
    pub fn silence(&mut self, now: Timestamp) {
        let totals = &mut self.totals;
        if totals.last_ts.is_some_and(|last| last < now) {
            totals.last_packet_ts = totals.last_packet_ts.or(totals.last_ts);
        }
        totals.last_ts = totals.last_ts.max(Some(now));
    }

    /// What was taken so far, without the tunnels. Copies are among the segments: which these are,
    /// the tracker finds.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// What was taken, in numbers.
    pub(super) fn into_totals(self) -> Totals {
        Totals {
            fragments_forced_out: self.opener.fragments_forced_out(),
            tunnels: self.opener.into_tunnels(),
            ..self.totals
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty(ts: Timestamp, frame: u64) -> Packet<'static> {
        Packet::new(LinkType::EN10MB, &[], 0, ts, frame)
    }

    #[test]
    fn a_silence_before_the_first_packet_is_none() {
        let at = Timestamp::from_nanos;
        let mut intake = Intake::new(Hasher::default(), false);
        intake.silence(at(1));
        intake.packet(&empty(at(5), 1), |_| {});
        let Totals { first_ts, last_ts, backwards, .. } = *intake.totals();
        assert_eq!((first_ts, last_ts, backwards), (Some(at(5)), Some(at(5)), 0));
    }

    #[test]
    fn a_capture_begins_with_its_earliest_packet_wherever_that_stands() {
        let at = Timestamp::from_nanos;
        let mut intake = Intake::new(Hasher::default(), false);
        for (frame, nanos) in (1..).zip([5, 9, 3, 7]) {
            intake.packet(&empty(at(nanos), frame), |_| {});
        }
        let Totals { first_ts, last_ts, backwards, .. } = *intake.totals();
        assert_eq!((first_ts, last_ts, backwards), (Some(at(3)), Some(at(9)), 2));
        // Of a clock that nobody had set.
        let far = at(3 - BEGUN_EARLIER_MAX.as_nanos() as i64 - 1);
        intake.packet(&empty(far, 5), |_| {});
        assert_eq!(intake.totals().first_ts, Some(at(3)));
    }
}
