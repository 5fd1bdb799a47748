//! The hard cases, each a named trace.

use std::collections::BTreeSet;
use std::path::Path;

use crate::history::{Close, ClosedFirst, Handshake, History, Role};
use crate::infer::event::Event;
use crate::infer::fact::FactKind;
use crate::infer::state::{Basis, State};
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
fn four_segment_close() {
    let history = history(&opened(
        "0.100 > F. 1:1(0) ack 1   ; FIN_WAIT_1 CLOSE_WAIT
         0.110 < .  1:1(0) ack 2   ; FIN_WAIT_2 CLOSE_WAIT
         0.200 < F. 1:1(0) ack 2   ; TIME_WAIT  LAST_ACK
         0.201 > .  2:2(0) ack 2   ; TIME_WAIT  CLOSED
         60.19 end                 ; TIME_WAIT  CLOSED
         60.21 end                 ; CLOSED     CLOSED",
    ));
    assert_eq!(history.close(), Some(Close::FourSegment));
    assert_eq!(history.closed_first(), Some(ClosedFirst::Client));
    assert_eq!(history.handshake(), Handshake::Complete);
    assert_eq!(history.zeek.name(), "SF");
    let waited = history.stay_in(Role::Server, State::CloseWait).unwrap();
    assert_eq!((waited.entered.at.frame, waited.entered.confirmed.frame), (4, 5));
    let over = history.by_event(Role::Client, &[Event::TwoMslPassed]).unwrap();
    assert_eq!((over.basis, over.at.frame), (Basis::Timer, 0));
}

#[test]
fn three_segment_close_skips_fin_wait_2() {
    let history = history(&opened(
        "0.100 > F. 1:1(0) ack 1   ; FIN_WAIT_1 CLOSE_WAIT
         0.110 < F. 1:1(0) ack 2   ; TIME_WAIT  LAST_ACK
         0.111 > .  2:2(0) ack 2   ; TIME_WAIT  CLOSED",
    ));
    assert_eq!(history.close(), Some(Close::FinAckSkipsFinWait2));
    assert!(history.stay_in(Role::Client, State::FinWait2).is_none());
}

#[test]
fn fin_with_data_and_with_the_last_ack() {
    history(&opened(
        "0.100 > P. 1:101(100) ack 1
         0.110 < FP. 1:51(50) ack 101   ; CLOSE_WAIT FIN_WAIT_1
         0.120 > F. 101:101(0) ack 52   ; LAST_ACK   TIME_WAIT
         0.130 < .  52:52(0) ack 102    ; CLOSED     TIME_WAIT",
    ));
}

#[test]
fn half_close_with_data_the_other_way() {
    let history = history(&opened(
        "0.100 > F. 1:1(0) ack 1          ; FIN_WAIT_1 CLOSE_WAIT
         0.110 < .  1:1(0) ack 2          ; FIN_WAIT_2 CLOSE_WAIT
         5.000 < P. 1:1001(1000) ack 2    ; FIN_WAIT_2 CLOSE_WAIT
         5.001 > .  2:2(0) ack 1001
         9.000 < F. 1001:1001(0) ack 2    ; TIME_WAIT  LAST_ACK
         9.001 > .  2:2(0) ack 1002       ; TIME_WAIT  CLOSED",
    ));
    assert_eq!(history.side(Role::Server).tally.after_peer_fin, 1000);
    assert!(history.fact(FactKind::HalfCloseData, Role::Server).is_some());
}

#[test]
fn simultaneous_close() {
    let history = history(&opened(
        "0.100 > F. 1:1(0) ack 1          ; FIN_WAIT_1 CLOSE_WAIT
         0.101 < F. 1:1(0) ack 1          ; CLOSING    CLOSING
         0.102 > .  2:2(0) ack 2          ; CLOSING    TIME_WAIT
         0.111 < .  2:2(0) ack 2          ; TIME_WAIT  TIME_WAIT",
    ));
    assert_eq!(history.close(), Some(Close::Simultaneous));
    assert_eq!(history.closed_first(), Some(ClosedFirst::Both));
    assert!(history.stay_in(Role::Server, State::CloseWait).is_none());
    assert_eq!(history.refuted.len(), 1);
}

#[test]
fn simultaneous_open() {
    let history = history(
        "0.000 > S  0:0(0)                ; SYN_SENT    UNKNOWN
         0.001 < S  0:0(0)                ; SYN_RCVD    SYN_RCVD
         0.002 > S. 0:0(0) ack 1          ; SYN_RCVD    ESTABLISHED
         0.011 < S. 0:0(0) ack 1          ; ESTABLISHED ESTABLISHED
         0.012 > .  1:1(0) ack 1",
    );
    assert_eq!(history.handshake(), Handshake::Simultaneous);
}

#[test]
fn ack_of_fin_lost() {
    let history = history(&opened(
        "0.100 > F. 1:1(0) ack 1          ; FIN_WAIT_1 CLOSE_WAIT
         0.110 < .  1:1(0) ack 2          ; FIN_WAIT_2 CLOSE_WAIT
         0.400 > F. 1:1(0) ack 1          ; FIN_WAIT_1 CLOSE_WAIT
         0.410 < .  1:1(0) ack 2          ; FIN_WAIT_2 CLOSE_WAIT",
    ));
    let refuted = &history.refuted[0];
    assert_eq!((refuted.state, refuted.at.frame, refuted.by_frame), (State::FinWait2, 5, 6));
    assert_eq!(history.stay_in(Role::Client, State::FinWait2).unwrap().entered.at.frame, 7);
}

#[test]
fn last_ack_lost() {
    let history = history(&opened(
        "0.100 > F. 1:1(0) ack 1
         0.110 < F. 1:1(0) ack 2          ; TIME_WAIT LAST_ACK
         0.111 > .  2:2(0) ack 2          ; TIME_WAIT CLOSED
         0.400 < F. 1:1(0) ack 2          ; TIME_WAIT LAST_ACK
         0.401 > .  2:2(0) ack 2          ; TIME_WAIT CLOSED
         60.30 end                        ; TIME_WAIT CLOSED
         60.41 end                        ; CLOSED    CLOSED",
    ));
    assert!(history.fact(FactKind::TimeWaitRestarted, Role::Client).is_some());
    assert!(history.fact(FactKind::FinRepeatedAfterAck, Role::Server).is_some());
}

#[test]
fn last_ack_gives_up() {
    let history = history(&opened(
        "0.1 > F. 1:1(0) ack 1
         0.2 < F. 1:1(0) ack 2            ; TIME_WAIT LAST_ACK
         0.4 < F. 1:1(0) ack 2
         0.8 < F. 1:1(0) ack 2
         1.6 < F. 1:1(0) ack 2            ; FIN_WAIT_1 LAST_ACK
         20. end                          ; - CLOSED",
    ));
    let gave_up = history.by_event(Role::Server, &[Event::GaveUp]).unwrap();
    assert_eq!(gave_up.basis, Basis::Timer);
}

#[test]
fn fin_never_answered() {
    let history = history(&opened(
        "0.1 > F. 1:1(0) ack 1            ; FIN_WAIT_1 CLOSE_WAIT
         0.4 > F. 1:1(0) ack 1            ; FIN_WAIT_1 CLOSE_WAIT
         1.0 > F. 1:1(0) ack 1            ; FIN_WAIT_1 ESTABLISHED
         2.2 > F. 1:1(0) ack 1            ; FIN_WAIT_1 ESTABLISHED
         60. end                          ; CLOSED     ESTABLISHED",
    ));
    assert_eq!(history.refuted.len(), 2);
}

#[test]
fn a_repeated_fin_may_be_answered_late() {
    let history = history(&opened(
        "0.1 > F. 1:1(0) ack 1            ; FIN_WAIT_1 CLOSE_WAIT
         0.4 > F. 1:1(0) ack 1            ; FIN_WAIT_1 CLOSE_WAIT
         1.0 > F. 1:1(0) ack 1            ; FIN_WAIT_1 ESTABLISHED
         1.01 < . 1:1(0) ack 2            ; FIN_WAIT_2 CLOSE_WAIT",
    ));
    // Or the first one had come, and its answers were lost before the observer.
    let waits = history.stay_in(Role::Server, State::CloseWait).unwrap().entered;
    assert_eq!((waits.at.frame, waits.confirmed.frame), (6, 0));
}

#[test]
fn an_ack_that_stops_short_shows_that_the_first_fin_had_not_come() {
    let history = history(&opened(
        "0.1 > F. 1:1(0) ack 1
         0.4 > F. 1:1(0) ack 1
         0.7 < P. 1:51(50) ack 1          ; FIN_WAIT_1 ESTABLISHED
         1.0 > F. 1:1(0) ack 51
         1.01 < . 51:51(0) ack 2          ; FIN_WAIT_2 CLOSE_WAIT",
    ));
    let waits = history.stay_in(Role::Server, State::CloseWait).unwrap().entered;
    assert_eq!((waits.at.frame, waits.confirmed.frame), (7, 8));
}

#[test]
fn a_lost_fin_that_crossed_another_was_never_answered() {
    let history = history(&opened(
        "0.100 > F. 1:1(0) ack 1
         0.101 < F. 1:1(0) ack 1          ; CLOSING    CLOSING
         0.102 > .  2:2(0) ack 2          ; CLOSING    TIME_WAIT
         1.100 > F. 1:1(0) ack 2          ; CLOSING    TIME_WAIT
         1.110 < .  2:2(0) ack 2          ; TIME_WAIT  TIME_WAIT",
    ));
    let waits = history.stay_in(Role::Server, State::FinWait2).unwrap();
    assert_eq!((waits.entered.at.frame, waits.dwell.as_nanos()), (6, 998_000_000));
    assert!(history.stay_in(Role::Server, State::Closing).is_none());
}

#[test]
fn an_abort_in_last_ack_came_before_the_answer() {
    let history = history(&opened(
        "0.100 > F. 1:1(0) ack 1
         0.110 < F. 1:1(0) ack 2          ; TIME_WAIT LAST_ACK
         0.111 > .  2:2(0) ack 2          ; TIME_WAIT CLOSED
         0.120 < R. 2:2(0) ack 2          ; CLOSED    CLOSED
         0.121 < R  2:2(0)                ; CLOSED    CLOSED",
    ));
    let closed = history.transitions_of(Role::Server).last().unwrap();
    assert_eq!((closed.event, closed.at.frame), (Event::SentRst, 7));
    assert!(history.by_event(Role::Server, &[Event::RecvAckOfFin]).is_none());
}

#[test]
fn a_reset_that_acknowledges_no_fin_was_sent_before_it_came() {
    let history = history(&opened(
        "0.100 < F. 1:1(0) ack 1
         0.101 > F. 1:1(0) ack 1          ; CLOSING   CLOSING
         0.102 < .  2:2(0) ack 2          ; TIME_WAIT CLOSING
         0.103 > R. 2:2(0) ack 1          ; CLOSED    CLOSED",
    ));
    assert!(history.stay_in(Role::Client, State::Closing).is_none());
    let closed = history.transitions_of(Role::Client).last().unwrap();
    assert_eq!((closed.from, closed.event), (State::FinWait2, Event::SentRst));
}

#[test]
fn an_old_ack_does_not_survive_a_reset() {
    history(&opened(
        "0.100 < P. 1:101(100) ack 1
         0.101 > .  1:1(0) ack 101
         0.200 < R. 101:101(0) ack 1      ; CLOSED CLOSED
         0.900 > .  1:1(0) ack 1          ; CLOSED CLOSED
         0.910 < R  1:1(0)                ; CLOSED CLOSED",
    ));
}

#[test]
fn a_reset_may_overtake_the_data_before_it() {
    let overtaken = "0.100 < R. 101:101(0) ack 1      ; ESTABLISHED CLOSED
         0.100 > .  1:1(0) ack 1          ; ESTABLISHED CLOSED
         0.101 < P. 1:101(100) ack 1      ; ESTABLISHED CLOSED\n";
    history(&opened(&format!(
        "{overtaken}
         0.101 > .  1:1(0) ack 101        ; ESTABLISHED CLOSED
         0.102 < R  101:101(0)            ; CLOSED      CLOSED"
    )));
    // Of a server that has sent nothing yet, the window is that of its SYN.
    history(&opened(
        "0.100 > R. 101:101(0) ack 1      ; CLOSED ESTABLISHED
         0.100 < .  1:1(0) ack 1          ; CLOSED ESTABLISHED
         0.101 > P. 1:101(100) ack 1      ; CLOSED ESTABLISHED",
    ));
    // Whoever sends beyond the number of the RST has not sent it.
    history(&opened(&format!(
        "{overtaken}
         0.102 < P. 101:151(50) ack 1     ; ESTABLISHED ESTABLISHED"
    )));
}

#[test]
fn a_reset_may_answer_an_ack_before_the_newest() {
    let answered = "0.100 < P. 1:201(200) ack 1
         0.102 > .  1:1(0) ack 101
         0.103 > .  1:1(0) ack 201
         0.110 < R  101:101(0)            ; ESTABLISHED CLOSED\n";
    let closed = |rest: &str| {
        let history = history(&opened(&format!("{answered}{rest}")));
        let last = history.transitions_of(Role::Server).last().copied().unwrap();
        (last.at.frame, last.to, last.basis)
    };
    assert_eq!(closed(""), (7, State::Closed, Basis::Assumed));
    let next = "0.111 < R  201:201(0)            ; CLOSED CLOSED";
    assert_eq!(closed(next), (7, State::Closed, Basis::Observed));
    let alive = "0.400 < P. 201:251(50) ack 1";
    assert_eq!(closed(alive).1, State::Established);
}

/// The RST bears the number zero, as of a host that has no such socket.
#[test]
fn an_opener_that_gave_up_resets_the_peers_syn() {
    let gave_up = history(
        "0.000 > S  0:0(0)                ; SYN_SENT UNKNOWN
         0.000 < S  0:0(0)                ; SYN_RCVD SYN_RCVD
         0.010 < R. -5000:-5000(0) ack 1  ; CLOSED   CLOSED",
    );
    assert!(gave_up.by_event(Role::Server, &[Event::RecvSyn]).is_none());
    let met = history(
        "0.000 > S  0:0(0)
         0.000 < S  0:0(0)
         0.010 < R. -5000:-5000(0) ack 1  ; CLOSED   CLOSED
         0.010 > S. 0:0(0) ack 1          ; SYN_RCVD CLOSED
         0.020 < R  1:1(0)                ; CLOSED   CLOSED",
    );
    assert_eq!(met.stay_in(Role::Client, State::SynRcvd).unwrap().entered.at.frame, 2);
    let answered = history(
        "0.000 > S  0:0(0)
         0.010 < S  0:0(0)
         0.010 > S. 0:0(0) ack 1          ; SYN_RCVD ESTABLISHED
         0.020 < R. -5000:-5000(0) ack 1  ; SYN_RCVD CLOSED",
    );
    assert!(answered.stay_in(Role::Server, State::Established).is_none());
}

#[test]
fn an_answer_to_a_syn_that_met_another_is_timed_from_that_syn() {
    let history = history(
        "0.0000 > S  0:0(0)
         0.0100 < S  0:0(0)
         0.0101 > S. 0:0(0) ack 1
         0.0102 < S. 0:0(0) ack 1
         0.0103 > .  1:1(0) ack 1
         0.0402 < .  1:1(0) ack 1
         0.1000 > F. 1:1(0) ack 1
         0.1000 > R. 2:2(0) ack 1         ; CLOSED CLOSED
         0.1250 < .  1:1(0) ack 2         ; CLOSED CLOSED",
    );
    assert!(history.fact(FactKind::DisprovedRst, Role::Client).is_none());
}

#[test]
fn a_sack_of_the_fin_shows_that_something_before_it_is_missing() {
    let history = history(&opened(
        "0.1000 > P. 1:14(13) ack 1
         0.1001 > F. 14:14(0) ack 1         ; FIN_WAIT_1 CLOSE_WAIT
         0.1010 < . 1:1(0) ack 1 <sack 14:15> ; FIN_WAIT_1 ESTABLISHED
         0.3000 > P. 1:14(13) ack 1         ; FIN_WAIT_1 CLOSE_WAIT
         0.3100 < . 1:1(0) ack 15           ; FIN_WAIT_2 CLOSE_WAIT",
    ));
    let waits = history.stay_in(Role::Server, State::CloseWait).unwrap().entered;
    assert_eq!((waits.at.frame, waits.confirmed.frame), (7, 8));
}

#[test]
fn a_dsack_shows_that_the_first_fin_had_come() {
    let history = history(&opened(
        "0.1 > F. 1:1(0) ack 1
         0.4 > F. 1:1(0) ack 1
         0.41 < . 1:1(0) ack 2 <sack 1:2> ; FIN_WAIT_2 CLOSE_WAIT",
    ));
    let waits = history.stay_in(Role::Server, State::CloseWait).unwrap().entered;
    assert_eq!((waits.at.frame, waits.confirmed.frame), (4, 6));
    // What was wrong is the moment of the repeat.
    assert_eq!(history.refuted[0].at.frame, 5);
}

#[test]
fn fin_ahead_of_a_hole_waits_for_it() {
    history(&opened(
        "0.1 > F. 101:101(0) ack 1        ; FIN_WAIT_1 ESTABLISHED
         0.11 < . 1:1(0) ack 1            ; FIN_WAIT_1 ESTABLISHED
         0.3 > P. 1:101(100) ack 1        ; FIN_WAIT_1 CLOSE_WAIT
         0.31 < . 1:1(0) ack 102          ; FIN_WAIT_2 CLOSE_WAIT",
    ));
}

#[test]
fn data_lost_behind_the_observer_holds_the_fin() {
    let history = history(&opened(
        "0.1 > P. 1:101(100) ack 1
         0.1 > F. 101:101(0) ack 1        ; FIN_WAIT_1 CLOSE_WAIT
         0.3 < P. 1:51(50) ack 1          ; FIN_WAIT_1 ESTABLISHED
         0.4 > P. 1:101(100) ack 51
         0.41 < . 51:51(0) ack 102        ; FIN_WAIT_2 CLOSE_WAIT",
    ));
    let waits = history.stay_in(Role::Server, State::CloseWait).unwrap().entered;
    assert_eq!(waits.confirmed.frame, 8);
}

#[test]
fn fin_known_from_its_ack_only() {
    let history = history(&opened(
        "0.1 > P. 1:101(100) ack 1
         0.11 < . 1:1(0) ack 101
         0.2 < . 1:1(0) ack 102           ; FIN_WAIT_2 CLOSE_WAIT
         0.3 < F. 1:1(0) ack 102          ; TIME_WAIT  LAST_ACK
         0.31 > . 102:102(0) ack 2        ; TIME_WAIT  CLOSED",
    ));
    assert_eq!(history.closed_first(), Some(ClosedFirst::Client));
    assert_eq!(history.fin_of(Role::Client).unwrap().basis, Basis::Inferred);
}

#[test]
fn a_lost_byte_is_not_a_fin() {
    history(&opened(
        "0.1 < . 1:1(0) ack 2             ; FIN_WAIT_2 CLOSE_WAIT
         0.2 > P. 2:52(50) ack 1          ; ESTABLISHED ESTABLISHED",
    ));
}

#[test]
fn rst_at_inside_and_outside_the_window() {
    let exact = history(&opened("0.1 < R. 1:1(0) ack 1 ; CLOSED CLOSED"));
    assert_eq!(exact.close(), Some(Close::Reset));
    let inside = history(&opened(
        "0.1 < R 5001:5001(0)             ; ESTABLISHED -
         0.12 > . 1:1(0) ack 1            ; ESTABLISHED -",
    ));
    assert!(inside.fact(FactKind::InexactRst, Role::Server).is_some());
    let outside = history(&opened(
        "0.1 < R 9000001:9000001(0)       ; ESTABLISHED ESTABLISHED
         0.2 < P. 1:51(50) ack 1          ; ESTABLISHED ESTABLISHED",
    ));
    assert!(outside.fact(FactKind::IgnoredRst, Role::Server).is_some());
}

#[test]
fn a_fin_that_meets_a_full_window_may_meet_a_fin_behind_it() {
    let met = "0.090 > . 1:1(0) ack 1 win 12
         0.100 < . 1:1449(1448) ack 1
         0.101 > F. 1:1(0) ack 1 win 12   ; FIN_WAIT_1 CLOSE_WAIT
         0.110 < . 1449:1449(0) ack 2     ; FIN_WAIT_2 CLOSE_WAIT";
    let history = history(&opened(met));
    let waits = history.stay_in(Role::Server, State::CloseWait).unwrap().entered;
    assert_eq!((waits.basis, waits.confirmed.frame), (Basis::Assumed, 0));
    // Once all is acknowledged and it still sends nothing, there was none.
    let silent = format!("{met}\n0.111 > . 2:2(0) ack 1449\n9.0 end ; FIN_WAIT_2 CLOSE_WAIT");
    let history = self::history(&opened(&silent));
    let waits = history.stay_in(Role::Server, State::CloseWait).unwrap().entered;
    assert_eq!(waits.basis, Basis::Inferred);
}

#[test]
fn a_fin_that_its_own_ack_overtook_crossed_none() {
    let told = history(&opened(
        "0.1 > F. 1:1(0) ack 1 <ts 100:1>
         0.11 < .  2:2(0) ack 2 <ts 205:100>  ; FIN_WAIT_2 CLOSING
         0.12 < F. 1:1(0) ack 2 <ts 200:100>  ; TIME_WAIT  LAST_ACK
         0.13 > .  2:2(0) ack 2 <ts 130:205>  ; TIME_WAIT  CLOSED",
    ));
    let waits = told.stay_in(Role::Server, State::CloseWait).unwrap().entered;
    assert_eq!((waits.at.frame, waits.basis), (4, Basis::Inferred));
    // Sent again, it may have been the first: they may well have crossed.
    history(&opened(
        "0.1 > F. 1:1(0) ack 1 <ts 100:1>
         0.11 < .  2:2(0) ack 2 <ts 205:100>  ; FIN_WAIT_2 CLOSING
         0.42 < F. 1:1(0) ack 2 <ts 505:100>  ; TIME_WAIT  CLOSING",
    ));
}

#[test]
fn an_echo_shows_that_the_first_fin_had_come() {
    let history = history(&opened(
        "0.1 > F. 1:1(0) ack 1 <ts 100:1>
         0.4 > F. 1:1(0) ack 1 <ts 400:1>
         0.41 < F. 1:1(0) ack 2 <ts 200:100> ; TIME_WAIT LAST_ACK",
    ));
    let waits = history.stay_in(Role::Server, State::CloseWait).unwrap().entered;
    assert_eq!((waits.at.frame, waits.confirmed.frame), (4, 6));
}

#[test]
fn data_that_left_before_a_fin_came_may_have_filled_the_window() {
    let history = history(&opened(
        "0.090 > . 1:1(0) ack 1 win 12
         0.100 > F. 1:1(0) ack 1 win 12   ; FIN_WAIT_1 CLOSE_WAIT
         0.101 < . 1:1449(1448) ack 1
         0.110 < . 1449:1449(0) ack 2     ; FIN_WAIT_2 CLOSE_WAIT",
    ));
    let waits = history.stay_in(Role::Server, State::CloseWait).unwrap().entered;
    assert_eq!((waits.basis, waits.confirmed.frame), (Basis::Inferred, 0));
}

#[test]
fn an_ack_that_says_no_more_than_the_syn_ack_proves_no_handshake() {
    let history = history(&opened("0.02 < . 1:1(0) ack 1 <ts 2:1>"));
    let open = history.stay_in(Role::Server, State::Established).unwrap().entered;
    assert_eq!(open.confirmed.frame, 0);
    let history = self::history(&opened("0.02 < . 1:1(0) ack 1 <ts 2:9>"));
    let open = history.stay_in(Role::Server, State::Established).unwrap().entered;
    assert_eq!(open.confirmed.frame, 4);
}

#[test]
fn a_fin_in_flight_past_a_rst_says_what_had_come_before() {
    let history = history(&opened(
        "0.100 < F. 1:1(0) ack 1          ; CLOSE_WAIT FIN_WAIT_1
         0.101 < R 2:2(0)                 ; CLOSED     CLOSED
         0.102 > F. 1:1(0) ack 2          ; CLOSED     CLOSED",
    ));
    let states: Vec<_> = history.transitions_of(Role::Client).map(|t| t.to.name()).collect();
    assert_eq!(states, ["SYN_SENT", "ESTABLISHED", "CLOSE_WAIT", "LAST_ACK", "CLOSED"]);
}

#[test]
fn a_forged_rst_that_was_believed_shows_in_the_answer_to_what_follows() {
    let history = history(&opened(
        "0.3 > R 1:1(0)                  ; CLOSED      CLOSED
         0.6 > P. 1:14(13) ack 1         ; ESTABLISHED ESTABLISHED
         0.61 < R 1:1(0)                 ; CLOSED      CLOSED",
    ));
    let ended = history.by_event(Role::Server, &[Event::RecvRst]).unwrap();
    assert_eq!((ended.at.frame, ended.confirmed.frame), (4, 6));
    assert_eq!(history.refuted.len(), 1, "only the client did not send it");
}

#[test]
fn a_forged_rst_is_disproved_by_what_follows() {
    let history = history(&opened(
        "0.1 < R. 1:1(0) ack 1            ; CLOSED CLOSED
         0.4 < P. 1:51(50) ack 1          ; ESTABLISHED ESTABLISHED
         0.41 > . 1:1(0) ack 51           ; ESTABLISHED ESTABLISHED",
    ));
    assert!(history.fact(FactKind::DisprovedRst, Role::Server).is_some());
    assert_eq!(history.close(), Some(Close::Open));
}

#[test]
fn data_to_a_closed_socket_is_reset() {
    let history = history(&opened(
        "0.1 > F. 1:1(0) ack 1
         0.11 < . 1:1(0) ack 2            ; FIN_WAIT_2 CLOSE_WAIT
         0.2 < P. 1:51(50) ack 2
         0.21 > R 2:2(0)                  ; CLOSED     CLOSED",
    ));
    assert_eq!(history.close(), Some(Close::Reset));
    let gone = history.by_event(Role::Client, &[Event::SentRst]);
    assert!(
        gone.is_some() || history.by_event(Role::Client, &[Event::SentRstWithoutSocket]).is_some()
    );
}

#[test]
fn a_refused_and_an_unanswered_syn() {
    let refused = history(
        "0.0 > S 0:0(0)                   ; SYN_SENT UNKNOWN
         0.1 < R. 0:0(0) ack 1            ; CLOSED   CLOSED",
    );
    assert_eq!((refused.handshake(), refused.close()), (Handshake::Refused, None));
    assert_eq!(refused.zeek.name(), "REJ");
    let unanswered = history(
        "0.0 > S 0:0(0)
         1.0 > S 0:0(0)
         3.0 > S 0:0(0)                   ; SYN_SENT UNKNOWN
         7.5 end                          ; SYN_SENT UNKNOWN
         40. end                          ; CLOSED   UNKNOWN",
    );
    assert_eq!(unanswered.handshake(), Handshake::Unanswered);
    assert_eq!(unanswered.side(Role::Client).tally.syns, 3);
}

#[test]
fn syn_ack_repeated_after_the_ack() {
    let history = history(&opened(
        "1.01 < S. 0:0(0) ack 1           ; ESTABLISHED SYN_RCVD
         1.02 > .  1:1(0) ack 1           ; ESTABLISHED ESTABLISHED
         3.01 < S. 0:0(0) ack 1           ; ESTABLISHED SYN_RCVD
         3.02 > .  1:1(0) ack 1           ; ESTABLISHED SYN_RCVD
         5.00 > P. 1:101(100) ack 1       ; ESTABLISHED SYN_RCVD
         5.01 < .  1:1(0) ack 101         ; ESTABLISHED ESTABLISHED",
    ));
    let open = history.stay_in(Role::Server, State::Established).unwrap().entered;
    assert_eq!((open.at.frame, open.confirmed.frame), (8, 9));
}

#[test]
fn a_fin_completes_the_handshake_whose_ack_was_lost() {
    history(
        "0.0 > S  0:0(0)
         0.1 < S. 0:0(0) ack 1            ; ESTABLISHED SYN_RCVD
         0.2 > F. 1:1(0) ack 1            ; FIN_WAIT_1  CLOSE_WAIT
         0.3 < .  1:1(0) ack 2            ; FIN_WAIT_2  CLOSE_WAIT",
    );
}

#[test]
fn port_reuse_in_time_wait() {
    let histories = check(&opened(
        "0.1 < F. 1:1(0) ack 1
         0.11 > F. 1:1(0) ack 2           ; LAST_ACK TIME_WAIT
         0.12 < . 2:2(0) ack 2            ; CLOSED   TIME_WAIT
         2.0 > S 90000:90000(0)           ; SYN_SENT UNKNOWN
         2.01 < S. 70000:70000(0) ack 90001 ; ESTABLISHED SYN_RCVD",
    ));
    assert_eq!(histories.len(), 2);
    let states = histories[1].predecessor.unwrap().states;
    assert_eq!(states, [State::Closed, State::TimeWait]);
    assert!(histories[0].by_event(Role::Server, &[Event::Superseded]).is_some());
    assert_eq!([histories[0].stream, histories[1].stream], [0, 1]);
}

#[test]
fn an_answer_that_belongs_to_a_later_life_leaves_nothing_of_its_sender() {
    for (syn_ack, refuses) in [("<", ">"), (">", "<")] {
        for repeat in ["5.003", "5.100"] {
            let histories = connections(&format!(
                "0.000 > S  2:2(0)
                 5.001 > S  0:0(0)
                 5.002 < S  3:3(0)
                 {repeat} < S  3:3(0)
                 5.200 {syn_ack} S. 1:1(0) ack 4
                 5.300 {refuses} R  1:1(0)"
            ));
            for history in &histories {
                assert_ne!(history.last_state(Role::Server), State::Listen, "{history:#?}");
            }
        }
    }
}

#[test]
fn peer_rebooted_syn_challenged_then_accepted() {
    let histories = check(&opened(
        "9.0 > S 90000:90000(0)
         9.01 < . 1:1(0) ack 1
         9.02 > R 1:1(0)
         10.0 > S 90000:90000(0)
         10.01 < S. 70000:70000(0) ack 90001 ; ESTABLISHED SYN_RCVD
         10.02 > . 90001:90001(0) ack 70001  ; ESTABLISHED ESTABLISHED",
    ));
    assert_eq!(histories.len(), 2);
    assert_eq!(histories[1].first.frame, 4);
    assert_eq!(histories[0].last_state(Role::Server), State::Closed);
    assert!(histories[0].fact(FactKind::ChallengedSyn, Role::Server).is_some());
}

#[test]
fn a_stale_syn_on_a_live_connection_changes_nothing() {
    let history = history(&opened(
        "1.0 > S 90000:90000(0)           ; - -
         1.01 < . 1:1(0) ack 1
         1.2 > P. 1:101(100) ack 1        ; ESTABLISHED ESTABLISHED
         1.3 < . 1:1(0) ack 101           ; ESTABLISHED ESTABLISHED",
    ));
    assert!(history.fact(FactKind::StaleSyn, Role::Client).is_some());
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
fn mid_stream_states_are_assumed() {
    let history = history(
        "0.0 > P. 1:101(100) ack 1
         0.1 < P. 1:51(50) ack 101
         0.2 < F. 51:51(0) ack 101        ; CLOSE_WAIT FIN_WAIT_1",
    );
    let first = history.transitions_of(Role::Client).next().unwrap();
    assert_eq!(
        (first.from, first.to, first.basis),
        (State::Unknown, State::Established, Basis::Assumed)
    );
    assert_eq!(history.fin_of(Role::Server).unwrap().basis, Basis::Observed);
}

#[test]
fn only_the_client_is_captured() {
    let history = history(
        "0.0 > S 0:0(0)
         0.1 > . 1:1(0) ack 1             ; ESTABLISHED ESTABLISHED
         0.2 > P. 1:101(100) ack 1
         0.3 > F. 101:101(0) ack 51       ; FIN_WAIT_1 -
         0.4 > . 102:102(0) ack 52        ; - -",
    );
    assert!(!history.sides[1].tally.segments > 0);
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
fn each_byte_counts_once_whenever_it_passes() {
    let client = |rest: &str| history(&opened(rest)).side(Role::Client).tally;
    let reordered = client(
        "0.100 > P. 1:101(100) ack 1
         0.101 > P. 201:301(100) ack 1
         0.102 > P. 401:501(100) ack 1
         0.103 > P. 101:201(100) ack 1
         0.104 > P. 301:401(100) ack 1
         0.110 < .  1:1(0) ack 501
         0.500 > P. 101:201(100) ack 1",
    );
    assert_eq!((reordered.bytes, reordered.retransmitted), (500, 1));
    let overtaken_by_its_ack = client(
        "0.100 < .  1:1(0) ack 101
         0.101 > P. 1:101(100) ack 1",
    );
    assert_eq!(overtaken_by_its_ack.bytes, 100);
    let with_a_fin_the_second_time = client(
        "0.100 > P. 1:101(100) ack 1
         0.500 > FP. 1:101(100) ack 1",
    );
    assert_eq!(with_a_fin_the_second_time.bytes, 100);
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
fn what_is_acknowledged_and_never_passes_is_missing() {
    let missing = |rest: &str| history(&opened(rest)).side(Role::Client).tally.missing;
    let in_the_middle = missing(
        "0.100 > P. 1:101(100) ack 1
         0.101 > P. 201:301(100) ack 1
         0.110 < .  1:1(0) ack 301",
    );
    assert_eq!(in_the_middle, 100);
    let late = missing(
        "0.100 > P. 1:101(100) ack 1
         0.101 < .  1:1(0) ack 301
         0.102 > P. 101:301(200) ack 1",
    );
    assert_eq!(late, 0);
    let lost_on_the_way = missing(
        "0.100 > P. 101:201(100) ack 1
         0.101 < .  1:1(0) ack 1
         0.300 > P. 1:101(100) ack 1
         0.310 < .  1:1(0) ack 201",
    );
    assert_eq!(lost_on_the_way, 0);
}

/// Only the server's segments pass, and the client speaks byte by byte.
#[test]
fn single_bytes_of_an_unseen_end_are_no_fins() {
    let history = history(
        "0.000 < S. 0:0(0) ack 1
         0.100 < P. 1:2(1) ack 2
         0.200 < P. 2:3(1) ack 3    ; ESTABLISHED ESTABLISHED
         0.300 < P. 3:4(1) ack 4
         90.00 end                  ; ESTABLISHED ESTABLISHED",
    );
    assert_eq!(history.closed_first(), None);
    assert_eq!(history.side(Role::Server).tally.after_peer_fin, 0);
}

#[test]
fn an_unseen_end_that_closed_first_did_so_whatever_it_had_sent() {
    let client_unseen = history(
        "0.000 < S. 0:0(0) ack 1
         0.100 < .  1:1(0) ack 11
         0.200 < P. 1:101(100) ack 11
         1.000 < .  101:101(0) ack 12    ; - CLOSE_WAIT
         1.100 < F. 101:101(0) ack 12    ; - LAST_ACK",
    );
    assert_eq!(client_unseen.closed_first(), Some(ClosedFirst::Client));
    let server_unseen = history(
        "0.000 > S  0:0(0)
         0.100 > .  1:1(0) ack 1
         0.200 > P. 1:11(10) ack 101
         1.000 > .  11:11(0) ack 102     ; CLOSE_WAIT -
         1.100 > F. 11:11(0) ack 102     ; LAST_ACK -",
    );
    assert_eq!(server_unseen.closed_first(), Some(ClosedFirst::Server));
}

#[test]
fn a_stale_syn_belongs_to_the_life_that_it_comes_to() {
    let live = history(&opened(
        "1.000 > S  90000:90000(0)
         1.010 < .  1:1(0) ack 1
         1.200 > P. 1:101(100) ack 1    ; ESTABLISHED ESTABLISHED",
    ));
    assert_eq!((live.frames, live.side(Role::Client).tally.segments), (6, 4));
}

#[test]
fn a_stale_syn_that_finds_no_socket_is_no_refused_connection() {
    let closed = history(&opened(
        "0.100 > F. 1:1(0) ack 1
         0.110 < F. 1:1(0) ack 2
         0.120 > .  2:2(0) ack 2
         1.000 > S  0:0(0)
         1.010 < R. 0:0(0) ack 1 ; TIME_WAIT CLOSED",
    ));
    assert_eq!((closed.frames, closed.last.frame), (8, 8));
    assert!(closed.fact(FactKind::StaleSyn, Role::Client).is_some());
    assert!(closed.fact(FactKind::IgnoredRst, Role::Server).is_none());
}

#[test]
fn time_wait_ends_before_a_late_answer_shows_the_next_life() {
    let histories = connections(
        "0.000 > F. 1442776608:1442776608(0) ack 0
         0.000 < F. 1:1(0) ack 1442776609
         60.001 < S 0:0(0)
         60.001 < S 0:0(0)
         60.001 > .  0:0(0) ack 2
         60.001 > S. 0:0(0) ack 1",
    );
    assert_eq!(histories.len(), 2);
    let events = histories[0].transitions.iter().map(|transition| transition.event);
    let events: BTreeSet<_> = events.map(Event::cause).collect();
    assert!(events.contains(Event::TwoMslPassed.cause()), "{events:?}");
    assert!(!events.contains(Event::Superseded.cause()), "{events:?}");
}

#[test]
fn a_stale_first_syn_takes_back_nothing_that_came_before() {
    let history = history(
        "0.000 > S. 4:4(0) ack 3
         0.000 > F. 0:0(0) ack 4
         60.000 < S 2:4(2)
         60.000 < P. 0:0(0) ack 5",
    );
    assert_eq!(history.last_state(Role::Client), State::Closed);
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

#[test]
fn the_answer_to_a_keepalive_completes_no_handshake() {
    let history = history(
        "0.00 > S  0:0(0)
         0.01 < S. 0:0(0) ack 1           ; ESTABLISHED SYN_RCVD
         1.01 < S. 0:0(0) ack 1
         3.01 < S. 0:0(0) ack 1
         3.02 > .  0:1(1) ack 1           ; ESTABLISHED SYN_RCVD
         3.03 < .  1:1(0) ack 1           ; ESTABLISHED SYN_RCVD
         7.01 < S. 0:0(0) ack 1           ; ESTABLISHED SYN_RCVD",
    );
    assert!(history.refuted.is_empty(), "{:?}", history.refuted);
}

/// The ACK of the handshake may have been lost, and the answer may echo the probe.
#[test]
fn the_answer_to_a_keepalive_confirms_no_handshake() {
    let history = history(
        "0.00 > S  0:0(0) <ts 1:0>
         0.01 < S. 0:0(0) ack 1 <ts 11:1>        ; ESTABLISHED SYN_RCVD
         0.02 > .  1:1(0) ack 1 <ts 21:11>       ; ESTABLISHED ESTABLISHED
         2.00 > .  0:1(1) ack 1 <ts 2000:11>
         2.01 < .  1:1(0) ack 1 <ts 2010:2000>   ; ESTABLISHED ESTABLISHED",
    );
    assert_eq!(confirmation(&history, Role::Server, State::Established), (3, 0));
}

/// The SYN comes late again, and so does a FIN whose number follows it.
#[test]
fn a_fin_behind_a_late_copy_of_its_syn_is_of_the_old_life() {
    let closed = history(&opened(
        "0.100 < F. 1:1(0) ack 1
         0.110 > F. 1:1(0) ack 2          ; LAST_ACK TIME_WAIT
         0.120 < .  2:2(0) ack 2          ; CLOSED   TIME_WAIT
         0.130 > S  0:0(0) id 0
         1.100 > F. 1:1(0) ack 2          ; LAST_ACK TIME_WAIT
         1.110 < .  2:2(0) ack 2          ; CLOSED   TIME_WAIT",
    ));
    assert!(closed.fact(FactKind::StaleSyn, Role::Client).is_some());
}

/// The answer that shows that something came, and what it is an answer to.
fn confirmation(history: &History, role: Role, state: State) -> (u64, u64) {
    let entered = history.stay_in(role, state).unwrap().entered;
    (entered.at.frame, entered.confirmed.frame)
}

#[test]
fn an_answer_sooner_than_the_end_can_answer_is_to_an_earlier_segment() {
    // What was missing came by another way, before its repeat.
    let history = history(&opened(
        "0.1000 > F. 14:14(0) ack 1         ; FIN_WAIT_1 ESTABLISHED
         0.1100 < . 1:1(0) ack 1 <sack 14:15>
         0.1110 > P. 1:14(13) ack 1         ; FIN_WAIT_1 CLOSE_WAIT
         0.1112 < . 1:1(0) ack 15           ; FIN_WAIT_2 CLOSE_WAIT",
    ));
    assert_eq!(confirmation(&history, Role::Server, State::CloseWait), (6, 0));
}

#[test]
fn which_of_two_crossing_fins_moved_first_does_not_show() {
    let history = history(&opened(
        "0.100 > F. 1:1(0) ack 1  ; FIN_WAIT_1 CLOSE_WAIT
         0.104 < F. 1:1(0) ack 1  ; CLOSING    CLOSING
         0.105 > . 2:2(0) ack 2   ; CLOSING    TIME_WAIT
         0.114 < . 2:2(0) ack 2   ; TIME_WAIT  TIME_WAIT",
    ));
    // The server's CLOSING may have begun before its FIN passed; the client's did not.
    assert_eq!(confirmation(&history, Role::Server, State::Closing), (5, 0));
    assert_eq!(confirmation(&history, Role::Client, State::Closing), (5, 6));
}

#[test]
fn a_repeated_syn_says_nothing_of_an_answer_on_its_way() {
    let history = history(
        "0.000 > S  0:0(0)         ; SYN_SENT    UNKNOWN
         0.001 < S. 0:0(0) ack 1   ; ESTABLISHED SYN_RCVD
         1.020 < S. 0:0(0) ack 1   ; ESTABLISHED SYN_RCVD
         1.030 > S  0:0(0)         ; ESTABLISHED SYN_RCVD
         1.031 < S. 0:0(0) ack 1   ; ESTABLISHED SYN_RCVD
         1.040 > .  1:1(0) ack 1   ; ESTABLISHED ESTABLISHED",
    );
    assert_eq!(confirmation(&history, Role::Client, State::Established), (3, 6));
}

#[test]
fn pieces_in_any_order_bring_the_fin() {
    history(&opened(
        "0.100 > P. 11:21(10) ack 1
         0.100 > P. 31:41(10) ack 1
         0.100 > F. 41:41(0) ack 1   ; FIN_WAIT_1 ESTABLISHED
         0.100 > P. 1:11(10) ack 1   ; FIN_WAIT_1 ESTABLISHED
         0.100 > P. 21:31(10) ack 1  ; FIN_WAIT_1 CLOSE_WAIT",
    ));
}

#[test]
fn a_path_slower_than_ever_refutes_nothing_for_certain() {
    let history = history(&opened(
        "0.1000 > F. 1:1(0) ack 1         ; FIN_WAIT_1 CLOSE_WAIT
         0.1400 < . 1:1(0) ack 1          ; FIN_WAIT_1 ESTABLISHED
         0.1410 > F. 1:1(0) ack 1         ; FIN_WAIT_1 CLOSE_WAIT
         0.1600 < . 1:1(0) ack 2          ; FIN_WAIT_2 CLOSE_WAIT",
    ));
    assert_eq!(confirmation(&history, Role::Server, State::CloseWait).1, 0);
}

#[test]
fn an_end_without_a_socket_does_not_say_what_closed_it() {
    let history = history(&opened(
        "0.100 > P. 1:11(10) ack 1
         0.101 < R. 1:1(0) ack 11  ; CLOSED CLOSED
         0.120 < P. 1:11(10) ack 1
         0.121 > R 1:1(0)          ; CLOSED CLOSED",
    ));
    assert_eq!(confirmation(&history, Role::Client, State::Closed).1, 0);
}

#[test]
fn silence_after_the_third_answer_shows_that_it_came() {
    history(
        "0.00 > S  0:0(0)
         0.01 < S. 0:0(0) ack 1
         0.02 > .  1:1(0) ack 1   ; ESTABLISHED ESTABLISHED
         1.01 < S. 0:0(0) ack 1   ; ESTABLISHED SYN_RCVD
         1.02 > .  1:1(0) ack 1   ; ESTABLISHED ESTABLISHED
         3.01 < S. 0:0(0) ack 1   ; ESTABLISHED SYN_RCVD
         3.02 > .  1:1(0) ack 1   ; ESTABLISHED SYN_RCVD
         12.0 end                 ; ESTABLISHED ESTABLISHED",
    );
}

#[test]
fn a_server_that_speaks_first_shows_a_handshake_that_was_not_captured() {
    let history = history(
        "0.00 > S  0:0(0)             ; SYN_SENT    UNKNOWN
         0.05 < P. 1:51(50) ack 1     ; ESTABLISHED ESTABLISHED
         0.06 > .  1:1(0) ack 51      ; ESTABLISHED ESTABLISHED
         0.20 < F. 51:51(0) ack 1     ; CLOSE_WAIT  FIN_WAIT_1
         0.21 > F. 1:1(0) ack 52      ; LAST_ACK    TIME_WAIT
         0.22 < .  52:52(0) ack 2     ; CLOSED      TIME_WAIT",
    );
    assert!(history.transitions_of(Role::Server).all(|it| it.confirmation().is_none()));
    // It may be a challenge to the SYN, or to what came before.
    crate::testkit::history(
        "0.00 > S  0:0(0)             ; SYN_SENT    UNKNOWN
         0.05 < .  1:1(0) ack 1       ; SYN_SENT    UNKNOWN",
    );
}

#[test]
fn a_direction_may_carry_more_than_half_of_all_numbers() {
    let step = 900_000_000_u32;
    let mut trace = OPEN.to_owned();
    for at in 1..=4_u32 {
        let seq = 1_u32.wrapping_add(step.wrapping_mul(at));
        let next = seq.wrapping_add(1);
        trace += &format!(
            "{at}.0 < P. {seq}:{next}(1) ack 1 ; ESTABLISHED ESTABLISHED
             {at}.1 > .  1:1(0) ack {next}     ; ESTABLISHED ESTABLISHED\n"
        );
    }
    let fin = 1_u32.wrapping_add(step.wrapping_mul(4)).wrapping_add(1);
    let acked = fin.wrapping_add(1);
    trace += &format!(
        "5.0 < F. {fin}:{fin}(0) ack 1 ; CLOSE_WAIT FIN_WAIT_1
         5.1 > .  1:1(0) ack {acked}   ; CLOSE_WAIT FIN_WAIT_2"
    );
    history(&trace);
}

#[test]
fn a_socket_in_syn_rcvd_challenges_a_keepalive() {
    history(
        "0.00 > S  0:0(0)
         0.01 < S. 0:0(0) ack 1
         0.02 > .  1:1(0) ack 1   ; ESTABLISHED ESTABLISHED
         1.01 < S. 0:0(0) ack 1   ; ESTABLISHED SYN_RCVD
         1.02 > .  1:1(0) ack 1   ; ESTABLISHED ESTABLISHED
         3.01 < S. 0:0(0) ack 1   ; ESTABLISHED SYN_RCVD
         3.02 > .  1:1(0) ack 1   ; ESTABLISHED SYN_RCVD
         3.03 > .  0:0(0) ack 1   ; ESTABLISHED SYN_RCVD
         3.04 < .  1:1(0) ack 1   ; ESTABLISHED SYN_RCVD
         7.00 < P. 1:2(1) ack 1   ; ESTABLISHED ESTABLISHED",
    );
}

#[test]
fn a_reset_after_crossing_syns_leaves_open_which_of_them_came() {
    // Its SYN+ACK may have been lost before the observer.
    let history = history(
        "0.000 > S  0:0(0)        ; SYN_SENT UNKNOWN
         0.005 < S  0:0(0)        ; SYN_RCVD SYN_RCVD
         0.018 > R. 1:1(0) ack 1  ; CLOSED   CLOSED",
    );
    assert!(history.stay_in(Role::Client, State::Established).is_none());
}
