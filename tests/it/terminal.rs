//! What people see fits into their terminal, whatever the addresses, and addresses and names stay
//! whole, to be copied.

use std::io;
use std::path::{Path, PathBuf};

use finwait::report::netstat::Style;
use finwait::report::paper::Paper;
use finwait::report::sockets::SocketTable;
use finwait::report::{list, netstat, table};
use finwait::run::{Analysis, Options, read};

use crate::files::Folder;

const CLIENT: &str = "2001:470:1f05:17a6:d69a:20ff:fefd:6b88";
const SERVER: &str = "2400:3000:20:100:d69a:20ff:fefd:46";

fn analysis(path: PathBuf) -> Analysis {
    read(&[path], &Options::default(), &mut ()).expect("a capture")
}

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

/// A connection that is reset, between addresses as long as they come.
fn long_addresses() -> Analysis {
    let packets = [
        (true, "Flags [S], seq 1, win 100, options [mss 1440], length 0"),
        (false, "Flags [S.], seq 1, ack 2, win 100, options [mss 1440], length 0"),
        (true, "Flags [.], seq 2, ack 2, win 100, length 0"),
        (true, "Flags [P.], seq 2:12, ack 2, win 100, length 10"),
        (false, "Flags [R.], seq 2, ack 12, win 0, length 0"),
    ];
    let ends = [format!("{CLIENT}.58895"), format!("{SERVER}.6800")];
    let line = |(at, (is_client, what)): (usize, &(bool, &str))| {
        let [client, server] = &ends;
        let (from, to) = if *is_client { (client, server) } else { (server, client) };
        format!("2026-11-20 14:40:13.{at:06} IP6 {from} > {to}: {what}\n")
    };
    let text: String = packets.iter().enumerate().map(line).collect();
    analysis(Folder::new("long-addresses").write("capture.txt", text.as_bytes()))
}

/// What is written on a terminal of so many columns, without colours.
fn seen(columns: u16, write: impl FnOnce(&Paper, &mut dyn io::Write) -> io::Result<()>) -> String {
    let mut out = anstream::StripStream::new(Vec::new());
    write(&Paper { columns, is_terminal: true }, &mut out).expect("written");
    String::from_utf8(out.into_inner()).expect("text")
}

fn assert_fits(text: &str, columns: u16) {
    let most = text.lines().map(|line| line.chars().count()).max().unwrap_or_default();
    assert!(most <= usize::from(columns), "{most} columns of {columns}:\n{text}");
}

fn listed(analysis: &Analysis, columns: u16) -> String {
    seen(columns, |paper, out| {
        list::table(analysis, &list::Filter::default(), paper, out).map(drop)
    })
}

fn sockets(analysis: &Analysis, style: Style, columns: u16) -> String {
    // At the end, the connection of the long addresses is gone.
    let [first, last] = [analysis.totals.first_ts, analysis.totals.last_ts].map(Option::unwrap);
    let at = if analysis.totals.connections == 1 { first } else { last };
    let table = SocketTable::new(analysis, at, &[]);
    seen(columns, |paper, out| netstat::table(&table, style, paper, out))
}

#[test]
fn a_list_fits() {
    let demo = analysis(testdata("kernel/demo/server.pcap"));
    let long = long_addresses();
    for columns in [80, 100, 160] {
        assert_fits(&listed(&demo, columns), columns);
        let text = listed(&long, columns);
        assert_fits(&text, columns);
        for whole in [format!("[{CLIENT}]:58895"), format!("[{SERVER}]:6800")] {
            assert!(text.contains(&whole), "{columns}:\n{text}");
        }
        assert!(text.contains("unread-data-reset"), "{columns}:\n{text}");
    }
}

#[test]
fn a_socket_table_fits_and_says_of_which_connection_a_socket_is() {
    let captures = ["kernel/demo/server.pcap", "services/leaks-on-errors/server.pcap"];
    let all = captures.map(|name| analysis(testdata(name))).into_iter().chain([long_addresses()]);
    for analysis in all {
        for (columns, style) in [80, 100, 160]
            .into_iter()
            .flat_map(|columns| [(columns, Style::Netstat), (columns, Style::Ss)])
        {
            let text = sockets(&analysis, style, columns);
            assert_fits(&text, columns);
            assert!(text.lines().next().is_some_and(|head| head.ends_with(" Id")), "{text}");
        }
    }
}

#[test]
fn a_report_breaks_no_address_and_no_name_of_a_finding() {
    let demo = analysis(testdata("kernel/demo/server.pcap"));
    let long = long_addresses();
    for columns in [80, 100, 120, 160] {
        let report =
            |analysis| seen(columns, |paper, out| table::report(analysis, &[], paper, out));
        // The commands at the end stay whole, too.
        assert_fits(report(&demo).split("\nGo on with").next().unwrap_or_default(), columns);
        let text = report(&long);
        let tables = text.split("\nFindings").nth(1).and_then(|it| it.split("\nGo on").next());
        let tables = tables.expect("findings and connections");
        assert_fits(tables, columns);
        let ends = [format!("[{CLIENT}]:58895"), format!("[{SERVER}]:6800")];
        let times = |whole: &str| tables.split_whitespace().filter(|it| *it == whole).count();
        assert_eq!(ends.map(|end| times(&end)), [1, 2], "{columns}:\n{text}");
        assert_eq!(times("unread-data-reset"), 2, "{columns}:\n{text}");
    }
}

/// A place without its side would blame the server for what its clients do.
#[test]
fn a_report_says_at_every_width_which_side_a_finding_is_about() {
    let demo = analysis(testdata("kernel/demo/server.pcap"));
    for columns in 60..=120 {
        let report = seen(columns, |paper, out| table::report(&demo, &[], paper, out));
        let rows = report.split("\nFindings").nth(1).and_then(|it| it.split("\n -").next());
        let rows: Vec<&str> = rows.expect("findings").lines().collect();
        let at = rows.iter().position(|row| row.contains("fin-wait-2-stuck")).expect("a row");
        assert!(rows[at..at + 2].concat().contains("clients of 10.9.0.2:6800"), "{report}");
    }
}

/// What stands beside one command only would seem to be about all of them.
#[test]
fn the_commands_at_the_end_are_all_explained_or_none() {
    let demo = analysis(testdata("kernel/demo/server.pcap"));
    let mut seen_both = [false; 2];
    for columns in 60..=160 {
        let report = seen(columns, |paper, out| table::report(&demo, &[], paper, out));
        let commands = report.split("\nGo on with\n").nth(1).expect("commands");
        let explained = ["its connections", "one of them, in full", "what it means"]
            .map(|it| commands.contains(it));
        assert!(explained.iter().all(|it| *it == explained[0]), "{columns}: {commands}");
        seen_both[usize::from(explained[0])] = true;
    }
    assert_eq!(seen_both, [true, true]);
}

#[test]
fn a_list_says_which_columns_it_has_no_room_for() {
    let demo = analysis(testdata("kernel/demo/server.pcap"));
    let narrow = listed(&demo, 80);
    let foot = narrow.lines().last().expect("lines");
    let told = foot.strip_prefix("No room for the columns ").and_then(|it| it.strip_suffix('.'));
    let told: Vec<&str> = told.unwrap_or_else(|| panic!("{narrow}")).split(", ").collect();
    let head = narrow.lines().next().expect("a head");
    let wide = listed(&demo, 200);
    assert!(!wide.contains("No room"), "{wide}");
    for title in ["stream", "start", "duration", "handshake", "close"] {
        assert_eq!(head.contains(title), !told.contains(&title), "{title}: {narrow}");
    }
    let narrow = sockets(&demo, Style::Netstat, 60);
    assert_eq!(narrow.matches("No room for the column").count(), 1, "{narrow}");
    assert!(!narrow.contains("Recv-Q") && !sockets(&demo, Style::Netstat, 160).contains("No room"));
}
