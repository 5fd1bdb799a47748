//! The classic pcap format: one file header, then records of a header and the packet's bytes.
//!
//! All of the family that shares this layout is read: both byte orders, microseconds and
//! nanoseconds, the "modified" format with its longer record headers, and files older than
//! version 2.4 that swap the two lengths. Where a second file was written behind the first, as a
//! shell's `>>` does, both are read. pcap-parser takes headers and records apart. What is done
//! here is what it leaves to its caller: it believes any length, knows the modified format in one
//! byte order only, and keeps the frame check bits in the link type.

use pcap_parser::{
    LegacyPcapBlock, PcapHeader, parse_pcap_frame, parse_pcap_frame_be, parse_pcap_frame_modified,
    parse_pcap_header,
};

use super::order::Order;
use super::source::FileInfo;
use super::window::Window;
use super::{Fault, LinkType, Record, Step};
use crate::limits::{BLOCK_BYTES_MAX, CAPTURED_BYTES_MAX};
use crate::time::Timestamp;

/// Bytes of the file header.
pub(super) const HEADER_BYTES: usize = 24;
/// Bytes of a record's header.
const RECORD_HEADER_BYTES: usize = 16;
/// The same in the format of Alexey Kuznetsov's patched libpcap of the 1990s.
const MODIFIED_HEADER_BYTES: usize = 24;

/// Magic numbers of big-endian files: the modified format's, and that of plain microseconds.
const MODIFIED_BIG: [u8; 4] = [0xa1, 0xb2, 0xcd, 0x34];
const MICROS_BIG: [u8; 4] = [0xa1, 0xb2, 0xc3, 0xd4];

/// Whether a file that begins like this is of a format that is read here.
pub(super) fn is_magic(magic: [u8; 4]) -> bool {
    let mut header = [0; HEADER_BYTES];
    if let Some(start) = header.first_chunk_mut() {
        *start = magic;
    }
    parse_header(header).is_some()
}

/// The file header, and the bytes of each record's header.
fn parse_header(mut header: [u8; HEADER_BYTES]) -> Option<(PcapHeader, usize)> {
    let mut record_header = RECORD_HEADER_BYTES;
    // pcap-parser does not know this magic number. What follows it is as in any other file.
    if let Some(magic) = header.first_chunk_mut()
        && *magic == MODIFIED_BIG
    {
        *magic = MICROS_BIG;
        record_header = MODIFIED_HEADER_BYTES;
    }
    let (_, header) = parse_pcap_header(&header).ok()?;
    if header.is_modified_format() {
        record_header = MODIFIED_HEADER_BYTES;
    }
    Some((header, record_header))
}

/// Whether a file's header stands where a packet's belongs. As a packet's it would be one of no
/// bytes at all, captured or sent, at just the second that is the magic number and the fraction
/// that is the version: no packet has all of these 128 bits by chance.
fn is_file_header(bytes: &[u8]) -> bool {
    let Some(([magic, version, zone, figures], _)) = bytes.as_chunks::<4>().0.split_first_chunk()
    else {
        return false;
    };
    let is_version = matches!(version, [2, 0, 4, 0] | [0, 2, 0, 4]);
    is_version && [zone, figures] == [&[0; 4]; 2] && is_magic(*magic)
}

/// What a record's header says. The modified format has more behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Header {
    seconds: u32,
    /// Micro- or nanoseconds.
    fraction: u32,
    /// Bytes that stand in the file.
    captured: u32,
    /// Bytes that the packet had.
    original: u32,
}

impl Header {
    #[inline(always)]
    fn read(order: Order, bytes: &[u8; RECORD_HEADER_BYTES]) -> Header {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *bytes;
        Header {
            seconds: order.u32([a, b, c, d]),
            fraction: order.u32([e, f, g, h]),
            captured: order.u32([i, j, k, l]),
            original: order.u32([m, n, o, p]),
        }
    }
}

/// The state of reading one pcap file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reader {
    order: Order,
    /// Bytes in front of a packet's data.
    record_header: usize,
    /// Nanoseconds per unit of a timestamp's fraction.
    fraction_nanos: u32,
    link: LinkType,
    fcs_len: u8,
    /// The largest captured length that is believed.
    captured_max: u32,
    snaplen: u32,
    /// Versions before 2.4 stored the original length first, or not, depending on the machine.
    swapped_lengths: bool,
}

impl Reader {
    /// Takes the file header; what is wrong with it, where it cannot be one.
    pub(super) fn new(header: &[u8; HEADER_BYTES]) -> Result<Self, String> {
        let Some((header, record_header)) = parse_header(*header) else {
            return Err("it has no pcap file header".to_string());
        };
        let (major, minor) = (header.version_major, header.version_minor);
        if major != 2 {
            return Err(format!(
                "it says pcap version {major}.{minor}, and 2.4 is the only one in use"
            ));
        }
        let network = header.network.0 as u32;
        Ok(Reader {
            order: if header.is_bigendian() { Order::Big } else { Order::Little },
            record_header,
            fraction_nanos: if header.is_nanosecond_precision() { 1 } else { 1_000 },
            link: LinkType::from_network(network),
            fcs_len: fcs_len(network),
            captured_max: header.snaplen.clamp(CAPTURED_BYTES_MAX, BLOCK_BYTES_MAX as u32),
            snaplen: header.snaplen,
            swapped_lengths: minor < 4,
        })
    }

    /// The link type of all packets.
    pub(super) fn link(&self) -> LinkType {
        self.link
    }

    /// The snap length; 0 where the file sets none.
    pub(super) fn snaplen(&self) -> u32 {
        self.snaplen
    }

    /// Finds the next packet; the window stands on its record header.
    #[inline]
    pub(super) fn advance(
        &mut self,
        window: &mut Window,
        info: &mut FileInfo,
    ) -> Result<Step, Fault> {
        let Some((record, _, _)) = self.split_first(window.bytes()) else {
            return self.fetch(window, info);
        };
        Ok(Step::Packet(record.taken_from(window)))
    }

    /// The packet whose record these bytes begin with, its data and what follows it; if they hold
    /// all of it and nothing is wrong with it.
    ///
    /// This is done for every packet, and what it takes of a record's header are four numbers: so
    /// they are read here. pcap-parser reads what is fetched, and the tests hold both to the same.
    #[inline(always)]
    pub(super) fn split_first<'a>(&self, bytes: &'a [u8]) -> Option<(Record, &'a [u8], &'a [u8])> {
        if self.swapped_lengths {
            return None;
        }
        let record = self.record(&Header::read(self.order, bytes.first_chunk()?))?;
        let (raw, rest) = bytes.get(record.at..)?.split_at_checked(record.raw_len)?;
        Some((record, raw, rest))
    }

    /// The packet behind a record's header, if nothing is wrong with it. One that had no bytes is
    /// left to [`Reader::fetch`]: zeros and a file's header look like it.
    #[inline(always)]
    fn record(&self, header: &Header) -> Option<Record> {
        let is_plain = header.captured <= self.captured_max && header.original > 0;
        is_plain.then(|| self.record_of(header))
    }

    /// The same, whatever may be wrong. Its data is said to be where it is in the record.
    #[inline(always)]
    fn record_of(&self, header: &Header) -> Record {
        let Header { seconds, fraction, captured, original } = *header;
        // At most 2^32 * 10^9 + 2^32 * 10^3: fits.
        let fraction = i64::from(fraction) * i64::from(self.fraction_nanos);
        Record {
            at: self.record_header,
            raw_len: captured as usize,
            frames: 1,
            ts: Timestamp::from_nanos(i64::from(seconds) * 1_000_000_000 + fraction),
            link: self.link,
            raw_orig_len: original,
            fcs_len: self.fcs_len,
        }
    }

    /// Has the next packet read into the window, and finds out why it cannot be had otherwise.
    #[cold]
    fn fetch(&mut self, window: &mut Window, info: &mut FileInfo) -> Result<Step, Fault> {
        loop {
            if !window.fill(self.record_header)? {
                let at_end = window.bytes().is_empty();
                return Ok(if at_end { Step::End } else { Step::Cut });
            }
            if !is_file_header(window.bytes()) {
                break;
            }
            if !window.fill(HEADER_BYTES)? {
                return Ok(Step::Cut);
            }
            self.go_on_with(window.bytes().first_chunk(), info)?;
            window.take(HEADER_BYTES);
        }
        if self.swapped_lengths {
            self.swap_lengths(window);
        }
        let ([_, _, captured, ..], _) = window.bytes().as_chunks::<4>() else {
            return Ok(Step::Cut);
        };
        let captured = self.order.u32(*captured);
        if captured > self.captured_max {
            return Err(too_long(captured, self.captured_max));
        }
        let total = self.record_header.saturating_add(captured as usize);
        if !window.fill(total)? {
            return Ok(Step::Cut);
        }
        let header = window.bytes().get(..total).and_then(|record| self.parse(record));
        let header = header.filter(|it| *it != Header::default()).ok_or_else(zeros)?;
        Ok(Step::Packet(self.record_of(&header).taken_from(window)))
    }

    /// Takes the header of a file that was written behind this one, if its packets are read in the
    /// same way.
    fn go_on_with(
        &mut self,
        header: Option<&[u8; HEADER_BYTES]>,
        info: &mut FileInfo,
    ) -> Result<(), Fault> {
        let Some(Ok(next)) = header.map(Reader::new) else { return Err(another_kind()) };
        // Only these may differ.
        let (captured_max, snaplen) = (next.captured_max, next.snaplen);
        if (Reader { captured_max, snaplen, ..*self }) != next {
            return Err(another_kind());
        }
        self.captured_max = captured_max;
        self.snaplen = snaplen;
        info.appended += 1;
        // Where one has no bound, there is none.
        info.snaplen =
            if info.snaplen == 0 || snaplen == 0 { 0 } else { info.snaplen.max(snaplen) };
        Ok(())
    }

    /// A whole record's header. The record is whole, so there is always one.
    fn parse(&self, record: &[u8]) -> Option<Header> {
        let parsed = match self.order {
            // Of the modified format too, which pcap-parser knows in little-endian only: the eight
            // bytes more come last, and only the data, which is not looked at here, moves on.
            Order::Big => parse_pcap_frame_be(record),
            Order::Little if self.record_header == MODIFIED_HEADER_BYTES => {
                parse_pcap_frame_modified(record)
            }
            Order::Little => parse_pcap_frame(record),
        };
        let (_, LegacyPcapBlock { ts_sec, ts_usec, caplen, origlen, .. }) = parsed.ok()?;
        Some(Header { seconds: ts_sec, fraction: ts_usec, captured: caplen, original: origlen })
    }

    /// Puts the lengths of the record in front into today's order, captured before original.
    #[cold]
    fn swap_lengths(&self, window: &mut Window) {
        let ([_, _, captured, original, ..], _) = window.bytes_mut().as_chunks_mut::<4>() else {
            return;
        };
        if self.order.u32(*captured) > self.order.u32(*original) {
            core::mem::swap(captured, original);
        }
    }
}

/// Bytes of frame check sequence after each packet. Bit 26 says that bits 28 to 31 count them, in
/// units of two bytes; some writers count bytes, and there is no sequence of eight.
fn fcs_len(network: u32) -> u8 {
    let units = (network >> 28) as u8;
    match network & 0x0400_0000 {
        0 => 0,
        _ if units == 4 => 4,
        _ => units.saturating_mul(2),
    }
}

#[cold]
fn too_long(captured: u32, max: u32) -> Fault {
    Fault::Damage(format!("a packet of {captured} captured bytes, where {max} is the most"))
}

/// Two files in one, which differ in byte order, precision or link type.
#[cold]
fn another_kind() -> Fault {
    let what = "a second capture begins here, of another kind than the first: keep the two in \
                files of their own, and name both";
    Fault::Damage(what.to_string())
}

/// A file system that had reserved the room, and a machine that went down before it was filled.
#[cold]
fn zeros() -> Fault {
    Fault::Damage("zero bytes where a packet's header belongs".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::testing::{BOTH, MICROS, MODIFIED, NANOS, Pcap, drain, open, packets};
    use crate::capture::{Ending, Error};

    #[test]
    fn both_orders_and_all_three_layouts_are_read() {
        for order in BOTH {
            for (magic, unit) in [(MICROS, 1_000), (NANOS, 1), (MODIFIED, 1_000)] {
                let file = Pcap::new(order, magic, 1).packet(9, 7, b"one").packet(8, 0, b"");
                let found = packets(&file.bytes);
                let first = (1, 9_000_000_000 + 7 * unit, 1, b"one".to_vec(), 3);
                assert_eq!(found, [first, (2, 8_000_000_000, 1, vec![], 0)], "{order:?}");
            }
        }
    }

    #[test]
    fn a_record_at_hand_is_read_as_pcap_parser_reads_it() {
        let header = [0x0102_0304, 0x8506_0708, 2, 0xf90a_0b0c];
        for order in BOTH {
            for magic in [MICROS, NANOS, MODIFIED] {
                let file = Pcap::new(order, magic, 1).record(header, b"ab").bytes;
                let (start, record) = file.split_first_chunk().unwrap();
                let reader = Reader::new(start).unwrap();
                let at_hand = Header::read(order, record.first_chunk().unwrap());
                assert_eq!(reader.parse(record), Some(at_hand), "{order:?}, {magic:#x}");
                assert_eq!(at_hand.fraction, header[1]);
            }
        }
    }

    #[test]
    fn times_after_2038_are_not_negative() {
        let file = Pcap::new(Order::Little, MICROS, 1).packet(u32::MAX, 999_999, b"x");
        assert_eq!(packets(&file.bytes)[0].1, 4_294_967_295_999_999_000);
    }

    #[test]
    fn a_file_without_packets_is_complete() {
        assert!(packets(&Pcap::new(Order::Big, NANOS, 101).bytes).is_empty());
    }

    #[test]
    fn link_type_and_frame_check_bits_are_told_apart() {
        for (network, data, orig_len) in [
            (0x0000_0001, &b"0123456789"[..], 10),
            (0x4400_0001, b"012345", 6),
            (0x2400_0001, b"012345", 6),
            (0x1400_0001, b"01234567", 8),
            // Without bit 26 the length means nothing.
            (0x4000_0001, b"0123456789", 10),
            (0xf7ff_0001, b"", 0),
        ] {
            let file = Pcap::new(Order::Little, MICROS, network).packet(1, 0, b"0123456789");
            let mut source = open(&file.bytes).unwrap();
            let packet = source.next_packet().unwrap().unwrap();
            assert_eq!((packet.data, packet.orig_len), (data, orig_len), "{network:#x}");
            assert_eq!((packet.link, packet.raw), (LinkType::EN10MB, &b"0123456789"[..]));
            assert_eq!(packet.orig_len + u32::from(packet.fcs_len), 10);
        }
    }

    #[test]
    fn a_snap_length_cuts_the_frame_check_sequence_first() {
        let file = Pcap::new(Order::Little, MICROS, 0x2400_0001)
            .record([1, 0, 8, 100], b"01234567")
            .record([1, 0, 8, 10], b"01234567");
        let found = packets(&file.bytes);
        assert_eq!((found[0].3.len(), found[0].4), (8, 96));
        assert_eq!((found[1].3.len(), found[1].4), (6, 6));
    }

    #[test]
    fn old_versions_swap_the_lengths() {
        for order in BOTH {
            for magic in [MICROS, MODIFIED] {
                let mut file = Pcap::new(order, magic, 1);
                file.bytes[4..8].fill(0);
                file.bytes[if order == Order::Little { 4 } else { 5 }] = 2;
                let file = file.record([1, 0, 60, 2], b"ab").record([2, 0, 3, 70], b"cde");
                let packet = |frame, data: &[u8], original| {
                    (frame, frame as i64 * 1_000_000_000, 1, data.to_vec(), original)
                };
                assert_eq!(packets(&file.bytes), [packet(1, b"ab", 60), packet(2, b"cde", 70)]);
            }
        }
    }

    #[test]
    fn an_original_length_below_the_captured_one_is_raised() {
        let file = Pcap::new(Order::Little, MICROS, 1).record([1, 0, 4, 2], b"abcd");
        assert_eq!(packets(&file.bytes)[0].4, 4);
    }

    #[test]
    fn nonsense_is_damage_at_its_place_and_what_stood_before_counts() {
        let good = Pcap::new(Order::Big, MICROS, 1).packet(1, 0, b"good");
        for bad in [[1, 0, 262_145, 262_145], [1, 0, u32::MAX, 4], [0; 4]] {
            let file = good.clone().record(bad, &[0; 40]);
            let (found, error, _) = drain(open(&file.bytes).unwrap());
            assert_eq!(found.len(), 1);
            let error = error.unwrap_err();
            assert!(matches!(error, Error::Damaged { offset: 44, frame: 2, .. }), "{error}");
        }
    }

    #[test]
    fn a_file_behind_a_file_is_read_on() {
        for order in BOTH {
            for magic in [MICROS, NANOS, MODIFIED] {
                let file = |second| Pcap::new(order, magic, 1).packet(second, 0, b"data");
                let behind = file(5).bytes;
                let both = [&file(4).bytes[..], &behind, &behind[..24]].concat();
                let (found, ending, source) = drain(open(&both).unwrap());
                let seconds = found.iter().map(|it| (it.0, it.1 / 1_000_000_000));
                let seconds: Vec<_> = seconds.collect();
                assert_eq!(seconds, [(1, 4), (2, 5)], "{order:?} {magic:#x}");
                assert_eq!((ending.unwrap(), source.info().appended), (Ending::Complete, 2));
                let cut = &both[..both.len() - 3];
                let (found, ending, _) = drain(open(cut).unwrap());
                assert_eq!(found.len(), 2);
                assert!(matches!(ending.unwrap(), Ending::Cut(cut) if cut.frame == 3));
            }
        }
    }

    #[test]
    fn a_file_of_another_kind_behind_a_file_is_damage_where_it_begins() {
        let file = Pcap::new(Order::Little, MICROS, 1).packet(1, 0, b"data").bytes;
        for (order, magic, network) in [
            (Order::Big, MICROS, 1),
            (Order::Little, NANOS, 1),
            (Order::Little, MODIFIED, 1),
            (Order::Little, MICROS, 113),
            (Order::Little, MICROS, 0x2400_0001),
        ] {
            let behind = Pcap::new(order, magic, network).packet(2, 0, b"data").bytes;
            let (found, error, _) = drain(open(&[&file[..], &behind].concat()).unwrap());
            assert_eq!(found.len(), 1);
            let error = error.unwrap_err();
            assert!(matches!(error, Error::Damaged { offset: 44, frame: 2, .. }), "{error}");
            assert!(error.to_string().contains("a second capture begins here"), "{error}");
        }
    }

    #[test]
    fn a_packet_of_the_second_that_is_a_magic_number_is_one() {
        let file = Pcap::new(Order::Little, MICROS, 1)
            .record([MICROS, 0x0004_0002, 1, 1], b"x")
            .record([MICROS, 0x0004_0003, 0, 0], b"")
            .packet(1, 0, b"");
        assert_eq!(packets(&file.bytes).len(), 3);
    }

    #[test]
    fn a_large_snap_length_allows_large_packets() {
        let mut file = Pcap::new(Order::Little, MICROS, 1);
        file.bytes[16..20].copy_from_slice(&(2u32 << 20).to_le_bytes());
        let file = file.packet(1, 0, &vec![7; 2 << 20]).packet(2, 0, b"next");
        let found = packets(&file.bytes);
        assert_eq!((found[0].3.len(), found[1].3.as_slice()), (2 << 20, &b"next"[..]));
    }

    #[test]
    fn a_file_cut_anywhere_gives_the_packets_before_the_cut() {
        for order in BOTH {
            for magic in [MICROS, MODIFIED] {
                let mut file = Pcap::new(order, magic, 1);
                let mut ends = vec![file.bytes.len()];
                for number in 1..4 {
                    file = file.packet(number, 0, &[number as u8; 5]);
                    ends.push(file.bytes.len());
                }
                for cut in HEADER_BYTES..file.bytes.len() {
                    let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
                    let (found, ending, _) = drain(open(&file.bytes[..cut]).unwrap());
                    assert_eq!(found.len(), whole);
                    match ending.unwrap() {
                        Ending::Complete => assert_eq!(ends[whole], cut),
                        Ending::Cut(place) => {
                            assert_eq!(place.offset, ends[whole] as u64);
                            assert_eq!(place.frame, whole as u64 + 1);
                            assert_eq!(place.length, cut as u64);
                        }
                        Ending::Failed => panic!("a cut is no error"),
                    }
                }
            }
        }
    }

    #[test]
    fn other_versions_are_refused() {
        let mut file = Pcap::new(Order::Little, MICROS, 1);
        file.bytes[4] = 9;
        assert!(matches!(open(&file.bytes), Err(Error::Damaged { offset: 0, .. })));
    }
}
