//! The pcapng format: blocks, each with its type and its length at both ends.
//!
//! A file is one or more sections, and each section starts afresh: its own byte order and its own
//! interfaces. Packets name an interface of their section, whose link type and clock are theirs.
//! pcap-parser takes the blocks apart, and sees none that is not complete, of a plausible length
//! that is the same at both ends, and of use here. The others are stepped over by their length
//! alone, or read here: its parser for process information panics on short ones. Options nobody
//! asks for are cut off before it collects them in memory: a packet can carry millions.

use pcap_parser::pcapng::{
    parse_enhancedpacketblock_be, parse_enhancedpacketblock_le, parse_sectionheaderblock,
    parse_simplepacketblock_be, parse_simplepacketblock_le,
};
use pcap_parser::{BOM_MAGIC, EPB_MAGIC, IDB_MAGIC, ISB_MAGIC, NRB_MAGIC, SHB_MAGIC, SPB_MAGIC};

use super::clock::Clock;
use super::details::Kept;
use super::order::Order;
use super::pcapng_meta::{self, LastWords};
use super::sniff::PCAPNG_MAGIC;
use super::source::FileInfo;
use super::window::Window;
use super::{Fault, LinkType, Record, Step};
use crate::limits::{BLOCK_BYTES_MAX, INTERFACES_MAX};
use crate::owner::Owner;
use crate::time::Timestamp;

/// The type of the packet block that is obsolete since 2009, and still found in captures.
/// pcap-parser does not know it.
const OLD_PACKET: u32 = 2;

/// Apple's block about a process, which packets refer to by its number in the section.
pub(crate) const PROCESS_INFORMATION: u32 = 0x8000_0001;

/// Blocks that are no packets and that Wireshark numbers like packets all the same: journal
/// entries, custom blocks, and the events of sysdig.
const NUMBERED: [u32; 9] = [9, 0xbad, 0x4000_0bad, 0x204, 0x208, 0x216, 0x217, 0x221, 0x222];

/// Type and length, in front of every block.
const PREFIX_BYTES: usize = 8;
/// The length again, at the end of every block.
const SUFFIX_BYTES: usize = 4;
/// A block with nothing in it.
const FRAME_BYTES: usize = PREFIX_BYTES + SUFFIX_BYTES;
/// A section header without options.
const SECTION_HEADER_BYTES: usize = 28;
/// Where a section header's options begin.
const SECTION_OPTIONS_AT: usize = SECTION_HEADER_BYTES - SUFFIX_BYTES;
/// A packet block without data and options.
const PACKET_BYTES: usize = 32;
/// Where a packet block's data begins.
const DATA_AT: usize = PACKET_BYTES - SUFFIX_BYTES;

/// An interface of the current section.
#[derive(Clone, Debug)]
pub(super) struct Interface {
    pub(super) link: LinkType,
    pub(super) snaplen: u32,
    pub(super) clock: Clock,
    pub(super) fcs_len: u8,
    /// Packets lost, by the latest statistics block.
    pub(super) dropped: u64,
}

/// The state of reading one pcapng file.
#[derive(Debug)]
pub(super) struct Reader {
    order: Order,
    interfaces: Vec<Interface>,
    /// The processes that the section describes, which packets refer to.
    processes: Vec<Owner>,
    /// The time of the packet before, for packets that have none.
    last_ts: Timestamp,
    /// What else is said of packets, if somebody wants to know.
    kept: Option<Box<Kept>>,
    /// Blocks so far that are no packets.
    others: u64,
    /// Something more than its bytes was said of a packet.
    is_telling: bool,
    /// What statistics behind the last packet say, once the file has ended.
    last_words: LastWords,
}

impl Reader {
    /// Before the first section.
    pub(super) fn new() -> Self {
        Reader {
            order: Order::Little,
            interfaces: Vec::new(),
            processes: Vec::new(),
            last_ts: Timestamp::default(),
            kept: None,
            others: 0,
            is_telling: false,
            last_words: LastWords::default(),
        }
    }

    /// When the capture ended, as statistics behind its last packet say; it has so many frames.
    pub(super) fn end(&self, frames: u64) -> Option<Timestamp> {
        self.last_words.end(frames, self.last_ts)
    }

    /// Whether anything more than its bytes was said of a packet so far.
    pub(super) fn is_telling(&self) -> bool {
        self.is_telling
    }

    /// Keeps, from now on, what else is said of packets.
    pub(super) fn keep_details(&mut self) {
        self.kept.get_or_insert_default();
    }

    /// The processes of the section so far.
    pub(super) fn processes(&self) -> &[Owner] {
        &self.processes
    }

    /// Blocks so far that are no packets.
    pub(super) fn said(&self) -> u64 {
        self.others
    }

    /// What is kept.
    pub(super) fn kept(&self) -> Option<&Kept> {
        self.kept.as_deref()
    }

    /// The packet of the block that these bytes begin with, its data and what follows the block; if
    /// they hold all of it, nothing is wrong with it, and no more is said of the packet than where
    /// and when. pcap-parser reads what is fetched otherwise, and the tests hold both to the same.
    /// No block that is too long stands in a window as a whole.
    #[inline]
    pub(super) fn split_first<'a>(&self, bytes: &'a [u8]) -> Option<(Record, &'a [u8], &'a [u8])> {
        let (head, rest) = bytes.split_first_chunk::<DATA_AT>()?;
        let ([kind, length, id, high, low, captured, original], _) = head.as_chunks::<4>() else {
            return None;
        };
        let number = |bytes: &[u8; 4]| self.order.u32(*bytes);
        let (captured, length) = (number(captured) as usize, number(length) as usize);
        let padded = captured.checked_next_multiple_of(4)?;
        if number(kind) != EPB_MAGIC || length.checked_sub(PACKET_BYTES) != Some(padded) {
            return None;
        }
        let (data, rest) = rest.split_at_checked(padded)?;
        let (end, rest) = rest.split_first_chunk()?;
        let interface = self.interfaces.get(number(id) as usize)?;
        if number(end) as usize != length || interface.link == LinkType::PKTAP {
            return None;
        }
        let record = Record {
            at: DATA_AT,
            raw_len: captured,
            frames: 1,
            ts: interface.clock.time(number(high), number(low)),
            link: interface.link,
            raw_orig_len: number(original),
            fcs_len: interface.fcs_len,
        };
        Some((record, data.get(..captured)?, rest))
    }

    /// The last packet that was had so was of that time.
    pub(super) fn passed(&mut self, ts: Timestamp) {
        self.last_ts = ts;
    }

    /// Finds the next packet, taking in what stands before it; the window stands on a block.
    #[inline]
    pub(super) fn advance(
        &mut self,
        window: &mut Window,
        info: &mut FileInfo,
    ) -> Result<Step, Fault> {
        let (mut frames, mut last_words) = (0, LastWords::default());
        loop {
            let (kind, total) = match self.frame(window)? {
                Framed::Block(kind, total) => (kind, total),
                Framed::End => {
                    self.last_words = last_words;
                    return Ok(Step::End);
                }
                Framed::Cut => return Ok(Step::Cut),
            };
            let block = window.bytes_mut().get_mut(..total).unwrap_or_default();
            let record = match kind {
                EPB_MAGIC | OLD_PACKET => self.packet(kind, block)?,
                SPB_MAGIC => {
                    if let Some(kept) = &mut self.kept {
                        kept.packet(self.order, 0, &[]);
                    }
                    self.simple_packet(block)?
                }
                _ => {
                    self.other(kind, block, info, &mut last_words)?;
                    frames += u64::from(NUMBERED.contains(&kind));
                    window.take(total);
                    continue;
                }
            };
            let at = window.take(total) + record.at;
            frames += record.frames;
            return Ok(Step::Packet(Record { at, frames, ..record }));
        }
    }

    /// Sees to it that the window holds a whole block, and gives its type and its length.
    #[inline]
    fn frame(&mut self, window: &mut Window) -> Result<Framed, Fault> {
        if !window.fill(PREFIX_BYTES)? {
            let at_end = window.bytes().is_empty();
            return Ok(if at_end { Framed::End } else { Framed::Cut });
        }
        let mut least = FRAME_BYTES;
        if window.bytes().starts_with(&PCAPNG_MAGIC) {
            least = SECTION_HEADER_BYTES;
            if !self.take_order(window)? {
                return Ok(Framed::Cut);
            }
        }
        let ([kind, length, ..], _) = window.bytes().as_chunks::<4>() else {
            return Ok(Framed::Cut);
        };
        let (kind, length) = (self.order.u32(*kind), self.order.u32(*length));
        let total = (length as usize).saturating_add(3) & !3;
        if !(least..=BLOCK_BYTES_MAX).contains(&total) {
            return Err(bad_length(kind, length));
        }
        if !window.fill(total)? {
            return Ok(Framed::Cut);
        }
        let block = window.bytes_mut().get_mut(..total).unwrap_or_default();
        match block.last_chunk::<SUFFIX_BYTES>().map(|end| self.order.u32(*end)) {
            Some(end) if end == length => {}
            end => return Err(lengths_differ(length, end.unwrap_or_default())),
        }
        if length as usize != total {
            // Some writers leave the padding out of the length. Wireshark reads those too;
            // pcap-parser would look for the end in the padding.
            reframe(self.order, block, kind, total);
        }
        Ok(Framed::Block(kind, total))
    }

    /// Takes the byte order of a new section, whose header the window begins with: without it the
    /// header's length cannot be read. False if the input ends too early.
    #[cold]
    fn take_order(&mut self, window: &mut Window) -> Result<bool, Fault> {
        if !window.fill(FRAME_BYTES)? {
            return Ok(false);
        }
        let ([_, _, mark, ..], _) = window.bytes().as_chunks::<4>() else {
            return Ok(false);
        };
        self.order = if Order::Little.u32(*mark) == BOM_MAGIC {
            Order::Little
        } else if Order::Big.u32(*mark) == BOM_MAGIC {
            Order::Big
        } else {
            return Err(Fault::Damage("a section header without a byte-order mark".to_string()));
        };
        Ok(true)
    }

    /// Begins a new section, without the interfaces of the old one.
    #[cold]
    fn begin_section(&mut self, block: &mut [u8], info: &mut FileInfo) -> Result<(), Fault> {
        let length = block.len() as u32;
        let options = block.get(SECTION_OPTIONS_AT..block.len().saturating_sub(SUFFIX_BYTES));
        pcapng_meta::comments(self.order, options.unwrap_or_default(), info);
        let block = reframe(self.order, block, SHB_MAGIC, SECTION_HEADER_BYTES);
        let Ok((_, header)) = parse_sectionheaderblock(block) else {
            return Err(bad_length(SHB_MAGIC, length));
        };
        let major = header.major_version;
        if major != 1 {
            let what = format!("a section of pcapng version {major}, and 1 is the only one");
            return Err(Fault::Damage(what));
        }
        self.interfaces.clear();
        self.processes.clear();
        if let Some(kept) = &mut self.kept {
            kept.before = kept.interfaces.len();
        }
        Ok(())
    }

    /// Reads a packet block of the current or of the obsolete kind. They differ in the first word:
    /// the interface's number, or 16 bits of it and a drop counter.
    #[inline]
    fn packet(&mut self, kind: u32, block: &mut [u8]) -> Result<Record, Fault> {
        let total = block.len();
        let ([_, _, _, _, _, captured, _, _, ..], _) = block.as_chunks::<4>() else {
            return Err(bad_length(kind, total as u32));
        };
        let captured = self.order.u32(*captured) as usize;
        let room = total.saturating_sub(PACKET_BYTES);
        if captured > room {
            return Err(too_long(captured, room));
        }
        // Not above the total, since both that and the bytes around the data are whole words.
        let length = PACKET_BYTES + captured.next_multiple_of(4);
        if self.kept.is_some() {
            self.keep_packet(kind, block, length - SUFFIX_BYTES);
        }
        let block = match kind {
            EPB_MAGIC if length == total => block,
            _ => reframe(self.order, block, EPB_MAGIC, length),
        };
        let parsed = match self.order {
            Order::Little => parse_enhancedpacketblock_le(block),
            Order::Big => parse_enhancedpacketblock_be(block),
        };
        // By reference: moved, it would be stored once more.
        let Ok((_, packet)) = &parsed else {
            return Err(bad_length(kind, total as u32));
        };
        let id = match (kind, self.order) {
            (OLD_PACKET, Order::Little) => packet.if_id & 0xffff,
            (OLD_PACKET, Order::Big) => packet.if_id >> 16,
            _ => packet.if_id,
        };
        let Some(interface) = self.interfaces.get(id as usize) else {
            return Err(self.no_interface(id));
        };
        self.is_telling |= length != total || interface.link == LinkType::PKTAP;
        self.last_ts = interface.clock.time(packet.ts_high, packet.ts_low);
        Ok(Record {
            at: data_at(block, packet.data),
            raw_len: packet.caplen as usize,
            frames: 1,
            ts: self.last_ts,
            link: interface.link,
            raw_orig_len: packet.origlen,
            fcs_len: interface.fcs_len,
        })
    }

    /// Keeps a packet's interface and options, before they are cut off; they begin there.
    #[cold]
    fn keep_packet(&mut self, kind: u32, block: &[u8], options_at: usize) {
        let Some(kept) = &mut self.kept else { return };
        let ([_, _, [a, b, c, d], ..], _) = block.as_chunks::<4>() else { return };
        let interface = match kind {
            OLD_PACKET => self.order.u16([*a, *b]).into(),
            _ => self.order.u32([*a, *b, *c, *d]),
        };
        let options = block.get(options_at..block.len().saturating_sub(SUFFIX_BYTES));
        kept.packet(self.order, interface, options.unwrap_or_default());
    }

    /// Reads a simple packet block: of interface 0, cut to its snap length, without a time.
    fn simple_packet(&mut self, block: &[u8]) -> Result<Record, Fault> {
        let parsed = match self.order {
            Order::Little => parse_simplepacketblock_le(block),
            Order::Big => parse_simplepacketblock_be(block),
        };
        let Ok((_, packet)) = parsed else {
            return Err(bad_length(SPB_MAGIC, block.len() as u32));
        };
        let Some(interface) = self.interfaces.first() else {
            return Err(self.no_interface(0));
        };
        self.is_telling |= interface.link == LinkType::PKTAP;
        let snaplen = match interface.snaplen {
            0 => u32::MAX,
            snaplen => snaplen,
        };
        // pcap-parser leaves it to its caller to tell the data from the padding.
        let captured = packet.origlen.min(snaplen) as usize;
        if captured > packet.data.len() {
            return Err(too_long(captured, packet.data.len()));
        }
        Ok(Record {
            at: data_at(block, packet.data),
            raw_len: captured,
            frames: 1,
            ts: self.last_ts,
            link: interface.link,
            raw_orig_len: packet.origlen,
            fcs_len: interface.fcs_len,
        })
    }

    /// Takes in a block that is no packet.
    #[cold]
    fn other(
        &mut self,
        kind: u32,
        block: &mut [u8],
        info: &mut FileInfo,
        last_words: &mut LastWords,
    ) -> Result<(), Fault> {
        self.others += 1;
        match kind {
            SHB_MAGIC => self.begin_section(block, info)?,
            IDB_MAGIC => {
                if self.interfaces.len() >= INTERFACES_MAX {
                    let what = format!("more than {INTERFACES_MAX} interfaces in one section");
                    return Err(Fault::Damage(what));
                }
                let interface = pcapng_meta::interface(self.order, block, info);
                let interface = interface.ok_or_else(|| bad_length(kind, block.len() as u32))?;
                let options = block.get(16..block.len().saturating_sub(SUFFIX_BYTES));
                let options = options.unwrap_or_default();
                pcapng_meta::comments(self.order, options, info);
                pcapng_meta::filters(self.order, options, info);
                if let Some(kept) = &mut self.kept {
                    kept.describe(self.order, interface.link, interface.snaplen, options);
                }
                self.interfaces.push(interface);
            }
            NRB_MAGIC => pcapng_meta::names(self.order, block, info),
            ISB_MAGIC => {
                let interfaces = &mut self.interfaces;
                pcapng_meta::statistics(self.order, block, interfaces, info, last_words);
            }
            PROCESS_INFORMATION => {
                let body = block.get(PREFIX_BYTES..block.len().saturating_sub(SUFFIX_BYTES));
                pcapng_meta::process(self.order, body.unwrap_or_default(), &mut self.processes);
            }
            _ => {}
        }
        Ok(())
    }

    #[cold]
    fn no_interface(&self, id: u32) -> Fault {
        Fault::Damage(format!(
            "a packet of interface {id}, in a section that describes {} (numbered from 0)",
            self.interfaces.len()
        ))
    }
}

/// What stands at the window's front.
enum Framed {
    /// A whole block: type, length with padding.
    Block(u32, usize),
    End,
    Cut,
}

/// The beginning of a block as a block of its own, of this type and this length, which pcap-parser
/// finds at both ends. What follows, up to the end of the old block, is lost.
#[cold]
fn reframe(order: Order, block: &mut [u8], kind: u32, length: usize) -> &mut [u8] {
    let block = block.get_mut(..length).unwrap_or_default();
    let (kind, length) = (order.bytes(kind), order.bytes(length as u32));
    if let ([first, second, ..], _) = block.as_chunks_mut::<4>() {
        (*first, *second) = (kind, length);
    }
    if let Some(last) = block.last_chunk_mut() {
        *last = length;
    }
    block
}

/// Where a block's data begins, if nothing but the length follows it.
fn data_at(block: &[u8], data: &[u8]) -> usize {
    block.len().saturating_sub(data.len() + SUFFIX_BYTES)
}

#[cold]
fn lengths_differ(start: u32, end: u32) -> Fault {
    Fault::Damage(format!("a block's length is {start} at its start and {end} at its end"))
}

#[cold]
fn bad_length(kind: u32, length: u32) -> Fault {
    Fault::Damage(format!("a block of type {kind:#x} with a length of {length} bytes"))
}

#[cold]
fn too_long(captured: usize, room: usize) -> Fault {
    Fault::Damage(format!("a packet of {captured} captured bytes in a block that holds {room}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::testing::{BOTH, Pcapng, drain, open, packets};
    use crate::capture::{Ending, Error};

    const SECOND: i64 = 1_000_000_000;

    fn damage(file: &Pcapng) -> (usize, u64, u64, String) {
        let (found, error, _) = drain(open(&file.bytes).unwrap());
        match error {
            Err(Error::Damaged { offset, frame, what, .. }) => (found.len(), offset, frame, what),
            other => panic!("not damage: {other:?}"),
        }
    }

    #[test]
    fn packets_have_their_interfaces_link_type_and_clock() {
        for order in BOTH {
            let file = Pcapng::new(order);
            let offset = file.long(3600);
            let file = file
                .interface(1, 0, &[])
                .interface(101, 0, &[(9, vec![9])])
                .interface(113, 0, &[(9, vec![0x80 | 20]), (14, offset)])
                .packet(0, 5_000_000, b"micro")
                .packet(1, 6_000_000_001, b"nano")
                .packet(2, 3 << 19, b"binary");
            let expected = [
                (1, 5 * SECOND, 1, b"micro".to_vec(), 5),
                (2, 6 * SECOND + 1, 101, b"nano".to_vec(), 4),
                (3, 3600 * SECOND + SECOND * 3 / 2, 113, b"binary".to_vec(), 6),
            ];
            assert_eq!(packets(&file.bytes), expected, "{order:?}");
        }
    }

    #[test]
    fn negative_offsets_are_read_in_both_orders() {
        for order in BOTH {
            let file = Pcapng::new(order);
            let offset = file.long(-7200_i64 as u64);
            let file = file.interface(1, 0, &[(14, offset)]).packet(0, 7_201_000_000, b"");
            assert_eq!(packets(&file.bytes)[0].1, SECOND);
        }
    }

    /// The second of a packet.
    const PACKET: u64 = 1_700_000_000;

    /// That packet, and statistics: when the capture ended, in ticks, and how many packets were
    /// received.
    fn ended(order: Order, tsresol: u8, per_second: u64, end: u64, received: u64) -> Pcapng {
        let file = Pcapng::new(order).interface(1, 0, &[(9, vec![tsresol])]);
        // Two words, the high one first in either order.
        let end = match order {
            Order::Little => end.rotate_left(32),
            Order::Big => end,
        };
        file.packet(0, PACKET * per_second, b"x").statistics(0, &[(3, end), (4, received), (5, 2)])
    }

    #[test]
    fn statistics_behind_the_last_packet_say_when_the_capture_ended() {
        const DAY: i64 = 86_400;
        const NANOS: u64 = 1_000_000_000;
        const MICROS: u64 = 1_000_000;
        // Seconds after the packet.
        let end = |file: &Pcapng| {
            let (_, _, source) = drain(open(&file.bytes).unwrap());
            source.info().end.map(|end| end.as_nanos() / SECOND - PACKET as i64)
        };
        let after = |seconds: i64| PACKET.saturating_add_signed(seconds);
        for order in BOTH {
            for seconds in [0, 60, 30 * DAY] {
                let file = ended(order, 9, NANOS, after(seconds) * NANOS, 3);
                assert_eq!(end(&file), Some(seconds));
                // dumpcap writes microseconds beside packets of nanoseconds.
                let file = ended(order, 9, NANOS, after(seconds) * MICROS, 3);
                assert_eq!(end(&file), Some(seconds));
            }
            // Before the packet, and out of all reason.
            for seconds in [-1, 31 * DAY, 90_000 * DAY, -(PACKET as i64)] {
                let file = ended(order, 9, NANOS, after(seconds) * NANOS, 3);
                assert_eq!(end(&file), None, "{seconds}");
            }
            assert_eq!(end(&ended(order, 9, NANOS, u64::MAX, 3)), None);
            assert_eq!(end(&ended(order, 0x80, 1, after(60), 3)), Some(60));
            // One packet of four that were received and not dropped.
            assert_eq!(end(&ended(order, 6, MICROS, after(60) * MICROS, 6)), None);
            let goes_on = ended(order, 6, MICROS, after(60) * MICROS, 3);
            assert_eq!(end(&goes_on), Some(60));
            let goes_on = goes_on.packet(0, after(1) * MICROS, b"y");
            assert_eq!(end(&goes_on), None);
            assert_eq!(end(&goes_on.statistics(0, &[])), None);
        }
    }

    #[test]
    fn each_section_has_its_own_order_and_interfaces() {
        let [little, big] = BOTH;
        let file = Pcapng::new(little)
            .interface(1, 0, &[(9, vec![9])])
            .packet(0, 1, b"first")
            .section(big, &[])
            .interface(101, 0, &[])
            .packet(0, 1, b"second");
        let found = packets(&file.bytes);
        assert_eq!((found[0].1, found[0].2), (1, 1));
        assert_eq!((found[1].1, found[1].2), (1000, 101));

        let file = file.section(little, &[]);
        let offset = file.bytes.len() as u64;
        let (count, at, frame, what) = damage(&file.packet(0, 1, b"whose?"));
        assert_eq!((count, at, frame), (2, offset, 3));
        assert!(what.contains("interface 0, in a section that describes 0"), "{what}");
    }

    #[test]
    fn a_section_header_may_be_long() {
        for size in [100, 60_000] {
            let comments = vec![(1, vec![b'c'; size]); 20];
            let file = Pcapng::new(Order::Big)
                .section(Order::Little, &comments)
                .interface(1, 0, &[])
                .packet(0, 0, b"x");
            assert_eq!(packets(&file.bytes).len(), 1);
        }
    }

    #[test]
    fn simple_packets_are_cut_to_the_snap_length_and_take_the_time_before() {
        for order in BOTH {
            let file = Pcapng::new(order)
                .interface(1, 6, &[])
                .simple_packet(5, b"hello")
                .packet(0, 2_000_000, b"timed")
                .simple_packet(50, b"longer");
            let found = packets(&file.bytes);
            assert_eq!(found[0], (1, 0, 1, b"hello".to_vec(), 5));
            assert_eq!(found[2], (3, 2 * SECOND, 1, b"longer".to_vec(), 50));
        }
        let unlimited = Pcapng::new(Order::Little).interface(1, 0, &[]).simple_packet(2, b"hi");
        assert_eq!(packets(&unlimited.bytes)[0].3, b"hi");
        let (_, _, _, what) = damage(&unlimited.simple_packet(90, b"too little"));
        assert!(what.contains("90 captured bytes in a block that holds 12"), "{what}");
    }

    #[test]
    fn obsolete_packet_blocks_are_read() {
        for order in BOTH {
            let file = Pcapng::new(order)
                .interface(0, 0, &[])
                .interface(1, 0, &[])
                .old_packet(1, 0xffff, 4_000_000, b"old");
            assert_eq!(packets(&file.bytes), [(1, 4 * SECOND, 1, b"old".to_vec(), 3)]);
        }
    }

    #[test]
    fn frame_check_sequences_are_cut_off() {
        for (announced, kept) in [(0, 10), (4, 6), (32, 6), (2, 8), (16, 8), (200, 10)] {
            let file = Pcapng::new(Order::Little).interface(1, 0, &[(13, vec![announced])]).packet(
                0,
                0,
                b"0123456789",
            );
            let found = packets(&file.bytes);
            assert_eq!((found[0].3.len(), found[0].4), (kept, kept as u32), "{announced}");
        }
    }

    #[test]
    fn statistics_count_drops_and_the_latest_counts() {
        for order in BOTH {
            let file = Pcapng::new(order)
                .interface(1, 0, &[])
                .interface(1, 0, &[])
                .statistics(0, &[(4, 100), (5, 3), (7, 10)])
                .statistics(1, &[(5, 1)])
                .statistics(0, &[(4, 200), (5, 4), (7, 20)])
                .statistics(9, &[(5, 1000)])
                .section(order, &[])
                .interface(1, 0, &[])
                .statistics(0, &[(7, 500)]);
            let (_, ending, source) = drain(open(&file.bytes).unwrap());
            assert_eq!(ending.unwrap(), Ending::Complete);
            assert_eq!(source.info().dropped, 25 + 500, "{order:?}");
        }
    }

    #[test]
    fn names_of_addresses_and_interfaces_are_kept() {
        for order in BOTH {
            let mut v6 = vec![0; 15];
            v6.extend(b"\x01localhost\0");
            let file = Pcapng::new(order)
                .interface(1, 96, &[(2, b"eth0".to_vec()), (3, b"uplink".to_vec())])
                .interface(113, 2048, &[(2, b"any\0\0".to_vec())])
                .names(&[
                    (1, b"\x0a\x09\0\x01db.example\0alias\0".to_vec()),
                    (1, b"\x0a\x09\0\x01later\0".to_vec()),
                    (2, v6),
                    (1, b"bad".to_vec()),
                    (77, b"other".to_vec()),
                ]);
            let (_, _, source) = drain(open(&file.bytes).unwrap());
            let info = source.info();
            let names: Vec<_> = info.names.iter().map(|(a, n)| format!("{a} {n}")).collect();
            assert_eq!(names, ["10.9.0.1 db.example", "::1 localhost"], "{order:?}");
            assert!(info.interfaces.iter().eq(["any", "eth0"]));
            assert_eq!(info.link_types, [LinkType::EN10MB, LinkType::LINUX_SLL]);
            assert_eq!(info.snaplen, 2048);
        }
    }

    #[test]
    fn other_blocks_are_stepped_over_however_short() {
        // Process information, decryption secrets, custom blocks, and types nobody knows.
        for kind in [0x8000_0001, 10, 9, 0xbad, 0x4000_0bad, 0x7777, 0] {
            for order in BOTH {
                let mut file = Pcapng::new(order).interface(1, 0, &[]);
                for length in 0..5 {
                    file = file.block(kind, &vec![0xff; length * 4]);
                }
                assert_eq!(packets(&file.packet(0, 0, b"x").bytes).len(), 1);
            }
        }
    }

    #[test]
    fn frames_are_numbered_as_wireshark_numbers_them() {
        let file = Pcapng::new(Order::Little).interface(1, 0, &[]).packet(0, 0, b"1");
        let file = file.block(9, b"MESSAGE=hi\n").block(0xbad, &[0; 4]).block(10, &[0; 8]);
        let found = packets(&file.packet(0, 0, b"4").packet(0, 0, b"5").bytes);
        let frames: Vec<_> = found.iter().map(|packet| packet.0).collect();
        assert_eq!(frames, [1, 4, 5]);
    }

    #[test]
    fn blocks_too_short_for_their_type_are_damage() {
        for kind in [1, 2, 3, 6, 0x0a0d_0d0a] {
            let file = Pcapng::new(Order::Little).interface(1, 0, &[]);
            let offset = file.bytes.len() as u64;
            let mark = [0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0];
            let body = mark.get(..if kind > 6 { 8 } else { 0 }).unwrap();
            let (_, at, frame, _) = damage(&file.block(kind, body));
            assert_eq!((at, frame), (offset, 1), "{kind}");
        }
    }

    #[test]
    fn a_packet_block_without_room_for_its_own_header_is_damage() {
        for kind in [2, 6] {
            let file = Pcapng::new(Order::Big).interface(1, 0, &[]).block(kind, &[0; 16]);
            assert!(damage(&file).3.contains("with a length of 28 bytes"), "{kind}");
        }
    }

    #[test]
    fn options_of_packets_are_not_looked_at() {
        let flags = [0, 2, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0].to_vec();
        for options in [flags, vec![0xff; 4], vec![0xff; 400], vec![0; 2 << 20]] {
            for order in BOTH {
                for kind in [2, 6] {
                    let mut file = Pcapng::new(order).interface(1, 0, &[]);
                    let mut body = file.packet_body([0; 4], 3, [5, 50], b"12345\0\0\0");
                    body.extend(&options);
                    file = file.block(kind, &body).packet(0, 4, b"next");
                    let expected =
                        [(1, 3_000, 1, b"12345".to_vec(), 50), (2, 4_000, 1, b"next".to_vec(), 4)];
                    assert_eq!(packets(&file.bytes), expected, "{order:?} {kind}");
                }
            }
        }
    }

    #[test]
    fn a_length_that_cannot_be_is_damage() {
        for length in [0, 4, 8, 11, 16 << 20 | 4, u32::MAX - 3, u32::MAX] {
            let mut file = Pcapng::new(Order::Little).interface(1, 0, &[]);
            let offset = file.bytes.len();
            file.bytes.extend([6, 0, 0, 0]);
            file.bytes.extend(length.to_le_bytes());
            file.bytes.extend([0; 64]);
            let (_, at, _, what) = damage(&file);
            assert_eq!(at, offset as u64);
            assert!(what.contains(&length.to_string()), "{what}");
        }
    }

    #[test]
    fn lengths_at_both_ends_must_agree() {
        let mut file = Pcapng::new(Order::Little).interface(1, 0, &[]).packet(0, 0, b"abcd");
        let last = file.bytes.len() - 4;
        file.bytes[last] ^= 8;
        assert_eq!(damage(&file).0, 0);
    }

    #[test]
    fn lengths_that_leave_out_the_padding_are_accepted() {
        let unpadded = |at: usize, mut file: Pcapng| {
            let last = file.bytes.len() - 4;
            for place in [at + 4, last] {
                file.bytes[place] -= 3;
            }
            file
        };
        let mut file = Pcapng::new(Order::Little);
        file = unpadded(file.bytes.len(), file.interface(1, 0, &[(2, b"wlan0".to_vec())]));
        file = unpadded(file.bytes.len(), file.packet(0, 0, b"abcde"));
        file = unpadded(file.bytes.len(), file.simple_packet(5, b"fghij"));
        file = unpadded(file.bytes.len(), file.old_packet(0, 0, 0, b"klmno"));
        let (found, ending, source) = drain(open(&file.packet(0, 0, b"next").bytes).unwrap());
        assert_eq!(ending.unwrap(), Ending::Complete);
        let data: Vec<_> = found.iter().map(|packet| packet.3.as_slice()).collect();
        assert_eq!(data, [&b"abcde"[..], b"fghij", b"klmno", b"next"]);
        assert!(source.info().interfaces.contains("wlan0"));
    }

    #[test]
    fn a_packet_longer_than_its_block_is_damage() {
        let file = Pcapng::new(Order::Little).interface(1, 0, &[]);
        let body = file.packet_body([0; 4], 0, [9, 9], b"12345678");
        let (_, _, _, what) = damage(&file.block(6, &body));
        assert!(what.contains("9 captured bytes in a block that holds 8"), "{what}");
    }

    #[test]
    fn a_section_of_another_version_or_without_its_mark_is_damage() {
        for place in [8, 12] {
            let mut file = Pcapng::new(Order::Little);
            file.bytes[place] = 9;
            assert_eq!(damage(&file).1, 0);
        }
    }

    #[test]
    fn a_file_cut_anywhere_gives_the_packets_before_the_cut() {
        for order in BOTH {
            let mut file = Pcapng::new(order).interface(1, 0, &[(9, vec![9])]);
            let mut blocks = vec![file.bytes.len()];
            let mut ends = Vec::new();
            for number in 1..4 {
                file = file.packet(0, number, &[number as u8; 5]);
                ends.push(file.bytes.len());
                blocks.push(file.bytes.len());
                file = file.statistics(0, &[(5, number)]);
                blocks.push(file.bytes.len());
            }
            for cut in 28..file.bytes.len() {
                let whole = ends.iter().filter(|end| **end <= cut).count();
                let (found, ending, _) = drain(open(&file.bytes[..cut]).unwrap());
                assert_eq!(found.len(), whole, "cut at {cut}");
                let complete = cut == 28 || blocks.contains(&cut);
                assert_eq!(ending.unwrap() == Ending::Complete, complete, "cut at {cut}");
            }
        }
    }

    #[test]
    fn too_many_interfaces_are_damage() {
        let mut file = Pcapng::new(Order::Little);
        let one = Pcapng::new(Order::Little).interface(1, 0, &[]).bytes.split_off(28);
        file.bytes.extend(one.repeat(INTERFACES_MAX + 1));
        assert!(damage(&file).3.contains("65536 interfaces"));
    }
}
