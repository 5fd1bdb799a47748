//! What reading a capture costs at least: the stages of finwait, one on top of the other, and the
//! same bare loop over public crates, packet by packet and in batches.
//!
//! Times of two machines, or of two hours, cannot be compared; ratios of one run can. So each
//! stage does the work of the one before and a little more, all stages run in turn, and the median
//! of several rounds counts. `public` is the yardstick: any program that follows connections has
//! to find packets, parse their headers and find their connection in a table.

mod public;
mod stages;

use std::process::ExitCode;
use std::time::Instant;

/// What a stage has seen: that the work was done, and is the same as the other stages'.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Packets, 0 where the stage does not tell them apart.
    pub packets: u64,
    /// Four-tuples or connections, 0 where the stage does not know them.
    pub flows: u64,
}

/// Why a stage could not be done.
pub type Error = Box<dyn std::error::Error>;
type Stage = fn(&str) -> Result<Seen, Error>;

const STAGES: [(&str, &str, Stage); 9] = [
    ("read", "read() in pieces of 1 MiB", stages::read),
    ("packets", "finwait's reader", stages::packets),
    ("decode", "and its decoder", stages::decode),
    ("table", "and its table, a counter per flow", stages::table),
    ("pipeline", "and its connections, a record of each", stages::pipeline),
    ("archive", "and the history of each", stages::archive),
    ("public", "pcap-parser, etherparse, hashbrown, a counter per flow", public::table),
    (
        "batched",
        "the same in batches of 32, with an own table that is fetched ahead",
        public::batched,
    ),
    ("threads", "the same with the table in a second thread", public::in_two_threads),
];

fn main() -> ExitCode {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let mut rounds = 5;
    if args.first().is_some_and(|arg| arg == "-n") {
        rounds = args.get(1).and_then(|n| n.parse().ok()).unwrap_or(rounds).max(1);
        args.drain(..args.len().min(2));
    }
    let Some((file, names)) = args.split_first() else {
        eprintln!("usage: floor [-n ROUNDS] CAPTURE [STAGE...]\nstages, all without one:");
        for (name, what, _) in STAGES {
            eprintln!("  {name:10} {what}");
        }
        return ExitCode::from(2);
    };
    match run(file, names, rounds) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("floor: {file}: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(file: &str, names: &[String], rounds: usize) -> Result<(), Error> {
    let chosen = |name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    let stages: Vec<_> = STAGES.into_iter().filter(|(name, _, _)| chosen(name)).collect();
    if stages.is_empty() {
        return Err("no such stage".into());
    }
    let mut times = vec![Vec::new(); stages.len()];
    let mut seen = vec![Seen::default(); stages.len()];
    for _ in 0..rounds {
        for (at, (_, _, stage)) in stages.iter().enumerate() {
            let begun = Instant::now();
            seen[at] = stage(file)?;
            times[at].push(begun.elapsed().as_nanos() as f64);
        }
    }
    let packets = seen.iter().map(|seen| seen.packets).max().unwrap_or(0).max(1);
    println!("{:10} {:>10} {:>12} {:>12}  what", "stage", "ns/packet", "packets", "flows");
    for (at, (name, what, _)) in stages.iter().enumerate() {
        times[at].sort_by(f64::total_cmp);
        let median = times[at][times[at].len() / 2] / packets as f64;
        let Seen { packets, flows } = seen[at];
        println!("{name:10} {median:10.1} {packets:12} {flows:12}  {what}");
    }
    Ok(())
}
