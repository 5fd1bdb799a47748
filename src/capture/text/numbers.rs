//! Relative numbers made absolute, the way in which tcpdump made them relative.
//!
//! tcpdump prints a segment without ACK as it is. Of each pair of addresses and ports it remembers
//! the numbers of the first segment with ACK, and of each SYN+ACK: that one is printed as it is,
//! and those after it as the distance from there. `-S` prints all as they are. Which it was shows:
//! of the two readings, the right one goes on where the connection stood.
//!
//! What stays open: a text that begins after tcpdump did counts from a start that it does not
//! show, so its numbers are right only against each other ([`Numbers::unseen_starts`]); and a
//! number that was not printed, as that of every bare ACK, is taken to go on where its sender
//! stood.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::body::{Tcp, flag};
use crate::limits::CONNECTIONS_MAX;
use crate::seq::SeqNum;

/// A host and a port, in the bytes of the four-tuple.
pub(super) type Socket = ([u8; 16], u16);

/// What a segment's numbers are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Absolute {
    pub seq: u32,
    pub ack: u32,
    pub sack: Option<(u32, u32)>,
}

/// The numbers of all connections of a text.
#[derive(Default)]
pub(super) struct Numbers {
    talks: HashMap<(Socket, Socket), Talk, RandomState>,
    /// Whether the connections that began in this text were printed with `-S`.
    is_absolute: Option<bool>,
    /// Connections whose numbers count from a start that the text does not show.
    pub unseen_starts: u64,
    /// Segments with data and without a number, as version 4.0 prints them.
    pub guessed: u64,
    /// Segments of connections for which there was no room; their numbers are as printed.
    pub beyond: u64,
}

/// What is known of one connection, and of each of its ends.
#[derive(Clone, Copy, Debug, Default)]
struct Talk {
    ends: [End; 2],
    lore: Lore,
}

/// What is known of a connection as a whole.
#[derive(Clone, Copy, Debug, Default)]
struct Lore {
    /// tcpdump remembers it: the bases count.
    is_known: bool,
    /// Whether its numbers are printed as they are.
    is_absolute: Option<bool>,
    starts_unseen: bool,
}

/// What is known of one end.
#[derive(Clone, Copy, Debug, Default)]
struct End {
    /// Relative numbers count from here.
    base: u32,
    /// Behind the last number that it sent.
    next: Option<u32>,
    /// The last that its peer acknowledged.
    acked: Option<u32>,
    /// What is added to numbers that are printed as they are.
    shift: u32,
    /// Its first number was not printed, and made up.
    is_made_up: bool,
}

/// Numbers further apart than this do not go on one from the other.
const FAR: u32 = 1 << 28;
/// First numbers are chosen at random: one below this counts from a start before.
const LOW: u32 = 1 << 16;

impl Numbers {
    /// The absolute numbers of the next segment.
    pub(super) fn resolve(&mut self, source: Socket, target: Socket, tcp: &Tcp) -> Absolute {
        self.guessed += u64::from(tcp.seq.is_none() && tcp.payload > 0);
        let from_first = source <= target;
        let key = if from_first { (source, target) } else { (target, source) };
        if self.talks.len() >= CONNECTIONS_MAX && !self.talks.contains_key(&key) {
            self.beyond += 1;
            let (seq, ack) = (tcp.seq.unwrap_or_default(), tcp.ack.unwrap_or_default());
            return Absolute { seq, ack, sack: tcp.options.sack };
        }
        let talk = self.talks.entry(key).or_default();
        let [a, b] = &mut talk.ends;
        let (own, peer) = if from_first { (a, b) } else { (b, a) };
        let unseen = talk.lore.starts_unseen;
        let mut view = View { own, peer, lore: &mut talk.lore };
        let absolute = view.resolve(tcp, self.is_absolute);
        view.go_on(tcp, &absolute);
        let is_syn = tcp.flags & flag::SYN != 0;
        match (unseen, talk.lore.starts_unseen) {
            (false, true) => self.unseen_starts += 1,
            // It was the start after all; a SYN is another start.
            (true, false) if !is_syn => self.unseen_starts -= 1,
            _ => {}
        }
        if !talk.lore.starts_unseen {
            self.is_absolute = talk.lore.is_absolute.or(self.is_absolute);
        }
        absolute
    }
}

/// One connection as the sender of a segment sees it.
struct View<'a> {
    own: &'a mut End,
    peer: &'a mut End,
    lore: &'a mut Lore,
}

impl View<'_> {
    fn resolve(&mut self, tcp: &Tcp, others: Option<bool>) -> Absolute {
        let is_syn = tcp.flags & flag::SYN != 0;
        match tcp.ack {
            None => {
                // The number of a lone RST cannot be compared with relative ones.
                let is_strange = self.lore.starts_unseen && !is_syn;
                let seq = tcp.seq.filter(|_| !is_strange).unwrap_or_else(|| self.own.stands());
                Absolute { seq, ack: 0, sack: None }
            }
            Some(ack) if is_syn || !self.lore.is_known => self.first(tcp, ack, is_syn),
            Some(ack) => self.later(tcp, ack, others),
        }
    }

    /// The segment that tcpdump remembers: it is printed as it is.
    fn first(&mut self, tcp: &Tcp, ack: u32, is_syn: bool) -> Absolute {
        let is_begun = self.own.next.is_some() || self.peer.next.is_some();
        let is_low = ack < LOW || tcp.seq.is_some_and(|seq| seq < LOW);
        self.lore.starts_unseen = !is_syn && !is_begun && is_low;
        self.lore.is_known = true;
        self.own.is_made_up = tcp.seq.is_none() && self.own.expected().is_none();
        let seq = tcp.seq.unwrap_or_else(|| self.own.stands());
        self.own.base = seq;
        self.peer.base = ack.wrapping_sub(1);
        Absolute { seq, ack, sack: self.sack(tcp, ack) }
    }

    fn later(&mut self, tcp: &Tcp, ack: u32, others: Option<bool>) -> Absolute {
        let relative = Reading {
            seq: tcp.seq.map(|seq| self.own.base.wrapping_add(seq)),
            ack: self.peer.base.wrapping_add(ack),
        };
        let printed = Reading {
            seq: tcp.seq.map(|seq| self.own.as_printed(seq)),
            ack: self.peer.as_printed(ack),
        };
        let expected_ack = self.peer.expected().unwrap_or(self.peer.base.wrapping_add(1));
        let expected = Reading { seq: Some(self.own.stands()), ack: expected_ack };
        let (off_relative, off_printed) = (relative.off(&expected), printed.off(&expected));
        let is_far = |off: u32| off >= FAR;
        if self.lore.starts_unseen && is_far(off_relative) && is_far(off_printed) {
            return Absolute { seq: self.own.stands(), ack: expected_ack, sack: None };
        }
        let believed = self.lore.is_absolute.unwrap_or(match others {
            Some(others) if off_relative > 0 && off_printed > 0 => others,
            _ => off_printed < off_relative,
        });
        let (off, off_other) =
            if believed { (off_printed, off_relative) } else { (off_relative, off_printed) };
        let is_printed = believed ^ (is_far(off) && !is_far(off_other));
        if self.lore.is_absolute.is_none() && off_relative != off_printed {
            self.lore.is_absolute = Some(is_printed);
            self.lore.starts_unseen &= is_printed;
        }
        let reading = if is_printed { printed } else { relative };
        if is_printed {
            tcp.seq.into_iter().for_each(|seq| self.own.settle(seq));
            self.peer.settle(ack);
            if self.lore.is_absolute == Some(false) {
                // tcpdump forgot the connection, and began anew with this segment.
                self.own.base = reading.seq.unwrap_or_else(|| self.own.stands());
                self.peer.base = reading.ack.wrapping_sub(1);
            }
        }
        let seq = reading.seq.unwrap_or_else(|| self.own.stands());
        Absolute { seq, ack: reading.ack, sack: self.sack(tcp, reading.ack) }
    }

    /// A SACK block is above the acknowledgement number, or not far below.
    fn sack(&self, tcp: &Tcp, ack: u32) -> Option<(u32, u32)> {
        let (start, end) = tcp.options.sack?;
        let of_base = |number: u32| self.peer.base.wrapping_add(number);
        let is_relative = apart(of_base(start), ack) <= apart(self.peer.as_printed(start), ack);
        let number =
            |number| if is_relative { of_base(number) } else { self.peer.as_printed(number) };
        Some((number(start), number(end)))
    }

    /// Keeps where both ends stand.
    fn go_on(&mut self, tcp: &Tcp, absolute: &Absolute) {
        let is_syn = tcp.flags & flag::SYN != 0;
        let controls = u32::from(is_syn) + u32::from(tcp.flags & flag::FIN != 0);
        let end = absolute.seq.wrapping_add(tcp.payload).wrapping_add(controls);
        if is_syn {
            (self.own.next, self.own.acked) = (Some(end), None);
        } else if tcp.flags & flag::RST == 0 || self.own.next.is_none() {
            self.own.next = latest(self.own.next, Some(end));
        }
        if tcp.ack.is_some() {
            self.peer.acked = latest(self.peer.acked, Some(absolute.ack));
        }
    }
}

impl End {
    /// The number that goes on where the end stands, if that is known.
    fn expected(&self) -> Option<u32> {
        latest(self.next, self.acked)
    }

    fn stands(&self) -> u32 {
        self.expected().unwrap_or(self.base)
    }

    /// A number that is printed as it is; the first one of an end whose number was made up stands
    /// where that one does.
    fn as_printed(&self, number: u32) -> u32 {
        match self.is_made_up && number >= LOW {
            true => self.stands(),
            false => self.shift.wrapping_add(number),
        }
    }

    /// From now on numbers are counted as this one is.
    fn settle(&mut self, number: u32) {
        if self.is_made_up {
            self.shift = self.as_printed(number).wrapping_sub(number);
            self.is_made_up = false;
        }
    }
}

/// One reading of a segment's numbers.
#[derive(Clone, Copy)]
struct Reading {
    seq: Option<u32>,
    ack: u32,
}

impl Reading {
    /// How far it is off.
    fn off(&self, expected: &Reading) -> u32 {
        let seq = self.seq.zip(expected.seq).map_or(0, |(a, b)| apart(a, b));
        seq.max(apart(self.ack, expected.ack))
    }
}

fn apart(a: u32, b: u32) -> u32 {
    a.wrapping_sub(b).min(b.wrapping_sub(a))
}

/// The later of two sequence numbers.
fn latest(a: Option<u32>, b: Option<u32>) -> Option<u32> {
    match (a, b) {
        (Some(a), Some(b)) => Some(SeqNum(a).latest(SeqNum(b)).0),
        _ => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: Socket = ([1; 16], 1748);
    const SERVER: Socket = ([2; 16], 80);

    /// Resolves lines such as `> S 7` or `< . 1:5 ack 8 sack 9`.
    fn resolved(lines: &[&str]) -> (Vec<(u32, u32)>, Numbers) {
        let mut numbers = Numbers::default();
        let resolve = |line: &&str| {
            let (way, rest) = line.split_once(' ').unwrap();
            let (flags, rest) = rest.split_once(' ').unwrap();
            let body = format!("10.0.0.1.5 > 10.0.0.2.80: {flags} {rest} win 9");
            let tcp = super::super::line::read(&body).unwrap().tcp;
            let (from, to) = if way == ">" { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
            let absolute = numbers.resolve(from, to, &tcp);
            (absolute.seq, absolute.ack)
        };
        let found = lines.iter().map(resolve).collect();
        (found, numbers)
    }

    #[test]
    fn numbers_count_from_the_handshake() {
        let (found, numbers) = resolved(&[
            "> S 900000000:900000000(0)",
            "< S 500000000:500000000(0) ack 900000001",
            "> . ack 1",
            "> P 1:11(10) ack 1",
            "< . ack 11",
            "< F 1:1(0) ack 11",
            "< R 500000002:500000002(0)",
        ]);
        let (c, s) = (900_000_000, 500_000_000);
        let expected = [
            (c, 0),
            (s, c + 1),
            (c + 1, s + 1),
            (c + 1, s + 1),
            (s + 1, c + 11),
            (s + 1, c + 11),
            (s + 2, 0),
        ];
        assert_eq!(found, expected);
        assert_eq!(numbers.unseen_starts, 0);
    }

    #[test]
    fn absolute_numbers_stay_as_they_are() {
        let (found, _) = resolved(&[
            "> S 1000:1000(0)",
            "< S 2000:2000(0) ack 1001",
            "> . ack 2001",
            "> P 1001:1011(10) ack 2001",
            "< . ack 1011",
        ]);
        assert_eq!(found, [(1000, 0), (2000, 1001), (1001, 2001), (1001, 2001), (2001, 1011)]);
    }

    #[test]
    fn small_first_numbers_are_told_from_relative_ones() {
        let (found, _) = resolved(&[
            "> S 10:10(0)",
            "< S 50:160(110) ack 11",
            "> . ack 111",
            "> F 1:1(0) ack 111",
            "< F 111:111(0) ack 2",
            "> . ack 112",
        ]);
        assert_eq!(found, [(10, 0), (50, 11), (11, 161), (11, 161), (161, 12), (12, 162)]);
    }

    #[test]
    fn a_start_in_the_middle_counts_from_its_first_segment() {
        let (found, numbers) = resolved(&[
            "> P 930778610:930778620(10) ack 928549449",
            "< . ack 10",
            "< P 1:6(5) ack 10",
            "> . ack 6",
        ]);
        let (c, s) = (930_778_610, 928_549_448);
        assert_eq!(found, [(c, s + 1), (s + 1, c + 10), (s + 1, c + 10), (c + 10, s + 6)]);
        assert_eq!(numbers.unseen_starts, 0);
    }

    #[test]
    fn a_start_that_the_text_does_not_show_is_told() {
        let (found, numbers) =
            resolved(&["> F 1:1(0) ack 1", "< F 1:1(0) ack 2", "> . ack 2", "> R 48377:48377(0)"]);
        assert_eq!(found, [(1, 1), (1, 2), (2, 2), (2, 0)]);
        assert_eq!(numbers.unseen_starts, 1);
    }

    #[test]
    fn a_number_that_was_never_printed_is_made_up_and_kept_to() {
        let (relative, _) = resolved(&["> . ack 900000000", "< P 1:51(50) ack 1", "> . ack 51"]);
        assert_eq!(relative, [(0, 900_000_000), (900_000_000, 1), (1, 900_000_050)]);
        let (absolute, _) = resolved(&[
            "> . ack 900000000",
            "< P 900000000:900000050(50) ack 700000000",
            "> P 700000000:700000005(5) ack 900000050",
        ]);
        assert_eq!(absolute, [(0, 900_000_000), (900_000_000, 0), (0, 900_000_050)]);
    }

    #[test]
    fn a_connection_that_tcpdump_forgot_begins_anew() {
        let (found, _) = resolved(&[
            "> S 900000000:900000000(0)",
            "< S 500000000:500000000(0) ack 900000001",
            "> . ack 1",
            "> P 900000001:900000011(10) ack 500000001",
            "< . ack 10",
            "> P 10:15(5) ack 1",
        ]);
        let (c, s) = (900_000_000, 500_000_000);
        assert_eq!(found[3..], [(c + 1, s + 1), (s + 1, c + 11), (c + 11, s + 1)]);
    }

    #[test]
    fn sack_blocks_are_relative_even_in_the_first_segment() {
        let mut numbers = Numbers::default();
        let body = "10.0.0.1.5 > 10.0.0.2.80: Flags [.], seq 7, ack 900000001, win 9, options [sack 1                     {11:21}], length 0";
        let tcp = super::super::line::read(body).unwrap().tcp;
        let absolute = numbers.resolve(CLIENT, SERVER, &tcp);
        assert_eq!(absolute.sack, Some((900_000_011, 900_000_021)));
    }
}
