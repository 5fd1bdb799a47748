//! Packets that the capturing system itself lost.

use crate::findings::rule::{finding, opened};
use crate::findings::waits::number;
use crate::findings::{CaptureFacts, Context, Finding, Value};
use crate::infer::trail::Moment;

finding! {
    /// The capturing system dropped packets, by its own count.
    ///
    /// ## What it means
    ///
    /// The capture was slower than the network, or its buffer too small. Packets are missing that
    /// both ends saw, and with them what finwait would infer: a dropped FIN looks like a connection
    /// that nobody closed.
    ///
    /// ## How it is inferred
    ///
    /// The file says so: pcapng files have interface statistics and drop counts. A pcap file has no
    /// place for them; see capture-gap for what shows even so.
    ///
    /// ## When it is wrong
    ///
    /// The count includes all packets on the interface, not only TCP.
    ///
    /// ## What to do
    ///
    /// Capture again with a larger buffer (`tcpdump -B 65536`), a shorter snap length (`-s 128`) or
    /// a narrower filter, and write to a fast disk.
    ///
    /// ## References
    ///
    /// draft-ietf-opsawg-pcapng, section 4.6 (Interface Statistics Block); tcpdump(1), -B
    pub CAPTURE_DROPS = {
        name: "capture-drops",
        severity: Warning,
        since: "0.1.0",
        thresholds: { packets_min: 1.0 "packets" "Dropped packets that are reported." },
        scope: Capture(check),
        raises: opened!("dropped 12"),
        near_miss: opened!("dropped 0"),
    }
}

fn check(capture: &CaptureFacts, context: &Context, out: &mut Vec<Finding>) {
    let dropped = capture.dropped;
    if dropped < context.count("packets_min").max(1) {
        return;
    }
    let share = dropped as f64 * 100.0 / (dropped + capture.packets).max(1) as f64;
    let message = format!(
        "the capturing system dropped {} ({share:.2} % of all): where no close is seen, it may be \
         among them",
        number(dropped, "packet"),
    );
    let at = Moment::silent(capture.first_ts.unwrap_or_default());
    let finding = context.of_capture(at, message).with("dropped", dropped);
    out.push(finding.with("share_percent", Value::Number(share)));
}
