"""A node of pyipv8 2.2.0 or 3.2.1 as a program: the discovery community and the DHT on one socket.

    node.py --bootstrap IP:PORT [--store KEY DATA] [--sign] [--find KEY] [--connect MID]

Stays until it is ended, and prints one JSON object a line: `ready`, each second `peers`, and once `stored`, `found` or
`connected`. Keys, data and names are hexadecimal.
"""
import argparse
import asyncio
import binascii
import contextlib
import importlib.metadata
import json
import random

import ipv8.community
import ipv8.peerdiscovery.churn
import ipv8.peerdiscovery.community
from ipv8.dht.churn import PingChurn
from ipv8.dht.discovery import DHTDiscoveryCommunity
from ipv8.keyvault.crypto import default_eccrypto
from ipv8.messaging.interfaces.udp.endpoint import UDPEndpoint
from ipv8.peer import Peer
from ipv8.peerdiscovery.churn import RandomChurn
from ipv8.peerdiscovery.community import DiscoveryCommunity, PeriodicSimilarity
from ipv8.peerdiscovery.discovery import RandomWalk
from ipv8.peerdiscovery.network import Network

OLD = importlib.metadata.version("pyipv8").startswith("2.")
if OLD:
    # It samples sets, which Python has not allowed since 3.11.
    for module in (ipv8.peerdiscovery.churn, ipv8.peerdiscovery.community):
        module.sample = lambda population, count: random.sample(list(population), count)
else:
    from ipv8.bootstrapping.dispersy.bootstrapper import DispersyBootstrapper
    from ipv8.community import CommunitySettings


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def text(data):
    return binascii.hexlify(data).decode()


def communities(endpoint, bootstrap):
    me, network = Peer(default_eccrypto.generate_key("curve25519")), Network()
    if OLD:
        ipv8.community._DEFAULT_ADDRESSES[:] = [bootstrap]
        ipv8.community._DNS_ADDRESSES.clear()
        return DiscoveryCommunity(me, endpoint, network), DHTDiscoveryCommunity(me, endpoint, network)
    made = []
    for kind in (DiscoveryCommunity, DHTDiscoveryCommunity):
        settings = CommunitySettings(my_peer=me, endpoint=endpoint, network=network)
        community = kind(settings)
        community.bootstrappers.append(DispersyBootstrapper([bootstrap], []))
        made.append(community)
    return made


async def jobs(args, dht):
    """Tries until it succeeds."""
    while True:
        try:
            if args.store:
                key, data = map(bytes.fromhex, args.store)
                nodes = await dht.store_value(key, data, sign=args.sign)
                say("stored", nodes=[text(node.mid) for node in nodes])
                return
            if args.find:
                values = await dht.find_values(bytes.fromhex(args.find))
                if values:
                    say("found", values=[[text(data), text(key) if key else None] for data, key in values])
                    return
            elif args.connect:
                nodes = await dht.connect_peer(bytes.fromhex(args.connect))
                if nodes:
                    say("connected", nodes=[[text(node.mid), "%s:%d" % tuple(node.address)] for node in nodes])
                    return
            else:
                return
        except Exception as error:
            say("again", why=repr(error))
        await asyncio.sleep(1)


async def main(args):
    host, port = args.bootstrap.rsplit(":", 1)
    endpoint = UDPEndpoint(0, "127.0.0.1")
    await endpoint.open()
    discovery, dht = communities(endpoint, (host, int(port)))
    say("ready", mid=text(discovery.my_peer.mid))
    walks = [RandomWalk(discovery), RandomChurn(discovery), PeriodicSimilarity(discovery), RandomWalk(dht), PingChurn(dht)]
    asyncio.ensure_future(jobs(args, dht))
    step = 0
    while True:
        for walk in walks:
            with contextlib.suppress(Exception):
                walk.take_step()
        step += 1
        if step % 2 == 0:
            network = discovery.network
            peers = {text(peer.mid): sorted(text(service) for service in network.get_services_for_peer(peer))
                     for peer in discovery.get_peers()}
            pings = {text(peer.mid): len(peer.pings) for peer in discovery.get_peers()}
            table = dht.routing_table if OLD else next(iter(dht.routing_tables.values()), None)
            nodes = len([node for bucket in table.trie.values() for node in bucket.nodes]) if table else 0
            say("peers", peers=peers, pings=pings, nodes=nodes)
        await asyncio.sleep(0.5)


parser = argparse.ArgumentParser()
parser.add_argument("--bootstrap", required=True)
parser.add_argument("--store", nargs=2)
parser.add_argument("--sign", action="store_true")
parser.add_argument("--find")
parser.add_argument("--connect")
asyncio.run(main(parser.parse_args()))
