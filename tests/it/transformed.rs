//! Recordings of a real kernel as people hand them on: filtered.
//! What a capture cannot tell any more must not be told as a fact.

use std::collections::BTreeSet;
use std::path::Path;

use finwait::capture::Merge;
use finwait::findings::Severity;
use finwait::flow::kinds::Only;
use finwait::report::paper::Paper;
use finwait::report::table;
use finwait::run::{Analysis, Options, read};

/// A packet that may be changed.
struct Packet {
    nanos: i64,
    data: Vec<u8>,
    orig_len: u32,
}

/// The packets of a recorded service, changed, as one capture.
fn analysis(service: &str, point: &str, change: impl FnOnce(&mut Vec<Packet>)) -> Analysis {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/services").join(service);
    let mut source = Merge::open(&[root.join(format!("{point}.pcap"))]).expect("a capture");
    let (mut packets, mut link) = (Vec::new(), 0);
    while let Some(packet) = source.next_packet().expect("whole") {
        let (nanos, data) = (packet.ts.as_nanos(), packet.data.to_vec());
        packets.push(Packet { nanos, data, orig_len: packet.orig_len });
        link = packet.link.0;
    }
    change(&mut packets);
    let mut bytes = 0xa1b2_3c4d_u32.to_le_bytes().to_vec();
    for word in [0x0004_0002, 0, 0, 262_144, link] {
        bytes.extend(u32::to_le_bytes(word));
    }
    for Packet { nanos, data, orig_len } in &packets {
        let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
        for word in [seconds as u32, rest as u32, data.len() as u32, *orig_len] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(data);
    }
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("changed.pcap");
    std::fs::write(&path, bytes).expect("written");
    read(&[path], &Options::default(), &mut ()).expect("a capture")
}

/// What is found at this severity or above.
fn found(analysis: &Analysis, least: Severity) -> BTreeSet<&'static str> {
    let single = analysis.findings.worst.values().flatten();
    let all = single.chain(&analysis.findings.grouped);
    all.filter(|finding| finding.severity >= least).map(|finding| finding.name).collect()
}

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;

/// The flags of a bare IPv4 packet's segment, and whether it has payload.
fn flags(packet: &Packet) -> (u8, bool) {
    let header = usize::from(packet.data[0] & 15) * 4;
    let total = usize::from(u16::from_be_bytes([packet.data[2], packet.data[3]]));
    let tcp = &packet.data[header..];
    (tcp[13], total > header + usize::from(tcp[12] >> 4) * 4)
}

/// The first line of the report.
fn verdict(analysis: &Analysis) -> String {
    let mut report = Vec::new();
    let paper = Paper { columns: 100, is_terminal: false };
    table::report(analysis, &[], &paper, &mut report).expect("a report");
    String::from_utf8(report).expect("text").lines().next().unwrap_or_default().to_owned()
}

#[test]
fn nothing_follows_from_what_a_filter_left_out() {
    let filtered = |service: &str, keep: &dyn Fn(u8, bool) -> bool| {
        let analysis = analysis(service, "middle", |packets| {
            packets.retain(|packet| {
                let (flags, has_data) = flags(packet);
                keep(flags, has_data)
            });
        });
        (analysis.totals.only(), found(&analysis, Severity::Warning), verdict(&analysis))
    };
    let resets = filtered("is-killed", &|flags, _| flags & RST > 0);
    assert_eq!(resets.0, Some(Only::Rst), "{}", resets.2);
    assert!(!resets.2.contains("never opened"), "{}", resets.2);
    let signals = filtered("makes-time-waits", &|flags, _| flags & (SYN | FIN | RST) > 0);
    // The data is missing, and that is all.
    let gap = BTreeSet::from(["capture-gap"]);
    assert_eq!((signals.0, &signals.1), (Some(Only::Signals), &gap), "{}", signals.2);
    let without = filtered("closes-slowly", &|flags, has_data| has_data || flags != 16);
    assert_eq!(without.0, Some(Only::NoBareAcks), "{}", without.2);
    // All of a flood, whose SYN+ACKs are repeated.
    let flood = filtered("is-flooded", &|flags, _| flags & SYN > 0);
    assert!(flood.1.contains("syn-flood"), "{flood:?}");
    let whole = filtered("makes-time-waits", &|_, _| true);
    assert_eq!(whole.0, None, "{}", whole.2);
}
