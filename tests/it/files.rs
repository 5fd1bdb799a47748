//! One capture in several files is one capture: cut in twenty, compressed, in any order, overlapping,
//! the answer is the same. What is cut in two stands in `halves.rs`.

use std::io::Write;
use std::path::{Path, PathBuf};

use finwait::capture::Merge;
use finwait::history::History;
use finwait::infer::Params;
use finwait::limits::CONNECTIONS_MAX;
use finwait::pipeline::Pipeline;
use finwait::report::json::{self, Shape};
use finwait::report::paper::Paper;
use finwait::report::table;
use finwait::run::{Analysis, Options, read};

pub fn histories(paths: &[PathBuf]) -> Vec<History> {
    let mut source = Merge::open(paths).expect("captures");
    let mut pipeline = Pipeline::new(Params::default(), CONNECTIONS_MAX, Vec::new());
    while let Some(packet) = source.next_packet().expect("whole captures") {
        pipeline.packet(&packet);
    }
    let mut histories = pipeline.finish().0;
    histories.sort_by_key(|history| history.id);
    histories
}

/// Where the packet records of a little-endian pcap begin, and where the last one ends.
pub fn records(capture: &[u8]) -> Vec<usize> {
    let mut places = vec![24];
    while let Some(length) = places.last().and_then(|at| capture.get(at + 8..at + 12)) {
        let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]);
        places.push(places.last().copied().unwrap_or_default() + 16 + length as usize);
    }
    places
}

/// A folder that goes away with its value.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let name = format!("finwait-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).expect("written");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A capture in so many files, each as long as the others and overlapping with the next by so many
/// packets.
fn rotated(capture: &[u8], count: usize, overlap: usize) -> Vec<Vec<u8>> {
    let places = records(capture);
    let packets = places.len() - 1;
    let piece = |at: usize| {
        let begin = places[packets * at / count];
        let end = places[(packets * (at + 1) / count + overlap).min(packets)];
        [&capture[..24], &capture[begin..end]].concat()
    };
    (0..count).map(piece).collect()
}

/// What is said of a capture, in text and in JSON, but for the names of the files.
fn said(analysis: &Analysis) -> String {
    let (mut text, mut lines) = (Vec::new(), Vec::new());
    let paper = Paper { columns: 100, is_terminal: false };
    table::report(analysis, &[], &paper, &mut text).expect("written");
    json::report(analysis, Shape::Lines, &mut lines).expect("written");
    let text = String::from_utf8(text).expect("text");
    let lines = String::from_utf8(lines).expect("text");
    let is_about_files = |line: &&str| line.contains(" (pcap, ") || line.contains(" finwait ");
    let text = text.lines().filter(|line| !is_about_files(line) && !line.contains(" more"));
    text.chain(lines.lines().skip(1)).map(|line| format!("{line}\n")).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).expect("written");
    packer.finish().expect("written")
}

#[test]
fn a_shuffled_ring_of_compressed_files_is_the_one_capture() {
    let whole = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/kernel/demo/server.pcap");
    let capture = std::fs::read(&whole).expect("a capture");
    let analyse = |paths: &[PathBuf]| read(paths, &Options::default(), &mut ()).expect("captures");
    let expected = said(&analyse(&[whole]));
    let folder = Folder::new("ring");
    let pieces = rotated(&capture, 20, 0);
    let mut paths: Vec<PathBuf> = pieces
        .iter()
        .enumerate()
        .map(|(at, piece)| folder.write(&format!("ring.pcap{at}"), &gzip(piece)))
        .collect();
    for step in [7, 13, 19] {
        paths = (0..20).map(|at| paths[at * step % 20].clone()).collect();
        assert_eq!(said(&analyse(&paths)), expected);
    }
    let notes = folder.write("notes.txt", b"what we saw\n");
    let analysis = analyse(std::slice::from_ref(&folder.0));
    assert_eq!(said(&analysis), expected, "the folder");
    assert_eq!(analysis.left_out.len(), 1);
    assert!(analysis.left_out[0].starts_with(&*notes.to_string_lossy()));
    let printed = "14:00:38.819856 IP 1.1.1.1.5 > 2.2.2.2.80: Flags [.], ack 1, win 5, length 0\n";
    let printed = folder.write("printed.txt", printed.as_bytes());
    let analysis = analyse(std::slice::from_ref(&folder.0));
    assert_eq!(said(&analysis), expected, "a text beside captures may be notes");
    let told = analysis.left_out.iter().find(|it| it.starts_with(&*printed.to_string_lossy()));
    assert!(told.is_some_and(|it| it.contains("name the file itself")), "{told:?}");
    for piece in paths {
        std::fs::remove_file(piece).expect("removed");
    }
    let texts = analyse(std::slice::from_ref(&folder.0));
    assert_eq!((texts.totals.packets, texts.left_out.len()), (1, 1), "without captures it is one");
    folder.write("whole.pcap", &capture);
    let analysis = analyse(std::slice::from_ref(&folder.0));
    assert_eq!(said(&analysis), expected, "one capture beside other files");
}

#[test]
fn packets_of_two_overlapping_files_are_taken_once() {
    let whole = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/kernel/demo/server.pcap");
    let capture = std::fs::read(&whole).expect("a capture");
    let folder = Folder::new("overlap");
    let pieces = rotated(&capture, 5, 9);
    let paths: Vec<PathBuf> = pieces
        .iter()
        .enumerate()
        .map(|(at, piece)| folder.write(&format!("{at}.pcap"), piece))
        .collect();
    let analysis = read(&paths, &Options::default(), &mut ()).expect("captures");
    assert_eq!(analysis.repeated, 4 * 9);
    assert_eq!(histories(&paths), histories(&[whole]));
}
