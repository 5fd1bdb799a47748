//! The pcapng blocks that describe the capture: interfaces, statistics, names.
//!
//! pcap-parser takes them apart; each is complete and framed when it comes here. Option values are
//! read from its raw bytes in the section's byte order, because its own accessors assume
//! little-endian. Statistics and names that cannot be parsed are left out: packets do not need
//! them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pcap_parser::pcapng::{
    parse_interfacedescriptionblock_be, parse_interfacedescriptionblock_le,
    parse_interfacestatisticsblock_be, parse_interfacestatisticsblock_le,
    parse_nameresolutionblock_be, parse_nameresolutionblock_le,
};
use pcap_parser::{NameRecordType, OptionCode, PcapNGOption};

use super::LinkType;
use super::clock::Clock;
use super::details::{self, each};
use super::order::Order;
use super::pcapng::Interface;
use super::source::FileInfo;
use crate::limits::{
    COMMENT_BYTES_MAX, FILE_COMMENTS_MAX, INTERFACES_MAX, META_BLOCK_BYTES_MAX, NAME_BYTES_MAX,
    NAMES_MAX, PROCESSES_MAX, SILENT_END_MAX,
};
use crate::owner::Owner;
use crate::time::Timestamp;

/// `if_fcslen`, which pcap-parser has no name for.
pub(crate) const IF_FCSLEN: OptionCode = OptionCode(13);

/// The interface that a block describes, and its name for the file's description.
pub(super) fn interface(order: Order, block: &[u8], info: &mut FileInfo) -> Option<Interface> {
    let block = small(block)?;
    let (_, block) = match order {
        Order::Little => parse_interfacedescriptionblock_le(block),
        Order::Big => parse_interfacedescriptionblock_be(block),
    }
    .ok()?;
    let options = block.options.as_slice();
    let byte = |code| match value(options, code) {
        Some([byte]) => Some(*byte),
        _ => None,
    };
    let tsresol = byte(OptionCode::IfTsresol).unwrap_or(6);
    let tsoffset = long(order, options, OptionCode::IfTsoffset).unwrap_or(0) as i64;
    let link = LinkType((block.linktype.0 as u16).into());
    info.add_link_type(link);
    info.snaplen = info.snaplen.max(block.snaplen);
    if let Some(name) = value(options, OptionCode::IfName)
        && info.interfaces.len() < INTERFACES_MAX
    {
        info.interfaces.insert(text(name));
    }
    Some(Interface {
        link,
        snaplen: block.snaplen,
        clock: Clock::new(tsresol, tsoffset),
        fcs_len: fcs_len(byte(IF_FCSLEN).unwrap_or(0)),
        dropped: 0,
    })
}

/// A comment, of any block.
const COMMENT: u16 = 1;
/// `if_filter`.
const IF_FILTER: u16 = 11;

/// Takes the comments among the raw options of a section or an interface.
pub(super) fn comments(order: Order, options: &[u8], info: &mut FileInfo) {
    for (_, comment) in each(order, options).filter(|(code, _)| *code == COMMENT) {
        if info.comments.len() < FILE_COMMENTS_MAX {
            info.comments.extend(details::text(comment, COMMENT_BYTES_MAX).map(String::from));
        }
    }
}

/// Takes the capture filter among the raw options of an interface, where it stands in words.
pub(super) fn filters(order: Order, options: &[u8], info: &mut FileInfo) {
    let filter = each(order, options).find(|(code, _)| *code == IF_FILTER);
    if let Some((_, [0, filter @ ..])) = filter
        && info.filters.len() < FILE_COMMENTS_MAX
    {
        info.filters.extend(details::text(filter, COMMENT_BYTES_MAX).map(String::from));
    }
}

/// The name in a process information block.
pub(crate) const PROCESS_NAME: OptionCode = OptionCode(2);

/// Takes the body of a process information block: Apple's, a process and its name. One without a
/// process has its number all the same.
pub(super) fn process(order: Order, body: &[u8], processes: &mut Vec<Owner>) {
    if processes.len() >= PROCESSES_MAX {
        return;
    }
    let Some((pid, options)) = body.split_first_chunk() else {
        return processes.push(Owner::default());
    };
    let program = each(order, options).find(|(code, _)| *code == PROCESS_NAME.0);
    let program = program.and_then(|(_, name)| details::text(name, NAME_BYTES_MAX));
    processes.push(Owner { program, pid: Some(order.u32(*pid)), fd: None });
}

/// What the statistics of a file say that stand behind its last packet.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LastWords {
    /// The end by the interface's clock, and in microseconds: dumpcap writes those, whatever the
    /// clock of the packets is.
    ends: [Option<Timestamp>; 2],
    /// Packets that the interfaces received and did not drop.
    received: u64,
}

impl LastWords {
    /// When a capture of so many frames ended, the last of them at that time. It is not believed
    /// that it ended before, or very long after. A part of what was received may have been cut at
    /// its end, and keeps the statistics all the same; then nothing tells where it ended.
    pub(super) fn end(&self, frames: u64, last: Timestamp) -> Option<Timestamp> {
        let is_whole = self.received <= frames;
        let is_near = |end: &Timestamp| last <= *end && end.since(last) <= SILENT_END_MAX;
        self.ends.into_iter().flatten().find(is_near).filter(|_| is_whole)
    }
}

/// Takes an interface's drop counters, and when its capture ended. They count from the start of the
/// capture, so a later block replaces an earlier one.
pub(super) fn statistics(
    order: Order,
    block: &[u8],
    interfaces: &mut [Interface],
    info: &mut FileInfo,
    last_words: &mut LastWords,
) {
    let parsed = small(block).and_then(|block| {
        match order {
            Order::Little => parse_interfacestatisticsblock_le(block),
            Order::Big => parse_interfacestatisticsblock_be(block),
        }
        .ok()
    });
    let Some((_, block)) = parsed else { return };
    let Some(interface) = interfaces.get_mut(block.if_id as usize) else {
        return;
    };
    let counter = |code| long(order, &block.options, code).unwrap_or(0);
    let dropped = counter(OptionCode::IsbIfDrop).saturating_add(counter(OptionCode::IsbOsDrop));
    let others = info.dropped.saturating_sub(interface.dropped);
    info.dropped = others.saturating_add(dropped);
    interface.dropped = dropped;
    let received = counter(OptionCode::IsbIfRecv).saturating_sub(dropped);
    last_words.received = last_words.received.saturating_add(received);
    if let Some([a, b, c, d, e, f, g, h]) = value(&block.options, OptionCode::IsbEndTime) {
        let (high, low) = (order.u32([*a, *b, *c, *d]), order.u32([*e, *f, *g, *h]));
        let clocks = [interface.clock, interface.clock.in_micros()];
        for (end, clock) in last_words.ends.iter_mut().zip(clocks) {
            *end = (*end).max(Some(clock.time(high, low)));
        }
    }
}

/// Takes the names of addresses; the first name of an address stays.
pub(super) fn names(order: Order, block: &[u8], info: &mut FileInfo) {
    let parsed = small(block).and_then(|block| {
        match order {
            Order::Little => parse_nameresolutionblock_le(block),
            Order::Big => parse_nameresolutionblock_be(block),
        }
        .ok()
    });
    let Some((_, block)) = parsed else { return };
    for record in &block.nr {
        let value = record.record_value;
        let named = match record.record_type {
            NameRecordType::Ipv4 => value
                .split_first_chunk::<4>()
                .map(|(address, name)| (IpAddr::from(Ipv4Addr::from(*address)), name)),
            NameRecordType::Ipv6 => value
                .split_first_chunk::<16>()
                .map(|(address, name)| (IpAddr::from(Ipv6Addr::from(*address)), name)),
            _ => None,
        };
        let named = named.map(|(address, name)| (address, text(name)));
        let Some((address, name)) = named.filter(|(_, name)| !name.is_empty()) else {
            continue;
        };
        if info.names.len() >= NAMES_MAX && !info.names.contains_key(&address) {
            info.names_left_out += 1;
            continue;
        }
        info.names.entry(address).or_insert(name);
    }
}

/// The block, unless it is so long that its parsed form could take tens of megabytes.
fn small(block: &[u8]) -> Option<&[u8]> {
    (block.len() <= META_BLOCK_BYTES_MAX).then_some(block)
}

/// An option's value without its padding; the first, where it is given twice.
fn value<'a>(options: &'a [PcapNGOption<'_>], code: OptionCode) -> Option<&'a [u8]> {
    let option = options.iter().find(|option| option.code == code)?;
    option.as_bytes().ok()
}

/// An option that is a 64-bit number in the section's byte order.
fn long(order: Order, options: &[PcapNGOption<'_>], code: OptionCode) -> Option<u64> {
    let bytes = <[u8; 8]>::try_from(value(options, code)?).ok()?;
    Some(order.u64(bytes))
}

/// Text up to the first zero byte, of bounded length.
fn text(bytes: &[u8]) -> String {
    let bytes = bytes.get(..NAME_BYTES_MAX).unwrap_or(bytes);
    let bytes = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(bytes).into_owned()
}

/// Bytes of frame check sequence. The draft counts bits, its example and some writers count bytes;
/// no sequence has more than 4 bytes, or fewer than 8 bits.
fn fcs_len(value: u8) -> u8 {
    match value {
        0..=4 => value,
        8 | 16 | 24 | 32 => value / 8,
        _ => 0,
    }
}
