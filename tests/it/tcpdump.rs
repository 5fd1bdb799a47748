//! What the installed tcpdump prints of a capture, in every way that it has, against the capture.
//!
//! Where there is no tcpdump there is nothing to do; `testdata/text` has what one printed.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::formats;
use crate::text::{Read, difference};

/// What stands in front of a line and of what is in it: the options that print times, and those
/// that print more of headers or packets. Each of the one is tried with each of the other.
const TIMES: [&str; 9] =
    ["", "-t", "-tt", "-ttt", "-tttt", "-ttttt", "-#", "--nano -tt", "--nano -tttt -#"];
const MORE: [&str; 18] = [
    "-n", "", "-nN", "-nf", "-nv", "-nvv", "-nvvv", "-v", "-ne", "-nev", "-nS", "-nSv", "-nA",
    "-nxx", "-nX", "-nXX", "-nvvveXS", "-nKu",
];

/// What tcpdump prints; none without a tcpdump.
fn print(capture: &Path, options: &str, out: &Path) -> Option<()> {
    let mut command = Command::new("tcpdump");
    command.args(options.split_whitespace()).arg("-r").arg(capture).env("TZ", "UTC");
    let printed = command.output().ok()?;
    std::fs::write(out, printed.stdout).expect("written");
    Some(())
}

/// What of the claims a text with these options can hold.
fn comparable(read: &Read, options: &str) -> String {
    let has_times = !options.split(' ').any(|option| option == "-t");
    let has_numbers = options.split(' ').any(|option| option.starts_with("-n"));
    let mut all = String::new();
    for line in read.claims(has_times).lines() {
        let is_connection = !line.starts_with(' ');
        // Without times nothing ends by itself, and what is late is not known to be.
        if has_times || !(line.contains("timer") || line.contains("refuted")) {
            let unnamed = |(at, word)| if at == 1 || at == 2 { "" } else { word };
            let words: Vec<_> = match is_connection && !has_numbers {
                true => line.split(' ').enumerate().map(unnamed).collect(),
                false => vec![line],
            };
            all += &words.join(" ");
            all.push('\n');
        }
    }
    all
}

/// How the text of the capture differs, printed with the options.
fn differs(capture: &Path, options: &str, truth: &Read, out: &Path) -> Option<String> {
    let text = match Read::file(out) {
        Ok(text) => text,
        Err(error) => return Some(format!("{} {options}: {error}", capture.display())),
    };
    let [ours, theirs] = [&text, truth].map(|read| comparable(read, options));
    let mut lines = ours.lines().zip(theirs.lines().chain(["nothing"]));
    let pair = lines.find(|(ours, theirs)| ours != theirs);
    (ours != theirs).then(|| format!("{} {options}: {pair:?}", capture.display()))
}

fn captures() -> Vec<PathBuf> {
    if let Some(folder) = std::env::var_os("FINWAIT_PRINTED") {
        let mut all: Vec<_> =
            std::fs::read_dir(folder).expect("a folder").flatten().map(|it| it.path()).collect();
        all.retain(|path| path.is_file());
        all.sort();
        return all;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/kernel");
    let names = [
        "last-ack-lost/server.pcap",
        "four-segment-close-ipv6/server.pcap",
        "bridge-any-interface/middle.pcap",
        "half-close-data/client.pcap",
        "fin-with-data-ipv6/middle.pcap",
        "mptcp/client.pcap",
    ];
    names.map(|name| root.join(name)).to_vec()
}

#[test]
fn however_tcpdump_prints_a_capture_it_tells_the_same() {
    let out = std::env::temp_dir().join(format!("finwait-printed-{}.txt", std::process::id()));
    let mut differing = Vec::new();
    for capture in captures() {
        let Ok(truth) = Read::file(&capture) else { continue };
        for times in TIMES {
            for more in MORE {
                let options = format!("{times} {more}");
                // A copy of a packet is known by when it came.
                if times == "-t" && truth.totals.skipped.iter().any(|it| it.0 == "duplicate") {
                    continue;
                }
                if print(&capture, &options, &out).is_none() {
                    return;
                }
                if std::fs::metadata(&out).is_ok_and(|it| it.len() > 0) {
                    differing.extend(differs(&capture, &options, &truth, &out));
                }
            }
        }
    }
    let _ = std::fs::remove_file(&out);
    assert!(differing.is_empty(), "{}: {:#?}", differing.len(), &differing);
}

/// Tunnels of which tcpdump prints what they carry, whichever way it prints. Of the others it says
/// at most that they are there.
#[test]
fn tunnels_are_printed_as_they_are_captured() {
    const PRINTED: [&str; 6] = ["GRE", "PPTP", "IP-in-IP and 6in4", "VXLAN", "GENEVE", "L2TPv2"];
    let folder = crate::files::Folder::new("printed-tunnels");
    let mut differing = Vec::new();
    for (at, (name, capture)) in formats::in_tunnels().into_iter().enumerate() {
        let capture = folder.write(&format!("{at}.pcap"), &capture);
        let out = capture.with_extension("txt");
        let truth = Read::file(&capture).expect("a capture");
        assert!(truth.totals.segments > 0, "{name}");
        for options in ["-n", "-nv", "-ne", "-nev", "-nvvv", "-nS", "-nX", "-n# -tttt", "-n -t"] {
            if print(&capture, options, &out).is_none() {
                return;
            }
            let Ok(text) = Read::file(&out) else {
                differing.push(format!("{name} {at} {options}: no text"));
                continue;
            };
            match PRINTED.contains(&name) {
                true if options == "-n -t" && text.totals.segments == truth.totals.segments => {}
                true => {
                    let what = difference(&text, &truth);
                    differing.extend(what.map(|what| format!("{name} {at} {options}: {what}")));
                }
                false => assert_eq!(text.totals.segments, 0, "{name}: {options}"),
            }
        }
    }
    assert!(differing.is_empty(), "{}: {differing:#?}", differing.len());
}
