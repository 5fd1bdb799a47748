//! Packets cut inside their TCP header.

use crate::findings::rule::{finding, opened};
use crate::findings::waits::number;
use crate::findings::{CaptureFacts, Context, Finding};
use crate::infer::trail::Moment;

finding! {
    /// The capture cut packets before the end of their TCP header.
    ///
    /// ## What it means
    ///
    /// A capture with a small snap length (`tcpdump -s`) keeps only the beginning of each packet.
    /// If the TCP header itself is cut, flags and numbers are missing: such packets are counted and
    /// left out, never guessed. Cut payload is no loss, because the IP header gives its length.
    ///
    /// ## How it is inferred
    ///
    /// The bytes of a packet end within the 20 that every TCP header has.
    ///
    /// ## When it is wrong
    ///
    /// The count is always right, but what the cut packets would have shown is not known.
    ///
    /// ## What to do
    ///
    /// Capture with `-s 128` or more: link, IP and TCP headers with options take less, VLAN tags
    /// and tunnels included.
    ///
    /// ## References
    ///
    /// tcpdump(1), --snapshot-length; RFC 9293 section 3.1
    pub CUT_HEADERS = {
        name: "cut-headers",
        severity: Warning,
        since: "0.1.0",
        thresholds: { packets_min: 1.0 "packets" "Cut packets that are reported." },
        scope: Capture(check),
        raises: opened!("0.1 cut"),
        near_miss: opened!("0.1 > P. 1:1001(1000) ack 1"),
    }
}

fn check(capture: &CaptureFacts, context: &Context, out: &mut Vec<Finding>) {
    if capture.cut_headers < context.count("packets_min").max(1) {
        return;
    }
    let message = format!(
        "{} of {} cut inside the TCP header: what they would show is lost; capture with a larger \
         snap length",
        number(capture.cut_headers, "packet"),
        capture.packets,
    );
    let at = Moment::silent(capture.first_ts.unwrap_or_default());
    out.push(context.of_capture(at, message).with("cut", capture.cut_headers));
}
