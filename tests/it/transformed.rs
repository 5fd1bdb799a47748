//! Recordings of a real kernel as people hand them on: filtered, cut, stamped by another clock.
//! What a capture cannot tell any more must not be told as a fact.

use std::collections::BTreeSet;
use std::path::Path;

use finwait::capture::Merge;
use finwait::findings::Severity;
use finwait::infer::state::Basis;
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
        link = u32::from(packet.link.0);
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

#[test]
fn no_wait_is_counted_over_a_clock_that_was_set_back() {
    let leaks = |seconds: i64| {
        let analysis = analysis("leaks", "middle", |packets| {
            // For ten seconds of it; the rest of the recording is silence.
            let begin = packets[0].nanos;
            packets.retain(|it| it.nanos < begin + 10_000_000_000);
            let half = packets.len() / 2;
            packets[half..].iter_mut().for_each(|it| it.nanos -= seconds * 1_000_000_000);
        });
        let timers = analysis
            .archive
            .iter()
            .flat_map(|it| it.transitions)
            .filter(|it| it.basis == Basis::Timer);
        (found(&analysis, Severity::Warning), timers.count())
    };
    assert_eq!(leaks(0), (BTreeSet::new(), 0));
    assert_eq!(leaks(3600), (BTreeSet::from(["clock-step"]), 0));
}
