//! One capture: a file, standard input, or any reader.
//!
//! `Source` joins the parts: it tells the format, hands the window to the reader of that format,
//! and turns what that one finds into packets, an [`Ending`] or an [`Error`]. The two formats are
//! variants of an enum rather than trait objects, so that the call per packet can be inlined.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::packed::{self, Broken};
use super::pread::Pread;
use super::sniff::{FAR_BYTES, Sniffed, sniff, sniff_far};
use super::text::{self, First, TextInfo};
use super::utf16;
use super::window::Window;
use super::{
    Compression, Cut, Detailed, Ending, Error, Fault, Format, LinkType, Packet, Record, Step,
    at_hand, pcap, pcapng,
};
use crate::limits::{LINK_TYPES_MAX, READ_BUFFER_BYTES};
use crate::time::Timestamp;

/// A capture that is being read.
pub struct Source {
    window: Window,
    reader: Reader,
    /// Frames so far.
    frames: u64,
    info: FileInfo,
    ending: Option<Ending>,
    /// Bytes of the compressed input that have been unpacked, where it is compressed.
    unpacked: Option<Arc<AtomicU64>>,
    /// Where to open it again, if it can be, and with how large a buffer.
    origin: Option<(PathBuf, usize)>,
    /// The file, while it is open, if it may be read from its beginning again.
    opened: Option<Arc<File>>,
    keeps_details: bool,
    /// The packet that was found last, if details are kept.
    newest: Option<Record>,
}

/// The reader of the capture's format.
enum Reader {
    Pcap(pcap::Reader),
    Pcapng(pcapng::Reader),
    Text(Box<text::Reader>),
}

/// What a capture says about itself; for pcapng, as far as it has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInfo {
    /// The file as the user named it, `-` for standard input.
    pub file: Arc<str>,
    /// Its format.
    pub format: Format,
    /// How it is compressed.
    pub compression: Option<Compression>,
    /// The link types that it names, each once, in the order of their first appearance.
    pub link_types: Vec<LinkType>,
    /// The largest snap length, 0 where none is set.
    pub snaplen: u32,
    /// The names of the interfaces.
    pub interfaces: BTreeSet<String>,
    /// What it was captured with: the filters of its interfaces.
    pub filters: BTreeSet<String>,
    /// What somebody noted of its sections and interfaces, each once.
    pub comments: BTreeSet<String>,
    /// Packets lost while capturing, by interface and system, as the file itself counts them.
    pub dropped: u64,
    /// When the capture ended, if the file says so behind its last packet. Known when it has been
    /// read to its end.
    pub end: Option<Timestamp>,
    /// Names of addresses that the file carries.
    pub names: BTreeMap<IpAddr, String>,
    /// Names that were too many to keep.
    pub names_left_out: u64,
    /// Its length in bytes, where that is known.
    pub size: Option<u64>,
    /// Files of its kind that stand behind the first in it, as a shell's `>>` leaves them.
    pub appended: u64,
    /// What is known of it if it is a text.
    pub text: Option<TextInfo>,
}

impl FileInfo {
    fn new(
        file: Arc<str>,
        format: Format,
        compression: Option<Compression>,
        size: Option<u64>,
    ) -> Self {
        FileInfo {
            file,
            format,
            compression,
            link_types: Vec::new(),
            snaplen: 0,
            interfaces: BTreeSet::new(),
            filters: BTreeSet::new(),
            comments: BTreeSet::new(),
            dropped: 0,
            end: None,
            names: BTreeMap::new(),
            names_left_out: 0,
            size,
            appended: 0,
            text: None,
        }
    }

    /// How many things it holds, for the cost of a copy.
    pub fn entries(&self) -> usize {
        let services = self.text.as_ref().map_or(0, |text| text.services.len());
        let texts = self.filters.len() + self.comments.len() + self.interfaces.len();
        1 + self.names.len() + texts + services
    }

    pub(super) fn add_link_type(&mut self, link: LinkType) {
        if self.link_types.len() < LINK_TYPES_MAX && !self.link_types.contains(&link) {
            self.link_types.push(link);
        }
    }
}

impl Source {
    /// Opens a file; `-` is standard input.
    pub fn open(path: impl AsRef<Path>) -> Result<Source, Error> {
        Source::open_with_buffer(path.as_ref(), READ_BUFFER_BYTES)
    }

    /// Reads a capture from anywhere; `name` is what messages call it.
    pub fn from_reader(name: &str, reader: Box<dyn Read + Send>) -> Result<Source, Error> {
        Source::new(name.into(), reader, None, READ_BUFFER_BYTES)
    }

    pub(super) fn open_with_buffer(path: &Path, capacity: usize) -> Result<Source, Error> {
        let file: Arc<str> = path.to_string_lossy().into();
        if path == Path::new("-") {
            return Source::new(file, Box::new(io::stdin()), None, capacity);
        }
        let opened =
            File::open(path).map_err(|cause| Error::Open { file: Arc::clone(&file), cause })?;
        let metadata = opened.metadata().ok().filter(|metadata| metadata.is_file());
        let Some(size) = metadata.map(|metadata| metadata.len()) else {
            return Source::new(file, Box::new(opened), None, capacity);
        };
        let opened = Arc::new(opened);
        let reader = Box::new(Pread::new(Arc::clone(&opened)));
        let source = Source::new(file, reader, Some(size), capacity)?;
        Ok(Source { origin: Some((path.into(), capacity)), opened: Some(opened), ..source })
    }

    pub(super) fn new(
        file: Arc<str>,
        reader: Box<dyn Read + Send>,
        size: Option<u64>,
        capacity: usize,
    ) -> Result<Source, Error> {
        let mut window = Window::new(reader, capacity);
        let cannot_read = |cause| packed::opening_failed(&file, None, cause);
        let compression = packed::detect(&mut window).map_err(cannot_read)?;
        let mut unpacked = None;
        if let Some(compression) = compression {
            let (inner, consumed) = packed::unpack(&file, compression, window, capacity)?;
            (window, unpacked) = (inner, Some(consumed));
        }
        let cannot_read = |cause| packed::opening_failed(&file, compression, cause);
        window.fill(4).map_err(cannot_read)?;
        window = utf16::decoded(window, capacity);
        window.fill(4).map_err(cannot_read)?;
        let (reader, info) = match sniff(window.bytes()) {
            _ if window.bytes().is_empty() => return Err(Error::Empty { file }),
            Sniffed::Pcap => {
                window.fill(pcap::HEADER_BYTES).map_err(cannot_read)?;
                let mut info = FileInfo::new(file, Format::Pcap, compression, size);
                (open_pcap(&mut window, &mut info)?, info)
            }
            Sniffed::Pcapng => {
                let info = FileInfo::new(file, Format::Pcapng, compression, size);
                (Reader::Pcapng(pcapng::Reader::new()), info)
            }
            Sniffed::Text => {
                let mut info = FileInfo::new(file, Format::Text, compression, size);
                (open_text(&mut window, &mut info)?, info)
            }
            Sniffed::Unsupported(format, way_out) => {
                let way_out = way_out.to_owned();
                return Err(Error::Unsupported { file, format, way_out });
            }
            Sniffed::Unknown => {
                window.fill(FAR_BYTES).map_err(cannot_read)?;
                if let Some((format, way_out)) = sniff_far(window.bytes()) {
                    let way_out = way_out.to_owned();
                    return Err(Error::Unsupported { file, format, way_out });
                }
                return Err(Error::Unknown { file, magic: magic(&window) });
            }
        };
        Ok(Source {
            window,
            reader,
            frames: 0,
            info,
            ending: None,
            unpacked,
            origin: None,
            opened: None,
            newest: None,
            keeps_details: false,
        })
    }

    /// The next packet; none at the end, whatever the [`Ending`], and after an error.
    pub fn next_packet(&mut self) -> Result<Option<Packet<'_>>, Error> {
        match self.advance()? {
            Some(record) => Ok(Some(self.packet(&record, self.frames))),
            None => Ok(None),
        }
    }

    /// Hands on at most `most` of the next packets, as long as each can be had without more ado.
    /// These are nearly all, of which nobody wants to know more, or no more is said. How many they
    /// were.
    #[inline(always)]
    pub(super) fn take_at_hand(&mut self, most: usize, take: impl FnMut(&Packet<'_>)) -> usize {
        let all = at_hand::Packets { bytes: self.window.bytes(), before: self.frames, most };
        // One loop for both, so that what is done with a packet is there once, and not called.
        let reader = match &self.reader {
            Reader::Pcap(reader) if !self.keeps_details => at_hand::Reader::Pcap(*reader),
            Reader::Pcapng(reader) => at_hand::Reader::Pcapng(reader),
            Reader::Pcap(_) | Reader::Text(_) => return 0,
        };
        let passed = all.each(&reader, take);
        if let (Reader::Pcapng(reader), Some(last)) = (&mut self.reader, passed.last) {
            reader.passed(last);
        }
        self.window.take(passed.bytes);
        self.frames += passed.packets as u64;
        passed.packets
    }

    /// The same capture from its beginning, to be read while this one waits; if it is a capture
    /// file of which nothing has been read, and can be had at any place.
    pub(super) fn again(&self) -> Option<Source> {
        let FileInfo { file, compression, size, .. } = &self.info;
        let is_plain = !matches!(self.reader, Reader::Text(_)) && compression.is_none();
        let is_begun = self.frames > 0 || self.ending.is_some() || self.keeps_details;
        let opened = self.opened.as_ref().filter(|_| is_plain && !is_begun)?;
        let reader = Box::new(Pread::new(Arc::clone(opened)));
        Source::new(Arc::clone(file), reader, *size, READ_BUFFER_BYTES).ok()
    }

    /// Whether it has said more of a packet so far than where, when and what.
    pub(super) fn is_telling(&self) -> bool {
        match &self.reader {
            Reader::Pcap(_) => self.info.link_types.contains(&LinkType::PKTAP),
            Reader::Pcapng(reader) => reader.is_telling(),
            Reader::Text(_) => false,
        }
    }

    /// What the capture says about itself.
    pub fn info(&self) -> &FileInfo {
        &self.info
    }

    /// How often it has said something of itself so far.
    pub(super) fn said(&self) -> u64 {
        match &self.reader {
            Reader::Pcap(_) => self.info.appended,
            Reader::Pcapng(reader) => reader.said(),
            Reader::Text(_) => self.frames,
        }
    }

    /// How it ended; none before it did.
    pub fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    /// Whether a slow input has given all that it had since this was asked last.
    pub(super) fn take_emptied(&mut self) -> bool {
        self.window.take_emptied()
    }

    /// Bytes of the input up to and with the current packet; of a compressed one, those unpacked.
    pub fn position(&self) -> u64 {
        match &self.unpacked {
            Some(unpacked) => unpacked.load(Ordering::Relaxed),
            None => self.window.offset(),
        }
    }

    /// Keeps, from now on, what else is said of packets. One may have been found before.
    pub(super) fn keep_details(&mut self, found: Option<Record>) {
        self.keeps_details = true;
        self.newest = found;
        if let Reader::Pcapng(reader) = &mut self.reader {
            reader.keep_details();
        }
    }

    /// Whether it keeps them.
    pub(super) fn keeps_details(&self) -> bool {
        self.keeps_details
    }

    /// The packet that was found last, and what else is said of it.
    pub(super) fn detailed(&self, frame: u64, source: usize) -> Option<Detailed<'_>> {
        let packet = self.packet(self.newest.as_ref()?, frame);
        let (kept, processes) = match &self.reader {
            Reader::Pcapng(reader) => (reader.kept(), reader.processes()),
            Reader::Pcap(_) | Reader::Text(_) => (None, &[][..]),
        };
        let interface =
            kept.and_then(|kept| Some((kept.interface, kept.interfaces.get(kept.interface)?)));
        let options = kept.map_or(&[][..], |kept| &kept.options);
        Some(Detailed { packet, source, interface, options, processes })
    }

    /// Closes the file, until it is woken; false if it could not be opened again.
    pub(super) fn rest(&mut self) -> bool {
        if self.origin.is_some() {
            self.close();
        }
        self.origin.is_some()
    }

    /// Opens the file again and finds its first packet.
    pub(super) fn wake(&mut self) -> Result<Option<Record>, Error> {
        if let Some((path, capacity)) = self.origin.take() {
            let keeps_details = self.keeps_details;
            *self = Source::open_with_buffer(&path, capacity)?;
            if keeps_details {
                self.keep_details(None);
            }
        }
        self.advance()
    }

    /// Finds the next packet.
    #[inline]
    pub(super) fn advance(&mut self) -> Result<Option<Record>, Error> {
        if self.ending.is_some() {
            return Ok(None);
        }
        let step = match &mut self.reader {
            Reader::Pcap(reader) => reader.advance(&mut self.window, &mut self.info),
            Reader::Pcapng(reader) => reader.advance(&mut self.window, &mut self.info),
            Reader::Text(reader) => reader.advance(&mut self.window, &mut self.info),
        };
        match step {
            Ok(Step::Packet(record)) => {
                self.frames = self.frames.saturating_add(record.frames);
                if self.keeps_details {
                    self.newest = Some(record);
                }
                Ok(Some(record))
            }
            Ok(Step::End) => {
                self.ending = Some(Ending::Complete);
                if let Reader::Pcapng(reader) = &self.reader {
                    self.info.end = reader.end(self.frames);
                }
                self.close();
                Ok(None)
            }
            Ok(Step::Cut) => self.stop(None),
            Err(fault) => self.stop(Some(fault)),
        }
    }

    fn close(&mut self) {
        self.window.close();
        self.opened = None;
    }

    /// The packet of the record found last.
    #[inline]
    pub(super) fn packet(&self, record: &Record, frame: u64) -> Packet<'_> {
        match &self.reader {
            Reader::Pcap(_) | Reader::Pcapng(_) => record.packet(frame, &self.window),
            Reader::Text(reader) => reader.packet(record, frame),
        }
    }

    /// Ends before the end: with what is wrong, or, without a fault, because the input ended.
    #[cold]
    fn stop(&mut self, fault: Option<Fault>) -> Result<Option<Record>, Error> {
        let FileInfo { file, compression, .. } = &self.info;
        let (file, compression) = (Arc::clone(file), *compression);
        let (offset, frame) = (self.window.offset(), self.frames + 1);
        let length = offset.saturating_add(self.window.bytes().len() as u64);
        self.ending = Some(Ending::Failed);
        self.close();
        let what = match fault {
            Some(Fault::Damage(what)) => what,
            Some(Fault::Io(cause)) => match packed::broken(compression, &cause) {
                Some(Broken::Cut(compression)) if offset == 0 => {
                    return Err(Error::StreamCut { file, compression });
                }
                Some(Broken::Cut(_)) => {
                    return Ok(self.cut(Cut { file, offset, frame, length, compression }));
                }
                Some(Broken::TooLarge(compression)) => {
                    let frame = self.frames;
                    return Err(Error::StreamTooLarge { file, compression, frame });
                }
                Some(Broken::Corrupt(what)) => what,
                None => {
                    return Err(Error::Read { file, offset: length, frame: self.frames, cause });
                }
            },
            // The first block of pcapng is its file header.
            None if offset == 0 && self.info.format == Format::Pcapng => {
                return Err(Error::HeaderCut { file, format: "pcapng", length });
            }
            None => return Ok(self.cut(Cut { file, offset, frame, length, compression: None })),
        };
        Err(Error::Damaged { file, offset, unpacked: compression.is_some(), frame, what })
    }

    fn cut(&mut self, cut: Cut) -> Option<Record> {
        self.ending = Some(Ending::Cut(cut));
        None
    }
}

/// The reader of a text, past what stands before the first packet.
fn open_text(window: &mut Window, info: &mut FileInfo) -> Result<Reader, Error> {
    let file = Arc::clone(&info.file);
    let magic = magic(window);
    let mut reader = Box::new(text::Reader::new());
    match reader.find_first(window, info) {
        Ok(First::Packet) => Ok(Reader::Text(reader)),
        Ok(First::OfTshark) => Err(Error::Unsupported {
            file,
            format: "a list of packets as tshark prints it",
            way_out: "give the capture itself, or print it with: tcpdump -nr CAPTURE".to_string(),
        }),
        // What begins with four letters may be no text for that.
        Ok(First::None(_, first)) if first.contains('\0') => Err(Error::Unknown { file, magic }),
        Ok(First::None(lines, first)) => Err(Error::NoPacketLine { file, lines, first }),
        Err(cause) => Err(Error::Read { file, offset: window.offset(), frame: 0, cause }),
    }
}

/// The first bytes, as messages show them.
fn magic(window: &Window) -> String {
    window.bytes().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// The reader of a pcap file, past its header.
fn open_pcap(window: &mut Window, info: &mut FileInfo) -> Result<Reader, Error> {
    let file = Arc::clone(&info.file);
    let Some(header) = window.bytes().first_chunk() else {
        return Err(Error::HeaderCut { file, format: "pcap", length: window.bytes().len() as u64 });
    };
    let unpacked = info.compression.is_some();
    let damaged = |what| Error::Damaged { file, offset: 0, unpacked, frame: 1, what };
    let reader = pcap::Reader::new(header).map_err(damaged)?;
    window.take(pcap::HEADER_BYTES);
    info.add_link_type(reader.link());
    info.snaplen = reader.snaplen();
    Ok(Reader::Pcap(reader))
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::sync::mpsc::{Receiver, channel};

    use super::*;
    use crate::capture::order::Order;
    use crate::capture::testing::{
        BOTH, Chunks, MICROS, MODIFIED, NANOS, Pcap, Pcapng, drain, open, packets,
    };

    /// One small capture of each kind.
    fn captures() -> Vec<Vec<u8>> {
        let mut captures = Vec::new();
        for order in BOTH {
            for magic in [MICROS, NANOS, MODIFIED] {
                let file = Pcap::new(order, magic, 0x2400_0001);
                captures.push(file.packet(1, 2, b"packet").packet(3, 4, b"another one").bytes);
            }
            let file = Pcapng::new(order)
                .interface(1, 40, &[(2, b"eth0".to_vec()), (9, vec![9]), (14, vec![0; 8])])
                .packet(0, 1, b"packet")
                .simple_packet(3, b"abc")
                .old_packet(0, 0, 2, b"old")
                .names(&[(1, b"\x0a\x09\0\x01name\0".to_vec())])
                .block(0x8000_0001, &[0; 4])
                .statistics(0, &[(5, 1)]);
            captures.push(file.section(order, &[]).interface(9, 0, &[]).packet(0, 3, b"x").bytes);
        }
        captures
    }

    #[test]
    fn short_and_interrupted_reads_give_the_same_packets() {
        for bytes in captures() {
            for size in [1, 3, 17] {
                let reader = Box::new(Chunks::new(bytes.clone(), size));
                let (found, ending, _) = drain(Source::from_reader("pipe", reader).unwrap());
                assert_eq!(ending.unwrap(), Ending::Complete);
                assert_eq!(found, packets(&bytes));
            }
        }
    }

    #[test]
    fn no_byte_can_be_changed_into_a_panic_or_an_endless_loop() {
        for bytes in captures() {
            for place in 0..bytes.len() {
                for value in [0, 1, 0x7f, 0x80, 0xff, bytes[place] ^ 1, bytes[place] ^ 0x80] {
                    let mut bytes = bytes.clone();
                    bytes[place] = value;
                    if let Ok(source) = open(&bytes) {
                        let (found, _, _) = drain(source);
                        assert!(found.len() < bytes.len());
                    }
                }
            }
        }
    }

    #[test]
    fn no_cut_can_make_a_panic() {
        for bytes in captures() {
            for cut in 0..bytes.len() {
                if let Ok(source) = open(&bytes[..cut]) {
                    let (found, _, _) = drain(source);
                    assert!(found.len() < cut);
                }
            }
        }
    }

    /// A live pipe: gives what was sent, and fails where a real one would block for ever.
    struct Pipe(Receiver<Vec<u8>>);

    impl Read for Pipe {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let bytes = self.0.try_recv().map_err(|_| ErrorKind::WouldBlock)?;
            buffer[..bytes.len()].copy_from_slice(&bytes);
            Ok(bytes.len())
        }
    }

    #[test]
    fn a_live_pipe_is_never_read_past_the_packet_at_hand() {
        for bytes in captures() {
            let count = packets(&bytes).len();
            let (sender, receiver) = channel();
            sender.send(bytes).unwrap();
            let mut source = Source::from_reader("-", Box::new(Pipe(receiver))).unwrap();
            for _ in 0..count {
                assert!(source.next_packet().unwrap().is_some());
            }
        }
    }

    #[test]
    fn a_read_error_keeps_its_cause_and_its_place() {
        let (sender, receiver) = channel();
        sender.send(Pcap::new(Order::Little, MICROS, 1).packet(1, 0, b"x").bytes).unwrap();
        let (found, error, source) =
            drain(Source::from_reader("pipe", Box::new(Pipe(receiver))).unwrap());
        assert_eq!((found.len(), source.ending()), (1, Some(&Ending::Failed)));
        match error.unwrap_err() {
            Error::Read { offset: 41, frame: 1, cause, .. } => {
                assert_eq!(cause.kind(), ErrorKind::WouldBlock);
            }
            other => panic!("{other}"),
        }
    }

    #[test]
    fn the_end_stays_the_end() {
        let mut source = open(&Pcap::new(Order::Little, MICROS, 1).bytes).unwrap();
        for _ in 0..3 {
            assert!(source.next_packet().unwrap().is_none());
            assert_eq!(source.ending(), Some(&Ending::Complete));
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = Source::open("/no/such.pcap").err().unwrap().to_string();
        assert!(error.starts_with("/no/such.pcap: cannot open it: "), "{error}");
    }
}
