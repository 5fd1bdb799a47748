//! The tables that Linux keeps in `/proc/net/tcp` and `/proc/net/tcp6`, as a little-endian machine
//! writes them. They name no process, only the inode of the socket's file: 0 where there is none.

use core::net::IpAddr;

use super::line::{Line, Reading};
use super::place::{Name, Place, Port, from_proc};
use super::state;
use super::{Holders, Row};

pub fn is_header(line: &str) -> bool {
    line.trim_start().starts_with("sl ") && line.contains("local_address")
}

/// `0: 0200090A:1A90 0100090A:9EBB 08 00000000:00000001 03:00000A00 00000000 0 0 134177 …`
pub fn read(line: &Line) -> Reading {
    let words: Vec<&str> = line.text.split_whitespace().collect();
    let [slot, local, remote, state, queues, _, _, _, _, inode, ..] = words.as_slice() else {
        let is_empty = words.is_empty();
        return match is_empty {
            true => Reading::Other,
            false => Reading::Unreadable("has fewer columns than /proc/net/tcp"),
        };
    };
    let is_slot = slot.strip_suffix(':').is_some_and(|number| number.parse::<u64>().is_ok());
    let (Some(local), Some(remote), true) = (place(local), place(remote), is_slot) else {
        return Reading::Unreadable("has no addresses where /proc/net/tcp shows them");
    };
    let state = u8::from_str_radix(state, 16).ok().and_then(state::numbered);
    let queues = queues.split_once(':').and_then(|(send, recv)| Some((hex(send)?, hex(recv)?)));
    let (Some(state), Some((send_q, recv_q))) = (state, queues) else {
        return Reading::Unreadable("has no state and queues where /proc/net/tcp shows them");
    };
    let holders = if *inode == "0" { Holders::Nobody } else { Holders::NotTold };
    let row = Reading::row(local, remote, Some(state));
    Row { recv_q: Some(recv_q), send_q: Some(send_q), holders, ..row }.into()
}

fn hex(digits: &str) -> Option<u64> {
    u64::from_str_radix(digits, 16).ok()
}

fn place(text: &str) -> Option<Place> {
    let (addr, port) = text.split_once(':')?;
    let addr: IpAddr = from_proc(addr)?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let port = if port == 0 { Port::Any } else { Port::Number(port) };
    Some(Place { host: Name::of(addr), port })
}
