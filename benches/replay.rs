//! `cargo bench`: whole captures from the first byte to the last history, and the stages of the
//! way by themselves, over generated captures in a temporary folder.
//!
//! Each line is the median of several rounds. Compare lines of one run only: a machine that does
//! other work gives other times. Arguments choose benchmarks by a part of their name.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use finwait::capture::{self, LinkType, Source};
use finwait::decode::{Decoded, decode};
use finwait::flow::table::{Hasher, Places};
use finwait::history::archive::Archive;
use finwait::history::{History, Identity};
use finwait::infer::brief::{Blocks, Brief};
use finwait::infer::{Connection, Params};
use finwait::pipeline::Pipeline;
use finwait::time::Timestamp;
use finwait_capgen::{Options, Shape, write_files};

/// Packets of each capture that is replayed.
const PACKETS: u64 = 1_000_000;
/// Packets for the stages alone: few enough that all stay in the cache, so that work is measured
/// and not memory.
const PACKETS_SMALL: u64 = 20_000;
const ROUNDS: usize = 7;

fn main() {
    // Cargo adds `--bench`.
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let bench = Bench { wanted };
    let folder = Folder::new();
    for shape in Shape::ALL {
        let name = format!("replay/{}", shape.name());
        if bench.wants(&name) {
            let path = folder.capture(shape, PACKETS);
            let packets = replay(&path);
            bench.run(&name, packets, || replay(&path));
        }
    }
    if ["decode", "table", "brief", "replayed", "engine", "history"]
        .iter()
        .any(|name| bench.wants(name))
    {
        let packets = load(&folder.capture(Shape::Web, PACKETS_SMALL));
        stages(&bench, &packets);
    }
}

/// One packet, held in memory.
struct Packet {
    link: LinkType,
    data: Vec<u8>,
    orig_len: u32,
    ts: Timestamp,
    frame: u64,
}

impl Packet {
    fn decode(&self) -> Option<Decoded> {
        let Packet { link, data, orig_len, ts, frame } = self;
        decode(&capture::Packet::new(*link, data, *orig_len, *ts, *frame)).ok()
    }
}

/// The stages by themselves, each over what the one before gave.
fn stages(bench: &Bench, packets: &[Packet]) {
    let count = packets.len() as u64;
    bench.run("decode", count, || packets.iter().filter_map(Packet::decode).map(black_box).count());
    let decoded: Vec<Decoded> = packets.iter().filter_map(Packet::decode).collect();
    let (hasher, mut places) = (Hasher::default(), Places::default());
    let mut tuples = Vec::new();
    let mut owners = Vec::new();
    for Decoded { tuple, .. } in &decoded {
        let hash = hasher.hash(tuple);
        let owner = places.find(hash, |place| tuples[place as usize] == *tuple);
        owners.push(owner.unwrap_or(tuples.len() as u32) as usize);
        if owner.is_none() {
            tuples.push(*tuple);
            let others = tuples[..tuples.len() - 1].iter().map(|tuple| hasher.hash(tuple));
            places.add(hash, tuples.len() as u32 - 1, || others.zip(0..));
        }
    }
    bench.run("table", count, || {
        let find =
            |tuple| places.find(hasher.hash(tuple), |place| tuples[place as usize] == *tuple);
        decoded.iter().filter_map(|decoded| find(&decoded.tuple)).fold(0, |a, b| a ^ b)
    });
    briefs(bench, &decoded, &owners);
    let params = Params::default();
    let engine = || {
        let mut connections = vec![Connection::default(); tuples.len()];
        for (decoded, owner) in decoded.iter().zip(&owners) {
            connections[*owner].on_segment(decoded.sender, &decoded.segment, &params);
        }
        connections
    };
    bench.run("engine", count, engine);
    let (connections, until) =
        (engine(), decoded.last().map_or_else(Default::default, |last| last.segment.ts));
    let tuple = decoded[0].tuple;
    bench.run("history", count, || {
        let mut archive = Archive::default();
        for (id, connection) in connections.iter().enumerate() {
            let identity = Identity { id: id as u64, stream: 0, tuple, until };
            archive.push(&History::new(identity, connection, None));
        }
        archive
    });
}

/// The ordinary connections in brief, and what the engine makes of each in the end.
fn briefs(bench: &Bench, decoded: &[Decoded], owners: &[usize]) {
    let count = decoded.len() as u64;
    let run = || {
        let mut blocks = Blocks::default();
        let mut briefs: Vec<Option<Brief>> = Vec::new();
        for (Decoded { sender, segment, .. }, owner) in decoded.iter().zip(owners) {
            match briefs.get_mut(*owner) {
                None => briefs.push(Brief::begin(*sender, segment)),
                Some(Some(brief)) => {
                    black_box(brief.take(*sender, segment, &mut blocks));
                }
                Some(None) => {}
            }
        }
        (blocks, briefs)
    };
    bench.run("brief", count, run);
    let (blocks, briefs) = run();
    let (params, mut connection) = (Params::default(), Connection::default());
    bench.run("replayed", count, || {
        for brief in briefs.iter().flatten() {
            brief.replay(&blocks, &params, &mut connection);
        }
    });
}

/// A whole capture, from the file to the histories; returns how many packets there were.
fn replay(path: &Path) -> u64 {
    let mut source = Source::open(path).expect("the capture was just written");
    let mut pipeline = Pipeline::new(Params::default(), usize::MAX, ());
    while let Some(packet) = source.next_packet().expect("the capture is whole") {
        pipeline.packet(&packet);
    }
    let (_, archive, totals) = pipeline.close();
    assert_eq!(archive.len() as u64, totals.connections, "every connection is kept");
    totals.packets
}

fn load(path: &Path) -> Vec<Packet> {
    let mut source = Source::open(path).expect("the capture was just written");
    let mut packets = Vec::new();
    while let Some(packet) = source.next_packet().expect("the capture is whole") {
        let capture::Packet { frame, ts, link, data, orig_len, .. } = packet;
        packets.push(Packet { link, data: data.to_vec(), orig_len, ts, frame });
    }
    packets
}

/// Runs what was asked for and prints its times.
struct Bench {
    wanted: Vec<String>,
}

impl Bench {
    fn wants(&self, name: &str) -> bool {
        self.wanted.is_empty() || self.wanted.iter().any(|wanted| name.contains(wanted.as_str()))
    }

    fn run<T>(&self, name: &str, packets: u64, mut work: impl FnMut() -> T) {
        if !self.wants(name) {
            return;
        }
        let mut times: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let begun = Instant::now();
                black_box(work());
                begun.elapsed().as_nanos() as f64 / packets as f64
            })
            .collect();
        times.sort_by(f64::total_cmp);
        let (best, median) = (times[0], times[ROUNDS / 2]);
        let rate = 1000.0 / median;
        println!("{name:20} {median:8.1} ns/packet  {rate:7.2} M packets/s  (best {best:.1} ns)");
    }
}

/// A folder that goes when the benchmark ends.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        let path = std::env::temp_dir().join(format!("finwait-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("the temporary folder can be written");
        Folder(path)
    }

    fn capture(&self, shape: Shape, packets: u64) -> PathBuf {
        let path = self.0.join(format!("{}-{packets}.pcap", shape.name()));
        write_files(&Options::new(shape, packets), &path).expect("there is room for a capture");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Nothing depends on it.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
