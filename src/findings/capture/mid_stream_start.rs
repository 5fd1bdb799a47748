//! The capture began when the connection was open.

use crate::findings::rule::{finding, opened, words};
use crate::findings::waits::{had_socket, who};
use crate::findings::{Context, Finding};
use crate::history::{Handshake, History, Role, Signs};
use crate::infer::RolesFrom;
use crate::infer::event::Event;

finding! {
    /// The capture does not hold the beginning of the connection.
    ///
    /// ## What it means
    ///
    /// The connection was already open when the capture began, or its SYN was not captured. Both
    /// ends are assumed to be ESTABLISHED until their segments show more; either may have closed
    /// its direction before that. Window scale and MSS are announced only in SYNs, so windows are
    /// not known, and which end is the client is guessed from the ports.
    ///
    /// ## How it is inferred
    ///
    /// The first segment is no SYN, and nothing of a handshake passed. Where the other end sent
    /// nothing but a RST without ACK, which a host sends that has no such socket, only the first
    /// end's word is there for a connection; the message says so.
    ///
    /// ## When it is wrong
    ///
    /// A scan that begins with other segments than SYN opens no connection at all. A host that
    /// has restarted, or a device that has forgotten the connection, answers like one that never
    /// had it.
    ///
    /// ## What to do
    ///
    /// Start the capture before the connections, if the beginning matters.
    ///
    /// ## References
    ///
    /// RFC 9293 section 3.3.2; RFC 7323 section 2.2
    pub MID_STREAM_START = {
        name: "mid-stream-start",
        severity: Note,
        since: "0.1.0",
        thresholds: {},
        scope: PerConnection(check),
        looks_for: [Signs::handshake(Handshake::NotCaptured)],
        raises: "0.0 > P. 1:101(100) ack 1
                 0.1 < P. 1:51(50) ack 101",
        near_miss: opened!("0.1 > P. 1:101(100) ack 1"),
    }
}

/// Whether a role did nothing but refuse what the other one sent, as a host does that has no such
/// socket.
fn knew_nothing(history: &History, role: Role) -> bool {
    !had_socket(history, role)
        && history.by_event(role, &[Event::SentRstWithoutSocket]).is_some()
        && history.fin_of(role).is_none()
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    let began = history.roles_from == RolesFrom::Syn;
    if history.handshake() == Handshake::NotCaptured && !began {
        let message = match Role::BOTH.into_iter().find(|role| knew_nothing(history, *role)) {
            Some(role) => words!(
                context,
                "{} sent to {} without a SYN before it, and got the RST of a host that knows no \
                 such connection: whether there was one before the capture is not known",
                who(history, role.peer()),
                who(history, role),
            ),
            None => words!(
                context,
                "the connection from {} to {} was open before its first captured segment: how it \
                 opened is not known",
                who(history, Role::Client),
                who(history, Role::Server),
            ),
        };
        let mut finding = context.about(history, Role::Client, history.first, message);
        (finding.role, finding.host) = (None, None);
        out.push(finding.with("roles_from", history.roles_from.name()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::findings;

    fn told(trace: &str) -> String {
        let found = findings(trace).into_iter().find(|it| it.name == MID_STREAM_START.name);
        found.map(|it| it.message).unwrap_or_default()
    }

    #[test]
    fn data_to_a_host_without_such_a_socket_shows_no_connection() {
        let stray = told("0.0 > P. 1:6(5) ack 1\n0.1 < R 1:1(0)");
        assert!(stray.starts_with("client ") && stray.contains("without a SYN"), "{stray}");
        // It comes from a socket, or from an end that has spoken.
        for open in ["0.1 < R. 1:1(0) ack 6", "0.1 < . 1:1(0) ack 6\n5.0 < R 1:1(0)"] {
            let message = told(&format!("0.0 > P. 1:6(5) ack 1\n{open}"));
            assert!(message.contains("was open before"), "{message}");
        }
    }
}
