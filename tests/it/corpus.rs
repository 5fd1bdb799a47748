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
use finwait::infer::{Params, RolesFrom};
use finwait::limits::CONNECTIONS_MAX;
use finwait::pipeline::{Pipeline, Sink, Totals};
use serde_json::Value;

use crate::properties::assert_consistent;
use crate::text;

/// The captures whose streams are not tshark's.
pub const STREAMS: &str = include_str!("corpus-differences.tsv");
/// The streams whose completeness is not tshark's.
pub const COMPLETENESS: &str = include_str!("completeness-differences.tsv");
/// The connections whose word is not Zeek's.
pub const ZEEK: &str = include_str!("zeek-differences.tsv");

/// The rows of a table of differences.
pub fn table(text: &str) -> Vec<Vec<&str>> {
    text.lines().skip(1).map(|line| line.split('\t').collect()).collect()
}

/// The folder of public captures, where there is one.
pub fn corpus() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let named = std::env::var_os("FINWAIT_CORPUS").map(PathBuf::from);
    named.or(Some(beside)).filter(|folder| folder.join("index.tsv").exists())
}

/// Wireshark's completeness of each stream, as the histories on it imply it: 1 SYN, 2 SYN+ACK,
/// 4 ACK without data, 8 data, 16 FIN, 32 RST; and how many segments it has.
#[derive(Default)]
struct Completeness(BTreeMap<u64, (u64, u64)>);

impl Completeness {
    fn add(&mut self, stream: u32, bit: u64, seen: bool) {
        self.0.entry(u64::from(stream)).or_default().0 |= bit * u64::from(seen);
    }

    /// As Wireshark gives it: of a stream of one packet it counts a SYN only.
    fn as_shown(&self, stream: u64) -> Option<u64> {
        let (seen, segments) = self.0.get(&stream)?;
        Some(if *segments == 1 && seen & 1 == 0 { 0 } else { *seen })
    }
}

impl Sink for Completeness {
    /// A history counts no ACKs, and keeps SYN and SYN+ACK together, and FINs with those without
    /// ACK that scanners send.
    fn segment(&mut self, _: u64, stream: u32, _: &FourTuple, _: End, segment: &Segment) {
        let acks = segment.has(Flags::ACK) && !segment.has(Flags::SYN);
        self.add(stream, 2, segment.has(Flags::SYN | Flags::ACK));
        self.add(stream, 4, acks && segment.payload == 0);
        self.add(stream, 16, acks && segment.has(Flags::FIN));
        self.0.entry(u64::from(stream)).or_default().1 += 1;
    }

    fn finished(&mut self, history: History) {
        let [client, server] = Role::BOTH.map(|role| history.side(role).tally);
        let stream = history.stream;
        self.add(stream, 1, history.roles_from == RolesFrom::Syn);
        self.add(stream, 8, client.bytes + server.bytes > 0);
        self.add(stream, 32, client.resets + server.resets > 0);
    }
}

/// Reads a capture to its end or its damage.
fn read(path: &Path) -> Result<(Vec<History>, Totals), String> {
    let (mut histories, totals) = read_into(path, Vec::new())?;
    histories.sort_by_key(|history| history.id);
    Ok((histories, totals))
}

fn read_into<S: Sink>(path: &Path, sink: S) -> Result<(S, Totals), String> {
    let mut source = Merge::open(&[path]).map_err(|error| error.to_string())?;
    let pipeline = Pipeline::new(Params::default(), CONNECTIONS_MAX, sink);
    let mut pipeline = pipeline.decoding_tunnels();
    while let Ok(Some(packet)) = source.next_packet() {
        pipeline.packet(&packet);
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
        let meta = |key: &str| theirs.first()?["meta"][key].as_u64();
        let (Some(streams), Some(quoted)) = (meta("streams"), meta("quoted_tcp")) else { continue };
        if theirs[0]["meta"]["filetype"].is_null() && streams == 0 {
            // tshark cannot read it.
            continue;
        }
        for history in &histories {
            assert_consistent(name, history);
        }
        let wrong = misnumbered(&histories, &theirs);
        // Numbers that only segments quoted by ICMP errors have are not among theirs.
        if (streams..=streams + quoted).contains(&totals.streams.into()) && wrong.is_empty() {
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
    let explained: BTreeSet<String> = table(STREAMS).iter().map(|row| row[0].to_owned()).collect();
    assert_eq!(
        differing, explained,
        "tests/it/corpus-differences.tsv lists the captures that differ"
    );
}

#[test]
fn completeness_is_wiresharks() {
    let Some(corpus) = corpus() else { return };
    let mut agree = 0;
    let mut differing = BTreeSet::new();
    // Where the streams differ, a number says nothing of one of them.
    let renumbered: BTreeSet<_> = table(STREAMS).iter().map(|row| row[0]).collect();
    for name in captures(&corpus).iter().filter(|name| !renumbered.contains(name.as_str())) {
        let Ok((completeness, _)) = read_into(&corpus.join(name), Completeness::default()) else {
            continue;
        };
        for line in verdicts(&corpus.join(format!("verdicts/{name}.tshark.jsonl"))) {
            let (Some(stream), Some(theirs)) =
                (line["stream"].as_u64(), line["completeness"].as_u64())
            else {
                continue;
            };
            let Some(ours) = completeness.as_shown(stream) else { continue };
            if ours == theirs {
                agree += 1;
            } else {
                differing.insert(format!("{name}\t{stream}\t{ours}\t{theirs}"));
            }
        }
    }
    println!("{agree} agree, {} differ", differing.len());
    let explained: BTreeSet<String> =
        table(COMPLETENESS).iter().map(|row| row[..4].join("\t")).collect();
    let amiss: Vec<_> = differing.symmetric_difference(&explained).collect();
    assert!(amiss.is_empty(), "completeness-differences.tsv is to list these, or not: {amiss:#?}");
}

/// The captures of the index.
fn captures(corpus: &Path) -> Vec<String> {
    let index = std::fs::read_to_string(corpus.join("index.tsv")).expect("an index");
    let names = index.lines().skip(1).filter_map(|line| line.split('\t').next());
    names.map(str::to_owned).collect()
}

/// Every text whose capture is there tells what the capture tells, but for what the text leaves
/// out; those that were found as text only are read without a line that is not understood.
#[test]
fn texts_tell_what_their_captures_tell() {
    let Some(corpus) = corpus() else { return };
    let Ok(index) = std::fs::read_to_string(corpus.join("text/index.tsv")) else { return };
    let mut equal = 0;
    let mut differing = BTreeSet::new();
    for line in index.lines().skip(1) {
        let columns: Vec<_> = line.split('\t').collect();
        let text = text::Read::file(&corpus.join("text").join(columns[0]));
        let text = text.unwrap_or_else(|error| panic!("{error}"));
        if columns[3] == "-" {
            assert!(text.totals.segments > 0, "{}", columns[0]);
            let mut skipped = text.totals.skipped.iter();
            assert!(skipped.all(|(why, _)| why == "not-tcp"), "{}", columns[0]);
            continue;
        }
        let Ok(capture) = text::Read::file(&corpus.join(columns[3])) else { continue };
        match text::difference(&text, &capture) {
            None => equal += 1,
            Some(what) => {
                println!("{}: {}", columns[0], what.chars().take(300).collect::<String>());
                differing.insert(columns[0].to_owned());
            }
        }
    }
    println!("{equal} equal, {} differ", differing.len());
    let explained: BTreeSet<String> = include_str!("text-differences.tsv")
        .lines()
        .skip(1)
        .filter_map(|line| Some(line.split_once('\t')?.0.to_owned()))
        .collect();
    assert_eq!(differing, explained, "tests/it/text-differences.tsv lists the texts that differ");
}

#[test]
fn conn_states_are_zeeks() {
    let Some(corpus) = corpus() else { return };
    let mut agree = 0;
    let mut differing = BTreeSet::new();
    let Ok(folder) = std::fs::read_dir(corpus.join("verdicts")) else { return };
    let mut files: Vec<_> = folder.flatten().map(|entry| entry.path()).collect();
    files.sort();
    for path in files {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(name) = file.strip_suffix(".zeek.jsonl") else { continue };
        let Ok((histories, _)) = read(&corpus.join(name)) else { continue };
        let lines = verdicts(&path);
        // Zeek's timers cut some connections in several, and several of its published results are
        // of one capture; where they differ, there is no one word.
        let is_agreed = |stream: &Value| {
            let own = |line: &&Value| {
                line["tshark_streams"].as_array().is_some_and(|s| s.contains(stream))
            };
            let states: BTreeSet<_> =
                lines.iter().filter(own).map(|line| line["conn_state"].as_str()).collect();
            states.len() == 1
        };
        for line in &lines {
            let (Some(state), Some(streams)) =
                (line["conn_state"].as_str(), line["tshark_streams"].as_array())
            else {
                continue;
            };
            let [stream] = &streams[..] else { continue };
            if !is_agreed(stream) {
                continue;
            }
            let stream = stream.as_u64().unwrap_or_default();
            let Some(ours) = histories.iter().find(|h| u64::from(h.stream) == stream) else {
                continue;
            };
            if ours.zeek.name() == state {
                agree += 1;
            } else {
                differing.insert(format!("{name}\t{stream}\t{}\t{state}", ours.zeek));
            }
        }
    }
    println!("{agree} agree, {} differ", differing.len());
    let explained: BTreeSet<String> = table(ZEEK).iter().map(|row| row[..4].join("\t")).collect();
    let amiss: Vec<_> = differing.symmetric_difference(&explained).collect();
    assert!(amiss.is_empty(), "zeek-differences.tsv is to list these, or not: {amiss:#?}");
}
