"""The same scenario with its two parts exchanged.

A kernel closes, loses, resets and forgets in the same way at both ends of a
connection, whoever opened it; an observer that learned only one of the two
would be right by chance.  So nothing is written twice: the client still opens,
but the socket that the script calls "client" is the server's, the path hurts
the other sender, and the expected states after the opening change places.
"""

import re
from dataclasses import replace

from impair import Impairment
from sequences import CLIENT_OPEN, SERVER_OPEN

OTHER = {"client": "server", "server": "client"}


def words(text):
    """The same sentence about the other end."""
    return re.sub(r"\b(client|server)\b", lambda found: OTHER[found[0]], text)


def expectation(expect):
    """What the ends pass through when each plays the other's part."""
    return [_pair(client, server) for client, server in expect]


def _pair(client, server):
    """Exchange all that follows the opening; an end that is alone keeps its part."""
    if not (client and server):
        return client, server
    if client.startswith(CLIENT_OPEN) and server.startswith(SERVER_OPEN):
        return (CLIENT_OPEN + server.removeprefix(SERVER_OPEN),
                SERVER_OPEN + client.removeprefix(CLIENT_OPEN))
    if client.startswith("SYN_SENT") and server.startswith("SYN_SENT"):
        return server, client
    raise ValueError(f"opening and closing cannot be told apart: {client!r}, {server!r}")


def impairment(path):
    """The path as it looks to the ends when they have changed places."""
    return Impairment(to_server=path.to_client, to_client=path.to_server, jitter=path.jitter,
                      loss=path.loss, duplicate=path.duplicate, seed=path.seed,
                      rules=[_rule(rule) for rule in path.rules])


def observer(original):
    """What is wrong with the capture, said of the other end."""
    of = lambda match: match and _predicate(match)  # noqa: E731
    return replace(original, what=words(original.what), keep=_predicate(original.keep),
                   begins=of(original.begins), ends=of(original.ends))


def _rule(rule):
    return replace(rule, what=words(rule.what), match=_predicate(rule.match),
                   after=rule.after and _predicate(rule.after))


def _predicate(match):
    return lambda packet: match(replace(packet, sender=OTHER[packet.sender]))
