//! One packet as a line of text tells it, and the bytes in which it travels.
//!
//! A text has no packets, and all that stands behind a capture takes packets. So what a line says
//! is put into a few bytes of our own, under a link type of our own, and the decoder takes it out
//! again. No file is written in this form.

use crate::limits::TUNNEL_DEPTH_MAX;

/// A printed packet.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Printed {
    /// A TCP segment.
    Segment(PrintedSegment),
    /// Something else, or nothing that can be read.
    Unused(Unused),
}

/// Why a printed packet gives no segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unused {
    /// No IP packet: ARP, spanning tree, and so on.
    NotIp,
    /// IP, and not TCP, or TCP inside of something else.
    NotTcp,
    /// A fragment.
    Fragment,
    /// tcpdump had too few bytes of the TCP header: `[|tcp]`.
    CutHeader,
    /// A TCP header that contradicts itself.
    Malformed,
    /// `tcpdump -q`: neither flags nor numbers are printed.
    Quiet,
    /// A packet's line that cannot be understood.
    Unreadable,
}

impl Unused {
    const ALL: [Unused; 7] = [
        Unused::NotIp,
        Unused::NotTcp,
        Unused::Fragment,
        Unused::CutHeader,
        Unused::Malformed,
        Unused::Quiet,
        Unused::Unreadable,
    ];
}

/// The IP version of a connection that has a name for one of its ends: IPv4 addresses stand in
/// their IPv6-mapped form, beside the address that stands for the name.
pub const NAMED: u8 = 0;

/// A TCP segment as it was printed, its numbers made absolute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrintedSegment {
    /// 4, 6 or [`NAMED`].
    pub version: u8,
    /// The sender's address and port; an IPv4 address stands in the last four bytes.
    pub source: ([u8; 16], u16),
    /// The receiver's.
    pub target: ([u8; 16], u16),
    /// The flags as they stand in the header.
    pub flags: u16,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number, 0 without one.
    pub ack: u32,
    /// Payload bytes.
    pub payload: u32,
    /// The window field, unscaled.
    pub window: u16,
    /// IPv4 identification, or what stands for it; 0 where there is none.
    pub ip_id: u16,
    /// TTL or hop limit, 0 where it is not printed.
    pub ttl: u8,
    /// `-v` says so, with the checksum that would be right.
    pub wrong_checksum: bool,
    /// The checksum, or what stands for it.
    pub checksum: u16,
    /// The options.
    pub options: PrintedOptions,
    /// The tunnels that it is in.
    pub tunnels: PrintedTunnels,
}

/// Tunnels from outside to inside, first those that are there.
pub type PrintedTunnels = [Option<PrintedTunnel>; TUNNEL_DEPTH_MAX];

/// A tunnel as far as a text tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrintedTunnel {
    /// One that says only how a packet came: GRE without a key.
    Plain,
    /// GRE with a key.
    GreKey(u32),
    /// IP in IP.
    IpInIp(PrintedEnds),
    /// PPTP or L2TP.
    Ppp(PrintedEnds),
    /// VXLAN and its network.
    Vxlan(u32),
    /// GENEVE and its network.
    Geneve(u32),
}

/// The ends of a tunnel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrintedEnds {
    /// 4, 6 or [`NAMED`].
    pub version: u8,
    /// The addresses; IPv4's stand in the last four bytes.
    pub addrs: [[u8; 16]; 2],
}

/// The options of a printed segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrintedOptions {
    /// TSval and TSecr.
    pub timestamps: Option<(u32, u32)>,
    /// The first SACK block.
    pub sack: Option<(u32, u32)>,
    /// Maximum segment size.
    pub mss: Option<u16>,
    /// Window scale shift.
    pub window_scale: Option<u8>,
    /// SACK permitted.
    pub sack_permitted: bool,
    /// A Fast Open option.
    pub fast_open: bool,
    /// `[bad opt]`.
    pub incomplete: bool,
}

/// Bits that say which options are there.
mod has {
    pub const TIMESTAMPS: u8 = 1;
    pub const SACK: u8 = 2;
    pub const MSS: u8 = 4;
    pub const WINDOW_SCALE: u8 = 8;
    pub const SACK_PERMITTED: u8 = 16;
    pub const FAST_OPEN: u8 = 32;
    pub const INCOMPLETE: u8 = 64;
    pub const WRONG_CHECKSUM: u8 = 128;
}

/// The first byte of a segment; the other kinds have their place in [`Unused::ALL`].
const SEGMENT: u8 = 0xff;

impl Printed {
    /// Writes it in place of what `bytes` holds.
    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        bytes.clear();
        match self {
            Printed::Segment(segment) => segment.write(bytes),
            Printed::Unused(why) => bytes.push(*why as u8),
        }
    }

    /// What was written; none for other bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Printed> {
        let (first, rest) = bytes.split_first()?;
        match *first {
            SEGMENT => PrintedSegment::read(rest).map(Printed::Segment),
            place => Unused::ALL.get(usize::from(place)).copied().map(Printed::Unused),
        }
    }
}

impl PrintedSegment {
    fn write(&self, bytes: &mut Vec<u8>) {
        let options = &self.options;
        let (tsval, tsecr) = options.timestamps.unwrap_or_default();
        let (start, end) = options.sack.unwrap_or_default();
        let checksum = if self.wrong_checksum { has::WRONG_CHECKSUM } else { 0 };
        bytes.extend([SEGMENT, self.version, self.ttl, options.bits() | checksum]);
        bytes.push(options.window_scale.unwrap_or_default());
        for (addr, port) in [self.source, self.target] {
            bytes.extend(addr);
            bytes.extend(port.to_be_bytes());
        }
        let mss = options.mss.unwrap_or_default();
        for number in [self.flags, self.window, self.ip_id, self.checksum, mss] {
            bytes.extend(number.to_be_bytes());
        }
        for number in [self.seq, self.ack, self.payload, tsval, tsecr, start, end] {
            bytes.extend(number.to_be_bytes());
        }
        bytes.push(self.tunnels.iter().flatten().count() as u8);
        self.tunnels.iter().flatten().for_each(|tunnel| tunnel.write(bytes));
    }

    fn read(bytes: &[u8]) -> Option<PrintedSegment> {
        let mut rest = bytes;
        let [version, ttl, bits, window_scale] = take(&mut rest)?;
        let mut socket = || Some((take(&mut rest)?, u16::from_be_bytes(take(&mut rest)?)));
        let (source, target) = (socket()?, socket()?);
        let mut short = || take(&mut rest).map(u16::from_be_bytes);
        let (flags, window, ip_id) = (short()?, short()?, short()?);
        let (checksum, mss) = (short()?, short()?);
        let mut long = || take(&mut rest).map(u32::from_be_bytes);
        let (seq, ack, payload) = (long()?, long()?, long()?);
        let (timestamps, sack) = ((long()?, long()?), (long()?, long()?));
        let has = |bit| bits & bit != 0;
        let options = PrintedOptions {
            timestamps: has(has::TIMESTAMPS).then_some(timestamps),
            sack: has(has::SACK).then_some(sack),
            mss: has(has::MSS).then_some(mss),
            window_scale: has(has::WINDOW_SCALE).then_some(window_scale),
            sack_permitted: has(has::SACK_PERMITTED),
            fast_open: has(has::FAST_OPEN),
            incomplete: has(has::INCOMPLETE),
        };
        let [count] = take(&mut rest)?;
        let mut tunnels = PrintedTunnels::default();
        for place in tunnels.iter_mut().take(count.into()) {
            *place = Some(PrintedTunnel::read(&mut rest)?);
        }
        Some(PrintedSegment {
            version,
            source,
            target,
            flags,
            seq,
            ack,
            payload,
            window,
            ip_id,
            ttl,
            wrong_checksum: has(has::WRONG_CHECKSUM),
            checksum,
            options,
            tunnels,
        })
    }
}

impl PrintedTunnel {
    fn write(&self, bytes: &mut Vec<u8>) {
        let (kind, number, ends) = match *self {
            PrintedTunnel::Plain => (0_u8, 0, PrintedEnds::default()),
            PrintedTunnel::GreKey(key) => (1, key, PrintedEnds::default()),
            PrintedTunnel::IpInIp(ends) => (2, 0, ends),
            PrintedTunnel::Ppp(ends) => (3, 0, ends),
            PrintedTunnel::Vxlan(id) => (4, id, PrintedEnds::default()),
            PrintedTunnel::Geneve(id) => (5, id, PrintedEnds::default()),
        };
        bytes.extend([kind, ends.version]);
        bytes.extend(number.to_be_bytes());
        ends.addrs.iter().for_each(|addr| bytes.extend(addr));
    }

    fn read(rest: &mut &[u8]) -> Option<PrintedTunnel> {
        let [kind, version] = take(rest)?;
        let number = u32::from_be_bytes(take(rest)?);
        let ends = PrintedEnds { version, addrs: [take(rest)?, take(rest)?] };
        Some(match kind {
            0 => PrintedTunnel::Plain,
            1 => PrintedTunnel::GreKey(number),
            2 => PrintedTunnel::IpInIp(ends),
            3 => PrintedTunnel::Ppp(ends),
            4 => PrintedTunnel::Vxlan(number),
            5 => PrintedTunnel::Geneve(number),
            _ => return None,
        })
    }
}

impl PrintedOptions {
    fn bits(&self) -> u8 {
        [
            (has::TIMESTAMPS, self.timestamps.is_some()),
            (has::SACK, self.sack.is_some()),
            (has::MSS, self.mss.is_some()),
            (has::WINDOW_SCALE, self.window_scale.is_some()),
            (has::SACK_PERMITTED, self.sack_permitted),
            (has::FAST_OPEN, self.fast_open),
            (has::INCOMPLETE, self.incomplete),
        ]
        .iter()
        .filter(|(_, is_there)| *is_there)
        .fold(0, |bits, (bit, _)| bits | bit)
    }
}

/// The next bytes.
fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk::<N>()?;
    *rest = left;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let options = PrintedOptions {
            timestamps: Some((1, u32::MAX)),
            sack: Some((7, 9)),
            mss: Some(1460),
            window_scale: Some(7),
            sack_permitted: true,
            fast_open: true,
            incomplete: true,
        };
        let segment = PrintedSegment {
            version: NAMED,
            source: ([1; 16], 2),
            target: ([3; 16], 4),
            flags: 0x112,
            seq: 5,
            ack: 6,
            payload: 70_000,
            window: 8,
            ip_id: 9,
            ttl: 64,
            wrong_checksum: true,
            checksum: 10,
            options,
            tunnels: PrintedTunnels::default(),
        };
        let plain = PrintedSegment { options: PrintedOptions::default(), ..segment };
        let ends = PrintedEnds { version: 4, addrs: [[1; 16], [2; 16]] };
        let (of_ends, of_numbers) = (
            [PrintedTunnel::IpInIp(ends), PrintedTunnel::Ppp(ends), PrintedTunnel::Plain].map(Some),
            [PrintedTunnel::GreKey(7), PrintedTunnel::Vxlan(8), PrintedTunnel::Geneve(9)].map(Some),
        );
        let in_tunnels = |[first, second, third]: [Option<PrintedTunnel>; 3]| {
            let tunnels = [first, second, third, None];
            Printed::Segment(PrintedSegment { tunnels, ..plain })
        };
        let mut all = vec![Printed::Segment(segment), Printed::Segment(plain)];
        all.extend([in_tunnels(of_ends), in_tunnels(of_numbers)]);
        all.extend(Unused::ALL.map(Printed::Unused));
        let mut bytes = vec![7; 9];
        for printed in all {
            printed.write(&mut bytes);
            assert_eq!(Printed::from_bytes(&bytes), Some(printed));
            assert_eq!(Printed::from_bytes(&bytes[..bytes.len() - 1]), None);
        }
        assert_eq!(Printed::from_bytes(&[99]), None);
    }
}
