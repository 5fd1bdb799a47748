//! Bytes to packets: capture files and pipes, read through pcap-parser. The library's only I/O.
