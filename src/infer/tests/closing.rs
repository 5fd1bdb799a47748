//! FINs and their ACKs.

use super::{confirmation, opened};
use crate::history::{Close, ClosedFirst, Handshake, Role};
use crate::infer::event::Event;
use crate::infer::fact::FactKind;
use crate::infer::state::{Basis, State};
use crate::testkit::history;

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
fn ack_of_fin_lost() {
    let history = history(&opened(
        "0.100 > F. 1:1(0) ack 1          ; FIN_WAIT_1 CLOSE_WAIT
         0.110 < .  1:1(0) ack 2          ; FIN_WAIT_2 CLOSE_WAIT
         0.400 > F. 1:1(0) ack 1          ; FIN_WAIT_1 CLOSE_WAIT
         0.410 < .  1:1(0) ack 2          ; FIN_WAIT_2 CLOSE_WAIT",
    ));
    let refuted = &history.refuted[0];
    assert_eq!((refuted.state, refuted.at.frame, refuted.by.frame), (State::FinWait2, 5, 6));
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

/// When somebody gave up no frame shows, whatever passed then.
#[test]
fn a_timer_has_no_frame() {
    let history = history(&opened(
        "0.10 > F. 1:1(0) ack 1
         0.40 > F. 1:1(0) ack 1
         1.00 > F. 1:1(0) ack 1
         2.25 < F. 1:1(0) ack 1
         90.0 end                         ; CLOSED -",
    ));
    let gave_up = history.by_event(Role::Client, &[Event::GaveUp]).unwrap();
    assert_eq!(gave_up.at.frame, 0);
}

/// Where a round trip takes long, or the host waits a second at least, the next repeat is not due
/// when twice the time between the last ones has passed.
#[test]
fn nobody_has_given_up_before_the_timer_is_due() {
    let repeats = "2.10 < P. 1:1449(1448) ack 1
                   2.10 < P. 1449:2897(1448) ack 1
                   2.10 < P. 2897:4345(1448) ack 1
                   2.20 < P. 1:1449(1448) ack 1
                   2.23 < P. 1449:2897(1448) ack 1
                   2.26 < P. 2897:4345(1448) ack 1
                   3.60 end                         ; - ESTABLISHED";
    history(&opened(repeats));
    let gave_up = history(&opened(&format!("{repeats}\n 9.0 end ; - CLOSED")));
    // After so few it may be that its neighbour is not found, and that it holds the socket.
    let gave_up = gave_up.by_event(Role::Server, &[Event::GaveUp]).unwrap();
    assert_eq!(gave_up.basis, Basis::Assumed);
    // It sends, and so it lives.
    let lives = history(&opened(&format!(
        "{repeats}
         4.30 < P. 4345:4400(55) ack 1    ; - ESTABLISHED
         4.50 > R  1:1(0)                 ; CLOSED CLOSED",
    )));
    assert!(lives.by_event(Role::Server, &[Event::GaveUp]).is_none());
    assert!(lives.by_event(Role::Server, &[Event::RecvRst]).is_some());
}

/// That its peer lives, and had not closed, does not make sure that it gave up.
#[test]
fn who_gave_up_after_few_repeats_is_assumed_whatever_its_peer_shows() {
    let history = history(
        "0.0 < .  1:1(0) ack 1
         0.1 > P. 1:11(10) ack 1
         0.4 > P. 1:11(10) ack 1
         1.0 > P. 1:11(10) ack 1
         2.2 > P. 1:11(10) ack 1
         20. end                          ; CLOSED ESTABLISHED
         21. < P. 1:11(10) ack 1          ; CLOSED ESTABLISHED",
    );
    let gave_up = history.by_event(Role::Client, &[Event::GaveUp]).unwrap();
    assert_eq!(gave_up.basis, Basis::Assumed);
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
    // Its own ACK passes before it, too.
    history(&opened(
        "0.1 > F. 1:1(0) ack 1 <ts 100:1>
         0.110 < .  2:2(0) ack 2 <ts 205:100>  ; FIN_WAIT_2 CLOSING
         0.112 > .  2:2(0) ack 2 <ts 112:205>  ; TIME_WAIT  TIME_WAIT
         0.120 < F. 1:1(0) ack 2 <ts 200:100>  ; TIME_WAIT  CLOSED",
    ));
    let known = history(&opened(
        "0.1 > F. 1:1(0) ack 1 <ts 100:1>
         0.110 < .  1:1(0) ack 2 <ts 205:100>  ; FIN_WAIT_2 CLOSE_WAIT
         0.112 > .  2:2(0) ack 2 <ts 112:205>  ; TIME_WAIT  CLOSED
         0.120 < F. 1:1(0) ack 2 <ts 200:100>  ; TIME_WAIT  CLOSED",
    ));
    assert!(known.refuted.is_empty(), "{:?}", known.refuted);
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
         0.41 < .  1:1(0) ack 2 <ts 200:100> ; FIN_WAIT_2 CLOSE_WAIT",
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
fn acknowledged_data_has_brought_the_ack_of_the_fin() {
    let close = |data: &str| {
        history(&opened(&format!(
            "0.100 > F. 1:1(0) ack 1          ; FIN_WAIT_1 CLOSE_WAIT
             0.101 < {data}
             0.300 < P. 1:501(500) ack 2
             0.400 > F. 1:1(0) ack 1
             0.401 > .  2:2(0) ack 501
             2.000 < F. 501:501(0) ack 2      ; TIME_WAIT  LAST_ACK"
        )))
    };
    // The first copy was lost, or the second was not needed: either one had the ACK.
    let told = close("P. 1:501(500) ack 2");
    let half_closed = told.stay_in(Role::Client, State::FinWait2).unwrap();
    assert_eq!(half_closed.entered.at.frame, 6);
    // The first copy may have brought the data, and only the second the ACK.
    let open = close("P. 1:501(500) ack 1");
    assert!(open.stay_in(Role::Client, State::FinWait2).is_none());
}

#[test]
fn a_repeated_fin_says_that_the_peers_had_not_come() {
    history(&opened(
        "0.10 < F. 1:1(0) ack 1           ; CLOSE_WAIT FIN_WAIT_1
         0.14 > F. 1:1(0) ack 2           ; LAST_ACK   TIME_WAIT
         0.35 < F. 1:1(0) ack 1           ; LAST_ACK   FIN_WAIT_1
         0.35 > .  2:2(0) ack 2           ; LAST_ACK   FIN_WAIT_2
         0.38 > F. 1:1(0) ack 2           ; LAST_ACK   TIME_WAIT
         0.38 < .  2:2(0) ack 2           ; CLOSED     TIME_WAIT",
    ));
}

#[test]
fn a_fin_comes_no_sooner_than_it_was_sent() {
    let history = history(&opened(
        "0.10   > .  1:1(0) ack 2         ; CLOSE_WAIT -
         0.11   < P. 2:52(50) ack 1       ; ESTABLISHED ESTABLISHED
         0.12   > .  1:1(0) ack 52
         100.00 < F. 52:52(0) ack 1       ; CLOSE_WAIT FIN_WAIT_1
         100.30 < F. 52:52(0) ack 1
         100.31 > .  1:1(0) ack 53 <sack 52:53>",
    ));
    let came = history.stay_in(Role::Client, State::CloseWait).unwrap();
    assert_eq!(came.entered.at.frame, 7);
}

#[test]
fn a_fin_that_comes_late_as_the_first_answer_may_not_be_the_first_of_its_kind() {
    let closed = |answer: &str| {
        let history = history(&opened(&format!(
            "0.100 > F. 1:1(0) ack 1          ; FIN_WAIT_1 CLOSE_WAIT
             {answer}                         ; TIME_WAIT  LAST_ACK"
        )));
        let states = [State::CloseWait, State::LastAck];
        states.map(|state| history.stay_in(Role::Server, state).unwrap().entered)
    };
    let [waits, last] = closed("0.12 < F. 1:1(0) ack 2");
    assert_eq!((waits.confirmed.frame, last.basis), (5, Basis::Observed));
    // An ACK must have been lost, and the FIN may have been sent before the client's came.
    let [waits, last] = closed("0.4 < F. 1:1(0) ack 2");
    assert_eq!((waits.confirmed.frame, last.basis), (0, Basis::Assumed));
}

#[test]
fn a_bare_ack_shows_that_the_fin_had_been_sent_before_it() {
    let history = history(&opened(
        "0.100 < F. 1:1(0) ack 1           ; CLOSE_WAIT FIN_WAIT_1
         0.110 > .  52:52(0) ack 2         ; CLOSE_WAIT FIN_WAIT_2
         0.111 > P. 1:51(50) ack 1
         0.150 < .  2:2(0) ack 51
         0.160 > F. 51:51(0) ack 2         ; LAST_ACK   TIME_WAIT
         0.161 < .  2:2(0) ack 52          ; CLOSED     TIME_WAIT",
    ));
    let sent = history.stay_in(Role::Client, State::LastAck).unwrap().entered;
    assert_eq!((sent.at.frame, sent.basis), (8, Basis::Assumed));
}

#[test]
fn a_fin_takes_no_moment_of_an_earlier_byte() {
    let history = history(&opened(
        "0.10   > .  1:1(0) ack 2         ; CLOSE_WAIT -
         0.11   < P. 2:52(50) ack 1       ; ESTABLISHED ESTABLISHED
         0.12   > .  1:1(0) ack 52
         100.00 < F. 52:52(0) ack 1       ; CLOSE_WAIT FIN_WAIT_1
         100.02 > .  1:1(0) ack 52        ; ESTABLISHED FIN_WAIT_1
         100.30 < F. 52:52(0) ack 1
         100.31 > .  1:1(0) ack 53 <sack 52:53>",
    ));
    let came = history.stay_in(Role::Client, State::CloseWait).unwrap();
    assert_eq!(came.entered.at.frame, 7);
}

/// A clock that was ahead stays ahead: what the network brings late does not turn it back.
#[test]
fn a_fin_that_two_later_segments_overtook_did_not_cross_the_other() {
    history(
        "0.000 > S  0:0(0) <ts 1000:0>
         0.020 < S. 0:0(0) ack 1 <ts 1010:1000>
         0.040 > .  1:1(0) ack 1 <ts 1040:1010>
         0.100 < F. 1:1(0) ack 1 <ts 1100:1040>
         0.120 > .  2:2(0) ack 2 <ts 1112:1100>
         0.1205 > . 1:1(0) ack 2 <ts 1110:1100>
         0.121 > F. 1:1(0) ack 2 <ts 1110:1100>
         0.145 < .  2:2(0) ack 2 <ts 1130:1110>  ; CLOSED TIME_WAIT",
    );
}

/// An old packet, or another's.
#[test]
fn a_fin_before_what_was_acknowledged_long_ago_closes_nothing() {
    let told = history(&opened(
        "0.100 > P. 1:101(100) ack 1
         0.120 < P. 1:101(100) ack 101
         0.121 > .  101:101(0) ack 101
         0.500 < F. 51:51(0) ack 101          ; ESTABLISHED ESTABLISHED
         9.000 > P. 101:201(100) ack 101
         9.100 < P. 101:201(100) ack 201
         9.200 > .  201:201(0) ack 201        ; ESTABLISHED ESTABLISHED",
    ));
    assert!(told.fact(FactKind::DataAfterFin, Role::Server).is_none());
}

#[test]
fn a_late_bare_ack_from_before_its_fin_gives_nobody_back_a_closed_socket() {
    history(&opened(
        "0.100 > P. 1:101(100) ack 1
         0.120 < P. 1:101(100) ack 101
         0.121 > .  101:101(0) ack 101
         1.000 > F. 101:101(0) ack 101
         1.010 < .  101:101(0) ack 102
         1.500 < F. 101:101(0) ack 102
         1.501 > .  102:102(0) ack 102        ; TIME_WAIT CLOSED
         2.000 < .  101:101(0) ack 102        ; TIME_WAIT CLOSED",
    ));
}

/// The answer to a FIN that shows in its acknowledgement alone: three segments, and none crossed.
#[test]
fn a_fin_that_was_not_captured_and_answers_the_other_did_not_cross_it() {
    history(&opened(
        "0.100 > P. 1:101(100) ack 1
         0.120 < P. 1:101(100) ack 101
         0.121 > .  101:101(0) ack 101
         1.000 < F. 101:101(0) ack 101
         1.012 < .  102:102(0) ack 102        ; CLOSED TIME_WAIT",
    ));
}

/// Nothing shows that it had a socket that could wait for that.
#[test]
fn an_overtaken_fin_of_an_unknown_state_is_not_acknowledged() {
    history(
        "0.000 < R 0:0(0)
         0.000 > . 0:0(0) ack 4
         0.000 < . 5:5(0) ack 0
         0.211 < . 0:0(0) ack 2
         0.211 > . 0:0(0) ack 5
         0.211 < F. 0:0(0) ack 0   ; UNKNOWN UNKNOWN",
    );
}

const WAITING: &str = "0.100 > F. 1:1(0) ack 1
    0.110 < F. 1:1(0) ack 2
    0.120 > .  2:2(0) ack 2                  ; TIME_WAIT CLOSED
";

#[test]
fn an_ack_that_says_nothing_new_starts_the_two_lifetimes_again() {
    history(&opened(&format!(
        "{WAITING}
         30.00 < .  2:2(0) ack 2             ; TIME_WAIT -
         89.00 end                           ; TIME_WAIT -"
    )));
    history(&opened(&format!("{WAITING}61.0 end ; CLOSED -")));
}

/// There is no window in TIME_WAIT that a RST could lie in (Linux: tcp_timewait_state_process).
#[test]
fn a_reset_ahead_is_challenged_by_nobody_in_time_wait() {
    let told = history(&opened(&format!("{WAITING}0.500 < R 90:90(0) ; TIME_WAIT CLOSED")));
    assert!(told.fact(FactKind::InexactRst, Role::Server).is_none());
    assert!(told.fact(FactKind::IgnoredRst, Role::Server).is_some());
}
