//! The TCP header (RFC 9293 section 3.1), whole or with its options cut by the capture.
//!
//! A snap length of 64 or 68 bytes ends inside the options of most segments. The 20 bytes before
//! them say nearly everything, so such a segment counts, with its options marked incomplete.
//! Checksums are not looked at: the sender's own capture has them before the card fills them in.

use etherparse::TcpHeaderSlice;
use etherparse::err::tcp::HeaderSliceError;

use crate::seq::SeqNum;
use crate::time::Timestamp;

use super::ip::IpPacket;
use super::options;
use super::segment::{Flags, Options, Segment};
use super::skip::Skip;

/// Bytes of a header without options.
const FIXED_LEN: usize = 20;

/// A TCP header as read: the ports, and the segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    pub source_port: u16,
    pub destination_port: u16,
    pub segment: Segment,
}

/// Reads the segment in the IP packet.
#[inline]
pub(super) fn read(ip: &IpPacket<'_>, ts: Timestamp, frame: u64) -> Result<Read, Skip> {
    let mut read = match TcpHeaderSlice::from_slice(ip.payload.data) {
        Ok(header) => {
            let payload = payload_len(ip, header.data_offset())?;
            fields(&header, options::read(header.options()), payload)
        }
        Err(HeaderSliceError::Content(_)) => return Err(Skip::Malformed),
        Err(HeaderSliceError::Len(_)) => read_cut(ip)?,
    };
    read.segment.ts = ts;
    read.segment.frame = frame;
    read.segment.ip_id = ip.id;
    read.segment.ttl = ip.ttl;
    Ok(read)
}

/// Reads a header of which the capture kept 20 bytes or more, but not all. etherparse reads whole
/// headers only, so it gets a copy that claims to have no options.
#[cold]
fn read_cut(ip: &IpPacket<'_>) -> Result<Read, Skip> {
    let mut fixed = *ip.payload.peek::<FIXED_LEN>()?;
    let payload = payload_len(ip, fixed[12] >> 4)?;
    fixed[12] = 0x50 | (fixed[12] & 0x0f);
    let header = TcpHeaderSlice::from_slice(&fixed).map_err(|_| Skip::Malformed)?;
    let kept = ip.payload.data.get(FIXED_LEN..).unwrap_or_default();
    let options = Options { incomplete: true, ..options::read(kept) };
    Ok(fields(&header, options, payload))
}

/// Payload bytes by the IP header's length; `data_offset` counts the header in four-byte words.
#[inline]
fn payload_len(ip: &IpPacket<'_>, data_offset: u8) -> Result<u32, Skip> {
    let header_len = u32::from(data_offset) * 4;
    ip.payload.len.checked_sub(header_len).ok_or(Skip::Malformed)
}

#[inline]
fn fields(header: &TcpHeaderSlice<'_>, options: Options, payload: u32) -> Read {
    let flags = match header.slice().first_chunk::<14>() {
        Some([.., high, low]) => u16::from_be_bytes([*high, *low]),
        None => 0,
    };
    Read {
        source_port: header.source_port(),
        destination_port: header.destination_port(),
        segment: Segment {
            seq: SeqNum(header.sequence_number()),
            ack: SeqNum(header.acknowledgment_number()),
            payload,
            window: header.window_size(),
            flags: Flags::from_bits(flags),
            options,
            ..Segment::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::packets::{TIMESTAMPS, tcp};
    use super::super::rest::Rest;
    use super::*;

    /// Reads the bytes as the segment of an IP packet that gives its length as `len`.
    fn read_segment(bytes: &[u8], len: usize) -> Result<Segment, Skip> {
        let ip = IpPacket {
            version: 4,
            source: [0; 16],
            destination: [0; 16],
            id: 77,
            ttl: 5,
            payload: Rest::new(bytes, len as u32),
        };
        read(&ip, Timestamp::from_nanos(3), 8).map(|read| read.segment)
    }

    #[test]
    fn every_field_arrives() {
        let expected = Segment {
            ts: Timestamp::from_nanos(3),
            frame: 8,
            seq: SeqNum(100),
            ack: SeqNum(200),
            payload: 10,
            window: 512,
            flags: Flags::PSH | Flags::ACK,
            ip_id: 77,
            ttl: 5,
            options: Options { timestamps: Some((7, 9)), ..Options::default() },
        };
        assert_eq!(read_segment(&tcp(&TIMESTAMPS, 10), 42), Ok(expected));
    }

    #[test]
    fn all_nine_flags_are_read_and_reserved_bits_are_not() {
        let mut bytes = tcp(&[], 0);
        bytes[12..14].copy_from_slice(&[0x5f, 0xff]);
        let flags = read_segment(&bytes, 20).unwrap().flags;
        assert_eq!(flags.to_string(), "FSRP.UEWe");
        assert_eq!(flags.bits(), 0x1ff);
    }

    #[test]
    fn a_cut_in_the_payload_changes_nothing() {
        let bytes = tcp(&TIMESTAMPS, 1000);
        for kept in [32, 33, 1031] {
            assert_eq!(read_segment(&bytes[..kept], 1032), read_segment(&bytes, 1032));
        }
    }

    #[test]
    fn a_cut_in_the_options_keeps_the_rest_of_the_segment() {
        let options = [2, 4, 5, 0xb4, 3, 3, 7, 1];
        let bytes = tcp(&options, 1000);
        let whole = read_segment(&bytes, 1028).unwrap();
        for kept in 20..28 {
            let mut cut = read_segment(&bytes[..kept], 1028).unwrap();
            assert!(cut.options.incomplete);
            assert_eq!(cut.options.mss.is_some(), kept >= 24);
            assert_eq!(cut.options.window_scale.is_some(), kept >= 27);
            cut.options = whole.options;
            assert_eq!(cut, whole);
        }
    }

    #[test]
    fn a_cut_before_the_options_is_counted() {
        let bytes = tcp(&[], 0);
        for kept in 0..20 {
            assert_eq!(read_segment(&bytes[..kept], 20), Err(Skip::CutHeader));
            assert_eq!(read_segment(&bytes[..kept], kept), Err(Skip::Malformed));
        }
    }

    #[test]
    fn a_data_offset_that_cannot_be_is_malformed() {
        let mut bytes = tcp(&[], 10);
        for words in [0, 4, 8, 15] {
            bytes[12] = words << 4;
            assert_eq!(read_segment(&bytes, 30), Err(Skip::Malformed), "{words}");
            assert_eq!(read_segment(&bytes[..20], 30), Err(Skip::Malformed), "{words}");
        }
    }
}
