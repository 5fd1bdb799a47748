//! The plain packet, which nearly every one is: TCP in IPv4 without options or IPv6 without
//! extension headers, in an Ethernet frame with at most one VLAN tag, in a Linux cooked one, or by
//! itself. Plainer still are those that are no SYN, without TCP options or with the usual
//! timestamps: most of all.
//!
//! Everything is at a known place then, and is read there. What differs in anything, or is cut, is
//! left to the other files of this folder, layer by layer; the tests hold both to the same answer.

use super::lot::between;
use super::rest::Rest;
use super::segment::{Flags, Options, Segment};
use super::tcp::is_wrong;
use super::tuple::{End, FourTuple};
use super::{Decoded, Moment, options};
use crate::capture::LinkType;
use crate::seq::SeqNum;

// EtherTypes as they stand in a frame: they are compared as one number, and none is turned round.
const IPV4: u16 = u16::from_ne_bytes([0x08, 0x00]);
const IPV6: u16 = u16::from_ne_bytes([0x86, 0xdd]);
const VLAN: u16 = u16::from_ne_bytes([0x81, 0x00]);
const TCP: u8 = 6;
/// Version 4, and a header of five words.
const VERSION_AND_LENGTH: u8 = 0x45;
/// Of the field of flags and offset, what a fragment has: more fragments, or an offset.
const FRAGMENT: u16 = 0x3fff;
/// Bytes of a TCP header without options.
const BARE: u32 = 20;

/// The IP header of a plain packet.
pub(crate) trait Ip: Copy {
    /// Both addresses, of the sender first.
    fn addrs(self) -> (u128, u128);
    /// The four-tuple with these ports, of the sender first, and which end the sender is.
    fn tuple(self, ports: (u16, u16)) -> (FourTuple, End);
    /// TTL or hop limit.
    fn ttl(self) -> u8;
    /// The identification; zero on IPv6.
    fn id(self) -> u16;
}

/// An IPv4 header without options.
#[derive(Clone, Copy, Debug)]
pub(crate) struct V4<'a>(&'a [u8; 20]);

/// An IPv6 header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct V6<'a>(&'a [u8; 40]);

/// A plain packet of which it is certain that a segment can be made, which is several times quicker
/// to find than to make.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plain<'a, I> {
    ip: I,
    /// The TCP header without options.
    header: &'a [u8; 20],
    options: &'a [u8],
    /// What was captured of the segment, and how many bytes it had.
    whole: Rest<'a>,
    /// Bytes of its payload.
    payload: u32,
}

/// An IP packet straight in its frame, of the version that the frame says.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Framed<'a> {
    /// IPv4, and how much the frame has room for on the wire.
    V4(&'a [u8], u32),
    /// The same of IPv6.
    V6(&'a [u8], u32),
}

/// The segment in a plain packet; none if it is not one.
#[inline(always)]
pub(super) fn read(link: LinkType, data: &[u8], orig_len: u32, at: Moment) -> Option<Decoded> {
    match Framed::find(link, data, orig_len)? {
        Framed::V4(packet, room) => Some(v4(packet, room)?.segment(at)),
        Framed::V6(packet, room) => Some(v6(packet, room)?.segment(at)),
    }
}

impl<'a> Framed<'a> {
    /// Takes off the header of a frame.
    #[inline(always)]
    pub fn find(link: LinkType, data: &'a [u8], orig_len: u32) -> Option<Framed<'a>> {
        let (ethertype, packet) = match link {
            LinkType::EN10MB => {
                let (header, packet) = data.split_first_chunk::<14>()?;
                (u16::from_ne_bytes(*header.last_chunk()?), packet)
            }
            LinkType::LINUX_SLL2 => {
                let (header, packet) = data.split_first_chunk::<20>()?;
                (u16::from_ne_bytes(*header.first_chunk()?), packet)
            }
            link => otherwise_framed(link, data)?,
        };
        let (ethertype, packet) = match ethertype {
            VLAN => {
                let (tag, packet) = packet.split_first_chunk::<4>()?;
                (u16::from_ne_bytes(*tag.last_chunk()?), packet)
            }
            _ => (ethertype, packet),
        };
        let room = orig_len.checked_sub((data.len() - packet.len()) as u32)?;
        match ethertype {
            IPV4 => Some(Framed::V4(packet, room)),
            IPV6 => Some(Framed::V6(packet, room)),
            _ => None,
        }
    }
}

/// What the frame's header says that it carries, and that; of what is rarer than Ethernet.
#[inline]
fn otherwise_framed(link: LinkType, data: &[u8]) -> Option<(u16, &[u8])> {
    match (link, data.first()? >> 4) {
        (LinkType::LINUX_SLL, _) => {
            let ([.., high, low], packet) = data.split_first_chunk::<16>()?;
            Some((u16::from_ne_bytes([*high, *low]), packet))
        }
        (LinkType::RAW | LinkType::IPV4, 4) => Some((IPV4, data)),
        (LinkType::RAW | LinkType::IPV6, 6) => Some((IPV6, data)),
        _ => None,
    }
}

/// The plain packet in IPv4, if it is one.
#[inline(always)]
pub(crate) fn v4(packet: &[u8], room: u32) -> Option<Plain<'_, V4<'_>>> {
    let (header, segment) = packet.split_first_chunk::<20>()?;
    let [begin, _, t0, t1, _, _, part, offset, _, protocol, ..] = *header;
    let total = u32::from(u16::from_be_bytes([t0, t1]));
    if begin != VERSION_AND_LENGTH
        || protocol != TCP
        || u16::from_be_bytes([part, offset]) & FRAGMENT != 0
        || total > room
    {
        return None;
    }
    Plain::find(V4(header), segment, total.checked_sub(20)?)
}

/// The plain packet in IPv6, if it is one.
#[inline(always)]
pub(crate) fn v6(packet: &[u8], room: u32) -> Option<Plain<'_, V6<'_>>> {
    let (header, segment) = packet.split_first_chunk::<40>()?;
    let [begin, _, _, _, l0, l1, next, ..] = *header;
    let len = u32::from(u16::from_be_bytes([l0, l1]));
    if begin >> 4 != 6 || next != TCP || !(1..=room.saturating_sub(40)).contains(&len) {
        return None;
    }
    Plain::find(V6(header), segment, len)
}

impl Ip for V4<'_> {
    #[inline(always)]
    fn addrs(self) -> (u128, u128) {
        let [.., s0, s1, s2, s3, d0, d1, d2, d3] = *self.0;
        let addr = |bytes| u32::from_be_bytes(bytes).into();
        (addr([s0, s1, s2, s3]), addr([d0, d1, d2, d3]))
    }

    #[inline(always)]
    fn tuple(self, ports: (u16, u16)) -> (FourTuple, End) {
        let (source, destination) = self.addrs();
        FourTuple::of_v4((source as u32, ports.0), (destination as u32, ports.1))
    }

    #[inline(always)]
    fn ttl(self) -> u8 {
        self.0[8]
    }

    #[inline(always)]
    fn id(self) -> u16 {
        u16::from_be_bytes([self.0[4], self.0[5]])
    }
}

impl Ip for V6<'_> {
    #[inline(always)]
    fn addrs(self) -> (u128, u128) {
        let ([_, _, _, _, _, _, _, _, addrs @ ..], mut both) = (self.0, [0; 2]);
        for (number, addr) in both.iter_mut().zip(addrs.as_chunks::<16>().0) {
            *number = u128::from_be_bytes(*addr);
        }
        both.into()
    }

    #[inline(always)]
    fn tuple(self, ports: (u16, u16)) -> (FourTuple, End) {
        let (source, destination) = self.addrs();
        FourTuple::new(6, (source.to_be_bytes(), ports.0), (destination.to_be_bytes(), ports.1))
    }

    #[inline(always)]
    fn ttl(self) -> u8 {
        self.0[7]
    }

    #[inline(always)]
    fn id(self) -> u16 {
        0
    }
}

impl<'a, I: Ip> Plain<'a, I> {
    /// Of a segment of `len` bytes; what follows them is padding.
    #[inline(always)]
    fn find(ip: I, bytes: &'a [u8], len: u32) -> Option<Plain<'a, I>> {
        let bytes = bytes.get(..len as usize).unwrap_or(bytes);
        let (header, rest) = bytes.split_first_chunk::<{ BARE as usize }>()?;
        let header_len = (fourth(header) >> 28) * 4;
        let options = rest.get(..header_len.checked_sub(BARE)? as usize)?;
        let payload = len.checked_sub(header_len)?;
        Some(Plain { ip, header, options, whole: Rest { data: bytes, len }, payload })
    }

    /// Both ports, of the sender first.
    #[inline(always)]
    fn ports(&self) -> (u16, u16) {
        let [s0, s1, d0, d1, ..] = *self.header;
        (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]))
    }

    /// The lot of its four-tuple.
    #[inline(always)]
    pub fn lot(&self) -> u8 {
        let (source, destination) = self.ip.addrs();
        between((source as u64, destination as u64), self.ports())
    }

    /// Its segment, if it is like nearly all: no SYN, and without options or with the usual
    /// timestamps. For these the code is half as long.
    #[inline(always)]
    pub fn usual_segment(&self, at: Moment) -> Option<Decoded> {
        let options = match self.options {
            [] => Options::default(),
            options if options.len() == options::USUAL => {
                Options { timestamps: Some(options::usual(options)?), ..Options::default() }
            }
            _ => return None,
        };
        (!self.flags().has(Flags::SYN)).then(|| self.segment_with(options, false, at))
    }

    /// Its segment.
    #[inline(always)]
    pub fn segment(&self, at: Moment) -> Decoded {
        let (source, destination) = self.ip.addrs();
        let is_wrong = self.flags().has(Flags::SYN) && is_wrong(source, destination, self.whole);
        self.segment_with(options::read(self.options), is_wrong, at)
    }

    #[inline(always)]
    fn flags(&self) -> Flags {
        Flags::from_bits((fourth(self.header) >> 16) as u16)
    }

    #[inline(always)]
    fn segment_with(&self, options: Options, wrong_checksum: bool, at: Moment) -> Decoded {
        let [_, _, _, _, s0, s1, s2, s3, a0, a1, a2, a3, _, _, _, _, c0, c1, ..] = *self.header;
        let (tuple, sender) = self.ip.tuple(self.ports());
        let segment = Segment {
            ts: at.ts,
            frame: at.frame,
            seq: SeqNum(u32::from_be_bytes([s0, s1, s2, s3])),
            ack: SeqNum(u32::from_be_bytes([a0, a1, a2, a3])),
            payload: self.payload,
            window: fourth(self.header) as u16,
            flags: self.flags(),
            ip_id: self.ip.id(),
            ttl: self.ip.ttl(),
            wrong_checksum,
            checksum: u16::from_be_bytes([c0, c1]),
            options,
        };
        Decoded { tuple, sender, segment }
    }
}

/// The fourth word of a TCP header: its length in words, reserved bits, the flags and the window.
#[inline(always)]
fn fourth(header: &[u8; 20]) -> u32 {
    let [_, _, _, _, _, _, _, _, _, _, _, _, a, b, c, d, ..] = *header;
    u32::from_be_bytes([a, b, c, d])
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

    /// The same packet in every frame that is read here.
    fn frames(ethertype: u16, packet: &[u8]) -> Vec<(LinkType, Vec<u8>)> {
        let carries = &ethertype.to_be_bytes()[..];
        let own = if ethertype == packets::IPV4 { LinkType::IPV4 } else { LinkType::IPV6 };
        vec![
            (LinkType::EN10MB, ethernet(ethertype, packet)),
            (LinkType::EN10MB, ethernet(0x8100, &[&[0, 7], carries, packet].concat())),
            (LinkType::LINUX_SLL, [&[0; 14], carries, packet].concat()),
            (LinkType::LINUX_SLL2, [carries, &[0; 18], packet].concat()),
            (LinkType::RAW, packet.to_vec()),
            (own, packet.to_vec()),
        ]
    }

    fn shapes() -> Vec<(LinkType, Vec<u8>)> {
        let mut syn = tcp(&LINUX_SYN, 0);
        syn[13] = 2;
        let mut summed = syn.clone();
        summed[16..18].copy_from_slice(&SYN_SUM);
        let mut shapes = Vec::new();
        for segment in [tcp(&[], 0), tcp(&TIMESTAMPS, 60), tcp(&[5, 2, 1, 0], 9), syn, summed] {
            shapes.extend(frames(packets::IPV4, &ipv4(6, &segment)));
            shapes.extend(frames(packets::IPV6, &ipv6(6, &segment)));
        }
        shapes
    }

    /// The lot of a plain packet, and its segment if it is like nearly all.
    fn quick(link: LinkType, data: &[u8], orig_len: u32) -> Option<(u8, Option<Decoded>)> {
        match Framed::find(link, data, orig_len)? {
            Framed::V4(packet, room) => v4(packet, room).map(|it| (it.lot(), it.usual_segment(AT))),
            Framed::V6(packet, room) => v6(packet, room).map(|it| (it.lot(), it.usual_segment(AT))),
        }
    }

    #[test]
    fn plain_packets_are_read_here() {
        for (link, bytes) in shapes() {
            let plain = read(link, &bytes, bytes.len() as u32, AT);
            assert_eq!(plain, decode_any(link, &bytes, bytes.len() as u32, AT).ok());
            assert!(plain.is_some(), "{link}");
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
        let each = [false, false, false, true, false].map(|is_wrong| [is_wrong; 6]);
        assert_eq!(wrong, each.concat());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]
        /// Whatever is read here, layer by layer is read the same.
        #[test]
        fn both_ways_agree(
            shape in any::<prop::sample::Index>(),
            damage in prop::collection::vec((0..110_usize, any::<u8>()), 0..4),
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
            if let Some((lot, usual)) = quick(link, &bytes, orig_len) {
                prop_assert_eq!(any.map(|decoded| decoded.tuple.lot()), Ok(lot));
                prop_assert!(usual.is_none_or(|usual| any == Ok(usual)));
            }
        }
    }
}
