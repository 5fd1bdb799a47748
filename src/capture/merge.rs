//! Several files as one capture, in time order.
//!
//! The earliest packet among the files' next ones comes first, and of packets with equal times
//! that of the file named first. A file whose own times run backwards keeps its own order, as with
//! mergecap. Only one packet of each file is looked at, in the file's read buffer. With one file
//! the merging costs nothing.

use core::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::Path;

use super::{Error, Packet, Record, Source};
use crate::limits::{MERGE_BUFFER_BYTES, READ_BUFFER_BYTES};
use crate::time::Timestamp;

/// One or several captures, read as one.
pub struct Merge {
    sources: Vec<Source>,
    /// The sources that have a packet ready: its time and the source's index, earliest first.
    ready: BinaryHeap<Reverse<(Timestamp, usize)>>,
    /// The sources whose next packet is wanted: at first all, later the one handed out last.
    due: Vec<usize>,
    /// The ready packet of each source.
    records: Vec<Option<Record>>,
    /// Frames so far.
    frames: u64,
}

impl Merge {
    /// Opens all files; `-` is standard input. No file at all is an empty capture.
    pub fn open<P: AsRef<Path>>(paths: &[P]) -> Result<Merge, Error> {
        let capacity = match paths.len() {
            0 | 1 => READ_BUFFER_BYTES,
            _ => MERGE_BUFFER_BYTES,
        };
        let open = |path: &P| Source::open_with_buffer(path.as_ref(), capacity);
        let sources: Result<Vec<_>, _> = paths.iter().map(open).collect();
        Ok(Merge::new(sources?))
    }

    /// Reads these captures as one.
    pub fn new(sources: Vec<Source>) -> Merge {
        Merge {
            ready: BinaryHeap::with_capacity(sources.len()),
            due: (0..sources.len()).rev().collect(),
            records: vec![None; sources.len()],
            frames: 0,
            sources,
        }
    }

    /// The next packet of all, frames numbered in the merged order; none when all have ended.
    ///
    /// An error ends the file that it names; calling again goes on with the others.
    #[inline]
    pub fn next_packet(&mut self) -> Result<Option<Packet<'_>>, Error> {
        match self.sources.len() {
            1 => match self.sources.first_mut() {
                Some(only) => only.next_packet(),
                None => Ok(None),
            },
            _ => self.next_of_many(),
        }
    }

    /// The captures, in the order in which they were named.
    pub fn sources(&self) -> &[Source] {
        &self.sources
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
        while let Some(index) = self.due.pop() {
            let (Some(source), Some(ready)) =
                (self.sources.get_mut(index), self.records.get_mut(index))
            else {
                continue;
            };
            *ready = source.advance()?;
            if let Some(record) = ready {
                self.ready.push(Reverse((record.ts, index)));
            }
        }
        let Some(Reverse((_, index))) = self.ready.pop() else {
            return Ok(None);
        };
        let (Some(source), Some(Some(record))) = (self.sources.get(index), self.records.get(index))
        else {
            return Ok(None);
        };
        self.due.push(index);
        self.frames = self.frames.saturating_add(record.frames);
        Ok(Some(source.packet(record, self.frames)))
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
    fn packets_come_in_time_order_and_ties_in_the_order_of_the_files() {
        let (found, _) = drain(vec![
            file(NANOS, &[3, 5, 5], b'a'),
            file(MICROS, &[1, 5], b'b'),
            file(MICROS, &[], b'c'),
        ]);
        let expected = [(1, 1, 'b'), (2, 3, 'a'), (3, 5, 'a'), (4, 5, 'a'), (5, 5, 'b')];
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
    fn formats_may_be_mixed() {
        let ng = Pcapng::new(Order::Big).interface(1, 0, &[]).packet(0, 2_000_000, b"n");
        let (found, _) = drain(vec![file(MICROS, &[1, 3], b'p'), open(&ng.bytes).unwrap()]);
        let order: String = found.iter().map(|(_, _, mark)| *mark).collect();
        assert_eq!(order, "pnp");
    }
}
