//! Captures built in memory, and readers that behave as pipes do; for tests only.

use std::io::{self, ErrorKind, Read};

use super::order::Order;
use super::{Ending, Error, Packet, Source};

/// Little-endian microseconds, Ethernet: what nearly every pcap file is.
pub(super) const MICROS: u32 = 0xa1b2_c3d4;
/// Nanosecond fractions.
pub(super) const NANOS: u32 = 0xa1b2_3c4d;
/// Longer record headers.
pub(super) const MODIFIED: u32 = 0xa1b2_cd34;

pub(super) const BOTH: [Order; 2] = [Order::Little, Order::Big];

fn half(order: Order, value: u16) -> [u8; 2] {
    match order {
        Order::Little => value.to_le_bytes(),
        Order::Big => value.to_be_bytes(),
    }
}

fn word(order: Order, value: u32) -> [u8; 4] {
    match order {
        Order::Little => value.to_le_bytes(),
        Order::Big => value.to_be_bytes(),
    }
}

fn long(order: Order, value: u64) -> [u8; 8] {
    match order {
        Order::Little => value.to_le_bytes(),
        Order::Big => value.to_be_bytes(),
    }
}

/// A pcap file under construction.
#[derive(Clone)]
pub(super) struct Pcap {
    pub(super) bytes: Vec<u8>,
    order: Order,
    magic: u32,
}

impl Pcap {
    pub(super) fn new(order: Order, magic: u32, network: u32) -> Self {
        let mut bytes = word(order, magic).to_vec();
        bytes.extend(half(order, 2));
        bytes.extend(half(order, 4));
        for value in [0, 0, 65535, network] {
            bytes.extend(word(order, value));
        }
        Pcap { bytes, order, magic }
    }

    pub(super) fn packet(self, seconds: u32, fraction: u32, data: &[u8]) -> Self {
        let length = data.len() as u32;
        self.record([seconds, fraction, length, length], data)
    }

    pub(super) fn record(mut self, header: [u32; 4], data: &[u8]) -> Self {
        for value in header {
            self.bytes.extend(word(self.order, value));
        }
        if self.magic == MODIFIED {
            self.bytes.extend([0xee; 8]);
        }
        self.bytes.extend(data);
        self
    }
}

/// A pcapng file under construction.
#[derive(Clone)]
pub(super) struct Pcapng {
    pub(super) bytes: Vec<u8>,
    order: Order,
}

impl Pcapng {
    /// A file with a section header and nothing else.
    pub(super) fn new(order: Order) -> Self {
        let empty = Pcapng { bytes: Vec::new(), order };
        empty.section(order, &[])
    }

    pub(super) fn section(mut self, order: Order, options: &[(u16, Vec<u8>)]) -> Self {
        self.order = order;
        let mut body = word(order, 0x1a2b_3c4d).to_vec();
        body.extend(half(order, 1));
        body.extend(half(order, 0));
        body.extend(long(order, u64::MAX));
        body.extend(self.options(options));
        self.block(0x0a0d_0d0a, &body)
    }

    pub(super) fn block(mut self, kind: u32, body: &[u8]) -> Self {
        let padded = body.len().next_multiple_of(4);
        let length = word(self.order, padded as u32 + 12);
        self.bytes.extend(word(self.order, kind));
        self.bytes.extend(length);
        self.bytes.extend(body);
        self.bytes.extend(vec![0; padded - body.len()]);
        self.bytes.extend(length);
        self
    }

    pub(super) fn interface(self, link: u16, snaplen: u32, options: &[(u16, Vec<u8>)]) -> Self {
        let mut body = half(self.order, link).to_vec();
        body.extend([0, 0]);
        body.extend(word(self.order, snaplen));
        body.extend(self.options(options));
        self.block(1, &body)
    }

    pub(super) fn packet(self, interface: u32, ticks: u64, data: &[u8]) -> Self {
        let length = data.len() as u32;
        let body = self.packet_body(word(self.order, interface), ticks, [length, length], data);
        self.block(6, &body)
    }

    /// A packet of interface 0 with options.
    pub(super) fn packet_with(self, ticks: u64, data: &[u8], options: &[(u16, Vec<u8>)]) -> Self {
        let length = data.len() as u32;
        let mut body = self.packet_body([0; 4], ticks, [length, length], data);
        body.resize(body.len().next_multiple_of(4), 0);
        body.extend(self.options(options));
        self.block(6, &body)
    }

    /// Apple's description of a process.
    pub(super) fn process(self, pid: u32, name: &str) -> Self {
        let mut body = word(self.order, pid).to_vec();
        body.extend(self.options(&[(2, name.as_bytes().to_vec())]));
        self.block(0x8000_0001, &body)
    }

    /// A 32-bit option value in the order of the section.
    pub(super) fn word(&self, value: u32) -> Vec<u8> {
        word(self.order, value).to_vec()
    }

    pub(super) fn old_packet(self, interface: u16, drops: u16, ticks: u64, data: &[u8]) -> Self {
        let ([a, b], [c, d]) = (half(self.order, interface), half(self.order, drops));
        let length = data.len() as u32;
        let body = self.packet_body([a, b, c, d], ticks, [length, length], data);
        self.block(2, &body)
    }

    pub(super) fn packet_body(
        &self,
        interface: [u8; 4],
        ticks: u64,
        lengths: [u32; 2],
        data: &[u8],
    ) -> Vec<u8> {
        let mut body = interface.to_vec();
        body.extend(word(self.order, (ticks >> 32) as u32));
        body.extend(word(self.order, ticks as u32));
        for length in lengths {
            body.extend(word(self.order, length));
        }
        body.extend(data);
        body
    }

    pub(super) fn simple_packet(self, original: u32, data: &[u8]) -> Self {
        let mut body = word(self.order, original).to_vec();
        body.extend(data);
        self.block(3, &body)
    }

    pub(super) fn statistics(self, interface: u32, counters: &[(u16, u64)]) -> Self {
        let mut body = word(self.order, interface).to_vec();
        body.extend([0; 8]);
        let order = self.order;
        let options: Vec<_> =
            counters.iter().map(|(code, count)| (*code, long(order, *count).to_vec())).collect();
        body.extend(self.options(&options));
        self.block(5, &body)
    }

    pub(super) fn names(self, records: &[(u16, Vec<u8>)]) -> Self {
        let body = self.options(records);
        self.block(4, &body)
    }

    /// A 64-bit option value in the order of the section.
    pub(super) fn long(&self, value: u64) -> Vec<u8> {
        long(self.order, value).to_vec()
    }

    /// Options, and records of names, which have the same shape.
    fn options(&self, options: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (code, value) in options {
            bytes.extend(half(self.order, *code));
            bytes.extend(half(self.order, value.len() as u16));
            bytes.extend(value);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        if !options.is_empty() {
            bytes.extend([0; 4]);
        }
        bytes
    }
}

/// A reader of at most so many bytes a call, interrupted before each of them.
pub(super) struct Chunks {
    bytes: Vec<u8>,
    at: usize,
    size: usize,
    interrupt: bool,
}

impl Chunks {
    pub(super) fn new(bytes: Vec<u8>, size: usize) -> Self {
        Chunks { bytes, at: 0, size, interrupt: true }
    }
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.interrupt = !self.interrupt;
        if !self.interrupt {
            return Err(ErrorKind::Interrupted.into());
        }
        let end = (self.at + self.size.min(buffer.len())).min(self.bytes.len());
        let piece = &self.bytes[self.at..end];
        buffer[..piece.len()].copy_from_slice(piece);
        self.at = end;
        Ok(piece.len())
    }
}

/// A packet with its data: frame, nanoseconds, link type, data, original length.
pub(super) type Owned = (u64, i64, u32, Vec<u8>, u32);

/// Opens bytes as a capture, with a buffer so small that it moves and grows.
pub(super) fn open(bytes: &[u8]) -> Result<Source, Error> {
    let reader = Box::new(io::Cursor::new(bytes.to_vec()));
    Source::new("test".into(), reader, None, 48)
}

pub(super) fn owned(packet: &Packet<'_>) -> Owned {
    let (ts, data) = (packet.ts.as_nanos(), packet.data.to_vec());
    (packet.frame, ts, packet.link.0, data, packet.orig_len)
}

/// All packets, then the ending or the error.
pub(super) fn drain(mut source: Source) -> (Vec<Owned>, Result<Ending, Error>, Source) {
    let mut packets = Vec::new();
    loop {
        match source.next_packet() {
            Ok(Some(packet)) => packets.push(owned(&packet)),
            Ok(None) => {
                let ending = source.ending().cloned().expect("the source has ended");
                return (packets, Ok(ending), source);
            }
            Err(error) => {
                assert!(matches!(source.next_packet(), Ok(None)), "an error ends it");
                return (packets, Err(error), source);
            }
        }
    }
}

/// All packets of a capture that is in order.
pub(super) fn packets(bytes: &[u8]) -> Vec<Owned> {
    let (packets, ending, _) = drain(open(bytes).expect("a capture"));
    assert_eq!(ending.expect("no error"), Ending::Complete);
    packets
}
