//! The printed output of tcpdump and windump as a capture.
//!
//! Lines come from the window (bounded), several of them make what tcpdump printed as one
//! (`entry`, which asks `bounds`), `line` and `body` take that apart, `stamp` and `numbers` make
//! moments and absolute sequence numbers of what is printed, `names` finds addresses and ports,
//! `tunnel` the packets that are printed inside of others.
//! Each entry is a packet, whatever its protocol, as tcpdump prints one for each; dumps, banners
//! and what people wrote between are none.

mod body;
mod bounds;
mod entry;
mod line;
mod names;
mod numbers;
mod options;
mod printed;
mod services;
mod stamp;
mod tunnel;

pub use names::Services;
pub use printed::{
    NAMED, Printed, PrintedEnds, PrintedOptions, PrintedSegment, PrintedTunnel, PrintedTunnels,
    Unused,
};
pub use stamp::Clock;

use std::borrow::Cow;
use std::io;

use entry::Entries;
use numbers::Numbers;
use stamp::Reckoning;

use super::window::Window;
use super::{Fault, FileInfo, LinkType, Packet, Record, Step};
use crate::limits::{QUOTED_CHARS_MAX, TEXT_LINE_BYTES_MAX, TEXT_PREAMBLE_BYTES_MAX};

/// What is known of a text as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextInfo {
    /// What its times mean: of several kinds the one that says least.
    pub clock: Clock,
    /// The services that stand in it by name.
    pub services: Services,
    /// Lines that were left out because there is no room for more names.
    pub names_left_out: u64,
    /// Connections whose numbers count from a start that it does not show.
    pub unseen_starts: u64,
    /// Data segments whose number was not printed, and is taken to go on from the last.
    pub guessed_numbers: u64,
    /// Segments of connections for which there was no room; their numbers are as printed.
    pub beyond: u64,
}

/// The reader of a text.
pub(super) struct Reader {
    entries: Entries,
    reckoning: Reckoning,
    numbers: Numbers,
    /// The packet that was handed out last.
    bytes: Vec<u8>,
    /// The number of the packet handed out last, as `-#` counts, and how many were handed out.
    number: u64,
    count: u64,
    /// Lines so far.
    lines: u64,
    /// The rest of a line that was too long is passed over.
    is_inside: bool,
}

/// What a text begins with.
pub(super) enum First {
    /// A packet, in front of which may stand anything.
    Packet,
    /// A packet as tshark prints it.
    OfTshark,
    /// None: how many lines there are, and what the first says.
    None(u64, String),
}

/// What the next line is.
enum Next {
    /// Its place in the window's buffer and its length.
    Line(usize, usize),
    /// The text ends inside of a packet's line.
    Cut,
    End,
}

impl Reader {
    pub(super) fn new() -> Reader {
        Reader {
            entries: Entries::default(),
            reckoning: Reckoning::default(),
            numbers: Numbers::default(),
            bytes: Vec::new(),
            number: 0,
            count: 0,
            lines: 0,
            is_inside: false,
        }
    }

    /// Reads up to the first packet's line.
    pub(super) fn find_first(
        &mut self,
        window: &mut Window,
        info: &mut FileInfo,
    ) -> io::Result<First> {
        let mut first = String::new();
        while !self.entries.has_begun() && window.offset() < TEXT_PREAMBLE_BYTES_MAX {
            let Next::Line(at, length) = self.next_line(window)? else { break };
            let text = String::from_utf8_lossy(window.taken(at, length));
            if first.is_empty() {
                first = text.trim().chars().take(QUOTED_CHARS_MAX).collect();
            }
            // Its lines have a number and a time in front, too.
            if is_of_tshark(&clean(&text)) {
                return Ok(First::OfTshark);
            }
            self.entries.take(&clean(&text), window.bytes(), &mut self.reckoning, info);
        }
        Ok(match self.entries.has_begun() {
            true => First::Packet,
            false => First::None(self.lines, first),
        })
    }

    /// The next packet.
    pub(super) fn advance(
        &mut self,
        window: &mut Window,
        info: &mut FileInfo,
    ) -> Result<Step, Fault> {
        loop {
            if let Some(record) = self.hand_out(info) {
                return Ok(Step::Packet(record));
            }
            match self.next_line(window)? {
                Next::Line(at, length) => {
                    let text = String::from_utf8_lossy(window.taken(at, length));
                    self.entries.take(&clean(&text), window.bytes(), &mut self.reckoning, info);
                }
                Next::Cut => {
                    self.entries.cut();
                    return match self.hand_out(info) {
                        Some(record) => Ok(Step::Packet(record)),
                        None => Ok(Step::Cut),
                    };
                }
                Next::End if self.entries.end() => {}
                Next::End => return Ok(Step::End),
            }
        }
    }

    /// The packet that the last record describes.
    pub(super) fn packet(&self, record: &Record, frame: u64) -> Packet<'_> {
        Packet {
            frame,
            ts: record.ts,
            link: LinkType::PRINTED,
            data: &self.bytes,
            orig_len: self.bytes.len() as u32,
            raw: &self.bytes,
            fcs_len: 0,
        }
    }

    /// The packet of the entry that is complete, if one is.
    fn hand_out(&mut self, info: &mut FileInfo) -> Option<Record> {
        let entry = self.entries.complete()?;
        let (ts, clock) = self.reckoning.moment(entry.stamp);
        // `-#` counts packets that `--print-sampling` does not print.
        let number = entry.number.filter(|number| *number > self.number);
        let number = number.unwrap_or(self.number.saturating_add(1));
        let frames = number - self.number;
        self.number = number;
        self.count += 1;
        let about = info.text.get_or_insert_default();
        let line = match line::read(&entry.text) {
            Ok(line) => Ok((line, PrintedTunnels::default())),
            Err(why) => tunnel::read_inside(&entry.text, &mut about.services).ok_or(why),
        };
        let printed = match line {
            Ok((line, tunnels)) => {
                let has_time = entry.stamp.is_some();
                segment(&line, tunnels, has_time, self.count, &mut self.numbers, about)
            }
            Err(why) => Printed::Unused(why),
        };
        printed.write(&mut self.bytes);
        about.clock = if self.count == 1 { clock } else { about.clock.max(clock) };
        about.unseen_starts = self.numbers.unseen_starts;
        about.guessed_numbers = self.numbers.guessed;
        about.beyond = self.numbers.beyond;
        let raw_len = self.bytes.len();
        Some(Record {
            at: 0,
            raw_len,
            frames,
            ts,
            link: LinkType::PRINTED,
            raw_orig_len: raw_len as u32,
            fcs_len: 0,
        })
    }

    /// Moves the window past the next line.
    fn next_line(&mut self, window: &mut Window) -> io::Result<Next> {
        loop {
            let mut searched = 0;
            let (length, ended) = loop {
                let bytes = window.bytes();
                let rest = bytes.get(searched..).unwrap_or_default();
                if let Some(place) = rest.iter().position(|byte| *byte == b'\n') {
                    break (searched + place, true);
                }
                searched = bytes.len();
                if searched >= TEXT_LINE_BYTES_MAX {
                    break (searched, false);
                }
                if !window.fill(searched + 1)? {
                    break (searched, false);
                }
            };
            let is_last = !ended && length < TEXT_LINE_BYTES_MAX;
            if is_last && length == 0 {
                return Ok(Next::End);
            }
            let kept = length.min(TEXT_LINE_BYTES_MAX);
            if is_last
                && !self.is_inside
                && entry::is_cut(&clean(&String::from_utf8_lossy(window.bytes())))
            {
                return Ok(Next::Cut);
            }
            let taken = if ended { length + 1 } else { kept };
            let at = window.take(taken);
            let was_inside = core::mem::replace(&mut self.is_inside, !ended && !is_last);
            if !was_inside {
                self.lines += 1;
                return Ok(Next::Line(at, kept));
            }
        }
    }
}

/// Whether a line is of tshark's list of packets: `TIME SOURCE → TARGET PROTOCOL LENGTH`, with an
/// arrow that tcpdump never prints; `->` where the letter is not to be had.
fn is_of_tshark(line: &str) -> bool {
    let words: Vec<&str> = line.split_ascii_whitespace().take(TSHARK_WORDS_MAX).collect();
    let is_time = |word: &str| {
        word.contains('.') && word.bytes().all(|it| it.is_ascii_digit() || b".:".contains(&it))
    };
    words.windows(6).any(|words| match words {
        [time, source, arrow, target, _, length] => {
            matches!(*arrow, "→" | "->")
                && is_time(time)
                && line::is_address(source)
                && line::is_address(target)
                && length.bytes().all(|it| it.is_ascii_digit())
        }
        _ => false,
    })
}

/// Words in which such a line shows: what a mail puts in front, a number, and a date.
const TSHARK_WORDS_MAX: usize = 12;

/// A line without what forums and mail clients make of it.
fn clean(line: &str) -> Cow<'_, str> {
    let line = line.trim_end();
    if !line.contains(['&', '\u{a0}']) {
        return line.into();
    }
    line.replace("&gt;", ">")
        .replace("&lt;", "<")
        .replace("&amp;", "&")
        .replace('\u{a0}', " ")
        .into()
}

/// The segment that a line tells, with its numbers made absolute.
fn segment(
    line: &line::Line<'_>,
    tunnels: PrintedTunnels,
    has_time: bool,
    count: u64,
    numbers: &mut Numbers,
    about: &mut TextInfo,
) -> Printed {
    let Some((version, [source, target])) =
        names::sockets(line.source, line.target, &mut about.services)
    else {
        about.names_left_out += 1;
        return Printed::Unused(Unused::Unreadable);
    };
    let tcp = &line.tcp;
    let absolute = numbers.resolve(source, target, tcp);
    let says_nothing_new = tcp.payload == 0 && tcp.flags & !body::flag::ACK == 0;
    // Two lines may tell one packet that passed twice, which their times show. Bare ACKs are
    // alike without being one, and without times so is all else.
    let is_own = !has_time || (says_nothing_new && !line.names_interface);
    let own_mark = if is_own { (count % 0xffff) as u16 + 1 } else { 0 };
    let options = PrintedOptions { sack: absolute.sack, ..tcp.options };
    Printed::Segment(PrintedSegment {
        version,
        source,
        target,
        flags: tcp.flags,
        seq: absolute.seq,
        ack: absolute.ack,
        payload: tcp.payload,
        window: tcp.window,
        ip_id: line.ip_id.unwrap_or(own_mark),
        ttl: line.ttl.unwrap_or_default(),
        wrong_checksum: tcp.wrong_checksum,
        checksum: tcp.checksum,
        options,
        tunnels,
    })
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read};
    use std::sync::mpsc::{Receiver, channel};

    use crate::capture::Source;

    /// A live pipe: gives what was sent, and fails where a real one would block.
    struct Pipe(Receiver<Vec<u8>>);

    impl Read for Pipe {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let bytes = self.0.try_recv().map_err(|_| ErrorKind::WouldBlock)?;
            buffer[..bytes.len()].copy_from_slice(&bytes);
            Ok(bytes.len())
        }
    }

    #[test]
    fn a_live_pipe_is_not_a_packet_behind() {
        let line = |second| {
            format!("00:00:{second:02}.000000 IP a.1 > b.2: Flags [.], ack 1, win 2, length 0\n")
        };
        let (sender, receiver) = channel();
        sender.send(line(0).into_bytes()).unwrap();
        let mut source = Source::from_reader("-", Box::new(Pipe(receiver))).unwrap();
        for second in 1..5 {
            assert_eq!(source.next_packet().unwrap().unwrap().frame, second);
            sender.send(line(second).into_bytes()).unwrap();
        }
    }

    #[test]
    fn packets_as_tshark_prints_them_are_refused_by_name() {
        let refused = |text: &str| {
            let reader = Box::new(std::io::Cursor::new(text.to_owned()));
            Source::from_reader("x", reader).err().map(|error| error.to_string())
        };
        for line in [
            "    1 0.000000000     10.9.0.1 → 10.9.0.2     TCP 60 35457 → 6800 [SYN]",
            "> 1   0.000000 10.9.0.1 -> 10.9.0.2     TCP 60 35457 > 6800 [SYN]",
            "1 2026-11-20 15:07:29.098161681 fd09::1 → fd09::2 TCP 60 35457 → 6800 [SYN]",
        ] {
            let said = refused(&format!("$ tshark -r a.pcap\n{line}\n")).unwrap();
            assert!(said.contains("tshark") && said.contains("tcpdump -nr"), "{said}");
        }
        let own = "    1  00:00:00.000000 IP a.1 > b.2: Flags [.], ack 1, win 2, length 0\n";
        assert_eq!(refused(own), None);
    }

    #[test]
    fn a_line_without_end_takes_no_memory() {
        let first = "00:00:00.000000 IP a.1 > b.2: Flags [.], ack 1, win 2, length 0\n";
        let text = format!("{first}{}\n{first}", "x".repeat(1 << 20));
        let mut source = Source::from_reader("x", Box::new(std::io::Cursor::new(text))).unwrap();
        let mut packets = 0;
        while source.next_packet().unwrap().is_some() {
            packets += 1;
        }
        assert_eq!(packets, 2);
    }
}
