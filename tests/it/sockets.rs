//! Hosts' socket tables in every dialect: what real tools printed beside a recording, and what we
//! wrote in the formats of systems that the lab does not have.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use finwait::infer::state::State;
use finwait::limits::SNAPSHOT_UNREAD_NAMED_MAX;
use finwait::sockets::{Dialect, Holders, Name, Port, Row, Snapshot};
use proptest::prelude::*;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/sockets")
}

fn snapshot(file: &str) -> Snapshot {
    let bytes = std::fs::read(folder().join(file)).expect(file);
    Snapshot::parse(file, &bytes)
}

/// Every file of a recording that has a socket table, without its folder and ending.
const TABLES: [(&str, Dialect); 13] = [
    ("ss-tan", Dialect::Ss),
    ("ss-tn", Dialect::Ss),
    ("ss-tanp", Dialect::Ss),
    ("ss-tanpH", Dialect::Ss),
    ("ss-tanpoei", Dialect::Ss),
    ("ss-tulpan", Dialect::Ss),
    ("netstat-an", Dialect::LinuxNetstat),
    ("netstat-antp", Dialect::LinuxNetstat),
    ("netstat-antpeo", Dialect::LinuxNetstat),
    ("lsof-i", Dialect::Lsof),
    ("lsof-iTCP", Dialect::Lsof),
    ("proc-net-tcp", Dialect::ProcNet),
    ("proc-net-tcp6", Dialect::ProcNet),
];

fn key(row: &Row) -> String {
    format!("{} {}", row.local, row.remote)
}

fn by_ends(snapshot: &Snapshot) -> BTreeMap<String, Row> {
    snapshot.rows.iter().map(|row| (key(row), row.clone())).collect()
}

fn pids(row: &Row) -> BTreeSet<u32> {
    row.holders.named().iter().filter_map(|owner| owner.pid).collect()
}

/// `ss -tanp` knows the most; the others agree with it as far as they tell.
#[test]
fn the_tools_of_one_host_tell_the_same() {
    for (scenario, host) in [
        ("holders", "server"),
        ("holders", "client"),
        ("holders-ipv6", "server"),
        ("holders-ipv6", "client"),
    ] {
        let known = by_ends(&snapshot(&format!("{scenario}/sockets/{host}.ss-tanp.txt")));
        assert!(known.len() >= 8, "{scenario}, {host}");
        for (name, dialect) in TABLES {
            let file = format!("{scenario}/sockets/{host}.{name}.txt");
            let snapshot = snapshot(&file);
            assert_eq!(snapshot.unread, [], "{file}");
            assert_eq!(snapshot.dialects, [dialect], "{file}");
            assert_eq!(snapshot.has_header, name != "ss-tanpH", "{file}");
            agrees(&snapshot, &known, &file);
        }
    }
}

fn agrees(snapshot: &Snapshot, known: &BTreeMap<String, Row>, file: &str) {
    let rows = by_ends(snapshot);
    for (ends, row) in &rows {
        // lsof does not show the address of a wildcard, nor the other ends of a listener.
        let expected = known.get(ends).unwrap_or_else(|| panic!("{file}: {ends}"));
        assert_eq!(row.state, expected.state, "{file}: {ends}");
        // netstat and /proc show no limit of a listener's queue.
        let is_listener = row.state == Some(State::Listen);
        for (mine, theirs) in
            [(row.recv_q, expected.recv_q), (row.send_q.filter(|_| !is_listener), expected.send_q)]
        {
            assert!(mine.is_none() || mine == theirs, "{file}: {ends}: {mine:?} {theirs:?}");
        }
        let holders = pids(row);
        // netstat names one of the processes that share a descriptor.
        assert!(holders.is_subset(&pids(expected)), "{file}: {ends}");
        if file.contains("-tanp") || file.contains("tulpan") || file.contains("lsof") {
            assert_eq!(holders, pids(expected), "{file}: {ends}");
        }
        if file.contains("-antp") {
            assert_eq!(holders.is_empty(), pids(expected).is_empty(), "{file}: {ends}");
        }
    }
    let is_whole = !["lsof", "ss-tn.", "proc-net"].iter().any(|part| file.contains(part));
    if is_whole {
        assert_eq!(rows.len(), known.len(), "{file}");
    }
    if file.contains("proc-net-tcp6") && file.contains("ipv6") {
        assert_eq!(rows.len(), known.len(), "{file}");
    }
    if file.contains("lsof-i.") {
        let held = known.values().filter(|row| !pids(row).is_empty()).count();
        assert_eq!(rows.len(), held, "{file}: lsof lists what a process holds");
    }
}

fn on_port(snapshot: &Snapshot, port: u16, state: State) -> Vec<&Row> {
    let is_it = |row: &&Row| row.local.port == Port::Number(port) && row.state == Some(state);
    snapshot.rows.iter().filter(is_it).collect()
}

#[test]
fn who_holds_what_is_told_as_the_scenario_has_it() {
    for scenario in ["holders", "holders-ipv6"] {
        let snapshot = snapshot(&format!("{scenario}/sockets/server.ss-tanpoei.txt"));
        let close_wait = |port| on_port(&snapshot, port, State::CloseWait);
        assert_eq!(close_wait(6800).len(), 3);
        let fds: BTreeSet<_> = close_wait(6800)
            .iter()
            .flat_map(|row| row.holders.named().iter().map(|it| it.fd))
            .collect();
        assert_eq!(fds.len(), 3, "three descriptors of one process");
        for row in close_wait(6800) {
            assert_eq!(row.holders.named()[0].program.as_deref(), Some("leaky"));
            assert_eq!(row.recv_q, Some(1), "the FIN");
        }
        let [shared] = close_wait(6801)[..] else { panic!("one") };
        assert_eq!(pids(shared).len(), 2, "a descriptor of two processes");
        let [waiting] = close_wait(6802)[..] else { panic!("one") };
        assert_eq!(waiting.holders, Holders::Nobody);
        let [listener] = on_port(&snapshot, 6802, State::Listen)[..] else { panic!("one") };
        assert_eq!((listener.recv_q, listener.send_q), (Some(1), Some(128)), "one waits");
        let [unread] = close_wait(6803)[..] else { panic!("one") };
        assert_eq!(unread.recv_q, Some(108), "107 bytes and the FIN");
    }
}

#[test]
fn who_holds_nothing_is_told_apart_from_who_is_not_shown() {
    let holders = |file: &str| {
        let snapshot = snapshot(&format!("holders/sockets/server.{file}.txt"));
        let [row] = on_port(&snapshot, 6802, State::CloseWait)[..] else { panic!("one") };
        row.holders.clone()
    };
    assert_eq!(holders("ss-tan"), Holders::NotTold);
    assert_eq!(holders("ss-tanp"), Holders::NotShown);
    assert_eq!(holders("netstat-an"), Holders::NotTold);
    assert_eq!(holders("netstat-antp"), Holders::NotShown);
    for file in ["ss-tanpoei", "netstat-antpeo", "proc-net-tcp"] {
        assert_eq!(holders(file), Holders::Nobody, "{file}");
    }
}

#[test]
fn tables_of_other_systems_tell_the_same() {
    let known = by_ends(&snapshot("holders/sockets/server.ss-tanp.txt"));
    for (file, dialect, names_pids) in [
        ("macos-netstat-an", Dialect::BsdNetstat, false),
        ("macos-netstat-anv", Dialect::BsdNetstat, true),
        ("freebsd-netstat-an-p-tcp", Dialect::BsdNetstat, false),
        ("openbsd-netstat-an", Dialect::BsdNetstat, false),
        ("windows-netstat-ano", Dialect::WindowsNetstat, true),
        ("windows-netstat-anob-utf16", Dialect::WindowsNetstat, true),
    ] {
        let snapshot = snapshot(&format!("made/{file}.txt"));
        assert_eq!(snapshot.dialects, [dialect], "{file}");
        assert_eq!((&snapshot.unread[..], snapshot.has_header), (&[][..], true), "{file}");
        let rows = by_ends(&snapshot);
        assert_eq!(rows.len(), known.len(), "{file}");
        for (ends, expected) in &known {
            let row = rows.get(ends).unwrap_or_else(|| panic!("{file}: {ends}"));
            assert_eq!(row.state, expected.state, "{file}: {ends}");
            let pids = (pids(row), pids(expected));
            assert!(pids.0.is_subset(&pids.1), "{file}: {ends}");
            assert_eq!(pids.0.is_empty(), !names_pids || pids.1.is_empty(), "{file}: {ends}");
        }
    }
    let named = snapshot("made/windows-netstat-anob-utf16.txt");
    let [row, ..] = on_port(&named, 6800, State::CloseWait)[..] else { panic!("three") };
    assert_eq!(row.holders.named()[0].program.as_deref(), Some("leaky.exe"));
}

#[test]
fn names_in_place_of_addresses_are_kept() {
    let snapshot = snapshot("made/oracle-lsof-i.txt");
    assert_eq!(snapshot.dialects, [Dialect::Lsof]);
    let rows = on_port(&snapshot, 6800, State::CloseWait);
    assert_eq!(rows.len(), 5);
    assert_eq!(rows[0].local.host, Name::Text("rhel3".into()));
    assert_eq!(rows[0].remote.port, Port::Number(2174));
    assert_eq!(rows[0].holders.named()[0].to_string(), "oracle (pid 4711, fd 11)");
}

#[test]
fn several_commands_in_one_file_are_one_table() {
    let text = |name: &str| {
        let path = folder().join(format!("holders/sockets/server.{name}.txt"));
        std::fs::read_to_string(path).expect(name)
    };
    let both = format!("$ ss -tan\n{}\n$ lsof -nP -i\n{}", text("ss-tan"), text("lsof-i"));
    let joined = Snapshot::parse("both", both.as_bytes());
    assert_eq!(joined.dialects, [Dialect::Ss, Dialect::Lsof]);
    let known = by_ends(&snapshot("holders/sockets/server.ss-tanp.txt"));
    assert_eq!(joined.rows.len(), known.len());
    for (ends, row) in by_ends(&joined) {
        assert_eq!(pids(&row), pids(&known[&ends]), "{ends}");
        assert_eq!(row.recv_q, known[&ends].recv_q);
    }
}

#[test]
fn what_cannot_be_read_is_counted_and_named() {
    let table = "State Recv-Q Send-Q Local Address:Port Peer Address:Port Process\n\
                 ESTAB 0 0 10.9.0.2:6800 10.9.0.1:2000\n\
                 OPEN 0 0 10.9.0.2:6800 10.9.0.1:2001\n\
                 ESTAB x 0 10.9.0.2:6800 10.9.0.1:2001\n\
                 ESTAB 0 0 10.9.0.2 10.9.0.1:2002\n\
                 ESTAB\n\
                 \t cubic wscale:7,7\n\
                 \n";
    let snapshot = Snapshot::parse("ss", table.as_bytes());
    assert_eq!((snapshot.rows.len(), snapshot.unread_lines), (1, 4));
    let lines: Vec<u32> = snapshot.unread.iter().map(|unread| unread.line).collect();
    assert_eq!(lines, [3, 4, 5], "the first three");
    let long = format!("ESTAB 0 0 10.9.0.2:1 10.9.0.1:2 {}\n", "x".repeat(1 << 17));
    assert_eq!(Snapshot::parse("long", long.as_bytes()).unread_lines, 1);
    let cut = "Proto Recv-Q Send-Q Local Address           Foreign Address         State\n\
               tcp6       0      0 2001:db8:1234:5::ab:443 fd09::1:40000           ESTABLISHED\n";
    let cut = Snapshot::parse("cut", cut.as_bytes());
    assert_eq!((cut.rows.len(), cut.unread_lines), (0, 1));
}

#[test]
fn what_is_no_table_is_none() {
    for text in ["", "\0\0\0", "hello, world\n", "tcp\n", "{\"type\":\"socket\"}\n"] {
        assert!(!Snapshot::parse("x", text.as_bytes()).is_one(), "{text:?}");
    }
    let capture = std::fs::read(folder().join("holders/server.pcap")).expect("a capture");
    assert!(!Snapshot::parse("x", &capture).is_one());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_mangled_table_is_read_within_bounds(
        file in prop::sample::select(vec![
            "holders/sockets/server.ss-tanpoei.txt",
            "holders/sockets/server.netstat-antpeo.txt",
            "holders-ipv6/sockets/server.lsof-i.txt",
            "holders-ipv6/sockets/server.proc-net-tcp6.txt",
            "made/macos-netstat-anv.txt",
            "made/windows-netstat-anob-utf16.txt",
        ]),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..40),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 1..40_usize), 0..8),
    ) {
        let mut bytes = std::fs::read(folder().join(file)).expect(file);
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        for (at, length) in cuts {
            let from = at.index(bytes.len());
            let to = (from + length).min(bytes.len());
            bytes.drain(from..to);
        }
        let snapshot = Snapshot::parse(file, &bytes);
        prop_assert!(snapshot.unread.len() <= SNAPSHOT_UNREAD_NAMED_MAX);
        prop_assert!(snapshot.unread.len() as u64 <= snapshot.unread_lines);
        prop_assert!(snapshot.is_one() || snapshot.rows.is_empty());
    }
}
