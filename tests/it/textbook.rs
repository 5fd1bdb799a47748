//! The textbook account of opening and closing, line by line, on captures of a real kernel: each
//! test bears the number of the line that it shows.

use std::path::Path;
use std::process::Command;

use finwait::history::{Close, ClosedFirst, Handshake, History, Role};
use finwait::infer::event::Event;
use finwait::infer::fact::FactKind;
use finwait::infer::state::{Basis, State};
use finwait::time::Span;

use crate::recording::Recording;
use crate::windump;

/// The connections of a recording, seen from the middle of the path.
fn connections(name: &str) -> Vec<History> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/kernel");
    let recordings = Recording::all(&root);
    let recording = recordings.iter().find(|recording| recording.name == name);
    recording.expect(name).histories("middle")
}

fn connection(name: &str) -> History {
    connections(name).remove(0)
}

/// The states of one role in order.
fn states(history: &History, role: Role) -> Vec<&'static str> {
    history.stays(role).map(|stay| stay.state.name()).collect()
}

fn frame_of(history: &History, role: Role, state: State) -> u64 {
    history.stay_in(role, state).expect("a stay in that state").entered.at.frame
}

#[test]
fn line_01_three_segments_open() {
    let history = connection("four-segment-close");
    assert_eq!(history.handshake(), Handshake::Complete);
    assert_eq!(frame_of(&history, Role::Client, State::SynSent), 1);
    assert_eq!(frame_of(&history, Role::Client, State::Established), 2);
    assert_eq!(frame_of(&history, Role::Server, State::Established), 3);
    // The SYN takes a number and carries nothing; the third segment may carry data.
    let fast = connections("fast-open");
    assert!(fast.iter().any(|history| history.handshake() == Handshake::FastOpen));
    let completed = connection("handshake-completed-by-data");
    assert_eq!(completed.handshake(), Handshake::Complete);
}

#[test]
fn line_02_the_client_is_established_before_the_server() {
    let history = connection("four-segment-close");
    assert_eq!(states(&history, Role::Client)[..2], ["SYN_SENT", "ESTABLISHED"]);
    assert_eq!(states(&history, Role::Server)[..2], ["SYN_RCVD", "ESTABLISHED"]);
    let moment = |role| history.stay_in(role, State::Established).unwrap().entered.at.ts;
    assert!(moment(Role::Client) < moment(Role::Server));
    let opening = history.transitions_of(Role::Server).next().unwrap();
    assert_eq!(opening.from, State::Listen);
}

#[test]
fn line_03_syn_rcvd_lasts_where_the_last_ack_is_withheld() {
    let history = connection("syn-rcvd-held");
    let held = history.stay_in(Role::Server, State::SynRcvd).unwrap();
    assert!(held.dwell > Span::from_secs(3), "{}", held.dwell);
    assert!(history.fact(FactKind::SynAckRepeatedAfterAck, Role::Server).is_some());
}

#[test]
fn line_04_a_stale_syn_is_refused_by_the_client() {
    let histories = connections("stale-syn");
    let stale = histories.last().unwrap();
    assert_eq!(histories.len(), 2);
    assert_eq!(states(stale, Role::Server), ["SYN_RCVD", "CLOSED"]);
    assert_eq!(stale.last_state(Role::Client), State::Closed);
    assert!(stale.by_event(Role::Client, &[Event::RecvSynAck]).is_none());
}

#[test]
fn line_05_the_options_are_part_of_the_record() {
    let history = connection("four-segment-close");
    for role in Role::BOTH {
        let side = history.side(role);
        assert!(side.mss.is_some() && side.window_scale.is_some());
        assert!(side.sack_permitted && side.timestamps);
    }
}

#[test]
fn line_06_client_and_server_by_who_opens() {
    let client_first = connection("four-segment-close");
    let server_first = connection("four-segment-close-server-first");
    for history in [&client_first, &server_first] {
        assert_eq!(history.addr(Role::Server).port(), 7000);
    }
}

#[test]
fn line_07_the_other_direction_goes_on_after_a_fin() {
    let history = connection("half-close-data");
    let sent = Role::BOTH.map(|role| history.side(role).tally.after_peer_fin);
    assert!(sent.iter().sum::<u64>() > 0, "{sent:?}");
    let role = if sent[0] > 0 { Role::Client } else { Role::Server };
    assert!(history.fact(FactKind::HalfCloseData, role).is_some());
    assert!(history.stay_in(role, State::CloseWait).is_some());
}

#[test]
fn line_08_four_segments_close() {
    let history = connection("four-segment-close");
    assert_eq!(history.close(), Some(Close::FourSegment));
    // A FIN may carry data, and takes a number either way.
    let with_data = connection("fin-with-data");
    assert!(with_data.fin_of(Role::Client).is_some());
    assert!(!with_data.is_open());
}

#[test]
fn line_09_either_may_close_first() {
    let client = connection("four-segment-close");
    let server = connection("four-segment-close-server-first");
    assert_eq!(client.closed_first(), Some(ClosedFirst::Client));
    assert_eq!(server.closed_first(), Some(ClosedFirst::Server));
}

#[test]
fn line_10_the_active_and_the_passive_path() {
    let history = connection("time-wait-to-its-end");
    let active = ["FIN_WAIT_1", "FIN_WAIT_2", "TIME_WAIT", "CLOSED"];
    let passive = ["CLOSE_WAIT", "LAST_ACK", "CLOSED"];
    assert_eq!(states(&history, Role::Client)[2..], active);
    assert_eq!(states(&history, Role::Server)[2..], passive);
}

#[test]
fn line_11_three_segments_skip_fin_wait_2() {
    let history = connection("three-segment-close");
    assert_eq!(history.close(), Some(Close::FinAckSkipsFinWait2));
    assert_eq!(states(&history, Role::Client)[2..4], ["FIN_WAIT_1", "TIME_WAIT"]);
}

#[test]
fn line_12_crossing_fins() {
    let history = connection("simultaneous-close");
    assert_eq!(history.close(), Some(Close::Simultaneous));
    assert_eq!(history.closed_first(), Some(ClosedFirst::Both));
    for role in Role::BOTH {
        assert_eq!(states(&history, role)[2..], ["FIN_WAIT_1", "CLOSING", "TIME_WAIT"]);
    }
}

#[test]
fn line_13_fin_wait_2_stays_where_the_passive_side_does_not_close() {
    let history = connection("fin-wait-2-held");
    assert_eq!(history.close(), Some(Close::HalfClosed));
    let ends = Role::BOTH.map(|role| history.last_state(role));
    assert!(ends.contains(&State::FinWait2) && ends.contains(&State::CloseWait), "{ends:?}");
}

#[test]
fn line_14_a_close_wait_leak() {
    let histories = connections("close-wait-leak");
    let stuck = histories.iter().filter(|h| h.last_state(Role::Server) == State::CloseWait);
    let stuck: Vec<_> = stuck.collect();
    assert!(stuck.len() >= 30, "{}", stuck.len());
    for history in stuck {
        let waits = history.stay_in(Role::Server, State::CloseWait).unwrap().entered;
        assert!(waits.confirmed.frame > 0, "its kernel acknowledged the FIN");
    }
}

#[test]
fn line_15_a_lost_last_ack_is_asked_for_again() {
    let history = connection("last-ack-lost");
    assert!(history.side(Role::Server).tally.fins >= 2);
    assert_eq!(history.last_state(Role::Server), State::Closed);
    assert!(history.fact(FactKind::TimeWaitRestarted, Role::Client).is_some());
    assert!(history.refuted.iter().any(|refuted| refuted.state == State::Closed));
}

#[test]
fn line_16_time_wait_lasts_two_lifetimes() {
    let history = connection("time-wait-to-its-end");
    let over = history.by_event(Role::Client, &[Event::TwoMslPassed]).unwrap();
    assert_eq!((over.basis, over.at.frame), (Basis::Timer, 0));
    let stay = history.stay_in(Role::Client, State::TimeWait).unwrap();
    assert_eq!(stay.dwell, Span::from_secs(60));
    // Reused before that, where the new number allows it.
    let reused = connections("time-wait-reuse");
    let before = reused[1].predecessor.unwrap();
    assert!(before.states.contains(&State::TimeWait));
}

#[test]
fn line_17_linger_zero_resets() {
    let history = connection("linger-zero");
    assert_eq!(history.close(), Some(Close::Reset));
    for role in Role::BOTH {
        assert!(history.stay_in(role, State::TimeWait).is_none());
        assert_eq!(history.last_state(role), State::Closed);
    }
}

#[test]
fn line_18_a_killed_process_says_fin_and_a_pulled_cable_nothing() {
    let killed = connection("killed-process");
    assert!(Role::BOTH.iter().any(|role| killed.fin_of(*role).is_some()));
    let pulled = connection("keepalive-unanswered");
    assert!(pulled.fact(FactKind::Keepalive, Role::Client).is_some());
    assert_eq!(pulled.last_state(Role::Client), State::Closed);
    assert_eq!(pulled.last_state(Role::Server), State::Established);
    let silent = connection("dead-peer-data");
    assert!(silent.side(Role::Client).unanswered_at_end >= 3);
    assert_eq!(silent.last_state(Role::Server), State::Established);
}

#[test]
fn line_19_the_windump_close() {
    let history = windump::history();
    assert_eq!(history.handshake(), Handshake::NotCaptured);
    assert_eq!(history.close(), Some(Close::FinAckSkipsFinWait2));
    assert_eq!(history.closed_first(), Some(ClosedFirst::Client));
    assert_eq!(states(&history, Role::Client), ["ESTABLISHED", "FIN_WAIT_1", "TIME_WAIT"]);
    assert_eq!(states(&history, Role::Server), ["ESTABLISHED", "CLOSE_WAIT", "LAST_ACK", "CLOSED"]);
    assert_eq!(history.transitions[0].basis, Basis::Assumed);
    assert_eq!(history.addr(Role::Server).to_string(), "220.181.37.55:80");
}

#[test]
fn line_20_the_ladder_shows_both_lifelines() {
    let capture = "testdata/kernel/four-segment-close/middle.pcap";
    let output = Command::new(env!("CARGO_BIN_EXE_finwait"))
        .args(["show", "0", capture])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("finwait runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for state in ["SYN_SENT", "SYN_RCVD", "FIN_WAIT_1", "CLOSE_WAIT", "FIN_WAIT_2", "LAST_ACK"] {
        assert!(text.contains(state), "{state} in\n{text}");
    }
}
