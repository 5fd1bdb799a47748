//! The tables of netstat on Linux (net-tools) and on BSD and macOS, which begin alike:
//! `Proto Recv-Q Send-Q Local Foreign State`.
//!
//! Linux separates the port by a colon, and adds what is asked for: user and inode, process, timer.
//! BSD separates it by a dot; macOS names a process with `-v`. Both cut long IPv6 addresses to the
//! column's width unless `-W` is given, and a cut one must not be taken for another.

use super::line::{Line, Reading};
use super::place::Place;
use super::state;
use super::{Holders, Row};
use crate::owner::Owner;

/// Columns of an address on Linux.
const LINUX_WIDTH: usize = 23;

/// Columns of an address on BSD.
const BSD_WIDTH: usize = 22;

const CUT: &str = "has an address that may be cut: netstat -W shows it whole";

pub fn is_linux_header(line: &str) -> bool {
    line.starts_with("Proto") && line.contains("Foreign Address") && !line.contains("(state)")
}

pub fn is_bsd_header(line: &str) -> bool {
    let line = line.trim_start();
    // FreeBSD and macOS bracket the state; -L and others put a column in front of Proto.
    line.contains("Proto") && line.contains("Foreign Address") && line.contains("(state)")
}

pub fn read_linux(line: &Line) -> Reading {
    read(line, ':', LINUX_WIDTH, linux_holders)
}

pub fn read_bsd(line: &Line) -> Reading {
    read(line, '.', BSD_WIDTH, |words| bsd_holders(words, line.header))
}

fn read(
    line: &Line,
    before_port: char,
    width: usize,
    holders: impl Fn(&[&str]) -> Holders,
) -> Reading {
    let words: Vec<&str> = line.text.split_whitespace().collect();
    if !words.first().is_some_and(|proto| proto.starts_with("tcp")) {
        return Reading::Other;
    }
    let [_, recv_q, send_q, local, remote, rest @ ..] = words.as_slice() else {
        return Reading::Unreadable("has fewer columns than netstat shows");
    };
    let (Ok(recv_q), Ok(send_q)) = (recv_q.parse(), send_q.parse()) else {
        return Reading::Unreadable("has no numbers in Recv-Q and Send-Q");
    };
    if [local, remote].iter().any(|it| it.matches(':').count() > 1 && it.len() == width) {
        return Reading::Unreadable(CUT);
    }
    let is_own = |text: &str| text.chars().rev().find(|it| ":.".contains(*it)) == Some(before_port);
    let ends = [local, remote].map(|it| Place::parse(it).filter(|_| is_own(it)));
    let [Some(local), Some(remote)] = ends else {
        return Reading::Unreadable("has no address and port where netstat shows them");
    };
    let Some(state) = rest.first().and_then(|word| state::named(word)) else {
        return Reading::Unreadable("has no TCP state where netstat shows it");
    };
    let holders = holders(rest.get(1..).unwrap_or_default());
    let row = Reading::row(local, remote, Some(state));
    Row { recv_q: Some(recv_q), send_q: Some(send_q), holders, ..row }.into()
}

/// What stands behind the state: `[User Inode] [PID/Program name] [Timer]`, where the program's
/// name may have blanks.
fn linux_holders(words: &[&str]) -> Holders {
    const TIMERS: [&str; 5] = ["off", "on", "keepalive", "timewait", "probe"];
    let words = match words {
        [before @ .., name, time] if time.starts_with('(') && TIMERS.contains(name) => before,
        _ => words,
    };
    let pid = |word: &str| word.split_once('/').and_then(|(pid, _)| pid.parse::<u32>().ok());
    let owner = words.iter().position(|word| pid(word).is_some());
    if let Some(at) = owner {
        let text = words.get(at..).unwrap_or_default().join(" ");
        let (pid, program) = text.split_once('/').unwrap_or((&text, ""));
        let program = program.trim_end_matches(':');
        let program = (!program.is_empty()).then(|| program.into());
        return Holders::These(vec![Owner { program, pid: pid.parse().ok(), fd: None }]);
    }
    match words {
        [_, "0", ..] => Holders::Nobody,
        [.., "-"] => Holders::NotShown,
        _ => Holders::NotTold,
    }
}

/// The process that macOS names with `-v`, found by its place in the header: a number under `pid`,
/// or `name:number` under `process:pid`.
fn bsd_holders(words: &[&str], header: &str) -> Holders {
    let columns = header.split_once("(state)").map_or("", |(_, columns)| columns);
    let at = |name: &str| columns.split_whitespace().position(|column| column == name);
    let word = |at: Option<usize>| at.and_then(|at| words.get(at)).copied();
    let (program, pid) = match (word(at("process:pid")), word(at("pid"))) {
        (Some(word), _) => match word.rsplit_once(':') {
            Some((program, pid)) => (Some(program), pid),
            None => (None, word),
        },
        (None, Some(word)) => (None, word),
        (None, None) => return Holders::NotTold,
    };
    match pid.parse::<u32>() {
        // The kernel's own.
        Ok(0) => Holders::NotShown,
        Ok(pid) => {
            let program = program.map(Into::into);
            Holders::These(vec![Owner { program, pid: Some(pid), fd: None }])
        }
        Err(_) => Holders::NotTold,
    }
}
