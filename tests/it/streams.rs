//! Wireshark's stream numbers where it takes them for headers of which no segment comes: quoted by
//! ICMP errors, broken, or in a fragment that was cut. tshark is asked again where it is installed.

use std::collections::BTreeMap;
use std::process::Command;

use finwait::capture::{LinkType, Packet};
use finwait::decode::segment::Segment;
use finwait::decode::tuple::{End, FourTuple};
use finwait::infer::Params;
use finwait::limits::CONNECTIONS_MAX;
use finwait::pipeline::{Pipeline, Sink};
use finwait::time::Timestamp;

const SYN: u8 = 2;
const ACK: u8 = 16;
const TCP: u8 = 6;
const ICMP: u8 = 1;

/// The stream of the first frame of each connection.
#[derive(Default)]
struct Streams(BTreeMap<u64, u32>);

impl Sink for Streams {
    fn segment(&mut self, _: u64, stream: u32, _: &FourTuple, _: End, segment: &Segment) {
        self.0.insert(segment.frame, stream);
    }
}

fn ip(protocol: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let [high, low] = (payload.len() as u16 + 20).to_be_bytes();
    let [more, offset] = fragment.to_be_bytes();
    let mut header = vec![0x45, 0, high, low, 0, 7, more, offset, 64, protocol, 0, 0];
    header.extend([10, 0, 0, 1, 10, 0, 0, 2]);
    [header, payload.to_vec()].concat()
}

fn tcp(port: u16, seq: u8, flags: u8) -> Vec<u8> {
    let [high, low] = port.to_be_bytes();
    vec![high, low, 0, 80, 0, 0, 0, seq, 0, 0, 0, 1, 0x50, flags, 1, 0, 0, 0, 0, 0]
}

fn syn(port: u16, seq: u8) -> Vec<u8> {
    ip(TCP, 0, &tcp(port, seq, SYN))
}

/// An ICMP error that quotes so many bytes of a SYN's header.
fn quote(port: u16, seq: u8, bytes: usize) -> Vec<u8> {
    let quoted = &syn(port, seq)[..20 + bytes];
    ip(ICMP, 0, &[&[3, 3, 0, 0, 0, 0, 0, 0], quoted].concat())
}

/// A segment whose header has this length in words.
fn with_header(port: u16, words: u8) -> Vec<u8> {
    let mut tcp = tcp(port, 9, ACK);
    tcp[12] = words << 4;
    ip(TCP, 0, &tcp)
}

/// Packets with their length on the wire, if it is more, and the streams of their segments.
fn packets() -> Vec<(Vec<u8>, usize, Option<u32>)> {
    let whole = |packet: Vec<u8>, stream| (packet, 0, stream);
    let mut first_part = ip(TCP, 0x2000, &[tcp(1030, 1, ACK), vec![0; 260]].concat());
    first_part.truncate(52);
    let cut = |kept: usize| {
        let data = ip(TCP, 0, &[tcp(1040 + kept as u16, 1, ACK), vec![0; 80]].concat());
        (data[..20 + kept].to_vec(), 120, None)
    };
    vec![
        whole(quote(1001, 100, 8), None), // too little for a number
        whole(quote(1002, 100, 20), None),
        whole(syn(1003, 5), Some(1)),
        whole(syn(1001, 100), Some(2)),
        whole(syn(1002, 77), Some(0)), // quoted before, whatever its number
        whole(syn(1004, 5), Some(3)),
        whole(quote(1004, 5, 20), None),
        whole(quote(1004, 90, 16), None), // another SYN is another stream
        whole(syn(1005, 5), Some(5)),
        whole(with_header(1006, 4), None),
        whole(with_header(1007, 10), None),
        whole(syn(1008, 5), Some(8)),
        (first_part, 300, None),
        whole(syn(1009, 5), Some(10)),
        cut(15),
        whole(syn(1010, 5), Some(11)),
        cut(16),
        whole(syn(1011, 5), Some(13)),
    ]
}

#[test]
fn what_is_seen_of_a_segment_takes_a_number_as_in_wireshark() {
    let mut pipeline = Pipeline::new(Params::default(), CONNECTIONS_MAX, Streams::default());
    let mut expected = BTreeMap::new();
    for (frame, (data, length, stream)) in (1..).zip(packets()) {
        let ts = Timestamp::from_nanos(frame as i64 * 1_000_000);
        let length = data.len().max(length) as u32;
        pipeline.packet(&Packet::new(LinkType::RAW, &data, length, ts, frame));
        expected.extend(stream.map(|stream| (frame, stream)));
    }
    let (Streams(streams), totals) = pipeline.finish();
    assert_eq!(streams, expected);
    assert_eq!(totals.streams, 14);
}

#[test]
fn tshark_says_the_same() {
    let mut bytes = 0xa1b2_c3d4_u32.to_le_bytes().to_vec();
    bytes.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 101, 0, 0, 0]);
    for (at, (data, length, _)) in packets().iter().enumerate() {
        for word in [1000, at * 1000, data.len(), data.len().max(*length)] {
            bytes.extend((word as u32).to_le_bytes());
        }
        bytes.extend(data);
    }
    let path = std::env::temp_dir().join(format!("finwait-streams-{}.pcap", std::process::id()));
    std::fs::write(&path, bytes).expect("written");
    let mut command = Command::new("tshark");
    command.args(["-2", "-n", "-T", "fields", "-e", "tcp.stream", "-r"]).arg(&path);
    let said = command.output();
    std::fs::remove_file(&path).expect("removed");
    let Ok(said) = said else { return };
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    for (line, (frame, (_, _, stream))) in said.lines().zip((1..).zip(packets())) {
        let theirs = line.parse().ok();
        assert!(stream.is_none() || stream == theirs, "frame {frame}: {theirs:?}, not {stream:?}");
    }
}
