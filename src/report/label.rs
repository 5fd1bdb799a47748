//! A segment in a few words, as tcpdump wrote it: `F. 1:101(100) ack 1`, numbers counted from each
//! end's first one.

use crate::decode::segment::{Flags, Options, Segment};
use crate::history::{History, Role};

/// The segment in words, the longest first.
pub fn labels(history: &History, from: Role, segment: &Segment) -> [String; 4] {
    let base = |role: Role| history.side(role).base_seq.unwrap_or_default();
    let relative = |number: u32, role: Role| number.wrapping_sub(base(role)) as i32;
    let flags = segment.flags;
    let first = relative(segment.seq.0, from);
    let last = i64::from(first) + i64::from(segment.payload);
    let payload = segment.payload;
    let ack = match segment.has(Flags::ACK) {
        true => format!(" ack {}", relative(segment.ack.0, from.peer())),
        false => String::new(),
    };
    let long = format!("{flags} {first}:{last}({payload}){ack}");
    let full = format!("{long} win {}{}", segment.window, options(&segment.options));
    let is_bare =
        payload == 0 && ![Flags::SYN, Flags::FIN, Flags::RST].iter().any(|flag| segment.has(*flag));
    let short =
        if is_bare { format!("{flags}{ack}") } else { format!("{flags} {first}({payload})") };
    match is_bare {
        true => [full, short.clone(), short, flags.to_string()],
        false => [full, long, short, flags.to_string()],
    }
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
