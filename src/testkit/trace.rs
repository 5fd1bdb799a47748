//! The trace notation: a connection as a few readable lines, after packetdrill's.
//!
//! ```text
//! # A comment. Times are seconds; `+` counts from the line before.
//! 0.000  > S 0:0(0) <mss 1460,wscale 7>   ; SYN_SENT    UNKNOWN
//! +.010  < S. 0:0(0) ack 1                ; ESTABLISHED SYN_RCVD
//! +0     > . 1:1(0) ack 1                 ; ESTABLISHED ESTABLISHED
//! +.5    > P. 1:101(100) ack 1 win 512
//! +60    end                              ; ESTABLISHED ESTABLISHED
//! ```
//!
//! `>` comes from the client, `<` from the server; a number before it names another client. Then
//! tcpdump's flags, sequence numbers from each side's first one, `ack` (which is the flag as
//! well), `win`, `id` (IPv4 identification), `ttl`, `sum 0` for a wrong checksum, `dport` at the
//! line's end for another port of the server, and options: `mss N`, `wscale N`, `ts VAL:ECR`,
//! `sack FROM:TO`, `sackOK`, `fo`; `cut` where others are cut off.
//! `end` lets time pass to the end of the capture; `cut` is a packet cut inside its TCP header.
//! Behind `;` stand the client's and the server's state after that line, `-` for any. A line
//! `! NAME` names a finding that the trace must raise; `set NAME.THRESHOLD=VALUE` changes a
//! threshold; `dropped COUNT` is what the capturing system says it dropped; `clients COUNT EVERY`
//! lets so many clients do what the trace says, each so many seconds later.

use crate::decode::Decoded;
use crate::decode::segment::{Flags, Options, Segment};
use crate::decode::tuple::{FourTuple, widen_v4};
use crate::infer::state::State;
use crate::seq::SeqNum;
use crate::time::{Span, Timestamp};

/// The clients' and the server's first sequence numbers.
const CLIENT_ISN: u32 = u32::MAX - 50;
const SERVER_ISN: u32 = 5_000;
/// The server's port, and the port of client 0.
pub const SERVER_PORT: u16 = 6_800;
pub const CLIENT_PORT: u16 = 40_000;
/// When traces begin: 2026-11-20T11:00:00Z.
const BEGIN: i64 = 1_795_172_400_000_000_000;

/// States expected after a line, client's and server's.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// The line, from 1.
    pub line: usize,
    /// Segments up to and with that line.
    pub segments: usize,
    /// When.
    pub at: Timestamp,
    /// Which client.
    pub client: u16,
    /// `None` for any.
    pub states: [Option<State>; 2],
}

/// A trace, read.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// The segments in order.
    pub segments: Vec<Decoded>,
    /// When the capture ends.
    pub end: Timestamp,
    /// What the lines expect.
    pub expected: Vec<Expected>,
    /// Packets cut inside their TCP header.
    pub cut: u64,
    /// Packets that the capturing system dropped.
    pub dropped: u64,
    /// Findings that it must raise.
    pub findings: Vec<String>,
    /// Thresholds that it changes.
    pub settings: Vec<String>,
    /// How many clients do what it says, and how long after each other.
    clients: Option<(u16, Span)>,
}

impl Trace {
    /// Reads a trace. Panics on a line that is none, since only tests write them.
    pub fn parse(text: &str) -> Trace {
        let mut trace = Trace { end: Timestamp::from_nanos(BEGIN), ..Trace::default() };
        for (at, line) in text.lines().enumerate() {
            let line_number = at + 1;
            let line = line.split('#').next().unwrap_or_default().trim();
            if let Some(count) = line.strip_prefix("dropped ") {
                trace.dropped = count.parse().expect("a count");
            } else if let Some(name) = line.strip_prefix('!') {
                trace.findings.push(name.trim().to_owned());
            } else if let Some(setting) = line.strip_prefix("set ") {
                trace.settings.push(setting.to_owned());
            } else if let Some(crowd) = line.strip_prefix("clients ") {
                let (count, every) = crowd.split_once(' ').expect("COUNT EVERY");
                trace.clients = Some((count.parse().expect("a count"), seconds(every, line)));
            } else if !line.is_empty() {
                trace.line(line, line_number);
            }
        }
        trace.multiply();
        trace
    }

    /// Lets more clients do the same.
    fn multiply(&mut self) {
        let Some((count, every)) = self.clients else { return };
        let one = core::mem::take(&mut self.segments);
        for client in 0..count {
            let later = every.times(u64::from(client));
            self.segments.extend(one.iter().map(|it| {
                let ports = (CLIENT_PORT + client, SERVER_PORT);
                let from_client = it.tuple.endpoint(it.sender).port() != SERVER_PORT;
                let segment = Segment { ts: it.segment.ts.after(later), ..it.segment };
                decoded(segment, from_client, ports)
            }));
        }
        self.segments.sort_by_key(|it| it.segment.ts);
        for (at, it) in self.segments.iter_mut().enumerate() {
            it.segment.frame = at as u64 + 1;
            it.segment.ip_id = at as u16;
        }
        self.end = self.segments.last().map_or(self.end, |it| self.end.max(it.segment.ts));
    }

    fn line(&mut self, line: &str, number: usize) {
        let (event, states) = line.split_once(';').unwrap_or((line, ""));
        let mut words = event.split_whitespace();
        let time = words.next().expect("a time");
        let now = match time.strip_prefix('+') {
            Some(delta) => self.end.after(seconds(delta, line)),
            None => Timestamp::from_nanos(BEGIN).after(seconds(time, line)),
        };
        self.end = now;
        let direction = words.next().expect("a direction or `end`");
        let client = match direction.trim_end_matches(['<', '>']) {
            "end" | "cut" | "" => 0,
            client => client.parse().unwrap_or_else(|_| panic!("which client? {line}")),
        };
        if direction == "cut" {
            self.cut += 1;
        } else if direction != "end" {
            let segment = segment(words, direction.ends_with('>'), now, self.next_frame());
            let port = event.split_once(" dport ").map(|(_, port)| port.trim());
            let port = port.map(|port| port.parse().expect("a port"));
            let ports = (CLIENT_PORT + client, port.unwrap_or(SERVER_PORT));
            self.segments.push(decoded(segment, direction.ends_with('>'), ports));
        }
        let states: Vec<_> = states.split_whitespace().map(state).collect();
        if let [client_state, server_state] = states[..] {
            self.expected.push(Expected {
                line: number,
                segments: self.segments.len(),
                at: now,
                client,
                states: [client_state, server_state],
            });
        } else {
            assert!(states.is_empty(), "two states, or none: {line}");
        }
    }

    /// How far the clock ran backwards, at each segment where it did.
    pub fn backwards(&self) -> impl Iterator<Item = Span> + '_ {
        let mut newest = Timestamp::default();
        self.segments.iter().filter_map(move |it| {
            let step = newest.since(it.segment.ts);
            newest = newest.max(it.segment.ts);
            (step > Span::ZERO).then_some(step)
        })
    }

    fn next_frame(&self) -> u64 {
        self.segments.len() as u64 + 1
    }
}

fn decoded(segment: Segment, from_client: bool, ports: (u16, u16)) -> Decoded {
    let client = (widen_v4([10, 9, 0, 1]), ports.0);
    let server = (widen_v4([10, 9, 0, 2]), ports.1);
    let (tuple, sender) = match from_client {
        true => FourTuple::new(4, client, server),
        false => FourTuple::new(4, server, client),
    };
    Decoded { tuple, sender, segment }
}

fn segment<'a>(
    mut words: impl Iterator<Item = &'a str>,
    from_client: bool,
    ts: Timestamp,
    frame: u64,
) -> Segment {
    let (own, peer) = if from_client { (CLIENT_ISN, SERVER_ISN) } else { (SERVER_ISN, CLIENT_ISN) };
    let letters = words.next().expect("flags");
    let mut segment = Segment { ts, frame, flags: flags(letters), ..Segment::default() };
    segment.window = 502;
    segment.ttl = 64;
    segment.ip_id = frame as u16;
    segment.seq = SeqNum(own);
    while let Some(word) = words.next() {
        if word.contains(':') {
            let (seq, rest) = word.split_once(':').expect("FROM:TO(LENGTH)");
            let (_, length) = rest.split_once('(').expect("FROM:TO(LENGTH)");
            segment.seq = SeqNum(own).add(number(seq));
            segment.payload = number(length.trim_end_matches(')'));
        } else if let Some(first) = word.strip_prefix('<') {
            let rest: Vec<_> = std::iter::once(first).chain(words.by_ref()).collect();
            segment.options = options(rest.join(" ").trim_end_matches('>'), peer);
        } else {
            let value = number(words.next().unwrap_or_else(|| panic!("a number after {word}")));
            match word {
                "ack" => {
                    segment.ack = SeqNum(peer).add(value);
                    segment.flags = segment.flags | Flags::ACK;
                }
                "win" => segment.window = value as u16,
                "id" => segment.ip_id = value as u16,
                "ttl" => segment.ttl = value as u8,
                "dport" => {}
                "sum" => segment.wrong_checksum = value == 0,
                other => panic!("what is {other}?"),
            }
        }
    }
    segment
}

fn flags(letters: &str) -> Flags {
    letters.chars().fold(Flags::default(), |flags, letter| {
        flags
            | match letter {
                'S' => Flags::SYN,
                'F' => Flags::FIN,
                'R' => Flags::RST,
                'P' => Flags::PSH,
                '.' => Flags::ACK,
                'U' => Flags::URG,
                'E' => Flags::ECE,
                'W' => Flags::CWR,
                other => panic!("no flag is {other}"),
            }
    })
}

fn options(text: &str, peer: u32) -> Options {
    let mut options = Options::default();
    for option in text.split(',') {
        let (name, value) = option.trim().split_once(' ').unwrap_or((option.trim(), ""));
        let pair = || value.split_once(':').map(|(a, b)| (number(a), number(b))).expect("A:B");
        match name {
            "mss" => options.mss = Some(number(value) as u16),
            "wscale" => options.window_scale = Some(number(value) as u8),
            "ts" => options.timestamps = Some(pair()),
            "sack" => {
                let (from, to) = pair();
                options.sack = Some((SeqNum(peer).add(from), SeqNum(peer).add(to)));
            }
            "sackOK" => options.sack_permitted = true,
            "fo" => options.fast_open = true,
            "cut" => options.incomplete = true,
            other => panic!("no option is {other}"),
        }
    }
    options
}

fn state(word: &str) -> Option<State> {
    let found = State::from_name(word);
    assert!(found.is_some() || word == "-", "no state is {word}");
    found
}

fn number(word: &str) -> u32 {
    let negative = word.strip_prefix('-').map(|word| word.parse::<u32>());
    match negative {
        Some(number) => number.unwrap_or_else(|_| panic!("no number: {word}")).wrapping_neg(),
        None => word.parse().unwrap_or_else(|_| panic!("no number: {word}")),
    }
}

fn seconds(word: &str, line: &str) -> Span {
    let word = if word.starts_with('.') { format!("0{word}") } else { word.to_owned() };
    Span::from_nanos(
        (word.parse::<f64>().unwrap_or_else(|_| panic!("no time: {line}")) * 1e9).round() as u64,
    )
}
