//! Packets that are in the capture twice.

use crate::findings::rule::{finding, opened};
use crate::findings::waits::number;
use crate::findings::{CaptureFacts, Context, Finding};
use crate::infer::trail::Moment;

finding! {
    /// The capture holds packets more than once.
    ///
    /// ## What it means
    ///
    /// The same packet was seen in two places: `tcpdump -i any` sees it on a bridge and on the
    /// interface behind it, and a mirror port may copy it on its way in and on its way out. Each
    /// copy is dropped and counted, so that none is mistaken for a retransmission.
    ///
    /// ## How it is inferred
    ///
    /// Two packets close to each other agree in everything that forwarding does not change. A
    /// true retransmission differs: in its IP identification, its timestamp option or its time.
    ///
    /// ## When it is wrong
    ///
    /// A stack that sends IP identification 0 and no timestamps repeats itself exactly; a repeat
    /// right after the original would be taken for a copy. A copy of such a RST counts as another
    /// RST if its peer sent something between the two.
    ///
    /// ## What to do
    ///
    /// Capture on one interface, or mirror one direction only. The results are the same, but the
    /// file is smaller.
    ///
    /// ## References
    ///
    /// Paxson, "Automated Packet Trace Analysis of TCP Implementations", 1997
    pub DUPLICATE_PACKETS = {
        name: "duplicate-packets",
        severity: Note,
        since: "0.1.0",
        thresholds: { packets_min: 1.0 "packets" "Copies that are reported." },
        scope: Capture(check),
        raises: opened!(
            "0.1 > P. 1:101(100) ack 1 id 7
             +0   > P. 1:101(100) ack 1 id 7"
        ),
        // A retransmission.
        near_miss: opened!(
            "0.1 > P. 1:101(100) ack 1 id 7
             +.3  > P. 1:101(100) ack 1 id 8"
        ),
    }
}

fn check(capture: &CaptureFacts, context: &Context, out: &mut Vec<Finding>) {
    if capture.duplicates < context.count("packets_min").max(1) {
        return;
    }
    let message = format!(
        "the capture holds {} twice, out of {}: the copies are left out",
        number(capture.duplicates, "packet"),
        capture.packets,
    );
    let at = Moment::silent(capture.first_ts.unwrap_or_default());
    out.push(context.of_capture(at, message).with("duplicates", capture.duplicates));
}
