//! The close that the textbook prints from windump, as a capture made from its three lines.
//!
//! ```text
//! 14:00:38.819856 IP cd-zhangmin.1748>220.181.37.55.80: F 1:1(0) ack 1 win 65535
//! 14:00:38.863989 IP 220.181.37.55.80> cd-zhangmin.1748: F 1:1(0) ack 2 win 2920
//! 14:00:38.864412 IP cd-zhangmin.1748>220.181.37.55.80: . ack 2 win 65535
//! ```
//!
//! The lines give neither date nor zone nor the client's address: day one of the epoch and
//! 192.168.0.1 stand for them. `FINWAIT_BLESS=1` writes the capture anew.

use std::path::Path;

use finwait::capture::Source;
use finwait::history::History;
use finwait::infer::Params;
use finwait::limits::CONNECTIONS_MAX;
use finwait::pipeline::Pipeline;

const FIN: u8 = 0x01;
const ACK: u8 = 0x10;

/// One printed line: microseconds of the day, whether the client sent it, flags, relative sequence
/// and acknowledgement numbers, window.
struct Line(u32, bool, u8, u32, u32, u16);

const SECOND: u32 = 14 * 3600 + 38;
const LINES: [Line; 3] = [
    Line(819_856, true, FIN | ACK, 1, 1, 65_535),
    Line(863_989, false, FIN | ACK, 1, 2, 2_920),
    Line(864_412, true, ACK, 2, 2, 65_535),
];

fn packet(line: &Line) -> Vec<u8> {
    let Line(_, from_client, flags, seq, ack, window) = *line;
    let (client, server) = (([192, 168, 0, 1], 1748u16), ([220, 181, 37, 55], 80u16));
    let (source, target) = if from_client { (client, server) } else { (server, client) };
    let mut bytes = vec![0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, 6, 0, 0];
    bytes.extend(source.0);
    bytes.extend(target.0);
    let sum = checksum(&bytes);
    bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    let mut tcp = Vec::new();
    tcp.extend(source.1.to_be_bytes());
    tcp.extend(target.1.to_be_bytes());
    tcp.extend(seq.to_be_bytes());
    tcp.extend(ack.to_be_bytes());
    tcp.extend([0x50, flags]);
    tcp.extend(window.to_be_bytes());
    tcp.extend([0; 4]);
    let pseudo = [&bytes[12..20], &[0, 6, 0, 20], &tcp[..]].concat();
    let sum = checksum(&pseudo);
    tcp[16..18].copy_from_slice(&sum.to_be_bytes());
    bytes.extend(tcp);
    bytes
}

fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let sum: u32 = words.sum();
    !((sum & 0xffff) + (sum >> 16)) as u16
}

/// The capture's bytes: pcap, microseconds, raw IP.
fn capture() -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65_535, 101] {
        bytes.extend(word.to_le_bytes());
    }
    for line in &LINES {
        let packet = packet(line);
        let length = packet.len() as u32;
        for word in [SECOND, line.0, length, length] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(packet);
    }
    bytes
}

/// The one connection of the committed capture, which is what its lines say.
pub fn history() -> History {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/windump-close.pcap");
    let bytes = capture();
    if std::env::var_os("FINWAIT_BLESS").is_some() {
        std::fs::write(&path, &bytes).expect("written");
    }
    assert!(std::fs::read(&path).expect("committed") == bytes, "FINWAIT_BLESS=1 writes it anew");
    let mut source = Source::open(&path).expect("a capture");
    let mut pipeline = Pipeline::new(Params::default(), CONNECTIONS_MAX, Vec::new());
    while let Ok(Some(packet)) = source.next_packet() {
        pipeline.packet(&packet);
    }
    pipeline.finish().0.remove(0)
}
