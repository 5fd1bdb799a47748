//! A clock that jumped back while the capture ran.

use crate::findings::rule::{finding, opened};
use crate::findings::waits::number;
use crate::findings::{CaptureFacts, Context, Finding};
use crate::infer::trail::Moment;

finding! {
    /// The clock of the capturing host was set back while the capture ran.
    ///
    /// ## What it means
    ///
    /// The packets are in the order in which they came, but their times are not. Around the step,
    /// times between packets are wrong: a wait looks shorter or longer than it was. finwait keeps
    /// the order of the file and never counts time backwards.
    ///
    /// ## How it is inferred
    ///
    /// A packet's time lies at least `step_s` before that of the newest packet. Smaller steps back
    /// come from several queues or interfaces in one capture, and are only counted.
    ///
    /// ## When it is wrong
    ///
    /// Files that were joined in the wrong order look the same. A step forwards cannot be told from
    /// silence.
    ///
    /// ## What to do
    ///
    /// Let the host slew its clock instead of stepping it (chrony and ntpd do, once they run), and
    /// do not trust times from the minutes around the step.
    ///
    /// ## References
    ///
    /// RFC 5905 section 12
    pub CLOCK_STEP = {
        name: "clock-step",
        severity: Warning,
        since: "0.1.0",
        thresholds: { step_s: 0.1 "seconds" "Step back that is reported." },
        scope: Capture(check),
        raises: opened!(
            "9.0 > P. 1:101(100) ack 1
             4.0 < .  1:1(0) ack 101"
        ),
        // Two queues of one card.
        near_miss: opened!(
            "9.0000 > P. 1:101(100) ack 1
             8.9999 < .  1:1(0) ack 101"
        ),
    }
}

fn check(capture: &CaptureFacts, context: &Context, out: &mut Vec<Finding>) {
    let step = capture.backwards_most;
    if capture.backwards == 0 || step < context.span("step_s") {
        return;
    }
    let message = format!(
        "the clock jumped back by up to {step}, at {}: do not trust the times around it",
        number(capture.backwards, "packet"),
    );
    let at = Moment::silent(capture.first_ts.unwrap_or_default());
    let finding = context.of_capture(at, message).lasting(step);
    out.push(finding.with("packets", capture.backwards).with("step_s", step));
}
