//! What a file is, by its first bytes.
//!
//! No more bytes are asked for than the answer needs: four tell the format, the file header of
//! that format is read by its reader. Formats that are known and not read get a message with the
//! tool that converts them, since "unknown magic" helps nobody.

use pcap_parser::SHB_MAGIC;

/// The format of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sniffed {
    /// One of the pcap family that is read here.
    Pcap,
    /// pcapng.
    Pcapng,
    /// Text, which may be tcpdump's.
    Text,
    /// Known, not read: its name and the way out, where `{file}` stands for the file.
    Unsupported(&'static str, &'static str),
    /// None that is known.
    Unknown,
}

/// The beginning of pcapng's section header block, the same in both byte orders.
pub(super) const PCAPNG_MAGIC: [u8; 4] = SHB_MAGIC.to_le_bytes();

const EDITCAP: &str = "convert it with: editcap -F pcapng {file} out.pcapng";

/// First bytes of formats that are not read: prefix, name, way out.
const OTHERS: [(&[u8], &str, &str); 24] = [
    (&[0x1f, 0x9d], "compress-compressed", "decompress it first: gzip -dc {file} | finwait -"),
    (&[0x02, 0x21, 0x4c, 0x18], "lz4-compressed in its legacy form (lz4 -l)", LZ4),
    (&[0x5d, 0, 0], "lzma-compressed, older than xz", LZMA),
    (b"LZIP", "lzip-compressed", "decompress it first: lzip -dc {file} | finwait -"),
    (
        &[0x89, b'L', b'Z', b'O'],
        "lzop-compressed",
        "decompress it first: lzop -dc {file} | finwait -",
    ),
    (b"Rar!", "a RAR archive", "unpack it first: unrar p -inul {file} | finwait -"),
    (&[b'P', b'K', 3, 4], "a zip archive", "unpack it first: unzip -p {file} | finwait -"),
    (&[b'7', b'z', 0xbc, 0xaf], "a 7-Zip archive", "unpack it first: 7z x -so {file} | finwait -"),
    (b"snoo", "a Solaris snoop capture", EDITCAP),
    (b"btsn", "a btsnoop (Bluetooth) capture", "it holds no TCP/IP in a form read here"),
    (b"GMBU", "a Microsoft Network Monitor 2 capture", EDITCAP),
    (b"RTSS", "a Microsoft Network Monitor 1 capture", EDITCAP),
    (b"XCP\0", "a NetXray or Windows Sniffer capture", EDITCAP),
    (b"TRSN", "a DOS Sniffer capture", EDITCAP),
    (&[0xaa, 0xaa, 0xaa, 0xaa], "an Accellent 5Views capture", EDITCAP),
    (&[0x7f, b'v', b'e', b'r'], "a WildPackets or Savvius Omnipeek capture", EDITCAP),
    (b"iptrace 1.0", "an AIX iptrace capture", EDITCAP),
    (b"iptrace 2.0", "an AIX iptrace capture", EDITCAP),
    (&[0x1c, 0x00, 0x01, 0xac], "an Ixia lcap capture", EDITCAP),
    (&[0xac, 0x01, 0x00, 0x1c], "an Ixia lcap capture", EDITCAP),
    (&[0xa1, 0xb2, 0x34, 0xcd], "a pcap variant of magic a1b234cd", EDITCAP),
    (&[0xcd, 0x34, 0xb2, 0xa1], "a pcap variant of magic a1b234cd", EDITCAP),
    (&[0xa1, 0x2b, 0x3c, 0x4d], "a Navtel pcap variant", EDITCAP),
    (&[0x4d, 0x3c, 0x2b, 0xa1], "a Navtel pcap variant", EDITCAP),
];

const LZ4: &str = "decompress it first: lz4 -dc {file} | finwait -";
const LZMA: &str = "decompress it first: xz -dc {file} | finwait -";
const ETL: &str = "convert it on Windows: pktmon etl2pcap {file} -o out.pcapng, or, if netsh made \
                   it: etl2pcapng {file} out.pcapng";
const TAR: &str = "unpack it first, and name what comes out: tar -xf {file}";

/// Bytes of a file that tell formats without a magic number.
pub(super) const FAR_BYTES: usize = 1024;

/// Formats that no first four bytes tell: name and way out, if the first bytes are of one.
pub(super) fn sniff_far(start: &[u8]) -> Option<(&'static str, &'static str)> {
    if is_erf(start) {
        return Some(("an Endace ERF capture", EDITCAP));
    }
    is_etl(start).then_some(("a Windows event trace", ETL))
}

/// Whether it is a tar archive, which begins like a text: with a file's name.
fn is_tar(start: &[u8]) -> bool {
    const MAGIC_AT: usize = 257;
    start.get(MAGIC_AT..).is_some_and(|rest| rest.starts_with(b"ustar"))
}

/// Whether the first record, and the next one as far as it is there, have the same plausible type.
fn is_erf(start: &[u8]) -> bool {
    let record = |bytes: &[u8]| {
        let [_, _, _, _, _, _, _, _, kind, _, a, b, _, _, c, d] = bytes.first_chunk::<16>()?;
        let seconds = u32::from_le_bytes(*bytes.get(4..)?.first_chunk()?);
        let (length, on_wire) = (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]));
        let is_record = (1..=48).contains(&(kind & 0x7f))
            && (24..=on_wire.max(64).saturating_add(64)).contains(&length)
            // After 1990.
            && seconds > 0x2600_0000;
        is_record.then_some((kind & 0x7f, usize::from(length)))
    };
    let Some((kind, length)) = record(start) else { return false };
    match start.get(length..).filter(|rest| rest.len() >= 16) {
        Some(next) => record(next).is_some_and(|(other, _)| other == kind),
        None => true,
    }
}

/// Whether the buffer size in the first buffer's header is that in the trace's.
fn is_etl(start: &[u8]) -> bool {
    let word = |at: usize| Some(u32::from_le_bytes(*start.get(at..)?.first_chunk()?));
    let size = word(0).filter(|size| *size > 0 && size.is_multiple_of(1024) && *size <= 16 << 20);
    size.is_some() && size == word(0x68)
}

/// Tells the format by the first bytes; four are enough.
pub(super) fn sniff(start: &[u8]) -> Sniffed {
    if let Some(magic) = start.first_chunk::<4>() {
        if super::pcap::is_magic(*magic) {
            return Sniffed::Pcap;
        }
        if *magic == PCAPNG_MAGIC {
            return Sniffed::Pcapng;
        }
    }
    let mut others = OTHERS.iter();
    if let Some((_, name, way_out)) = others.find(|(prefix, ..)| start.starts_with(prefix)) {
        return Sniffed::Unsupported(name, way_out);
    }
    match is_text(start.get(..4).unwrap_or(start)) {
        true if is_tar(start) => Sniffed::Unsupported("a tar archive", TAR),
        true => Sniffed::Text,
        false => Sniffed::Unknown,
    }
}

/// Whether these bytes begin a text. A letter may be cut.
fn is_text(start: &[u8]) -> bool {
    let text = match str::from_utf8(start) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            let whole = start.get(..error.valid_up_to()).unwrap_or_default();
            str::from_utf8(whole).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !start.is_empty() && text.chars().all(|it| !it.is_control() || matches!(it, '\t' | '\n' | '\r'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::Error;
    use crate::capture::testing::open;

    fn refusal(bytes: &[u8]) -> String {
        let error = open(bytes).err().expect("refused").to_string();
        assert!(!error.contains('\n'), "{error}");
        error
    }

    #[test]
    fn formats_not_read_are_named_with_the_way_out() {
        for (prefix, name, _) in OTHERS {
            let mut bytes = prefix.to_vec();
            bytes.extend([0; 60]);
            let message = refusal(&bytes);
            assert!(message.contains(name), "{message}");
        }
        let zip = refusal(b"PK\x03\x04....");
        assert!(zip.ends_with("unpack it first: unzip -p test | finwait -"), "{zip}");
        assert!(refusal(b"snoop\0\0\0").contains("editcap -F pcapng test out.pcapng"));
    }

    #[test]
    fn formats_without_a_magic_number_are_told_by_what_follows() {
        let record = [0, 0, 0, 0, 0x8a, 0xa2, 0x15, 0x33, 2, 4, 0, 24, 0, 0, 0, 60];
        let erf = [&record[..], &[0; 8], &record, &[0; 8]].concat();
        assert!(refusal(&erf).contains("an Endace ERF capture"));
        let mut etl = vec![0; 200];
        etl[1..3].copy_from_slice(&[0, 1]);
        etl[0x69..0x6b].copy_from_slice(&[0, 1]);
        assert!(refusal(&etl).ends_with("etl2pcapng test out.pcapng"), "{}", refusal(&etl));
        etl[0x6a] = 2;
        assert!(refusal(&etl).contains("begins with 00000100"));
    }

    #[test]
    fn text_and_unknown_bytes_are_told_apart() {
        let text = refusal("Grüße\nan alle".as_bytes());
        assert!(text.contains("none of its first 2 lines is a packet"), "{text}");
        assert!(text.contains("(line 1 is \"Grüße\")") && text.contains("tcpdump -w"), "{text}");
        let one = refusal(b"\xff\xfe1\0");
        assert!(one.contains("its first line is not a packet"), "{one}");
        assert!(one.contains("(line 1 is \"1\")"), "{one}");
        let tar = [&b"captures/1.pcap"[..], &[0; 242], b"ustar\x0000"].concat();
        assert!(matches!(sniff(&tar), Sniffed::Unsupported("a tar archive", TAR)));
        // The middle of a capture may begin like a text.
        assert!(refusal(b"GET /\0\0\0\n").contains("begins with 47455420"));
        assert!(refusal(b"\x00\x01\x02\x03\x04").contains("begins with 00010203"));
        assert!(refusal(b"\xff").contains("begins with ff)"));
    }

    #[test]
    fn nothing_and_a_piece_of_a_header_are_told_apart() {
        assert!(matches!(open(b""), Err(Error::Empty { .. })));
        assert!(refusal(b"\xd4\xc3\xb2\xa1\x02\x00").contains("ends after 6 bytes"));
        let mut source = open(&PCAPNG_MAGIC).unwrap();
        let error = source.next_packet().unwrap_err();
        assert!(matches!(error, Error::HeaderCut { length: 4, .. }), "{error}");
    }
}
