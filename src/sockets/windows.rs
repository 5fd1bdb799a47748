//! The tables of netstat on Windows: `netstat -ano`, and with `-b` the program in its own line.

use super::line::{Line, Reading};
use super::place::Place;
use super::state;
use super::{Holders, Row};
use crate::owner::Owner;

pub fn is_header(line: &str) -> bool {
    line.contains("Proto") && line.contains("Foreign Address") && line.starts_with(' ')
}

/// `TCP 10.9.0.2:6800 10.9.0.1:40635 CLOSE_WAIT 1234`, with blanks in front.
pub fn read(line: &Line) -> Reading {
    let text = line.text.trim();
    if let Some(program) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        return Reading::Program(program.to_string());
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let ["TCP", local, remote, state, rest @ ..] = words.as_slice() else {
        return Reading::Other;
    };
    let (Some(local), Some(remote)) = (Place::parse(local), Place::parse(remote)) else {
        return Reading::Unreadable("has no address and port where netstat shows them");
    };
    let Some(state) = state::named(state) else {
        return Reading::Unreadable("has no TCP state in English where netstat shows it");
    };
    let holders = match rest.first().map(|pid| pid.parse::<u32>()) {
        None | Some(Err(_)) => Holders::NotTold,
        // The idle process stands for what no process holds.
        Some(Ok(0)) => Holders::Nobody,
        Some(Ok(pid)) => Holders::These(vec![Owner { program: None, pid: Some(pid), fd: None }]),
    };
    Row { holders, ..Reading::row(local, remote, Some(state)) }.into()
}
