"""libtorrent's DHT as a program: one JSON object a line on standard output.

    lt_dht.py serve --listen IP:PORT [--node IP:PORT]...
    lt_dht.py announce HASH PORT ...
    lt_dht.py get-peers HASH ...
    lt_dht.py put TEXT ...
    lt_dht.py get TARGET ...
    lt_dht.py put-mutable PRIVATE(64 bytes) PUBLIC SALT TEXT ...
    lt_dht.py get-mutable PUBLIC SALT ...
    lt_dht.py sample IP:PORT TARGET ...

Keys, hashes and targets are hexadecimal. What asks ends with its answer, and is no node for others; what stores stays until it
is ended.
"""
import argparse
import json
import time

import libtorrent as lt


# Others take whom they stored something for into their tables, and would wait for a node that is gone.
STAYS = ("serve", "announce", "put", "put-mutable")


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def endpoint(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


def session(args):
    return lt.session({
        "listen_interfaces": args.listen,
        "enable_dht": True, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
        "dht_bootstrap_nodes": ",".join(args.node),
        "dht_read_only": args.what not in STAYS,
        "dht_restrict_routing_ips": False, "dht_restrict_search_ips": False,
        "dht_prefer_verified_node_ids": False, "dht_enforce_node_id": False, "dht_ignore_dark_internet": False,
        "alert_mask": lt.alert.category_t.dht_notification | lt.alert.category_t.dht_operation_notification
        | lt.alert.category_t.stats_notification | lt.alert.category_t.error_notification,
    })


def sha1(text):
    return lt.sha1_hash(bytes.fromhex(text))


def ready(ses):
    """Waits until some nodes are known."""
    at = lt.find_metric_idx("dht.dht_nodes")
    until = time.time() + 15
    while time.time() < until:
        ses.post_session_stats()
        ses.wait_for_alert(200)
        for alert in ses.pop_alerts():
            if isinstance(alert, lt.session_stats_alert) and alert.values["dht.dht_nodes"] >= 3:
                return
        time.sleep(0.05)
    say("error", message=f"no nodes ({at})")


def answers(ses, kind, again=None):
    """The alerts of a kind, for half a minute; `again` asks once more every five seconds."""
    until, asked = time.time() + 30, time.time()
    while time.time() < until:
        if again and time.time() - asked > 5:
            again()
            asked = time.time()
        ses.wait_for_alert(100)
        for alert in ses.pop_alerts():
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
    ses = session(args)
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
