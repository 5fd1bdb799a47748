//! A TCP segment as the inference needs it: small, `Copy`, without the payload's bytes.

use core::fmt;
use core::ops::BitOr;

use crate::seq::SeqNum;
use crate::time::{Moment, Timestamp};

/// The flags of a TCP header (RFC 9293 section 3.1), with AccECN's AE bit (RFC 9768).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(u16);

impl Flags {
    /// No more data from the sender.
    pub const FIN: Flags = Flags(0x01);
    /// Synchronize sequence numbers.
    pub const SYN: Flags = Flags(0x02);
    /// Reset the connection.
    pub const RST: Flags = Flags(0x04);
    /// Push.
    pub const PSH: Flags = Flags(0x08);
    /// The acknowledgement field counts.
    pub const ACK: Flags = Flags(0x10);
    /// The urgent pointer counts.
    pub const URG: Flags = Flags(0x20);
    /// ECN echo.
    pub const ECE: Flags = Flags(0x40);
    /// Congestion window reduced.
    pub const CWR: Flags = Flags(0x80);
    /// Accurate ECN (once NS).
    pub const AE: Flags = Flags(0x100);

    /// The flags of a header's 12 low bits after the data offset.
    pub const fn from_bits(bits: u16) -> Flags {
        Flags(bits & 0x1ff)
    }

    /// The bits as they stand in the header.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether all flags of `other` are set.
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Flags {
    type Output = Flags;

    fn bitor(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

/// tcpdump's letters: `S`, `F`, `R`, `P`, `.` for ACK, `U`, `E`, `W`, `e`; `none` without any.
impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LETTERS: [(Flags, &str); 9] = [
            (Flags::FIN, "F"),
            (Flags::SYN, "S"),
            (Flags::RST, "R"),
            (Flags::PSH, "P"),
            (Flags::ACK, "."),
            (Flags::URG, "U"),
            (Flags::ECE, "E"),
            (Flags::CWR, "W"),
            (Flags::AE, "e"),
        ];
        if self.0 == 0 {
            return f.write_str("none");
        }
        LETTERS.iter().filter(|(flag, _)| self.has(*flag)).try_for_each(|(_, l)| f.write_str(l))
    }
}

/// The options of one segment that say something about the connection's state.
///
/// Those marked "SYN only" are reported from any segment that has them; on others than a SYN they
/// mean nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// TSval and TSecr (RFC 7323).
    pub timestamps: Option<(u32, u32)>,
    /// The first SACK block, start and end (RFC 2018); below the acknowledgement number it is a
    /// D-SACK (RFC 2883).
    pub sack: Option<(SeqNum, SeqNum)>,
    /// Maximum segment size in bytes; SYN only.
    pub mss: Option<u16>,
    /// Window scale shift, at most 14 (RFC 7323); SYN only.
    pub window_scale: Option<u8>,
    /// SACK permitted; SYN only.
    pub sack_permitted: bool,
    /// A Fast Open option, a cookie request or a cookie (RFC 7413); SYN only.
    pub fast_open: bool,
    /// The option list is not well formed, or was cut by the capture; what stands above was read
    /// before that.
    pub incomplete: bool,
}

/// One TCP segment as it passed the observer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// When it passed, by the capture's clock.
    pub ts: Timestamp,
    /// Its packet's number in the input, from 1, as Wireshark's `frame.number`.
    pub frame: u64,
    /// Sequence number of the first byte, or of the SYN.
    pub seq: SeqNum,
    /// Acknowledgement number; meaningless without [`Flags::ACK`].
    pub ack: SeqNum,
    /// Payload bytes by the IP header's length, whatever the capture cut.
    pub payload: u32,
    /// The window field, unscaled.
    pub window: u16,
    /// The header's flags.
    pub flags: Flags,
    /// IPv4 identification; zero on IPv6.
    pub ip_id: u16,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Its checksum does not fit. Looked at in SYNs only: they show how a host's segments are.
    pub wrong_checksum: bool,
    /// Its checksum, right or not; zero where the capture does not tell.
    pub checksum: u16,
    /// The options that matter here.
    pub options: Options,
}

impl Segment {
    /// When it passed, and in which frame.
    pub const fn at(&self) -> Moment {
        Moment { ts: self.ts, frame: self.frame }
    }

    /// Whether the flag is set.
    pub const fn has(&self, flag: Flags) -> bool {
        self.flags.has(flag)
    }

    /// Sequence numbers that the segment takes: its payload, one for SYN, one for FIN.
    pub const fn seq_len(&self) -> u32 {
        let controls = self.has(Flags::SYN) as u32 + self.has(Flags::FIN) as u32;
        self.payload.wrapping_add(controls)
    }

    /// The sequence number after the segment's last.
    pub const fn seq_end(&self) -> SeqNum {
        self.seq.add(self.seq_len())
    }

    /// The acknowledgement number, if the segment carries one.
    pub const fn acked(&self) -> Option<SeqNum> {
        if self.has(Flags::ACK) { Some(self.ack) } else { None }
    }
}

// A batch of segments is copied about; 80 bytes is what the fields need, and not more.
const _: () = assert!(size_of::<Segment>() <= 80);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syn_and_fin_take_a_number_each() {
        let mut segment = Segment { seq: SeqNum(u32::MAX), payload: 10, ..Segment::default() };
        assert_eq!(segment.seq_end(), SeqNum(9));
        segment.flags = Flags::SYN | Flags::FIN;
        assert_eq!((segment.seq_len(), segment.seq_end()), (12, SeqNum(11)));
    }

    #[test]
    fn flags_print_as_tcpdump_prints_them() {
        assert_eq!((Flags::FIN | Flags::ACK).to_string(), "F.");
        assert_eq!(Flags::default().to_string(), "none");
        assert_eq!(Flags::from_bits(0xfff).to_string(), "FSRP.UEWe");
    }
}
