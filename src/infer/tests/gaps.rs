//! What the capture or the network lost.

use super::{OPEN, opened};
use crate::history::{ClosedFirst, Role};
use crate::infer::event::Event;
use crate::infer::fact::FactKind;
use crate::infer::state::{Basis, State};
use crate::testkit::history;

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
    let each_overtaken_by_its_ack: String = (0..8)
        .map(|at| format!("0.10{at} < . 1:1(0) ack {}\n", 101 + at * 100))
        .chain((0..8).map(|at| {
            let from = 1 + at * 100;
            format!("0.11{at} > P. {from}:{}(100) ack 1\n", from + 100)
        }))
        .collect();
    let sent = client(&each_overtaken_by_its_ack);
    assert_eq!((sent.bytes, sent.retransmitted, sent.missing), (800, 0, 0));
    let sent = client(&format!("{each_overtaken_by_its_ack}0.5 > P. 1:101(100) ack 1"));
    assert_eq!((sent.bytes, sent.retransmitted, sent.missing), (800, 1, 0));
    let with_a_fin_the_second_time = client(
        "0.100 > P. 1:101(100) ack 1
         0.500 > FP. 1:101(100) ack 1",
    );
    assert_eq!(with_a_fin_the_second_time.bytes, 100);
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

/// What the FIN acknowledges and nobody captured may end with the peer's own FIN.
#[test]
fn a_fin_over_what_was_not_captured_may_have_been_the_second() {
    let first = |text: &str| {
        let history = history(text);
        (history.closed_first(), history.closed_by_either_first())
    };
    let only_the_server = "
        0.000 < S. 0:0(0) ack 1
        0.050 < F. 41:41(0) ack 42";
    assert_eq!(first(only_the_server), (None, true));
    let gap = opened(
        "0.100 < P. 1:1201(1200) ack 20
         0.101 > .  20:20(0) ack 1201
         2.000 < F. 1201:1201(0) ack 20
         2.001 > .  20:20(0) ack 1202",
    );
    assert_eq!(first(&gap), (None, true));
    let later_data = opened(
        "0.100 < P. 1:1201(1200) ack 20
         0.101 > .  20:20(0) ack 1201
         0.200 > P. 20:40(20) ack 1201
         2.000 < F. 1201:1201(0) ack 40
         2.001 > .  40:40(0) ack 1202",
    );
    assert_eq!(first(&later_data), (Some(ClosedFirst::Server), false));
    assert_eq!(first(&opened("0.100 > P. 1:20(19) ack 1")), (None, false));
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

/// The client's answers come by another way: that the server stops repeating its SYN+ACK shows no
/// failure, and what it acknowledges shows that the handshake was complete.
#[test]
fn a_server_whose_client_is_not_captured_has_not_given_up() {
    let history = history(
        "0.000 < S. 0:0(0) ack 1
         5.500 end                  ; ESTABLISHED SYN_RCVD
         6.000 < .  1:1(0) ack 301  ; ESTABLISHED ESTABLISHED
         90.00 end                  ; ESTABLISHED ESTABLISHED",
    );
    assert!(history.by_event(Role::Server, &[Event::GaveUp]).is_none());
}

/// The SYN brought data, and the SYN+ACK that may have taken it is missing: the server may have
/// spoken before the handshake's ACK came.
#[test]
fn an_unseen_syn_ack_may_have_accepted_fast_open() {
    let history = history(
        "0.000 > S  0:5(5)
         0.102 > .  6:6(0) ack 1
         0.103 < P. 1:7(6) ack 6
         0.104 > .  6:6(0) ack 7",
    );
    let opened = history.by_event(Role::Server, &[Event::RecvAckOfSyn]).unwrap();
    assert_eq!(opened.confirmed.frame, 0);
}

/// Nor has whoever repeats what an end that is not captured may have answered.
#[test]
fn repeats_to_an_end_that_is_not_captured_show_no_failure() {
    history(
        "0.0 > S  0:0(0)
         0.1 > .  1:1(0) ack 1
         0.2 > F. 1:1(0) ack 1
         0.4 > F. 1:1(0) ack 1
         0.8 > F. 1:1(0) ack 1
         1.6 > F. 1:1(0) ack 1
         90. end                    ; FIN_WAIT_1 -",
    );
}

/// But no answer makes a server repeat its SYN+ACK to the end.
#[test]
fn whoever_repeats_to_the_end_has_given_up_captured_answers_or_not() {
    history(
        "0.0 < S. 0:0(0) ack 1
         1.0 < S. 0:0(0) ack 1
         3.0 < S. 0:0(0) ack 1
         7.0 < S. 0:0(0) ack 1
         14. end                    ; ESTABLISHED SYN_RCVD
         90. end                    ; ESTABLISHED CLOSED",
    );
}

/// A byte of the client is lost, and taken for its FIN. What was told of that FIN is not told of
/// the true one, and what the RST did to the wrong states it did to the right ones.
#[test]
fn what_was_heard_of_a_lost_byte_was_not_its_fin() {
    let unheard = history(&opened(
        "0.10 < P. 1:11(10) ack 2         ; FIN_WAIT_2 CLOSE_WAIT
         0.15 > P. 2:12(10) ack 11        ; ESTABLISHED ESTABLISHED
         0.20 < .  11:11(0) ack 12
         1.00 > F. 12:12(0) ack 11
         1.50 < P. 11:21(10) ack 12
         1.60 > .  13:13(0) ack 21        ; FIN_WAIT_1 -",
    ));
    assert!(unheard.stay_in(Role::Client, State::FinWait2).is_none());
    let reset = history(&opened(
        "0.15 < F. 1:1(0) ack 2           ; TIME_WAIT LAST_ACK
         0.20 > .  2:2(0) ack 2
         70.0 < R. 2:2(0) ack 2
         70.1 > P. 2:12(10) ack 2         ; CLOSED CLOSED",
    ));
    let ended = reset.by_event(Role::Client, &[Event::RecvRst]).unwrap();
    assert_eq!(ended.from, State::CloseWait);
    let early = history(&opened(
        "0.15 < F. 1:1(0) ack 2           ; TIME_WAIT LAST_ACK
         0.20 > .  2:2(0) ack 2
         5.00 < R  2:2(0)
         5.10 > P. 2:12(10) ack 2         ; CLOSED CLOSED",
    ));
    assert!(early.fact(FactKind::Assassinated, Role::Client).is_none());
}

/// Each new byte shows that those before it were answered, by an end that is not captured.
#[test]
fn whoever_goes_on_to_an_end_that_is_not_captured_is_answered() {
    let lost: String = (0..6)
        .map(|n| {
            let (at, from, to) = (n * 10, 1 + n * 100, 101 + n * 100);
            format!(
                "{at}.1 < P. {from}:{to}(100) ack 11\n{at}.5 < P. {from}:{to}(100) ack 11\n\
                 {at}.9 < P. {from}:{to}(100) ack 11\n"
            )
        })
        .collect();
    history(&format!("0.0 < S. 0:0(0) ack 1\n{lost}400. end ; ESTABLISHED ESTABLISHED"));
}

/// The byte made a CLOSE_WAIT doubtful that was there: it is told of the FIN that brought it.
#[test]
fn a_lost_byte_does_not_move_the_fin_that_came_before_it() {
    let history = history(&opened(
        "0.1 > P. 1:11(10) ack 1
         0.2 < .  1:1(0) ack 11
         1.0 > F. 11:11(0) ack 1          ; FIN_WAIT_1 CLOSE_WAIT
         5.0 < .  2:2(0) ack 12
         6.0 < P. 2:12(10) ack 12         ; FIN_WAIT_2 CLOSE_WAIT",
    ));
    let waits = history.stay_in(Role::Server, State::CloseWait).unwrap();
    assert_eq!(waits.entered.at.frame, 6);
    assert!(history.refuted.iter().all(|it| it.state != State::CloseWait), "{history:?}");
}

/// The client was not known to have opened, so nothing moved by the FIN that it was taken to have
/// sent; and the server's own FIN did pass.
#[test]
fn a_lost_byte_before_the_handshake_was_seen_undoes_no_other_fin() {
    let history = history(
        "0.0 > S  0:0(0)
         0.1 > .  2:2(0) ack 1
         0.2 < .  1:1(0) ack 2
         0.3 < F. 1:1(0) ack 2
         0.4 > P. 2:12(10) ack 2
         0.5 < .  2:2(0) ack 12
         0.6 > F. 12:12(0) ack 2
         0.7 < .  2:2(0) ack 13",
    );
    assert_ne!(history.last_state(Role::Server), State::CloseWait, "{history:?}");
}

/// What it repeated was data, and it had its answer.
#[test]
fn who_repeated_data_behind_a_lost_byte_has_not_given_up() {
    let history = history(&opened(
        "0.10 > P. 1:11(10) ack 1
         0.20 < P. 1:5(4) ack 1
         0.25 > .  12:12(0) ack 5
         0.50 > P. 1:11(10) ack 5
         1.10 > P. 1:11(10) ack 5
         30.0 < .  5:5(0) ack 13",
    ));
    assert_eq!(history.last_state(Role::Client), State::Established, "{history:?}");
}

/// One byte is missing, and is taken for a FIN, until the FIN comes behind it, or more: then the
/// client closed first, whatever was believed when it did.
#[test]
fn a_lost_byte_was_no_fin_though_the_peer_has_closed_since() {
    for last in ["60.1 < F. 2:2(0) ack 9 ; TIME_WAIT LAST_ACK", "60.1 < P. 2:12(10) ack 9"] {
        let history = history(&opened(&format!(
            "0.100 > P. 1:8(7) ack 1
             0.101 < .  1:1(0) ack 8
             0.102 > .  8:8(0) ack 2          ; CLOSE_WAIT FIN_WAIT_2
             60.00 > F. 8:8(0) ack 2          ; LAST_ACK   TIME_WAIT
             {last}",
        )));
        assert_eq!(history.closed_first(), Some(ClosedFirst::Client));
        let wait = history.by_event(Role::Client, &[Event::RecvFin]);
        assert!(wait.is_none_or(|it| it.to == State::TimeWait), "{history:?}");
        let refuted = history.refuted.iter().map(|it| it.state);
        assert!(refuted.clone().any(|it| it == State::CloseWait), "{history:?}");
        assert!(history.transitions.iter().all(|it| !history.refuted.iter().any(|refuted| {
            (refuted.end, refuted.state, refuted.at) == (it.end, it.to, it.at)
        })));
    }
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
fn a_byte_that_an_ack_overtook_is_no_fin_and_the_peers_has_come() {
    history(&opened(
        "0.100 < F. 1:1(0) ack 1           ; CLOSE_WAIT FIN_WAIT_1
         0.101 > .  2:2(0) ack 2           ; CLOSING    FIN_WAIT_2
         0.102 > P. 1:2(1) ack 2           ; CLOSE_WAIT FIN_WAIT_2",
    ));
}

#[test]
fn a_fin_that_was_acknowledged_before_it_passed_settles_nothing() {
    let history = history(
        "0.0 > F. 1:1(0) ack 3             ; FIN_WAIT_1 -
         0.2 < F. 2:2(0) ack 1
         0.3 > F. 1:1(0) ack 3",
    );
    let closed = history.transitions_of(Role::Client).find(|it| it.event == Event::SentFin);
    assert_eq!(closed.map(|it| it.basis), Some(Basis::Assumed));
}

#[test]
fn a_capture_that_begins_with_a_keepalive_misses_no_byte() {
    let told = history(
        "0.00 > .  0:0(0) ack 1
         0.01 < .  1:1(0) ack 1
         9.00 > P. 1:101(100) ack 1
         9.01 < .  1:1(0) ack 101            ; ESTABLISHED ESTABLISHED",
    );
    assert!(told.fact(FactKind::Gap, Role::Client).is_none());
    assert_eq!(told.side(Role::Client).tally.missing, 0);
}

/// No window reaches so far.
#[test]
fn an_ack_a_quarter_of_all_numbers_ahead_acknowledges_nothing() {
    let told = history(&opened(
        "0.10 > P. 1:101(100) ack 1
         0.11 < .  1:1(0) ack 1200000000
         0.12 < .  1:1(0) ack 101
         0.20 > P. 101:201(100) ack 1        ; ESTABLISHED ESTABLISHED",
    ));
    assert!(told.fact(FactKind::Gap, Role::Client).is_none());
    assert_eq!(told.side(Role::Client).tally.bytes, 200);
}
