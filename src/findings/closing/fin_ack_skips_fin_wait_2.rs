//! Three segments closed the connection: legal and common.

use crate::findings::rule::{finding, opened, words};
use crate::findings::waits::who;
use crate::findings::{Context, Finding};
use crate::history::{Close, History, Role, Signs};
use crate::infer::state::State;

finding! {
    /// FIN and ACK came in one segment, and the active side skipped FIN_WAIT_2.
    ///
    /// ## What it means
    ///
    /// The textbook close takes four segments: FIN, ACK, FIN, ACK. When the passive side's program
    /// closes before its kernel has sent the ACK, both go in one segment, three segments close the
    /// connection, and the active side goes from FIN_WAIT_1 to TIME_WAIT directly. This is how a
    /// program that closes promptly usually ends a connection.
    ///
    /// ## How it is inferred
    ///
    /// The second FIN acknowledges the first, and no ACK of the first came before it.
    ///
    /// ## When it is wrong
    ///
    /// A capture that dropped the ACK in between shows the same.
    ///
    /// ## What to do
    ///
    /// Nothing. It is noted because somebody may miss FIN_WAIT_2 in the history.
    ///
    /// ## References
    ///
    /// RFC 9293 section 3.3.2 (note on the figure) and section 3.10.7.4
    pub FIN_ACK_SKIPS_FIN_WAIT_2 = {
        name: "fin-ack-skips-fin-wait-2",
        severity: Note,
        since: "0.1.0",
        thresholds: {},
        scope: PerConnection(check),
        looks_for: [Signs::close(Close::FinAckSkipsFinWait2)],
        raises: opened!(
            "0.1 > F. 1:1(0) ack 1
             0.2 < F. 1:1(0) ack 2
             0.3 > .  2:2(0) ack 2"
        ),
        // Four segments.
        near_miss: opened!(
            "0.1 > F. 1:1(0) ack 1
             0.2 < .  1:1(0) ack 2
             0.3 < F. 1:1(0) ack 2
             0.4 > .  2:2(0) ack 2"
        ),
    }
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    if history.close() != Some(Close::FinAckSkipsFinWait2) {
        return;
    }
    let active = Role::BOTH.into_iter().find_map(|role| {
        let waited = history.transitions_of(role).find(|it| it.to == State::TimeWait)?;
        Some((role, waited))
    });
    let Some((role, waited)) = active else { return };
    let message = words!(
        context,
        "{} answered the FIN of {} with FIN and ACK in one segment: three segments closed the \
         connection",
        who(history, role.peer()),
        who(history, role),
    );
    out.push(context.about(history, role, waited.at, message));
}
