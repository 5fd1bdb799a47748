//! One end has lost its memory: the other still believes in the connection.

use crate::findings::living::silent_drop::{SILENT_DROP, disowned};
use crate::findings::opening::accept_queue_overflow::refusal;
use crate::findings::rule::{finding, opened, words};
use crate::findings::waits::{had_socket, has_spoken, is_fin_unseen, or_closed, who};
use crate::findings::{Context, Finding};
use crate::history::{Handshake, History, Role, Signs};
use crate::infer::event::Event;
use crate::infer::fact::FactKind;
use crate::infer::state::State;
use crate::infer::trail::{Moment, Transition};

finding! {
    /// One end had forgotten an open connection: its host restarted, or its socket is gone.
    ///
    /// ## What it means
    ///
    /// RFC 9293 calls this a half-open connection. The host crashed and came back, or the process
    /// and its sockets moved away, and nothing told the peer, which is still ESTABLISHED. Whatever
    /// it sends is answered with a RST. Or the restarted end opens a new connection from the same
    /// port: its SYN is answered with a challenge ACK, it resets that, and its next SYN succeeds.
    ///
    /// ## How it is inferred
    ///
    /// An end that was ESTABLISHED and had sent neither FIN nor RST answered a segment with the RST
    /// of a host that has no such socket. After a long silence it is silent-drop instead, as a
    /// device on the path may have sent that RST. A RST that may answer the handshake's own ACK is
    /// accept-queue-overflow. It is not reported for an end that had sent something within a second
    /// before its RST, not all of it acknowledged, or that faced a closed window: its program may
    /// have closed, with the FIN waiting behind unsent data. Nor is it reported for an end that may
    /// have believed an earlier RST.
    ///
    /// ## When it is wrong
    ///
    /// An earlier RST that ended the connection may have been lost before it reached the observer.
    /// A server that had sent nothing but its SYN+ACK may never have had the connection: its accept
    /// queue was full, and with SYN cookies it kept nothing. The message says so. A firewall or NAT
    /// may send such RSTs in a host's name; the message says so if the RST's TTL is another than
    /// that of the host's first segment, as that of a device one hop nearer is. A host that
    /// sets another TTL on the socket than its kernel uses looks the same.
    ///
    /// ## What to do
    ///
    /// Look at the host for a restart, a crash or a failover at that time (`uptime`, the logs). Let
    /// programs that only wait set keepalives, otherwise they wait for ever.
    ///
    /// ## References
    ///
    /// RFC 9293 sections 3.5.1 and 3.5.2
    pub PEER_REBOOTED = {
        name: "peer-rebooted",
        severity: Error,
        since: "0.1.0",
        thresholds: {},
        scope: PerConnection(check),
        looks_for: [
            Signs::event(Event::SentRstWithoutSocket).or(Signs::fact(FactKind::ChallengedSyn)),
        ],
        raises: opened!(
            "0.1 > P. 1:101(100) ack 1
             0.2 < P. 1:101(100) ack 101
             0.3 > .  101:101(0) ack 101
             5.0 > P. 101:201(100) ack 101
             5.1 < R  101:101(0)"
        ),
        // It closed, and said so.
        near_miss: opened!(
            "0.1 > P. 1:101(100) ack 1
             0.2 < P. 1:101(100) ack 101
             0.3 > .  101:101(0) ack 101
             4.0 < R. 101:101(0) ack 101
             5.0 > P. 101:201(100) ack 101
             5.1 < R  101:101(0)"
        ),
    }
}

/// The RST by which a role disowned its open connection, and whether it did so to open another one,
/// as its peer challenged its SYN.
fn disowning(history: &History, role: Role) -> Option<(Moment, bool)> {
    let was_open = |it: &&Transition| it.from == State::Established;
    let peer = role.peer();
    if let Some(challenged) = history.fact(FactKind::ChallengedSyn, peer)
        && history.by_event(role, &[Event::Superseded]).filter(was_open).is_some()
    {
        let killed = history.by_event(peer, &[Event::RecvRst])?;
        return (killed.at.ts >= challenged.first.ts).then_some((killed.at, true));
    }
    let reset = history.by_event(role, &[Event::SentRstWithoutSocket]).filter(was_open)?;
    let challenged = history.fact(FactKind::ChallengedSyn, peer).is_some();
    let is_other = !challenged && has_other_reason(history, role, reset.at);
    (!is_other).then_some((reset.at, challenged))
}

/// Whether a host that runs on may have sent the RST: its program had closed, and data, with its
/// FIN behind, was not all sent; or a RST of the peer had ended the socket.
fn has_other_reason(history: &History, role: Role, reset: Moment) -> bool {
    let of_peer = [FactKind::InexactRst, FactKind::DisprovedRst];
    let was_reset = of_peer
        .into_iter()
        .any(|kind| history.fact(kind, role.peer()).is_some_and(|fact| fact.first.ts <= reset.ts));
    was_reset || history.fact(FactKind::ResetWhileBusy, role).is_some()
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    for role in Role::BOTH {
        let Some((reset, challenged)) = disowning(history, role) else { continue };
        let peer = role.peer();
        let opened = !matches!(history.handshake(), Handshake::HalfOpen | Handshake::FastOpen);
        let is_path = disowned(history, peer, &context.of(&SILENT_DROP)).is_some();
        let is_refusal = refusal(history).is_some_and(|it| it.at == reset);
        // Whoever acknowledged a FIN of the other one was on its way to close, too.
        let has_closed = history.fin_of(role).is_some() || is_fin_unseen(history, peer);
        if !had_socket(history, role) || !opened || is_path || is_refusal || has_closed {
            continue;
        }
        let how = match challenged {
            true => "asked for a new connection from the same port",
            false => "answered with the RST of a host that knows no such connection",
        };
        let is_strange = history.fact(FactKind::StrangeTtl, role).is_some();
        let unshown = match role == Role::Server && !has_spoken(history, role) {
            true => ", or it never had the connection, as it had sent nothing but its SYN+ACK",
            false => "",
        };
        let closed = or_closed(history, role);
        let message = match is_strange && !challenged {
            true => words!(
                context,
                "{} got, in the name of {}, the RST of a host that knows no such connection, but \
                 its TTL differs from that of the first segment: a device on the path sent it, \
                 such as a NAT or firewall that forgot the connection, or the host \
                 restarted{unshown}{closed}",
                who(history, peer),
                who(history, role),
            ),
            false => words!(
                context,
                "{} had forgotten its open connection to {} and {how}: its host restarted, or its \
                 socket went away silently{unshown}{closed}",
                who(history, role),
                who(history, peer),
            ),
        };
        let finding = context.about(history, role, reset, message);
        let yes_no = |is_so: bool| if is_so { "yes" } else { "no" };
        out.push(finding.with("new_syn", yes_no(challenged)).with("other_ttl", yes_no(is_strange)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::{Severity, Thresholds, check};
    use crate::testkit::connections;

    fn found(rest: &str) -> Option<Finding> {
        let history = &connections(&format!("{}{rest}", opened!("")))[0];
        let found = check(history, &Thresholds::default());
        found.into_iter().find(|it| it.name == PEER_REBOOTED.name)
    }

    /// The message about what follows a handshake, if there is one.
    fn told(rest: &str) -> Option<String> {
        found(rest).map(|it| it.message)
    }

    #[test]
    fn who_may_have_closed_among_what_is_missing_is_accused_with_doubt() {
        let after = |ack: u32| {
            found(&format!(
                "0.1 > P. 1:101(100) ack 1
                 0.2 < P. 1:101(100) ack 101
                 0.3 > .  101:101(0) ack {ack}
                 5.0 > P. 101:201(100) ack {ack}
                 5.1 < R  {ack}:{ack}(0)"
            ))
        };
        let whole = after(101).expect("it is told");
        assert_eq!(whole.severity, Severity::Error);
        let gap = after(131).expect("it is told");
        assert!(gap.message.contains("perhaps its FIN"), "{}", gap.message);
        assert_eq!(gap.severity, Severity::Error);
    }

    /// The server's FIN is known from its ACK: then the client closed too, unseen.
    #[test]
    fn who_acknowledged_a_fin_has_not_forgotten_an_open_connection() {
        let new_syn = |ack: u32| {
            told(&format!(
                "0.1   > P. 1:41(40) ack 1
                 0.2   < P. 1:41(40) ack 41
                 0.21  > .  41:41(0) ack 41
                 0.3   > .  41:41(0) ack {ack}
                 0.7   > S  90000:90000(0)
                 0.701 < .  {ack}:{ack}(0) ack 41
                 0.702 > R  41:41(0)
                 1.7   > S  90000:90000(0)
                 1.701 < S. 70000:70000(0) ack 90001
                 1.702 > .  90001:90001(0) ack 70001"
            ))
        };
        assert!(new_syn(41).is_some());
        assert_eq!(new_syn(42), None);
    }

    #[test]
    fn a_rst_from_nearer_than_its_sender_is_laid_to_a_device_on_the_path() {
        let told = |ttl: u8| {
            let text = format!(
                "0.000 > S  0:0(0)\n0.010 < S. 0:0(0) ack 1 ttl 63\n0.011 > . 1:1(0) ack 1\n\
                 0.1 < P. 1:11(10) ack 1\n4.0 > P. 1:101(100) ack 11\n4.01 < R 11:11(0) ttl {ttl}"
            );
            let found = check(&connections(&text)[0], &Thresholds::default());
            let told = found.into_iter().find(|it| it.name == PEER_REBOOTED.name);
            told.expect("it is told").message
        };
        assert!(told(64).starts_with("client ") && told(64).contains("a device on the path"));
        assert!(told(63).starts_with("server ") && !told(63).contains("device"));
    }

    #[test]
    fn a_rst_to_the_handshake_s_ack_is_no_reboot() {
        assert_eq!(told("0.018 < R 1:1(0)"), None);
        assert_eq!(told("0.012 > P. 1:101(100) ack 1\n0.018 < R 1:1(0)"), None);
    }

    #[test]
    fn who_has_just_spoken_or_has_no_room_has_closed_and_not_restarted() {
        let after = |spoke: &str, acked: u32| {
            told(&format!(
                "0.1 > P. 1:101(100) ack 1\n{spoke} < P. 1:11(10) ack 101\n{spoke} < P. \
                 11:21(10) ack 101\n4.0 > P. 101:201(100) ack {acked}\n4.01 < R {acked}:{acked}(0)"
            ))
        };
        // All of it had come.
        assert!(after("3.0", 11).is_some() && after("3.02", 21).is_some());
        assert_eq!(after("3.02", 11), None);
        let closed = "0.1 > P. 1:101(100) ack 1\n0.2 < P. 1:11(10) ack 101\n\
                      0.3 > . 101:101(0) ack 11 win 0\n4.0 > P. 101:201(100) ack 11 win 0\n\
                      4.01 < R 11:11(0)";
        assert_eq!(told(closed), None);
        assert!(told(&closed.replace(" win 0", "")).is_some());
    }

    #[test]
    fn who_was_sent_a_rst_before_has_forgotten_nothing() {
        let rest = "0.1 > P. 1:101(100) ack 1\n0.2 < P. 1:11(10) ack 101\n3.9 > R. 150:150(0) \
                    ack 11\n4.0 > P. 101:201(100) ack 11\n4.01 < R 11:11(0)";
        assert_eq!(told(rest), None);
        let without = rest.replace("3.9 > R. 150:150(0) ack 11\n", "");
        assert!(told(&without).is_some());
    }

    #[test]
    fn who_sent_no_more_than_its_syn_ack_may_never_have_had_the_connection() {
        let silent = told("4.0 > P. 1:101(100) ack 1\n4.01 < R 1:1(0)").expect("it is told");
        assert!(silent.contains("it never had the connection"), "{silent}");
        let spoke = told("0.1 < P. 1:11(10) ack 1\n4.0 > P. 1:101(100) ack 11\n4.01 < R 11:11(0)");
        assert!(!spoke.expect("it is told").contains("it never had the connection"));
    }
}
