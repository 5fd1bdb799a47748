//! FIN, then RST to the data that still came.

use crate::findings::closing::keepalive_race::raced;
use crate::findings::living::dead_peer::died_probing;
use crate::findings::rule::{finding, opened, words};
use crate::findings::waits::{FINS, RESETS, is_fin_unseen, number, rst_of, who};
use crate::findings::{Context, Finding};
use crate::history::{Handshake, History, Role};
use crate::infer::event::Event;
use crate::infer::state::State;
use crate::infer::trail::Transition;
use crate::time::Span;

finding! {
    /// An end closed both directions at once: it sent a FIN, and a RST to the data that still came.
    ///
    /// ## What it means
    ///
    /// After `close()` nobody is left to read. The FIN says only that no more will be sent, so the
    /// peer may go on sending; the first data that then arrives is answered with a RST and is lost.
    /// To the peer it looks like a broken connection, although the other program simply closed. If
    /// a server closed an idle connection and met the next request, it is keepalive-race.
    ///
    /// ## How it is inferred
    ///
    /// An end in FIN_WAIT_1 or FIN_WAIT_2 sent a RST within `orphan_s` of its FIN, and the peer
    /// had not closed before it, or had sent data after that FIN. What was acknowledged of that
    /// data may have been read: how much of it is lost does not show. What looks like the farewell
    /// of TLS (close_notify), and what is sent to a client that never asked for anything, nobody
    /// misses: a RST to that is orphan-reset.
    ///
    /// ## When it is wrong
    ///
    /// A farewell that crosses the FIN, or that comes with other last words, as HTTP/2's GOAWAY,
    /// does not look like one. Some stacks send a RST after their FIN to get rid of TIME_WAIT, and
    /// nothing is lost.
    ///
    /// ## What to do
    ///
    /// If answers get lost, let the program call `shutdown(SHUT_WR)`, read until the peer's FIN,
    /// and only then call `close()`.
    ///
    /// ## References
    ///
    /// RFC 9293 section 3.6.1; RFC 1122 section 4.2.2.13; RFC 9112 section 9.6; RFC 8446 section
    /// 6.1
    pub RESET_AFTER_FIN = {
        name: "reset-after-fin",
        severity: Warning,
        since: "0.1.0",
        thresholds: {
            orphan_s: 30.0 "seconds" "Time after the FIN after which the socket was gone.",
        },
        scope: PerConnection(check),
        looks_for: [FINS, RESETS],
        raises: opened!(
            "0.1 > P. 1:101(100) ack 1
             0.1 > F. 101:101(0) ack 1
             0.2 < .  1:1(0) ack 102
             0.5 < P. 1:51(50) ack 102
             0.6 > R  102:102(0)"
        ),
        // Both closed before the RST.
        near_miss: opened!(
            "0.1 > F. 1:1(0) ack 1
             0.2 < F. 1:1(0) ack 2
             0.3 > .  2:2(0) ack 2
             0.4 < R  2:2(0)"
        ),
    }
}

/// The RST of an end that was waiting for the peer's FIN, and how long after its own FIN.
pub(super) fn late_reset(history: &History, role: Role) -> Option<(&Transition, Span)> {
    let reset = rst_of(history, role)?;
    let fin = history.fin_of(role)?;
    let waiting = matches!(reset.from, State::FinWait1 | State::FinWait2);
    waiting.then(|| (reset, reset.at.ts.since(fin.at.ts)))
}

/// Whether that RST may answer the FIN of the peer, which had sent no data after the role's own.
pub(super) fn answers_fin(history: &History, role: Role, reset: &Transition) -> bool {
    let peer = role.peer();
    let fin_came = history.fin_of(peer).is_some_and(|fin| fin.at.frame < reset.at.frame);
    fin_came && history.side(peer).tally.after_peer_fin == 0
}

/// Why nobody misses what a RST after a FIN answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needless {
    /// The client had closed without ever asking for anything.
    Unasked,
    /// It looks like the farewell of TLS.
    Farewell,
}

/// Whether nobody misses what that RST of a role answered.
pub(super) fn needless(history: &History, role: Role, reset: &Transition) -> Option<Needless> {
    let [own, other] = [role, role.peer()].map(|end| &history.side(end).tally);
    let was_seen =
        history.handshake() != Handshake::NotCaptured && own.missing + other.missing == 0;
    // A server that speaks first, or a transfer that was broken off, had something to say before.
    let is_unasked = own.bytes == 0 && other.bytes == other.after_peer_fin;
    if role == Role::Client && was_seen && is_unasked {
        return Some(Needless::Unasked);
    }
    is_farewell(history, role, reset).then_some(Needless::Farewell)
}

/// Whether the data that came behind the FIN of a role looks like a close_notify of TLS, to go by
/// its size and place.
fn is_farewell(history: &History, role: Role, reset: &Transition) -> bool {
    /// Those of the ciphers in use (RFC 9325 section 4.2). TLS 1.3: a header of 5 bytes, the alert,
    /// its type, a tag of 16 (RFC 8446 section 5.2). TLS 1.2: no type, and with AES-GCM a nonce of
    /// 8 (RFC 5288 section 3), with ChaCha20-Poly1305 none (RFC 7905 section 2).
    const USUAL: [u64; 3] = [24, 31, 23];
    /// A handshake of TLS takes more of each end, of the server a certificate.
    const HANDSHAKE_MIN: [u64; 2] = [100, 1_000];
    /// Who says farewell does it on hearing of the FIN, and closes.
    const AT_ONCE: Span = Span::from_secs(1);
    let peer = role.peer();
    let bytes = history.side(peer).tally.after_peer_fin;
    let is_tls = Role::BOTH.into_iter().zip(HANDSHAKE_MIN).all(|(end, least)| {
        let sent = history.side(end).tally.bytes;
        sent >= least + if end == peer { bytes } else { 0 }
    });
    // The RST comes before its sender can close.
    let is_soon = history.fin_of(role).is_some_and(|fin| reset.at.ts.since(fin.at.ts) < AT_ONCE);
    is_tls && is_soon && USUAL.contains(&bytes)
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    for role in Role::BOTH {
        let Some((reset, waited)) = late_reset(history, role) else { continue };
        let peer = role.peer();
        let bytes = history.side(peer).tally.after_peer_fin;
        let is_race = role == Role::Server && raced(history).is_some();
        let is_other = answers_fin(history, role, reset) || is_race || died_probing(history, role);
        let is_late = waited >= context.span("orphan_s");
        let unseen = is_fin_unseen(history, role);
        // When a FIN that was not captured left, nobody knows; nor what else it was sent since.
        let answers = unseen && reset.event == Event::SentRstWithoutSocket;
        if is_late || is_other || answers || needless(history, role, reset).is_some() {
            continue;
        }
        let lost = match bytes {
            0 => words!(context, "whatever the peer still had to send is lost"),
            bytes => words!(
                context,
                "the peer sent {} after that, the last of which may be lost",
                number(bytes, "byte")
            ),
        };
        let after = match unseen {
            true => words!(context, "after a FIN that was not captured"),
            false => words!(context, "{waited} after its FIN"),
        };
        let message = words!(
            context,
            "{} closed its connection to {} and sent a RST {after}: {lost}",
            who(history, role),
            history.addr(peer),
        );
        let finding = context.about(history, role, reset.at, message);
        let finding = if unseen { finding } else { finding.lasting(waited) };
        out.push(finding.with("from", reset.from.name()).with("bytes", bytes));
    }
}

#[cfg(test)]
mod tests {
    use crate::findings::rule::opened;
    use crate::findings::{Thresholds, check};
    use crate::testkit::connections;

    fn told(rest: &str) -> Vec<(&'static str, String)> {
        let history = &connections(&format!("{}{rest}", opened!("")))[0];
        let found = check(history, &Thresholds::default());
        found.into_iter().map(|it| (it.name, it.message)).collect()
    }

    /// The FIN is known from its ACK: when it left is not.
    #[test]
    fn no_time_is_told_from_a_fin_that_was_not_captured() {
        let told = |rst: &str| {
            let before = "0.100 > P. 1:41(40) ack 1
                 0.101 < P. 1:41(40) ack 41
                 0.552 < .  41:41(0) ack 42\n";
            told(&format!("{before}0.553 > {rst}"))
        };
        assert_eq!(told("R 42:42(0)"), [], "it answers the ACK");
        let aborts = told("R. 42:42(0) ack 41");
        assert_eq!(aborts[0].0, "reset-after-fin");
        assert!(aborts[0].1.contains("RST after a FIN that was not captured"), "{}", aborts[0].1);
    }

    /// A FIN that came behind the RST is not what it answers.
    #[test]
    fn an_abort_before_the_peer_s_fin_is_no_answer_to_it() {
        let before = "0.100 > P. 1:101(100) ack 1
             0.110 < P. 1:101(100) ack 101
             0.111 > F. 101:101(0) ack 101
             0.121 < .  101:101(0) ack 102\n";
        let abort = format!("{before}0.500 > R. 102:102(0) ack 101\n0.504 < F. 101:101(0) ack 102");
        let names = |rest: &str| told(rest).iter().map(|it| it.0).collect::<Vec<_>>();
        assert_eq!(names(&abort), ["reset-after-fin"]);
        let answer = format!("{before}0.500 < F. 101:101(0) ack 102\n0.504 > R 102:102(0)");
        assert_eq!(names(&answer), ["orphan-reset"]);
    }

    /// It answers the data, which came first.
    #[test]
    fn data_before_the_peer_s_fin_is_what_a_rst_answers() {
        let told = told(
            "0.110 < P. 1:1001(1000) ack 1
             0.111 < F. 1001:1001(0) ack 1
             0.112 > .  1:1(0) ack 1002
             0.113 > P. 1:132(131) ack 1002
             0.114 > F. 132:132(0) ack 1002
             0.123 < R  1002:1002(0)",
        );
        assert_eq!(told[0].0, "reset-after-fin");
        assert_eq!(told.len(), 1);
    }

    /// Of what the peer sent, only the last is lost for certain.
    #[test]
    fn data_that_was_acknowledged_is_not_said_to_be_thrown_away() {
        let told = told(
            "0.109 > P. 1:2(1) ack 1
             0.110 > F. 2:2(0) ack 1
             0.120 < .  1:1(0) ack 3
             0.200 < P. 1:1001(1000) ack 3
             0.210 > .  3:3(0) ack 1001
             30.00 < P. 1001:2001(1000) ack 3
             30.01 > R  3:3(0)",
        );
        assert_eq!(told[0].0, "reset-after-fin");
        assert!(
            told[0].1.contains("sent 2,000 bytes after that, the last of which may be lost"),
            "{}",
            told[0].1
        );
    }

    /// The server has answered and closed; the client says what follows, and is reset.
    fn names_after(handshake: &str, rest: &str) -> Vec<&'static str> {
        told(&format!("{handshake}{rest}")).iter().map(|it| it.0).collect()
    }

    const CLOSED: &str = "0.100 > P. 1:518(517) ack 1
         0.110 < P. 1:1722(1721) ack 518
         0.120 < F. 1722:1722(0) ack 518
         0.121 > .  518:518(0) ack 1723\n";

    #[test]
    fn the_farewell_of_tls_is_missed_by_nobody() {
        let names = |size: u32, rest: &str| {
            let end = 518 + size;
            let data = format!("0.122 > P. 518:{end}({size}) ack 1723\n");
            names_after(CLOSED, &(data + &rest.replace("END", &end.to_string())))
        };
        let reset = "0.132 < R 1723:1723(0)";
        for size in [23, 24, 31] {
            assert_eq!(names(size, reset), ["orphan-reset"], "{size}");
        }
        for size in [6, 25, 32, 53, 200] {
            assert_eq!(names(size, reset), ["reset-after-fin"], "{size}");
        }
        let closed = format!("0.123 > F. END:END(0) ack 1723\n{reset}");
        assert_eq!(names(31, &closed), ["orphan-reset"]);
        assert_eq!(names(57, &closed), ["reset-after-fin"], "a short answer is lost like any");
    }

    /// Bytes that could be a farewell are none where nobody spoke TLS, or long after the FIN.
    #[test]
    fn a_short_request_is_no_farewell() {
        let asked = "0.100 > P. 1:24(23) ack 1
             0.110 < P. 1:1722(1721) ack 24
             0.120 < F. 1722:1722(0) ack 24
             0.121 > .  24:24(0) ack 1723
             0.122 > P. 24:47(23) ack 1723
             0.132 < R  1723:1723(0)";
        assert_eq!(names_after("", asked), ["reset-after-fin"]);
        // A server that sent no certificate did not speak TLS.
        let plain = "0.100 > P. 1:201(200) ack 1
             0.110 < P. 1:301(300) ack 201
             0.120 < F. 301:301(0) ack 201
             0.121 > .  201:201(0) ack 302
             0.122 > P. 201:225(24) ack 302
             0.132 < R  302:302(0)";
        assert_eq!(names_after("", plain), ["reset-after-fin"]);
        let late = "5.122 > P. 518:549(31) ack 1723\n5.132 < R 1723:1723(0)";
        assert_eq!(names_after(CLOSED, late), ["reset-after-fin"]);
    }

    /// A client that connects in advance and closes unused; the server has an error page for it.
    #[test]
    fn who_asked_for_nothing_misses_nothing() {
        let page = "0.5 > F. 1:1(0) ack 1
             0.510 < P. 1:208(207) ack 2
             0.520 > R  2:2(0)";
        let told = told(page);
        assert_eq!(told[0].0, "orphan-reset");
        assert!(told[0].1.contains("had asked for nothing"), "{}", told[0].1);
        // What it was sent before it closed, it had waited for.
        let broken_off = "0.1 < P. 1:1001(1000) ack 1\n0.2 > . 1:1(0) ack 1001\n\
                                  0.5 > F. 1:1(0) ack 1001\n0.510 < P. 1001:2001(1000) ack 2\n\
                                  0.520 > R  2:2(0)";
        assert_eq!(names_after("", broken_off), ["reset-after-fin"]);
        // A server that closes without a word loses the client's request.
        let request = "0.5 < F. 1:1(0) ack 1
             0.510 > P. 1:208(207) ack 2
             0.520 < R  2:2(0)";
        assert_eq!(names_after("", request), ["reset-after-fin"]);
    }
}
