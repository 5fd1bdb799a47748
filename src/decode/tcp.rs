//! The TCP header (RFC 9293 section 3.1), whole or with its options cut by the capture.
//!
//! A snap length of 64 or 68 bytes ends inside the options of most segments. The 20 bytes before
//! them say nearly everything, so such a segment counts, with its options marked incomplete.
//! Checksums refuse nothing: the sender's own capture has them before the card fills them in. That
//! a SYN's does not fit is noted.

use etherparse::TcpHeaderSlice;
use etherparse::checksum::Sum16BitWords;
use etherparse::err::tcp::HeaderSliceError;

use crate::limits::PAYLOAD_BYTES_MAX;
use crate::seq::SeqNum;
use crate::time::Timestamp;

use super::ip::IpPacket;
use super::options;
use super::rest::Rest;
use super::segment::{Flags, Segment};
use super::skip::Skip;

/// Bytes of a header without options.
pub(super) const FIXED_LEN: usize = 20;

/// A TCP header, found sound.
pub(super) struct Header<'a> {
    fixed: TcpHeaderSlice<'a>,
    options: &'a [u8],
    options_cut: bool,
    payload_len: u32,
}

impl<'a> Header<'a> {
    /// Finds the header at the start of an IP payload.
    ///
    /// etherparse takes whole headers only. Of a cut one it gets a copy, which lies in `copy` and
    /// says that it has no options.
    #[inline(always)]
    pub fn find(payload: Rest<'a>, copy: &'a mut [u8; FIXED_LEN]) -> Result<Header<'a>, Skip> {
        let [.., offset] = *payload.peek::<13>()?;
        let header_len = usize::from(offset >> 4) * 4;
        let (fixed, options_cut) = match TcpHeaderSlice::from_slice(payload.data) {
            Ok(whole) => (whole, false),
            Err(HeaderSliceError::Content(_)) => return Err(Skip::Malformed),
            Err(HeaderSliceError::Len(_)) => {
                *copy = *payload.peek()?;
                copy[12] = 0x50 | (offset & 0x0f);
                let cut = TcpHeaderSlice::from_slice(copy).map_err(|_| Skip::Malformed)?;
                (cut, true)
            }
        };
        let options_end = header_len.min(payload.data.len());
        let payload_len =
            payload.len.checked_sub(header_len as u32).filter(|len| *len <= PAYLOAD_BYTES_MAX);
        Ok(Header {
            fixed,
            options: payload.data.get(FIXED_LEN..options_end).unwrap_or_default(),
            options_cut,
            payload_len: payload_len.ok_or(Skip::Malformed)?,
        })
    }

    /// Source and destination port.
    #[inline(always)]
    pub fn ports(&self) -> (u16, u16) {
        (self.fixed.source_port(), self.fixed.destination_port())
    }

    /// The segment, with what the IP header and the capture say of it.
    #[inline(always)]
    pub fn segment(&self, ip: &IpPacket<'_>, ts: Timestamp, frame: u64) -> Segment {
        let flags = match self.fixed.slice().first_chunk::<14>() {
            Some([.., high, low]) => u16::from_be_bytes([*high, *low]),
            None => 0,
        };
        let mut options = options::read(self.options);
        options.incomplete |= self.options_cut;
        Segment {
            ts,
            frame,
            seq: SeqNum(self.fixed.sequence_number()),
            ack: SeqNum(self.fixed.acknowledgment_number()),
            payload: self.payload_len,
            window: self.fixed.window_size(),
            flags: Flags::from_bits(flags),
            ip_id: ip.id,
            ttl: ip.ttl,
            wrong_checksum: flags & Flags::SYN.bits() != 0
                && is_wrong(ip.source, ip.destination, ip.payload),
            checksum: self.fixed.checksum(),
            options,
        }
    }
}

/// Whether the checksum of a segment that is there to its end does not fit.
#[inline(never)]
pub(super) fn is_wrong(source: u128, destination: u128, segment: Rest<'_>) -> bool {
    /// TCP's protocol number, in the pseudo-header (RFC 9293 section 3.1).
    const PROTOCOL: [u8; 2] = [0, 6];
    let Some(whole) = segment.data.get(..segment.len as usize) else { return false };
    let sum = Sum16BitWords::new()
        .add_16bytes(source.to_be_bytes())
        .add_16bytes(destination.to_be_bytes())
        .add_2bytes(PROTOCOL)
        .add_4bytes(segment.len.to_be_bytes())
        .add_slice(whole);
    sum.ones_complement() != 0
}

#[cfg(test)]
mod tests {
    use super::super::packets::{TIMESTAMPS, tcp};
    use super::super::segment::Options;
    use super::*;

    /// Reads the bytes as the segment of an IP packet that gives its length as `len`.
    fn read_segment(bytes: &[u8], len: usize) -> Result<Segment, Skip> {
        let ip = IpPacket {
            version: 4,
            source: 0,
            destination: 0,
            id: 77,
            ttl: 5,
            protocol: 6,
            part: None,
            payload: Rest::new(bytes, len as u32),
        };
        let mut copy = [0; FIXED_LEN];
        let header = Header::find(ip.payload, &mut copy)?;
        Ok(header.segment(&ip, Timestamp::from_nanos(3), 8))
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
            wrong_checksum: false,
            checksum: 0xbeef,
            options: Options { timestamps: Some((7, 9)), ..Options::default() },
        };
        let mut bytes = tcp(&TIMESTAMPS, 10);
        bytes[16..18].copy_from_slice(&[0xbe, 0xef]);
        assert_eq!(read_segment(&bytes, 42), Ok(expected));
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

    #[test]
    fn a_payload_that_no_window_can_hold_is_malformed() {
        let bytes = tcp(&[], 0);
        let max = PAYLOAD_BYTES_MAX as usize;
        assert_eq!(read_segment(&bytes, 20 + max).unwrap().payload, PAYLOAD_BYTES_MAX);
        assert_eq!(read_segment(&bytes, 21 + max), Err(Skip::Malformed));
    }
}
