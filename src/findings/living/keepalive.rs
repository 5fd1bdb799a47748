//! Keepalives on the wire: who sends them, how often, and whether they are answered.

use crate::findings::rule::{finding, opened, words};
use crate::findings::timeouts::{Ends, consistent};
use crate::findings::waits::{number, who};
use crate::findings::{Context, Finding};
use crate::history::{History, Role, Signs};
use crate::infer::fact::FactKind;
use crate::time::Span;

finding! {
    /// One end sent keepalives on an idle connection.
    ///
    /// ## What it means
    ///
    /// A keepalive is a segment without new data that asks whether the other end is still there. It
    /// also keeps NATs and load balancers on the path from forgetting the connection. When idle
    /// connections die, you want to know which side sends keepalives, how often, and whether they
    /// are answered.
    ///
    /// ## How it is inferred
    ///
    /// A segment with no byte or one, one sequence number before the sender's next, which the peer
    /// had already acknowledged. The interval is averaged from the first to the last; data in
    /// between makes it longer than the setting.
    ///
    /// ## When it is wrong
    ///
    /// Probes of a closed window look the same, and are told by the closed window. Where its
    /// opening was lost on the way to their sender, only the timestamp that a probe echoes tells.
    ///
    /// ## What to do
    ///
    /// Nothing, if it was meant. If the interval is longer than the timeout of a device on the
    /// path, make it shorter (`TCP_KEEPIDLE`, `TCP_KEEPINTVL`); see silent-drop. Unanswered ones
    /// are dead-peer.
    ///
    /// ## References
    ///
    /// RFC 9293 section 3.8.4; RFC 1122 section 4.2.3.6
    pub KEEPALIVE = {
        name: "keepalive",
        severity: Note,
        since: "0.1.0",
        thresholds: {},
        scope: PerConnection(check),
        looks_for: [Signs::fact(FactKind::Keepalive)],
        raises: opened!(
            "10.00 > . 0:0(0) ack 1
             10.01 < . 1:1(0) ack 1
             20.00 > . 0:0(0) ack 1
             20.01 < . 1:1(0) ack 1"
        ),
        // A probe of a closed window.
        near_miss: opened!(
            "1.0  > P. 1:1001(1000) ack 1
             1.1  < .  1:1(0) ack 1001 win 0
             1.5  > .  1000:1000(0) ack 1
             1.6  < .  1:1(0) ack 1001 win 500"
        ),
    }
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    for role in Role::BOTH {
        let Some(probe) = history.fact(FactKind::Keepalive, role) else { continue };
        let sent = u64::from(probe.count);
        let answers = history.fact(FactKind::KeepaliveAnswered, role.peer());
        let answered = answers.map_or(0, |fact| u64::from(fact.count)).min(sent);
        let interval = Span::from_nanos(probe.span().as_nanos() / sent.saturating_sub(1).max(1));
        let every = match sent {
            1 => String::new(),
            _ => words!(context, ", one every {interval}{}", consistent(interval, Ends::Silence)),
        };
        let message = words!(
            context,
            "{} sent {} to {}{every}; {answered} answered",
            who(history, role),
            number(sent, "keepalive"),
            history.addr(role.peer()),
        );
        let finding = context
            .about(history, role, probe.first, message)
            .lasting(probe.span())
            .going_on(history.is_open());
        out.push(
            finding
                .frame(probe.last)
                .with("sent", sent)
                .with("answered", answered)
                .with("interval_s", interval),
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::findings::rule::opened;
    use crate::findings::{Thresholds, Value, check};
    use crate::testkit::connections;

    /// Who has not heard that the window is open asks for that.
    #[test]
    fn a_probe_of_a_window_that_opened_unheard_is_no_keepalive() {
        let told = |echo: u32| {
            let text = format!(
                "0.00 > S  0:0(0) <ts 100:0>
                 0.01 < S. 0:0(0) ack 1 <ts 500:100>
                 0.02 > .  1:1(0) ack 1 <ts 120:500>
                 0.10 > P. 1:1001(1000) ack 1 <ts 200:500>
                 0.11 < .  1:1(0) ack 1001 win 0 <ts 600:200>
                 0.15 < .  1:1(0) ack 1001 win 500 <ts 640:200>
                 6.50 > .  1000:1000(0) ack 1 <ts 6600:{echo}>
                 6.51 < .  1:1(0) ack 1001 win 900 <ts 7000:6600>"
            );
            let found = check(&connections(&text)[0], &Thresholds::default());
            found.iter().any(|it| it.name == "keepalive")
        };
        assert!(!told(600));
        assert!(told(640));
    }

    #[test]
    fn what_comes_long_after_with_news_of_its_own_answers_no_keepalive() {
        let answered = |rest: &str| {
            let history = &connections(&format!("{}{rest}", opened!("")))[0];
            let found = check(history, &Thresholds::default());
            let told = found.iter().find(|it| it.name == "keepalive").expect("it is told");
            told.value("answered").cloned()
        };
        let probed = "10.0 > . 0:0(0) ack 1\n";
        let spoke = |at: &str| format!("{probed}{at} < P. 1:11(10) ack 1\n{at}1 > . 1:1(0) ack 11");
        assert_eq!(answered(&spoke("30.0")), Some(Value::Integer(0)));
        assert_eq!(answered(&spoke("10.01")), Some(Value::Integer(1)));
    }

    /// The ACK of a repeat that was not needed looks the same.
    #[test]
    fn only_what_answers_a_keepalive_is_an_answer() {
        let answered = |rest: &str| {
            let history = &connections(&format!("{}{rest}", opened!("")))[0];
            let found = check(history, &Thresholds::default());
            let told = found.iter().find(|it| it.name == "keepalive").expect("it is told");
            told.value("answered").cloned()
        };
        let repeated = "10.0 > .  0:0(0) ack 1
             20.0  > P. 1:101(100) ack 1
             20.3  < .  1:1(0) ack 101
             20.31 > P. 1:101(100) ack 1
             20.33 < .  1:1(0) ack 101
             25 end";
        assert_eq!(answered(repeated), Some(Value::Integer(0)));
        let probed = repeated.replace("20.0 ", "10.1 < . 1:1(0) ack 1\n20.0 ");
        assert_eq!(answered(&probed), Some(Value::Integer(1)));
    }
}
