//! Every bound on memory or time that grows with the input: its value, its unit and the reason for
//! it.
//!
//! A capture can hold anything, so whatever grows with it has a limit here. Where one is reached,
//! the work goes on with less, and `summary.limits_hit` counts how often under the limit's name.
//! What the protocol bounds, and what a rule compares with, stands where it is used.

use crate::seq::WINDOW_MAX;
use crate::time::Span;

/// Bytes of the read buffer: what is read stays in a core's second-level cache until it has been
/// looked at, and the system is asked for two thousand packets at once.
pub const READ_BUFFER_BYTES: usize = 256 << 10;

/// The longest pcapng block that is taken apart for anything but its packet: writers put whole
/// option lists and tables of names in one.
pub const META_BLOCK_BYTES_MAX: usize = 1 << 20;

/// Bytes to which the read buffer may grow for one block. Above it the file is damaged or hostile.
pub const BLOCK_BYTES_MAX: usize = 16 << 20;

/// Captured bytes of one packet in a pcap file, if its header sets no larger snap length. It is the
/// most that libpcap and Wireshark take, so what is above is no length but the bytes of something
/// else.
pub const CAPTURED_BYTES_MAX: u32 = 256 << 10;

/// Bytes of each read buffer when several files are merged: a rotated capture may be hundreds of
/// files, all open at once, and reading in pieces of this size costs hardly more.
pub const MERGE_BUFFER_BYTES: usize = 64 << 10;

/// Packets with one and the same time that are compared between files which overlap: about 3 MB.
/// Clocks that tick in microseconds leave a handful.
pub const REPEATS_MAX: usize = 1 << 16;

/// Bytes of history that a compressed stream may refer to. It is what `zstd` itself allows unless
/// told otherwise; `xz -9` takes half.
pub const UNPACK_WINDOW_BYTES_MAX: usize = 128 << 20;

/// Bytes that are unpacked at a time: enough to make handing them over cheap, and little enough
/// for the cache.
pub const UNPACKED_PIECE_BYTES: usize = 256 << 10;

/// Pieces that unpacking is ahead of reading.
pub const UNPACKED_PIECES: usize = 4;

/// Different link types that are remembered of one file, for its description only.
pub const LINK_TYPES_MAX: usize = 64;

/// Interfaces of one pcapng section. Real captures name a few; Linux allows 2^16 network devices.
pub const INTERFACES_MAX: usize = 1 << 16;

/// Bytes of one line of a text. tcpdump's longest, with many options and a long request behind
/// them, have a few thousand; what is behind is passed over.
pub const TEXT_LINE_BYTES_MAX: usize = 16 << 10;

/// Bytes of a text in which the first packet's line is looked for: a long mail comes before it.
pub const TEXT_PREAMBLE_BYTES_MAX: u64 = 1 << 20;

/// How long before the first packet another one may have been captured: a month. What is stamped
/// earlier yet has the time of a clock that nobody had set, and the capture does not begin there.
pub const BEGUN_EARLIER_MAX: Span = Span::from_secs(30 * 86_400);

/// How long after the last packet a file may say that its capture ended: a month. Nobody waits that
/// long for a packet, and a clock or a resolution that is told wrongly is off by more.
pub const SILENT_END_MAX: Span = Span::from_secs(30 * 86_400);

/// Names taken from name resolution blocks, over all files, and names in a text.
pub const NAMES_MAX: usize = 1 << 16;

/// Bytes of one name, of a host or an interface. A domain name has at most 255 (RFC 1035).
pub const NAME_BYTES_MAX: usize = 255;

/// Comments, and filters, kept of one file for its description.
pub const FILE_COMMENTS_MAX: usize = 64;

/// Bytes kept of one comment or filter. ptcpdump writes a container's labels in one, which are a
/// few hundred.
pub const COMMENT_BYTES_MAX: usize = 2_048;

/// Processes that one pcapng section describes. Linux and macOS have at most 2^22 and 10^5 at a
/// time; a capture sees a few hundred.
pub const PROCESSES_MAX: usize = 1 << 16;

/// Connections of which a capture's own notes are kept, and holders and comments of each end or
/// connection: about 100 MB if all are used.
pub const NOTED_CONNECTIONS_MAX: usize = 1 << 18;

/// Holders kept of one end by the capture's own notes. Few processes share a socket.
pub const NOTED_HOLDERS_MAX: usize = 8;

/// Different comments kept of all packets, 16 MB, and of one connection's.
pub const COMMENTS_MAX: usize = 1 << 13;
/// See [`COMMENTS_MAX`].
pub const CONNECTION_COMMENTS_MAX: usize = 64;

/// Link-layer headers (VLAN tags, MPLS labels, PPPoE) in front of one IP packet.
pub const LINK_HEADERS_MAX: usize = 16;

/// Extension headers in front of one IPv6 payload. RFC 8200 has eight kinds.
pub const EXTENSION_HEADERS_MAX: usize = 16;

/// Transitions kept of one connection. A whole life takes eleven; what goes on and on is a peer
/// that refutes, and that is cut here.
pub const TRANSITIONS_MAX: usize = 64;

/// Refutations kept of one connection. Linux repeats a segment fifteen times before it gives up.
pub const REFUTATIONS_MAX: usize = 32;

/// Holes remembered in what one endpoint was seen to send, for the count of its bytes. A burst of
/// losses has a few; data that fills a hole beyond them is not counted.
pub const HOLES_MAX: usize = 4;

/// Times kept between a SYN and its repeats. Linux repeats one six times, and then gives up.
pub const SYN_GAPS_MAX: usize = 7;

/// Segments kept of a SYN that waits to be accepted or refused on a four-tuple still in use: it,
/// its repeats, and what answers it. Linux repeats a SYN six times.
pub const HELD_REPEATS_MAX: usize = 8;

/// Frames of such a SYN, its repeats and copies that are kept to be extracted with the connection
/// that it turns out to be of. Further ones are extracted with the connection before.
pub const HELD_FRAMES_MAX: usize = 4 * HELD_REPEATS_MAX;

/// Fingerprints of recent packets of each lot of four-tuples, in which copies are looked for. A
/// power of two; 64 KiB for each of sixteen lots, so that a busy connection's stay in the cache.
/// Of copies behind five hundred other packets of the lot about an eighth is missed, of copies
/// behind three thousand half.
pub const DUPLICATE_SLOTS_PER_LOT: usize = 1 << 12;

/// Four-tuples, by default. About four gigabytes with their connections, two kilobytes each, if all
/// are open and none is ordinary, as in tunnels; a tenth of that if all are ordinary. Beyond them,
/// what matters least is forgotten (see `pipeline/forget.rs`), and where all are open, segments of
/// others are left out. Lives that others followed on their four-tuples may be as many again.
pub const CONNECTIONS_MAX: usize = 1 << 21;

/// Pairs of what SYN and SYN+ACK announce that are kept once for all connections, by each thread
/// that reads, and never let go: about 1 MB. The clients of a busy server know a few thousand; a
/// connection beyond them takes 25 bytes more.
pub const ANNOUNCEMENTS_MAX: usize = 1 << 14;

/// Four-tuples of which no segment came, and whose stream number is kept: about 5 MB. A router may
/// quote every SYN of a scan in ICMP errors; beyond them stream numbers fall behind Wireshark's.
pub const SEEN_TUPLES_MAX: usize = 1 << 16;

/// Segments of one connection that `show` keeps one by one: about 10 MB. What is ordinary beyond
/// them is counted only.
pub const LADDER_SEGMENTS_MAX: usize = 100_000;

/// Rows of a ladder that are there for a SYN, FIN or RST alone. A storm of resets is folded
/// beyond them; what changes a state is always shown.
pub const LADDER_CONTROL_ROWS_MAX: usize = 60;

/// Payload bytes of one segment. No window is larger (RFC 7323 section 2.3), so no receiver would
/// take more; and sequence numbers further apart than 2^31 have no order. Only a jumbo payload
/// option or a capture record's length can claim so much.
pub const PAYLOAD_BYTES_MAX: u32 = WINDOW_MAX;

/// Frames named in one finding: enough to look at, few enough to read.
pub const FINDING_FRAMES_MAX: usize = 8;

/// Findings kept of one name while the capture is read. All are counted; a report shows fewer.
pub const FINDINGS_KEPT_PER_NAME: usize = 200;

/// Hosts that a mask knows before one is told of, about 100 bytes each: while a capture grows, a
/// flood from everywhere must not fill it. Others are numbered when they are told of.
pub const MASKED_AHEAD_MAX: usize = 1 << 16;

/// Services, and clients of a service, that are told apart by a finding about many connections.
/// About 100 bytes each; a scan of all ports of four hosts fits.
pub const SERVICES_MAX: usize = 1 << 18;

/// Services that a count remembers as counted last, so that it need not look them up again: 80 KiB,
/// which stay in a core's cache. A power of two.
pub const NEWEST_SERVICES: usize = 1 << 12;

/// Moments of one census: a year in minutes, with some 50 MB of counts.
pub const CENSUS_MOMENTS_MAX: usize = 600_000;

/// Bytes of a report in Markdown. GitHub takes 65,536 characters in a comment, and drops a whole
/// step summary of more than 1 MiB.
pub const MARKDOWN_BYTES_MAX: usize = 60_000;

/// Bytes of a file of settings, or of a baseline: thirty thousand entries of one, which are more
/// than anybody looks at.
pub const SETTINGS_BYTES_MAX: u64 = 4 << 20;

/// Bytes of a file of hosts' names: room for a million hosts, with some 40 bytes a line.
pub const HOSTS_FILE_BYTES_MAX: u64 = 64 << 20;

/// Characters of somebody's line that are repeated in a message: enough to find it again.
pub const QUOTED_CHARS_MAX: usize = 40;

/// Bytes of one file that is said to be a host's socket table. A line takes some 150, so this is
/// room for more sockets than a host can have to one peer.
pub const SNAPSHOT_BYTES_MAX: u64 = 256 << 20;

/// Bytes of one line of it. ss names every process that holds a socket in one line, in some 30
/// bytes each.
pub const SNAPSHOT_LINE_BYTES_MAX: usize = 64 << 10;

/// Sockets of one such table: about 300 bytes each.
pub const SNAPSHOT_ROWS_MAX: usize = 1 << 20;

/// Holders that are kept of one socket. A server that forks a worker for each core shares its
/// sockets among as many.
pub const SNAPSHOT_HOLDERS_MAX: usize = 256;

/// Lines of one such table that could not be read and are named; all are counted.
pub const SNAPSHOT_UNREAD_NAMED_MAX: usize = 3;

/// A finding about many connections counts roughly, in cells of one byte, who may have so many as
/// it takes. There are this many for each connection, divided by that: so what shares a cell by
/// chance counts a fraction of it. No more than that, since each count is at another place, and
/// what a core's cache has no room for takes long.
pub const SUSPECT_CELLS_PER_CONNECTION: u64 = 16;

/// So many of them at least: a page of memory, in which few connections meet.
pub const SUSPECT_CELLS_MIN: u64 = 1 << 12;

/// So many at most: a megabyte for each of several rules, in each thread. Of more connections more
/// share a cell, and more are looked at twice.
pub const SUSPECT_CELLS_MAX: u64 = 1 << 20;

/// How many are counted for such a finding before that table is made, and from then on at a time.
/// They are searched one by one, so not many; a small capture, of which there may be very many, has
/// no more.
pub const SUSPECT_FEW_MAX: usize = 256;

/// Buckets of time in which a finding counts when something began and ended: enough to see a
/// trend; they widen with the capture.
pub const TIME_BUCKETS_MAX: u64 = 128;

/// Buckets of a second in which a service has attempts to connect, before they widen: 160 KB of
/// each service that has so many. A busy hour fits; over a busy week they are minutes.
pub const RUSH_BUCKETS_MAX: usize = 1 << 12;

/// Hosts that are told apart among the peers of one side of a service.
pub const PEERS_MAX: usize = 64;

/// SYNs without an answer, and connections without a word of the server, of which the times are
/// kept for each server that has some of the latter: a finding takes a few, and 1.5 KB are enough.
pub const QUEUED_MAX: usize = 64;

/// Moments that are told apart at which connections were closed after one silence, 2 KB where so
/// many were: they are a quarter of the silence, and ten times what a finding takes.
pub const CLOSES_APART_MAX: usize = 256;

/// Threads that judge connections. Each counts by itself, so what is bounded in findings about many
/// connections may be there once in each: of a scan of very many services some 200 MB.
pub const JUDGES_MAX: u64 = 8;

/// Threads that write the lines of connections: one writes out what they made, and more would
/// wait for it.
pub const WRITERS_MAX: usize = 8;

/// Servers whose TIME_WAITs, or attempts, are counted over time while all connections are looked
/// at: a few KB each, 160 if it was busy for hours, and as many in each thread. Of more, only those
/// that may have many are counted, at a second look.
pub const FIRST_LOOK_SERVERS_MAX: usize = 1 << 10;

/// Clients of which it is noted at the first look whether they talk, which a scanner does not: a
/// few hundred bytes each, and as many in each thread. Where there are more, all that leave many
/// connections without data are looked at twice.
pub const FIRST_LOOK_CLIENTS_MAX: usize = 1 << 13;

/// Services that are noted of one such client. A client that talks to so many is no scanner unless
/// it leaves nine times as many connections without data.
pub const SPOKEN_TO_MAX: usize = 8;

/// Sides of services whose sockets are counted over time: about 5 KB each. Beyond them the first in
/// order are kept.
pub const CROWDS_MAX: usize = 1 << 12;

/// Tunnels inside one another, reassembled packets among them. Real ones nest two deep.
pub const TUNNEL_DEPTH_MAX: usize = 4;

/// Tunnels that are told apart: about 200 MB, or 700 with an open connection in each.
pub const TUNNELS_MAX: usize = 1 << 18;

/// GTP-U tunnels between the same two nodes that carry the same address and port pair.
pub const GTP_TUNNELS_MAX: usize = 8;

/// Extension headers of one GTP-U packet; 3GPP TS 29.281 has eight kinds.
pub const GTP_EXTENSIONS_MAX: usize = 8;

/// IP packets that wait for their fragments: 1 MB. Linux holds 4 MB of whole ones.
pub const FRAGMENTED_PACKETS_MAX: usize = 1 << 11;

/// Bytes kept of a fragmented packet: the headers of two tunnels and the longest TCP header.
pub const FRAGMENT_HEAD_BYTES: usize = 384;

/// Holes between the fragments of one packet. In order there is none; reversed, none either.
pub const FRAGMENT_HOLES_MAX: usize = 32;

/// Segments that go from one half of the pipeline to the other at once: what is written of them,
/// forty kilobytes, stays in a core's nearest caches until it is read.
pub const BATCH_SEGMENTS: usize = 256;

/// The same where the other half is another thread: a hundred microseconds of work, so that waking
/// it costs little.
pub const HANDED_SEGMENTS: usize = 1024;

/// Batches of a capture's segments that wait for a thread to follow them before the one that reads
/// helps: half a megabyte, and half a millisecond's work for another one.
pub const WAITING_BATCHES: usize = 12;

/// Buffers for such batches, which are used in turn: 1.2 MB, more than a core's cache holds. To one
/// that another core has just read a core writes more slowly than to one that has left the caches.
pub const ROOMS_IN_TURN: usize = 32;

/// Segments of a capture that still grows which wait to be taken: 2.5 MB. Whoever sends them
/// waits then, as tcpdump does for a pipe.
pub const FED_SEGMENTS_MAX: usize = 1 << 14;

/// Connections of a capture that still grows from which on those that are over are forgotten, in
/// time: judging so many takes some hundredths of a second.
pub const FORGET_FROM: usize = 1 << 14;

/// Groups of four-tuples of which the places of those that came lately are known without a look at
/// the table of all. A power of two; with eight bytes for each of [`LATELY_WAYS`] of a group they
/// are 128 KiB a tracker: little enough for a core's second-level cache. Of ten thousand
/// connections open at a time nearly all are found; twice as many groups find a few more in the
/// same time.
pub const LATELY: usize = 1 << 12;

/// Four-tuples of each such group.
pub const LATELY_WAYS: usize = 4;

/// Segments of which places, records and fingerprints may be on their way from memory while others
/// are taken: with three lines each, more than a core can have open. Twice as many are no faster.
pub const FETCHED_SEGMENTS: usize = 32;

/// Shapes of ordinary connections that one thread remembers, to cast histories instead of having
/// the engine make each: a capture of millions of connections has a few hundred. What has no room
/// is made by the engine, so nothing is lost, and nothing counted.
pub const MOLDS_MAX: usize = 1 << 12;

/// Kinds of SYNs to which nothing came, of each of which a thread remembers one history: a flood
/// has one or two. What has no room is made by the engine.
pub const LONE_KINDS_MAX: usize = 16;

/// Sets of signs for which it is remembered which rules are due: a capture has some dozens, and if
/// two of them have one place, it is found again. A power of two.
pub const SIGNS_KEPT: usize = 1 << 10;
