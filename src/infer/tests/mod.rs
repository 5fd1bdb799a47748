//! The hard cases, each a named trace.

mod closing;
mod doubt;
mod gaps;
mod lives;
mod opening;
mod reset;

use std::collections::BTreeSet;
use std::path::Path;

use crate::history::{Handshake, History, Role};
use crate::infer::event::Event;
use crate::infer::fact::FactKind;
use crate::infer::state::State;
use crate::infer::table::ROWS;
use crate::testkit::{check, connections, history, recorded};

const OPEN: &str = "
    0.000 > S  0:0(0) <mss 1460,wscale 7,sackOK,ts 1:0>       ; SYN_SENT    UNKNOWN
    0.010 < S. 0:0(0) ack 1 <mss 1460,wscale 7,sackOK,ts 1:1> ; ESTABLISHED SYN_RCVD
    0.011 > .  1:1(0) ack 1                            ; ESTABLISHED ESTABLISHED
";

fn opened(rest: &str) -> String {
    format!("{OPEN}{rest}")
}

#[test]
fn a_windump_close_without_syn() {
    let history = history(
        "0.000000 > F 0:0(0) ack 1
         0.044133 < F 0:0(0) ack 1
         0.044546 > . 1:1(0) ack 1        ; TIME_WAIT CLOSED",
    );
    assert_eq!(history.handshake(), Handshake::NotCaptured);
}

#[test]
fn a_wrap_inside_the_close() {
    history(&opened(
        "0.1 > P. 1:49(48) ack 1
         0.2 < . 1:1(0) ack 49
         0.3 > F. 49:49(0) ack 1          ; FIN_WAIT_1 CLOSE_WAIT
         0.4 < . 1:1(0) ack 50            ; FIN_WAIT_2 CLOSE_WAIT",
    ));
}

/// Connections that follow the rules which no recording of a kernel happens to follow.
const RARE: &[&str] = &[
    // A SYN+ACK to a SYN that was not captured.
    "0.0 > S 0:0(0)
     0.1 > S. 0:0(0) ack 1              ; SYN_RCVD -",
    // FINs that were not captured.
    "0.0 > S 0:0(0)
     0.1 < S. 0:0(0) ack 1
     0.2 > . 1:1(0) ack 2               ; CLOSE_WAIT FIN_WAIT_2",
    "0.0 > S 0:0(0)
     0.1 < S. 0:0(0) ack 1
     0.2 > . 1:1(0) ack 1
     0.3 < . 1:1(0) ack 2               ; FIN_WAIT_2 CLOSE_WAIT
     0.4 > . 2:2(0) ack 2               ; TIME_WAIT CLOSED",
    // Aborts in every state.
    "0.0 > S 0:0(0)
     0.1 < S. 0:0(0) ack 1
     0.2 < R. 1:1(0) ack 1              ; CLOSED CLOSED",
    "0.0 > F. 1:1(0) ack 1
     0.1 > R. 2:2(0) ack 1              ; CLOSED CLOSED",
    "0.0 > F. 1:1(0) ack 1
     0.1 < . 1:1(0) ack 2
     0.2 > R. 2:2(0) ack 1              ; CLOSED CLOSED",
    "0.0 > F. 1:1(0) ack 1
     0.1 < F. 1:1(0) ack 1              ; CLOSING CLOSING
     0.2 > R. 2:2(0) ack 2              ; CLOSED CLOSED",
    "0.0 > F. 1:1(0) ack 1
     0.1 < F. 1:1(0) ack 2              ; TIME_WAIT LAST_ACK
     0.2 > R. 2:2(0) ack 2              ; CLOSED CLOSED",
    "0.0 > F. 1:1(0) ack 1
     0.1 < F. 1:1(0) ack 2
     0.2 < R. 2:2(0) ack 2              ; CLOSED CLOSED",
    "0.0 > R. 1:1(0) ack 1              ; CLOSED CLOSED",
    // Resets that meet a FIN on its way.
    "0.0 > F. 1:1(0) ack 1
     0.1 < R 1:1(0)                     ; CLOSED CLOSED",
    "0.0 > F. 1:1(0) ack 1
     0.1 < F. 1:1(0) ack 1
     0.2 < R. 2:2(0) ack 1              ; CLOSED CLOSED",
    // Sockets that were gone.
    "0.000 > R 0:0(0) win 0
     0.079 > . 0:0(0) ack 4 win 0
     0.211 > . 0:0(0) ack 4 win 0
     0.211 < R 4:4(0) win 0
     0.211 > . 0:0(0) ack 4 win 0       ; CLOSED CLOSED",
    "0.0 > S 0:0(0)
     0.1 < S. 0:0(0) ack 1
     0.2 > . 1:1(0) ack 1
     1.1 < S. 0:0(0) ack 1
     1.2 > . 1:1(0) ack 1
     3.1 < S. 0:0(0) ack 1
     3.2 > . 1:1(0) ack 1               ; ESTABLISHED SYN_RCVD
     3.3 < R 1:1(0)                     ; CLOSED CLOSED",
    "0.0 > F. 1:1(0) ack 1
     0.1 < P. 1:51(50) ack 1
     0.2 > R 1:1(0)                     ; CLOSED CLOSED",
    "0.0 > F. 1:1(0) ack 1
     0.1 < F. 1:1(0) ack 1
     0.2 > . 2:2(0) ack 2               ; CLOSING TIME_WAIT
     0.3 > R 1:1(0)                     ; CLOSED CLOSED",
    "0.0 > F. 1:1(0) ack 1
     0.1 < F. 1:1(0) ack 2
     0.2 > . 2:2(0) ack 2
     0.6 < F. 1:1(0) ack 2
     0.7 > R 2:2(0)                     ; CLOSED CLOSED",
    "0.0 > F. 1:1(0) ack 1
     0.1 < .  1:1(0) ack 2
     9.0 > .  1:1(0) ack 1
     9.1 < R 1:1(0)                     ; CLOSED CLOSED",
    "0.0 > F. 1:1(0) ack 1
     0.1 < F. 1:1(0) ack 2
     0.2 > P. 2:3(1) ack 1
     0.3 < R 1:1(0)                     ; - CLOSED",
    // Repeats that end.
    "0.0 > P. 1:2(1) ack 1
     0.1 < P. 1:2(1) ack 2
     0.2 > F. 2:2(0) ack 2
     0.3 < P. 2:52(50) ack 3
     0.5 < P. 2:52(50) ack 3
     0.9 < P. 2:52(50) ack 3
     1.7 < P. 2:52(50) ack 3
     60. end                            ; - CLOSED",
    "0.0 > F. 1:1(0) ack 1
     0.1 < F. 1:1(0) ack 1
     0.2 > . 2:2(0) ack 2
     0.4 > F. 1:1(0) ack 2
     0.8 > F. 1:1(0) ack 2
     1.6 > F. 1:1(0) ack 2
     60. end                            ; CLOSED -",
    // A new connection before the old one was over.
    "0.0 > S 0:0(0)
     0.1 > S 90000:90000(0)             ; SYN_SENT UNKNOWN",
    "0.0 > S 0:0(0)
     0.1 < S. 0:0(0) ack 1
     0.5 > S 90000:90000(0)
     0.6 < S. 70000:70000(0) ack 90001  ; ESTABLISHED SYN_RCVD",
    "0.0 > F. 1:1(0) ack 1
     9.0 > S 90000:90000(0)
     9.1 < S. 70000:70000(0) ack 90001  ; ESTABLISHED SYN_RCVD",
    "0.0 > F. 1:1(0) ack 1
     0.1 < F. 1:1(0) ack 1
     9.0 > S 90000:90000(0)
     9.1 < S. 70000:70000(0) ack 90001  ; ESTABLISHED SYN_RCVD",
    "0.0 > F. 1:1(0) ack 1
     0.1 < F. 1:1(0) ack 2
     9.0 > S 90000:90000(0)
     9.1 < S. 70000:70000(0) ack 90001  ; ESTABLISHED SYN_RCVD",
];

/// Every rule of the table is followed by a written connection or a recorded one.
#[test]
fn every_rule_is_reached() {
    let mut histories: Vec<History> = RARE.iter().flat_map(|trace| check(trace)).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/kernel");
    for folder in std::fs::read_dir(root).expect("recordings").flatten() {
        histories.extend(recorded(&folder.path().join("middle.pcap")));
    }
    let followed: BTreeSet<_> = histories
        .iter()
        .flat_map(|history| history.transitions.iter().map(|t| (t.from, t.event as usize)))
        .collect();
    let missed: Vec<_> = ROWS
        .iter()
        .filter(|row| !followed.contains(&(row.from, row.on as usize)))
        .map(|row| format!("{} {:?}", row.from, row.on))
        .collect();
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn nothing_is_before_the_beginning_where_the_clock_runs_backwards() {
    let histories = connections(
        "1.000 > S 0:0(0)
         0.900 > S 5000:5000(0)",
    );
    for history in &histories {
        assert!(history.transitions.iter().all(|t| t.at.ts >= history.first.ts), "{history:#?}");
    }
}

#[test]
fn an_end_that_goes_on_had_not_given_up() {
    let text = opened(
        "1.000 > P. 1:101(100) ack 1
         1.300 > P. 1:101(100) ack 1
         1.900 > P. 1:101(100) ack 1
         3.100 > P. 1:101(100) ack 1
         9.000 > P. 1:101(100) ack 1",
    );
    let history = history(&text);
    assert_eq!(history.last_state(Role::Client), State::Established);
    assert!(history.refuted.iter().any(|refuted| refuted.state == State::Closed));
}

#[test]
fn a_scan_with_fin_and_no_ack_closes_nothing() {
    let history = history(
        "0.000 > F 0:0(0)       ; UNKNOWN UNKNOWN
         0.001 < R. 0:0(0) ack 1 ; CLOSED CLOSED",
    );
    assert_eq!(history.close(), None, "it was never open");
    assert!(history.by_event(Role::Client, &[Event::SentFin]).is_none());
}

/// The answer that shows that something came, and what it is an answer to.
fn confirmation(history: &History, role: Role, state: State) -> (u64, u64) {
    let entered = history.stay_in(role, state).unwrap().entered;
    (entered.at.frame, entered.confirmed.frame)
}

#[test]
fn a_bare_ack_that_comes_late_is_no_keepalive() {
    let told = history(&opened(
        "0.100 < P. 1:101(100) ack 1
         0.110 > P. 1:2(1) ack 101
         0.110 < .  101:101(0) ack 2
         0.111 > .  1:1(0) ack 1
         0.112 > .  1:1(0) ack 101",
    ));
    assert!(told.fact(FactKind::Keepalive, Role::Client).is_none());
}
