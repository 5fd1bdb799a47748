//! Several files as one capture, in time order.
//!
//! The earliest packet among the files' next ones comes first, and of packets with equal times that
//! of the file that begins first. So the order in which files are named does not matter. A file
//! whose own times run backwards keeps its own order, as with mergecap. A packet that stands in
//! two files is handed out once.
//!
//! Of each file only its next packet is known, in the file's read buffer. A file whose first packet
//! is not due yet is closed until then: a ring of thousands of files takes the memory and the file
//! descriptors of those that overlap. With one file the merging costs nothing.

use core::cmp::Reverse;
use core::convert::Infallible;
use core::mem::replace;
use std::collections::BinaryHeap;
use std::path::Path;
use std::sync::Arc;

use super::repeats::Repeats;
use super::set::{by_name, members};
use super::{Detailed, Error, Format, Note, Packet, Record, Source};
use crate::limits::{MERGE_BUFFER_BYTES, READ_BUFFER_BYTES};
use crate::time::Timestamp;

/// One or several captures, read as one.
pub struct Merge {
    /// By the time of their first packet, then by name.
    sources: Vec<Source>,
    /// The sources that have a packet to come, but for the current one: its time and the source's
    /// index, earliest first.
    ready: BinaryHeap<Reverse<(Timestamp, usize)>>,
    /// The source whose packet was handed out last.
    current: Option<usize>,
    /// The next packet of each source; none of one that rests.
    records: Vec<Option<Record>>,
    /// There is one source, of which nothing was read yet.
    is_alone: bool,
    /// Frames so far.
    frames: u64,
    repeats: Repeats,
    /// What is wrong with files before their first packet, the last one first.
    failures: Vec<Error>,
    left_out: Vec<Error>,
}

impl Merge {
    /// Opens all files; `-` is standard input, and a directory the captures in it. No file at all
    /// is an empty capture.
    ///
    /// A file that is named and not there is an error. One of several that is no capture is told
    /// of by [`Merge::next_packet`], as damage is; so is one in a directory that cannot be read,
    /// for a capture may be lost with it. What is no capture in a directory is left out.
    pub fn open<P: AsRef<Path>>(paths: &[P]) -> Result<Merge, Error> {
        Merge::opened(paths, Err)
    }

    /// The same, where whatever cannot be opened is told of by [`Merge::next_packet`], even if
    /// there is nothing else.
    pub fn open_what_can_be<P: AsRef<Path>>(paths: &[P]) -> Merge {
        let opened: Result<Merge, Infallible> = Merge::opened(paths, Ok);
        match opened {
            Ok(merge) => merge,
        }
    }

    /// Opens all files. What `judge` gives back of an error that leaves nothing to do is told of
    /// later.
    fn opened<P: AsRef<Path>, E>(
        paths: &[P],
        judge: impl Fn(Error) -> Result<Error, E>,
    ) -> Result<Merge, E> {
        let (members, unread) = members(paths);
        let unread = unread.into_iter().map(&judge).collect::<Result<Vec<_>, _>>()?;
        let capacity = match members.len() {
            0 | 1 => READ_BUFFER_BYTES,
            _ => MERGE_BUFFER_BYTES,
        };
        let (mut begun, mut failures, mut left_out) = (Vec::new(), unread, Vec::new());
        let (mut texts, mut has_captures) = (Vec::new(), false);
        for member in &members {
            match Source::open_with_buffer(&member.path, capacity) {
                Ok(source) if members.len() == 1 && failures.is_empty() => {
                    return Ok(Merge::new(vec![source]));
                }
                Ok(source) if !member.named && source.info().format == Format::Text => {
                    texts.push(source);
                }
                Ok(source) => {
                    has_captures = true;
                    begun.push(Begun::new(source, &mut failures));
                }
                Err(error) if !member.named && error.is_no_capture() => left_out.push(error),
                Err(error @ Error::Open { .. }) if member.named => failures.push(judge(error)?),
                Err(error) => failures.push(error),
            }
        }
        for text in texts {
            match has_captures {
                true => left_out.push(Error::TextBeside { file: Arc::clone(&text.info().file) }),
                false => begun.push(Begun::new(text, &mut failures)),
            }
        }
        if begun.is_empty() && !paths.is_empty() {
            let file = paths.first().map(|path| path.as_ref().to_string_lossy().into());
            if failures.is_empty() {
                failures.push(Error::NoCapture { file: file.unwrap_or_default() });
            }
            failures = failures.into_iter().map(judge).collect::<Result<_, _>>()?;
        }
        Ok(Merge { left_out, ..Merge::of(begun, failures) })
    }

    /// Reads these captures as one.
    pub fn new(sources: Vec<Source>) -> Merge {
        let mut failures = Vec::new();
        let begun = match sources.len() {
            1 => sources
                .into_iter()
                .map(|source| Begun { source, record: None, first: None })
                .collect(),
            _ => sources.into_iter().map(|source| Begun::new(source, &mut failures)).collect(),
        };
        Merge::of(begun, failures)
    }

    fn of(mut begun: Vec<Begun>, mut failures: Vec<Error>) -> Merge {
        let order = |a: &Begun, b: &Begun| {
            // Files without a packet come last.
            let first = |it: &Begun| (it.first.is_none(), it.first);
            let file = |it: &Begun| Arc::clone(&it.source.info().file);
            first(a).cmp(&first(b)).then_with(|| by_name(&file(a), &file(b)))
        };
        begun.sort_by(order);
        failures.reverse();
        let firsts = begun.iter().enumerate();
        let ready: BinaryHeap<_> =
            firsts.filter_map(|(index, it)| Some(Reverse((it.first?, index)))).collect();
        Merge {
            is_alone: begun.len() == 1 && ready.is_empty() && failures.is_empty(),
            ready,
            current: None,
            records: begun.iter().map(|it| it.record).collect(),
            sources: begun.into_iter().map(|it| it.source).collect(),
            frames: 0,
            repeats: Repeats::default(),
            failures,
            left_out: Vec::new(),
        }
    }

    /// The next packet of all, frames numbered in the merged order; none when all have ended.
    ///
    /// An error ends the file that it names; calling again goes on with the others.
    pub fn next_packet(&mut self) -> Result<Option<Packet<'_>>, Error> {
        if !self.is_alone {
            return self.next_of_many();
        }
        match self.sources.first_mut() {
            Some(only) => only.next_packet(),
            None => Ok(None),
        }
    }

    /// Hands on at most `most` of the next packets, as long as each can be had without more ado.
    /// How many they were; [`Merge::next_packet`] gives what comes then.
    #[inline(always)]
    pub(crate) fn take_at_hand(&mut self, most: usize, take: impl FnMut(&Packet<'_>)) -> usize {
        match self.sources.first_mut().filter(|_| self.is_alone) {
            Some(only) => only.take_at_hand(most, take),
            None => 0,
        }
    }

    /// The same from its beginning, to be read while this one waits, if nothing has been read yet
    /// and it is a single capture that can be read so.
    pub(crate) fn again(&self) -> Option<Merge> {
        let only = self.sources.first().filter(|_| self.is_alone)?;
        Some(Merge::new(vec![only.again()?]))
    }

    /// Whether a capture has said more of a packet so far than where, when and what: who held the
    /// socket, or a comment.
    pub(crate) fn is_telling(&self) -> bool {
        self.sources.iter().any(Source::is_telling)
    }

    /// Keeps what captures say of their packets beside the bytes. To be called before the first
    /// packet is asked for. Of several captures, those that are no files have lost it of their
    /// first packet.
    pub fn keeping_details(mut self) -> Merge {
        for (source, found) in self.sources.iter_mut().zip(&self.records) {
            source.keep_details(*found);
        }
        self
    }

    /// Whether that is kept.
    pub fn keeps_details(&self) -> bool {
        self.sources.iter().any(Source::keeps_details)
    }

    /// Whether captures are of a kind that may say who sent packets, or comment on them.
    pub fn may_note(&self) -> bool {
        self.sources.iter().map(Source::info).any(Note::may_be_in)
    }

    /// The next packet as [`Merge::next_packet`] gives it, with what else is said of it.
    pub fn next_detailed(&mut self) -> Result<Option<Detailed<'_>>, Error> {
        let frame = match self.next_packet()? {
            Some(packet) => packet.frame,
            None => return Ok(None),
        };
        let index = self.current.unwrap_or_default();
        let source = self.sources.get(index);
        Ok(source.and_then(|source| source.detailed(frame, index)))
    }

    /// The captures, by the time of their first packet.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The source whose packet came last, and how often it has said something of itself: what
    /// [`Merge::sources`] say stays as it is until one of these changes, or the end.
    pub fn said(&self) -> (usize, u64) {
        let index = self.current.unwrap_or_default();
        (index, self.sources.get(index).map_or(0, Source::said))
    }

    /// Why files in a directory that was named are not read: no capture is lost with them.
    pub fn left_out(&self) -> &[Error] {
        &self.left_out
    }

    /// Packets that were left out because another file had them already.
    pub fn repeated(&self) -> u64 {
        self.repeats.found
    }

    /// Packets that were not looked for in other files, because too many have the same time.
    pub fn repeats_beyond(&self) -> u64 {
        self.repeats.beyond
    }

    /// Whether the only input is slow, and has given all that it had since this was asked last.
    pub(crate) fn take_emptied(&mut self) -> bool {
        let only = self.sources.first_mut().filter(|_| self.is_alone);
        only.is_some_and(Source::take_emptied)
    }

    /// Bytes of all inputs that have been read, for showing progress.
    pub fn position(&self) -> u64 {
        self.sources.iter().map(Source::position).sum()
    }

    /// Bytes of all inputs, if every length is known.
    pub fn size(&self) -> Option<u64> {
        self.sources.iter().map(|source| source.info().size).sum()
    }

    fn next_of_many(&mut self) -> Result<Option<Packet<'_>>, Error> {
        if let Some(error) = self.failures.pop() {
            return Err(error);
        }
        while let Some(index) = self.next_source()? {
            self.current = Some(index);
            let (Some(source), Some(Some(record))) =
                (self.sources.get(index), self.records.get(index))
            else {
                continue;
            };
            let next = self.ready.peek().map(|Reverse((ts, _))| *ts);
            if self.repeats.is_repeat(index, &source.packet(record, 0), next) {
                continue;
            }
            self.frames = self.frames.saturating_add(record.frames);
            break;
        }
        let source = self.current.and_then(|index| self.sources.get(index));
        let record = self.current.and_then(|index| self.records.get(index)?.as_ref());
        Ok(source.zip(record).map(|(source, record)| source.packet(record, self.frames)))
    }

    /// The source whose packet comes next; its record is there.
    fn next_source(&mut self) -> Result<Option<usize>, Error> {
        let mut index = None;
        if let Some(current) = self.current.take()
            && let Some(record) = self.advance(current, Source::advance)?
        {
            // Mostly the same source goes on.
            let mut earliest = Reverse((record.ts, current));
            if let Some(mut first) = self.ready.peek_mut()
                && *first > earliest
            {
                earliest = replace(&mut *first, earliest);
            }
            index = Some(earliest.0.1);
        }
        let index = index.or_else(|| Some(self.ready.pop()?.0.1));
        if let Some(index) = index
            && self.records.get(index).is_some_and(Option::is_none)
        {
            self.advance(index, Source::wake)?;
        }
        Ok(index)
    }

    /// Finds a source's next packet in this way.
    fn advance(
        &mut self,
        index: usize,
        how: fn(&mut Source) -> Result<Option<Record>, Error>,
    ) -> Result<Option<Record>, Error> {
        let (Some(source), Some(place)) =
            (self.sources.get_mut(index), self.records.get_mut(index))
        else {
            return Ok(None);
        };
        *place = None;
        *place = how(source)?;
        Ok(*place)
    }
}

/// A source whose first packet is known.
struct Begun {
    source: Source,
    /// The packet; none if the source rests until it is due.
    record: Option<Record>,
    first: Option<Timestamp>,
}

impl Begun {
    fn new(mut source: Source, failures: &mut Vec<Error>) -> Begun {
        let record = source.advance().unwrap_or_else(|error| {
            failures.push(error);
            None
        });
        let first = record.map(|record| record.ts);
        let rests = record.is_some() && source.rest();
        Begun { source, record: record.filter(|_| !rests), first }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::order::Order;
    use crate::capture::testing::{MICROS, NANOS, Pcap, Pcapng, open};

    fn file(magic: u32, times: &[u32], mark: u8) -> Source {
        let file = Pcap::new(Order::Little, magic, 1);
        let packet = |file: Pcap, time: &u32| file.packet(*time, 0, &[mark]);
        open(&times.iter().fold(file, packet).bytes).unwrap()
    }

    /// Frame, seconds and the file's mark of each packet, and the messages of errors.
    fn drain(sources: Vec<Source>) -> (Vec<(u64, i64, char)>, Vec<String>) {
        let mut merge = Merge::new(sources);
        let (mut found, mut errors) = (Vec::new(), Vec::new());
        loop {
            match merge.next_packet() {
                Ok(Some(packet)) => {
                    let seconds = packet.ts.as_nanos() / 1_000_000_000;
                    found.push((packet.frame, seconds, char::from(packet.data[0])));
                }
                Ok(None) => return (found, errors),
                Err(error) => errors.push(error.to_string()),
            }
        }
    }

    #[test]
    fn packets_come_in_time_order_whatever_the_resolution() {
        let (found, _) = drain(vec![
            file(NANOS, &[3, 5, 5], b'a'),
            file(MICROS, &[1, 6], b'b'),
            file(MICROS, &[], b'c'),
        ]);
        let expected = [(1, 1, 'b'), (2, 3, 'a'), (3, 5, 'a'), (4, 5, 'a'), (5, 6, 'b')];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_file_whose_time_runs_backwards_keeps_its_order() {
        let (found, _) = drain(vec![file(MICROS, &[4, 2, 6], b'a'), file(MICROS, &[3, 5], b'b')]);
        let order: String = found.iter().map(|(_, _, mark)| *mark).collect();
        assert_eq!(order, "baaba");
    }

    #[test]
    fn one_file_and_none_are_captures_too() {
        assert_eq!(drain(vec![file(MICROS, &[2, 1], b'a')]).0, [(1, 2, 'a'), (2, 1, 'a')]);
        assert!(drain(Vec::new()).0.is_empty());
    }

    #[test]
    fn damage_in_one_file_does_not_take_the_others_along() {
        let bad =
            Pcap::new(Order::Little, MICROS, 1).packet(1, 0, b"x").record([2, 0, u32::MAX, 1], b"");
        let (found, errors) = drain(vec![open(&bad.bytes).unwrap(), file(MICROS, &[1, 9], b'b')]);
        assert_eq!(found, [(1, 1, 'x'), (2, 1, 'b'), (3, 9, 'b')]);
        assert_eq!(errors.len(), 1);
    }

    #[test]
    fn a_packet_of_two_files_comes_once_and_what_one_file_repeats_stays() {
        let (found, _) = drain(vec![
            file(MICROS, &[1, 2, 3, 3, 4], b'x'),
            file(MICROS, &[3, 3, 4, 5], b'x'),
            file(MICROS, &[4, 5, 5], b'x'),
            file(MICROS, &[2, 5], b'y'),
        ]);
        let found: Vec<_> = found.iter().map(|(_, seconds, mark)| (*seconds, *mark)).collect();
        let expected = [(1, 'x'), (2, 'x'), (2, 'y'), (3, 'x'), (3, 'x'), (4, 'x'), (5, 'y')];
        let expected = [&expected[..], &[(5, 'x'), (5, 'x')]].concat();
        assert_eq!(found, expected);
    }

    #[test]
    fn equal_times_go_to_the_file_that_begins_first() {
        let (found, _) = drain(vec![
            file(MICROS, &[5, 6], b'c'),
            file(MICROS, &[5, 5], b'b'),
            file(MICROS, &[1, 5], b'a'),
        ]);
        let order: String = found.iter().map(|(_, _, mark)| *mark).collect();
        assert_eq!(order, "aacbbc");
    }

    #[test]
    fn formats_may_be_mixed() {
        let ng = Pcapng::new(Order::Big).interface(1, 0, &[]).packet(0, 2_000_000, b"n");
        let (found, _) = drain(vec![file(MICROS, &[1, 3], b'p'), open(&ng.bytes).unwrap()]);
        let order: String = found.iter().map(|(_, _, mark)| *mark).collect();
        assert_eq!(order, "pnp");
    }
}
