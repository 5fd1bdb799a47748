//! What TCP said, behind the addresses of a packet's line: the same words in any order, whichever
//! the style.

use super::line::{hexadecimal, number};
use super::options;
use super::printed::{PrintedOptions, Unused};

/// The flags that have a letter, as they stand in the header.
pub(super) mod flag {
    pub const FIN: u16 = 0x01;
    pub const SYN: u16 = 0x02;
    pub const RST: u16 = 0x04;
    pub const ACK: u16 = 0x10;
    pub const URG: u16 = 0x20;
}

const LETTERS: [(char, u16); 9] = [
    ('F', flag::FIN),
    ('S', flag::SYN),
    ('R', flag::RST),
    ('P', 0x08),
    ('.', flag::ACK),
    ('U', flag::URG),
    ('E', 0x40),
    ('W', 0x80),
    ('e', 0x100),
];

/// What TCP said, numbers as printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tcp {
    pub flags: u16,
    pub seq: Option<u32>,
    pub ack: Option<u32>,
    pub payload: u32,
    pub window: u16,
    pub wrong_checksum: bool,
    /// As printed by `-v`. Without, it tells packets apart by the options that are not read.
    pub checksum: u16,
    pub options: PrintedOptions,
}

/// What stands behind the addresses.
pub(super) struct Body<'a> {
    pub tcp: Tcp,
    /// `ttl 64, id 0, len 64`.
    pub ip: Option<&'a str>,
    /// Whether nothing that matters can follow on another line.
    pub is_whole: bool,
    /// Whether a list of options has begun and not ended.
    pub is_open: bool,
}

impl<'a> Body<'a> {
    /// Reads what stands behind the addresses.
    pub fn read(text: &'a str) -> Result<Body<'a>, Unused> {
        if text.starts_with("[|tcp]") {
            return Err(Unused::CutHeader);
        }
        if text.strip_prefix("tcp ").and_then(number).is_some() {
            return Err(Unused::Quiet);
        }
        let (flags, rest, is_new) = match text.strip_prefix("Flags [") {
            Some(rest) => {
                let (flags, rest) = rest.split_once(']').ok_or(Unused::Unreadable)?;
                (new_flags(flags).ok_or(Unused::Unreadable)?, rest, true)
            }
            None => {
                let end = text.find([' ', ',']).unwrap_or(text.len());
                let (flags, rest) = text.split_at_checked(end).ok_or(Unused::NotTcp)?;
                // A line may break anywhere behind the addresses.
                if "Flags [".starts_with(text) {
                    return Err(Unused::Unreadable);
                }
                let flags = old_flags(flags).ok_or(Unused::NotTcp)?;
                // It may break within the first number, too.
                if rest.bytes().all(|byte| byte == b' ' || byte.is_ascii_digit()) {
                    return Err(Unused::Unreadable);
                }
                (flags, rest, false)
            }
        };
        let mut words = Words { flags, ..Words::default() };
        words.take(rest);
        let complete = words.window.is_some();
        match (is_new, complete) {
            (_, true) => Ok(words.body(is_new)),
            (true, false) => Err(words.why_not()),
            // A UDP payload's first letter looks like flags.
            (false, false) if words.ack.is_none() && words.seq.is_none() => Err(Unused::NotTcp),
            (false, false) => Err(words.why_not()),
        }
    }
}

fn letters(text: &str) -> Option<u16> {
    text.chars().try_fold(0, |flags, letter| {
        LETTERS.iter().find(|(known, _)| *known == letter).map(|(_, flag)| flags | flag)
    })
}

pub(super) fn new_flags(text: &str) -> Option<u16> {
    if text == "none" { Some(0) } else { letters(text).filter(|_| !text.is_empty()) }
}

/// In the old style `.` means that there is no letter to print, and `ack` tells the ACK.
fn old_flags(text: &str) -> Option<u16> {
    let flags = letters(text).filter(|_| !text.is_empty())?;
    Some(flags & !flag::ACK)
}

/// Words looked at behind the flags. A list of options is one; what dissectors print is not looked
/// at but for the IP header that old versions put last.
const WORDS_MAX: usize = 256;

/// The words behind the flags, as they come.
#[derive(Default)]
struct Words<'a> {
    flags: u16,
    /// First and last number, and the length in parentheses.
    seq: Option<(u32, u32)>,
    in_parentheses: Option<u32>,
    ack: Option<u32>,
    window: Option<u32>,
    length: Option<u32>,
    options: PrintedOptions,
    is_open: bool,
    is_cut: bool,
    is_malformed: bool,
    wrong_checksum: bool,
    checksum: Option<u16>,
    /// A mark of the options that are not read.
    mark: u16,
    ip: Option<&'a str>,
}

impl<'a> Words<'a> {
    /// Takes all words; what is behind the length is payload.
    fn take(&mut self, mut rest: &'a str) {
        for _ in 0..WORDS_MAX {
            rest = rest.trim_start_matches([' ', ',', '\t']);
            if rest.is_empty() || self.length.is_some() {
                return;
            }
            rest = self.word(rest).unwrap_or_else(|| skip_word(rest));
        }
    }

    /// Takes the word at the front, if it is one that matters.
    fn word(&mut self, text: &'a str) -> Option<&'a str> {
        let counted = |name| {
            let rest = text.strip_prefix(name)?;
            number(rest.trim_start())
        };
        if let Some((ack, rest)) = counted("ack ") {
            self.ack.get_or_insert(ack);
            return Some(rest);
        }
        if let Some((window, rest)) = counted("win ") {
            self.window.get_or_insert(window);
            return Some(rest);
        }
        if let Some((length, rest)) = counted("length ") {
            self.length = Some(length);
            return Some(rest);
        }
        if let Some((_, rest)) = counted("urg ") {
            self.flags |= flag::URG;
            return Some(rest);
        }
        if let Some((checksum, rest)) = text.strip_prefix("cksum 0x").and_then(hexadecimal) {
            self.checksum = Some(checksum as u16);
            return Some(rest);
        }
        if let Some(rest) = text.strip_prefix("seq ") {
            return self.numbers(rest.trim_start());
        }
        if let Some(rest) = text.strip_prefix("options [") {
            let (list, rest) = in_brackets(rest);
            (self.options, self.mark) = options::read(list);
            return Some(rest);
        }
        match text.chars().next()? {
            '<' => {
                let list = text.get(1..)?;
                self.is_open = !list.contains('>');
                let (list, rest) = list.split_once('>').unwrap_or((list, ""));
                (self.options, self.mark) = options::read(list);
                Some(rest)
            }
            '[' => {
                let (inside, rest) = in_brackets(text.get(1..)?);
                self.is_cut |= inside == "|tcp";
                self.is_malformed |= inside.starts_with("bad hdr length");
                if let Some(checksum) = inside.strip_prefix("bad tcp cksum ") {
                    self.wrong_checksum = true;
                    self.checksum = hexadecimal(checksum).map(|(checksum, _)| checksum as u16);
                }
                Some(rest)
            }
            '(' => {
                let (inside, rest) = text.get(1..)?.split_once(')')?;
                self.wrong_checksum |= inside.starts_with("incorrect");
                let is_ip = inside.contains("ttl ");
                self.ip = self.ip.or(is_ip.then_some(inside));
                Some(rest)
            }
            '0'..='9' if self.window.is_none() => {
                let (_, rest) = number(text)?;
                if rest.starts_with(':') { self.numbers(text) } else { None }
            }
            _ => None,
        }
    }

    /// `1`, `1:518` or `1:518(517)`.
    fn numbers(&mut self, text: &'a str) -> Option<&'a str> {
        let (first, rest) = number(text)?;
        let (last, rest) = match rest.strip_prefix(':').and_then(number) {
            Some((last, rest)) => (last, rest),
            None => (first, rest),
        };
        let length = rest.strip_prefix('(').and_then(number);
        self.seq.get_or_insert((first, last));
        match length {
            Some((length, rest)) => {
                self.in_parentheses.get_or_insert(length);
                Some(rest.strip_prefix(')').unwrap_or(rest))
            }
            None => Some(rest),
        }
    }

    /// What the words make, once a window is among them.
    fn body(self, is_new: bool) -> Body<'a> {
        let range = self.seq.map(|(first, last)| last.wrapping_sub(first));
        // A length that is not that of the numbers was broken off.
        let has_length = self.length.is_some_and(|it| range.is_none_or(|range| it >= range));
        let (ack_flag, mut options) = (self.flags & flag::ACK != 0, self.options);
        // tcpdump stops at an option that it does not understand.
        options.incomplete |= self.is_cut || (is_new && self.length.is_none());
        let ack = if is_new { self.ack.filter(|_| ack_flag) } else { self.ack };
        Body {
            tcp: Tcp {
                flags: self.flags | if ack.is_some() { flag::ACK } else { 0 },
                seq: self.seq.map(|(first, _)| first),
                ack,
                payload: self.length.or(self.in_parentheses).or(range).unwrap_or_default(),
                window: self.window.unwrap_or_default().min(u32::from(u16::MAX)) as u16,
                wrong_checksum: self.wrong_checksum,
                checksum: self.checksum.unwrap_or(self.mark),
                options,
            },
            ip: self.ip,
            is_whole: has_length || self.is_cut || self.options.incomplete,
            is_open: self.is_open,
        }
    }

    fn why_not(&self) -> Unused {
        match (self.is_cut, self.is_malformed) {
            (true, _) => Unused::CutHeader,
            (_, true) => Unused::Malformed,
            _ => Unused::Unreadable,
        }
    }
}

/// What is behind the next blank or comma.
fn skip_word(text: &str) -> &str {
    let end = text.find([' ', ',', '\t']).unwrap_or(text.len());
    text.get(end..).unwrap_or_default()
}

/// What stands before the bracket that closes, and behind it.
fn in_brackets(text: &str) -> (&str, &str) {
    let mut open = 1_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'[' => open += 1,
            b']' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return (text.get(..at).unwrap_or(text), text.get(at + 1..).unwrap_or_default());
        }
    }
    (text, "")
}
