//! A segment in a few words, as tcpdump wrote it: `F. 1:101(100) ack 1`, numbers counted from each
//! end's first one. What does not count from that one, as another SYN+ACK does, is as it was sent.

use crate::decode::segment::{Flags, Options, Segment};
use crate::history::{History, Role};
use crate::seq::WINDOW_MAX;

/// The segment in words, the longest first.
pub fn labels(history: &History, from: Role, segment: &Segment) -> [String; 4] {
    let flags = segment.flags;
    let payload = segment.payload;
    let far = if segment.has(Flags::SYN) { FAR_SYN } else { WINDOW_MAX };
    let (first, numbers) = match relative(history, from, segment.seq.0) {
        first if first.unsigned_abs() <= far => {
            (first.to_string(), format!("{first}:{}", i64::from(first) + i64::from(payload)))
        }
        _ => {
            let sent = format!("absolute {}", segment.seq.0);
            (sent.clone(), sent)
        }
    };
    let ack = match relative(history, from.peer(), segment.ack.0) {
        _ if !segment.has(Flags::ACK) => String::new(),
        ack if ack.unsigned_abs() <= WINDOW_MAX => format!(" ack {ack}"),
        _ => format!(" ack absolute {}", segment.ack.0),
    };
    let long = format!("{flags} {numbers}({payload}){ack}");
    let full = format!("{long} win {}{}", segment.window, options(&segment.options));
    let is_bare =
        payload == 0 && ![Flags::SYN, Flags::FIN, Flags::RST].iter().any(|flag| segment.has(*flag));
    let short =
        if is_bare { format!("{flags}{ack}") } else { format!("{flags} {first}({payload})") };
    if is_bare {
        [full, short.clone(), short, flags.to_string()]
    } else {
        [full, long, short, flags.to_string()]
    }
}

/// A SYN with a number further away is another end's, or another life's, and no window has it.
const FAR_SYN: u32 = 1 << 20;

/// A number counted from that end's first one.
fn relative(history: &History, role: Role, number: u32) -> i32 {
    number.wrapping_sub(history.side(role).base_seq.unwrap_or_default()) as i32
}

/// The options of a SYN, as tcpdump has them.
fn options(options: &Options) -> String {
    let all = [
        options.mss.map(|mss| format!("mss {mss}")),
        options.window_scale.map(|shift| format!("wscale {shift}")),
        options.sack_permitted.then(|| "sackOK".to_string()),
        options.fast_open.then(|| "tfo".to_string()),
    ];
    let all: Vec<String> = all.into_iter().flatten().collect();
    if all.is_empty() { String::new() } else { format!(" <{}>", all.join(",")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seq::SeqNum;
    use crate::testkit::connections;

    #[test]
    fn numbers_that_count_from_elsewhere_are_as_they_were_sent() {
        let history =
            &connections("0.0 > S 0:0(0)\n0.1 < S. 0:0(0) ack 1\n0.2 > . 1:1(0) ack 1")[0];
        let [client, server] =
            Role::BOTH.map(|role| history.side(role).base_seq.unwrap_or_default());
        let said = |flags, seq: u32, ack: u32| {
            let segment =
                Segment { flags, seq: SeqNum(seq), ack: SeqNum(ack), ..Segment::default() };
            labels(history, Role::Server, &segment)[1].clone()
        };
        let own = |by: i32| server.wrapping_add_signed(by);
        let ack = client.wrapping_add(1);
        let syn_ack = Flags::SYN | Flags::ACK;
        assert_eq!(said(syn_ack, own(0), ack), "S. 0:0(0) ack 1");
        assert_eq!(said(syn_ack, own(500), ack), "S. 500:500(0) ack 1");
        let far = own(-1_180_489_186);
        assert_eq!(said(syn_ack, far, ack), format!("S. absolute {far}(0) ack 1"));
        assert_eq!(said(Flags::RST, own(900_000_000), 0), "R 900000000:900000000(0)");
        assert_eq!(said(Flags::RST, own(i32::MIN), 0), format!("R absolute {}(0)", own(i32::MIN)));
    }
}
