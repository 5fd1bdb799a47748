//! Packets to segments: link layer, IP and TCP headers, without copying and without allocating.
//!
//! [`decode`] takes one captured packet and gives the TCP segment in it, or why there is none. It
//! accepts any bytes: nothing here panics, and no header is trusted beyond the bytes that are
//! there. Wrong checksums and odd addresses or ports are no reason to refuse a segment; what they
//! mean is for later stages to judge. What it leaves because it is no plain TCP packet,
//! [`opener::Opener`] looks into.

mod fragments;
mod glimpse;
pub mod headers;
pub mod icmp;
mod ip;
mod link;
pub mod lot;
pub mod opener;
mod options;
pub(crate) mod plain;
mod printed;
mod rest;
pub mod segment;
pub mod skip;
mod tcp;
pub mod tunnel;
pub mod tuple;

#[cfg(test)]
mod packets;

use crate::capture::{LinkType, Packet};
use crate::time::Moment;

use ip::IpPacket;
use rest::Rest;
use segment::Segment;
use skip::Skip;
use tuple::{End, FourTuple};

/// A TCP segment, the four-tuple that it belongs to, and which end of it sent the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The connection's two endpoints.
    pub tuple: FourTuple,
    /// The end that sent the segment.
    pub sender: End,
    /// The segment.
    pub segment: Segment,
}

/// Decodes one captured packet.
#[inline]
pub fn decode(packet: &Packet<'_>) -> Result<Decoded, Skip> {
    let Packet { link, data, orig_len, ts, frame, .. } = *packet;
    let at = Moment { ts, frame };
    match plain::read(link, data, orig_len, at) {
        Some(decoded) => Ok(decoded),
        None => decode_any(link, data, orig_len, at),
    }
}

/// The same layer by layer, which takes anything.
#[inline(never)]
pub(crate) fn decode_any(
    link: LinkType,
    data: &[u8],
    orig_len: u32,
    at: Moment,
) -> Result<Decoded, Skip> {
    let packet = match link::ip_packet(link, Rest::new(data, orig_len)) {
        Err(_) if link == LinkType::PRINTED => return printed::read(data, at),
        packet => packet?,
    };
    segment_of(&ip::read(packet)?, at)
}

/// The segment in an IP packet.
#[inline(always)]
fn segment_of(ip: &IpPacket<'_>, at: Moment) -> Result<Decoded, Skip> {
    let mut copy = [0; tcp::FIXED_LEN];
    let tcp = tcp::Header::find(ip.payload, &mut copy)?;
    let (source_port, destination_port) = tcp.ports();
    let (tuple, sender) = FourTuple::new(
        ip.version,
        (ip.source.to_be_bytes(), source_port),
        (ip.destination.to_be_bytes(), destination_port),
    );
    Ok(Decoded { tuple, sender, segment: tcp.segment(ip, at.ts, at.frame) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::time::Timestamp;

    use super::packets::{IPV4, IPV6, TIMESTAMPS, ethernet, ipv4, ipv6, tcp};
    use super::*;

    const ETHERNET: LinkType = LinkType::EN10MB;

    fn decode_cut(link: LinkType, bytes: &[u8], kept: usize) -> Result<Decoded, Skip> {
        let ts = Timestamp::from_nanos(5);
        decode(&Packet::new(link, &bytes[..kept], bytes.len() as u32, ts, 1))
    }

    fn decode_whole(link: LinkType, bytes: &[u8]) -> Result<Decoded, Skip> {
        decode_cut(link, bytes, bytes.len())
    }

    /// Packets of several shapes; each ends in 300 bytes of payload.
    fn shapes() -> Vec<(LinkType, Vec<u8>)> {
        let segment = tcp(&TIMESTAMPS, 300);
        let syn_like = tcp(&[2, 4, 5, 0xb4, 1, 3, 3, 7], 300);
        let extended = [&[6, 0, 1, 4, 0, 0, 0, 0][..], &segment].concat();
        let tags = |ip: &[u8]| [&[0, 1, 0x81, 0, 0, 2, 8, 0], ip].concat();
        let labels = |ip: &[u8]| [&[0, 1, 0, 64, 0, 2, 1, 64], ip].concat();
        let session = |ip: &[u8]| [&[0x11, 0, 0, 5, 0, 42, 0, 0x21], ip].concat();
        let sll2 = [&[8, 0][..], &[0; 18], &ipv4(6, &segment)].concat();
        vec![
            (ETHERNET, ethernet(IPV4, &ipv4(6, &segment))),
            (ETHERNET, ethernet(IPV4, &ipv4(6, &syn_like))),
            (ETHERNET, ethernet(IPV6, &ipv6(60, &extended))),
            (ETHERNET, ethernet(0x88a8, &tags(&ipv4(6, &segment)))),
            (ETHERNET, ethernet(0x8847, &labels(&ipv6(6, &segment)))),
            (ETHERNET, ethernet(0x8864, &session(&ipv4(6, &syn_like)))),
            (LinkType::LINUX_SLL2, sll2),
            (LinkType::RAW, ipv6(6, &segment)),
        ]
    }

    #[test]
    fn a_segment_knows_its_connection_and_sender() {
        let there = decode_whole(ETHERNET, &ethernet(IPV4, &ipv4(6, &tcp(&[], 5)))).unwrap();
        assert_eq!(there.tuple.to_string(), "10.0.0.1:80 <-> 10.0.0.2:1000");
        assert_eq!(there.tuple.endpoint(there.sender).to_string(), "10.0.0.2:1000");
        assert_eq!(there.segment.payload, 5);
    }

    #[test]
    fn the_way_a_packet_came_is_not_part_of_its_connection() {
        let plain = ipv4(6, &tcp(&TIMESTAMPS, 9));
        let tagged = [&[0, 7, 8, 0][..], &plain].concat();
        assert_eq!(
            decode_whole(LinkType::RAW, &plain),
            decode_whole(ETHERNET, &ethernet(0x8100, &tagged))
        );
    }

    #[test]
    fn every_cut_is_survived_and_an_intact_header_gives_the_same_segment() {
        for (link, bytes) in shapes() {
            let whole = decode_whole(link, &bytes).unwrap();
            let options = if whole.segment.options.timestamps.is_some() { 12 } else { 8 };
            let payload_at = bytes.len() - 300;
            for kept in 0..bytes.len() {
                let cut = decode_cut(link, &bytes, kept);
                if kept >= payload_at {
                    assert_eq!(cut, Ok(whole));
                } else if kept >= payload_at - options {
                    assert!(cut.unwrap().segment.options.incomplete);
                } else {
                    assert_eq!(cut, Err(Skip::CutHeader), "link {link}, {kept} bytes");
                }
            }
        }
    }

    #[test]
    fn segments_above_64_kib_have_the_length_of_the_frame() {
        let mut frame = ethernet(IPV4, &ipv4(6, &tcp(&TIMESTAMPS, 0)));
        frame[16..18].fill(0);
        let packet = Packet::new(ETHERNET, &frame, 178_066, Timestamp::default(), 1);
        let decoded = decode(&packet).unwrap();
        assert_eq!(decoded.segment.payload, 178_000);
    }

    #[test]
    fn port_zero_and_a_host_that_talks_to_itself_are_accepted() {
        let mut packet = ipv4(6, &tcp(&[], 0));
        packet[12..20].fill(127);
        packet[20..24].fill(0);
        let decoded = decode_whole(LinkType::IPV4, &packet).unwrap();
        assert_eq!(decoded.tuple.endpoint(End::A), decoded.tuple.endpoint(End::B));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(
            link in prop::sample::select(vec![0, 1, 9, 12, 14, 101, 108, 113, 228, 229, 276, 999]),
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            orig_len in any::<u32>(),
        ) {
            let link = LinkType(link);
            let _ = decode(&Packet::new(link, &bytes, orig_len, Timestamp::default(), 1));
        }

        /// Random bytes seldom come past the first header; broken real packets do.
        #[test]
        fn no_damage_to_a_packet_panics(
            shape in any::<prop::sample::Index>(),
            damage in prop::collection::vec((0..120_usize, any::<u8>()), 1..6),
            kept in 0..400_usize,
            orig_len in any::<u32>(),
        ) {
            let (link, mut bytes) = shape.get(&shapes()).clone();
            for (at, byte) in damage {
                bytes[at] = byte;
            }
            let kept = kept.min(bytes.len());
            let (bytes, ts) = (&bytes[..kept], Timestamp::default());
            let _ = decode(&Packet::new(link, bytes, orig_len, ts, 1));
        }
    }
}
