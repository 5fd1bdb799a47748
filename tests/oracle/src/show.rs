//! A run in the trace notation of finwait's own tests, with the truth and the claims below it.

use std::fmt::Write;

use crate::Micros;
use crate::score::name;
use crate::witness::Testimony;
use crate::world::{Header, Run, Sent};

/// The run as text: `>` comes from A, `<` from B, numbers count from each side's first.
pub fn show(run: &Run, testimony: &Testimony) -> String {
    let mut text = String::new();
    let mut last = 0;
    for (at, id) in &testimony.frames {
        let sent = &run.sent[*id];
        let copy = if sent.passes.first() == Some(at) { "" } else { ", a copy" };
        let arrivals: Vec<_> = sent.arrivals.iter().map(|at| seconds(*at)).collect();
        let fate = match arrivals.is_empty() {
            true => "never arrives".to_owned(),
            false => format!("arrives {}", arrivals.join(", ")),
        };
        let _ = writeln!(
            text,
            "+{:<9} {}  # at {}: {fate}{copy}",
            seconds(at - last),
            segment(run, sent),
            seconds(*at),
        );
        last = *at;
    }
    let _ = writeln!(text, "+{:<9} end", seconds(run.until - last.min(run.until)));
    for sent in run.sent.iter().filter(|sent| sent.passes.is_empty()) {
        let _ = writeln!(text, "# unseen, at {}: {}", seconds(sent.at), segment(run, sent));
    }
    for index in [0, 1] {
        let truth: Vec<_> = run.changes[index]
            .iter()
            .map(|change| format!("{} {}", seconds(change.at), change.to))
            .collect();
        let _ = writeln!(text, "# {} is:   {}", name(index), truth.join(", "));
        let claims = testimony.claims[index].iter().map(|claim| {
            let basis = claim.transition.basis;
            let confirmed = claim.confirmed.map(|at| format!(" confirmed {}", seconds(at)));
            let confirmed = confirmed.unwrap_or_default();
            let transition = &claim.transition;
            let (to, cause) = (transition.to, transition.event.cause());
            format!("{} {to} ({cause}, {basis}{confirmed})", seconds(claim.at))
        });
        let claims: Vec<_> = claims.collect();
        let _ = writeln!(text, "# {} said: {}", name(index), claims.join(", "));
    }
    text
}

fn segment(run: &Run, sent: &Sent) -> String {
    let Header { seq, ack, syn, fin, rst, payload, window } = sent.header;
    let base = |by: usize| {
        let first = run.sent.iter().find(|other| other.by == by && !other.header.rst);
        first.map_or(0, |first| first.header.seq)
    };
    let mut flags = String::new();
    for (set, letter) in [(syn, 'S'), (fin, 'F'), (rst, 'R'), (ack.is_some(), '.')] {
        if set {
            flags.push(letter);
        }
    }
    let from = seq.wrapping_sub(base(sent.by)) as i32;
    let arrow = if sent.by == 0 { '>' } else { '<' };
    let ack = ack.map(|ack| format!(" ack {}", ack.wrapping_sub(base(1 - sent.by)) as i32));
    let ack = ack.unwrap_or_default();
    let id = u16::from_be_bytes([sent.packet[4], sent.packet[5]]);
    let to = from + payload as i32;
    format!("{arrow} {flags} {from}:{to}({payload}){ack} win {window} id {id}")
}

fn seconds(at: Micros) -> String {
    format!("{:.6}", at as f64 / 1e6)
}
