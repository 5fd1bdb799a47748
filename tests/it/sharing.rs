//! The number of threads does not show: each follows its share of the four-tuples, and what they
//! know together is what one knows that follows all.

use std::path::{Path, PathBuf};

use finwait::capture::Merge;
use finwait::report::json::{self, Shape};
use finwait::run::{Analysis, Options, read};

use crate::corpus::corpus;
use crate::files::{Folder, records};

/// What is said of a capture by so many threads.
fn said(path: &Path, options: &Options, threads: usize) -> Option<String> {
    let options = Options { threads, ..options.clone() };
    let analysis = read(&[path], &options, &mut ()).ok()?;
    let mut lines = Vec::new();
    json::report(&analysis, Shape::Lines, &mut lines).expect("written");
    let Analysis { totals, cuts, errors, .. } = &analysis;
    let rest = format!("{:?} {cuts:?} {errors:?}", totals.skipped);
    Some(String::from_utf8(lines).expect("text") + &rest)
}

#[track_caller]
fn assert_that_threads_agree(path: &Path, options: &Options) {
    let one = said(path, options, 1);
    for threads in [2, 16] {
        assert!(said(path, options, threads) == one, "{}: {threads} threads", path.display());
    }
}

fn recordings() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/kernel");
    let folders = std::fs::read_dir(root).expect("recordings");
    let all = folders.filter_map(|folder| Some(folder.ok()?.path().join("middle.pcap")));
    let mut all: Vec<_> = all.filter(|path| path.exists()).collect();
    all.sort();
    all
}

/// All recordings of bare IP packets as if they had been made at the same time, in Ethernet frames,
/// with addresses of their own or all with the same.
fn all_at_once(has_own_addresses: bool) -> Vec<u8> {
    let (mut header, mut packets) = (Vec::new(), Vec::new());
    for (number, path) in (0_u8..=u8::MAX).zip(&recordings()) {
        let capture = std::fs::read(path).expect("a capture");
        let mut merge = Merge::open(&[path]).expect("a capture");
        let mut first = None;
        while let Some(packet) = merge.next_packet().expect("a packet") {
            if packet.link.0 != 101 || packet.data[0] != 0x45 {
                break;
            }
            header = capture[..24].to_vec();
            let nanos = packet.ts.since(*first.get_or_insert(packet.ts)).as_nanos();
            let mut data = packet.data.to_vec();
            if has_own_addresses {
                (data[13], data[17]) = (number, number);
            }
            let frame = [&[0; 12][..], &[8, 0], &data].concat();
            packets.push((nanos, number, packet.orig_len + 14, frame));
        }
    }
    packets.sort_by_key(|(nanos, number, ..)| (*nanos, *number));
    let mut file = header;
    file[20] = 1;
    for (nanos, _, orig_len, data) in packets {
        let (seconds, nanos) = ((nanos / 1_000_000_000) as u32, (nanos % 1_000_000_000) as u32);
        let numbers = [seconds + 1_000, nanos, data.len() as u32, orig_len];
        numbers.iter().for_each(|number| file.extend(number.to_le_bytes()));
        file.extend(data);
    }
    file
}

#[test]
fn the_number_of_threads_does_not_show_in_what_is_said_of_many_connections() {
    let folder = Folder::new("sharing");
    for has_own_addresses in [true, false] {
        let path = folder.write("all.pcap", &all_at_once(has_own_addresses));
        assert_that_threads_agree(&path, &Options::default());
        let analysis = read(&[&path], &Options::default(), &mut ()).expect("a capture");
        assert!(analysis.totals.connections > 500, "{}", analysis.totals.connections);
        for connections_max in [5, 100] {
            let bounded = Options { connections_max, ..Options::default() };
            assert_that_threads_agree(&path, &bounded);
        }
    }
}

/// Where a capture ends while SYNs of several four-tuples wait for their answers, these end in the
/// order in which their four-tuples began.
#[test]
fn the_number_of_threads_does_not_show_wherever_a_capture_ends() {
    let folder = Folder::new("sharing-ends");
    let whole = all_at_once(true);
    let places = records(&whole);
    for part in 1..40 {
        let end = places[places.len() * part / 40];
        let path = folder.write("part.pcap", &whole[..end]);
        let said = |threads| said(&path, &Options::default(), threads);
        assert!(said(2) == said(1), "{part} of 40");
    }
}

#[test]
fn the_number_of_threads_does_not_show_in_what_is_said_of_recordings() {
    for path in recordings() {
        assert_that_threads_agree(&path, &Options::default());
    }
}

#[test]
fn the_number_of_threads_does_not_show_in_what_is_said_of_the_corpus() {
    let Some(corpus) = corpus() else { return };
    let files = std::fs::read_dir(corpus).expect("captures");
    // Of all formats only pcap is shared out.
    let is_pcap = |path: &PathBuf| !path.to_string_lossy().contains(".pcapng");
    for path in files.filter_map(|file| Some(file.ok()?.path())).filter(is_pcap) {
        for decode_tunnels in [false, true] {
            assert_that_threads_agree(&path, &Options { decode_tunnels, ..Options::default() });
        }
    }
}
