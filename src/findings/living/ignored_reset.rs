//! A RST that changed nothing.

use crate::findings::rule::{finding, opened, words};
use crate::findings::waits::{rst_of, who};
use crate::findings::{Context, Finding};
use crate::history::{History, Role, Signs};
use crate::infer::event::Event;
use crate::infer::fact::FactKind;

finding! {
    /// A RST passed that its receiver cannot have accepted, or did not.
    ///
    /// ## What it means
    ///
    /// A RST ends a connection only if its sequence number is exactly the next one that the
    /// receiver expects. If it is inside the window but not exact, it draws a challenge ACK and
    /// changes nothing; outside the window it is discarded. This keeps strangers, who do not know
    /// the numbers, from cutting connections. So the sender of this RST, or whoever forged it,
    /// wanted the connection gone, and the other end carried on.
    ///
    /// ## How it is inferred
    ///
    /// The sequence number was not the receiver's next, and the receiver sent something later; or
    /// it was, but later segments show that the receiver did not accept it, and that its supposed
    /// sender had not closed. It is not reported if the receiver's connection ended by a RST after
    /// all, or if its host no longer knew the socket: a forged RST may have been believed.
    ///
    /// ## When it is wrong
    ///
    /// If data was lost behind the observer, the receiver may have expected another number than it
    /// seems. Without the handshake, the size of the window is a guess.
    ///
    /// ## What to do
    ///
    /// Compare the TTL and IP identification of the RST with the other packets of its sender: if
    /// they differ, a firewall, an intrusion prevention system or an attacker forged it.
    ///
    /// ## References
    ///
    /// RFC 9293 section 3.10.7.4; RFC 5961 section 3.2
    pub IGNORED_RESET = {
        name: "ignored-reset",
        severity: Warning,
        since: "0.1.0",
        thresholds: {},
        scope: PerConnection(check),
        looks_for: [Signs::fact(FactKind::InexactRst)
            .or(Signs::fact(FactKind::IgnoredRst))
            .or(Signs::fact(FactKind::DisprovedRst))],
        raises: opened!(
            "0.1 < R  9000001:9000001(0)
             0.2 < P. 1:51(50) ack 1
             0.3 > .  1:1(0) ack 51"
        ),
        // Exact, and believed.
        near_miss: opened!(
            "0.1 < P. 1:51(50) ack 1
             0.2 < R. 51:51(0) ack 1"
        ),
    }
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    for role in Role::BOTH {
        let peer = role.peer();
        // Whoever sent it, it was believed in the end; or what came later may be its host alone.
        let ends = [Event::RecvRst, Event::SentRstWithoutSocket];
        if history.by_event(peer, &ends).is_some() {
            continue;
        }
        let noted = |kind| {
            let fact = history.fact(kind, role);
            fact.filter(|fact| history.side(peer).last.frame > fact.first.frame)
        };
        // Where the sender did close, its RST is on its way, or lost, and nobody ignored it.
        let closed = rst_of(history, role).is_some();
        let ignored = noted(FactKind::IgnoredRst).or(noted(FactKind::DisprovedRst));
        let ignored = ignored.filter(|_| !closed);
        let Some(fact) = ignored.or(noted(FactKind::InexactRst)) else { continue };
        let why = match ignored {
            Some(_) => "it was outside the window, or later segments disprove it",
            None => "its sequence number was not exactly the next one expected",
        };
        let message = words!(
            context,
            "{} carried on after a RST in the name of {}: {why}",
            who(history, peer),
            who(history, role),
        );
        let finding = context.about(history, role, fact.first, message).frame(fact.last);
        out.push(finding.with("resets", u64::from(fact.count)));
    }
}

#[cfg(test)]
mod tests {
    use crate::findings::rule::opened;
    use crate::findings::{Thresholds, check};
    use crate::testkit::connections;

    #[test]
    fn who_sent_nothing_since_or_was_closed_did_not_go_on() {
        let is_told = |rest: &str| {
            let history = &connections(&format!("{}{rest}", opened!("")))[0];
            let found = check(history, &Thresholds::default());
            found.iter().any(|it| it.name == "ignored-reset")
        };
        let outside = "0.1 < R 9000001:9000001(0)\n";
        assert!(!is_told(outside));
        assert!(!is_told(&format!("{outside}0.2 < P. 1:51(50) ack 1")));
        assert!(is_told(&format!("{outside}0.2 < P. 1:51(50) ack 1\n0.3 > . 1:1(0) ack 51")));
        // Another RST changes nothing about that.
        assert!(is_told(&format!(
            "{outside}0.2 < P. 1:51(50) ack 1\n0.3 > . 1:1(0) ack 51\n0.6 < R 9000001:9000001(0)"
        )));
        // Its host says that it has no such socket.
        assert!(!is_told(
            "0.1 > P. 1:101(100) ack 1\n0.2 < P. 1:11(10) ack 101\n3.9 > R. 150:150(0) ack 11\n\
             4.0 > P. 101:201(100) ack 11\n4.01 < R 11:11(0)"
        ));
        // The server sends on, and so the RST was none of its own; the client believed it.
        let forged = "0.10 < P. 1:51(50) ack 1
             0.11 > .  1:1(0) ack 51
             0.50 < R. 51:51(0) ack 1
             1.00 < F. 51:51(0) ack 1
             1.01 > R  1:1(0)";
        assert!(!is_told(forged));
    }
}
