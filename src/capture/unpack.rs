//! Unpacking, in a thread of its own.
//!
//! Rotated captures are compressed as they are closed, so a file may consist of several members or
//! frames, one after the other, with skippable frames and padding between them. Each is decoded by
//! a well-kept crate; what stands between them is dealt with here. The thread is a few pieces ahead
//! of the reader, so that unpacking and analysing overlap and memory stays bounded.

use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use super::packed::{Compression, detect};
use super::window::Window;
use crate::limits::{UNPACK_WINDOW_BYTES_MAX, UNPACKED_PIECE_BYTES, UNPACKED_PIECES};

/// Begins to unpack what the window shows. Gives a reader of the unpacked bytes, and how many bytes
/// of the input have been consumed, which goes on counting.
///
/// The reader's errors tell what is wrong: one of the system is the system's, one of kind
/// [`io::ErrorKind::UnexpectedEof`] means that the input ends too early, one of kind
/// [`io::ErrorKind::OutOfMemory`] that it takes more memory than it may, and any other that it is
/// corrupt.
pub(super) fn unpack(window: Window) -> io::Result<(Box<dyn Read + Send>, Arc<AtomicU64>)> {
    let (pieces, received) = sync_channel(UNPACKED_PIECES);
    let (spent, returned) = channel();
    let consumed = Arc::new(AtomicU64::new(0));
    let input = Input { window, consumed: Arc::clone(&consumed), starved: false };
    let outlet = Outlet { pieces, returned, piece: Vec::new() };
    let unpacker = Unpacker { outlet, input };
    thread::Builder::new().name("unpack".to_string()).spawn(move || unpacker.run())?;
    let reader =
        Unpacked { pieces: received, spent, piece: Vec::new(), start: 0, end: 0, ended: false };
    Ok((Box::new(reader), consumed))
}

/// A buffer and how many of its bytes count, none at the end; or why there are no more.
type Piece = io::Result<(Vec<u8>, usize)>;

/// The side that reads.
struct Unpacked {
    pieces: Receiver<Piece>,
    /// Buffers go back, to be filled again.
    spent: Sender<Vec<u8>>,
    piece: Vec<u8>,
    /// The bytes of the piece that are still to be read are `piece[start..end]`.
    start: usize,
    end: usize,
    ended: bool,
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.start >= self.end && !self.ended {
            // No more pieces and no last one: the thread is gone.
            let gone = |_| Err(io::Error::other("the decoder failed"));
            let (piece, length) = self.pieces.recv().unwrap_or_else(gone)?;
            (self.start, self.end, self.ended) = (0, length, length == 0);
            // Nobody fills buffers any more when the thread has ended.
            let _ = self.spent.send(core::mem::replace(&mut self.piece, piece));
        }
        let mut rest = self.piece.get(self.start..self.end).unwrap_or_default();
        let count = rest.read(buffer)?;
        self.start += count;
        Ok(count)
    }
}

/// The side that unpacks.
struct Unpacker {
    outlet: Outlet,
    input: Input,
}

/// Where unpacked bytes go.
struct Outlet {
    pieces: SyncSender<Piece>,
    returned: Receiver<Vec<u8>>,
    /// The buffer that is filled next, if one is there already: a frame may be empty, and making
    /// one for each takes longer than unpacking it.
    piece: Vec<u8>,
}

/// Why unpacking stops early.
enum Stop {
    /// Nobody reads any more.
    Unwanted,
    /// The input cannot be unpacked further.
    Broken(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Stop::Broken(error)
    }
}

impl Unpacker {
    fn run(mut self) {
        let last = match self.frames() {
            Ok(()) => Ok((Vec::new(), 0)),
            Err(Stop::Broken(error)) => Err(error),
            Err(Stop::Unwanted) => return,
        };
        let _ = self.outlet.pieces.send(last);
    }

    /// Unpacks one member or frame after the other.
    fn frames(&mut self) -> Result<(), Stop> {
        loop {
            match detect(&mut self.input.window)? {
                Some(compression) => self.frame(compression)?,
                None if self.input.window.bytes().is_empty() => return Ok(()),
                None => {
                    let what = "what follows is not compressed in any known way";
                    return Err(Stop::Broken(io::Error::new(io::ErrorKind::InvalidData, what)));
                }
            }
            skip_zeros(&mut self.input.window)?;
        }
    }

    /// Unpacks one member or frame.
    fn frame(&mut self, compression: Compression) -> Result<(), Stop> {
        const XZ_KIB_MAX: u32 = (UNPACK_WINDOW_BYTES_MAX >> 10) as u32;
        let Unpacker { outlet, input } = self;
        match compression {
            Compression::Bzip2 if skip_empty_bzip2(input)? => Ok(()),
            Compression::Gzip => outlet.pump(&mut flate2::bufread::GzDecoder::new(input)),
            Compression::Bzip2 => outlet.pump(&mut bzip2::bufread::BzDecoder::new(input)),
            Compression::Xz => {
                let decoder = lzma_rust2::XzReader::new_mem_limit(input, false, XZ_KIB_MAX);
                outlet.pump(&mut BitByBit(decoder))
            }
            Compression::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(input)?.single_frame();
                decoder.window_log_max(UNPACK_WINDOW_BYTES_MAX.ilog2())?;
                outlet.pump(&mut decoder).map_err(of_memory)
            }
            Compression::Lz4 => {
                outlet.pump(&mut lz4_flex::frame::FrameDecoder::new(&mut *input))?;
                // It takes an end of the input for the end of the frame.
                match input.starved {
                    true => Err(Stop::Broken(io::ErrorKind::UnexpectedEof.into())),
                    false => Ok(()),
                }
            }
        }
    }
}

impl Outlet {
    /// Sends what a decoder gives, to its end.
    fn pump(&mut self, decoder: &mut dyn Read) -> Result<(), Stop> {
        loop {
            if self.piece.is_empty() {
                self.piece = self.returned.try_recv().unwrap_or_default();
                self.piece.resize(UNPACKED_PIECE_BYTES, 0);
            }
            match decoder.read(&mut self.piece) {
                Ok(0) => return Ok(()),
                Ok(length) => {
                    let piece = core::mem::take(&mut self.piece);
                    self.pieces.send(Ok((piece, length))).map_err(|_| Stop::Unwanted)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Stop::Broken(error)),
            }
        }
    }
}

/// What zstd says in words only, that a frame takes more memory than it may, in the kind of error
/// that it is.
fn of_memory(stop: Stop) -> Stop {
    match stop {
        Stop::Broken(error) if error.to_string().contains("too much memory") => {
            Stop::Broken(io::Error::new(io::ErrorKind::OutOfMemory, error))
        }
        stop => stop,
    }
}

/// A decoder that gives either all that is asked for or nothing, and is asked for little: what it
/// had when its input ended is lost.
struct BitByBit<R>(R);

impl<R: Read> Read for BitByBit<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        const BYTES: usize = 4 << 10;
        let room = buffer.len().min(BYTES);
        self.0.read(buffer.get_mut(..room).unwrap_or_default())
    }
}

/// The packed bytes, as decoders want them.
struct Input {
    window: Window,
    consumed: Arc<AtomicU64>,
    /// A decoder wanted more than there is.
    starved: bool,
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.starved = !self.window.fill(1)?;
        Ok(self.window.bytes())
    }

    fn consume(&mut self, count: usize) {
        self.window.take(count);
        self.consumed.store(self.window.offset(), Ordering::Relaxed);
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

/// Steps over a stream of bzip2 in which there is nothing, if there is one here. The decoder clears
/// room for a whole block of each stream, 3.6 MB, which takes longer than all else.
fn skip_empty_bzip2(input: &mut Input) -> io::Result<bool> {
    /// What stands behind the size of the blocks, which is a digit: the end, and a checksum.
    const REST: [u8; 10] = [0x17, 0x72, 0x45, 0x38, 0x50, 0x90, 0, 0, 0, 0];
    const BYTES: usize = 4 + REST.len();
    input.window.fill(BYTES)?;
    let is_empty = matches!(
        input.window.bytes(),
        [b'B', b'Z', b'h', b'1'..=b'9', rest @ ..] if rest.starts_with(&REST)
    );
    if is_empty {
        input.consume(BYTES);
    }
    Ok(is_empty)
}

/// Steps over the zeros with which tapes and xz fill up a block.
fn skip_zeros(window: &mut Window) -> io::Result<()> {
    while window.fill(1)? {
        let bytes = window.bytes();
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        if zeros == 0 {
            break;
        }
        window.take(zeros);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::capture::order::Order;
    use crate::capture::testing::{MICROS, Owned, Pcap, Pcapng, drain, open, packets};
    use crate::capture::{Ending, Error};

    fn packed(compression: Compression, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match compression {
            Compression::Gzip => {
                let mut packer = flate2::write::GzEncoder::new(&mut out, Default::default());
                packer.write_all(bytes).unwrap();
            }
            Compression::Zstd => zstd::stream::copy_encode(bytes, &mut out, 3).unwrap(),
            Compression::Lz4 => {
                let mut packer = lz4_flex::frame::FrameEncoder::new(&mut out);
                packer.write_all(bytes).unwrap();
                packer.finish().unwrap();
            }
            Compression::Xz => {
                let mut packer = lzma_rust2::XzWriter::new(&mut out, Default::default()).unwrap();
                packer.write_all(bytes).unwrap();
                packer.finish().unwrap();
            }
            Compression::Bzip2 => {
                let mut packer = bzip2::write::BzEncoder::new(&mut out, Default::default());
                packer.write_all(bytes).unwrap();
            }
        }
        out
    }

    /// A capture whose packets do not fit in one piece, and its packets.
    fn capture() -> (Vec<u8>, Vec<Owned>) {
        let mut noise = 1_u32;
        let mut file = Pcap::new(Order::Little, MICROS, 1);
        for number in 0..40 {
            let mut byte = || {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (noise >> 28) as u8
            };
            let data: Vec<u8> = (0..9000).map(|_| byte()).collect();
            file = file.packet(number, 0, &data);
        }
        assert!(file.bytes.len() > UNPACKED_PIECE_BYTES);
        let found = packets(&file.bytes);
        (file.bytes, found)
    }

    #[test]
    fn every_compression_gives_the_packets_that_went_in() {
        let (bytes, expected) = capture();
        for compression in Compression::ALL {
            let source = open(&packed(compression, &bytes)).unwrap();
            assert_eq!(source.info().compression, Some(compression));
            assert_eq!(packets(&packed(compression, &bytes)), expected, "{compression}");
        }
    }

    #[test]
    fn members_frames_and_padding_may_follow_each_other() {
        let (bytes, expected) = capture();
        let skippable = [0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
        let mut at = 0;
        let mut mixed = skippable.to_vec();
        for compression in Compression::ALL {
            let next = (at + bytes.len() / 4).min(bytes.len());
            mixed.extend(packed(compression, &bytes[at..next]));
            mixed.extend([0; 8]);
            mixed.extend(skippable);
            at = next;
        }
        assert_eq!(packets(&mixed), expected);
    }

    #[test]
    fn anything_else_behind_the_stream_is_damage_behind_all_packets() {
        let (bytes, expected) = capture();
        for compression in Compression::ALL {
            let tail = [packed(compression, &bytes), b"and more".to_vec()].concat();
            let (found, error, _) = drain(open(&tail).unwrap());
            assert_eq!(found, expected);
            let error = error.unwrap_err().to_string();
            assert!(error.contains("stream is corrupt (what follows"), "{error}");
        }
    }

    #[test]
    fn a_stream_cut_anywhere_gives_what_stood_before() {
        let file = Pcapng::new(Order::Little).interface(1, 0, &[]);
        let file = file.packet(0, 1, &[7; 60]).packet(0, 2, &[8; 60]);
        let expected = packets(&file.bytes);
        for compression in Compression::ALL {
            let whole = packed(compression, &file.bytes);
            for cut in 1..whole.len() {
                let (found, ending) = match open(&whole[..cut]) {
                    Ok(source) => {
                        let (found, ending, _) = drain(source);
                        (found, ending)
                    }
                    Err(error) => (Vec::new(), Err(error)),
                };
                assert!(expected.starts_with(&found), "{compression} cut at {cut}");
                let told = match &ending {
                    Ok(Ending::Cut(cut)) => cut.compression == Some(compression),
                    Err(Error::StreamCut { .. }) => true,
                    Err(
                        Error::Unknown { .. }
                        | Error::Unsupported { .. }
                        | Error::NoPacketLine { .. },
                    ) => cut < 6,
                    _ => false,
                };
                assert!(told, "{compression} cut at {cut}: {ending:?}");
            }
        }
    }

    #[test]
    fn a_skippable_frame_may_be_cut_too() {
        let frame = [0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
        for cut in 4..frame.len() {
            let error = open(&frame[..cut]).err().unwrap();
            assert!(matches!(error, Error::StreamCut { .. }), "{cut}: {error}");
        }
    }

    #[test]
    fn a_long_stream_that_is_cut_loses_a_block_and_not_a_piece() {
        const XZ_CHUNK_BYTES: usize = 64 << 10;
        let (bytes, expected) = capture();
        let whole = packed(Compression::Xz, &bytes);
        let (found, ending, _) = drain(open(&whole[..whole.len() / 2]).unwrap());
        assert!(matches!(ending, Ok(Ending::Cut(_))));
        // What is there of the last chunk cannot be unpacked.
        let chunks = whole.len() / 2 / XZ_CHUNK_BYTES;
        let unpacked = chunks * XZ_CHUNK_BYTES * (bytes.len() / whole.len());
        assert!(
            chunks > 0 && found.len() >= unpacked / 9016,
            "{} of {}",
            found.len(),
            expected.len()
        );
    }

    #[test]
    fn a_byte_changed_anywhere_is_survived() {
        let file = Pcap::new(Order::Little, MICROS, 1).packet(1, 2, b"packet").packet(3, 4, b"x");
        for compression in Compression::ALL {
            let whole = packed(compression, &file.bytes);
            for at in 0..whole.len() {
                let mut broken = whole.clone();
                broken[at] ^= 0x55;
                if let Ok(source) = open(&broken) {
                    let _ = drain(source);
                }
            }
        }
    }

    #[test]
    fn twice_compressed_is_refused_by_name() {
        let once = packed(Compression::Gzip, &capture().0);
        let error = open(&packed(Compression::Zstd, &once)).err().unwrap().to_string();
        assert!(error.ends_with("decompress it first: zstd -dc test | finwait -"), "{error}");
    }

    #[test]
    fn a_window_larger_than_allowed_is_refused() {
        let (bytes, expected) = capture();
        let mut out = Vec::new();
        let mut packer = zstd::stream::write::Encoder::new(&mut out, 3).unwrap();
        packer.window_log(UNPACK_WINDOW_BYTES_MAX.ilog2() + 1).unwrap();
        packer.write_all(&bytes).unwrap();
        packer.finish().unwrap();
        let refused = |packed: &[u8], told: &str| {
            let error = open(packed).err().unwrap().to_string();
            assert!(error.ends_with(told) && error.contains("128 MiB of memory"), "{error}");
        };
        refused(&out, "unpack it first: zstd -dc --long=31 test | finwait -");
        let mut xz = packed(Compression::Xz, &bytes);
        // The dictionary's size, in the header of the first block, and what checks that header.
        let header = 12..24;
        assert_eq!(xz[header.clone()][2..4], [0x21, 1], "LZMA2 alone");
        xz[header.start + 4] = 37;
        let mut sum = flate2::Crc::new();
        sum.update(&xz[header.start..header.end - 4]);
        xz[header.end - 4..header.end].copy_from_slice(&sum.sum().to_le_bytes());
        refused(&xz, "unpack it first: xz -dc test | finwait -");
        let (found, ending, _) =
            drain(open(&[packed(Compression::Zstd, &bytes), out].concat()).unwrap());
        assert_eq!(found, expected);
        let error = ending.unwrap_err().to_string();
        assert!(error.contains("zstd stream after frame 40"), "{error}");
    }

    #[test]
    fn empty_streams_take_no_buffer_each() {
        let ((pieces, _wanted), (_spent, returned)) = (sync_channel(1), channel());
        let mut outlet = Outlet { pieces, returned, piece: Vec::new() };
        let mut buffer = || {
            assert!(outlet.pump(&mut io::empty()).is_ok());
            (outlet.piece.as_ptr(), outlet.piece.len())
        };
        let first = buffer();
        assert_eq!((first.1, buffer()), (UNPACKED_PIECE_BYTES, first));
    }

    #[test]
    fn empty_streams_of_bzip2_are_stepped_over() {
        let (empty, other) =
            (packed(Compression::Bzip2, b""), packed(Compression::Bzip2, b"something"));
        let window = Window::new(Box::new(io::Cursor::new([empty, other].concat())), 1 << 10);
        let mut input = Input { window, consumed: Arc::default(), starved: false };
        assert_eq!([(); 2].map(|()| skip_empty_bzip2(&mut input).unwrap()), [true, false]);
        assert!(input.window.bytes().starts_with(b"BZh"));
    }
}
