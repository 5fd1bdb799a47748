//! Bytes to packets: capture files and pipes. The library's only I/O.
//!
//! [`Source`] reads one capture, [`Merge`] several as if they were one, in time order. Both hand
//! out [`Packet`]s that borrow the read buffer, so nothing is allocated or copied per packet.
//! pcap-parser takes file headers, packet records and pcapng blocks apart. Around it stands what it
//! leaves to its caller: the read buffer, so that a pipe is never waited on for bytes that nobody
//! needs; a bound on every length before a byte is believed, so that it only sees what is complete;
//! and the clocks, the link types and the few old forms that it does not know.
//!
//! A [`text`] that tcpdump printed is read as well; its packets are what the lines tell.
//!
//! A file that ends inside a packet is an [`Ending::Cut`]; bytes that cannot be a capture are an
//! [`Error::Damaged`]. Either way every packet before that place has been handed out.

mod at_hand;
mod clock;
mod details;
mod ending;
mod error;
mod format;
mod link;
mod merge;
mod note;
mod order;
mod packed;
mod pcap;
mod pcapng;
mod pcapng_meta;
mod pread;
mod repeats;
mod set;
mod sniff;
mod source;
#[cfg(test)]
mod testing;
pub mod text;
#[cfg(feature = "compression")]
mod unpack;
mod utf16;
mod window;

pub use details::{Described, Detailed, PROCESS_OPTIONS};
pub use ending::{Cut, Ending};
pub use error::Error;
pub use format::Format;
pub use link::LinkType;
pub use merge::Merge;
pub use note::{Note, Noted};
pub use packed::Compression;
pub(crate) use pcapng::PROCESS_INFORMATION;
pub(crate) use pcapng_meta::{IF_FCSLEN, PROCESS_NAME};
pub use source::{FileInfo, Source};

use crate::time::Timestamp;

/// One packet as the capture holds it, borrowed from the read buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Its number in the input, from 1, as Wireshark's `frame.number`.
    pub frame: u64,
    /// When it was captured; for a simple packet block, which has no time, the time of the packet
    /// before it.
    pub ts: Timestamp,
    /// What its first header is.
    pub link: LinkType,
    /// The captured bytes, without the frame check sequence if the file says that there is one.
    pub data: &'a [u8],
    /// Bytes the packet had on the wire, without the frame check sequence; never less than `data`.
    pub orig_len: u32,
    /// The captured bytes as they stand in the file: `data`, then what was captured of the frame
    /// check sequence.
    pub raw: &'a [u8],
    /// Bytes of frame check sequence that the packet had on the wire; `orig_len + fcs_len` is the
    /// original length in the file.
    pub fcs_len: u8,
}

impl<'a> Packet<'a> {
    /// One without a frame check sequence.
    pub fn new(link: LinkType, data: &'a [u8], orig_len: u32, ts: Timestamp, frame: u64) -> Self {
        Packet { frame, ts, link, data, orig_len, raw: data, fcs_len: 0 }
    }
}

/// A packet without a borrow: what a reader found out about it. It travels by value, because
/// stored and loaded again it would cost more than finding it.
#[derive(Clone, Copy, Debug)]
struct Record {
    /// Where its data begins in the window's buffer.
    at: usize,
    /// Captured bytes in the file.
    raw_len: usize,
    /// Frame numbers that it takes: its own, and those of frames before it that are no packets.
    frames: u64,
    ts: Timestamp,
    link: LinkType,
    /// Original length in the file, with any frame check sequence.
    raw_orig_len: u32,
    fcs_len: u8,
}

impl Record {
    /// The same, with the window moved past it: until then, its data is said to be where it is from
    /// the window's front.
    #[inline(always)]
    fn taken_from(self, window: &mut window::Window) -> Record {
        let front = window.take(self.at + self.raw_len);
        Record { at: front + self.at, ..self }
    }

    /// The packet that this record describes; the window has not been filled since.
    #[inline]
    fn packet<'a>(&self, frame: u64, window: &'a window::Window) -> Packet<'a> {
        self.packet_of(frame, window.taken(self.at, self.raw_len))
    }

    /// The same with its data.
    #[inline(always)]
    fn packet_of<'a>(&self, frame: u64, raw: &'a [u8]) -> Packet<'a> {
        let raw_orig_len = self.raw_orig_len.max(raw.len() as u32);
        let fcs_len = u32::from(self.fcs_len).min(raw_orig_len);
        let orig_len = raw_orig_len - fcs_len;
        Packet {
            frame,
            ts: self.ts,
            link: self.link,
            data: raw.get(..orig_len as usize).unwrap_or(raw),
            orig_len,
            raw,
            fcs_len: fcs_len as u8,
        }
    }
}

/// What stands at the front of the window.
enum Step {
    /// A packet; the window has moved past it.
    Packet(Record),
    /// Nothing: the capture ended where a packet ends.
    End,
    /// A part of a packet or a block: the capture ended too early.
    Cut,
}

/// Why a reader cannot go on; [`Source`] adds the file, the offset and the frame.
#[derive(Debug)]
enum Fault {
    /// The bytes cannot be a capture.
    Damage(String),
    /// The system could not read.
    Io(std::io::Error),
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Fault::Io(error)
    }
}
