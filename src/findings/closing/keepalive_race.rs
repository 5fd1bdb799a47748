//! A request that met a server which had just closed the idle connection.

use crate::findings::closing::reset_after_fin::late_reset;
use crate::findings::rule::{finding, opened, words};
use crate::findings::timeouts::{Ends, consistent};
use crate::findings::waits::{FINS, RESETS, idle_before_close, said_farewell, who};
use crate::findings::{Context, Finding};
use crate::history::{History, Role};
use crate::infer::fact::FactKind;
use crate::time::Span;

finding! {
    /// A client's request met a server that had closed the idle connection, and was reset.
    ///
    /// ## What it means
    ///
    /// Connections are kept open for the next request, and the server closes those that are idle
    /// for too long. If the client sends its next request at that moment, the request crosses the
    /// server's FIN, and the server, whose socket is closed, answers with a RST. A pool that does
    /// not check a connection before using it runs into the same RST long after the FIN came. The
    /// request is lost, although nobody did anything illegal: behind a proxy it shows as an
    /// occasional 502.
    ///
    /// ## How it is inferred
    ///
    /// The server closed first, on a connection that it had answered on before and that was idle
    /// for a second or more before the FIN, or before the few bytes of farewell in front of it (TLS
    /// close_notify; see idle-timeout). Then new data of the client came, and a RST of the
    /// server. Either the data does not acknowledge the FIN, nor the FIN the data (they crossed),
    /// or the client used a connection that was closed. 31 bytes or fewer behind a farewell of the
    /// server are a farewell as well, and no request. Without an idle time, as where a server
    /// refuses an upload that still comes, it is reset-after-fin.
    ///
    /// ## When it is wrong
    ///
    /// The client's last bytes may be a longer farewell (TLS close_notify), which nobody misses.
    /// Why the server closed does not show: a program that restarts closes all connections at once,
    /// after whatever silence, and then the time that the message names is nobody's setting. The
    /// same silence at several moments is one: see idle-timeout.
    ///
    /// ## What to do
    ///
    /// Let the pool test connections before it reuses them, and let the client repeat requests
    /// that are safe to repeat. If the server has an idle timeout, let the client's be shorter, by
    /// more than a round trip.
    ///
    /// ## References
    ///
    /// RFC 9112 sections 9.3.1 and 9.6; RFC 9110 section 9.2.2; RFC 9293 section 3.6.1
    pub KEEPALIVE_RACE = {
        name: "keepalive-race",
        severity: Warning,
        since: "0.1.0",
        thresholds: {},
        scope: PerConnection(check),
        looks_for: [FINS, RESETS],
        raises: opened!(
            "0.020 > P. 1:101(100) ack 1
             0.030 < P. 1:901(900) ack 101
             0.040 > .  101:101(0) ack 901
             5.030 < F. 901:901(0) ack 101
             5.035 > P. 101:201(100) ack 901
             5.045 < R  901:901(0)"
        ),
        // The server had the request, and answers it.
        near_miss: opened!(
            "0.020 > P. 1:101(100) ack 1
             0.030 < P. 1:901(900) ack 101
             0.040 > .  101:101(0) ack 901
             5.020 > P. 101:201(100) ack 901
             5.030 < P. 901:1801(900) ack 201
             5.031 < F. 1801:1801(0) ack 201
             5.040 > F. 201:201(0) ack 1802
             5.050 < .  1802:1802(0) ack 202"
        ),
    }
}

/// Whether a server's FIN and a client's next request missed each other: after how much silence
/// the server closed, and whether the two crossed.
pub(super) fn raced(history: &History) -> Option<(Span, bool)> {
    /// The shortest silence before a FIN that looks like an idle timeout.
    const IDLE_MIN: Span = Span::from_secs(1);
    /// By so few bytes a client answers an alert of TLS with its own; no request over TLS is as
    /// short.
    const ALERT_MAX: u64 = 31;
    let fin = history.fin_of(Role::Server)?;
    late_reset(history, Role::Server)?;
    let crossed = history
        .fact(FactKind::DataCrossedFin, Role::Client)
        .is_some_and(|fact| fact.last.frame >= fin.at.frame);
    let used = history.side(Role::Client).tally.after_peer_fin > 0;
    let farewell = !crossed
        && history.side(Role::Client).tally.after_peer_fin <= ALERT_MAX
        && said_farewell(history, Role::Server);
    let answered = history.side(Role::Server).tally.bytes > 0;
    let idle = idle_before_close(history, Role::Server).unwrap_or_default();
    let is_race = answered && (crossed || used) && !farewell && idle >= IDLE_MIN;
    is_race.then_some((idle, crossed))
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    let Some((idle, crossed)) = raced(history) else { return };
    let Some((reset, waited)) = late_reset(history, Role::Server) else { return };
    let how = match crossed {
        true => "crossed the FIN",
        false => "came after the FIN",
    };
    let remedy = match crossed {
        true => "let the client repeat it",
        false => "let the client test a connection before it uses it",
    };
    let message = words!(
        context,
        "{} closed its connection to {} after {idle} idle{}; a request {how}, was answered with a \
         RST and is lost: {remedy}; if this is the server's idle timeout, make the client's the \
         shorter one",
        who(history, Role::Server),
        who(history, Role::Client),
        consistent(idle, Ends::Idle),
    );
    let finding = context.about(history, Role::Server, reset.at, message).lasting(waited);
    let finding = match history.fin_of(Role::Server) {
        Some(fin) => finding.frame(fin.at),
        None => finding,
    };
    out.push(finding.with("idle_s", idle).with("crossed", if crossed { "yes" } else { "no" }));
}

#[cfg(test)]
mod tests {
    use crate::findings::rule::opened;
    use crate::findings::{Thresholds, check};
    use crate::testkit::connections;

    fn names(rest: &str) -> Vec<&'static str> {
        let history = &connections(&format!("{}{rest}", opened!("")))[0];
        check(history, &Thresholds::default()).iter().map(|it| it.name).collect()
    }

    /// The server answers 413 and closes while the body still comes.
    #[test]
    fn an_upload_that_is_refused_early_is_no_race() {
        let upload = "0.020  > P. 1:1449(1448) ack 1
             0.020  > .  1449:2897(1448) ack 1
             0.030  < P. 1:301(300) ack 2897
             0.030  < F. 301:301(0) ack 2897
             0.0301 > .  2897:4345(1448) ack 1
             0.0302 > .  4345:5793(1448) ack 1
             0.0401 < R  301:301(0)";
        assert_eq!(names(upload), ["reset-after-fin"]);
    }

    #[test]
    fn a_request_that_passed_before_the_fin_crossed_it_as_well() {
        let request = "0.020 > P. 1:101(100) ack 1
             0.030 < P. 1:901(900) ack 101
             0.040 > .  101:101(0) ack 901
             5.029 > P. 101:201(100) ack 901
             5.030 < F. 901:901(0) ack 101
             5.045 < R  901:901(0)";
        assert_eq!(names(request), ["keepalive-race"]);
    }

    /// Over TLS a close begins with an alert.
    #[test]
    fn a_farewell_before_the_fin_ends_the_idle_time() {
        let answered = "0.020 > P. 1:101(100) ack 1
             0.030 < P. 1:901(900) ack 101
             0.040 > .  101:101(0) ack 901\n";
        let after = "3.0300 < P. 901:932(31) ack 101
             3.0301 < F. 932:932(0) ack 101
             3.0400 > .  101:101(0) ack 933
             4.0400 > P. 101:157(56) ack 933
             4.0410 < R  933:933(0)";
        assert_eq!(names(&format!("{answered}{after}")), ["keepalive-race"]);
        let alert = after.replace("157(56)", "132(31)");
        assert_eq!(names(&format!("{answered}{alert}")), ["reset-after-fin"]);
        // Seen at the client, whose request had passed before.
        let crossed = "3.0290 > P. 101:157(56) ack 901
             3.0300 < P. 901:932(31) ack 101
             3.0301 < F. 932:932(0) ack 101
             3.0400 < R  933:933(0)";
        assert_eq!(names(&format!("{answered}{crossed}")), ["keepalive-race"]);
        // What it was asked, it answers with the same few bytes.
        let answers = "2.0300 > P. 101:157(56) ack 901
             2.0310 < .  901:901(0) ack 157
             3.0300 < P. 901:932(31) ack 157
             3.0301 < F. 932:932(0) ack 157
             3.0400 > P. 157:213(56) ack 933
             3.0410 < R  933:933(0)";
        assert_eq!(names(&format!("{answered}{answers}")), ["reset-after-fin"]);
    }

    /// It may never have meant to answer.
    #[test]
    fn a_server_that_has_not_answered_before_did_not_keep_the_connection() {
        let request = "0.020 > P. 1:101(100) ack 1
             0.040 < .  1:1(0) ack 101
             5.030 < F. 1:1(0) ack 101
             5.035 > P. 101:201(100) ack 1
             5.045 < R  1:1(0)";
        assert_eq!(names(request), ["reset-after-fin"]);
    }
}
