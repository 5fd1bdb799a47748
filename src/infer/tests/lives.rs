//! Lives that follow each other on one four-tuple.

use super::opened;
use crate::history::Role;
use crate::infer::event::Event;
use crate::infer::fact::FactKind;
use crate::infer::state::State;
use crate::testkit::{check, connections, history};

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
    let left = histories[0].left_by(Role::Client, State::TimeWait);
    assert_eq!(left, Some(Event::TwoMslPassed));
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

#[test]
fn a_syn_ack_with_the_number_of_a_waiting_syn_belongs_to_its_life() {
    let histories = connections(&opened(
        "1.0 < S  900000:900000(0)
         1.1 < S. 900000:900000(0) ack 1",
    ));
    let frames: Vec<_> = histories.iter().map(|history| history.frames).collect();
    assert_eq!(frames, [3, 2]);
}

/// Whoever challenges a SYN goes on with what it has, until it takes the SYN.
#[test]
fn what_challenges_a_syn_lives_on_until_it_takes_one() {
    let histories = check(&opened(
        "9.0  > S 90000:90000(0)
         9.01 < . 1:1(0) ack 1
         10.0 > S 90000:90000(0)
         10.01 < . 1:1(0) ack 1
         12.0 > S 90000:90000(0)
         12.01 < S. 70000:70000(0) ack 90001 ; ESTABLISHED SYN_RCVD",
    ));
    let ended = Role::BOTH.map(|role| histories[0].transitions_of(role).last().unwrap().at.frame);
    assert_eq!(ended, [4, 8], "the client at its SYN, the server at the one that it took");
    // A RST of the new socket does not end the old one once more.
    let reset = check(&opened(
        "9.0  > S 90000:90000(0)
         9.01 < . 1:1(0) ack 1
         9.02 > R 1:1(0)
         10.0 > S 90000:90000(0)
         10.01 < S. 70000:70000(0) ack 90001 ; ESTABLISHED SYN_RCVD",
    ));
    let ended = Role::BOTH.map(|role| *reset[0].transitions_of(role).last().unwrap());
    let events = ended.map(|it| (it.event, it.at.frame));
    assert_eq!(events, [(Event::Superseded, 4), (Event::RecvRst, 6)]);
}

#[test]
fn where_no_syn_is_taken_the_other_end_goes_on_to_the_end() {
    let histories = check(&opened(
        "0.10 < F. 1:1(0) ack 1
         0.11 > F. 1:1(0) ack 2
         0.12 < .  2:2(0) ack 2
         2.00 > S  -90000:-90000(0)
         2.01 < .  2:2(0) ack 2
         3.00 > S  -90000:-90000(0)
         3.01 < .  2:2(0) ack 2
         90.0 end",
    ));
    let over = histories[0].transitions_of(Role::Server).last().unwrap();
    assert_eq!((over.from, over.event), (State::TimeWait, Event::TwoMslPassed));
    assert_eq!(histories[0].until, histories[1].until);
    let before = histories[1].predecessor.unwrap().states;
    assert_eq!(before, [State::Closed, State::TimeWait], "as it was at the SYN");
}

/// From TIME_WAIT the client answers what the server made of an old SYN with its old ACK.
#[test]
fn an_old_syn_in_the_client_s_time_wait_opens_nothing() {
    let closed = "0.10 > F. 1:1(0) ack 1
         0.11 < F. 1:1(0) ack 2
         0.12 > .  2:2(0) ack 2            ; TIME_WAIT CLOSED
         1.00 > S  0:0(0) id 0
         1.01 < S. 90000:90000(0) ack 1\n";
    let histories = check(&opened(&format!(
        "{closed} 1.02 > .  2:2(0) ack 2
         1.03 < R  2:2(0)
         2.01 < S. 90000:90000(0) ack 1
         2.02 > R  1:1(0)                  ; CLOSED CLOSED"
    )));
    let [old, new] = histories.as_slice() else { panic!("{histories:#?}") };
    let killed = old.by_event(Role::Client, &[Event::RecvRst]).unwrap();
    assert_eq!((killed.from, killed.at.frame), (State::TimeWait, 10));
    assert!(old.fact(FactKind::Assassinated, Role::Client).is_some());
    assert!(new.transitions_of(Role::Client).next().is_none(), "{new:#?}");
    assert_eq!(new.left_by(Role::Server, State::SynRcvd), Some(Event::RecvRst));
    // One that is meant gets its ACK, and goes on.
    let meant = check(&opened(&format!("{closed} 1.02 > .  1:1(0) ack 90001")));
    assert_eq!(meant[1].last_state(Role::Client), State::Established);
    // Where the client follows RFC 1337, its TIME_WAIT outlives that.
    let alive = check(&opened(&format!("{closed} 1.02 > .  2:2(0) ack 2\n 9.0 end")));
    assert_eq!(alive.len(), 1);
    assert_eq!(alive[0].last_state(Role::Client), State::TimeWait);
}

#[test]
fn a_late_syn_ack_of_an_earlier_life_begins_none() {
    let closed = "0.00 > S  0:0(0)         <ts 100:0>
         0.01 < S. 0:0(0) ack 1            <ts 500:100>
         0.02 > .  1:1(0) ack 1            <ts 110:500>
         0.05 < .  1:1(0) ack 1            <ts 990:110>
         0.10 > R. 1:1(0) ack 1            <ts 200:500>\n";
    for (tsval, count) in [(400, 1), (1400, 2)] {
        let text = format!("{closed} 1.00 < S. 70000:70000(0) ack 1  <ts {tsval}:90>");
        assert_eq!(connections(&text).len(), count, "{tsval}");
    }
}

/// What waited for more of an old SYN does not take what answers a new one.
#[test]
fn a_new_connection_after_an_old_syn_gets_its_own_answers() {
    let histories = check(&opened(
        "0.10 > F. 1:1(0) ack 1
         0.11 < F. 1:1(0) ack 2
         0.12 > .  2:2(0) ack 2
         1.00 > S  0:0(0) id 0
         1.01 < S. 90000:90000(0) ack 1
         1.02 > .  2:2(0) ack 2
         1.03 < R  2:2(0)
         1.50 > S  500000:500000(0)
         1.51 < S. 700000:700000(0) ack 500001
         1.52 > .  500001:500001(0) ack 700001 ; ESTABLISHED ESTABLISHED
         1.60 > R. 500001:500001(0) ack 700001 ; CLOSED CLOSED",
    ));
    assert_eq!(histories.len(), 2);
}

/// Segments are in the order of the capture, whatever its clock says.
#[test]
fn a_clock_that_runs_backwards_takes_nothing_of_a_life_that_is_over() {
    let histories = check(&opened(
        "9.10 > F. 1:1(0) ack 1
         9.11 < F. 1:1(0) ack 2
         9.12 > .  2:2(0) ack 2             ; TIME_WAIT CLOSED
         5.00 > S  500000:500000(0)
         5.01 < S. 700000:700000(0) ack 500001",
    ));
    assert_eq!(histories[0].left_by(Role::Server, State::LastAck), Some(Event::RecvAckOfFin));
    assert!(histories[0].refuted.is_empty(), "{:#?}", histories[0].refuted);
}

/// Of a connection that closed, only one direction was captured, and of the next one, too.
#[test]
fn a_syn_ack_far_from_a_closed_connection_begins_another() {
    let histories = connections(
        "0.0 < P. 1:101(100) ack 1
         0.1 < F. 101:101(0) ack 1
         99. < S. 2000000:2000000(0) ack 3000001
         99.1 < P. 2000001:2000101(100) ack 3000001",
    );
    assert_eq!(histories.len(), 2);
    assert!(histories[0].fact(FactKind::DataAfterFin, Role::Server).is_none());
}
