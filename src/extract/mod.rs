//! The packets of chosen connections, copied byte for byte.
//!
//! A capture is read three times: to know its connections, to know which packets belong to those
//! that are wanted, and to copy them. The packets are those of a connection's story, and with them
//! copies and ICMP errors. All fragments of a packet belong to it.

mod find;
mod mask;
mod write;

use std::io::{self, Write};

use crate::capture::{self, Detailed, LinkType, Merge, Packet};
use crate::run::Mask;
use crate::time::Timestamp;

pub use find::{Chosen, Frames, find};
use mask::Kept;
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
    #[error("cannot write the packets")]
    Write(#[from] io::Error),
}

/// How packets are copied.
#[derive(Debug)]
pub struct How {
    /// The format; without one, that which fits.
    pub format: Option<PacketFormat>,
    /// Whether addresses in tunnels are replaced, too.
    pub decode_tunnels: bool,
    /// With it, other addresses stand in them, and names are left out.
    pub mask: Option<Mask>,
    /// When the capture ended that they are of. Where they end before, pcapng says so.
    pub end: Option<Timestamp>,
}

/// What was copied.
#[derive(Clone, Copy, Debug)]
pub struct Copied {
    /// The format that was written.
    pub format: PacketFormat,
    /// Packets whose content was blanked, because addresses in it could not be found.
    pub blanked: u64,
}

/// Copies those packets.
pub fn copy(merge: Merge, frames: &Frames, how: How, out: &mut dyn Write) -> Result<Copied, Error> {
    let How { format, decode_tunnels, mut mask, end } = how;
    let mut merge = merge.keeping_details();
    let format = match format {
        Some(format) => format,
        None => fitting(&merge),
    };
    let end = end.filter(|end| frames.last_ts.is_some_and(|last| last < *end));
    let mut writer = Writer::new(format, frames.has_nanos, mask.is_some(), out);
    let (mut masked, mut blanked) = (Vec::new(), 0);
    loop {
        let detailed = match merge.next_detailed() {
            Ok(Some(detailed)) => detailed,
            Ok(None) => {
                writer.finish(end)?;
                return Ok(Copied { format, blanked });
            }
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
                let made = mask::replace(&packet, decode_tunnels, mask, &mut masked);
                blanked += u64::from(made.is_blanked);
                match made.kept {
                    Kept::Whole => writer.packet(&detailed, &masked)?,
                    Kept::Bare(parts) => {
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
    if all_pcap && files.all(|file| Some(&file.link_types) == first.as_ref()) {
        PacketFormat::Pcap
    } else {
        PacketFormat::Pcapng
    }
}
