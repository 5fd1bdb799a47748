//! SYN and SYN+ACK, and what answers them.

use super::{confirmation, opened};
use crate::history::{Handshake, History, Role};
use crate::infer::event::Event;
use crate::infer::fact::FactKind;
use crate::infer::state::{Basis, State};
use crate::infer::trail::Transition;
use crate::testkit::history;
use crate::time::Span;

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
fn an_ack_that_says_no_more_than_the_syn_ack_proves_no_handshake() {
    let history = history(&opened("0.02 < . 1:1(0) ack 1 <ts 2:1>"));
    let open = history.stay_in(Role::Server, State::Established).unwrap().entered;
    assert_eq!(open.confirmed.frame, 0);
    let history = self::history(&opened("0.02 < . 1:1(0) ack 1 <ts 2:9>"));
    let open = history.stay_in(Role::Server, State::Established).unwrap().entered;
    assert_eq!(open.confirmed.frame, 4);
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

/// Data that came with the SYN and was not taken comes again, with the handshake's ACK.
#[test]
fn a_refused_fast_open_opens_by_its_third_segment() {
    history(
        "0.00 > S  0:50(50)
         0.01 < S. 0:0(0) ack 1            ; ESTABLISHED SYN_RCVD
         0.02 > P. 1:51(50) ack 1          ; ESTABLISHED ESTABLISHED
         0.03 < .  1:1(0) ack 51           ; ESTABLISHED ESTABLISHED",
    );
}

/// Two hosts that answer to one address.
#[test]
fn another_syn_ack_than_the_acknowledged_one_changes_nothing() {
    let told = history(
        "0.000 > S  0:0(0)
         1.000 > S  0:0(0)
         1.010 < S. 0:0(0) ack 1
         1.011 > .  1:1(0) ack 1
         1.012 < S. 777000:777000(0) ack 1 ; ESTABLISHED ESTABLISHED
         1.100 > P. 1:101(100) ack 1
         1.120 < P. 1:101(100) ack 101
         1.121 > .  101:101(0) ack 101
         2.000 > F. 101:101(0) ack 101
         2.010 < F. 101:101(0) ack 102
         2.011 > .  102:102(0) ack 102      ; TIME_WAIT CLOSED",
    );
    assert!(told.fact(FactKind::Gap, Role::Client).is_none());
}

#[test]
fn a_stray_syn_ack_in_the_middle_of_a_stream_opens_nothing() {
    let told = history(
        "0.000 > P. 1:101(100) ack 1
         0.020 < P. 1:101(100) ack 101
         0.030 < S. 777000:777000(0) ack 101
         0.121 > .  101:101(0) ack 101
         1.000 < P. 101:201(100) ack 101    ; ESTABLISHED ESTABLISHED",
    );
    assert_eq!(told.handshake(), Handshake::NotCaptured);
    assert_eq!(told.side(Role::Server).tally.bytes, 200);
}

/// Which SYN it answers, a SYN+ACK without an echo leaves open: so it may have taken that long, and
/// what it sends soon after an ACK may have been sent before that came.
#[test]
fn an_answer_to_a_repeated_syn_is_timed_from_the_first() {
    let slow = |stamps: [&str; 4]| {
        let [first, second, third, echo] = stamps;
        history(&format!(
            "0.00 > S  0:0(0) {first}
             1.00 > S  0:0(0) {second}
             3.00 > S  0:0(0) {third}
             3.50 < S. 0:0(0) ack 1 {echo}
             3.501 > . 1:1(0) ack 1
             3.51 > P. 1:101(100) ack 1
             4.50 < S. 0:0(0) ack 1
             6.50 < S. 0:0(0) ack 1
             7.01 < .  1:1(0) ack 101       ; ESTABLISHED ESTABLISHED"
        ))
    };
    let unstamped = slow([""; 4]);
    let first = slow(["<ts 10:0>", "<ts 1010:0>", "<ts 3010:0>", "<ts 5:10>"]);
    let newest = slow(["<ts 10:0>", "<ts 1010:0>", "<ts 3010:0>", "<ts 5:3010>"]);
    let repeated = |told: &History| {
        told.fact(FactKind::SynAckRepeatedAfterAck, Role::Server).map_or(0, |it| it.count)
    };
    assert_eq!([repeated(&unstamped), repeated(&first), repeated(&newest)], [0, 0, 1]);
}

/// Both open at once, and one closes or aborts before the other's SYN+ACK has come.
#[test]
fn a_fin_or_rst_from_syn_rcvd_confirms_no_established() {
    for last in ["> F. 1:1(0) ack 1", "> R. 1:1(0) ack 1"] {
        let told = history(&format!(
            "0.00 > S  0:0(0)
             0.01 < S  0:0(0)
             0.02 > S. 0:0(0) ack 1
             0.02 < S. 0:0(0) ack 1
             0.03 {last}
             0.04 < .  1:1(0) ack 2
             0.05 > .  2:2(0) ack 1"
        ));
        let opened = |it: &&Transition| it.to == State::Established;
        let established = told.transitions_of(Role::Client).find(opened);
        assert!(established.is_some_and(|it| it.confirmation().is_none()), "{last}");
    }
}

/// A repeated SYN shows that no answer had come, seen or not.
#[test]
fn a_fin_before_any_syn_ack_was_taken_by_no_socket_that_repeats_its_syn() {
    history(
        "0.00 > S  0:0(0)
         0.01 < F. 1:1(0) ack 1             ; CLOSE_WAIT FIN_WAIT_1
         1.00 > S  0:0(0)                   ; SYN_SENT FIN_WAIT_1",
    );
}

/// A proxy that has not reached the server yet opens with a closed window.
#[test]
fn what_comes_into_a_window_that_was_closed_from_the_start_is_a_probe() {
    let told = history(
        "0.000 > S  0:0(0)
         0.010 < S. 0:0(0) ack 1 win 0
         0.011 > .  1:1(0) ack 1
         0.500 > .  0:0(0) ack 1
         0.510 < .  1:1(0) ack 1 win 0
         1.500 > .  0:0(0) ack 1
         1.510 < .  1:1(0) ack 1 win 500",
    );
    assert!(told.fact(FactKind::Keepalive, Role::Client).is_none());
    assert_eq!(told.fact(FactKind::WindowProbe, Role::Client).map(|it| it.count), Some(2));
    assert_eq!(told.side(Role::Server).tally.zero_window, Span::from_millis(1_500));
}

/// Whoever has something to send asks again and again, later each time.
#[test]
fn probes_of_a_closed_window_that_stop_show_that_their_sender_gave_up() {
    let probes = "0.000 > S  0:0(0)
         0.010 < S. 0:0(0) ack 1
         0.011 > .  1:1(0) ack 1
         0.100 > P. 1:101(100) ack 1
         0.110 < .  1:1(0) ack 101 win 0
         0.400 > .  100:100(0) ack 1
         0.410 < .  1:1(0) ack 101 win 0
         0.800 > .  100:100(0) ack 1
         1.600 > .  100:100(0) ack 1";
    history(&format!("{probes}\n4.2 end    ; ESTABLISHED ESTABLISHED"));
    history(&format!("{probes}\n9.0 end    ; CLOSED ESTABLISHED"));
    // One that comes late, as behind a search for the neighbour's address.
    history(&format!("{probes}\n4.3 > . 100:100(0) ack 1\n9.0 end ; ESTABLISHED ESTABLISHED"));
    let stopped = history(&format!("{probes}\n9.0 end"));
    let [.., last] = &stopped.transitions[..] else { panic!("none") };
    assert_eq!((last.event, last.basis), (Event::GaveUp, Basis::Assumed));
}

/// A closed window takes no byte, and its owner says so.
#[test]
fn an_answer_to_the_probe_of_a_closed_window_need_not_take_its_byte() {
    let told = history(
        "0.000 > S  0:0(0)
         0.010 < S. 0:0(0) ack 1
         0.011 > .  1:1(0) ack 1
         0.100 > P. 1:101(100) ack 1
         0.110 < .  1:1(0) ack 101 win 0
         5.000 > .  101:102(1) ack 1
         5.010 < .  1:1(0) ack 101 win 0
         10.00 > .  101:102(1) ack 1
         10.01 < .  1:1(0) ack 101 win 0
         15.00 > .  101:102(1) ack 1
         15.01 < .  1:1(0) ack 101 win 0
         60.00 end                         ; ESTABLISHED ESTABLISHED",
    );
    assert_eq!(told.side(Role::Client).unanswered_at_end, 0);
    assert_eq!(told.fact(FactKind::WindowProbe, Role::Client).map(|it| it.count), Some(3));
}

#[test]
fn a_window_that_was_closed_from_the_start_opens_with_the_first_segment_that_says_so() {
    let told = history(
        "0.000 > S  0:0(0)
         0.010 < S. 0:0(0) ack 1 win 0
         0.011 > .  1:1(0) ack 1
         0.100 > P. 1:101(100) ack 1
         0.110 < .  1:1(0) ack 101 win 500
         9.000 > P. 101:201(100) ack 1
         9.010 < .  1:1(0) ack 201 win 500",
    );
    let server = told.side(Role::Server);
    assert_eq!((server.window_closed, server.tally.zero_window), (None, Span::from_millis(100)));
}

#[test]
fn a_late_copy_of_a_syn_takes_no_fin_from_who_has_opened() {
    history(
        "0.000 > S  0:0(0) <ts 1:0>
         0.010 < S. 0:0(0) ack 1 <ts 1:1>
         0.011 > .  1:1(0) ack 1 <ts 12:1>
         0.100 < F. 1:1(0) ack 1 <ts 90:12>   ; CLOSE_WAIT FIN_WAIT_1
         2.000 > S  0:0(0) <ts 1:0>          ; CLOSE_WAIT FIN_WAIT_1",
    );
}
