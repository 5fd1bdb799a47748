//! The tables of lsof with `-i`: one line for each descriptor, so one socket may have several.
//!
//! Columns are `COMMAND PID … USER FD TYPE … TCP NAME (STATE)`, where NAME is `local->remote`, or
//! the local end alone of a socket that listens. `-T` adds queues to the state.

use super::line::{Line, Reading};
use super::place::Place;
use super::state;
use super::{Holders, Row};
use crate::owner::Owner;

pub fn is_header(line: &str) -> bool {
    line.starts_with("COMMAND") && line.contains("NAME")
}

pub fn read(line: &Line) -> Reading {
    let words: Vec<&str> = line.text.split_whitespace().collect();
    let Some(at) = words.iter().position(|word| *word == "TCP") else { return Reading::Other };
    let (before, after) = words.split_at(at);
    let [_, name, about @ ..] = after else {
        return Reading::Unreadable("has no name behind TCP");
    };
    let (local, remote) = match name.split_once("->") {
        Some((local, remote)) => (Place::parse(local), Place::parse(remote)),
        None => (Place::parse(name), Some(Place::ANY)),
    };
    let (Some(local), Some(remote)) = (local, remote) else {
        return Reading::Unreadable("has no address and port where lsof shows them");
    };
    let Some(owner) = owner(before) else {
        return Reading::Unreadable("has no process where lsof shows it");
    };
    let about: Vec<&str> = about.iter().map(|word| word.trim_matches(['(', ')'])).collect();
    let state = about.iter().find_map(|word| state::named(word));
    let queue = |name| about.iter().find_map(|word| word.strip_prefix(name)?.parse().ok());
    Row {
        recv_q: queue("QR="),
        send_q: queue("QS="),
        holders: Holders::These(vec![owner]),
        ..Reading::row(local, remote, state)
    }
    .into()
}

/// The process: its program and number stand in front, its descriptor before the file's type.
fn owner(before: &[&str]) -> Option<Owner> {
    let [program, pid, rest @ ..] = before else { return None };
    let is_type = |word: &&str| matches!(*word, "IPv4" | "IPv6" | "inet" | "inet6" | "sock");
    let fd = rest.iter().position(is_type).and_then(|at| rest.get(at.checked_sub(1)?));
    let digits = |word: &str| -> Option<u32> {
        word.trim_end_matches(|letter: char| !letter.is_ascii_digit()).parse().ok()
    };
    Some(Owner {
        // lsof writes a blank in a name as \x20.
        program: Some(program.replace("\\x20", " ").into()),
        pid: Some(pid.parse().ok()?),
        fd: fd.and_then(|fd| digits(fd)),
    })
}
