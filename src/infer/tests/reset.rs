//! RST: whose socket it ends, and who believes it.

use super::{confirmation, opened};
use crate::history::{Close, Handshake, History, Role};
use crate::infer::event::Event;
use crate::infer::fact::FactKind;
use crate::infer::state::{Basis, State};
use crate::testkit::history;

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
fn a_rst_that_came_another_way_says_nothing_certain_of_its_sender() {
    for (ttl, basis) in [(64, Basis::Observed), (62, Basis::Observed), (255, Basis::Assumed)] {
        let history = history(&opened(&format!(
            "0.1 > P. 1:51(50) ack 1
             0.2 < R  1:1(0) ttl {ttl}         ; CLOSED CLOSED",
        )));
        let events = [Event::SentRst, Event::SentRstWithoutSocket];
        let reset = history.by_event(Role::Server, &events).expect("it is taken for its own");
        assert_eq!(reset.basis, basis, "{ttl}");
        let strange = history.fact(FactKind::StrangeTtl, Role::Server).is_some();
        assert_eq!(strange, basis == Basis::Assumed, "{ttl}");
    }
}

/// It never passed the hop behind which its alleged sender is.
#[test]
fn a_rst_from_nearer_than_its_sender_is_strange() {
    for (usual, ttl, is_strange) in [
        (63, 64, true),
        (126, 128, true),
        (254, 255, true),
        // Another route, of which the observer sees the end only.
        (62, 63, false),
        (126, 127, false),
        // The sender, or the observer, moved away; or it is the observer's neighbour all along.
        (64, 63, false),
        (63, 63, false),
        (64, 64, false),
        (0, 64, false),
    ] {
        let history = history(&format!(
            "0.00 > S  0:0(0)
             0.01 < S. 0:0(0) ack 1 ttl {usual}
             0.02 > .  1:1(0) ack 1
             0.1  > P. 1:51(50) ack 1
             0.2  < R  1:1(0) ttl {ttl}         ; CLOSED CLOSED"
        ));
        let strange = history.fact(FactKind::StrangeTtl, Role::Server).is_some();
        assert_eq!(strange, is_strange, "{usual}, then {ttl}");
    }
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
fn an_end_without_a_socket_does_not_say_what_closed_it() {
    let history = history(&opened(
        "0.100 > P. 1:11(10) ack 1
         0.101 < R. 1:1(0) ack 11  ; CLOSED CLOSED
         0.120 < P. 1:11(10) ack 1
         0.121 > R 1:1(0)          ; CLOSED CLOSED",
    ));
    assert_eq!(confirmation(&history, Role::Client, State::Closed).1, 0);
}

/// The states that the end went through.
fn states(history: &History, role: Role) -> Vec<State> {
    history.transitions_of(role).map(|transition| transition.to).collect()
}

#[test]
fn a_guessed_old_number_takes_nothing_back() {
    let half_closed = history(&opened(
        "0.10 > P. 1:101(100) ack 1
         0.11 < .  1:1(0) ack 101
         0.20 > F. 101:101(0) ack 1       ; FIN_WAIT_1 CLOSE_WAIT
         0.21 < .  1:1(0) ack 102         ; FIN_WAIT_2 CLOSE_WAIT
         0.22 > R  51:51(0)               ; CLOSED     CLOSE_WAIT",
    ));
    assert!(states(&half_closed, Role::Client).contains(&State::FinWait2));
    let closed_by_peer = history(&opened(
        "0.10 < P. 1:101(100) ack 1
         0.11 > .  1:1(0) ack 101
         0.20 < F. 101:101(0) ack 1       ; CLOSE_WAIT FIN_WAIT_1
         0.21 < R  51:51(0)               ; CLOSE_WAIT CLOSED
         0.22 > .  1:1(0) ack 102         ; CLOSE_WAIT CLOSED",
    ));
    let reset = closed_by_peer.transitions_of(Role::Server).last().copied();
    assert_eq!(reset.map(|it| it.basis), Some(Basis::Assumed));
    // From before the window, it says nothing at all.
    history(&opened(
        "0.10 < P. 1:1001(1000) ack 1
         0.11 > .  1:1(0) ack 1001 win 1
         0.20 < R  501:501(0)             ; ESTABLISHED ESTABLISHED",
    ));
}

#[test]
fn a_reset_long_after_leaves_open_who_sent_the_one_before() {
    let history = history(&opened(
        "0.100 < P. 1:201(200) ack 1
         0.110 > .  1:1(0) ack 201
         0.120 < R  101:101(0)            ; ESTABLISHED CLOSED
         3600  < R  201:201(0)            ; CLOSED      CLOSED",
    ));
    let first = history.transitions_of(Role::Server).last().copied().unwrap();
    assert_eq!((first.at.frame, first.basis), (6, Basis::Assumed));
}

#[test]
fn who_went_on_after_a_reset_had_not_believed_it_whatever_comes_later() {
    let history = history(&opened(
        "0.30 > R  1:1(0)                 ; CLOSED      CLOSED
         0.60 > P. 1:14(13) ack 1         ; ESTABLISHED -
         0.61 < P. 1:101(100) ack 14      ; ESTABLISHED ESTABLISHED
         5.00 < P. 101:201(100) ack 14    ; ESTABLISHED ESTABLISHED
         9.00 > P. 14:20(6) ack 201       ; ESTABLISHED ESTABLISHED
         9.01 < R  201:201(0)             ; CLOSED      CLOSED",
    ));
    let closed = history.transitions_of(Role::Server).find(|it| it.to == State::Closed).unwrap();
    assert_eq!(closed.at.frame, 9);
}

#[test]
fn a_disowned_reset_overtakes_nothing_any_more() {
    history(&opened(
        "0.100 < R. 5001:5001(0) ack 1    ; ESTABLISHED CLOSED
         1.000 < P. 1:51(50) ack 1        ; ESTABLISHED ESTABLISHED
         1.010 > .  1:1(0) ack 51
         2.000 < R. 51:51(0) ack 1        ; CLOSED      CLOSED
         2.001 < P. 51:101(50) ack 1      ; -           ESTABLISHED",
    ));
}

#[test]
fn an_ack_that_passes_a_reset_shows_what_had_come_before_it() {
    let history = history(&opened(
        "0.100 < P. 1:51(50) ack 1
         0.100 < P. 51:101(50) ack 1
         0.100 < F. 101:101(0) ack 1
         0.110 > P. 1:11(10) ack 51
         0.110 < R  51:51(0)              ; CLOSED      CLOSED
         0.111 > .  11:11(0) ack 102      ; CLOSE_WAIT  CLOSED
         0.111 < R  102:102(0)            ; CLOSED      CLOSED",
    ));
    let came = history.stay_in(Role::Client, State::CloseWait).unwrap();
    assert_eq!((came.entered.at.frame, came.entered.basis), (6, Basis::Inferred));
    assert!(history.fact(FactKind::DisprovedRst, Role::Server).is_none());
}

#[test]
fn a_reset_may_arrive_behind_the_data_that_it_overtook() {
    let told = history(&opened(
        "0.100 < R. 101:101(0) ack 1      ; ESTABLISHED CLOSED
         0.101 < P. 1:101(100) ack 1      ; CLOSED      CLOSED
         0.102 > .  1:1(0) ack 101        ; CLOSED      CLOSED",
    ));
    let closed = told.transitions_of(Role::Client).last().copied().unwrap();
    assert_eq!((closed.event, closed.basis), (Event::RecvRst, Basis::Assumed));
    // Who goes on did not believe it.
    history(&opened(
        "0.100 < R. 101:101(0) ack 1      ; ESTABLISHED CLOSED
         0.101 < P. 1:101(100) ack 1      ; CLOSED      CLOSED
         0.900 > P. 1:51(50) ack 101      ; ESTABLISHED CLOSED",
    ));
}

#[test]
fn what_is_left_of_a_closed_socket_believes_a_reset_ahead() {
    let half_closed = "0.10 > F. 1:1(0) ack 1            ; FIN_WAIT_1 CLOSE_WAIT
         0.11 < .  1:1(0) ack 2           ; FIN_WAIT_2 CLOSE_WAIT
         0.20 < R. 501:501(0) ack 2       ; CLOSED     CLOSED\n";
    let told = history(&opened(half_closed));
    let closed = told.transitions_of(Role::Client).last().copied().unwrap();
    assert_eq!((closed.event, closed.basis), (Event::RecvRst, Basis::Assumed));
    history(&opened(&format!(
        "{half_closed}
         0.90 > .  2:2(0) ack 1           ; FIN_WAIT_2 -"
    )));
}

#[test]
fn a_fin_that_passes_a_reset_leaves_its_number_known() {
    let history = history(&opened(
        "0.100 < P. 1:51(50) ack 1
         0.100 < P. 51:101(50) ack 1
         0.100 < F. 101:101(0) ack 1
         0.110 > P. 1:11(10) ack 51
         0.110 < R  51:51(0)              ; CLOSED CLOSED
         0.111 > FP. 11:21(10) ack 51     ; CLOSED CLOSED
         0.112 > .  22:22(0) ack 102
         0.112 < R  102:102(0)            ; CLOSED CLOSED",
    ));
    assert!(states(&history, Role::Client).contains(&State::Closing));
}

#[test]
fn a_rst_to_the_ack_of_the_handshake_shows_that_it_found_no_place() {
    let history = history(&opened("0.018 < R 1:1(0) ; CLOSED CLOSED"));
    let reset = history.by_event(Role::Server, &[Event::SentRstWithoutSocket]).unwrap();
    assert_eq!((reset.from, reset.basis), (State::SynRcvd, Basis::Observed));
    assert!(history.refuted.iter().any(|it| (it.state, it.by.frame) == (State::Established, 4)));
}

#[test]
fn what_followed_the_ack_of_the_handshake_may_have_asked_for_the_rst() {
    let established = |rest: &str| {
        let history = history(&opened(rest));
        let opened = history.stay_in(Role::Server, State::Established).map(|it| it.entered);
        opened.map(|it| (it.at.frame, it.basis))
    };
    let with_data = "0.011 > P. 1:101(100) ack 1
                     0.018 < R  1:1(0)        ; CLOSED CLOSED
                     0.018 < R  1:1(0)        ; CLOSED CLOSED";
    assert_eq!(established(with_data), Some((3, Basis::Assumed)));
    let with_fin = "0.011 > F. 1:1(0) ack 1
                    0.018 < R  1:1(0)         ; CLOSED CLOSED";
    assert_eq!(established(with_fin), Some((3, Basis::Assumed)));
    // Nothing that is on its way so long is answered now.
    let late = "2.000 < R  1:1(0)             ; CLOSED CLOSED";
    assert_eq!(established(late), Some((3, Basis::Inferred)));
    // A program's own socket aborts.
    let aborted = "0.018 < R. 1:1(0) ack 1    ; CLOSED CLOSED";
    assert_eq!(established(aborted), Some((3, Basis::Inferred)));
    // The server had shown that it was open.
    let open = "0.012 < P. 1:11(10) ack 1
                0.013 > P. 1:11(10) ack 1
                0.018 < R  1:1(0)             ; CLOSED CLOSED";
    assert_eq!(established(open), Some((3, Basis::Inferred)));
}

#[test]
fn a_rst_to_the_ack_that_ends_closing_shows_that_the_socket_was_gone() {
    // Aborted in CLOSING at 0.06; the ACKs crossed, and the client's RST answers the server's.
    let crossed = "0.050 < F. 1:1(0) ack 1         ; CLOSE_WAIT  FIN_WAIT_1
         0.052 > F. 1:1(0) ack 1         ; CLOSING     CLOSING
         0.053 < .  2:2(0) ack 2         ; TIME_WAIT   CLOSING
         0.058 > .  2:2(0) ack 2         ; TIME_WAIT   TIME_WAIT\n";
    let gone = |rest: &str| {
        let history = history(&opened(&format!("{crossed}{rest}")));
        history.by_event(Role::Client, &[Event::SentRstWithoutSocket]).map(|it| it.from)
    };
    assert_eq!(gone("0.063 > R 2:2(0)  ; CLOSED CLOSED"), Some(State::Closing));
    // Long after that ACK, it answers something that did not pass.
    assert_eq!(gone("9.000 > R 2:2(0)  ; CLOSED CLOSED"), Some(State::TimeWait));
    // Something else asked for it.
    let asked = "0.060 < .  2:2(0) ack 2
                 0.070 > R 2:2(0)      ; CLOSED CLOSED";
    assert_eq!(gone(asked), Some(State::TimeWait));
}

/// What was repeated was answered each time: it is the answers that do not come.
#[test]
fn a_reset_after_repeats_that_were_answered_arrives() {
    let unheard = "0.100 > F. 1:1(0) ack 1
         0.101 < .  1:1(0) ack 2
         0.400 > F. 1:1(0) ack 1
         0.401 < .  1:1(0) ack 2
         0.800 > F. 1:1(0) ack 1
         0.801 < .  1:1(0) ack 2
         1.600 > F. 1:1(0) ack 1
         1.601 < .  1:1(0) ack 2\n";
    let ended = history(&opened(&format!("{unheard} 1.700 > R. 2:2(0) ack 1 ; CLOSED CLOSED")));
    let closed = ended.transitions_of(Role::Server).last().unwrap();
    assert_eq!((closed.from, closed.basis), (State::CloseWait, Basis::Inferred));
}

#[test]
fn a_reset_after_repeats_without_an_answer_is_as_little_heard() {
    let repeated = "1.0 > P. 1:101(100) ack 1
         1.3 > P. 1:101(100) ack 1
         1.9 > P. 1:101(100) ack 1
         3.1 > P. 1:101(100) ack 1\n";
    history(&opened(&format!("{repeated} 5.0 > R. 101:101(0) ack 1 ; CLOSED ESTABLISHED")));
    // It answers one that has just come: the path may be whole again, in both directions.
    let healed = history(&opened(&format!(
        "{repeated} 4.0 < P. 1:51(50) ack 1
         4.001 > R  1:1(0)                 ; CLOSED CLOSED"
    )));
    let closed = healed.transitions_of(Role::Server).last().unwrap();
    assert_eq!((closed.event, closed.basis), (Event::RecvRst, Basis::Assumed));
}

#[test]
fn only_who_ignored_a_reset_in_time_wait_follows_rfc_1337() {
    let history = history(&opened(
        "0.100 < F. 1:1(0) ack 1
         0.140 > .  1:1(0) ack 2           ; CLOSE_WAIT FIN_WAIT_2
         0.150 > R  9:9(0)
         0.151 < .  2:2(0) ack 1
         0.400 > F. 1:1(0) ack 2           ; LAST_ACK TIME_WAIT
         0.440 < .  2:2(0) ack 2           ; CLOSED TIME_WAIT
         0.500 > R  2:2(0)                 ; CLOSED CLOSED",
    ));
    assert!(history.fact(FactKind::DisprovedRst, Role::Client).is_some());
    assert!(history.fact(FactKind::Assassinated, Role::Server).is_some());
}

/// A RST that ended no TIME_WAIT is not told of as one that did.
#[test]
fn a_time_wait_that_goes_on_was_not_ended() {
    let history = history(&opened(
        "0.100 < F. 1:1(0) ack 1
         0.110 > F. 1:1(0) ack 2
         0.120 < .  2:2(0) ack 2           ; CLOSED TIME_WAIT
         1.000 > R  2:2(0)                 ; CLOSED CLOSED
         2.000 > F. 1:1(0) ack 2
         2.010 < .  2:2(0) ack 2           ; - TIME_WAIT",
    ));
    assert!(history.fact(FactKind::Assassinated, Role::Server).is_none());
}

#[test]
fn who_opens_after_all_was_not_refused() {
    let history = history(
        "0.00 > S  0:0(0)
         0.01 < R. 0:0(0) ack 1            ; CLOSED CLOSED
         0.02 < S. 0:0(0) ack 1
         0.03 > .  1:1(0) ack 1            ; ESTABLISHED ESTABLISHED
         0.04 > P. 1:11(10) ack 1          ; ESTABLISHED ESTABLISHED",
    );
    assert_eq!(history.handshake(), Handshake::Complete);
    assert!(history.fact(FactKind::Refused, Role::Server).is_none());
    assert!(history.fact(FactKind::DisprovedRst, Role::Server).is_some());
}

/// The RST of a host without the socket passes before that of the socket.
#[test]
fn a_socket_that_resets_had_not_gone_before() {
    let told = history(&opened(
        "0.100 > P. 1:51(50) ack 1
         0.110 < R  1:1(0)                  ; CLOSED CLOSED
         0.111 < R. 1:1(0) ack 51           ; CLOSED CLOSED",
    ));
    let closed = told.transitions_of(Role::Server).last().unwrap();
    assert_eq!((closed.event, closed.at.frame), (Event::SentRst, 6));
}

#[test]
fn a_stray_ack_of_who_was_refused_opens_nothing() {
    let told = history(
        "0.00 > S  0:0(0)
         0.01 < R. 0:0(0) ack 1            ; CLOSED CLOSED
         0.50 > .  5000:5000(0) ack 7000   ; CLOSED CLOSED",
    );
    assert_eq!(told.handshake(), Handshake::Refused);
}

/// The network brings again what passed before: its sender's clock has not gone on since.
#[test]
fn late_copies_give_nobody_back_what_a_reset_ended() {
    for copy in ["< .  1:1(0) ack 51 <ts 21:20>", "< S. 0:0(0) ack 1 <ts 1:1>"] {
        history(&opened(&format!(
            "0.100 > P. 1:51(50) ack 1 <ts 20:1>
             0.110 < .  1:1(0) ack 51 <ts 21:20>
             0.200 > R. 51:51(0) ack 1          ; CLOSED CLOSED
             0.900 {copy} ; CLOSED CLOSED"
        )));
    }
}

#[test]
fn keepalives_end_no_idle_time_of_programs() {
    let told = history(&opened(
        "0.100 > P. 1:51(50) ack 1
         0.101 < .  1:1(0) ack 51
         10.00 > .  50:50(0) ack 1
         10.01 < .  1:1(0) ack 51
         15.00 > F. 51:51(0) ack 1",
    ));
    let idle = told.fact(FactKind::ClosedAfterIdle, Role::Client).unwrap();
    assert_eq!((idle.first.frame, idle.last.frame), (5, 8));
}

/// Linux takes the number behind the newest data that it has, though something before that is
/// missing (tcp_validate_incoming).
#[test]
fn a_reset_behind_what_a_sack_has_told_is_believed() {
    let lost_before = "0.100 > P. 1001:2001(1000) ack 1
                       0.110 < .  1:1(0) ack 1 <sack 1001:2001>
                       0.200 > R. 2001:2001(0) ack 1      ; CLOSED CLOSED";
    history(&opened(lost_before));
    // Its SACK has not passed yet.
    let at_once = "0.100 > P. 1001:2001(1000) ack 1
                   0.101 > R. 2001:2001(0) ack 1          ; CLOSED CLOSED";
    history(&opened(at_once));
    let lost_behind = "0.100 > P. 1:1001(1000) ack 1
                       0.100 > P. 1001:2001(1000) ack 1
                       0.110 < .  1:1(0) ack 1 <sack 1001:2001>
                       0.120 > P. 2001:3001(1000) ack 1
                       0.200 > R. 2001:2001(0) ack 1      ; CLOSED CLOSED";
    history(&opened(lost_behind));
}

#[test]
fn a_reset_behind_a_hole_is_challenged_without_sack_or_when_the_hole_is_filled() {
    let hole = "0.100 > P. 1001:2001(1000) ack 1
                0.200 > R. 2001:2001(0) ack 1 ; CLOSED ESTABLISHED";
    history(&opened(hole).replace(",sackOK", ""));
    let filled = "0.100 > P. 1001:2001(1000) ack 1
                  0.110 < .  1:1(0) ack 1 <sack 1001:2001>
                  0.120 > P. 1:1001(1000) ack 1
                  0.130 < .  1:1(0) ack 2001
                  0.140 > P. 2001:3001(1000) ack 1
                  0.150 < .  1:1(0) ack 3001
                  0.200 > R. 2001:2001(0) ack 1 ; - ESTABLISHED";
    history(&opened(filled));
}

/// A host without a socket answers each segment with the same RST, which nothing marks.
#[test]
fn resets_that_answer_one_segment_each_are_no_copies() {
    let told = history(&opened(
        "0.1000 > P. 1:51(50) ack 1
         0.1100 < .  1:1(0) ack 51 id 2
         0.2000 > R  51:51(0) id 0
         0.2010 < P. 1:101(100) ack 51 id 3
         0.2011 > R  51:51(0) id 0
         0.2012 < P. 101:201(100) ack 51 id 4
         0.2013 > R  51:51(0) id 0
         0.2014 > R  51:51(0) id 0           ; CLOSED CLOSED",
    ));
    assert_eq!(told.side(Role::Client).tally.resets, 3);
}

#[test]
fn who_answers_as_a_host_without_a_socket_had_believed_the_reset() {
    history(&opened(
        "0.1000 > P. 1:51(50) ack 1
         0.1100 < .  1:1(0) ack 51
         0.2000 < R. 1:1(0) ack 51           ; CLOSED CLOSED
         0.2010 < .  1:1(0) ack 51
         0.2011 > R  51:51(0)
         0.2500 < F. 1:1(0) ack 51           ; CLOSED FIN_WAIT_1",
    ));
}

/// Whoever sent that RST in its name, the socket lived.
#[test]
fn who_acknowledges_what_passed_after_its_reset_had_not_sent_it() {
    let told = history(&opened(
        "0.1000 > P. 1:51(50) ack 1 <ts 20:1>
         0.1010 < .  1:1(0) ack 51 <ts 21:20>
         0.2000 < R. 1:1(0) ack 51
         0.2001 > P. 51:101(50) ack 1 <ts 22:21>
         0.2010 < .  1:1(0) ack 101 <ts 21:22>  ; - ESTABLISHED",
    ));
    assert!(told.fact(FactKind::DisprovedRst, Role::Server).is_some());
}

/// Some firewalls answer in the name of who they protect.
#[test]
fn a_socket_that_repeats_its_syn_had_not_reset() {
    let told = history(
        "0.00 > S  0:0(0) <ts 100:0>
         0.01 < S. 0:0(0) ack 1 <ts 7:100>
         0.02 > R  1:1(0)                    ; CLOSED CLOSED
         1.00 > S  0:0(0) <ts 1100:0>        ; SYN_SENT -",
    );
    assert!(told.fact(FactKind::DisprovedRst, Role::Client).is_some());
}

/// What is not scaled where the other end announced no scale compares to no SYN's window.
#[test]
fn a_window_of_unknown_scale_shows_no_unread_data() {
    const WHOLE: &str = "
        0.000 > S  0:0(0) win 64240 <mss 1460,wscale 7>
        0.010 < S. 0:0(0) ack 1 win 64240 <mss 1460,wscale 7>
        0.020 > .  1:1(0) ack 1 win 502
        0.100 < P. 1:101(100) ack 1 win 502
        0.200 > R. 1:1(0) ack 101";
    let has = |text: &str| history(text).fact(FactKind::ResetWithUnread, Role::Client).is_some();
    let answer = "0.010 < S. 0:0(0) ack 1 win 64240 <mss 1460,wscale 7>";
    assert!(!has(WHOLE) && !has(&WHOLE.replace(answer, "")));
    // Without a scale, it is small.
    assert!(has(&WHOLE.replace(",wscale 7", "")));
}

/// A snap length of 64 bytes cuts the last option of a SYN, which may be its scale.
#[test]
fn a_window_whose_scale_was_cut_off_shows_no_unread_data() {
    let text = "
        0.000 > S  0:0(0) win 64240 <mss 1460>
        0.010 < S. 0:0(0) ack 1 win 64240 <mss 1460>
        0.020 > .  1:1(0) ack 1 win 502
        0.100 < P. 1:101(100) ack 1 win 502
        0.200 > R. 1:1(0) ack 101";
    let has = |text: &str| history(text).fact(FactKind::ResetWithUnread, Role::Client).is_some();
    assert!(has(text) && !has(&text.replace("mss 1460", "mss 1460,cut")));
}

/// The network brings a copy of the first SYN, which is no word of a socket that lives.
#[test]
fn a_late_copy_of_the_syn_gives_nobody_back_who_has_reset() {
    let told = history(&opened(
        "0.100 > P. 1:51(50) ack 1 <ts 20:1>
         0.110 < .  1:1(0) ack 51 <ts 21:20>
         0.120 > P. 151:201(50) ack 1 <ts 22:21>
         0.130 > R. 101:101(0) ack 1         ; CLOSED -
         0.140 > S  0:0(0) <mss 1460,wscale 7,sackOK,ts 1:0> ; CLOSED -
         5.000 end                           ; CLOSED -",
    ));
    assert!(told.fact(FactKind::DisprovedRst, Role::Client).is_none());
}

#[test]
fn a_reset_that_bears_a_mark_is_known_for_a_copy_whatever_passed_between() {
    let told = history(&opened(
        "0.1000 > P. 1:51(50) ack 1
         0.1100 < .  1:1(0) ack 51 id 2
         0.2000 > R  51:51(0) id 7
         0.2010 < P. 1:101(100) ack 51 id 3
         0.2011 > R  51:51(0) id 7           ; CLOSED CLOSED",
    ));
    assert_eq!(told.side(Role::Client).tally.resets, 1);
}
