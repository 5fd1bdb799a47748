"""What a host's own tools say of its sockets at one moment, kept word for word beside the captures."""

import subprocess
import time

import clock

# File name: command.  Each in the forms in which people have it at hand.
COMMANDS = {
    "ss-tan": "ss -tan",
    "ss-tn": "ss -tn",
    "ss-tanp": "ss -tanp",
    "ss-tanpH": "ss -tanpH",
    "ss-tanpoei": "ss -tanpoei",
    "ss-tulpan": "ss -tulpan",
    "netstat-an": "netstat -an",
    "netstat-antp": "netstat -antp",
    "netstat-antpeo": "netstat -antpeoW",
    "lsof-i": "lsof -nP -i",
    "lsof-iTCP": "lsof -nP -iTCP -sTCP:ESTABLISHED,CLOSE_WAIT",
    "proc-net-tcp": "cat /proc/thread-self/net/tcp",
    "proc-net-tcp6": "cat /proc/thread-self/net/tcp6",
}


def take(host, folder):
    """Run every command in the host's namespace; say when the first began and the last ended."""
    folder.mkdir(exist_ok=True)
    begun = time.time_ns()
    with host.namespace:
        for name, command in COMMANDS.items():
            said = subprocess.run(command.split(), capture_output=True, text=True, check=False)
            (folder / f"{host.name}.{name}.txt").write_text(said.stdout)
    ended = time.time_ns()
    times = "".join(f"{clock.rfc3339(at)}\n" for at in (begun, ended))
    (folder / f"{host.name}.when.txt").write_text(times)
