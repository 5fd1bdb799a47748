//! Captures joined with hosts' own socket tables, recorded beside them: who holds what, and where
//! both sides agree.

use std::collections::BTreeMap;
use std::path::PathBuf;

use finwait::history::Role;
use finwait::infer::state::State;
use finwait::run::{Analysis, Options, read};
use finwait::sockets::{Join, Outcome, Snapshot};
use finwait::time::{Span, Timestamp};

fn file(scenario: &str, name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/sockets").join(scenario).join(name)
}

/// When the first command of a host began.
fn taken(scenario: &str, host: &str) -> Timestamp {
    let text = std::fs::read_to_string(file(scenario, &format!("sockets/{host}.when.txt")));
    let text = text.expect("a time");
    let time: jiff::Timestamp = text.lines().next().and_then(|it| it.parse().ok()).expect("a time");
    Timestamp::from_nanos(i64::try_from(time.as_nanosecond()).expect("in range"))
}

fn capture(scenario: &str) -> Analysis {
    read(&[file(scenario, "server.pcap")], &Options::default(), &mut ()).expect("a capture")
}

fn table(scenario: &str, name: &str) -> Snapshot {
    let path = file(scenario, &format!("sockets/{name}.txt"));
    Snapshot::parse(name, &std::fs::read(path).expect(name))
}

fn joined(scenario: &str, names: &[&str]) -> Analysis {
    let mut analysis = capture(scenario);
    let at = |name: &str| taken(scenario, name.split('.').next().unwrap_or_default());
    analysis.join(names.iter().map(|name| (table(scenario, name), at(name))).collect());
    analysis
}

fn join(analysis: &Analysis) -> &Join {
    analysis.sockets.as_ref().expect("joined")
}

fn counts(analysis: &Analysis) -> [u64; 4] {
    let taken = &join(analysis).taken()[0];
    Outcome::ALL.map(|outcome| taken.counts.get(&outcome).copied().unwrap_or_default())
}

/// The connections to a port, by number.
fn to_port(analysis: &Analysis, port: u16) -> Vec<u64> {
    let all = analysis.archive.iter().filter(|it| it.addr(Role::Server).port() == port);
    all.map(|history| history.id).collect()
}

/// Of nine connections the server has seven sockets that agree and one in TIME_WAIT; one is
/// forgotten, and the capture cannot know.
#[test]
fn every_tool_of_the_server_gives_the_same_outcomes() {
    for scenario in ["holders", "holders-ipv6"] {
        let proc = if scenario == "holders" { "proc-net-tcp" } else { "proc-net-tcp6" };
        for (name, expected) in [
            ("ss-tan", [8, 1, 0, 0]),
            ("ss-tanp", [8, 1, 0, 0]),
            ("ss-tanpoei", [8, 1, 0, 0]),
            ("ss-tulpan", [8, 1, 0, 0]),
            ("netstat-an", [8, 1, 0, 0]),
            ("netstat-antpeo", [8, 1, 0, 0]),
            (proc, [8, 1, 0, 0]),
            // Without -a there is no TIME_WAIT, whose absence says nothing then.
            ("ss-tn", [7, 1, 0, 0]),
            // Without a header it may be a selection.
            ("ss-tanpH", [8, 0, 0, 0]),
            // Descriptors only: neither TIME_WAIT, nor what nobody has accepted.
            ("lsof-i", [6, 0, 0, 0]),
            ("lsof-iTCP", [6, 0, 0, 0]),
        ] {
            let analysis = joined(scenario, &[&format!("server.{name}")]);
            assert_eq!(counts(&analysis), expected, "{scenario}: {name}");
            if expected[1] > 0 {
                let [_, lost, _] = to_port(&analysis, 8080)[..] else { panic!("three") };
                assert_eq!(join(&analysis).differing(), [(lost, Role::Server)], "{name}");
                let view = join(&analysis).view(lost, Role::Server).expect("a view");
                assert_eq!((view.outcome, view.state), (Outcome::HostLacks, State::Established));
            }
        }
    }
}

#[test]
fn the_clients_table_is_about_the_other_ends() {
    let analysis = joined("holders", &["client.ss-tanp"]);
    assert_eq!(counts(&analysis), [8, 0, 0, 0]);
    for id in to_port(&analysis, 6800) {
        let view = join(&analysis).view(id, Role::Client).expect("a view");
        assert_eq!(view.row.and_then(|row| row.state), Some(State::FinWait2));
        assert_eq!(view.words(), "", "an orphan is nothing to speak of");
        assert!(join(&analysis).view(id, Role::Server).is_none());
    }
}

#[test]
fn holders_are_told_in_words() {
    let analysis = joined("holders", &["server.ss-tanp"]);
    let words = |port| {
        let id = to_port(&analysis, port)[0];
        join(&analysis).view(id, Role::Server).expect("a view").words()
    };
    assert!(words(6800).starts_with("held by leaky (pid "), "{}", words(6800));
    assert!(words(6800).ends_with("the program has not read the end of the stream"));
    assert!(words(6801).contains("closed only when all of them have closed it"), "{}", words(6801));
    // The listener's queue tells what the row alone does not.
    assert_eq!(words(6802), "held by no process, as nobody has accepted it");
    assert!(words(6803).ends_with("107 bytes unread: the program stopped reading before the FIN"));
    let analysis = joined("holders", &["server.netstat-an"]);
    let id = to_port(&analysis, 6800)[0];
    let view = join(&analysis).view(id, Role::Server).expect("a view");
    assert_eq!(view.words(), "the program has not read the end of the stream");
}

#[test]
fn findings_say_who_holds_the_sockets() {
    let mut options = Options::default();
    options.thresholds.set_close_wait(Span::from_secs(1));
    let mut analysis =
        read(&[file("holders", "server.pcap")], &options, &mut ()).expect("a capture");
    analysis.join(vec![(table("holders", "server.ss-tanp"), taken("holders", "server"))]);
    let leak = analysis.findings.grouped.iter().find(|it| it.name == "close-wait-leak");
    let leak = leak.expect("a leak");
    assert!(leak.message.contains("; held by leaky (pid "), "{}", leak.message);
    assert!(leak.message.contains(", 3 sockets, fds "), "{}", leak.message);
    let history = analysis.archive.get(to_port(&analysis, 6801)[0]).expect("a connection");
    let findings = analysis.findings_of(&history);
    let long = findings.iter().find(|it| it.name == "long-close-wait").expect("a finding");
    assert!(long.message.contains("held by forking (pid "), "{}", long.message);
    let kept = analysis.findings.worst.get("long-close-wait").expect("kept");
    assert!(kept.iter().any(|finding| finding == long), "the same wherever it is asked for");
}

#[test]
fn a_table_that_names_holders_tells_more() {
    let analysis = joined("holders", &["server.ss-tan", "server.lsof-i"]);
    let id = to_port(&analysis, 6800)[0];
    assert_eq!(join(&analysis).owners(id, Role::Server)[0].program.as_deref(), Some("leaky"));
    let unaccepted = to_port(&analysis, 6802)[0];
    let view = join(&analysis).view(unaccepted, Role::Server).expect("ss lists it");
    assert_eq!(view.taken.snapshot.name(), "server.ss-tan");
    let held: BTreeMap<u16, u64> = join(&analysis)
        .all_held()
        .map(|(place, held)| (place.service.port(), held.sockets))
        .collect();
    assert_eq!(held, [(6800, 3), (6801, 1), (6802, 1), (6803, 1)].into(), "each socket once");
}

/// A table of our own about the recorded connections.
fn told(lines: &[&str], at: impl Fn(&Analysis) -> Timestamp) -> Analysis {
    let mut analysis = capture("holders");
    let client = analysis.archive.get(0).expect("a connection").addr(Role::Client);
    let head = "State Recv-Q Send-Q Local Address:Port Peer Address:Port Process".to_string();
    let lines = lines.iter().map(|line| line.replace("CLIENT", &client.to_string()));
    let text = [head].into_iter().chain(lines).collect::<Vec<_>>().join("\n");
    let at = at(&analysis);
    analysis.join(vec![(Snapshot::parse("told", text.as_bytes()), at)]);
    analysis
}

fn end(analysis: &Analysis) -> Timestamp {
    analysis.totals.last_ts.expect("packets")
}

#[test]
fn neither_side_corrects_the_other() {
    let analysis = told(&["ESTAB 0 0 10.9.0.2:6800 CLIENT"], end);
    assert_eq!(counts(&analysis), [0, 0, 0, 1]);
    let view = join(&analysis).view(0, Role::Server).expect("a view");
    assert_eq!((view.outcome, view.state), (Outcome::Disagrees, State::CloseWait));
    assert_eq!(view.row.and_then(|row| row.state), Some(State::Established));
    let history = analysis.archive.get(0).expect("a connection");
    assert_eq!(history.last_state(Role::Server), State::CloseWait);
}

#[test]
fn what_the_capture_lacks_is_listed() {
    let analysis = told(&["CLOSE-WAIT 1 0 10.9.0.2:6800 10.9.0.9:4000"], end);
    assert_eq!(counts(&analysis), [0, 0, 1, 0]);
    let lacking: Vec<String> =
        join(&analysis).lacking().map(|(_, row)| row.remote.to_string()).collect();
    assert_eq!(lacking, ["10.9.0.9:4000"]);
    // A row that is older than the connection with the same ends is another's.
    let early = |it: &Analysis| it.totals.first_ts.expect("packets").before(Span::from_secs(60));
    let analysis =
        told(&["ESTAB 0 0 10.9.0.2:8080 CLIENT", "ESTAB 0 0 10.9.0.2:6800 CLIENT"], early);
    assert_eq!(join(&analysis).taken()[0].compared_at, analysis.totals.first_ts.expect("packets"));
    assert_eq!(counts(&analysis)[2], 1, "only the other port");
}

#[test]
fn names_are_matched_by_ports_if_only_one_connection_has_them() {
    let all = capture("holders");
    let port = |id: u64, role| all.archive.get(id).expect("a connection").addr(role).port();
    let (server, client) = (port(0, Role::Server), port(0, Role::Client));
    let row = format!("CLOSE-WAIT 1 0 db.example:{server} web.example:{client}");
    let analysis = told(&[&row], end);
    assert_eq!(counts(&analysis), [1, 0, 0, 0]);
    assert!(join(&analysis).view(0, Role::Server).is_some());
    // What is an address must be that of the connection.
    let row = format!("CLOSE-WAIT 1 0 10.9.0.77:{server} web.example:{client}");
    assert_eq!(counts(&told(&[&row], end)), [0, 0, 1, 0]);
    // The same ports between other hosts: two connections fit, so neither is taken.
    let both = read(
        &[file("holders", "server.pcap"), other_hosts(server, client)],
        &Options::default(),
        &mut (),
    );
    let mut both = both.expect("captures");
    let row = format!(
        "Netid State Recv-Q Send-Q Local Address:Port Peer Address:Port\n\
                       tcp CLOSE-WAIT 1 0 db.example:{server} web.example:{client}"
    );
    let at = end(&both);
    both.join(vec![(Snapshot::parse("named", row.as_bytes()), at)]);
    assert_eq!(counts(&both), [0, 0, 1, 0]);
}

/// A capture of one connection in CLOSE_WAIT between other hosts, at the recorded time.
fn other_hosts(server: u16, client: u16) -> PathBuf {
    let at = capture("holders").totals.first_ts.expect("packets").as_nanos();
    let mut bytes = vec![0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0];
    bytes.extend([0; 8]);
    bytes.extend([65_535_u32.to_le_bytes(), 101_u32.to_le_bytes()].concat());
    let (web, db) = (([10, 8, 0, 1], client), ([10, 8, 0, 2], server));
    for (from, to, flags, seq, ack) in [
        (web, db, 0x02, 100_u32, 0_u32),
        (db, web, 0x12, 300, 101),
        (web, db, 0x10, 101, 301),
        (web, db, 0x11, 101, 301),
        (db, web, 0x10, 301, 102),
    ] {
        let mut packet = vec![0x45, 0, 0, 40, 0, seq as u8, 0x40, 0, 64, 6, 0, 0];
        packet.extend([from.0, to.0].concat());
        packet.extend([from.1.to_be_bytes(), to.1.to_be_bytes()].concat());
        packet.extend([seq.to_be_bytes(), ack.to_be_bytes()].concat());
        packet.extend([0x50, flags, 0xfa, 0xf0, 0, 0, 0, 0]);
        let (seconds, nanos) = (at / 1_000_000_000, at % 1_000_000_000);
        for word in [seconds as u32, nanos as u32, 40, 40] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(packet);
    }
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("other-hosts.pcap");
    std::fs::write(&path, bytes).expect("a file");
    path
}

#[test]
fn absence_means_something_only_where_a_table_is_whole() {
    // All in one state is what somebody looked for.
    let some = ["CLOSE-WAIT 1 0 10.9.0.2:6800 CLIENT", "CLOSE-WAIT 1 0 10.9.0.2:6801 10.9.0.9:1"];
    assert_eq!(counts(&told(&some, end)), [1, 0, 1, 0]);
    // Another port may have been filtered out; the two others on this one may not.
    let whole = ["CLOSE-WAIT 1 0 10.9.0.2:6800 CLIENT", "LISTEN 0 128 10.9.0.2:6800 0.0.0.0:*"];
    assert_eq!(counts(&told(&whole, end)), [1, 2, 0, 0]);
    // Of a table that is long past nothing is expected to be there.
    let late = |it: &Analysis| end(it).after(Span::from_secs(3_600));
    let analysis = told(&whole, late);
    assert_eq!(join(&analysis).taken()[0].compared_at, end(&analysis));
}

#[test]
fn without_rights_nobody_is_not_nobody() {
    let table = [
        r#"CLOSE-WAIT 1 0 10.9.0.2:6800 CLIENT"#,
        r#"ESTAB 0 0 10.9.0.2:22 10.9.0.9:1 users:(("sshd",pid=9,fd=3))"#,
    ];
    let analysis = told(&table, end);
    let words = join(&analysis).view(0, Role::Server).expect("a view").words();
    assert!(words.starts_with("no process is shown: nobody has accepted it, or"), "{words}");
}
