"""libtorrent as a program: one torrent, one JSON object a line on standard output.

    lt_peer.py get TORRENT|MAGNET --dir DIR --listen IP:PORT [--peer IP:PORT]... [--dht IP:PORT] [--utp|--both] [--super-seed]
        [--encryption HOW] [--proxy IP:PORT]
    lt_peer.py create PATH OUT --piece BYTES --kind v1|v2|hybrid
    lt_peer.py scrape TORRENT --listen IP:PORT

`get` checks what is in DIR, downloads the rest, says "seeding" when everything is verified, and serves until it is
ended. `scrape` asks the torrent's first tracker how many there are, and says "scraped".
"""
import argparse
import json
import pathlib
import time

import libtorrent as lt

from lt_alerts import Session


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


# What is taken and offered: the policy (0 forced, 1 enabled, 2 disabled) and the level (1 plain, 2 RC4, 3 both).
ENCRYPTION = {"rc4": (0, 2), "obfuscated": (0, 1), "covered": (0, 3), "usual": (1, 3), "plain": (2, 3)}


def session(listen, dht=None, utp=False, tcp=True, encryption="usual", proxy=None):
    policy, level = ENCRYPTION[encryption]
    way_out = {"outgoing_interfaces": listen.rsplit(":", 1)[0].strip("[]")}
    if proxy:
        host, port = proxy.rsplit(":", 1)
        way_out = {"proxy_type": int(lt.proxy_type_t.socks5), "proxy_hostname": host, "proxy_port": int(port),
                   "proxy_peer_connections": True, "proxy_hostnames": True}
    return Session({
        **way_out,
        "in_enc_policy": policy, "out_enc_policy": policy, "allowed_enc_level": level,
        "listen_interfaces": listen,
        "enable_dht": dht is not None, "dht_bootstrap_nodes": dht or "",
        "dht_restrict_routing_ips": False, "dht_restrict_search_ips": False,
        "dht_prefer_verified_node_ids": False, "dht_enforce_node_id": False, "dht_ignore_dark_internet": False,
        "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
        "allow_multiple_connections_per_ip": True,
        "enable_outgoing_utp": utp, "enable_incoming_utp": utp,
        "enable_outgoing_tcp": tcp, "enable_incoming_tcp": tcp,
        "min_reconnect_time": 1,
        "alert_mask": lt.alert.category_t.status_notification | lt.alert.category_t.error_notification,
    })


def get(args):
    ses = session(args.listen, args.dht, args.utp or args.both, not args.utp, args.encryption, args.proxy)
    if args.source.startswith("magnet:"):
        params = lt.parse_magnet_uri(args.source)
    else:
        params = lt.add_torrent_params()
        params.ti = lt.torrent_info(args.source)
    params.save_path = args.dir
    params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    if args.super_seed:
        params.flags |= lt.torrent_flags.super_seeding
    handle = ses.add_torrent(params)
    for peer in args.peer:
        host, port = peer.rsplit(":", 1)
        handle.connect_peer((host.strip("[]"), int(port)))
    seeding = False
    announced = 0
    while True:
        alerts = ses.alerts(0.05)
        if args.dht and time.monotonic() > announced + 2:
            announced = time.monotonic()
            handle.force_dht_announce()     # else a quarter of an hour may pass
        for alert in alerts:
            if isinstance(alert, (lt.torrent_error_alert, lt.file_error_alert, lt.listen_failed_alert)):
                say("error", message=alert.message())
            elif isinstance(alert, lt.metadata_received_alert):
                say("metadata")
            elif isinstance(alert, (lt.hash_failed_alert, lt.peer_error_alert, lt.tracker_error_alert)):
                say("trouble", message=alert.message())
                if args.proxy and isinstance(alert, lt.tracker_error_alert):
                    handle.force_reannounce(1)      # the first one goes out before libtorrent has met its proxy
            elif isinstance(alert, lt.cache_flushed_alert) and not seeding:
                seeding = True
                say("seeding")
        if not seeding and handle.status().is_seeding:
            handle.flush_cache()        # answered by cache_flushed_alert, when all is with the kernel


def create(args):
    files = lt.file_storage()
    lt.add_files(files, args.path)
    flags = {"v1": lt.create_torrent.v1_only, "v2": lt.create_torrent.v2_only, "hybrid": 0}[args.kind]
    torrent = lt.create_torrent(files, args.piece, flags)
    lt.set_piece_hashes(torrent, str(pathlib.Path(args.path).parent))
    pathlib.Path(args.out).write_bytes(lt.bencode(torrent.generate()))


def scrape(args):
    ses = session(args.listen)
    ses.apply_settings({"alert_mask": lt.alert.category_t.tracker_notification | lt.alert.category_t.error_notification})
    params = lt.add_torrent_params()
    params.ti = lt.torrent_info(args.source)
    params.save_path = "."
    params.flags = lt.torrent_flags.paused      # it asks, and announces nothing
    handle = ses.add_torrent(params)
    end = time.monotonic() + 30
    asked = 0
    while time.monotonic() < end:
        if time.monotonic() > asked + 2:        # the first may go out before there is a socket
            asked = time.monotonic()
            handle.scrape_tracker()
        for alert in ses.alerts(0.1):
            if isinstance(alert, lt.scrape_reply_alert):
                return say("scraped", complete=alert.complete, incomplete=alert.incomplete)
            if isinstance(alert, lt.scrape_failed_alert):
                say("trouble", message=alert.message())
    say("error", message="no answer to a scrape")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    p = commands.add_parser("get")
    p.add_argument("source")
    p.add_argument("--dir", required=True)
    p.add_argument("--listen", required=True)
    p.add_argument("--peer", action="append", default=[])
    p.add_argument("--dht", help="take part in the DHT, by this node")
    p.add_argument("--utp", action="store_true", help="speak uTP and no TCP")
    p.add_argument("--super-seed", action="store_true", help="pretend to have nothing")
    p.add_argument("--both", action="store_true", help="speak uTP beside TCP")
    p.add_argument("--encryption", choices=ENCRYPTION, default="usual", help="what is taken and offered")
    p.add_argument("--proxy", help="go out through this SOCKS5 proxy")
    p.set_defaults(run=get)
    p = commands.add_parser("create")
    p.add_argument("path")
    p.add_argument("out")
    p.add_argument("--piece", type=int, required=True)
    p.add_argument("--kind", choices=("v1", "v2", "hybrid"), required=True)
    p.set_defaults(run=create)
    p = commands.add_parser("scrape")
    p.add_argument("source")
    p.add_argument("--listen", required=True)
    p.set_defaults(run=scrape)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
