//! An open connection on which nobody speaks.

use crate::findings::rule::{finding, opened, words};
use crate::findings::waits::who;
use crate::findings::{Context, Finding};
use crate::history::{Close, History, Role, Signs};
use crate::infer::state::State;

finding! {
    /// An open connection was silent to the end of the capture.
    ///
    /// ## What it means
    ///
    /// A TCP connection without traffic lives as long as both hosts do; no timer ends it. This is
    /// no fault. But if a host is gone, or a device on the path has forgotten the connection,
    /// neither end will know until one of them sends something.
    ///
    /// ## How it is inferred
    ///
    /// Both ends are ESTABLISHED, and for the last `idle_s` of the capture no segment passed,
    /// not even a keepalive.
    ///
    /// ## When it is wrong
    ///
    /// The connection may have ended in segments that the capture dropped.
    ///
    /// ## What to do
    ///
    /// Nothing, for a pool or a session that waits. If such connections fail when they are used
    /// again, see silent-drop, and set keepalives.
    ///
    /// ## References
    ///
    /// RFC 9293 sections 3.8.4 and 3.5.1
    pub IDLE_CONNECTION = {
        name: "idle-connection",
        severity: Note,
        since: "0.1.0",
        thresholds: { idle_s: 300.0 "seconds" "Silence at the end that is reported." },
        scope: PerConnection(check),
        looks_for: [Signs::close(Close::Open)],
        raises: opened!(
            "0.1  > P. 1:101(100) ack 1
             0.2  < .  1:1(0) ack 101
             400. end"
        ),
        // A keepalive shows that both are there.
        near_miss: opened!(
            "0.10  > P. 1:101(100) ack 1
             0.20  < .  1:1(0) ack 101
             290.0 > .  100:100(0) ack 1
             290.1 < .  1:1(0) ack 101
             400.  end"
        ),
    }
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    let open = Role::BOTH.iter().all(|role| history.last_state(*role) == State::Established);
    let idle = history.until.since(history.last.ts);
    if !open || idle < context.span("idle_s") {
        return;
    }
    let message = words!(
        context,
        "{} and {} are connected, and neither has sent anything for >= {idle}",
        who(history, Role::Client),
        who(history, Role::Server),
    );
    let finding =
        context.about(history, Role::Client, history.last, message).lasting(idle).going_on(true);
    out.push(finding.with("idle_s", idle));
}
