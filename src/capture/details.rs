//! What a pcapng capture says of its packets beside their bytes: interfaces, comments, directions.
//! It is kept for who copies packets or asks who sent them; reading them for their bytes does not
//! need it.

use pcap_parser::OptionCode;

use super::order::Order;
use super::{LinkType, Packet};
use crate::limits::INTERFACES_MAX;
use crate::owner::Owner;

/// A packet with all that the capture says of it.
#[derive(Clone, Copy, Debug)]
pub struct Detailed<'a> {
    /// The packet.
    pub packet: Packet<'a>,
    /// The place of its file among the [`sources`](super::Merge::sources).
    pub source: usize,
    /// Its interface, if the capture describes it, and the interface's number in the file.
    pub interface: Option<(usize, &'a Described)>,
    /// Its pcapng options, as they stand in a little-endian file, without an end.
    pub options: &'a [u8],
    /// The processes that its section has described so far, which options refer to by number.
    pub processes: &'a [Owner],
}

/// Apple's options of a packet that name a process by its number: that which has the socket, and
/// that on whose behalf it acts.
pub const PROCESS_OPTIONS: [u16; 2] = [PROCESS, 0x8003];
/// The first of these.
pub(super) const PROCESS: u16 = 0x8001;

impl Detailed<'_> {
    /// Each pcapng option's code and value.
    pub fn each_option(&self) -> impl Iterator<Item = (u16, &[u8])> {
        each(Order::Little, self.options)
    }
}

/// An interface as its file describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// What its packets begin with.
    pub link: LinkType,
    /// The snap length, 0 for none.
    pub snaplen: u32,
    /// Its pcapng options, as they stand in a little-endian file, without an end and without the
    /// clock's.
    pub options: Vec<u8>,
}

/// What is kept while a pcapng file is read.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// All interfaces so far, those of earlier sections too.
    pub(super) interfaces: Vec<Described>,
    /// How many of them are of earlier sections.
    pub(super) before: usize,
    /// The interface of the newest packet, and its options.
    pub(super) interface: usize,
    pub(super) options: Vec<u8>,
}

impl Kept {
    /// Takes an interface description: its raw options.
    pub(super) fn describe(&mut self, order: Order, link: LinkType, snaplen: u32, options: &[u8]) {
        if self.interfaces.len() >= INTERFACES_MAX {
            return;
        }
        let mut kept = Vec::new();
        let is_clock = |code| matches!(code, OptionCode::IfTsresol | OptionCode::IfTsoffset);
        copy_options(order, options, interface_number, |code| !is_clock(code), &mut kept);
        self.interfaces.push(Described { link, snaplen, options: kept });
    }

    /// Takes a packet: its interface in the section, and its raw options.
    pub(super) fn packet(&mut self, order: Order, interface: u32, options: &[u8]) {
        self.interface = self.before.saturating_add(interface as usize);
        self.options.clear();
        copy_options(order, options, packet_number, |_| true, &mut self.options);
    }
}

/// The text that an option is, of bounded length; none where there is nothing in it.
pub(super) fn text(bytes: &[u8], longest: usize) -> Option<Box<str>> {
    let bytes = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    let bytes = bytes.get(..longest).unwrap_or(bytes);
    (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into())
}

/// Bytes of the number that an interface's option is; 0 where it is none.
fn interface_number(code: u16) -> usize {
    match code {
        10 => 4,
        8 | 16 | 17 => 8,
        _ => 0,
    }
}

/// Bytes of the number that a packet's option is; 0 where it is none.
fn packet_number(code: u16) -> usize {
    match code {
        2 | 6 | 0x8001..=0x8003 => 4,
        4 | 5 => 8,
        _ => 0,
    }
}

/// Copies raw options, with numbers in little-endian order, up to their end or the first that does
/// not fit.
fn copy_options(
    order: Order,
    options: &[u8],
    number: fn(u16) -> usize,
    is_wanted: impl Fn(OptionCode) -> bool,
    out: &mut Vec<u8>,
) {
    for (code, value) in each(order, options).filter(|(code, _)| is_wanted(OptionCode(*code))) {
        out.extend(code.to_le_bytes());
        out.extend((value.len() as u16).to_le_bytes());
        let at = out.len();
        out.extend(value);
        if order == Order::Big && number(code) == value.len() {
            out.get_mut(at..).unwrap_or_default().reverse();
        }
        out.resize(out.len().next_multiple_of(4), 0);
    }
}

/// Each option's code and value, up to their end or the first that does not fit.
pub(super) fn each(order: Order, mut options: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    core::iter::from_fn(move || {
        let ([a, b, c, d], rest) = options.split_first_chunk()?;
        let (code, length) = (order.u16([*a, *b]), order.u16([*c, *d]));
        let value = rest.get(..usize::from(length)).filter(|_| code != 0)?;
        options = rest.get(value.len().next_multiple_of(4)..).unwrap_or_default();
        Some((code, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_a_big_endian_file_are_turned_and_texts_are_not() {
        let flags = [0, 2, 0, 4, 0, 0, 0, 1];
        let comment = [0, 1, 0, 3, b'a', b'b', b'c', 0];
        let drops = [0, 4, 0, 8, 0, 0, 0, 0, 0, 0, 0, 5];
        let mut copied = Vec::new();
        let options = [&flags[..], &comment, &drops].concat();
        copy_options(Order::Big, &options, packet_number, |_| true, &mut copied);
        let told: Vec<_> = each(Order::Little, &copied).collect();
        let expected: [(u16, &[u8]); 3] =
            [(2, &[1, 0, 0, 0]), (1, b"abc"), (4, &[5, 0, 0, 0, 0, 0, 0, 0])];
        assert_eq!(told, expected);
    }
}
