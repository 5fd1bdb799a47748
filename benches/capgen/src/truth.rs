//! What a capture holds, counted while it is written: the answer that a reader must come to.
//!
//! Some outcomes depend on how long the capture goes on: a TIME_WAIT that has lasted 60 seconds is
//! CLOSED. Each such connection leaves a [`Pending`] timer, and the capture's end decides. Where
//! it falls so close to the timer that a reader may well see it otherwise, the connection counts as
//! undecided.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

/// How a connection ends up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How it opened.
    pub handshake: &'static str,
    /// How it closed; none where it never opened.
    pub close: Option<&'static str>,
    /// Who closed first.
    pub closed_first: Option<&'static str>,
    /// The client's last state.
    pub client: &'static str,
    /// The server's last state.
    pub server: &'static str,
}

/// What a timer changes in an outcome.
#[derive(Clone, Copy, Debug)]
pub struct Later {
    /// How it closed, then.
    pub close: Option<&'static str>,
    /// The client's state, then.
    pub client: &'static str,
    /// The server's state, then.
    pub server: &'static str,
    /// Nanoseconds for which the timer may be seen to run longer or shorter.
    pub doubt: u64,
}

/// A kind of connection.
#[derive(Clone, Copy, Debug)]
pub struct Class {
    /// Its name.
    pub name: &'static str,
    /// How many of a thousand connections are of it.
    pub weight: u64,
    /// The outcome.
    pub outcome: Outcome,
    /// The outcome after its timer, if it has one.
    pub later: Option<Later>,
}

/// The port of the class's server: by it every tool's output can be sorted by class.
pub fn server_port(class: usize) -> u16 {
    8000 + class as u16
}

/// A timer that decides an outcome.
#[derive(Clone, Copy, Debug)]
pub struct Pending {
    class: u32,
    deadline: u64,
}

#[derive(Clone, Debug, Default)]
struct Count {
    connections: u64,
    packets: u64,
    retransmitted: u64,
    superseded: u64,
    timed: u64,
}

/// The counts.
#[derive(Clone, Debug)]
pub struct Truth {
    classes: &'static [Class],
    counts: Vec<Count>,
    pending: Vec<Pending>,
    /// Packets written.
    pub packets: u64,
    /// Packets left out on purpose.
    pub dropped: u64,
    /// The first packet's time.
    pub first: Option<u64>,
    /// The last packet's time.
    pub last: u64,
}

impl Truth {
    /// Nothing counted yet.
    pub fn new(classes: &'static [Class]) -> Truth {
        Truth {
            classes,
            counts: vec![Count::default(); classes.len()],
            pending: Vec::new(),
            packets: 0,
            dropped: 0,
            first: None,
            last: 0,
        }
    }

    /// A connection begins.
    pub fn begin(&mut self, class: usize) {
        self.counts[class].connections += 1;
    }

    /// A packet of it.
    pub fn packet(&mut self, class: usize, again: bool) {
        self.counts[class].packets += 1;
        self.counts[class].retransmitted += u64::from(again);
    }

    /// Its script is over, and a timer runs until `deadline`.
    pub fn wait(&mut self, class: usize, deadline: u64) {
        self.pending.push(Pending { class: class as u32, deadline });
    }

    /// Its script is over, and another connection will follow on the four-tuple.
    pub fn supersede(&mut self, class: usize) {
        self.counts[class].superseded += 1;
    }

    /// Connections begun.
    pub fn connections(&self) -> u64 {
        self.counts.iter().map(|count| count.connections).sum()
    }

    /// The sidecar file; `head` are members to begin with, each followed by a comma.
    pub fn json(mut self, head: &str) -> String {
        let mut undecided = vec![0_u64; self.classes.len()];
        for Pending { class, deadline } in std::mem::take(&mut self.pending) {
            let class = class as usize;
            self.counts[class].timed += u64::from(self.last >= deadline);
            let doubt = self.classes[class].later.map_or(0, |later| later.doubt);
            undecided[class] += u64::from(self.last.abs_diff(deadline) <= doubt);
        }
        let sum = |of: fn(&Count) -> u64| self.counts.iter().map(of).sum::<u64>();
        let mut json = format!(
            "{{{head}\n\"packets\":{},\"connections\":{},\"reused\":{},\"retransmitted\":{},\
             \"dropped\":{},\n\"first_ns\":{},\"last_ns\":{},\n\"classes\":[",
            self.packets,
            self.connections(),
            sum(|count| count.superseded),
            sum(|count| count.retransmitted),
            self.dropped,
            self.first.unwrap_or(0),
            self.last
        );
        for (at, (class, count)) in self.classes.iter().zip(&self.counts).enumerate() {
            json.push_str(if at == 0 { "\n" } else { ",\n" });
            // Writing to a string cannot fail.
            let _ = class_json(&mut json, at, class, count, undecided[at]);
        }
        json.push_str("\n]}\n");
        json
    }
}

fn class_json(
    out: &mut String,
    at: usize,
    class: &Class,
    count: &Count,
    undecided: u64,
) -> fmt::Result {
    let mut words = [(); 5].map(|()| BTreeMap::<&str, u64>::new());
    let mut add = |outcome: Outcome, n: u64| {
        let Outcome { handshake, close, closed_first, client, server } = outcome;
        let (close, first) = (close.unwrap_or("null"), closed_first.unwrap_or("null"));
        for (map, word) in words.iter_mut().zip([handshake, close, first, client, server]) {
            if n > 0 {
                *map.entry(word).or_default() += n;
            }
        }
    };
    let outcome = class.outcome;
    add(outcome, count.connections - count.timed - count.superseded);
    add(Outcome { client: "CLOSED", server: "CLOSED", ..outcome }, count.superseded);
    if let Some(Later { close, client, server, .. }) = class.later {
        add(Outcome { close, client, server, ..outcome }, count.timed);
    }
    write!(
        out,
        "{{\"name\":\"{}\",\"server_port\":{},\"connections\":{},\"packets\":{},\
         \"retransmitted\":{},\"undecided\":{undecided}",
        class.name,
        server_port(at),
        count.connections,
        count.packets,
        count.retransmitted
    )?;
    let names = ["handshake", "close", "closed_first", "client", "server"];
    for (name, map) in names.iter().zip(words) {
        let pairs: Vec<_> = map.iter().map(|(word, n)| format!("\"{word}\":{n}")).collect();
        write!(out, ",\n \"{name}\":{{{}}}", pairs.join(","))?;
    }
    out.push('}');
    Ok(())
}
