"""libtorrent's DHT as a program: one JSON object a line on standard output.

    lt_dht.py serve --listen IP:PORT [--node IP:PORT]...
    lt_dht.py announce HASH PORT ...
    lt_dht.py get-peers HASH ...
    lt_dht.py put TEXT ...
    lt_dht.py get TARGET ...
    lt_dht.py put-mutable PRIVATE(64 bytes) PUBLIC SALT TEXT ...
    lt_dht.py get-mutable PUBLIC SALT ...
    lt_dht.py sample IP:PORT TARGET ...
    lt_dht.py swarm NODES LOOKUPS ...

Keys, hashes and targets are hexadecimal. What asks ends with its answer, and is no node for others; what stores stays until it
is ended. `swarm` is many nodes, each in a network of its own from that of --listen on, of which some announce and others look up
what was announced; it stays, too.
"""
import argparse
import hashlib
import json
import random
import time

import libtorrent as lt

from lt_alerts import Session


# Others take whom they stored something for into their tables, and would wait for a node that is gone.
STAYS = ("serve", "announce", "put", "put-mutable")


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def endpoint(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


def session(listen, nodes, read_only=False):
    return Session({
        "listen_interfaces": listen,
        "enable_dht": True, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
        "dht_bootstrap_nodes": ",".join(nodes),
        "dht_read_only": read_only,
        "dht_restrict_routing_ips": False, "dht_restrict_search_ips": False,
        "dht_prefer_verified_node_ids": False, "dht_enforce_node_id": False, "dht_ignore_dark_internet": False,
        "alert_mask": lt.alert.category_t.dht_notification | lt.alert.category_t.dht_operation_notification
        | lt.alert.category_t.stats_notification | lt.alert.category_t.error_notification,
    })


def sha1(text):
    return lt.sha1_hash(bytes.fromhex(text))


def figure(ses, name):
    """One of libtorrent's counters, as it is now; alerts before it are lost."""
    ses.post_session_stats()
    until = time.time() + 3
    while time.time() < until:
        for alert in ses.alerts(0.2):
            if isinstance(alert, lt.session_stats_alert):
                return alert.values[name]
    return 0


def ready(ses):
    """Waits until some nodes are known."""
    until = time.time() + 15
    while time.time() < until:
        if figure(ses, "dht.dht_nodes") >= 3:
            return
        time.sleep(0.05)
    say("error", message="no nodes")


def answers(ses, kind, again=None):
    """The alerts of a kind, for half a minute; `again` asks once more every five seconds."""
    until, asked = time.time() + 30, time.time()
    while time.time() < until:
        if again and time.time() - asked > 5:
            again()
            asked = time.time()
        for alert in ses.alerts(0.1):
            if isinstance(alert, kind):
                yield alert


def get_peers(ses, args):
    def ask():
        ses.dht_get_peers(sha1(args.words[0]))
    ask()
    for alert in answers(ses, lt.dht_get_peers_reply_alert, ask):
        peers = [f"{host}:{port}" for host, port in alert.peers()]
        if peers:
            return say("peers", peers=peers)


def put(ses, args):
    target = ses.dht_put_immutable_item(args.words[0])
    for alert in answers(ses, lt.dht_put_alert):
        return say("stored", target=str(target), nodes=alert.num_success)


def get(ses, args):
    def ask():
        ses.dht_get_immutable_item(sha1(args.words[0]))
    ask()
    for alert in answers(ses, lt.dht_immutable_item_alert, ask):
        if alert.item is not None:
            return say("item", text=text_of(alert.item))


def put_mutable(ses, args):
    private, public, salt, text = args.words
    ses.dht_put_mutable_item(bytes.fromhex(private), bytes.fromhex(public), text.encode(), salt.encode())
    for alert in answers(ses, lt.dht_put_alert):
        return say("stored", nodes=alert.num_success)


def get_mutable(ses, args):
    public, salt = args.words

    def ask():
        ses.dht_get_mutable_item(bytes.fromhex(public), salt.encode())
    ask()
    for alert in answers(ses, lt.dht_mutable_item_alert, ask):
        if alert.seq > 0:
            return say("item", text=text_of(alert.item), seq=alert.seq)


def text_of(item):
    if isinstance(item, dict):      # a mutable item comes with what surrounds it
        item = item.get("value", item.get(b"value", item))
    return item.decode() if isinstance(item, bytes) else item


def sample(ses, args):
    node, target = args.words

    def ask():
        ses.dht_sample_infohashes(endpoint(node), sha1(target))
    ask()
    for alert in answers(ses, lt.dht_sample_infohashes_alert, ask):
        return say("info_hashes", hashes=[str(h) for h in alert.samples], total=alert.num_infohashes)


def swarm(args):
    """Nodes that each know three others at first. Once most know two fifths of all, or after half a minute, what the first
    announce the last look up."""
    count, lookups = map(int, args.words)
    (host, port), chance = endpoint(args.listen), random.Random(1)
    a, b, c, d = map(int, host.split("."))
    at = [(f"{a}.{b}.{c + i}.{d}", port) for i in range(count)]
    nodes = []
    for i, (host, port) in enumerate(at):
        nodes.append(session(f"{host}:{port}", []))
        for known in chance.sample(at[:i], min(3, i)):
            nodes[i].add_dht_node(known)
    until = time.time() + 30
    while time.time() < until:
        known = sorted(figure(ses, "dht.dht_nodes") for ses in nodes)
        if known[count // 10] >= count * 2 // 5:
            break
        time.sleep(1)
    say("ready", least=known[0], median=known[count // 2])
    hashes = [hashlib.sha1(b"%d" % i).digest() for i in range(lookups)]
    for ses, wanted in zip(nodes, hashes):
        ses.dht_announce(lt.sha1_hash(wanted), 7000, 0)
    time.sleep(6)       # no alert tells when the announces are through
    for ses, wanted in zip(reversed(nodes), hashes):
        say("looked_up", hash=wanted.hex(), **look_up(ses, wanted))
    say("serving")
    while True:
        time.sleep(1)
        for ses in nodes:
            ses.pop_alerts()


def look_up(ses, wanted):
    before, begin, first = figure(ses, "dht.dht_get_peers_out"), time.time(), None
    ses.dht_get_peers(lt.sha1_hash(wanted))
    # How a lookup goes on behind its first peer is not told either.
    while time.time() < (first or begin + 3.5) + 1.5:
        for alert in ses.alerts(0.05):
            if isinstance(alert, lt.dht_get_peers_reply_alert) and alert.num_peers() > 0 and not first:
                first = time.time()
    return {"found": first is not None, "queries": figure(ses, "dht.dht_get_peers_out") - before,
            "seconds": (first or time.time()) - begin}


def stay(ses):
    while True:
        time.sleep(1)
        ses.pop_alerts()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what")
    parser.add_argument("words", nargs="*")
    parser.add_argument("--listen", required=True)
    parser.add_argument("--node", action="append", default=[])
    args = parser.parse_args()
    if args.what == "swarm":
        return swarm(args)
    ses = session(args.listen, args.node, args.what not in STAYS)
    for node in args.node:
        ses.add_dht_node(endpoint(node))
    if args.what == "serve":
        say("serving")
        return stay(ses)
    ready(ses)
    if args.what == "announce":
        while True:
            ses.dht_announce(sha1(args.words[0]), int(args.words[1]), 0)
            say("announced", ip=endpoint(args.listen)[0])
            time.sleep(5)
            ses.pop_alerts()
    {"get-peers": get_peers, "put": put, "get": get, "put-mutable": put_mutable, "get-mutable": get_mutable,
     "sample": sample}[args.what](ses, args)
    if args.what in STAYS:
        stay(ses)


main()
