//! Data that does not get through to a peer that lives.

use crate::findings::living::dead_peer::unanswered;
use crate::findings::living::silent_drop::{SILENT_DROP, lost};
use crate::findings::rule::{finding, opened, words};
use crate::findings::waits::{icmp_said, lasting, number, who};
use crate::findings::{Context, Finding};
use crate::history::{History, Role, Signs};
use crate::infer::fact::FactKind;
use crate::infer::trail::Moment;

finding! {
    /// One end repeats data in vain, and the peer goes on sending without acknowledging it.
    ///
    /// ## What it means
    ///
    /// The peer is alive and its segments pass, but this data does not reach it, whatever the
    /// sender does. Usually it is a full-size segment that does not fit into a tunnel on the path,
    /// while the ICMP message that would say so is filtered: small segments get through and large
    /// ones never do (a path MTU discovery black hole). Or a device drops data that it does not
    /// like. To both programs, the connection hangs.
    ///
    /// ## How it is inferred
    ///
    /// One end repeated data at least `repeats_min` times, for at least `wait_s`, and it was not
    /// acknowledged until the record ended or the sender gave up; and a second or more after it
    /// was first sent the peer sent a segment of its own: data, a keepalive, an ACK or its FIN. A
    /// peer of which nothing passed any more is dead-peer. Two ends that repeat data or FINs to
    /// each other in vain are silent-drop, and so is data behind a long silence to which no more
    /// came than a FIN. The path's MTU is named where a segment of more than 536 bytes was
    /// repeated: every path takes so much.
    ///
    /// ## When it is wrong
    ///
    /// The peer may receive the data and drop it itself: because of a wrong checksum, an old
    /// timestamp, or a lack of memory. A capture that ends in the middle of a short outage shows
    /// only its beginning.
    ///
    /// ## What to do
    ///
    /// Compare the sizes of the lost segments with those that pass, and look at the MTU on the path
    /// (`tracepath`, or `ping -M do -s SIZE`). Let ICMP "fragmentation needed" and "packet too big"
    /// pass, clamp the MSS to the path, or set `net.ipv4.tcp_mtu_probing`. If small segments are
    /// lost, too, capture at the peer.
    ///
    /// ## References
    ///
    /// RFC 2923 section 2.1; RFC 4821; RFC 9293 sections 3.7.5 and 3.8.3
    pub UNACKNOWLEDGED_DATA = {
        name: "unacknowledged-data",
        severity: Warning,
        since: "0.1.0",
        thresholds: {
            repeats_min: 3.0 "repeats" "Repeats in a row without an acknowledgement.",
            wait_s: 2.0 "seconds" "Time without an acknowledgement.",
        },
        scope: PerConnection(check),
        looks_for: [Signs::UNANSWERED],
        // Segments of full size are lost; the server's reports, and what acknowledges them, pass.
        raises: opened!(
            "0.1  > P. 1:101(100) ack 1
             0.2  < P. 1:101(100) ack 101
             0.21 > .  101:101(0) ack 101
             10.0 > P. 101:1549(1448) ack 101
             10.3 > P. 101:1549(1448) ack 101
             10.9 > P. 101:1549(1448) ack 101
             12.1 > P. 101:1549(1448) ack 101
             14.0 < P. 101:121(20) ack 101
             14.0 > .  1549:1549(0) ack 121
             14.5 > P. 101:1549(1448) ack 121
             19.0 < P. 121:141(20) ack 101
             19.0 > .  1549:1549(0) ack 141
             19.3 > P. 101:1549(1448) ack 141
             30.0 end"
        ),
        // It is acknowledged in the end.
        near_miss: opened!(
            "10.0 > P. 1:1449(1448) ack 1
             10.3 > P. 1:1449(1448) ack 1
             10.9 > P. 1:1449(1448) ack 1
             12.1 > P. 1:1449(1448) ack 1
             14.0 < P. 1:21(20) ack 1
             14.0 > .  1449:1449(0) ack 21
             14.5 > P. 1:1449(1448) ack 21
             14.6 < .  21:21(0) ack 1449
             30.0 end"
        ),
    }
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    let path = context.of(&SILENT_DROP);
    for role in Role::BOTH {
        let run = unanswered(history, role, context.count("repeats_min").max(1));
        let Some((run, spoke)) = run.and_then(|run| run.spoke.map(|spoke| (run, spoke))) else {
            continue;
        };
        if run.length < context.span("wait_s") || lost(history, role, &path).is_some() {
            continue;
        }
        let large = history.fact(FactKind::LargeRepeated, role);
        let look = match large.is_some_and(|large| large.last.ts >= run.began) {
            true => "check whether only large segments are lost (the MTU on the path)",
            false => {
                "it is too small for the MTU to be the reason; look for what drops it, on the path \
                 or in the peer's kernel"
            }
        };
        let message = words!(
            context,
            "{} repeated data {} in {} and {} did not acknowledge it, but was still heard {} after \
             it was first sent: it is alive, but that data does not get through; {look}{}",
            who(history, role),
            number(run.repeats, "time"),
            lasting(run.length, run.is_ongoing),
            who(history, role.peer()),
            spoke.ts.since(run.began),
            icmp_said(history, role),
        );
        let at = Moment::silent(run.began);
        let finding =
            context.about(history, role, at, message).lasting(run.length).going_on(run.is_ongoing);
        out.push(finding.frame(history.last).frame(spoke).with("repeats", run.repeats));
    }
}

#[cfg(test)]
mod tests {
    use crate::findings::rule::opened;
    use crate::findings::{Thresholds, check};
    use crate::testkit::connections;

    /// Whatever the peer sends shows that its host is there, unless it was on its way already.
    #[test]
    fn a_peer_that_speaks_is_not_dead() {
        let repeats = |spoke: &str| {
            let rest = format!(
                "0.1 > P. 1:101(100) ack 1\n0.2 < P. 1:101(100) ack 101\n0.21 > . 101:101(0) ack \
                 101\n10 > P. 101:201(100) ack 101\n10.3 > P. 101:201(100) ack 101\n10.9 > P. \
                 101:201(100) ack 101\n{spoke}\n20 > P. 101:201(100) ack 101\n22 > P. \
                 101:201(100) ack 101\n30 end"
            );
            let history = &connections(&format!("{}{rest}", opened!("")))[0];
            let found = check(history, &Thresholds::default());
            let such = |name: &&str| ["dead-peer", "unacknowledged-data"].contains(name);
            found.iter().map(|it| it.name).filter(such).collect::<Vec<_>>()
        };
        assert_eq!(repeats(""), ["dead-peer"]);
        // Anybody can send such.
        assert_eq!(repeats("15 < R 9000001:9000001(0)"), ["dead-peer"]);
        assert_eq!(repeats("10.95 < . 101:101(0) ack 101"), ["dead-peer"]);
        assert_eq!(repeats("15 < . 100:100(0) ack 101"), ["unacknowledged-data"]);
        assert_eq!(repeats("15 < F. 101:101(0) ack 101"), ["unacknowledged-data"]);
        assert_eq!(repeats("15 < P. 101:121(20) ack 101"), ["unacknowledged-data"]);
    }

    #[test]
    fn the_mtu_is_named_where_a_large_segment_is_lost() {
        let told = |size: u32| {
            let data = format!("P. 1:{}({size}) ack 1", 1 + size);
            let rest = format!(
                "10 > {data}\n10.3 > {data}\n10.9 > {data}\n12.1 > {data}\n14 < P. 1:21(20) ack \
                 1\n14.1 > . {0}:{0}(0) ack 21\n14.5 > {data}\n30 end",
                1 + size
            );
            let history = &connections(&format!("{}{rest}", opened!("")))[0];
            let found = check(history, &Thresholds::default());
            let it = found.iter().find(|it| it.name == "unacknowledged-data").expect("it is told");
            it.message.contains("the MTU on the path")
        };
        assert!(!told(100) && !told(536));
        assert!(told(537) && told(1448));
    }

    /// An old segment among keepalives answers none of them, and is of a host that is there.
    #[test]
    fn keepalives_are_no_data() {
        let told = |spoke: &str| -> Vec<&str> {
            let probes = "0.1 > P. 1:101(100) ack 1\n0.2 < . 1:1(0) ack 101\n\
                          10 > . 100:100(0) ack 1\n12 > . 100:100(0) ack 1";
            let rest = format!("{probes}\n{spoke}\n14 > . 100:100(0) ack 1\n20 end");
            let history = &connections(&format!("{}{rest}", opened!("")))[0];
            check(history, &Thresholds::default()).iter().map(|it| it.name).collect()
        };
        assert_eq!(told(""), ["dead-peer", "keepalive"]);
        assert_eq!(told("13 < . 1:1(0) ack 51"), ["keepalive"]);
    }
}
