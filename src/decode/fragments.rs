//! IP fragments (RFC 791 section 3.2, RFC 8200 section 4.5), put together as far as it takes to
//! read the headers in a packet and to know its length.
//!
//! Of each packet only the first bytes are kept, and which bytes came. It is whole when all have
//! come, as it is for its receiver. A part that overlaps with another one makes the whole packet
//! worthless (RFC 5722; Linux does so for IPv4 too), unless it is a copy.

use std::collections::{HashMap, VecDeque};

use foldhash::fast::RandomState;

use super::Moment;
use super::ip::{IpPacket, Part};
use super::rest::Rest;
use super::skip::Skip;
use super::tunnel::Path;
use crate::limits::{FRAGMENT_HEAD_BYTES, FRAGMENT_HOLES_MAX, FRAGMENTED_PACKETS_MAX};
use crate::time::{Span, Timestamp};

/// How long a packet may wait for its parts: what Linux waits, by default.
const WAIT: Span = Span::from_secs(30);

/// The greatest length of a packet's payload.
const LENGTH_MAX: u32 = 0xffff;

/// What the parts of one packet have in common. The tunnel is the one that they came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    addrs: [u128; 2],
    id: u32,
    path: Path,
    version: u8,
    protocol: u8,
}

/// The parts of one packet so far.
#[derive(Debug)]
struct Packet {
    since: Timestamp,
    /// Its first bytes, as far as they came.
    head: [u8; FRAGMENT_HEAD_BYTES],
    /// Bytes of the head that the capture did not cut.
    head_len: usize,
    /// Which bytes came, as ranges in order, none of which touches the next.
    ranges: Vec<(u32, u32)>,
    length: Option<u32>,
    /// What the payload begins with: the first part says.
    protocol: Option<u8>,
    is_refused: bool,
    /// The frames that the parts came in, if that is noted.
    frames: Vec<u64>,
}

/// Packets whose parts are not all there.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    packets: HashMap<Key, Packet, RandomState>,
    /// The same by age.
    queue: VecDeque<(Timestamp, Key)>,
    /// Packets that had to go before their time, to make room.
    pub(super) forced_out: u64,
    /// Whether to note the frames of parts, and those of the packet that was whole last.
    pub(super) notes_frames: bool,
    pub(super) frames: Vec<u64>,
}

impl Fragments {
    /// Takes a part that came at this time through this tunnel. Gives what the whole packet begins
    /// with, which goes into `room`, and the protocol of it.
    pub(super) fn add<'a>(
        &mut self,
        ip: &IpPacket<'_>,
        part: Part,
        path: Path,
        at: Moment,
        room: &'a mut [u8; FRAGMENT_HEAD_BYTES],
    ) -> Result<(u8, Rest<'a>), Skip> {
        // IPv6's parts may name different protocols, and then the first counts.
        let protocol = if ip.version == 4 { ip.protocol } else { 0 };
        let addrs = [ip.source, ip.destination];
        let key = Key { addrs, id: part.id, path, version: ip.version, protocol };
        let ts = at.ts;
        self.make_room(ts, &key);
        let queue = &mut self.queue;
        let packet = self.packets.entry(key).or_insert_with(|| {
            queue.push_back((ts, key));
            Packet::new(ts)
        });
        packet.add(ip, part)?;
        if self.notes_frames {
            packet.frames.push(at.frame);
        }
        let (Some(length), Some(protocol)) = (packet.length, packet.protocol) else {
            return Err(Skip::Fragment);
        };
        if packet.ranges != [(0, length)] {
            return Err(Skip::Fragment);
        }
        *room = packet.head;
        let kept = packet.head_len.min(length as usize);
        if let Some(packet) = self.packets.remove(&key) {
            self.frames.extend(packet.frames);
        }
        Ok((protocol, Rest { data: room.get(..kept).unwrap_or_default(), len: length }))
    }

    /// Lets go of what waited too long, and of the oldest if there is no room for another.
    fn make_room(&mut self, now: Timestamp, key: &Key) {
        let is_new = !self.packets.contains_key(key);
        while let Some((since, oldest)) = self.queue.front() {
            let is_over = now.since(*since) > WAIT;
            // A queue may hold packets that are whole, too.
            let is_full = is_new && self.queue.len() >= FRAGMENTED_PACKETS_MAX;
            if !is_over && !is_full {
                return;
            }
            if self.packets.get(oldest).is_some_and(|packet| packet.since == *since) {
                self.packets.remove(oldest);
                self.forced_out += u64::from(!is_over);
            }
            self.queue.pop_front();
        }
    }
}

impl Packet {
    fn new(since: Timestamp) -> Packet {
        Packet {
            since,
            head: [0; FRAGMENT_HEAD_BYTES],
            head_len: FRAGMENT_HEAD_BYTES,
            ranges: Vec::new(),
            length: None,
            protocol: None,
            is_refused: false,
            frames: Vec::new(),
        }
    }

    fn add(&mut self, ip: &IpPacket<'_>, part: Part) -> Result<(), Skip> {
        if self.is_refused {
            return Err(Skip::FragmentRefused);
        }
        let (begin, end) = (part.offset, part.offset.saturating_add(ip.payload.len));
        let is_odd = part.more && !ip.payload.len.is_multiple_of(8);
        if end > LENGTH_MAX || begin == end || is_odd {
            return Err(Skip::Malformed);
        }
        if self.ranges.iter().any(|(from, to)| *from <= begin && end <= *to) {
            return Err(Skip::Duplicate);
        }
        let overlaps = self.ranges.iter().any(|(from, to)| *from < end && begin < *to);
        let beyond = self.length.is_some_and(|length| end > length || !part.more);
        let behind = !part.more && self.ranges.iter().any(|(_, to)| *to > end);
        if overlaps || beyond || behind || self.ranges.len() >= FRAGMENT_HOLES_MAX {
            self.is_refused = true;
            return Err(Skip::FragmentRefused);
        }
        if !part.more {
            self.length = Some(end);
        }
        if begin == 0 {
            self.protocol = Some(ip.protocol);
        }
        self.keep(begin as usize, ip.payload.data, end as usize);
        self.insert(begin, end);
        Ok(())
    }

    /// Keeps what belongs to the head.
    fn keep(&mut self, begin: usize, data: &[u8], end: usize) {
        let cut_at = begin + data.len();
        if cut_at < end {
            self.head_len = self.head_len.min(cut_at);
        }
        if let Some(room) = self.head.get_mut(begin..) {
            let count = room.len().min(data.len());
            if let (Some(to), Some(from)) = (room.get_mut(..count), data.get(..count)) {
                to.copy_from_slice(from);
            }
        }
    }

    /// Adds a range that overlaps with none.
    fn insert(&mut self, begin: u32, end: u32) {
        let at = self.ranges.partition_point(|(from, _)| *from < begin);
        self.ranges.insert(at, (begin, end));
        self.ranges.dedup_by(|right, left| {
            let touches = left.1 == right.0;
            if touches {
                left.1 = right.1;
            }
            touches
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::ip::protocol::TCP;

    const SECOND: i64 = 1_000_000_000;

    /// Adds bytes `from..to` of the packet with this identification, which goes on if it is `more`.
    fn add(
        fragments: &mut Fragments,
        id: u32,
        (from, to, more): (u32, u32, bool),
        second: i64,
    ) -> Result<u32, Skip> {
        let data = [0; 256];
        let payload = Rest::new(&data[..(to - from) as usize], 0);
        let part = Part { id, offset: from, more };
        let ip = IpPacket {
            version: 4,
            source: 1,
            destination: 2,
            id: id as u16,
            ttl: 64,
            protocol: TCP,
            part: Some(part),
            payload,
        };
        let at = Moment { ts: Timestamp::from_nanos(second * SECOND), frame: 1 };
        let mut room = [0; FRAGMENT_HEAD_BYTES];
        let whole = fragments.add(&ip, part, Path::default(), at, &mut room);
        whole.map(|(_, rest)| rest.len)
    }

    fn all(parts: &[(u32, u32, bool)]) -> Vec<Result<u32, Skip>> {
        let mut fragments = Fragments::default();
        parts.iter().map(|part| add(&mut fragments, 7, *part, 0)).collect()
    }

    #[test]
    fn a_packet_is_whole_when_all_of_it_has_come() {
        let waits = Err(Skip::Fragment);
        assert_eq!(all(&[(16, 30, false), (0, 8, true), (8, 16, true)]), [waits, waits, Ok(30)]);
    }

    #[test]
    fn a_copy_is_a_copy_and_what_overlaps_makes_the_packet_worthless() {
        let (waits, refused) = (Err(Skip::Fragment), Err(Skip::FragmentRefused));
        assert_eq!(all(&[(0, 16, true), (0, 16, true)]), [waits, Err(Skip::Duplicate)]);
        assert_eq!(
            all(&[(0, 16, true), (8, 24, true), (16, 30, false)]),
            [waits, refused, refused],
            "what comes later is refused with it"
        );
        assert_eq!(all(&[(0, 8, true), (16, 30, false), (24, 40, true)]), [waits, waits, refused]);
        assert_eq!(all(&[(8, 16, false), (16, 24, true)]), [waits, refused], "beyond its end");
        assert_eq!(all(&[(16, 24, true), (0, 8, false)]), [waits, refused], "an end before a part");
        assert_eq!(all(&[(16, 24, false), (24, 32, false)]), [waits, refused], "two ends");
    }

    #[test]
    fn what_no_host_sends_is_malformed() {
        let malformed = [Err(Skip::Malformed)];
        assert_eq!(all(&[(0, 13, true)]), malformed, "no multiple of eight");
        assert_eq!(all(&[(65_528, 65_540, false)]), malformed, "longer than a packet");
        assert_eq!(all(&[(8, 8, false)]), malformed, "nothing in it");
    }

    #[test]
    fn holes_are_bounded() {
        let parts: Vec<_> =
            (0..=FRAGMENT_HOLES_MAX as u32).map(|at| (16 * at, 16 * at + 8, true)).collect();
        let found = all(&parts);
        assert_eq!(found.last(), Some(&Err(Skip::FragmentRefused)));
        assert!(found[..FRAGMENT_HOLES_MAX].iter().all(|it| *it == Err(Skip::Fragment)));
    }

    #[test]
    fn the_oldest_packet_goes_where_there_is_no_room_and_is_counted() {
        let mut fragments = Fragments::default();
        for id in 0..=FRAGMENTED_PACKETS_MAX as u32 {
            assert_eq!(add(&mut fragments, id, (0, 8, true), 0), Err(Skip::Fragment));
        }
        assert_eq!((fragments.packets.len(), fragments.forced_out), (FRAGMENTED_PACKETS_MAX, 1));
        assert_eq!(add(&mut fragments, 1, (8, 9, false), 1), Ok(9), "the second is still there");
        assert_eq!(add(&mut fragments, 0, (8, 9, false), 1), Err(Skip::Fragment), "it begins anew");
    }

    #[test]
    fn a_packet_waits_no_longer_than_a_host_does() {
        let mut fragments = Fragments::default();
        assert_eq!(add(&mut fragments, 7, (0, 8, true), 0), Err(Skip::Fragment));
        assert_eq!(add(&mut fragments, 7, (8, 9, false), 31), Err(Skip::Fragment));
        assert_eq!(fragments.forced_out, 0);
    }
}
