//! One TCP segment as the bytes of an Ethernet frame, with valid checksums.
//!
//! The payload is always the beginning of one fixed text, whose checksum is known for each length,
//! so a long segment costs no more than a short one where the capture cuts it anyway.

use std::sync::LazyLock;

/// TCP flags, as the header has them.
pub mod flag {
    /// No more data.
    pub const FIN: u8 = 0x01;
    /// Synchronize.
    pub const SYN: u8 = 0x02;
    /// Reset.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// The acknowledgement field counts.
    pub const ACK: u8 = 0x10;
}

/// Longest payload of a segment.
pub const PAYLOAD_MAX: usize = 1460;
/// Longest headers: Ethernet, IPv6, TCP with 20 bytes of options.
pub const HEADERS_MAX: usize = 14 + 40 + 40;

const ETHERNET: usize = 14;
const TTL: u8 = 64;
/// The shift of every window, announced in the SYN.
const WINDOW_SHIFT: u8 = 7;

/// What goes into one frame.
#[derive(Clone, Copy, Debug)]
pub struct Fields {
    /// IPv6, else IPv4 with the address in the last four bytes.
    pub v6: bool,
    /// Source address.
    pub source: [u8; 16],
    /// Destination address.
    pub destination: [u8; 16],
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// Flags.
    pub flags: u8,
    /// Window as the header has it.
    pub window: u16,
    /// IPv4 identification.
    pub ip_id: u16,
    /// TSval and TSecr.
    pub timestamps: Option<(u32, u32)>,
    /// Payload bytes.
    pub payload: u16,
}

/// The fixed text, and the checksum's sum over each of its beginnings.
struct Text {
    bytes: [u8; PAYLOAD_MAX],
    sums: [u32; PAYLOAD_MAX + 1],
}

static TEXT: LazyLock<Text> = LazyLock::new(|| {
    let words = b"All happy families are alike; each unhappy family is unhappy in its own way.\r\n";
    let mut text = Text { bytes: [0; PAYLOAD_MAX], sums: [0; PAYLOAD_MAX + 1] };
    for (at, byte) in text.bytes.iter_mut().enumerate() {
        *byte = words[at % words.len()];
        let value = if at % 2 == 0 { u32::from(*byte) << 8 } else { u32::from(*byte) };
        text.sums[at + 1] = text.sums[at] + value;
    }
    text
});

/// Writes the frame's headers and as much of its payload as `room` bytes take; returns the bytes
/// written and the length of the whole frame.
pub fn build(fields: &Fields, out: &mut [u8], room: usize) -> (usize, usize) {
    let ip_len = if fields.v6 { 40 } else { 20 };
    let tcp_at = ETHERNET + ip_len;
    let tcp_len = tcp_header(fields, &mut out[tcp_at..]);
    let segment_len = tcp_len + usize::from(fields.payload);
    let addresses = ethernet_and_ip(fields, &mut out[..tcp_at], segment_len);
    let text = &*TEXT;
    let payload = usize::from(fields.payload);
    let sum = addresses + 6 + segment_len as u32 + sum(&out[tcp_at..tcp_at + tcp_len]);
    let sum = !fold(sum + text.sums[payload]);
    out[tcp_at + 16..tcp_at + 18].copy_from_slice(&sum.to_be_bytes());
    let payload_at = tcp_at + tcp_len;
    let kept = payload.min(room.saturating_sub(payload_at));
    out[payload_at..payload_at + kept].copy_from_slice(&text.bytes[..kept]);
    ((payload_at + kept).min(room), payload_at + payload)
}

/// Returns the sum over the addresses, for TCP's checksum.
fn ethernet_and_ip(fields: &Fields, out: &mut [u8], segment_len: usize) -> u32 {
    let (from, to) = if fields.source < fields.destination { (1, 2) } else { (2, 1) };
    out[..6].copy_from_slice(&[2, 0, 0, 0, 0, to]);
    out[6..12].copy_from_slice(&[2, 0, 0, 0, 0, from]);
    let ip = &mut out[12..];
    if fields.v6 {
        ip[..6].copy_from_slice(&[0x86, 0xdd, 0x60, 0, 0, 0]);
        ip[6..8].copy_from_slice(&(segment_len as u16).to_be_bytes());
        ip[8..10].copy_from_slice(&[6, TTL]);
        ip[10..26].copy_from_slice(&fields.source);
        ip[26..42].copy_from_slice(&fields.destination);
        return sum(&ip[10..42]);
    }
    ip[..4].copy_from_slice(&[8, 0, 0x45, 0]);
    let ip = &mut ip[2..];
    ip[2..4].copy_from_slice(&(20 + segment_len as u16).to_be_bytes());
    ip[4..6].copy_from_slice(&fields.ip_id.to_be_bytes());
    ip[6..12].copy_from_slice(&[0x40, 0, TTL, 6, 0, 0]);
    ip[12..16].copy_from_slice(&fields.source[12..]);
    ip[16..20].copy_from_slice(&fields.destination[12..]);
    let checksum = !fold(sum(&ip[..20]));
    ip[10..12].copy_from_slice(&checksum.to_be_bytes());
    sum(&ip[12..20])
}

/// Writes the header with checksum 0 and returns its length.
fn tcp_header(fields: &Fields, tcp: &mut [u8]) -> usize {
    tcp[..2].copy_from_slice(&fields.source_port.to_be_bytes());
    tcp[2..4].copy_from_slice(&fields.destination_port.to_be_bytes());
    tcp[4..8].copy_from_slice(&fields.seq.to_be_bytes());
    tcp[8..12].copy_from_slice(&fields.ack.to_be_bytes());
    tcp[14..16].copy_from_slice(&fields.window.to_be_bytes());
    tcp[16..20].fill(0);
    let mut len = 20;
    let mut option = |bytes: &[u8]| {
        tcp[len..len + bytes.len()].copy_from_slice(bytes);
        len += bytes.len();
    };
    if fields.flags & flag::SYN > 0 {
        let [high, low] = segment_size(fields.v6, false).to_be_bytes();
        option(&[2, 4, high, low]);
        option(if fields.timestamps.is_some() { &[4, 2] } else { &[1, 1, 4, 2] });
    }
    if let Some((tsval, tsecr)) = fields.timestamps {
        option(if fields.flags & flag::SYN > 0 { &[8, 10] } else { &[1, 1, 8, 10] });
        option(&tsval.to_be_bytes());
        option(&tsecr.to_be_bytes());
    }
    if fields.flags & flag::SYN > 0 {
        option(&[1, 3, 3, WINDOW_SHIFT]);
    }
    tcp[12] = (len as u8 / 4) << 4;
    tcp[13] = fields.flags;
    len
}

/// Bytes of a full segment; without timestamps it is what the SYN announces.
pub fn segment_size(v6: bool, timestamps: bool) -> u16 {
    let announced = if v6 { 1440 } else { 1460 };
    announced - if timestamps { 12 } else { 0 }
}

fn sum(bytes: &[u8]) -> u32 {
    let (words, _) = bytes.as_chunks::<2>();
    words.iter().map(|word| u32::from(u16::from_be_bytes(*word))).sum()
}

fn fold(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}
