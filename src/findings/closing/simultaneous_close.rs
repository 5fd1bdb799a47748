//! The FINs crossed.

use crate::findings::rule::{finding, opened, words};
use crate::findings::waits::who;
use crate::findings::{Context, Finding};
use crate::history::{Close, History, Role, Signs};
use crate::infer::state::State;

finding! {
    /// Both ends closed at once: their FINs crossed on the way.
    ///
    /// ## What it means
    ///
    /// Each end sent its FIN before it had the other's. Neither is the passive side: both go from
    /// FIN_WAIT_1 to CLOSING and, when their FIN is acknowledged, to TIME_WAIT. This is legal and
    /// rare; two programs that end a session at the same message do it.
    ///
    /// ## How it is inferred
    ///
    /// Neither FIN acknowledges the other.
    ///
    /// ## When it is wrong
    ///
    /// If a FIN was lost behind the observer and only its repeat arrived, the second FIN did not
    /// cross it but came first.
    ///
    /// ## What to do
    ///
    /// Nothing. Note that both hosts keep the four-tuple in TIME_WAIT.
    ///
    /// ## References
    ///
    /// RFC 9293 section 3.6 (figure 13)
    pub SIMULTANEOUS_CLOSE = {
        name: "simultaneous-close",
        severity: Note,
        since: "0.1.0",
        thresholds: {},
        scope: PerConnection(check),
        looks_for: [Signs::close(Close::Simultaneous)],
        raises: opened!(
            "0.100 > F. 1:1(0) ack 1
             0.101 < F. 1:1(0) ack 1
             0.110 > .  2:2(0) ack 2
             0.111 < .  2:2(0) ack 2"
        ),
        // The second FIN acknowledges the first.
        near_miss: opened!(
            "0.100 > F. 1:1(0) ack 1
             0.101 < F. 1:1(0) ack 2
             0.110 > .  2:2(0) ack 2"
        ),
    }
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    if history.close() != Some(Close::Simultaneous) {
        return;
    }
    let crossed = history.transitions.iter().find(|it| it.to == State::Closing);
    let at = crossed.map_or(history.last, |it| it.at);
    let message = words!(
        context,
        "the FINs of {} and {} crossed: both closed first",
        who(history, Role::Client),
        who(history, Role::Server),
    );
    let mut finding = context.about(history, Role::Client, at, message);
    (finding.role, finding.host) = (None, None);
    out.push(finding);
}
