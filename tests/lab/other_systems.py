#!/usr/bin/env python3
"""Write the socket tables of systems that the lab does not have: other_systems.py

After the documented columns of each, with the sockets of testdata/sockets/holders; and the classic
listing of an Oracle process that holds port 6800.
"""

from pathlib import Path

SOCKETS = Path("testdata/sockets")
BSD = {"FIN_WAIT1": "FIN_WAIT_1", "FIN_WAIT2": "FIN_WAIT_2", "SYN_RECV": "SYN_RCVD"}
WINDOWS = {**BSD, "SYN_RECV": "SYN_RECEIVED", "LISTEN": "LISTENING"}
BSD_TITLE = "Active Internet connections (including servers)\n"
WINDOWS_HEAD = ("\nActive Connections\n\n"
                "  Proto  Local Address          Foreign Address        State           PID\n")


def main():
    made = SOCKETS / "made"
    sockets, programs = _sockets()
    files = {
        "macos-netstat-an": _bsd(sockets, "tcp4", 5, " " * 4) + (
            "udp4       0      0  *.68                   *.*\n"
            "Active LOCAL (UNIX) domain sockets\n"
            "Address          Type   Recv-Q Send-Q            Inode             Conn\n"
            "ffff800000001000 stream      0      0                0 ffff800000001100\n"),
        "macos-netstat-anv": _bsd(sockets, "tcp4", 5, "  rhiwat shiwat    pid   epid state  options",
                                  lambda pid: f" 131072 131072 {pid or 0:>6}      0 00182 00000000"),
        "freebsd-netstat-an-p-tcp": _bsd(sockets, "tcp4", 4),
        "openbsd-netstat-an": _bsd(sockets, "tcp ", 5),
        "windows-netstat-ano": _windows(sockets, {}).replace("\n", "\r\n"),
        "oracle-lsof-i": _oracle(),
    }
    for name, text in files.items():
        (made / f"{name}.txt").write_bytes(text.encode())
    text = _windows(sockets, programs).replace("\n", "\r\n")
    (made / "windows-netstat-anob-utf16.txt").write_bytes(b"\xff\xfe" + text.encode("utf-16-le"))


def _sockets():
    """[(Recv-Q, local, remote, state, pid or None)] and {pid: program}."""
    folder = SOCKETS / "holders" / "sockets"
    sockets = []
    for line in (folder / "server.netstat-antp.txt").read_text().splitlines()[2:]:
        _, queue, _, local, remote, state, owner = line.split()[:7]
        pid = int(owner.split("/")[0]) if "/" in owner else None
        sockets.append((0 if state == "LISTEN" else int(queue), local, remote, state, pid))
    lines = (folder / "server.lsof-i.txt").read_text().splitlines()[1:]
    return sockets, {int(line.split()[1]): line.split()[0] for line in lines}


def _bsd(sockets, proto, gap, head="", more=lambda pid: ""):
    wide = " " * (gap - 4)
    text = BSD_TITLE + (f"Proto Recv-Q Send-Q {wide}Local Address          "
                        f"Foreign Address        (state)    {head}\n")
    for queue, local, remote, state, pid in sockets:
        text += (f"{proto}  {queue:>6} {0:>6} {wide}{_dotted(local):<22} {_dotted(remote):<22} "
                 f"{BSD.get(state, state):<11}{more(pid)}\n")
    return text


def _dotted(end):
    host, port = end.rsplit(":", 1)
    return "*.*" if port == "*" else f"{host}.{port}"


def _windows(sockets, programs):
    text = WINDOWS_HEAD
    for _, local, remote, state, pid in sockets:
        remote = "0.0.0.0:0" if remote.endswith(":*") else remote
        text += f"  TCP    {local:<22} {remote:<22} {WINDOWS.get(state, state):<15} {pid or 0}\n"
        if pid in programs:
            text += f" [{programs[pid]}.exe]\n"
    return text + "  UDP    0.0.0.0:500            *:*                                    1208\n"


def _oracle():
    row = "oracle   4711 oracle {fd:>4}u  IPv4  {inode}       TCP {name}\n"
    text = "COMMAND   PID   USER   FD   TYPE DEVICE SIZE NODE NAME\n"
    text += row.format(fd=9, inode=81230, name="*:6800 (LISTEN)")
    for number, port in enumerate((2174, 2175, 2178, 2181, 2186)):
        name = f"RHEL3:6800->RHEL3:{port} (CLOSE_WAIT)"
        text += row.format(fd=11 + number, inode=81240 + 7 * number, name=name)
    return text


if __name__ == "__main__":
    main()
