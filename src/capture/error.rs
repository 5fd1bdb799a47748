//! What can go wrong between a file name and a packet.
//!
//! Every message is one line that names the file, the place as far as there is one, and the way
//! out. Frames count within the file named, so with several files the message still leads to the
//! packet in question.

use std::io;
use std::sync::Arc;

use super::Compression;
use crate::limits::UNPACK_WINDOW_BYTES_MAX;

/// Why a capture, or the rest of it, cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused to open the file.
    #[error("{file}: cannot open it: {cause}")]
    Open {
        /// The file as the user named it.
        file: Arc<str>,
        /// What the system said.
        cause: io::Error,
    },
    /// The system could not read on.
    #[error("{file}: cannot read past byte {offset}, after frame {frame}: {cause}")]
    Read {
        /// The file as the user named it.
        file: Arc<str>,
        /// Bytes of the file that were read.
        offset: u64,
        /// The last frame that was read, 0 for none.
        frame: u64,
        /// What the system said.
        cause: io::Error,
    },
    /// There is nothing in the file, not even a header.
    #[error(
        "{file}: is empty, without even a capture file's header: the capturing program was stopped \
         before it wrote anything (tcpdump -U writes each packet at once)"
    )]
    Empty {
        /// The file as the user named it.
        file: Arc<str>,
    },
    /// A directory without a capture.
    #[error("{file}: no file in this directory is a capture")]
    NoCapture {
        /// The directory as the user named it.
        file: Arc<str>,
    },
    /// A text in a directory of captures, which may be somebody's notes.
    #[error(
        "{file}: holds printed packets, in a directory of captures: name the file itself to have \
         it read"
    )]
    TextBeside {
        /// The file in the directory.
        file: Arc<str>,
    },
    /// The file ends inside its first header, which says how to read the rest.
    #[error(
        "{file}: ends after {length} bytes, inside the {format} file header, so there is no \
         packet in it: capture again"
    )]
    HeaderCut {
        /// The file as the user named it.
        file: Arc<str>,
        /// The format that the first bytes announce.
        format: &'static str,
        /// Bytes in the file.
        length: u64,
    },
    /// The file is compressed and ends before a capture begins in it.
    #[error(
        "{file}: its {compression} stream ends before the first packet: the file was cut short"
    )]
    StreamCut {
        /// The file as the user named it.
        file: Arc<str>,
        /// How it is compressed.
        compression: Compression,
    },
    /// The file is compressed in a way that takes much memory to unpack.
    #[error(
        "{file}: cannot unpack its {compression} stream after frame {frame}: it takes more than \
         the {} MiB of memory that finwait gives it; unpack it first: {} {file} | finwait -",
        UNPACK_WINDOW_BYTES_MAX >> 20, unpacker(*compression)
    )]
    StreamTooLarge {
        /// The file as the user named it.
        file: Arc<str>,
        /// How it is compressed.
        compression: Compression,
        /// The last frame that was read, 0 for none.
        frame: u64,
    },
    /// The file has a format that is known, and not read.
    #[error(
        "{file}: is {format}, which finwait does not read: {}",
        .way_out.replace("{file}", .file)
    )]
    Unsupported {
        /// The file as the user named it.
        file: Arc<str>,
        /// The format's name.
        format: &'static str,
        /// What to do about it, with `{file}` in the file's place.
        way_out: String,
    },
    /// It is text, and not of tcpdump.
    #[error(
        "{file}: is text, and {} a packet as tcpdump or windump prints it (line 1 is {first:?}): \
         write packets instead of lines (tcpdump -w out.pcap); text2pcap turns hex dumps into a \
         capture",
        none_of(*.lines)
    )]
    NoPacketLine {
        /// The file as the user named it.
        file: Arc<str>,
        /// Lines in which a packet was looked for.
        lines: u64,
        /// How the first one begins that is not empty.
        first: String,
    },
    /// The first bytes are those of no capture format known here.
    #[error(
        "{file}: is not a pcap or pcapng capture (it begins with {magic}): if Wireshark opens it, \
         convert it with: editcap -F pcapng {file} out.pcapng"
    )]
    Unknown {
        /// The file as the user named it.
        file: Arc<str>,
        /// The first bytes, in hexadecimal.
        magic: String,
    },
    /// From here on the bytes cannot be a capture; the packets before are good.
    #[error(
        "{file}: damaged at byte {offset}{}, frame {frame}: {what}; the {} before it {} read, the \
         rest is lost (a capture copied in text mode, or overwritten in part, looks like this)",
        if *unpacked { " (unpacked)" } else { "" },
        packets(frame.saturating_sub(1)), if *frame == 2 { "was" } else { "were" }
    )]
    Damaged {
        /// The file as the user named it.
        file: Arc<str>,
        /// Where the bad record or block begins.
        offset: u64,
        /// Whether that counts unpacked bytes, the file being compressed.
        unpacked: bool,
        /// The number of the frame that would have been there.
        frame: u64,
        /// What cannot be.
        what: String,
    },
}

fn packets(count: u64) -> String {
    match count {
        1 => "1 packet".to_string(),
        _ => format!("{count} packets"),
    }
}

impl Error {
    /// Whether no packet is lost with the file: it holds something else, or nothing at all. The
    /// newest file of a ring (tcpdump -G) is empty until tcpdump has filled its first buffer.
    pub(super) const fn is_no_capture(&self) -> bool {
        match self {
            Error::Empty { .. }
            | Error::TextBeside { .. }
            | Error::Unsupported { .. }
            | Error::NoPacketLine { .. }
            | Error::Unknown { .. } => true,
            Error::Open { .. }
            | Error::Read { .. }
            | Error::NoCapture { .. }
            | Error::HeaderCut { .. }
            | Error::StreamCut { .. }
            | Error::StreamTooLarge { .. }
            | Error::Damaged { .. } => false,
        }
    }

    /// Has it call its file by another name, and say nothing of what is in it.
    pub fn mask(&mut self, label: impl Fn(&str) -> Arc<str>) {
        let name = label(self.file_mut());
        if let Error::NoPacketLine { first, .. } = self {
            "...".clone_into(first);
        }
        *self.file_mut() = name;
    }

    /// The file that it names.
    fn file_mut(&mut self) -> &mut Arc<str> {
        match self {
            Error::Open { file, .. }
            | Error::Read { file, .. }
            | Error::Empty { file, .. }
            | Error::NoCapture { file, .. }
            | Error::TextBeside { file, .. }
            | Error::HeaderCut { file, .. }
            | Error::StreamCut { file, .. }
            | Error::StreamTooLarge { file, .. }
            | Error::Unsupported { file, .. }
            | Error::NoPacketLine { file, .. }
            | Error::Unknown { file, .. }
            | Error::Damaged { file, .. } => file,
        }
    }
}

/// The program that unpacks whatever takes how much memory.
fn unpacker(compression: Compression) -> String {
    let more = if compression == Compression::Zstd { " --long=31" } else { "" };
    format!("{} -dc{more}", compression.name())
}

/// That no line is something, as the begin of a sentence.
fn none_of(lines: u64) -> String {
    match lines {
        1 => "its first line is not".to_string(),
        _ => format!("none of its first {lines} lines is"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_names_file_offset_and_frame() {
        let error = Error::Damaged {
            file: "a.pcap".into(),
            offset: 2040,
            unpacked: false,
            frame: 22,
            what: "a packet of 4294967295 bytes".into(),
        };
        let message = error.to_string();
        assert!(
            message.starts_with(
                "a.pcap: damaged at byte 2040, frame 22: a packet of 4294967295 bytes; the 21 \
                 packets before it were read"
            ),
            "{message}"
        );
        assert!(!message.contains('\n'));
    }
}
