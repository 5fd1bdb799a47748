//! Real captures from public test suites, held against tshark's stream numbers and Zeek's words.
//!
//! The captures are not part of the repository. Where `FINWAIT_CORPUS` names their folder, or
//! `../shared/corpus` is there, every one of them is read to its end; elsewhere there is nothing
//! to do. `cargo test --test it corpus -- --nocapture` prints what differs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use finwait::capture::Merge;
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

/// Reads a capture to its end or its damage.
fn read(path: &Path) -> Result<(Vec<History>, Totals), String> {
    let mut source = Merge::open(&[path]).map_err(|error| error.to_string())?;
    let mut pipeline = Pipeline::new(Params::default(), CONNECTIONS_MAX, Keep::default());
    while let Ok(Some(packet)) = source.next_packet() {
        pipeline.packet(packet.link.0, packet.data, packet.orig_len, packet.ts, packet.frame);
    }
    let (Keep(mut histories), totals) = pipeline.finish();
    histories.sort_by_key(|history| history.id);
    Ok((histories, totals))
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
