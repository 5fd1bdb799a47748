//! The list of TCP options as tcpdump prints it, in the old style's words or the new style's.

use core::hash::BuildHasher;

use foldhash::fast::FixedState;

use super::line::number;
use super::printed::PrintedOptions;
use crate::seq::WINDOW_SCALE_MAX;

/// How a Fast Open option begins. No option has a number above 255, so 34 is never cut off.
const FAST_OPEN: [&str; 5] = ["tfo", "exp-tfo", "opt-34", "unknown-34", "Unknown Option 34"];

/// Reads the options between the brackets, and gives a mark of those that have no place: two
/// packets may differ in nothing else.
pub(super) fn read(list: &str) -> (PrintedOptions, u16) {
    let mut options = PrintedOptions::default();
    let mut mark = 0_u16;
    for option in list.split(',') {
        let option = option.trim();
        let (name, value) = option.split_once(' ').unwrap_or((option, ""));
        match name {
            "mss" => options.mss = number(value).and_then(|(mss, _)| mss.try_into().ok()),
            "wscale" => {
                let shift =
                    number(value).map(|(shift, _)| shift.min(WINDOW_SCALE_MAX.into()) as u8);
                options.window_scale = shift;
            }
            "sackOK" => options.sack_permitted = true,
            "TS" => options.timestamps = timestamps(value, "val ", "ecr "),
            "timestamp" => options.timestamps = timestamps(value, "", ""),
            "sack" => options.sack = first_block(value).or(options.sack),
            // As an experiment, and before tcpdump knew it (4.4), it went under its number.
            _ if FAST_OPEN.iter().any(|start| option.starts_with(start)) => {
                options.fast_open = true;
            }
            "nop" | "eol" => {}
            _ => mark = mark.rotate_left(1) ^ FixedState::default().hash_one(option) as u16,
        }
        options.incomplete |= option.contains("[bad opt]") || option.contains("[|tcp]");
    }
    (options, mark)
}

fn timestamps(text: &str, value: &str, echo: &str) -> Option<(u32, u32)> {
    let (tsval, rest) = number(text.trim_start().strip_prefix(value)?.trim_start())?;
    let (tsecr, _) = number(rest.trim_start().strip_prefix(echo)?.trim_start())?;
    Some((tsval, tsecr))
}

/// `1 {10945:11389}`, or `sack 2 {5:9}{11:13}` from the old style, which says `sack` twice.
fn first_block(text: &str) -> Option<(u32, u32)> {
    let (_, rest) = text.split_once('{')?;
    let (start, rest) = number(rest)?;
    let (end, _) = number(rest.strip_prefix(':')?)?;
    Some((start, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &str) -> PrintedOptions {
        read(list).0
    }

    #[test]
    fn options_that_are_not_read_leave_a_mark() {
        let mark = |list: &str| read(list).1;
        assert_ne!(mark("mptcp 4 tcprst reason 1"), mark("mptcp 4 tcprst reason 2"));
        assert_eq!(mark("mss 1460,mptcp 4 dss"), mark("mss 1400,mptcp 4 dss"));
    }

    #[test]
    fn both_styles_are_read() {
        let expected = PrintedOptions {
            timestamps: Some((2_514_772_347, 5)),
            sack: Some((10_945, 11_389)),
            mss: Some(1414),
            window_scale: Some(6),
            sack_permitted: true,
            ..PrintedOptions::default()
        };
        let new = "mss 1414,nop,wscale 6,nop,nop,TS val 2514772347 ecr 5,sackOK,sack 2 \
                   {10945:11389}{1:2},eol";
        let old = "mss 1414,nop,wscale 6,nop,nop,timestamp 2514772347 5,sackOK,sack sack 2 \
                   {10945:11389}{1:2} ";
        assert_eq!((words(new), words(old)), (expected, expected));
    }

    #[test]
    fn fast_open_has_had_several_names() {
        for text in [
            "tfo  cookie 1f2e",
            "exp-tfo cookiereq",
            "mss 1460,opt-34:d4e7",
            "unknown-34 0xd4e7",
            "Unknown Option 34d4e718bf",
        ] {
            assert!(words(text).fast_open, "{text}");
        }
        assert!(!words("opt-30:34,Unknown Option 254").fast_open);
    }

    #[test]
    fn broken_options_say_so_and_keep_the_rest() {
        let options = words("mss 1460,[bad opt]");
        assert_eq!((options.mss, options.incomplete), (Some(1460), true));
        assert_eq!(words("TS val x ecr 5,mss 99999,wscale 255").window_scale, Some(14));
        assert_eq!(words("mss 99999").mss, None);
    }
}
