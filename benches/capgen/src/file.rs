//! Packets to capture files: pcap and pcapng, in micro- or nanoseconds, cut at a snap length.

use std::io::{self, Write};

/// The format of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Classic pcap.
    Pcap,
    /// pcapng with one interface.
    Pcapng,
}

/// How the file is written.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// The format.
    pub format: Format,
    /// Nanoseconds, else microseconds.
    pub nanos: bool,
    /// Bytes kept of each packet.
    pub snaplen: u32,
}

/// A capture that is being written.
#[derive(Debug)]
pub struct Capture<W> {
    out: W,
    style: Style,
}

impl<W: Write> Capture<W> {
    /// Writes the file's header.
    pub fn new(mut out: W, style: Style) -> io::Result<Capture<W>> {
        match style.format {
            Format::Pcap => {
                let magic: u32 = if style.nanos { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
                out.write_all(&magic.to_le_bytes())?;
                out.write_all(&[2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0])?;
                out.write_all(&style.snaplen.to_le_bytes())?;
                out.write_all(&1_u32.to_le_bytes())?;
            }
            Format::Pcapng => {
                let section = [0x0a0d_0d0a, 28, 0x1a2b_3c4d, 1, u32::MAX, u32::MAX, 28];
                let resolution = u32::from_le_bytes([9, 0, 1, 0]);
                let power = if style.nanos { 9 } else { 6 };
                let interface = [1, 32, 1, style.snaplen, resolution, power, 0, 32];
                for word in section.into_iter().chain(interface) {
                    out.write_all(&word.to_le_bytes())?;
                }
            }
        }
        Ok(Capture { out, style })
    }

    /// How many bytes are kept of a packet.
    pub fn room(&self) -> usize {
        self.style.snaplen as usize
    }

    /// Writes a packet whose kept bytes are `data`; `nanos` count from 1970.
    pub fn packet(&mut self, nanos: u64, data: &[u8], orig_len: u32) -> io::Result<()> {
        let kept = data.len() as u32;
        let ticks = if self.style.nanos { nanos } else { nanos / 1000 };
        if self.style.format == Format::Pcap {
            let second = if self.style.nanos { 1_000_000_000 } else { 1_000_000 };
            let words = [(ticks / second) as u32, (ticks % second) as u32, kept, orig_len];
            self.out.write_all(&join::<16>(&words))?;
            return self.out.write_all(data);
        }
        let padding = data.len().next_multiple_of(4) - data.len();
        let total = 32 + kept + padding as u32;
        let words = [6, total, 0, (ticks >> 32) as u32, ticks as u32, kept, orig_len];
        self.out.write_all(&join::<28>(&words))?;
        self.out.write_all(data)?;
        self.out.write_all(&[0; 3][..padding])?;
        self.out.write_all(&total.to_le_bytes())
    }

    /// Writes what is still buffered.
    pub fn finish(mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn join<const BYTES: usize>(words: &[u32]) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}
