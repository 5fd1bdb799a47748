//! Real captures from public test suites, held against tshark's stream numbers and Zeek's words.
//!
//! The captures are not part of the repository. Where `FINWAIT_CORPUS` names their folder, or
//! `../shared/corpus` is there, every one of them is read to its end; elsewhere there is nothing
//! to do. `cargo test --test it corpus -- --nocapture` prints what differs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use finwait::capture::Merge;
use finwait::decode::segment::{Flags, Segment};
use finwait::decode::tuple::{End, FourTuple};
use finwait::history::{History, Role};
use finwait::infer::Params;
use finwait::limits::CONNECTIONS_MAX;
use finwait::pipeline::{Pipeline, Sink, Totals};
use serde_json::Value;

use crate::properties::assert_consistent;

#[derive(Default)]
struct Keep(Vec<History>);

impl Sink for Keep {
    fn finished(&mut self, history: History) {
        self.0.push(history);
    }
}

/// Connections whose word is not Zeek's: of one, Zeek's log ends before the connection does.
const ZEEK_DIFFERENCES: usize = 1;

fn corpus() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let named = std::env::var_os("FINWAIT_CORPUS").map(PathBuf::from);
    named.or(Some(beside)).filter(|folder| folder.join("index.tsv").exists())
}

/// The completeness of each stream.
#[derive(Default)]
struct Completeness(BTreeMap<u64, u64>);

impl Sink for Completeness {
    fn segment(&mut self, _: u64, stream: u32, _: &FourTuple, _: End, segment: &Segment) {
        let stream = u64::from(stream);
        let first = !self.0.contains_key(&stream);
        *self.0.entry(stream).or_default() |= bits(segment, first);
    }

    fn finished(&mut self, _: History) {}
}

/// Reads a capture to its end or its damage.
fn read(path: &Path) -> Result<(Vec<History>, Totals), String> {
    let (Keep(mut histories), totals) = read_into(path, Keep::default())?;
    histories.sort_by_key(|history| history.id);
    Ok((histories, totals))
}

fn read_into<S: Sink>(path: &Path, sink: S) -> Result<(S, Totals), String> {
    let mut source = Merge::open(&[path]).map_err(|error| error.to_string())?;
    let mut pipeline = Pipeline::new(Params::default(), CONNECTIONS_MAX, sink);
    while let Ok(Some(packet)) = source.next_packet() {
        pipeline.packet(packet.link.0, packet.data, packet.orig_len, packet.ts, packet.frame);
    }
    Ok(pipeline.finish())
}

fn verdicts(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The connections whose `stream` is not tshark's stream of the same endpoints.
fn misnumbered(histories: &[History], verdicts: &[Value]) -> Vec<String> {
    let streams: BTreeMap<u64, &Value> =
        verdicts.iter().filter_map(|line| Some((line["stream"].as_u64()?, line))).collect();
    let mut wrong = Vec::new();
    for history in histories {
        let Some(theirs) = streams.get(&u64::from(history.stream)) else {
            wrong.push(format!("stream {} is not tshark's", history.stream));
            continue;
        };
        let ends = Role::BOTH.map(|role| history.addr(role));
        let same = ["a", "b"].iter().all(|end| {
            let port = theirs[format!("{end}_port")].as_u64().unwrap_or_default() as u16;
            let addr = theirs[*end].as_str().unwrap_or_default();
            ends.iter().any(|e| e.port() == port && e.ip().to_string() == addr)
        });
        if !same || theirs["first_frame"].as_u64() > Some(history.first.frame) {
            wrong.push(format!("stream {} is {} to tshark", history.stream, theirs));
        }
    }
    wrong
}

#[test]
fn streams_are_wiresharks() {
    let Some(corpus) = corpus() else { return };
    let index = std::fs::read_to_string(corpus.join("index.tsv")).expect("an index");
    let (mut read_whole, mut refused, mut equal) = (0, 0, 0);
    let mut differing = BTreeSet::new();
    for line in index.lines().skip(1) {
        let columns: Vec<_> = line.split('\t').collect();
        let name = columns[0];
        let (histories, totals) = match read(&corpus.join(name)) {
            Ok(read) => read,
            Err(message) => {
                refused += 1;
                println!("{name}: {message}");
                continue;
            }
        };
        read_whole += 1;
        let theirs = verdicts(&corpus.join(format!("verdicts/{name}.tshark.jsonl")));
        let Some(streams) = theirs.first().and_then(|line| line["meta"]["streams"].as_u64()) else {
            continue;
        };
        for history in &histories {
            assert_consistent(name, history);
        }
        let wrong = misnumbered(&histories, &theirs);
        if streams == u64::from(totals.streams) && wrong.is_empty() {
            equal += 1;
            continue;
        }
        differing.insert(name.to_owned());
        let skipped: Vec<_> = totals.skipped.iter().collect();
        println!(
            "{name}: {} streams, tshark {streams}; skipped {skipped:?}; {}",
            totals.streams, columns[12]
        );
        for wrong in wrong.iter().take(3) {
            println!("    {}", wrong.chars().take(200).collect::<String>());
        }
    }
    println!("{read_whole} read, {refused} refused, {equal} with tshark's streams");
    let explained: BTreeSet<String> = include_str!("corpus-differences.tsv")
        .lines()
        .skip(1)
        .filter_map(|line| Some(line.split_once('\t')?.0.to_owned()))
        .collect();
    assert_eq!(differing, explained, "tests/corpus-differences.tsv lists the captures that differ");
}

/// Wireshark's completeness of a stream, from the segments that finwait takes for its connections:
/// 1 SYN, 2 SYN+ACK, 4 ACK without data, 8 data, 16 FIN, 32 RST. Wireshark counts a FIN and data
/// with ACK only, and of a stream's first packet nothing but a SYN, with or without
/// ACK.
fn bits(segment: &Segment, first: bool) -> u64 {
    let has = |flag| segment.has(flag);
    let acked = has(Flags::ACK) && !has(Flags::SYN);
    if first {
        return u64::from(has(Flags::SYN)) << u8::from(has(Flags::ACK));
    }
    [
        (1, has(Flags::SYN) && !has(Flags::ACK)),
        (2, has(Flags::SYN | Flags::ACK)),
        (4, acked && segment.payload == 0),
        (8, acked && segment.payload > 0),
        (16, acked && has(Flags::FIN)),
        (32, has(Flags::RST)),
    ]
    .iter()
    .filter(|(_, seen)| *seen)
    .map(|(bit, _)| bit)
    .sum()
}

#[test]
fn completeness_is_wiresharks() {
    let Some(corpus) = corpus() else { return };
    let mut agree = 0;
    let mut differing = BTreeSet::new();
    for name in captures(&corpus) {
        let Ok((completeness, _)) = read_into(&corpus.join(&name), Completeness::default()) else {
            continue;
        };
        let Completeness(completeness) = completeness;
        for line in verdicts(&corpus.join(format!("verdicts/{name}.tshark.jsonl"))) {
            let (Some(stream), Some(theirs)) =
                (line["stream"].as_u64(), line["completeness"].as_u64())
            else {
                continue;
            };
            let Some(ours) = completeness.get(&stream).copied() else { continue };
            if ours == theirs {
                agree += 1;
            } else {
                differing.insert(format!("{name}\t{stream}"));
                println!("{name} stream {stream}: {ours} where tshark says {theirs}");
            }
        }
    }
    println!("{agree} agree, {} differ", differing.len());
    let explained: BTreeSet<String> = include_str!("completeness-differences.tsv")
        .lines()
        .skip(1)
        .filter_map(|line| Some(line.rsplit_once('\t')?.0.to_owned()))
        .collect();
    assert_eq!(differing, explained, "tests/it/completeness-differences.tsv lists what differs");
}

/// The captures of the index.
fn captures(corpus: &Path) -> Vec<String> {
    let index = std::fs::read_to_string(corpus.join("index.tsv")).expect("an index");
    let names = index.lines().skip(1).filter_map(|line| line.split('\t').next());
    names.map(str::to_owned).collect()
}

#[test]
fn conn_states_are_zeeks() {
    let Some(corpus) = corpus() else { return };
    let (mut agree, mut differ) = (0, 0);
    let Ok(folder) = std::fs::read_dir(corpus.join("verdicts")) else { return };
    let mut files: Vec<_> = folder.flatten().map(|entry| entry.path()).collect();
    files.sort();
    for path in files {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(name) = file.strip_suffix(".zeek.jsonl") else { continue };
        let Ok((histories, _)) = read(&corpus.join(name)) else { continue };
        let lines = verdicts(&path);
        // Zeek's timers cut some connections in several; those have no one word.
        let whole = |stream: &Value| {
            let own = |line: &&Value| {
                line["tshark_streams"].as_array().is_some_and(|s| s.contains(stream))
            };
            lines.iter().filter(own).count() == 1
        };
        for line in &lines {
            let (Some(state), Some(streams)) =
                (line["conn_state"].as_str(), line["tshark_streams"].as_array())
            else {
                continue;
            };
            let [stream] = &streams[..] else { continue };
            if !whole(stream) {
                continue;
            }
            let stream = stream.as_u64().unwrap_or_default();
            let Some(ours) = histories.iter().find(|h| u64::from(h.stream) == stream) else {
                continue;
            };
            if ours.zeek.name() == state {
                agree += 1;
            } else {
                differ += 1;
                println!(
                    "{name} stream {stream}: {} where Zeek says {state} {}",
                    ours.zeek, line["history"]
                );
            }
        }
    }
    println!("{agree} agree, {differ} differ");
    assert!(differ <= ZEEK_DIFFERENCES, "{differ} connections have another word than Zeek's");
}
