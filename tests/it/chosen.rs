//! `extract` copies what a connection's story is made of: no segment less, none of another's, and
//! the copy tells the same story.

use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::Path;

use finwait::capture::{Merge, Source};
use finwait::decode::skip::Skip;
use finwait::extract::{self, Chosen, How};
use finwait::history::{History, Role};
use finwait::infer::state::State;
use finwait::run::{self, Analysis, Options, Until};

use crate::briefly::captures;

/// Connections of one capture that others shared their four-tuples with and that are looked at.
const LIVES_LOOKED_AT: usize = 6;

/// What must be the same of a connection: each end's last state, segments, and findings.
type Told = ([State; 2], u64, BTreeSet<&'static str>);

fn told(analysis: &Analysis, history: &History) -> Told {
    let states = Role::BOTH.map(|role| history.last_state(role));
    let findings = analysis.findings_of(history).iter().map(|finding| finding.name).collect();
    (states, history.frames, findings)
}

fn merge(name: &str, bytes: &[u8]) -> Merge {
    let reader = Box::new(Cursor::new(bytes.to_vec()));
    Merge::new(vec![Source::from_reader(name, reader).expect("a capture")])
}

/// The number of packets of a connection, and what the copy of them says of it.
fn extracted(name: &str, bytes: &[u8], analysis: &Analysis, id: u64) -> (u64, Vec<Told>) {
    let options = Options { threads: 1, ..Options::default() };
    let chosen = Chosen::new(analysis, |history| history.id == id);
    let frames = extract::find(merge(name, bytes), &options, &chosen);
    let mut copy = Vec::new();
    let how = How { format: None, decode_tunnels: false, mask: None, end: None };
    extract::copy(merge(name, bytes), &frames, how, &mut copy).expect("memory");
    // What a silence at the end says is to be the same.
    let until = analysis.totals.last_ts.map(Until::Time);
    let copied = run::analyse(merge(name, &copy), &Options { until, ..options }, &mut ());
    (frames.count(), copied.archive.iter().map(|history| told(&copied, &history)).collect())
}

/// Checks a connection that has its four-tuple for itself, and some of those that have not; returns
/// how many of each.
fn check(name: &str, bytes: &[u8]) -> [usize; 2] {
    let options = Options { threads: 1, ..Options::default() };
    let analysis = run::analyse(merge(name, bytes), &options, &mut ());
    let histories: Vec<History> = analysis.archive.iter().collect();
    let skipped = |why| analysis.totals.skipped.get(why) > 0;
    let has_more = [Skip::Duplicate, Skip::IcmpError, Skip::Fragment].into_iter().any(skipped);
    let is_alone =
        |one: &&History| histories.iter().filter(|it| it.tuple == one.tuple).count() == 1;
    let (alone, others): (Vec<_>, Vec<_>) = histories.iter().partition(is_alone);
    let looked_at = [(alone, 1), (others, LIVES_LOOKED_AT)];
    looked_at.map(|(mut histories, most)| {
        histories.truncate(most);
        for history in &histories {
            let (id, segments) = (history.id, history.frames);
            let (packets, copied) = extracted(name, bytes, &analysis, id);
            let is_all = packets == segments || has_more && packets > segments;
            assert!(is_all, "{name} {id}: {packets} packets of {segments} segments");
            match most {
                1 => assert_eq!(copied, [told(&analysis, history)], "{name} {id}"),
                // Without the other lives there are no findings about them.
                _ => assert_eq!(copied.iter().map(|it| it.1).sum::<u64>(), segments, "{name} {id}"),
            }
        }
        histories.len()
    })
}

#[test]
fn a_copy_has_all_segments_of_its_connection_and_tells_the_same() {
    let mut found = Vec::new();
    captures(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata"), &mut found);
    let mut checked = [0; 2];
    for path in found {
        if Source::open(&path).is_ok_and(|source| source.info().text.is_none()) {
            let bytes = std::fs::read(&path).expect("it was opened before");
            let some = check(&path.display().to_string(), &bytes);
            checked = [checked[0] + some[0], checked[1] + some[1]];
        }
    }
    let [alone, others] = checked;
    assert!(alone > 200 && others > 100, "{alone}, {others}");
}

/// The capture with a copy behind each packet, as one of two interfaces shows it.
fn doubled(bytes: &[u8]) -> Vec<u8> {
    let (header, mut rest) = bytes.split_at(24);
    let mut doubled = header.to_vec();
    while let Some(length) = rest.get(8..12) {
        let length = u32::from_le_bytes(length.try_into().expect("four bytes"));
        let (packet, behind) = rest.split_at(16 + length as usize);
        doubled.extend([packet, packet].concat());
        rest = behind;
    }
    doubled
}

#[test]
fn a_copy_goes_where_its_packet_goes() {
    for name in ["orphan-fin-wait-2-reuse-by-client", "time-wait-refused", "peer-rebooted"] {
        let path = format!("{}/testdata/kernel/{name}/client.pcap", env!("CARGO_MANIFEST_DIR"));
        let bytes = doubled(&std::fs::read(path).expect("a recording"));
        let options = Options { threads: 1, ..Options::default() };
        let analysis = run::analyse(merge(name, &bytes), &options, &mut ());
        assert!(analysis.archive.len() > 1);
        for history in analysis.archive.iter() {
            let (packets, copied) = extracted(name, &bytes, &analysis, history.id);
            assert_eq!(packets, 2 * history.frames, "{name} {}", history.id);
            assert_eq!(copied.iter().map(|it| it.1).sum::<u64>(), history.frames, "{name}");
        }
    }
}
