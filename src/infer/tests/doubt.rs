//! What must stay in doubt.

use super::opened;
use crate::history::{History, Role};
use crate::infer::event::Event;
use crate::infer::fact::FactKind;
use crate::infer::state::{Basis, State};
use crate::infer::trail::Transition;
use crate::testkit::history;

/// States that are told for certain: observed, or inferred and confirmed.
fn certain(told: &History, role: Role) -> Vec<State> {
    let sure = |t: &&Transition| t.basis == Basis::Observed || t.confirmation().is_some();
    told.transitions_of(role).filter(sure).map(|t| t.to).collect()
}

const SETTLED: &str = "0.100 < P. 1:101(100) ack 1
    0.400 < P. 1:101(100) ack 1
    0.410 > .  1:1(0) ack 101
    0.415 > F. 1:1(0) ack 101
    0.425 < .  101:101(0) ack 2
    0.500 > R  502:502(0)
    0.510 < .  101:101(0) ack 2
    10 end";

#[test]
fn a_forged_reset_ahead_stays_in_doubt_when_other_doubts_settle() {
    assert!(!certain(&history(&opened(SETTLED)), Role::Client).contains(&State::Closed));
}

#[test]
fn a_guessed_old_reset_stays_in_doubt_when_other_doubts_settle() {
    let told = history(&opened(
        "0.050 > P. 1:101(100) ack 1
         0.060 < .  1:1(0) ack 101
         0.100 < P. 1:101(100) ack 101
         0.400 < P. 1:101(100) ack 101
         0.410 > .  101:101(0) ack 101
         0.415 > F. 101:101(0) ack 101
         0.425 < .  101:101(0) ack 102
         0.500 > R  51:51(0)
         10 end",
    ));
    assert!(!certain(&told, Role::Client).contains(&State::Closed));
}

#[test]
fn a_reset_mid_stream_stays_in_doubt_when_other_doubts_settle() {
    let told = history(
        "0.000 < P. 1:11(10) ack 1
         0.010 > .  1:1(0) ack 11
         0.100 < R  101:101(0)
         0.101 > .  1:1(0) ack 11
         0.200 > P. 1:51(50) ack 11",
    );
    assert!(!certain(&told, Role::Server).contains(&State::Closed));
}

#[test]
fn a_fin_may_be_a_repeat_where_its_first_copy_and_an_ack_are_missing() {
    let told = history(&opened(
        "0.450 > F. 1:1(0) ack 1
         0.516 < F. 1:1(0) ack 2
         0.517 > .  2:2(0) ack 2",
    ));
    assert!(!certain(&told, Role::Server).contains(&State::LastAck));
}

#[test]
fn an_older_ack_shows_that_the_fin_was_sent_before() {
    let told = history(
        "0.000 > S  0:0(0) <mss 1460,wscale 7,sackOK,ts 1:0>
         0.010 < S. 0:0(0) ack 1 <mss 1460,wscale 7,sackOK,ts 1:1>
         0.011 > .  1:1(0) ack 1 <ts 2:1>
         0.450 > F. 1:1(0) ack 1 <ts 450:1>
         0.476 < F. 1:1(0) ack 2 <ts 471:450>
         0.477 > .  2:2(0) ack 2 <ts 477:471>
         0.488 < .  2:2(0) ack 2 <ts 455:450>",
    );
    assert!(!certain(&told, Role::Server).contains(&State::LastAck));
}

#[test]
fn data_as_the_late_first_answer_leaves_the_fin_in_doubt() {
    let told = history(&opened(
        "0.100 > F. 1:1(0) ack 1
         0.400 < P. 1:1449(1448) ack 2
         0.401 > .  2:2(0) ack 1449
         0.411 < F. 1449:1449(0) ack 2
         0.412 > .  2:2(0) ack 1450",
    ));
    assert!(!certain(&told, Role::Server).contains(&State::LastAck));
}

#[test]
fn a_fin_from_an_unproven_close_wait_is_in_doubt() {
    let told = history(&opened(
        "0.100 > F. 1:1(0) ack 1
         0.322 > F. 1:1(0) ack 1
         0.354 < P. 1:1449(1448) ack 2
         0.357 > .  2:2(0) ack 1449
         0.367 < F. 1449:1449(0) ack 2
         0.368 > .  2:2(0) ack 1450",
    ));
    assert!(!certain(&told, Role::Server).contains(&State::LastAck));
}

#[test]
fn an_unseen_fin_may_lie_behind_an_unseen_syn_ack() {
    let told = history(
        "0.000 > S 0:0(0)
         0.003 > F. 1:1(0) ack 2
         0.004 < .  2:2(0) ack 2",
    );
    assert!(!certain(&told, Role::Client).contains(&State::FinWait1));
    assert!(!certain(&told, Role::Server).contains(&State::CloseWait));
}

#[test]
fn a_reset_ahead_that_was_disowned_is_not_given_back_as_known() {
    let told = history(&opened(
        "0.10 > F. 1:1(0) ack 1
         0.11 < .  1:1(0) ack 2
         0.20 < R. 501:501(0) ack 2
         100 < F. 1:1(0) ack 2
         100.01 > R  2:2(0)",
    ));
    let closed = told.transitions_of(Role::Client).find(|it| it.to == State::Closed).unwrap();
    assert_eq!((closed.at.frame, closed.event), (8, Event::SentRstWithoutSocket));
}

#[test]
fn a_challenge_shows_the_half_closed_socket() {
    history(&opened(
        "0.10 > F. 1:1(0) ack 1
         0.11 < .  1:1(0) ack 2
         0.20 < R. 501:501(0) ack 2
         0.201 > .  2:2(0) ack 1
         60 end            ; FIN_WAIT_2 -",
    ));
}

#[test]
fn data_that_came_without_the_ack_brings_none() {
    history(&opened(
        "0.100 > F. 1:1(0) ack 1
         0.140 < P. 1:101(100) ack 2
         0.141 < P. 1:101(100) ack 1
         0.142 > .  2:2(0) ack 101
         0.400 > F. 1:1(0) ack 101
         0.800 > F. 1:1(0) ack 101
         1.600 > F. 1:1(0) ack 101      ; FIN_WAIT_1 CLOSE_WAIT",
    ));
    // That copy may not have passed the observer at all.
    history(&opened(
        "0.100 > F. 1:1(0) ack 1
         0.140 < P. 1:101(100) ack 2
         0.142 > .  2:2(0) ack 101
         0.400 > F. 1:1(0) ack 101      ; FIN_WAIT_1 CLOSE_WAIT",
    ));
    // An older copy, without the ACK, may have been the one that came.
    history(&opened(
        "0.100 > F. 1:1(0) ack 1
         0.140 < P. 1:101(100) ack 2
         0.400 > F. 1:1(0) ack 1
         0.500 < P. 1:101(100) ack 1
         0.501 > .  2:2(0) ack 101      ; FIN_WAIT_1 CLOSE_WAIT",
    ));
}

#[test]
fn an_earlier_forged_reset_does_not_undo_a_later_one() {
    let rest = "0.900 > P. 1:11(10) ack 101
         0.910 < .  101:101(0) ack 11
         1.000 < P. 101:301(200) ack 11
         1.010 > F. 11:11(0) ack 301
         1.020 < .  301:301(0) ack 12
         1.090 < P. 301:501(200) ack 12
         1.100 < R. 801:801(0) ack 12
         1.101 > .  12:12(0) ack 501    ; CLOSED CLOSED";
    let before = "0.100 < P. 1:101(100) ack 1
         0.110 > .  1:1(0) ack 101\n";
    history(&opened(&format!("{before}{rest}")));
    history(&opened(&format!("{before}0.300 < R  101:101(0)\n{rest}")));
}

#[test]
fn what_is_received_has_a_frame() {
    let told = history(
        "0.000 > S  0:0(0) <mss 1460,wscale 7,sackOK,ts 1:0>
         0.010 < S. 0:0(0) ack 1 <mss 1460,wscale 7,sackOK,ts 1:1>
         0.011 > .  1:1(0) ack 1 <ts 2:1>
         0.100 > .  2:2(0) ack 1 <ts 10:1>
         0.101 < R. 1:1(0) ack 2
         0.102 > F. 1:1(0) ack 1 <ts 9:1>",
    );
    assert!(told.transitions.iter().all(|t| t.at.frame > 0 || t.basis == Basis::Timer));
}

#[test]
fn a_close_wait_that_an_ack_has_shown_stays() {
    history(
        "0.000 > S  0:0(0) <mss 1460,wscale 7,sackOK,ts 1:0>
         0.010 < S. 0:0(0) ack 1 <mss 1460,wscale 7,sackOK,ts 1:1>
         0.011 > .  1:1(0) ack 1 <ts 2:1>
         0.450 > F. 1:1(0) ack 1 <ts 450:1>
         0.461 < .  1:1(0) ack 2 <ts 452:450>
         0.700 < F. 1:1(0) ack 2 <ts 700:450>  ; TIME_WAIT LAST_ACK
         0.701 > .  2:2(0) ack 2 <ts 701:700>  ; TIME_WAIT CLOSED
         0.710 < .  2:2(0) ack 2 <ts 690:450>  ; TIME_WAIT CLOSED",
    );
}

#[test]
fn a_late_answer_is_no_measure_of_itself() {
    let told = history(
        "0.000 > F. 1:1(0) ack 1
         0.072 < F. 1:1(0) ack 2
         0.079 > .  2:2(0) ack 2",
    );
    assert!(!certain(&told, Role::Server).contains(&State::LastAck));
}

/// A sender that paces has more to send than is on its way, and a FIN of its own may wait behind.
#[test]
fn data_that_goes_on_over_the_peer_s_fin_leaves_open_who_closed_first() {
    let goes_on = history(&opened(
        "0.100 > . 1:1449(1448) ack 1
         0.102 < F. 1:1(0) ack 1449
         0.104 > . 1449:2897(1448) ack 2
         0.13 < .  2:2(0) ack 2897
         0.14 > F. 2897:2897(0) ack 2
         0.15 < .  2:2(0) ack 2898          ; CLOSED TIME_WAIT",
    ));
    for state in [State::CloseWait, State::LastAck, State::Closed] {
        let entered = goes_on.stay_in(Role::Client, state).unwrap().entered;
        assert_eq!(entered.basis, Basis::Assumed, "{state}");
    }
    assert!(goes_on.fact(FactKind::HalfCloseData, Role::Client).is_none());
    // Whoever pauses had sent all that it had.
    let pauses = history(&opened(
        "0.10 > . 1:1449(1448) ack 1
         0.11 < F. 1:1(0) ack 1449
         0.12 > .  1449:1449(0) ack 2
         3.12 > . 1449:2897(1448) ack 2
         3.121 > . 2897:4345(1448) ack 2
         3.13 < .  2:2(0) ack 4345
         3.14 > F. 4345:4345(0) ack 2       ; LAST_ACK TIME_WAIT",
    ));
    let entered = pauses.stay_in(Role::Client, State::CloseWait).unwrap().entered;
    assert_eq!((entered.basis, entered.confirmed.frame), (Basis::Inferred, 6));
    assert!(pauses.fact(FactKind::HalfCloseData, Role::Client).is_some());
}

/// Where the capture began behind the client's FIN, that is in doubt however often the server's
/// FIN comes.
#[test]
fn a_fin_that_may_have_been_missed_stays_in_doubt() {
    let told = history(
        "0.0 > .  1:1(0) ack 1
         1.4 < F. 1:1(0) ack 1
         1.6 < F. 1:1(0) ack 1
         2.1 < F. 1:1(0) ack 1
         2.2 > .  1:1(0) ack 2              ; CLOSE_WAIT FIN_WAIT_2",
    );
    for role in Role::BOTH {
        assert!(told.transitions_of(role).all(|it| it.basis == Basis::Assumed), "{told:#?}");
    }
}

#[test]
fn who_repeated_data_until_the_peer_s_fin_may_have_closed() {
    let told = history(&opened(
        "1.0 > P. 1:41(40) ack 1
         1.2 > P. 1:41(40) ack 1
         1.6 > P. 1:41(40) ack 1
         2.4 > P. 1:41(40) ack 1
         9.0 < F. 1:1(0) ack 1
         9.1 > .  41:41(0) ack 2            ; CLOSE_WAIT FIN_WAIT_2",
    ));
    let entered = told.stay_in(Role::Client, State::CloseWait).unwrap().entered;
    assert_eq!(entered.basis, Basis::Assumed);
}

/// Its repeats show that the ACK of its data was lost, and a FIN of its own may wait behind them.
#[test]
fn who_repeats_what_was_acknowledged_may_have_closed() {
    let told = history(&opened(
        "0.10 < P. 1:601(600) ack 1
         0.11 > .  1:1(0) ack 601
         0.40 < P. 1:601(600) ack 1
         1.00 < P. 1:601(600) ack 1
         3.00 > F. 1:1(0) ack 601
         3.01 < .  601:601(0) ack 2
         3.02 < F. 601:601(0) ack 2
         3.03 > .  2:2(0) ack 602           ; TIME_WAIT CLOSED",
    ));
    for state in [State::CloseWait, State::LastAck] {
        let entered = told.stay_in(Role::Server, state).unwrap().entered;
        assert_eq!(entered.basis, Basis::Assumed, "{state}");
    }
}
