//! Capture files for copied packets: pcap and pcapng, little-endian.

use std::collections::HashMap;
use std::io::{self, Write};

use pcap_parser::{BOM_MAGIC, EPB_MAGIC, IDB_MAGIC, ISB_MAGIC, OptionCode, SHB_MAGIC};

use super::Error;
use crate::capture::{
    Detailed, IF_FCSLEN, LinkType, PROCESS_INFORMATION, PROCESS_NAME, PROCESS_OPTIONS,
};
use crate::limits::CAPTURED_BYTES_MAX;
use crate::owner::Owner;
use crate::time::Timestamp;

/// A capture file format that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketFormat {
    /// Classic pcap, with microseconds if they are enough.
    Pcap,
    /// pcapng, with nanoseconds.
    Pcapng,
}

/// Writes a capture file.
pub(super) struct Writer<'a> {
    format: PacketFormat,
    has_nanos: bool,
    /// Leaves out comments and interfaces' names.
    is_masked: bool,
    /// The link type and the bytes of frame check sequence of a pcap file, once it has begun.
    link: Option<(LinkType, u8)>,
    /// The numbers of the interfaces that were written, by file, number in it, and what a pcap file
    /// says of one.
    interfaces: HashMap<(usize, Option<usize>, LinkType, u8), u32>,
    /// The numbers of the processes that were written, by file and what it says of each.
    processes: HashMap<(usize, Owner), u32>,
    has_begun: bool,
    /// Packets that were written.
    packets: u64,
    out: &'a mut dyn Write,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        format: PacketFormat,
        has_nanos: bool,
        is_masked: bool,
        out: &'a mut dyn Write,
    ) -> Writer<'a> {
        Writer {
            format,
            has_nanos,
            is_masked,
            link: None,
            interfaces: HashMap::new(),
            processes: HashMap::new(),
            has_begun: false,
            packets: 0,
            out,
        }
    }

    /// Writes a packet, of which these bytes were captured.
    pub(super) fn packet(&mut self, detailed: &Detailed<'_>, raw: &[u8]) -> Result<(), Error> {
        match self.format {
            PacketFormat::Pcap => self.pcap(detailed, raw),
            PacketFormat::Pcapng => Ok(self.pcapng(detailed, raw)?),
        }
    }

    /// Ends the file, which has a header even if there is no packet, and of pcapng says when the
    /// capture ended, if that is told.
    pub(super) fn finish(mut self, end: Option<Timestamp>) -> io::Result<()> {
        if let Some(end) = end.filter(|_| !self.interfaces.is_empty()) {
            self.statistics(end)?;
        }
        match self.format {
            PacketFormat::Pcap if self.link.is_none() => self.pcap_header(LinkType::EN10MB, 0)?,
            PacketFormat::Pcapng => self.section()?,
            PacketFormat::Pcap => {}
        }
        self.out.flush()
    }

    fn pcap(&mut self, detailed: &Detailed<'_>, raw: &[u8]) -> Result<(), Error> {
        let packet = &detailed.packet;
        match self.link {
            None => self.pcap_header(packet.link, packet.fcs_len)?,
            Some(link) if link == (packet.link, packet.fcs_len) => {}
            Some(_) => return Err(Error::LinkTypes),
        }
        let nanos = packet.ts.as_nanos();
        let (seconds, fraction) =
            (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
        let fraction = if self.has_nanos { fraction } else { fraction / 1_000 };
        let words = [seconds as u32, fraction as u32, raw.len() as u32, on_wire(detailed)];
        self.out.write_all(&words.map(u32::to_le_bytes).concat())?;
        self.out.write_all(raw)?;
        Ok(())
    }

    fn pcap_header(&mut self, link: LinkType, fcs_len: u8) -> io::Result<()> {
        let magic: u32 = if self.has_nanos { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
        let network = match fcs_len {
            0 => link.0,
            bytes => link.0 | 0x0400_0000 | u32::from(bytes / 2) << 28,
        };
        self.link = Some((link, fcs_len));
        let words = [magic, 0x0004_0002, 0, 0, CAPTURED_BYTES_MAX, network];
        self.out.write_all(&words.map(u32::to_le_bytes).concat())
    }

    fn pcapng(&mut self, detailed: &Detailed<'_>, raw: &[u8]) -> io::Result<()> {
        self.section()?;
        let interface = self.interface(detailed)?;
        let options = if self.is_masked { Vec::new() } else { self.options(detailed)? };
        let nanos = detailed.packet.ts.as_nanos() as u64;
        let (high, low) = ((nanos >> 32) as u32, nanos as u32);
        let words = [interface, high, low, raw.len() as u32, on_wire(detailed)];
        let mut body = words.map(u32::to_le_bytes).concat();
        self.packets += 1;
        body.extend_from_slice(raw);
        body.resize(body.len().next_multiple_of(4), 0);
        if !options.is_empty() {
            body.extend(options);
            body.extend([0; 4]);
        }
        self.block(EPB_MAGIC, &body)
    }

    /// A packet's options. The processes that they name are described before it, under the numbers
    /// that they have in this file.
    fn options(&mut self, detailed: &Detailed<'_>) -> io::Result<Vec<u8>> {
        let mut options = Vec::with_capacity(detailed.options.len());
        for (code, value) in detailed.each_option() {
            match value.first_chunk() {
                Some(number) if PROCESS_OPTIONS.contains(&code) => {
                    let number = u32::from_le_bytes(*number) as usize;
                    if let Some(owner) = detailed.processes.get(number) {
                        let number = self.process(detailed.source, owner)?;
                        option(OptionCode(code), &number.to_le_bytes(), &mut options);
                    }
                }
                _ => option(OptionCode(code), value, &mut options),
            }
        }
        Ok(options)
    }

    /// The number of a process, which is described before the first packet that names it.
    fn process(&mut self, source: usize, owner: &Owner) -> io::Result<u32> {
        let new = self.processes.len() as u32;
        let key = (source, owner.clone());
        if let Some(known) = self.processes.get(&key) {
            return Ok(*known);
        }
        self.processes.insert(key, new);
        let mut body = owner.pid.unwrap_or(u32::MAX).to_le_bytes().to_vec();
        if let Some(program) = &owner.program {
            option(PROCESS_NAME, program.as_bytes(), &mut body);
        }
        body.extend([0; 4]);
        self.block(PROCESS_INFORMATION, &body)?;
        Ok(new)
    }

    /// Begins the file, if that is to be done.
    fn section(&mut self) -> io::Result<()> {
        if self.has_begun {
            return Ok(());
        }
        self.has_begun = true;
        let mut body = [BOM_MAGIC, 1, u32::MAX, u32::MAX].map(u32::to_le_bytes).concat();
        let version = concat!("finwait ", env!("CARGO_PKG_VERSION"));
        option(OptionCode::ShbUserAppl, version.as_bytes(), &mut body);
        body.extend([0; 4]);
        self.block(SHB_MAGIC, &body)
    }

    /// The number of a packet's interface, which is described before its first packet.
    fn interface(&mut self, detailed: &Detailed<'_>) -> io::Result<u32> {
        let Detailed { packet, source, interface, .. } = detailed;
        let number = interface.map(|(number, _)| number);
        let key = (*source, number, packet.link, packet.fcs_len);
        if let Some(known) = self.interfaces.get(&key) {
            return Ok(*known);
        }
        let new = self.interfaces.len() as u32;
        self.interfaces.insert(key, new);
        let (snaplen, options) = match interface {
            Some((_, described)) if !self.is_masked => (described.snaplen, &described.options[..]),
            Some((_, described)) => (described.snaplen, &[][..]),
            None => (0, &[][..]),
        };
        let mut body = packet.link.0.to_le_bytes().to_vec();
        body.extend(snaplen.to_le_bytes());
        body.extend(options);
        option(OptionCode::IfTsresol, &[9], &mut body);
        if packet.fcs_len > 0 && options.is_empty() {
            option(IF_FCSLEN, &[packet.fcs_len], &mut body);
        }
        body.extend([0; 4]);
        self.block(IDB_MAGIC, &body)?;
        Ok(new)
    }

    /// Statistics of the first interface, which stand for all: when the capture ended, and of how
    /// many packets, so that a copy that is cut tells no end.
    fn statistics(&mut self, end: Timestamp) -> io::Result<()> {
        let nanos = end.as_nanos() as u64;
        let time = [(nanos >> 32) as u32, nanos as u32].map(u32::to_le_bytes).concat();
        let mut body = [&[0; 4][..], &time].concat();
        option(OptionCode::IsbEndTime, &time, &mut body);
        option(OptionCode::IsbIfRecv, &self.packets.to_le_bytes(), &mut body);
        body.extend([0; 4]);
        self.block(ISB_MAGIC, &body)
    }

    fn block(&mut self, kind: u32, body: &[u8]) -> io::Result<()> {
        let length = (body.len() as u32 + 12).to_le_bytes();
        self.out.write_all(&kind.to_le_bytes())?;
        self.out.write_all(&length)?;
        self.out.write_all(body)?;
        self.out.write_all(&length)
    }
}

/// Bytes that a packet had on the wire, with its frame check sequence.
fn on_wire(detailed: &Detailed<'_>) -> u32 {
    detailed.packet.orig_len.saturating_add(detailed.packet.fcs_len.into())
}

/// Appends an option.
fn option(OptionCode(code): OptionCode, value: &[u8], out: &mut Vec<u8>) {
    out.extend(code.to_le_bytes());
    out.extend((value.len() as u16).to_le_bytes());
    out.extend(value);
    out.resize(out.len().next_multiple_of(4), 0);
}
