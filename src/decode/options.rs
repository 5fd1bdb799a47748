//! TCP options (RFC 9293 section 3.1): a walk of our own over kind, length and value.
//!
//! etherparse's iterator ends at the first kind that it does not know, and a window scale or a
//! timestamp behind a Fast Open or MPTCP option would be lost. Here unknown options are stepped
//! over by their length. A list that is not well formed keeps what was read before the fault.

use crate::seq::{SeqNum, WINDOW_SCALE_MAX};

use super::segment::Options;

mod kind {
    pub const END: u8 = 0;
    pub const NOP: u8 = 1;
    pub const MSS: u8 = 2;
    pub const WINDOW_SCALE: u8 = 3;
    pub const SACK_PERMITTED: u8 = 4;
    pub const SACK: u8 = 5;
    pub const TIMESTAMPS: u8 = 8;
    pub const FAST_OPEN: u8 = 34;
    pub const EXPERIMENT_1: u8 = 253;
    pub const EXPERIMENT_2: u8 = 254;
}

/// Reads the options of a header.
#[inline(always)]
pub(super) fn read(bytes: &[u8]) -> Options {
    // Nearly every segment after the handshake has no options, or these twelve bytes.
    if bytes.is_empty() {
        return Options::default();
    }
    if let Some(pair) = usual(bytes).filter(|_| bytes.len() == USUAL) {
        return Options { timestamps: Some(pair), ..Options::default() };
    }
    by_words(bytes)
}

/// Bytes of timestamps behind two bytes of padding, the layout that nearly all stacks use
/// (RFC 7323 appendix A).
pub(super) const USUAL: usize = 12;

/// TSval and TSecr in that layout.
#[inline(always)]
pub(super) fn usual(bytes: &[u8]) -> Option<(u32, u32)> {
    match bytes.as_chunks::<4>() {
        // As one number, and not byte by byte.
        ([head, tsval, tsecr, ..], _) if *head == [kind::NOP, kind::NOP, kind::TIMESTAMPS, 10] => {
            Some((u32::from_be_bytes(*tsval), u32::from_be_bytes(*tsecr)))
        }
        _ => None,
    }
}

/// Reads options that stand in words of four bytes, as most stacks pad them, word by word; from the
/// first on that do not, byte by byte.
#[inline]
fn by_words(bytes: &[u8]) -> Options {
    let (mut words, []) = bytes.as_chunks::<4>() else { return walk(Options::default(), bytes) };
    let mut options = Options::default();
    loop {
        words = match words {
            [] => return options,
            [[kind::MSS, 4, mss @ ..], rest @ ..] => {
                options.mss = Some(u16::from_be_bytes(*mss));
                rest
            }
            [[kind::NOP, kind::WINDOW_SCALE, 3, shift], rest @ ..] => {
                options.window_scale = Some((*shift).min(WINDOW_SCALE_MAX));
                rest
            }
            [[kind::NOP, kind::NOP, kind::SACK_PERMITTED, 2], rest @ ..] => {
                options.sack_permitted = true;
                rest
            }
            [[first @ .., kind::TIMESTAMPS, 10], tsval, tsecr, rest @ ..]
                if matches!(first, [kind::NOP, kind::NOP] | [kind::SACK_PERMITTED, 2]) =>
            {
                options.sack_permitted |= first[0] == kind::SACK_PERMITTED;
                options.timestamps = Some((u32::from_be_bytes(*tsval), u32::from_be_bytes(*tsecr)));
                rest
            }
            rest => return walk(options, rest.as_flattened()),
        };
    }
}

/// Reads options byte by byte, after those that were read before.
fn walk(mut options: Options, mut bytes: &[u8]) -> Options {
    loop {
        bytes = match bytes {
            [] | [kind::END, ..] => return options,
            [kind::NOP, rest @ ..] => rest,
            [kind, len, rest @ ..] => match usize::from(*len).checked_sub(2) {
                Some(size) if size <= rest.len() => {
                    let (value, rest) = rest.split_at(size);
                    take(&mut options, *kind, value);
                    rest
                }
                _ => break,
            },
            [_] => break,
        };
    }
    options.incomplete = true;
    options
}

/// Takes one option. A known kind with a wrong length is a fault, but does not hide what follows.
fn take(options: &mut Options, kind: u8, value: &[u8]) {
    match (kind, value) {
        (kind::MSS, [high, low]) => options.mss = Some(u16::from_be_bytes([*high, *low])),
        (kind::WINDOW_SCALE, [shift]) => {
            options.window_scale = Some((*shift).min(WINDOW_SCALE_MAX));
        }
        (kind::SACK_PERMITTED, []) => options.sack_permitted = true,
        (kind::SACK, blocks) if !blocks.is_empty() && blocks.len() % 8 == 0 => {
            options.sack = pair(blocks).map(|(start, end)| (SeqNum(start), SeqNum(end)));
        }
        (kind::TIMESTAMPS, value) if value.len() == 8 => options.timestamps = pair(value),
        // RFC 7413 section 4.1.1; appendix A.1 has the kind shared by experiments (RFC 6994),
        // under which older stacks still send it.
        (kind::FAST_OPEN, _) | (kind::EXPERIMENT_1 | kind::EXPERIMENT_2, [0xf9, 0x89, ..]) => {
            options.fast_open = true;
        }
        (
            kind::MSS | kind::WINDOW_SCALE | kind::SACK_PERMITTED | kind::SACK | kind::TIMESTAMPS,
            _,
        ) => options.incomplete = true,
        _ => {}
    }
}

/// The first eight bytes as two numbers.
#[inline(always)]
fn pair(value: &[u8]) -> Option<(u32, u32)> {
    let [a, b, c, d, e, f, g, h] = *value.first_chunk::<8>()?;
    Some((u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])))
}

#[cfg(test)]
mod tests {
    use super::super::packets::TIMESTAMPS;
    use super::*;

    fn all_walked(bytes: &[u8]) -> Options {
        walk(Options::default(), bytes)
    }

    #[test]
    fn a_linux_syn_is_read_in_full() {
        let syn = [2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 7, 0, 0, 0, 0, 1, 3, 3, 7];
        let expected = Options {
            mss: Some(1460),
            sack_permitted: true,
            timestamps: Some((7, 0)),
            window_scale: Some(7),
            ..Options::default()
        };
        assert_eq!(read(&syn), expected);
        assert_eq!(all_walked(&syn), expected);
    }

    /// SYNs' options as Linux (with and without timestamps), macOS and Windows send them, with
    /// anything else in one place or two, or cut.
    #[test]
    fn what_stands_in_words_is_read_as_byte_by_byte() {
        for syn in [
            &[2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9, 1, 3, 3, 7][..],
            &[2, 4, 5, 0xb4, 1, 1, 4, 2, 1, 3, 3, 7],
            &[2, 4, 5, 0xb4, 1, 3, 3, 6, 1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 0, 4, 2, 0, 0],
            &[2, 4, 5, 0xb4, 1, 3, 3, 8, 1, 1, 4, 2],
            &[2, 4, 5, 0xb4],
        ] {
            assert!(read(syn).mss.is_some());
            for at in 0..syn.len() {
                assert_eq!(read(&syn[..at]), all_walked(&syn[..at]));
                for byte in 0..=u8::MAX {
                    let mut other = syn.to_vec();
                    other[at] = byte;
                    assert_eq!(read(&other), all_walked(&other), "{other:?}");
                    other[(at + 1) % syn.len()] = byte;
                    assert_eq!(read(&other), all_walked(&other), "{other:?}");
                }
            }
        }
    }

    #[test]
    fn the_common_layout_gives_the_same_on_the_fast_path_and_the_walk() {
        assert_eq!(read(&TIMESTAMPS), all_walked(&TIMESTAMPS));
        assert_eq!(read(&TIMESTAMPS).timestamps, Some((7, 9)));
    }

    #[test]
    fn unknown_options_do_not_hide_those_behind_them() {
        let mptcp = [30, 12, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        let accecn = [174, 5, 1, 2, 3];
        let md5 = [19, 18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        for unknown in [&mptcp[..], &accecn, &md5] {
            let options = read(&[unknown, &[3, 3, 9]].concat());
            assert_eq!((options.window_scale, options.incomplete), (Some(9), false));
        }
    }

    #[test]
    fn fast_open_is_known_by_its_own_kind_and_by_the_experimental_ones() {
        for option in [
            &[34, 2][..],
            &[34, 6, 1, 2, 3, 4],
            &[254, 4, 0xf9, 0x89],
            &[253, 8, 0xf9, 0x89, 1, 2, 3, 4],
        ] {
            let options = read(&[option, &[3, 3, 9]].concat());
            assert!(options.fast_open && options.window_scale == Some(9));
        }
        assert!(!read(&[254, 4, 0xe2, 0xd4]).fast_open);
    }

    #[test]
    fn the_first_sack_block_is_kept() {
        let sack = [1, 1, 5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 8, 0, 0, 0, 9];
        assert_eq!(read(&sack).sack, Some((SeqNum(1), SeqNum(2))));
    }

    #[test]
    fn a_window_scale_above_the_greatest_counts_as_the_greatest() {
        assert_eq!(read(&[3, 3, 200, 0]).window_scale, Some(14));
    }

    #[test]
    fn the_end_of_the_list_ends_it() {
        assert_eq!(read(&[0, 3, 3, 7]), Options::default());
    }

    #[test]
    fn a_fault_keeps_what_stood_before_it() {
        for fault in [&[8, 10, 0, 0][..], &[8, 0, 1, 1], &[8, 1, 1, 1], &[8]] {
            let options = read(&[&[3, 3, 7], fault].concat());
            assert_eq!((options.window_scale, options.incomplete), (Some(7), true));
        }
    }

    #[test]
    fn a_wrong_length_of_a_known_option_is_a_fault_but_not_the_end() {
        for wrong in [&[2, 3, 1][..], &[3, 2], &[4, 3, 0], &[5, 4, 0, 0], &[5, 2], &[8, 2]] {
            let options = read(&[wrong, &[2, 4, 2, 0]].concat());
            let expected = Options { mss: Some(512), incomplete: true, ..Options::default() };
            assert_eq!(options, expected, "{wrong:?}");
        }
    }
}
