//! The plain packet, which nearly every one is: TCP in IPv4 without options or IPv6 without
//! extension headers, straight in an Ethernet frame or a Linux cooked one. Plainer still are those
//! that are no SYN, without TCP options or with the usual timestamps: most of all.
//!
//! Everything is at a known place then, and is read there. What differs in anything, or is cut, is
//! left to the other files of this folder, layer by layer; the tests hold both to the same answer.

use super::lot::between;
use super::rest::Rest;
use super::segment::{Flags, Options, Segment};
use super::tcp::is_wrong;
use super::tuple::FourTuple;
use super::{Decoded, Moment, options};
use crate::capture::LinkType;
use crate::seq::SeqNum;

const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];
const TCP: u8 = 6;
/// Version 4, and a header of five words.
const VERSION_AND_LENGTH: u8 = 0x45;
/// Of the field of flags and offset, what a fragment has: more fragments, or an offset.
const FRAGMENT: u16 = 0x3fff;
/// Bytes of a TCP header without options, and with timestamps behind two bytes of padding.
const BARE: u32 = 20;
const STAMPED: u32 = 32;

/// The segment in a plain packet; none if it is not one.
#[inline(always)]
pub(super) fn read(link: u16, data: &[u8], orig_len: u32, at: Moment) -> Option<Decoded> {
    read_v4::<true>(link, data, orig_len, at).or_else(|| read_v6::<true>(link, data, orig_len, at))
}

/// The same in IPv4: of any segment, or only of those that nearly all are. These are no SYNs, and
/// have no options or the usual timestamps; for them the code below is half as long.
#[inline(always)]
pub(crate) fn read_v4<const ANY: bool>(
    link: u16,
    data: &[u8],
    orig_len: u32,
    at: Moment,
) -> Option<Decoded> {
    let (packet, room) = unframed(IPV4, link, data, orig_len)?;
    let (header, segment) = packet.split_first_chunk::<20>()?;
    let ([first, second, [ttl, protocol, ..], source, destination], _) = header.as_chunks::<4>()
    else {
        return None;
    };
    let [begin, _, total @ ..] = *first;
    let [id @ .., part, offset] = *second;
    let total = u32::from(u16::from_be_bytes(total));
    if begin != VERSION_AND_LENGTH
        || *protocol != TCP
        || u16::from_be_bytes([part, offset]) & FRAGMENT != 0
        || total > room
    {
        return None;
    }
    let len = total.checked_sub(20)?;
    let (source, destination) = (u32::from_be_bytes(*source), u32::from_be_bytes(*destination));
    let addrs = (source.into(), destination.into());
    let (ports, segment) = segment_of::<ANY>(segment, len, addrs, at)?;
    let (tuple, sender) = FourTuple::of_v4((source, ports.0), (destination, ports.1));
    let ip_id = u16::from_be_bytes(id);
    Some(Decoded { tuple, sender, segment: Segment { ip_id, ttl: *ttl, ..segment } })
}

/// The same in IPv6.
#[inline(always)]
pub(crate) fn read_v6<const ANY: bool>(
    link: u16,
    data: &[u8],
    orig_len: u32,
    at: Moment,
) -> Option<Decoded> {
    let (packet, room) = unframed(IPV6, link, data, orig_len)?;
    let (header, segment) = packet.split_first_chunk::<40>()?;
    let [begin, _, _, _, l0, l1, next, ttl, addrs @ ..] = header;
    let (source, rest) = addrs.split_first_chunk::<16>()?;
    let destination = rest.first_chunk::<16>()?;
    let len = u32::from(u16::from_be_bytes([*l0, *l1]));
    if begin >> 4 != 6 || *next != TCP || !(1..=room.saturating_sub(40)).contains(&len) {
        return None;
    }
    let addrs = (u128::from_be_bytes(*source), u128::from_be_bytes(*destination));
    let (ports, segment) = segment_of::<ANY>(segment, len, addrs, at)?;
    let (tuple, sender) = FourTuple::new(6, (*source, ports.0), (*destination, ports.1));
    Some(Decoded { tuple, sender, segment: Segment { ttl: *ttl, ..segment } })
}

/// The lot of the four-tuple of a segment in IPv4, if it is certain that a segment can be made of
/// the packet: several times quicker than making it.
#[inline(always)]
pub(crate) fn lot_v4(link: u16, data: &[u8], orig_len: u32) -> Option<u8> {
    let (packet, room) = unframed(IPV4, link, data, orig_len)?;
    let (header, segment) = packet.split_first_chunk::<20>()?;
    let ([first, second, [_, protocol, ..], source, destination], _) = header.as_chunks::<4>()
    else {
        return None;
    };
    let [begin, _, total @ ..] = *first;
    let [_, _, part, offset] = *second;
    let total = u32::from(u16::from_be_bytes(total));
    let ([[s0, s1, d0, d1], _, _, [offset_and_flags, ..], _], _) =
        segment.first_chunk::<{ BARE as usize }>()?.as_chunks::<4>()
    else {
        return None;
    };
    let header_len = u32::from(offset_and_flags >> 4) * 4;
    let is_segment = begin == VERSION_AND_LENGTH
        && *protocol == TCP
        && u16::from_be_bytes([part, offset]) & FRAGMENT == 0
        && total <= room
        && header_len >= BARE
        && header_len <= total.saturating_sub(20).min(segment.len() as u32);
    let addrs = (u32::from_be_bytes(*source), u32::from_be_bytes(*destination));
    let ports = (u16::from_be_bytes([*s0, *s1]), u16::from_be_bytes([*d0, *d1]));
    is_segment.then(|| between((addrs.0.into(), addrs.1.into()), ports))
}

/// Takes off the header of a frame that carries this, and says what it has room for on the wire.
#[inline(always)]
fn unframed(carries: [u8; 2], link: u16, data: &[u8], orig_len: u32) -> Option<(&[u8], u32)> {
    let packet = match LinkType(link) {
        LinkType::EN10MB => {
            let ([.., high, low], packet) = data.split_first_chunk::<14>()?;
            Some(packet).filter(|_| [*high, *low] == carries)?
        }
        LinkType::LINUX_SLL2 => {
            let ([high, low, ..], packet) = data.split_first_chunk::<20>()?;
            Some(packet).filter(|_| [*high, *low] == carries)?
        }
        _ => return None,
    };
    let room = orig_len.checked_sub((data.len() - packet.len()) as u32)?;
    Some((packet, room))
}

/// Both ports, and the segment without what the IP header says of it. It has `len` bytes; what
/// follows them is padding.
#[inline(always)]
fn segment_of<const ANY: bool>(
    bytes: &[u8],
    len: u32,
    (source, destination): (u128, u128),
    at: Moment,
) -> Option<((u16, u16), Segment)> {
    let bytes = bytes.get(..len as usize).unwrap_or(bytes);
    let (header, rest) = bytes.split_first_chunk::<{ BARE as usize }>()?;
    let ([[s0, s1, d0, d1], seq, ack, fourth, [c0, c1, ..]], _) = header.as_chunks::<4>() else {
        return None;
    };
    // The header's length in words, reserved bits, the flags and the window.
    let fourth = u32::from_be_bytes(*fourth);
    let flags = Flags::from_bits((fourth >> 16) as u16);
    let header_len = (fourth >> 28) * 4;
    let options = match header_len {
        BARE => Options::default(),
        _ if ANY => options::read(rest.get(..header_len.checked_sub(BARE)? as usize)?),
        STAMPED => Options { timestamps: Some(options::usual(rest)?), ..Options::default() },
        _ => return None,
    };
    let is_syn = flags.has(Flags::SYN);
    if is_syn && !ANY {
        return None;
    }
    let segment = Segment {
        ts: at.ts,
        frame: at.frame,
        seq: SeqNum(u32::from_be_bytes(*seq)),
        ack: SeqNum(u32::from_be_bytes(*ack)),
        payload: len.checked_sub(header_len)?,
        window: fourth as u16,
        flags,
        wrong_checksum: is_syn && is_wrong(source, destination, Rest { data: bytes, len }),
        checksum: u16::from_be_bytes([*c0, *c1]),
        options,
        ..Segment::default()
    };
    Some(((u16::from_be_bytes([*s0, *s1]), u16::from_be_bytes([*d0, *d1])), segment))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::decode_any;
    use super::super::packets::{self, TIMESTAMPS, ethernet, ipv4, ipv6, tcp};
    use super::*;
    use crate::time::Timestamp;

    const LINUX_SYN: [u8; 20] = [2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9, 1, 3, 3, 7];
    /// Its checksum in IPv4.
    const SYN_SUM: [u8; 2] = [0x2c, 0x8a];
    const AT: Moment = Moment { ts: Timestamp::from_nanos(5), frame: 1 };

    const LINKS: [u16; 2] = [LinkType::EN10MB.0, LinkType::LINUX_SLL2.0];

    fn frame(link: u16, ethertype: u16, packet: &[u8]) -> Vec<u8> {
        match link {
            1 => ethernet(ethertype, packet),
            _ => [&ethertype.to_be_bytes()[..], &[0; 18], packet].concat(),
        }
    }

    fn shapes() -> Vec<(u16, Vec<u8>)> {
        let mut shapes = Vec::new();
        for link in LINKS {
            let mut syn = tcp(&LINUX_SYN, 0);
            syn[13] = 2;
            let mut summed = syn.clone();
            summed[16..18].copy_from_slice(&SYN_SUM);
            for segment in [tcp(&[], 0), tcp(&TIMESTAMPS, 60), tcp(&[5, 2, 1, 0], 9), syn, summed] {
                shapes.push((link, frame(link, packets::IPV4, &ipv4(6, &segment))));
                shapes.push((link, frame(link, packets::IPV6, &ipv6(6, &segment))));
            }
        }
        shapes
    }

    #[test]
    fn plain_packets_are_read_here() {
        for (link, bytes) in shapes() {
            let plain = read(link, &bytes, bytes.len() as u32, AT);
            assert_eq!(plain, decode_any(link, &bytes, bytes.len() as u32, AT).ok());
            assert!(plain.is_some(), "{link}");
            let is_v4 = plain.is_some_and(|it| it.tuple.plain_v4().is_some());
            assert_eq!(lot_v4(link, &bytes, bytes.len() as u32).is_some(), is_v4);
        }
    }

    #[test]
    fn a_checksum_is_looked_at_in_a_syn_alone() {
        let wrong: Vec<bool> = shapes()
            .iter()
            .filter_map(|(link, bytes)| read(*link, bytes, bytes.len() as u32, AT))
            .filter(|decoded| decoded.tuple.plain_v4().is_some())
            .map(|decoded| decoded.segment.wrong_checksum)
            .collect();
        assert_eq!(wrong, [[false, false, false, true, false]; 2].concat());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]
        /// Whatever is read here, layer by layer is read the same.
        #[test]
        fn both_ways_agree(
            shape in any::<prop::sample::Index>(),
            damage in prop::collection::vec((0..90_usize, any::<u8>()), 0..4),
            kept in 0..140_usize,
            orig_len in prop::sample::select(vec![0, 54, 66, 74, 86, 140, 1_000, u32::MAX]),
        ) {
            let (link, mut bytes) = shape.get(&shapes()).clone();
            let whole = bytes.len();
            for (at, byte) in damage {
                bytes[at % whole] = byte;
            }
            bytes.truncate(kept);
            let any = decode_any(link, &bytes, orig_len, AT);
            if let Some(plain) = read(link, &bytes, orig_len, AT) {
                prop_assert_eq!(Ok(plain), any);
            }
            if let Some(lot) = lot_v4(link, &bytes, orig_len) {
                prop_assert_eq!(any.map(|decoded| decoded.tuple.lot()), Ok(lot));
            }
        }
    }
}
