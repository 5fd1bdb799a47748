//! A connection of a recording, frame by frame: what was sent, whether it passed the observer and
//! arrived, what the kernel did and what finwait said.

use std::fmt::Write;

use finwait::decode::Decoded;
use finwait::decode::segment::{Flags, Segment};
use finwait::history::{History, Role};
use finwait::infer::trail::Transition;
use finwait::time::Timestamp;

use crate::passage::Passage;
use crate::recording::{Conn, Fault, Recording};

const NAMES: [&str; 2] = ["client", "server"];

/// The connections' stories in one point's capture.
pub struct Frames<'a> {
    recording: &'a Recording,
    histories: Vec<History>,
    seen: Vec<Decoded>,
    own: [Vec<Decoded>; 2],
}

impl Frames<'_> {
    pub fn new<'a>(recording: &'a Recording, point: &str) -> Frames<'a> {
        Frames {
            recording,
            histories: recording.histories(point),
            seen: recording.segments(point, Fault::None),
            own: NAMES.map(|end| recording.segments(end, Fault::None)),
        }
    }

    /// One line for each segment, with the truth and what was said below.
    pub fn of(&self, conn: &Conn) -> String {
        let Frames { recording, seen, own, .. } = self;
        let passage = |role: usize, seen| recording.passage(conn, role, seen, &own[role]);
        let mut lines: Vec<(Timestamp, String)> = Vec::new();
        let firsts = [0, 1].map(|role| passage(role, seen).sent.first().map(|it| it.segment.seq.0));
        let began = conn.truths.iter().flatten().map(|truth| truth.at).min().unwrap_or_default();
        let clock = |at: Timestamp| {
            let (sign, span) =
                if at < began { ("-", began.since(at)) } else { ("", at.since(began)) };
            format!("{sign}{:.4}", span.as_nanos() as f64 / 1e9)
        };
        for role in [0, 1] {
            let (passed, arrived): (Passage, Passage) =
                (passage(role, seen), passage(role, &own[1 - role]));
            for (sent, there) in passed.sent.iter().zip(&arrived.sent) {
                let fate = |what: &str, at: Option<Timestamp>| match at {
                    Some(at) => format!("{what} {}", clock(at)),
                    None => format!("never {what}"),
                };
                let text = format!(
                    "{} {}  # sent {}, {}, {}",
                    if role == 0 { '>' } else { '<' },
                    numbers(&sent.segment, firsts[role], firsts[1 - role]),
                    clock(sent.at),
                    fate("passes", sent.passed),
                    fate("arrives", there.passed),
                );
                lines.push((sent.passed.unwrap_or(sent.at), text));
            }
        }
        lines.sort();
        let mut story: String = lines.into_iter().map(|(_, line)| line + "\n").collect();
        let history = recording.history_of(conn, &self.histories);
        for (role, name) in NAMES.iter().enumerate() {
            let steps = conn.truths[role].iter();
            let is: Vec<_> = steps.map(|it| format!("{} {}", clock(it.at), it.to)).collect();
            let _ = writeln!(story, "# {name} is:   {}", is.join(", "));
            let said = |it: &Transition| {
                let (at, to, basis) = (clock(it.at.ts), it.to, it.basis);
                let confirmed = match it.confirmed.frame {
                    0 => String::new(),
                    _ => format!(" confirmed {}", clock(it.confirmed.ts)),
                };
                format!("{at} {to} ({}, {basis}{confirmed})", it.event.cause())
            };
            let ours = history.and_then(|history| {
                let is_it = |role: &Role| {
                    history.addr(*role).port() == conn.ports[usize::from(*name != "client")]
                };
                let role = Role::BOTH.into_iter().find(is_it)?;
                Some(history.transitions_of(role).map(said).collect::<Vec<_>>().join(", "))
            });
            let _ = writeln!(story, "# {name} said: {}", ours.unwrap_or_default());
        }
        story
    }
}

/// A segment as tcpdump prints it, numbers counted from each side's first.
fn numbers(segment: &Segment, first: Option<u32>, peer: Option<u32>) -> String {
    let mut text = String::new();
    let letters = [
        (Flags::SYN, 'S'),
        (Flags::FIN, 'F'),
        (Flags::RST, 'R'),
        (Flags::PSH, 'P'),
        (Flags::ACK, '.'),
    ];
    text.extend(letters.iter().filter(|(flag, _)| segment.has(*flag)).map(|(_, letter)| letter));
    let from = segment.seq.0.wrapping_sub(first.unwrap_or_default()) as i32;
    let to = from + segment.payload as i32;
    let _ = write!(text, " {from}:{to}({})", segment.payload);
    if let Some(ack) = segment.acked() {
        let _ = write!(text, " ack {}", ack.0.wrapping_sub(peer.unwrap_or_default()) as i32);
    }
    text
}
