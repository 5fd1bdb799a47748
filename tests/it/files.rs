//! One capture in several files is one capture: cut in two, in any order, the answer is the same.

use std::path::{Path, PathBuf};

use finwait::capture::Merge;
use finwait::history::History;
use finwait::infer::Params;
use finwait::limits::CONNECTIONS_MAX;
use finwait::pipeline::{Pipeline, Sink};

#[derive(Default)]
struct Keep(Vec<History>);

impl Sink for Keep {
    fn finished(&mut self, history: History) {
        self.0.push(history);
    }
}

fn histories(paths: &[PathBuf]) -> Vec<History> {
    let mut source = Merge::open(paths).expect("captures");
    let mut pipeline = Pipeline::new(Params::default(), CONNECTIONS_MAX, Keep::default());
    while let Some(packet) = source.next_packet().expect("whole captures") {
        pipeline.packet(packet.link.0, packet.data, packet.orig_len, packet.ts, packet.frame);
    }
    let mut histories = pipeline.finish().0.0;
    histories.sort_by_key(|history| history.id);
    histories
}

/// Where the packet records of a little-endian pcap begin, and where the last one ends.
fn records(capture: &[u8]) -> Vec<usize> {
    let mut places = vec![24];
    while let Some(length) = places.last().and_then(|at| capture.get(at + 8..at + 12)) {
        let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]);
        places.push(places.last().copied().unwrap_or_default() + 16 + length as usize);
    }
    places
}

#[test]
fn a_capture_cut_in_two_is_one_capture() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/kernel");
    let folder = std::env::temp_dir().join(format!("finwait-split-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let names =
        ["demo", "four-segment-close", "port-reuse-after-reset", "peer-rebooted", "stale-syn"];
    for name in names {
        let whole = root.join(name).join("server.pcap");
        let capture = std::fs::read(&whole).expect("a capture");
        let expected = histories(&[whole]);
        let places = records(&capture);
        for at in &places {
            let (first, second) = (folder.join("1.pcap"), folder.join("2.pcap"));
            std::fs::write(&first, &capture[..*at]).expect("written");
            std::fs::write(&second, [&capture[..24], &capture[*at..]].concat()).expect("written");
            let one = histories(&[first.clone(), second.clone()]);
            assert_eq!(one, expected, "{name} cut at {at}");
            assert_eq!(histories(&[second, first]), expected, "{name} cut at {at}, exchanged");
        }
    }
    std::fs::remove_dir_all(&folder).expect("removed");
}
