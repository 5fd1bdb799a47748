//! A SYN that nothing answered.

use crate::findings::rule::{finding, words};
use crate::findings::waits::{icmp_said, number, schedule, wait_in, who};
use crate::findings::{Context, Finding};
use crate::history::{Handshake, History, Role, Signs};
use crate::infer::event::Event;
use crate::infer::state::State;

finding! {
    /// A client's SYN was never answered, neither with SYN+ACK nor with RST.
    ///
    /// ## What it means
    ///
    /// The client stays in SYN_SENT and repeats its SYN at growing intervals; Linux gives up after
    /// about two minutes with `ETIMEDOUT`. A host that is up but has no such service would refuse,
    /// so either the host is gone, or something on the path drops the SYN or its answer. A listener
    /// whose queue is full drops SYNs too.
    ///
    /// ## How it is inferred
    ///
    /// Nothing of the other end passed for at least `wait_s` after the first SYN, and the client
    /// never sent an ACK that would show an answer. The time told is that up to when the next SYN
    /// was due and did not come: the client had given up by then. Of the server the capture tells
    /// nothing: its state is UNKNOWN.
    ///
    /// ## When it is wrong
    ///
    /// A capture filter that lets only SYNs through shows no answers. An answer may have taken
    /// another path, or come after the capture's end.
    ///
    /// ## What to do
    ///
    /// Capture at the server: if the SYN arrives there, look at its firewall, its routes back to
    /// the client, and its queues (`nstat -az TcpExtListenDrops`); if not, at the path between. An
    /// ICMP message in the same capture may name the router that refuses.
    ///
    /// ## References
    ///
    /// RFC 9293 sections 3.10.1 and 3.8.3; RFC 6298 section 2
    pub SYN_UNANSWERED = {
        name: "syn-unanswered",
        severity: Warning,
        since: "0.1.0",
        thresholds: { wait_s: 3.0 "seconds" "Time without an answer that is reported." },
        scope: PerConnection(check),
        looks_for: [Signs::handshake(Handshake::Unanswered)],
        raises: "0.0 > S 0:0(0)
                 1.0 > S 0:0(0)
                 3.0 > S 0:0(0)
                 8.0 end",
        // The answer came to the repeat.
        near_miss: "0.0 > S  0:0(0)
                    1.0 > S  0:0(0)
                    3.0 > S  0:0(0)
                    3.1 < S. 0:0(0) ack 1
                    3.2 > .  1:1(0) ack 1",
    }
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    let wanted = context.span("wait_s");
    // Of a flood, none has waited so long when the capture ends, or all have.
    let may_be = history.until.since(history.first.ts) >= wanted;
    if history.handshake() != Handshake::Unanswered || !may_be {
        return;
    }
    let Some(wait) = wait_in(history, Role::Client, State::SynSent) else { return };
    // Nothing came since its sender gave up, either.
    let gave_up = wait.ended_by == Some(Event::GaveUp);
    let silence = if gave_up { history.until.since(wait.since.ts) } else { wait.length };
    if silence < wanted {
        return;
    }
    let end = if gave_up { ", and it gave up" } else { "" };
    let syns = u64::from(history.side(Role::Client).tally.syns);
    let gaps = &history.side(Role::Client).syn_gaps;
    // A socket that is still there answers a SYN with an ACK, which belongs to that connection.
    let before = history.predecessor.map(|it| (it.id, it.states[1]));
    let before = before.filter(|(_, state)| *state > State::Listen);
    let answer = if before.is_some() { "SYN+ACK" } else { "answer" };
    let still = before.map_or(String::new(), |(id, state)| {
        words!(
            context,
            "; the server's end of connection {id} on the same ports was then in {state}"
        )
    });
    let message = words!(
        context,
        "{} got no {answer} from {} to {}{} in {}{end}{still}{}",
        who(history, Role::Client),
        who(history, Role::Server),
        number(syns, "SYN"),
        schedule(gaps),
        wait.words(),
        icmp_said(history, Role::Client),
    );
    let finding = context.about(history, Role::Client, wait.since, message);
    let mut finding = finding.going_on(wait.goes_on()).lasting(wait.length).frame(history.last);
    // The time without an answer may grow; nothing happened in it.
    finding.newest = Some(history.last.ts);
    out.push(finding.with("syns", syns).with("gaps_s", gaps));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::{Thresholds, check};
    use crate::testkit::connections;
    use crate::time::Span;

    #[test]
    fn a_wait_of_just_so_long_is_reported() {
        for (ends, times) in [("2.999", 0), ("3.0", 1)] {
            let history = &connections(&format!("0.0 > S 0:0(0)\n{ends} end"))[0];
            let found = check(history, &Thresholds::default());
            let is_told = |finding: &&Finding| finding.name == SYN_UNANSWERED.name;
            assert_eq!(found.iter().filter(is_told).count(), times, "{ends}");
        }
    }

    /// However long the capture goes on.
    #[test]
    fn the_time_is_that_of_the_attempt() {
        for (end, goes_on) in [("4.5", true), ("28.1", false), ("90", false)] {
            let text = format!(
                "0.0 > S 0:0(0)\n1.0 > S 0:0(0)\n2.0 > S 0:0(0)\n3.0 > S 0:0(0)\n{end} end"
            );
            let found = check(&connections(&text)[0], &Thresholds::default());
            let told = found.iter().find(|it| it.name == SYN_UNANSWERED.name).expect("it is told");
            assert_eq!(told.ongoing, Some(goes_on), "{end}");
            assert!(told.duration.unwrap() <= Span::from_secs(6), "{}", told.message);
            assert_eq!(told.message.contains("it gave up"), !goes_on, "{}", told.message);
        }
    }
}
