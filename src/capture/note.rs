//! What a capture itself says of a packet: which process sent or received it, and comments.
//!
//! Three kinds of writers name processes: Apple's tcpdump, in pcapng by the number of a process
//! information block or in front of the packet (PKTAP), and ptcpdump, in a comment. Each of them
//! also says whether the packet went out or came in, without which it is not known which end the
//! process holds. A comment `PID=` of etl2pcapng is shown as any other and taken for no owner: it
//! is the process that ran when the packet was seen, not the one that has the socket.

use super::details::{PROCESS, text};
use super::{Detailed, FileInfo, Format, LinkType};
use crate::limits::{COMMENT_BYTES_MAX, NAME_BYTES_MAX};
use crate::owner::Owner;

/// Which end of a packet's connection the process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// That which sent the packet.
    Sender,
    /// That which it is for.
    Receiver,
}

/// What is said of one packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The packet's frame.
    pub frame: u64,
    /// The process that holds one end of its connection.
    pub owner: Option<(Noted, Owner)>,
    /// What somebody wrote about it.
    pub comments: Vec<Box<str>>,
}

const COMMENT: u16 = 1;
const FLAGS: u16 = 2;

impl Note {
    /// Whether a capture is of a kind that has notes.
    pub(super) fn may_be_in(info: &FileInfo) -> bool {
        info.format == Format::Pcapng || info.link_types.contains(&LinkType::PKTAP)
    }

    /// What is said of a packet, if anything is.
    pub fn of(detailed: &Detailed<'_>) -> Option<Note> {
        let packet = &detailed.packet;
        let tapped = (packet.link == LinkType::PKTAP).then(|| in_pktap(packet.data)).flatten();
        if detailed.options.is_empty() && tapped.is_none() {
            return None;
        }
        let (mut noted, mut owner, mut comments) = (None, None, Vec::new());
        for (code, value) in detailed.each_option() {
            match (code, value) {
                (FLAGS, [low, ..]) => noted = direction(low & 3),
                (PROCESS, [a, b, c, d]) => {
                    let number = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
                    owner = detailed.processes.get(number).cloned();
                }
                (COMMENT, _) => match by_ptcpdump(value) {
                    Some(process) => owner = Some(process),
                    None => comments.extend(text(value, COMMENT_BYTES_MAX)),
                },
                _ => {}
            }
        }
        let owner = noted.zip(owner).or(tapped);
        let says = owner.is_some() || !comments.is_empty();
        says.then_some(Note { frame: packet.frame, owner, comments })
    }
}

/// 1 is in, 2 is out, of pcapng's flags and of PKTAP's.
fn direction(flags: u8) -> Option<Noted> {
    match flags {
        1 => Some(Noted::Receiver),
        2 => Some(Noted::Sender),
        _ => None,
    }
}

/// `PID: 812`, `Cmd: /usr/sbin/nginx` and `Args: …`, line by line.
fn by_ptcpdump(comment: &[u8]) -> Option<Owner> {
    let comment = text(comment, COMMENT_BYTES_MAX)?;
    let mut lines = comment.lines();
    let pid = lines.next()?.strip_prefix("PID: ")?.parse().ok()?;
    let path = lines.next()?.strip_prefix("Cmd: ")?;
    let program = path.rsplit('/').next().and_then(|name| text(name.as_bytes(), NAME_BYTES_MAX));
    Some(Owner { program, pid: Some(pid), fd: None })
}

/// The process in Apple's header in front of a packet: the flags are at byte 36, the process at 52
/// and its name at 56. The kernel says 0 or less where it knows none.
fn in_pktap(data: &[u8]) -> Option<(Noted, Owner)> {
    let noted = direction(data.get(36)? & 3)?;
    let (pid, name) = data.get(52..73)?.split_first_chunk()?;
    let pid = u32::try_from(i32::from_le_bytes(*pid)).ok().filter(|pid| *pid > 0)?;
    Some((noted, Owner { program: text(name, NAME_BYTES_MAX), pid: Some(pid), fd: None }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::Merge;
    use crate::capture::order::Order;
    use crate::capture::testing::{BOTH, MICROS, Pcap, Pcapng, open};

    /// Frame, end, owner and comments.
    type Said = (u64, Option<Noted>, String, Vec<Box<str>>);

    fn notes(bytes: &[u8]) -> Vec<Said> {
        let merge = Merge::new(vec![open(bytes).unwrap()]);
        assert!(merge.may_note());
        let mut merge = merge.keeping_details();
        let mut found = Vec::new();
        while let Some(detailed) = merge.next_detailed().unwrap() {
            if let Some(note) = Note::of(&detailed) {
                let (noted, owner) = note.owner.unzip();
                let owner = owner.map_or(String::new(), |owner| owner.to_string());
                found.push((note.frame, noted, owner, note.comments));
            }
        }
        found
    }

    #[test]
    fn apples_processes_are_numbered_in_their_section() {
        for order in BOTH {
            let file = Pcapng::new(order).interface(1, 0, &[]);
            let file = file.process(88, "mDNSResponder").process(812, "curl");
            let (out, inward) = (file.word(2), file.word(1));
            let (first, second, none) = (file.word(0), file.word(1), file.word(2));
            let file = file
                .packet_with(0, b"x", &[(0x8001, second.clone()), (2, out.clone())])
                .packet_with(0, b"x", &[(2, inward), (0x8001, first)])
                .packet_with(0, b"x", &[(2, out.clone()), (0x8001, none)])
                .packet_with(0, b"x", &[(0x8001, second.clone())])
                .packet(0, 1, b"x")
                .section(order, &[])
                .interface(1, 0, &[])
                .packet_with(0, b"x", &[(2, out), (0x8001, second)]);
            let expected = [
                (1, Some(Noted::Sender), "curl (pid 812)".to_string(), vec![]),
                (2, Some(Noted::Receiver), "mDNSResponder (pid 88)".to_string(), vec![]),
            ];
            assert_eq!(notes(&file.bytes), expected, "{order:?}");
        }
    }

    #[test]
    fn comments_of_ptcpdump_name_the_process_and_others_stand_as_they_are() {
        for order in BOTH {
            let file = Pcapng::new(order).interface(1, 0, &[]);
            let out = (2, file.word(2));
            let process = b"PID: 812\nCmd: /usr/sbin/nginx\nArgs: nginx -g".to_vec();
            let pod = b"PodName: web-1\nPodNamespace: shop".to_vec();
            let other = b"PID=4 ProcessName=System".to_vec();
            let file = file
                .packet_with(0, b"x", &[(1, process.clone()), (1, pod), out.clone()])
                .packet_with(0, b"x", &[(1, other), out])
                .packet_with(0, b"x", &[(1, process)]);
            let expected = [
                (
                    1,
                    Some(Noted::Sender),
                    "nginx (pid 812)".to_string(),
                    vec!["PodName: web-1\nPodNamespace: shop".into()],
                ),
                (2, None, String::new(), vec!["PID=4 ProcessName=System".into()]),
            ];
            assert_eq!(notes(&file.bytes), expected, "{order:?}");
        }
    }

    #[test]
    fn a_packet_tap_names_the_process_in_front_of_the_packet() {
        let tapped = |flags: u8, pid: i32| {
            let mut header = vec![0; 108];
            header[36] = flags;
            header[52..56].copy_from_slice(&pid.to_le_bytes());
            header[56..60].copy_from_slice(b"curl");
            header
        };
        let packets = [tapped(2, 7), tapped(0, 7), tapped(1, 0), tapped(1, -1), vec![0; 60]];
        let file = Pcap::new(Order::Little, MICROS, 258);
        let file = packets.iter().fold(file, |file, packet| file.packet(1, 0, packet));
        let expected = [(1, Some(Noted::Sender), "curl (pid 7)".to_string(), vec![])];
        assert_eq!(notes(&file.bytes), expected);
    }
}
