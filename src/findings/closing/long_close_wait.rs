//! One connection that stayed in CLOSE_WAIT for long.

use crate::findings::rule::{finding, opened, words};
use crate::findings::timeouts::{Ends, consistent};
use crate::findings::waits::{Wait, close_wait, who};
use crate::findings::{Context, Finding};
use crate::history::{History, Role, Signs};
use crate::infer::event::Event;
use crate::infer::state::{Basis, State};

finding! {
    /// The peer closed, and for a long time this end's application did not.
    ///
    /// ## What it means
    ///
    /// A FIN closes one direction only: "I have no more data". The kernel that receives it
    /// acknowledges it by itself and puts the connection into CLOSE_WAIT, where it waits for the
    /// application to call `close()`. No timer ends CLOSE_WAIT, neither in TCP nor in the kernel;
    /// only the application does. Meanwhile the other side waits in FIN_WAIT_2. The end that sits
    /// in CLOSE_WAIT has the bug, not its peer and not the network.
    ///
    /// ## How it is inferred
    ///
    /// The peer's FIN passed, this end acknowledged it (or the peer did not repeat it, which shows
    /// that it was acknowledged unseen), and for `hold_s` this end sent neither FIN nor data. The
    /// time counts from the last data that it sent in CLOSE_WAIT: a half-close in use is legal and
    /// does not count as waiting. `>=` means that it still lasted when the capture ended.
    ///
    /// ## When it is wrong
    ///
    /// A server may work for a long time on a request whose client has already shut down its
    /// sending side; then data or a FIN come in the end. A FIN that the capture dropped looks as if
    /// it was never sent. The process may have been stopped in a debugger.
    ///
    /// ## What to do
    ///
    /// On the host, find the process (`ss -tanp state close-wait`). Look for a path on which a read
    /// of zero bytes or an error does not lead to `close()`: an early return, a pool that does not
    /// test its idle connections, an HTTP response whose body is never closed, a descriptor that a
    /// child process inherited. If no process holds it, the connection sits in the accept queue:
    /// the program does not call `accept()`.
    ///
    /// ## References
    ///
    /// RFC 9293 sections 3.3.2 and 3.6
    pub LONG_CLOSE_WAIT = {
        name: "long-close-wait",
        severity: Warning,
        since: "0.1.0",
        thresholds: { hold_s: 60.0 "seconds" "Silence in CLOSE_WAIT that is reported." },
        scope: PerConnection(check),
        looks_for: [Signs::state(State::CloseWait)],
        raises: opened!(
            "1.0 > F. 1:1(0) ack 1
             1.1 < .  1:1(0) ack 2
             70. end"
        ),
        // The server still sends: a half-close, and nobody's neglect.
        near_miss: opened!(
            "1.0 > F. 1:1(0) ack 1
             1.1 < .  1:1(0) ack 2
             50. < P. 1:1001(1000) ack 2
             50. > .  2:2(0) ack 1001
             99. < P. 1001:2001(1000) ack 2
             99. > .  2:2(0) ack 2001
             120. end"
        ),
    }
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    let hold = context.span("hold_s");
    // Hardly any stays so long.
    let stayed = |role: &Role| history.stayed_in(*role, State::CloseWait, hold);
    for role in Role::BOTH.into_iter().filter(stayed) {
        let Some(wait) = close_wait(history, role) else { continue };
        if wait.length < hold {
            continue;
        }
        let entered = wait.stay.entered;
        let acknowledged = if entered.is_open() { "was sent" } else { "acknowledged" };
        let rest = match wait.was_closed() {
            true => words!(
                context,
                "closed only {} later{}: slow, but not stuck",
                wait.words(),
                consistent(wait.length, Ends::HalfClose)
            ),
            false => words!(
                context,
                "sent none of its own in {}: its application did not call close()",
                wait.words()
            ),
        };
        let doubt = match is_ack_unseen(history, role, &wait, context) {
            true => " (its ACK of the FIN was not captured, and data may have passed unseen too)",
            false => wait.doubt(history),
        };
        let message = words!(
            context,
            "{} {acknowledged} the FIN of {} and {rest}{}",
            who(history, role),
            history.addr(role.peer()),
            doubt,
        );
        let finding = context
            .about(history, role, entered.at, message)
            .lasting(wait.length)
            .going_on(wait.goes_on());
        out.push(
            finding
                .frame(entered.confirmed)
                .with("in_close_wait_s", wait.stay.dwell)
                .with("basis", entered.basis.name()),
        );
    }
}

/// Whether the capture misses the ACK of the FIN that a role waited behind: whoever gets one
/// acknowledges it at once, so that other things may be missing too. Of a wait that goes on, only a
/// capture that somebody filtered is doubted so.
fn is_ack_unseen(history: &History, role: Role, wait: &Wait, context: &Context) -> bool {
    let entered = wait.stay.entered;
    let is_partial = wait.was_closed() || context.only().is_some();
    let closed = history.fin_of(role).map_or(u64::MAX, |fin| fin.at.frame);
    let acked = history.by_event(role.peer(), &[Event::RecvAckOfFin]);
    let has_passed = acked.is_some_and(|it| it.at.frame < closed);
    entered.is_open() && entered.basis != Basis::Assumed && is_partial && !has_passed
}

#[cfg(test)]
mod tests {
    use crate::findings::rule::opened;
    use crate::findings::{Thresholds, check};
    use crate::testkit::connections;

    /// A stream into the half-close, of which only the FIN's number tells.
    #[test]
    fn a_wait_in_which_no_ack_passed_is_told_with_doubt() {
        let told = |rest: &str| {
            let history = &connections(&format!("{}{rest}", opened!("")))[0];
            let found = check(history, &Thresholds::default());
            let wait = found.into_iter().find(|it| it.name == "long-close-wait");
            wait.expect("it is told").message.contains("data may have passed unseen")
        };
        let closes = "70.2 < F. 14001:14001(0) ack 2";
        assert!(told(&format!("0.1 > F. 1:1(0) ack 1\n{closes}")));
        // The capture misses other things, but not the ACK.
        let gap = "0.1 > F. 41:41(0) ack 41\n0.2 < . 41:41(0) ack 42\n70.2 < F. 41:41(0) ack 42";
        assert!(!told(gap));
        let closes = "70.2 < F. 1:1(0) ack 2";
        assert!(!told(&format!("0.1 > F. 1:1(0) ack 1\n0.2 < . 1:1(0) ack 2\n{closes}")));
    }

    /// Whoever gets the ACK of its FIN does not send it again.
    #[test]
    fn a_fin_that_is_repeated_and_never_acknowledged_may_not_have_come() {
        let names = |fins: &str| -> Vec<&str> {
            let history = &connections(&format!("{}{fins}70 end", opened!("")))[0];
            check(history, &Thresholds::default()).iter().map(|it| it.name).collect()
        };
        let fin = "1.0 > F. 1:1(0) ack 1\n";
        assert_eq!(names(fin), ["long-close-wait"]);
        assert!(names(&format!("{fin}1.3 > F. 1:1(0) ack 1\n")).is_empty());
    }
}
