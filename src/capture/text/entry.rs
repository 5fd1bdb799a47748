//! Lines to entries: what tcpdump printed of one packet, put together again where it stands on
//! several lines, or was broken by whoever passed it on.

use super::super::FileInfo;
use super::stamp::{Hours, Reckoning, Stamp};
use super::tunnel::innermost;
use super::{bounds, line};
use crate::limits::{INTERFACES_MAX, NAME_BYTES_MAX, TEXT_LINE_BYTES_MAX};

/// Lines that one entry is made of at most: `-v` takes two, and a mail client breaks those.
const LINES_MAX: u32 = 12;

/// What tcpdump printed of one packet.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub stamp: Option<Stamp>,
    /// What `-#` printed.
    pub number: Option<u64>,
    /// From behind the time.
    pub text: String,
    /// Bytes in front of the line: blanks, and marks of quotation.
    indent: usize,
    lines: u32,
    /// It may go on in the line below.
    is_growing: bool,
    /// Packets inside of it are printed below it.
    is_tunnel: bool,
}

/// The entry that is being read, and the one that was complete before it.
#[derive(Debug, Default)]
pub(super) struct Entries {
    current: Entry,
    complete: Entry,
    is_begun: bool,
    is_complete: bool,
    /// The current one is complete as it is.
    is_whole: bool,
    /// Nothing that follows belongs to the current one.
    is_closed: bool,
    /// The entry that began last has a time.
    has_times: bool,
}

/// A line that begins an entry.
struct Begun<'a> {
    stamp: Option<Stamp>,
    number: Option<u64>,
    text: &'a str,
}

impl Entries {
    /// Whether a packet has been seen.
    pub(super) fn has_begun(&self) -> bool {
        self.is_begun || self.is_complete
    }

    /// The entry that is complete, once.
    pub(super) fn complete(&mut self) -> Option<&Entry> {
        if !self.is_complete && self.is_whole {
            self.end();
        }
        core::mem::take(&mut self.is_complete).then_some(&self.complete)
    }

    /// The current entry is over. Whether there was one.
    pub(super) fn end(&mut self) -> bool {
        self.is_whole = false;
        let is_begun = core::mem::take(&mut self.is_begun);
        if is_begun {
            core::mem::swap(&mut self.current, &mut self.complete);
            self.is_complete = true;
        }
        is_begun
    }

    /// The text was cut within an entry: it is over if what is there of it makes one.
    pub(super) fn cut(&mut self) {
        self.is_begun &= !bounds::goes_on(&self.current.text, "");
        self.end();
    }

    /// Takes the next line; `ahead` is what has been read behind it.
    pub(super) fn take(
        &mut self,
        line: &str,
        ahead: &[u8],
        reckoning: &mut Reckoning,
        info: &mut FileInfo,
    ) {
        let text = unquoted(line);
        if text.is_empty() {
            self.go_on("", "", false);
            return;
        }
        let indent = line.len() - text.len();
        let begun = begin(text);
        let is_admitted = begun.as_ref().is_some_and(|begun| self.admits(begun, indent));
        if begun.is_some() && !is_admitted {
            // A tunnel has one packet inside, which may be a tunnel again.
            self.current.is_tunnel &= bounds::is_tunnel(text);
        }
        match begun.filter(|_| is_admitted) {
            Some(begun) => {
                if let Some(Stamp::TimeOfDay(nanos)) = begun.stamp {
                    reckoning.hours.get_or_insert_with(|| hours(nanos, ahead));
                }
                self.begin(&begun, indent);
            }
            None if self.is_begun && self.current.is_growing => {
                let is_flush = indent == self.current.indent;
                self.go_on(line.trim_start(), text, is_flush);
            }
            None => banner(text, info),
        }
    }

    /// Whether a line that looks like a packet's is one: without a time it may be what stands
    /// inside of another packet, or in its dump.
    fn admits(&self, begun: &Begun<'_>, indent: usize) -> bool {
        let current = &self.current;
        let is_stray =
            self.has_times && !begun.text.contains("(tos ") && line::read(begun.text).is_err();
        let is_inside = self.is_begun
            && !self.is_closed
            && ((current.stamp.is_some() && bounds::is_unfinished(&current.text))
                || indent > if current.is_marked() { 0 } else { current.indent }
                || current.is_tunnel
                || (current.is_growing && bounds::goes_on(&current.text, begun.text)));
        begun.stamp.is_some() || begun.number.is_some() || !(is_stray || is_inside)
    }

    fn begin(&mut self, begun: &Begun<'_>, indent: usize) {
        self.end();
        (self.is_begun, self.is_closed, self.has_times) = (true, false, begun.stamp.is_some());
        let entry = &mut self.current;
        (entry.stamp, entry.number) = (begun.stamp, begun.number);
        (entry.indent, entry.lines, entry.is_growing) = (indent, 1, true);
        entry.text.clear();
        entry.text.push_str(begun.text);
        entry.is_tunnel = bounds::is_tunnel(begun.text);
        self.is_whole = is_whole(begun.text);
    }

    /// A line that begins no packet: more of the current one, or its dump; or a blank one. Flush
    /// with the line above, it may have been broken off within a word.
    fn go_on(&mut self, line: &str, text: &str, is_flush: bool) {
        let entry = &mut self.current;
        entry.lines += 1;
        let has_room = entry.text.len() + text.len() < TEXT_LINE_BYTES_MAX;
        entry.is_growing = entry.is_growing
            && entry.lines <= LINES_MAX
            && has_room
            && !is_dump(text)
            && bounds::goes_on(&entry.text, line);
        if !entry.is_growing {
            // What is inside of a packet that is no TCP segment is printed in further lines.
            self.is_closed |= text.is_empty() || line::read(&entry.text).is_ok();
            return;
        }
        if text.is_empty() {
            return;
        }
        // The line may have been broken before the `>` between the addresses.
        let is_arrow = line.starts_with('>') && !innermost(&entry.text).contains('>');
        let is_carried = bounds::is_tunnel(&entry.text) && bounds::begins(text);
        let is_torn = is_flush && !is_carried && bounds::is_torn(&entry.text, text);
        if !(entry.text.is_empty() || is_torn) {
            entry.text.push(' ');
        }
        entry.text.push_str(if is_arrow { "> " } else { "" });
        entry.text.push_str(text);
        entry.is_tunnel = bounds::is_tunnel(&entry.text);
        self.is_whole = is_whole(&entry.text);
    }
}

impl Entry {
    /// Whether something stands in front of its first line that lines inside of it do not have.
    fn is_marked(&self) -> bool {
        self.stamp.is_some() || self.number.is_some()
    }
}

/// Whether nothing can be missing of an entry: the new style ends with the length. So a live pipe
/// is not a packet behind.
fn is_whole(text: &str) -> bool {
    let flags = text.find("Flags [").and_then(|at| text.get(at..));
    flags.is_some_and(|rest| rest.contains(", length ")) && !bounds::goes_on(text, "")
}

/// Whether a last line without an end is the beginning of a packet's only.
pub(super) fn is_cut(line: &str) -> bool {
    begin(unquoted(line)).is_some_and(|begun| bounds::is_cut(begun.text))
}

/// The line without blanks and marks of quotation in front.
fn unquoted(line: &str) -> &str {
    line.trim_start_matches([' ', '\t', '>', '|', '*', '`', '\u{feff}'])
}

/// What a line begins, if it is a packet's first.
fn begin(text: &str) -> Option<Begun<'_>> {
    // What is left of a number where a line was broken looks like a time since the packet before.
    let is_time = |stamp, text| !matches!(stamp, Stamp::Delta(0..)) || bounds::is_packet(text);
    if let Some((stamp, text)) = Stamp::split(text).filter(|(stamp, text)| is_time(*stamp, text)) {
        return Some(Begun { stamp: Some(stamp), number: None, text });
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if let Some((number, rest)) =
        text.split_at_checked(digits).filter(|(_, rest)| rest.starts_with(' '))
    {
        let (number, rest) = (number.parse().ok(), rest.trim_start());
        let stamped = Stamp::split(rest).map(|(stamp, text)| (Some(stamp), text));
        let begun = stamped.or_else(|| bounds::begins(rest).then_some((None, rest)));
        if let (Some(number), Some((stamp, text))) = (number, begun) {
            return Some(Begun { stamp, number: Some(number), text });
        }
    }
    bounds::begins(text).then_some(Begun { stamp: None, number: None, text })
}

/// Whether a line is of a dump: `0x0010:  ...`, or words of four hexadecimal digits.
fn is_dump(text: &str) -> bool {
    let mut words = text.split_ascii_whitespace();
    let is_hex = |word: &str| word.len() == 4 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_offset =
        words.clone().next().is_some_and(|it| it.starts_with("0x") && it.ends_with(':'));
    is_offset || (words.clone().count() > 1 && words.all(is_hex))
}

/// How `HH:MM:SS` is meant, by the first packet's and those behind it. Zero is where `-ttt` and
/// `-ttttt` begin, and the times of the latter do not run backwards.
fn hours(first: i64, ahead: &[u8]) -> Hours {
    /// Dumps have many lines between two packets, and what is ahead is bounded by the window.
    const STAMPS: usize = 64;
    /// So many in order are hardly so by chance.
    const IN_ORDER: usize = 4;
    if first != 0 {
        return Hours::Midnight;
    }
    let (mut last, mut seen) = (first, 1);
    for line in ahead.split(|byte| *byte == b'\n') {
        if seen >= STAMPS {
            break;
        }
        let line = String::from_utf8_lossy(line.get(..line.len().min(64)).unwrap_or_default());
        let stamp = begin(unquoted(&line)).and_then(|begun| begun.stamp);
        match stamp {
            Some(Stamp::TimeOfDay(nanos)) if nanos >= last => (last, seen) = (nanos, seen + 1),
            Some(_) => return Hours::PacketBefore,
            None => {}
        }
    }
    if seen >= IN_ORDER { Hours::FirstPacket } else { Hours::PacketBefore }
}

/// What tcpdump says when it begins and ends.
fn banner(text: &str, info: &mut FileInfo) {
    if let Some((count, _)) = line::number(text).filter(|it| it.1 == " packets dropped by kernel") {
        info.dropped = info.dropped.saturating_add(u64::from(count));
    }
    let Some((_, rest)) = text.split_once("listening on ") else { return };
    let name = rest.split(',').next().unwrap_or_default();
    if !name.is_empty() && name.len() <= NAME_BYTES_MAX && info.interfaces.len() < INTERFACES_MAX {
        info.interfaces.insert(name.to_owned());
    }
    let length = ["capture size ", "snapshot length "].iter().find_map(|it| rest.split_once(it));
    if let Some((snaplen, _)) = length.and_then(|(_, rest)| line::number(rest)) {
        info.snaplen = info.snaplen.max(snaplen);
    }
}
