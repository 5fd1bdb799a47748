//! The packets of chosen connections, copied byte for byte.
//!
//! A capture is read three times: to know its connections, to know which packets belong to those
//! that are wanted, and to copy them. A packet belongs to the connection whose four-tuple it has,
//! or quotes in an ICMP error, and that was the last to begin when it came; so copies of a packet
//! and segments that the engine did not believe come along. All fragments of a packet belong to it.

mod mask;
mod write;

use std::collections::HashMap;
use std::io::{self, Write};

use foldhash::fast::RandomState;

use crate::capture::{self, Detailed, LinkType, Merge, Packet};
use crate::decode::Decoded;
use crate::decode::opener::{Found, Opener};
use crate::decode::tuple::FourTuple;
use crate::decode::{self};
use crate::history::History;
use crate::run::{Analysis, Mask};

use mask::Masked;
pub use write::PacketFormat;
use write::Writer;

/// Why packets could not be copied.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The capture could not be opened again.
    #[error(transparent)]
    Capture(#[from] capture::Error),
    /// A format that cannot hold these packets was asked for.
    #[error(
        "the packets have several link types, which a pcap file cannot hold: leave --format out"
    )]
    LinkTypes,
    /// They could not be written.
    #[error("cannot write the packets: {0}")]
    Write(#[from] io::Error),
}

/// The packets that are wanted, by frame number.
#[derive(Debug, Default)]
pub struct Frames {
    bits: Vec<u64>,
    count: u64,
    /// Whether a time among them is no whole number of microseconds.
    has_nanos: bool,
}

impl Frames {
    fn add(&mut self, frame: u64) {
        let (word, bit) = ((frame / 64) as usize, 1 << (frame % 64));
        if word >= self.bits.len() {
            self.bits.resize(word + 1, 0);
        }
        if let Some(word) = self.bits.get_mut(word) {
            self.count += u64::from(*word & bit == 0);
            *word |= bit;
        }
    }

    fn has(&self, frame: u64) -> bool {
        self.bits.get((frame / 64) as usize).is_some_and(|word| word & 1 << (frame % 64) != 0)
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }
}

/// Finds the packets of the connections that are wanted, in the capture that the analysis is of.
pub fn find(
    mut merge: Merge,
    analysis: &Analysis,
    decode_tunnels: bool,
    wanted: impl Fn(&History) -> bool,
) -> Frames {
    let chosen = Chosen::new(analysis, wanted);
    let mut opener = Opener::new(decode_tunnels).noting_parts();
    let mut frames = Frames::default();
    loop {
        let packet = match merge.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => return frames,
            // It has been told of when the capture was analysed.
            Err(_) => continue,
        };
        let capture::Packet { link, data, orig_len, ts, frame, .. } = packet;
        let mut take = |decoded: Decoded, parts: &[u64]| {
            if chosen.has(&decoded.tuple, frame) {
                frames.has_nanos |= ts.as_nanos() % 1000 != 0;
                frames.add(frame);
                parts.iter().for_each(|part| frames.add(*part));
            }
        };
        let skip = match decode::decode(link.0, data, orig_len, ts, frame) {
            Ok(decoded) => {
                take(decoded, &[]);
                continue;
            }
            Err(skip) => skip,
        };
        let mut found = opener.open(skip, link.0, data, orig_len, ts, frame).ok();
        while let Some(one) = found {
            if let Found::Segment(decoded) | Found::Error(_, decoded, _) = one {
                take(decoded, opener.parts());
            }
            found = opener.further();
        }
    }
}

/// The connections of those four-tuples that a wanted one has.
struct Chosen {
    /// The first frame of each connection and whether it is wanted, in order.
    lives: HashMap<FourTuple, Vec<(u64, bool)>, RandomState>,
}

impl Chosen {
    fn new(analysis: &Analysis, wanted: impl Fn(&History) -> bool) -> Chosen {
        let mut lives: HashMap<FourTuple, Vec<(u64, bool)>, RandomState> = HashMap::default();
        let real = |history: &History| match &analysis.mask {
            Some(mask) => history.tuple.with_addrs(|addr| mask.real(addr)),
            None => history.tuple,
        };
        for history in analysis.archive.iter().filter(|history| wanted(history)) {
            lives.entry(real(&history)).or_default();
        }
        for history in analysis.archive.iter() {
            if let Some(lives) = lives.get_mut(&real(&history)) {
                lives.push((history.first.frame, wanted(&history)));
            }
        }
        lives.values_mut().for_each(|lives| lives.sort_unstable());
        Chosen { lives }
    }

    fn has(&self, tuple: &FourTuple, frame: u64) -> bool {
        let Some(lives) = self.lives.get(tuple) else { return false };
        let after = lives.partition_point(|(first, _)| *first <= frame);
        // What came before the first belongs to it, as an ICMP error might.
        lives.get(after.saturating_sub(1)).is_some_and(|(_, wanted)| *wanted)
    }
}

/// Copies those packets, in this format or else in the one that fits; with a mask, other addresses
/// stand in them, and names are left out.
pub fn copy(
    merge: Merge,
    frames: &Frames,
    format: Option<PacketFormat>,
    decode_tunnels: bool,
    mut mask: Option<Mask>,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let mut merge = merge.keeping_details();
    let format = match format {
        Some(format) => format,
        None => fitting(&merge),
    };
    let mut writer = Writer::new(format, frames.has_nanos, mask.is_some(), out);
    let mut masked = Vec::new();
    loop {
        let detailed = match merge.next_detailed() {
            Ok(Some(detailed)) => detailed,
            Ok(None) => return Ok(writer.finish()?),
            Err(_) => continue,
        };
        if !frames.has(detailed.packet.frame) {
            continue;
        }
        match &mut mask {
            None => writer.packet(&detailed, detailed.packet.raw)?,
            Some(mask) => {
                masked.clear();
                masked.extend_from_slice(detailed.packet.raw);
                let packet = detailed.packet;
                match mask::replace(&packet, decode_tunnels, mask, &mut masked) {
                    Masked::Whole => writer.packet(&detailed, &masked)?,
                    Masked::Bare(parts) => {
                        for (at, end, orig_len) in parts {
                            let bare =
                                Packet { link: LinkType::RAW, orig_len, fcs_len: 0, ..packet };
                            let detailed = Detailed { packet: bare, ..detailed };
                            writer.packet(&detailed, masked.get(at..end).unwrap_or_default())?;
                        }
                    }
                }
            }
        }
    }
}

/// The format that loses nothing: that of the first file, unless there are several link types.
fn fitting(merge: &Merge) -> PacketFormat {
    let mut files = merge.sources().iter().map(|source| source.info());
    let all_pcap = files.clone().all(|file| file.format == capture::Format::Pcap);
    let first = files.next().map(|file| file.link_types.clone());
    match all_pcap && files.all(|file| Some(&file.link_types) == first.as_ref()) {
        true => PacketFormat::Pcap,
        false => PacketFormat::Pcapng,
    }
}
