//! Holds finwait's JSON Lines against the sidecar of a generated capture, class by class.
//!
//! A connection's class is told by the port of its server, so the check needs no order and no
//! numbers in common. Whatever differs is printed with the first connections that show it, and the
//! exit code is 1. What depends on a timer that ran out close to the capture's end may differ by
//! as many connections as the sidecar calls undecided.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::process::ExitCode;

use serde::Deserialize;
use serde::de::DeserializeOwned;

const USAGE: &str =
    "usage: capcheck CAPTURE.json [REPORT.jsonl]   (without REPORT: standard input)";
/// How many connections are named of each disagreement.
const EXAMPLES: usize = 5;

/// How many connections a word was said of.
type Words = BTreeMap<String, u64>;

#[derive(Deserialize)]
struct Truth {
    packets: u64,
    connections: u64,
    dropped: u64,
    classes: Vec<Class>,
}

#[derive(Deserialize)]
struct Class {
    name: String,
    server_port: u16,
    connections: u64,
    packets: u64,
    retransmitted: u64,
    undecided: u64,
    handshake: Words,
    close: Words,
    closed_first: Words,
    client: Words,
    server: Words,
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Connection {
    id: u64,
    client: Endpoint,
    server: Endpoint,
    frames: u64,
    handshake: Option<String>,
    close: Option<String>,
    closed_first: Option<String>,
    #[serde(rename = "final")]
    last: Last,
    client_sent: Sent,
    server_sent: Sent,
}

#[derive(Deserialize)]
struct Endpoint {
    port: u16,
}

#[derive(Deserialize)]
struct Last {
    client: String,
    server: String,
}

#[derive(Deserialize)]
struct Sent {
    retransmitted_segments: u64,
}

#[derive(Deserialize)]
struct Summary {
    packets: u64,
    connections: u64,
    complete: bool,
}

/// The report's words for one class, member by member, with the connections they were said of.
#[derive(Default)]
struct Seen {
    connections: u64,
    packets: u64,
    retransmitted: u64,
    swapped: Vec<u64>,
    members: [BTreeMap<String, (u64, Vec<u64>)>; 5],
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (sidecar, report) = match args.as_slice() {
        [sidecar] => (sidecar, None),
        [sidecar, report] => (sidecar, Some(report)),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(sidecar, report.map(String::as_str)) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            eprintln!("capcheck: {error}");
            ExitCode::from(2)
        }
    }
}

/// Returns how many disagreements there are.
fn run(sidecar: &str, report: Option<&str>) -> io::Result<usize> {
    let truth: Truth = parse(&std::fs::read_to_string(sidecar)?)?;
    if truth.dropped > 0 {
        return Err(io::Error::other(
            "packets were left out of that capture: it has no exact truth",
        ));
    }
    let input: Box<dyn BufRead> = match report {
        Some(path) => Box::new(BufReader::with_capacity(1 << 20, File::open(path)?)),
        None => Box::new(io::stdin().lock()),
    };
    let mut seen: BTreeMap<u16, Seen> = BTreeMap::new();
    let mut summary = None;
    for line in input.lines() {
        let line = line?;
        match parse::<Line>(&line)?.kind.as_str() {
            "connection" => add(&truth, &mut seen, &parse(&line)?),
            "summary" => summary = Some(parse::<Summary>(&line)?),
            _ => {}
        }
    }
    let summary = summary.ok_or_else(|| io::Error::other("the report has no summary line"))?;
    let mut wrong = compare_summary(&truth, &summary);
    let none = Seen::default();
    for class in &truth.classes {
        wrong += compare(class, seen.get(&class.server_port).unwrap_or(&none));
    }
    let known = |port: &u16| truth.classes.iter().any(|class| class.server_port == *port);
    for (port, seen) in seen.iter().filter(|(port, _)| !known(port)) {
        println!("port {port}: {} connections of no class", seen.connections);
        wrong += 1;
    }
    let verdict = if wrong == 0 { "agrees" } else { "DISAGREES" };
    println!("{} connections of {} classes: {verdict}", truth.connections, truth.classes.len());
    Ok(wrong)
}

fn parse<T: DeserializeOwned>(text: &str) -> io::Result<T> {
    serde_json::from_str(text).map_err(io::Error::other)
}

fn add(truth: &Truth, seen: &mut BTreeMap<u16, Seen>, connection: &Connection) {
    let known = |port: u16| truth.classes.iter().any(|class| class.server_port == port);
    let swapped = !known(connection.server.port) && known(connection.client.port);
    let port = if swapped { connection.client.port } else { connection.server.port };
    let seen = seen.entry(port).or_default();
    seen.connections += 1;
    seen.packets += connection.frames;
    let Connection { client_sent, server_sent, last, .. } = connection;
    seen.retransmitted += client_sent.retransmitted_segments + server_sent.retransmitted_segments;
    if swapped {
        seen.swapped.push(connection.id);
    }
    let words = [
        connection.handshake.as_deref(),
        connection.close.as_deref(),
        connection.closed_first.as_deref(),
        Some(last.client.as_str()),
        Some(last.server.as_str()),
    ];
    for (member, word) in seen.members.iter_mut().zip(words) {
        let (count, ids) = member.entry(word.unwrap_or("null").to_owned()).or_default();
        *count += 1;
        if ids.len() < EXAMPLES {
            ids.push(connection.id);
        }
    }
}

fn compare_summary(truth: &Truth, summary: &Summary) -> usize {
    let pairs = [
        ("packets", truth.packets, summary.packets),
        ("connections", truth.connections, summary.connections),
    ];
    let mut wrong =
        pairs.iter().map(|(what, truth, said)| differs("all", what, *truth, *said)).sum();
    if !summary.complete {
        println!("all: the report does not call itself complete");
        wrong += 1;
    }
    wrong
}

fn differs(class: &str, what: &str, truth: u64, said: u64) -> usize {
    if truth != said {
        println!("{class}: {what}: {said}, but the capture holds {truth}");
    }
    usize::from(truth != said)
}

/// Returns how many members disagree.
fn compare(class: &Class, seen: &Seen) -> usize {
    let name = class.name.as_str();
    let mut wrong = differs(name, "connections", class.connections, seen.connections);
    wrong += differs(name, "packets", class.packets, seen.packets);
    wrong += differs(name, "retransmitted", class.retransmitted, seen.retransmitted);
    if let [first, ..] = seen.swapped.as_slice() {
        println!("{name}: client and server swapped in {}, e.g. {first}", seen.swapped.len());
        wrong += 1;
    }
    let truths =
        [&class.handshake, &class.close, &class.closed_first, &class.client, &class.server];
    let names = ["handshake", "close", "closed_first", "final client", "final server"];
    for ((member, truth), said) in names.iter().zip(truths).zip(&seen.members) {
        if truth.contains_key("*") {
            continue;
        }
        let excess = |word: &String, (count, _): &(u64, Vec<u64>)| {
            count.saturating_sub(truth.get(word).copied().unwrap_or(0))
        };
        let moved: u64 = said.iter().map(|(word, count)| excess(word, count)).sum();
        let foreign =
            said.iter().any(|(word, _)| !truth.contains_key(word)) && class.undecided == 0;
        if moved > class.undecided || foreign {
            wrong += 1;
            println!("{name}: {member}: {moved} said otherwise; the capture holds {truth:?}");
            for (word, (count, ids)) in said {
                println!("    {word}: {count}, e.g. connections {ids:?}");
            }
        }
    }
    wrong
}
