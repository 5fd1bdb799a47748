//! A sender that repeats much of what it sends.

use crate::findings::rule::{finding, opened, words};
use crate::findings::waits::{icmp_said, number, who};
use crate::findings::{Context, Finding, Value};
use crate::history::{History, Role, Signs};

finding! {
    /// One end had to repeat a large part of what it sent.
    ///
    /// ## What it means
    ///
    /// Segments, or the ACKs for them, are lost on the way, or come so late that the sender takes
    /// them for lost. The connection works, but slowly. The path is to blame: a congested line, a
    /// bad cable or radio link, or a device that drops packets of a certain size.
    ///
    /// ## How it is inferred
    ///
    /// At least `repeats_min` segments of one end repeat what had already passed, they are at least
    /// `share_min` percent of all that it sent, and the peer did answer. Repeats that nobody had
    /// acknowledged when the record ended do not count: they are dead-peer, unacknowledged-data or
    /// silent-drop.
    ///
    /// ## When it is wrong
    ///
    /// Copies made by the capture, if not recognised as such, look like repeats; see
    /// duplicate-packets.
    ///
    /// ## What to do
    ///
    /// Capture at both ends and see where segments go missing. If only large ones do, look at
    /// the MTU on the path. `ss -ti` shows the sender's own count (`retrans`).
    ///
    /// ## References
    ///
    /// RFC 9293 section 3.8.1; RFC 6298; RFC 8985
    pub RETRANSMISSION_STORM = {
        name: "retransmission-storm",
        severity: Warning,
        since: "0.1.0",
        thresholds: {
            repeats_min: 10.0 "segments" "Repeated segments of one end.",
            share_min: 10.0 "percent" "Their share of all segments that it sent.",
        },
        scope: PerConnection(check),
        looks_for: [Signs::RETRANSMITTED],
        raises: opened!(
            "0.10 > P. 1:101(100) ack 1
             0.40 > P. 1:101(100) ack 1
             0.41 < .  1:1(0) ack 101
             0.50 > P. 101:201(100) ack 1
             0.80 > P. 101:201(100) ack 1
             1.40 > P. 101:201(100) ack 1
             1.41 < .  1:1(0) ack 201
             1.50 > P. 201:301(100) ack 1
             1.80 > P. 201:301(100) ack 1
             2.40 > P. 201:301(100) ack 1
             2.41 < .  1:1(0) ack 301
             2.50 > P. 301:401(100) ack 1
             2.80 > P. 301:401(100) ack 1
             3.40 > P. 301:401(100) ack 1
             3.41 < .  1:1(0) ack 401
             3.50 > P. 401:501(100) ack 1
             3.80 > P. 401:501(100) ack 1
             4.40 > P. 401:501(100) ack 1
             4.41 < .  1:1(0) ack 501
             4.50 > P. 501:601(100) ack 1
             4.80 > P. 501:601(100) ack 1
             5.40 > P. 501:601(100) ack 1
             6.60 > P. 501:601(100) ack 1
             6.61 < .  1:1(0) ack 601"
        ),
        // One loss, and it is mended.
        near_miss: opened!(
            "0.10 > P. 1:101(100) ack 1
             0.40 > P. 1:101(100) ack 1
             0.41 < .  1:1(0) ack 101"
        ),
    }
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    for role in Role::BOTH {
        let tally = &history.side(role).tally;
        let unanswered = u64::from(history.side(role).unanswered_segments);
        let repeats = tally.retransmitted.saturating_sub(unanswered);
        let share = repeats as f64 * 100.0 / tally.segments.max(1) as f64;
        if repeats < context.count("repeats_min").max(1) || share < context.value("share_min") {
            continue;
        }
        let message = words!(
            context,
            "{} repeated {} of {} to {} ({share:.0} %): they, or their ACKs, are lost on the way{}",
            who(history, role),
            repeats,
            number(tally.segments, "segment"),
            history.addr(role.peer()),
            icmp_said(history, role),
        );
        let finding = context.about(history, role, history.first, message);
        out.push(
            finding
                .lasting(history.duration())
                .with("repeats", repeats)
                .with("segments", tally.segments)
                .with("share_percent", Value::Number(share)),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::{Thresholds, check};
    use crate::testkit::connections;

    /// Ten segments are sent together again and again, and nobody answers.
    #[test]
    fn what_nobody_answers_is_lost_with_its_receiver_and_not_on_the_way() {
        let mut rest = String::new();
        for burst in ["1.000", "1.300", "1.900", "3.100", "5.500"] {
            for (place, from) in (1..14_481).step_by(1_448).enumerate() {
                rest += &format!("{burst}{place} > . {from}:{}(1448) ack 1\n", from + 1_448);
            }
        }
        let told = |end: &str| -> Vec<&str> {
            let history = &connections(&format!("{}{rest}{end}", opened!("")))[0];
            check(history, &Thresholds::default()).iter().map(|it| it.name).collect()
        };
        assert_eq!(told("10 end"), ["dead-peer"]);
        assert_eq!(told("10 < . 1:1(0) ack 14481"), ["retransmission-storm"]);
    }
}
