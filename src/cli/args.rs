//! The command line: commands, options, and what their help says.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Parser, Subcommand, ValueEnum};

use super::at::At;
use super::check::CheckArgs;
use super::config::Config;
use super::extract::ExtractArgs;
use super::netstat::NetstatArgs;
use super::read;
use super::sockets::SocketsArgs;
use super::watch::WatchArgs;
use crate::addr::Addr;
use crate::findings::ThresholdError;
use crate::findings::thresholds::find;
use crate::history::Role;
use crate::infer::state::State;
use crate::report::list::Filter;
use crate::run::{Analysis, Options};
use crate::time::Span;

const USAGE: &str = "finwait [COMMAND] [OPTIONS] [FILE]...";

const WHEN: &str = "auto|always|never";

const AFTER_HELP: &str = "\
`finwait FILE` is `finwait report FILE`; `-` is standard input.

  finwait server.pcap                     what is wrong, and on which side
  finwait list server.pcap --state CLOSE_WAIT
  finwait show 7 server.pcap              one connection, segment by segment
  finwait netstat --at +60 server.pcap    the hosts' sockets after a minute
  tcpdump -w - tcp | finwait              from a pipe, once it ends
  tcpdump -U -w - tcp | finwait watch     from a pipe, while it grows
  finwait check server.pcap               for CI: fails if an error is found
  finwait explain CLOSE_WAIT              what a state or a finding means
  finwait demo                            see it work, without a capture

Exit codes: 0 done; 1 `check` found something; 2 an error (bad usage, unreadable or damaged \
capture, unwritable output).";

/// Tells which TCP state each endpoint was in, who closed first, and who never did.
///
/// Reads packet captures (pcap, pcapng) and infers the RFC 9293 state of both endpoints of every
/// connection, which frames show it, and how firmly it is known.
#[derive(Debug, Parser)]
#[command(name = "finwait", version, override_usage = USAGE, after_help = AFTER_HELP)]
#[command(max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Report what is wrong: overview, findings, the connections that matter
    Report(ReportArgs),
    /// List connections, one per row
    List(ListArgs),
    /// Show one connection: its segments, with each endpoint's state down its own lifeline
    #[command(override_usage = "finwait show [OPTIONS] ID [FILE]...\n       \
                          finwait show [OPTIONS] --stream N [FILE]...")]
    Show(ShowArgs),
    /// Show the socket table that the hosts would have shown at a given time, or counts over time
    Netstat(NetstatArgs),
    /// Report, and fail if a finding is severe enough: for CI jobs
    Check(CheckArgs),
    /// Follow a growing capture: print each finding when it becomes true, and when it is over
    Watch(WatchArgs),
    /// Copy the packets of chosen connections into a capture file
    Extract(ExtractArgs),
    /// Explain a finding or a state; without a name, list them all
    Explain(ExplainArgs),
    /// Report on a built-in capture
    Demo(DemoArgs),
}

impl Command {
    /// How to read captures, for the commands that do.
    pub fn read_args(&mut self) -> Option<&mut ReadArgs> {
        match self {
            Command::Report(args) => Some(&mut args.read),
            Command::List(args) => Some(&mut args.read),
            Command::Show(args) => Some(&mut args.read),
            Command::Netstat(args) => Some(&mut args.read),
            Command::Check(args) => Some(&mut args.read),
            Command::Watch(args) => Some(&mut args.read),
            Command::Extract(args) => Some(&mut args.read),
            Command::Demo(args) => Some(&mut args.read),
            Command::Explain(_) => None,
        }
    }
}

/// Options of every command that reads a capture.
#[derive(Debug, Args)]
#[command(next_help_heading = "Reading")]
pub struct ReadArgs {
    /// Settings file [default: finwait.toml in this directory or the nearest one above it]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Read no settings file, even if there is one
    #[arg(long, conflicts_with = "config")]
    pub no_config: bool,
    /// What stands in that file.
    #[arg(skip)]
    pub settings: Config,
    /// The options of the command line without which another command would find something else,
    /// word by word.
    #[arg(skip)]
    pub finding: Vec<OsString>,
    /// The first word of a line without a command, which may have been meant as one.
    #[arg(skip)]
    pub guess: Option<OsString>,
    /// Maximum segment lifetime; TIME_WAIT lasts twice that [default: 30]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub msl: Option<Span>,
    /// When the capture ended: RFC 3339, or +SECONDS from its start [default: at its last packet]
    #[arg(long, value_name = "TIME", value_parser = At::parse)]
    pub until: Option<At>,
    /// How long a CLOSE_WAIT may last before it counts as stuck [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub close_wait: Option<Span>,
    /// Open descriptors that a program may have, to tell when a leak uses them up [default: 1024]
    #[arg(long, value_name = "N")]
    pub fd_limit: Option<u64>,
    /// Set a finding's threshold, as in close-wait-leak.stuck_min=10; may be repeated
    #[arg(long, value_name = "NAME.THRESHOLD=VALUE")]
    pub set: Vec<String>,
    /// Leave out findings of this name; may be repeated
    #[arg(long, value_name = "NAME")]
    pub allow: Vec<String>,
    /// Host names, in the format of /etc/hosts
    #[arg(long, value_name = "FILE")]
    pub names: Option<PathBuf>,
    /// Replace addresses, names and processes in all output, so that it can be published; ports
    /// stay, and so does the payload of packets copied by `extract`
    #[arg(long)]
    pub mask: bool,
    /// Follow at most N pairs of addresses and ports at a time [default: 2097152]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_connections: Option<u64>,
    /// Look inside tunnels: GRE, IP-in-IP, VXLAN, GENEVE, GTP-U, Teredo, L2TP and others
    #[arg(long)]
    pub decode_tunnels: bool,
    /// Use N threads; the output is the same for any N [default: one per processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// Treat a capture that ends inside a packet as an error
    #[arg(long)]
    pub strict: bool,
    #[command(flatten)]
    pub sockets: SocketsArgs,
    /// Show progress on standard error; auto means on a terminal
    #[arg(
        long,
        value_name = WHEN,
        default_value = "auto",
        hide_possible_values = true
    )]
    pub progress: When,
    #[command(flatten)]
    pub color: ColorArg,
}

impl ReadArgs {
    /// The library's options for these and for the settings of a file, which they overrule.
    pub fn options(&self) -> Result<Options, ThresholdError> {
        let mut options = self.settings.options.clone();
        if let Some(msl) = self.msl {
            options.params.msl = msl;
        }
        if let Some(hold) = self.close_wait {
            options.thresholds.set_close_wait(hold);
        }
        if let Some(limit) = self.fd_limit {
            options.thresholds.set_fd_limit(limit);
        }
        for setting in &self.set {
            options.thresholds.set(setting)?;
        }
        for name in &self.allow {
            options.thresholds.allow(name)?;
        }
        options.decode_tunnels |= self.decode_tunnels;
        options.until = self.until.and_then(At::until);
        if let Some(max) = self.max_connections {
            options.connections_max = usize::try_from(max).unwrap_or(usize::MAX);
        }
        if let Some(threads) = self.threads {
            options.threads = threads.into();
        }
        Ok(options)
    }

    /// Whether a capture that ends inside a packet is an error.
    pub fn is_strict(&self) -> bool {
        self.strict || self.settings.strict
    }
}

/// Those of a command's options that change what is found or how it is called, as they were given.
pub fn finding_options(matches: &ArgMatches) -> Vec<OsString> {
    const FLAGS: [&str; 3] = ["no_config", "mask", "decode_tunnels"];
    const VALUES: [&str; 11] = [
        "config",
        "msl",
        "until",
        "close_wait",
        "fd_limit",
        "set",
        "allow",
        "max_connections",
        "names",
        "sockets",
        "snapshot_at",
    ];
    let option = |name: &str| OsString::from(format!("--{}", name.replace('_', "-")));
    let is_given = |name: &&str| matches.value_source(name) == Some(ValueSource::CommandLine);
    let flags = FLAGS.into_iter().filter(is_given).map(option);
    let values = VALUES.into_iter().filter(is_given).flat_map(|name| {
        let values = matches.get_raw(name).into_iter().flatten();
        values.flat_map(move |value| [option(name), value.to_owned()])
    });
    flags.chain(values).collect()
}

/// Colour, for every command.
#[derive(Clone, Copy, Debug, Args)]
pub struct ColorArg {
    /// Use colours; auto means on a terminal, unless NO_COLOR is set
    #[arg(
        long,
        value_name = WHEN,
        default_value = "auto",
        hide_possible_values = true
    )]
    pub color: When,
}

/// When to do something that suits a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal.
    Auto,
    /// In any case.
    Always,
    /// In no case.
    Never,
}

/// What to print of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// JSON Lines: one object per line
    Jsonl,
    /// One JSON object
    Json,
}

impl Format {
    /// Whether to colour what is printed so; none where there is nothing to colour.
    pub fn colored(self, color: When) -> Option<When> {
        (self == Format::Table).then_some(color)
    }
}

/// What to print of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people
    Table,
    /// JSON Lines: one object per line
    Jsonl,
    /// One JSON object
    Json,
    /// Markdown, short enough for a comment or a job summary
    Markdown,
    /// A single HTML file, to send on or keep
    Html,
    /// JUnit XML
    Junit,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// GitHub workflow commands, which become annotations
    Github,
    /// GitLab code quality report
    Gitlab,
}

/// `finwait report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    #[command(flatten)]
    pub input: read::FilesArg,
    #[command(flatten)]
    pub print: PrintArgs,
    #[command(flatten)]
    pub read: ReadArgs,
}

/// How and where to print a report.
#[derive(Debug, Args)]
pub struct PrintArgs {
    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: ReportFormat,
    /// Write the report to FILE, in whole or not at all
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Attach findings to FILE instead of to the capture, in sarif and gitlab
    #[arg(long, value_name = "FILE")]
    pub anchor: Option<String>,
}

/// `finwait list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    pub input: read::FilesArg,
    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: Format,
    #[command(flatten)]
    pub filter: FilterArgs,
    #[command(flatten)]
    pub read: ReadArgs,
}

/// Which connections are wanted. Options of one kind widen the choice, others narrow it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Filters")]
pub struct FilterArgs {
    /// Connections with one end in this state at the end of the capture; client:STATE or
    /// server:STATE looks at that end only
    #[arg(long, value_name = "STATE", value_parser = state)]
    pub state: Vec<(Option<Role>, State)>,
    /// Connections with one end at this address, or at a host so named by --names or the capture
    #[arg(long, value_name = "ADDR")]
    pub host: Vec<Addr>,
    /// Connections with one end on this port
    #[arg(long, value_name = "N")]
    pub port: Vec<u16>,
    /// Connections that a finding of this name is about
    #[arg(long, value_name = "NAME", value_parser = finding)]
    pub finding: Vec<String>,
    /// Connections not closed on both sides
    #[arg(long)]
    pub open: bool,
}

impl FilterArgs {
    /// The library's filter for these.
    pub fn filter(&self, analysis: &Analysis) -> Filter {
        Filter {
            states: self.state.clone(),
            hosts: analysis.hosts(&self.host),
            ports: self.port.clone(),
            findings: self.finding.clone(),
            open: self.open,
        }
    }
}

/// `finwait show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The connection's id, as `list` prints it, then the captures
    #[arg(value_name = "ID] [FILE")]
    pub words: Vec<OsString>,
    /// Select by Wireshark's tcp.stream instead of by id
    #[arg(long, value_name = "N")]
    pub stream: Option<u32>,
    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: Format,
    #[command(flatten)]
    pub read: ReadArgs,
}

/// `finwait explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Name of a finding or a state
    pub name: Option<String>,
    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: ExplainFormat,
    #[command(flatten)]
    pub color: ColorArg,
}

/// What `explain` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExplainFormat {
    /// For people
    Table,
    /// JSON
    Json,
}

/// `finwait demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Write the built-in capture to FILE, to try the other commands on it
    #[arg(long, value_name = "FILE", conflicts_with = "output")]
    pub save: Option<PathBuf>,
    #[command(flatten)]
    pub print: PrintArgs,
    #[command(flatten)]
    pub read: ReadArgs,
}

/// The command line with the command first: options may stand before it, and where none is named it
/// is `report`. With it, the first word of such a line, which may have been meant as a command.
pub fn with_command_first(
    args: impl IntoIterator<Item = OsString>,
) -> (Vec<OsString>, Option<OsString>) {
    const NOT_FILES: [&str; 5] = ["help", "-h", "--help", "-V", "--version"];
    let mut args: Vec<OsString> = args.into_iter().collect();
    let first = args.get(1).map(|arg| arg.to_string_lossy().into_owned());
    if args.is_empty() || first.is_some_and(|first| NOT_FILES.contains(&first.as_str())) {
        return (args, None);
    }
    let cli = <Cli as clap::CommandFactory>::command();
    let word = first_word(&args, &cli);
    let named = word.and_then(|at| args.get(at)).cloned();
    let is_command = |name: &OsString| cli.get_subcommands().any(|it| name == it.get_name());
    match (word, named) {
        (Some(at), Some(name)) if is_command(&name) => {
            let command = args.remove(at);
            args.insert(1, command);
            (args, None)
        }
        (_, named) => {
            args.insert(1, "report".into());
            (args, named)
        }
    }
}

/// Where the first word stands that is neither an option nor an option's value.
fn first_word(args: &[OsString], cli: &clap::Command) -> Option<usize> {
    let takes_value = |option: &str| {
        let options = cli.get_subcommands().flat_map(clap::Command::get_arguments);
        let mut same = options.filter(|arg| match option.strip_prefix("--") {
            Some(long) => arg.get_long() == Some(long),
            None => arg.get_short().is_some_and(|short| option == format!("-{short}")),
        });
        same.any(|arg| arg.get_action().takes_values())
    };
    let mut at = 1;
    loop {
        let arg = args.get(at)?.to_string_lossy();
        match &*arg {
            "--" => return None,
            "-" => return Some(at),
            option if option.starts_with('-') => at += 1 + usize::from(takes_value(option)),
            _ => return Some(at),
        }
    }
}

/// A duration in seconds, with a fraction if wanted.
pub fn seconds(text: &str) -> Result<Span, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && seconds >= 0.0 => Ok(Span::from_secs_f64(seconds)),
        _ => Err("not a number of seconds, such as 60 or 0.5".to_string()),
    }
}

/// A state by its name, for one role or for either.
fn state(text: &str) -> Result<(Option<Role>, State), String> {
    let (role, name) = match text.split_once(':') {
        None => (None, text),
        Some((role, name)) => {
            let found = Role::BOTH.into_iter().find(|it| it.name() == role);
            (Some(found.ok_or("client or server must stand before the colon")?), name)
        }
    };
    let names = || State::ALL.map(State::name).join(", ");
    let state = State::from_name(name).ok_or_else(|| format!("the states are {}", names()))?;
    Ok((role, state))
}

/// A finding's name.
fn finding(name: &str) -> Result<String, ThresholdError> {
    find(name).map(|rule| rule.name.to_string())
}
