//! The tables of ss: `ss -tan` with any of `-p`, `-o`, `-e`, `-i`, `-H` and `-l`.
//!
//! Columns are `[Netid] State Recv-Q Send-Q Local Peer`, then what the options add, each with its
//! name in front. `-i` adds lines that begin with a blank. With a state filter there is no State.

use super::line::{Line, Reading};
use super::place::Place;
use super::state;
use super::{Holders, Row};
use crate::infer::state::State;
use crate::owner::Owner;

/// Before the list of holders.
const USERS: &str = "users:((";

pub fn is_header(line: &str) -> bool {
    line.contains("Recv-Q") && line.contains("Local Address:Port")
}

pub fn read(line: &Line) -> Reading {
    // On a narrow terminal the holders stand in a line of their own.
    if let Some(rest) = line.text.trim_start().strip_prefix(USERS) {
        return Reading::Holders(users(rest));
    }
    if line.text.starts_with([' ', '\t']) {
        return Reading::Other;
    }
    // Where columns are narrow the holders follow the address without a blank.
    let (columns, rest) = match line.text.split_once(USERS) {
        Some((columns, rest)) => (columns, Some(rest)),
        None => (line.text, None),
    };
    let mut words: Vec<&str> = columns.split_whitespace().collect();
    if words.first().is_some_and(|first| *first == "tcp") {
        words.remove(0);
    }
    let has_state = line.header.is_empty() || line.header.contains("State");
    let state = words.first().and_then(|word| state::named(word));
    let words = match (has_state, state) {
        // What is bound and no more; ss shows sockets of UDP so.
        (true, Some(State::Closed)) => return Reading::Other,
        (true, Some(_)) => words.get(1..).unwrap_or_default(),
        // Another protocol: udp, u_str, nl and so on.
        (true, None) if words.get(1).is_some_and(|word| state::named(word).is_some()) => {
            return Reading::Other;
        }
        (true, None) if words.is_empty() => return Reading::Other,
        (true, None) => return Reading::Unreadable("has no TCP state where ss shows it"),
        (false, _) => words.as_slice(),
    };
    let [recv_q, send_q, local, remote, others @ ..] = words else {
        return Reading::Unreadable("has fewer columns than ss shows");
    };
    let (Ok(recv_q), Ok(send_q)) = (recv_q.parse(), send_q.parse()) else {
        return Reading::Unreadable("has no numbers in Recv-Q and Send-Q");
    };
    let (Some(local), Some(remote)) = (Place::parse(local), Place::parse(remote)) else {
        return Reading::Unreadable("has no address and port where ss shows them");
    };
    let holders = match rest {
        Some(rest) => users(rest),
        None if is_ownerless(others) => Holders::Nobody,
        None => Holders::NotTold,
    };
    let state = state.filter(|_| has_state);
    let row = Reading::row(local, remote, state);
    Row { recv_q: Some(recv_q), send_q: Some(send_q), holders, ..row }.into()
}

/// `-e` tells the inode of the socket's file; there is none where nobody holds it.
fn is_ownerless(words: &[&str]) -> bool {
    words.contains(&"ino:0")
}

/// The holders behind `users:((`: `"nginx",pid=1,fd=3),("nginx",pid=2,fd=3))`, and in old versions
/// `"nginx",1,3)`. A name may hold anything, even what looks like its end.
fn users(text: &str) -> Holders {
    let mut owners = Vec::new();
    let mut rest = text;
    while let Some((owner, behind)) = rest.strip_prefix('"').and_then(user) {
        owners.push(owner);
        rest = behind.strip_prefix(",(").unwrap_or_default();
    }
    if owners.is_empty() { Holders::NotShown } else { Holders::These(owners) }
}

/// Bytes in which a holder's name must end, and its numbers after it. The kernel keeps 15 of a
/// name.
const USER_BYTES_MAX: usize = 64;

/// One holder, from behind its opening quote to behind its bracket.
fn user(quoted: &str) -> Option<(Owner, &str)> {
    let ends = quoted.match_indices("\",").map(|(at, _)| at);
    for at in ends.take_while(|at| *at <= USER_BYTES_MAX) {
        let (name, behind) = (quoted.get(..at)?, quoted.get(at + 2..)?);
        let bracket = behind.bytes().take(USER_BYTES_MAX).position(|byte| byte == b')');
        let Some(bracket) = bracket else { continue };
        let mut numbers = behind.get(..bracket)?.split(',').map(|field| {
            let digits = field.rsplit_once('=').map_or(field, |(_, digits)| digits);
            digits.parse::<u32>().ok()
        });
        let (Some(Some(pid)), Some(Some(fd))) = (numbers.next(), numbers.next()) else { continue };
        let owner = Owner { program: Some(name.into()), pid: Some(pid), fd: Some(fd) };
        return Some((owner, behind.get(bracket + 1..)?));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owners(text: &str) -> Vec<String> {
        users(text).named().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn holders_are_told_apart_whatever_their_names() {
        assert_eq!(
            owners(r#""nginx",pid=1,fd=3),("nginx",pid=2,fd=3)) ino:7"#),
            ["nginx (pid 1, fd 3)", "nginx (pid 2, fd 3)"]
        );
        assert_eq!(owners(r#""nginx",1,3),("nginx",2,3))"#).len(), 2);
        assert_eq!(owners(r#""a",pid=x),("b",pid=4,fd=5))"#), [r#"a",pid=x),("b (pid 4, fd 5)"#]);
        assert_eq!(owners(r#""a) b",pid=4,fd=5))"#), ["a) b (pid 4, fd 5)"]);
        assert_eq!(owners(r#""a",pid=4"#), [""; 0]);
        assert_eq!(owners(&"\",".repeat(20_000)), [""; 0]);
    }
}
