//! The plain packet, which nearly every one is: TCP without options or with the usual timestamps,
//! in IPv4 without options or IPv6 without extension headers, straight in an Ethernet frame or a
//! Linux cooked one.
//!
//! Everything is at a known place then, and is read there. What differs in anything, or is cut, is
//! left to the other files of this folder, layer by layer; the tests hold both to the same answer.

use super::Decoded;
use super::segment::{Flags, Options, Segment};
use super::tuple::FourTuple;
use crate::capture::LinkType;
use crate::seq::SeqNum;
use crate::time::Timestamp;

const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];
const TCP: u8 = 6;
/// Version 4, and a header of five words.
const VERSION_AND_LENGTH: u8 = 0x45;
/// Of the field of flags and offset, what a fragment has: more fragments, or an offset.
const FRAGMENT: u16 = 0x3fff;
/// Bytes of a TCP header without options, and with timestamps behind two bytes of padding.
const BARE: u8 = 20;
const STAMPED: u8 = 32;

/// The segment in a plain packet; none if it is not one.
#[inline(always)]
pub(super) fn read(
    link: u16,
    data: &[u8],
    orig_len: u32,
    ts: Timestamp,
    frame: u64,
) -> Option<Decoded> {
    let (ethertype, packet) = match LinkType(link) {
        LinkType::EN10MB => {
            let ([.., high, low], packet) = data.split_first_chunk::<14>()?;
            ([*high, *low], packet)
        }
        LinkType::LINUX_SLL2 => {
            let ([high, low, ..], packet) = data.split_first_chunk::<20>()?;
            ([*high, *low], packet)
        }
        _ => return None,
    };
    // What the frame has room for on the wire.
    let room = orig_len.checked_sub((data.len() - packet.len()) as u32)?;
    let (ip, segment) = match ethertype {
        IPV4 => v4(packet, room)?,
        IPV6 => v6(packet, room)?,
        _ => return None,
    };
    let (header, rest) = segment.split_first_chunk::<{ BARE as usize }>()?;
    let [s0, s1, d0, d1, q0, q1, q2, q3, a0, a1, a2, a3, offset, flags, w0, w1, c0, c1, ..] =
        *header;
    let flags = Flags::from_bits(u16::from_be_bytes([offset, flags]));
    let header_len = (offset >> 4) * 4;
    let timestamps = match header_len {
        BARE => None,
        STAMPED => Some(timestamps(rest)?),
        _ => return None,
    };
    // SYNs have much that is looked at, and are few.
    if flags.has(Flags::SYN) {
        return None;
    }
    let source = (ip.source.to_be_bytes(), u16::from_be_bytes([s0, s1]));
    let destination = (ip.destination.to_be_bytes(), u16::from_be_bytes([d0, d1]));
    let (tuple, sender) = FourTuple::new(ip.version, source, destination);
    let segment = Segment {
        ts,
        frame,
        seq: SeqNum(u32::from_be_bytes([q0, q1, q2, q3])),
        ack: SeqNum(u32::from_be_bytes([a0, a1, a2, a3])),
        payload: ip.len.checked_sub(u32::from(header_len))?,
        window: u16::from_be_bytes([w0, w1]),
        flags,
        ip_id: ip.id,
        ttl: ip.ttl,
        wrong_checksum: false,
        checksum: u16::from_be_bytes([c0, c1]),
        options: Options { timestamps, ..Options::default() },
    };
    Some(Decoded { tuple, sender, segment })
}

/// What an IP header says.
struct Ip {
    version: u8,
    source: u128,
    destination: u128,
    /// Bytes of the segment.
    len: u32,
    id: u16,
    ttl: u8,
}

/// Takes off an IPv4 header, and the padding behind the packet.
#[inline(always)]
fn v4(packet: &[u8], room: u32) -> Option<(Ip, &[u8])> {
    let (header, segment) = packet.split_first_chunk::<20>()?;
    let [begin, _, l0, l1, i0, i1, f0, f1, ttl, protocol, _, _, addrs @ ..] = *header;
    let [s0, s1, s2, s3, d0, d1, d2, d3] = addrs;
    let total = u32::from(u16::from_be_bytes([l0, l1]));
    let is_plain = begin == VERSION_AND_LENGTH
        && protocol == TCP
        && u16::from_be_bytes([f0, f1]) & FRAGMENT == 0
        && total <= room;
    let len = total.checked_sub(20).filter(|_| is_plain)?;
    let ip = Ip {
        version: 4,
        source: u32::from_be_bytes([s0, s1, s2, s3]).into(),
        destination: u32::from_be_bytes([d0, d1, d2, d3]).into(),
        len,
        id: u16::from_be_bytes([i0, i1]),
        ttl,
    };
    Some((ip, segment.get(..len as usize).unwrap_or(segment)))
}

/// Takes off an IPv6 header, and the padding behind the packet.
#[inline(always)]
fn v6(packet: &[u8], room: u32) -> Option<(Ip, &[u8])> {
    let (header, segment) = packet.split_first_chunk::<40>()?;
    let [begin, _, _, _, l0, l1, next, ttl, addrs @ ..] = header;
    let (source, rest) = addrs.split_first_chunk::<16>()?;
    let destination = rest.first_chunk::<16>()?;
    let len = u32::from(u16::from_be_bytes([*l0, *l1]));
    let is_plain = begin >> 4 == 6 && *next == TCP && (1..=room.saturating_sub(40)).contains(&len);
    let ip = Ip {
        version: 6,
        source: u128::from_be_bytes(*source),
        destination: u128::from_be_bytes(*destination),
        len,
        id: 0,
        ttl: *ttl,
    };
    is_plain.then_some((ip, segment.get(..len as usize).unwrap_or(segment)))
}

/// TSval and TSecr, in the layout that nearly all stacks use.
#[inline(always)]
fn timestamps(options: &[u8]) -> Option<(u32, u32)> {
    /// Two bytes of padding, the option's kind and its length (RFC 7323 appendix A).
    const LAYOUT: [u8; 4] = [1, 1, 8, 10];
    let (layout, values) = options.split_first_chunk::<4>()?;
    let [a, b, c, d, e, f, g, h] = *values.first_chunk::<8>()?;
    let pair = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
    (*layout == LAYOUT).then_some(pair)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::packets::{self, TIMESTAMPS, ethernet, ipv4, ipv6, tcp};
    use super::*;

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
            for segment in [tcp(&[], 0), tcp(&TIMESTAMPS, 60)] {
                shapes.push((link, frame(link, packets::IPV4, &ipv4(6, &segment))));
                shapes.push((link, frame(link, packets::IPV6, &ipv6(6, &segment))));
            }
        }
        shapes
    }

    #[test]
    fn plain_packets_are_read_here() {
        for (link, bytes) in shapes() {
            let ts = Timestamp::from_nanos(5);
            let plain = read(link, &bytes, bytes.len() as u32, ts, 1);
            assert_eq!(
                plain,
                super::super::decode_any(link, &bytes, bytes.len() as u32, ts, 1).ok()
            );
            assert!(plain.is_some(), "{link}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]
        /// Whatever is read here, layer by layer is read the same.
        #[test]
        fn both_ways_agree(
            shape in any::<prop::sample::Index>(),
            damage in prop::collection::vec((0..90_usize, any::<u8>()), 0..4),
            kept in 0..140_usize,
            orig_len in prop::sample::select(vec![0, 54, 66, 86, 140, 1_000, u32::MAX]),
        ) {
            let (link, mut bytes) = shape.get(&shapes()).clone();
            let whole = bytes.len();
            for (at, byte) in damage {
                bytes[at % whole] = byte;
            }
            bytes.truncate(kept);
            let ts = Timestamp::from_nanos(5);
            if let Some(plain) = read(link, &bytes, orig_len, ts, 1) {
                prop_assert_eq!(Ok(plain), super::super::decode_any(link, &bytes, orig_len, ts, 1));
            }
        }
    }
}
