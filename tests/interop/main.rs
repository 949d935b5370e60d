//! Our command and other people's programs exchange torrents, both ways, and every byte is compared.
//!
//! Each test prints a table of its runs. `tests/setup` installs the other programs.

mod behind;
mod bound;
mod cases;
mod dht;
mod exchange;
mod gateway;
mod holepunch;
mod layers;
mod meeting;
mod socks;
mod streaming;
mod super_seed;
mod takeover;
mod tracker;
mod trackerless;
mod utp;
mod ways;
mod web;

use behind::Through;
use cases::Case;
use exchange::{Run, run_all};
use support::cases::side_by_side;
use support::clients::Client::{self, Aria2, Libtorrent, Ours, Qbittorrent, Transmission};
use support::clients::Transport::{Both, Tcp, Utp};
use support::{Lab, Need, isolated_test};

isolated_test! {
    fn the_other_clients_exchange_torrents_among_themselves(
        lab, limit = 120,
        needs = [
            Aria2.need(), Libtorrent("2.0.11").need(), Libtorrent("2.1.1").need(), Qbittorrent.need(), Transmission.need(),
            TRACKER, NFT,
        ]
    ) {
        let ring = [Aria2, Libtorrent("2.0.11"), Transmission, Libtorrent("2.1.1"), Aria2, Qbittorrent];
        let cases = [Case::nested(), Case::tracker("http"), Case::tracker("udp"), Case::magnet(), Case::by(Tcp, true)];
        let runs = ring.windows(2).zip(cases).map(|(pair, case)| Run::new(pair[0], pair[1], case));
        run_all(lab, &runs.collect::<Vec<_>>());
    }
}

isolated_test! {
    fn aria2_and_ours_exchange_every_kind_of_torrent(lab, limit = 240, needs = [Need::Ours, Aria2.need(), TRACKER]) {
        every_kind(lab, Aria2);
    }
}

isolated_test! {
    fn libtorrent_2_0_and_ours_exchange_every_kind_of_torrent(
        lab, limit = 240, needs = [Need::Ours, Libtorrent("2.0.11").need(), TRACKER]
    ) {
        every_kind(lab, Libtorrent("2.0.11"));
    }
}

isolated_test! {
    fn libtorrent_2_1_and_ours_exchange_every_kind_of_torrent(
        lab, limit = 240, needs = [Need::Ours, Libtorrent("2.1.1").need(), TRACKER]
    ) {
        every_kind(lab, Libtorrent("2.1.1"));
    }
}

isolated_test! {
    fn qbittorrent_and_ours_exchange_every_kind_of_torrent(
        lab, limit = 240, needs = [Need::Ours, Qbittorrent.need(), TRACKER]
    ) {
        every_kind(lab, Qbittorrent);
    }
}

isolated_test! {
    fn transmission_and_ours_exchange_every_kind_of_torrent(
        lab, limit = 240, needs = [Need::Ours, Transmission.need(), TRACKER]
    ) {
        every_kind(lab, Transmission);
    }
}

isolated_test! {
    fn ours_and_ours_exchange_every_kind_of_torrent_in_every_way(lab, limit = 240, needs = [Need::Ours, TRACKER, NFT]) {
        let cases = Case::kinds(Ours).into_iter().chain(Case::ways(Ours));
        let runs: Vec<Run> = cases.map(|case| Run::new(Ours, Ours, case)).collect();
        run_all(lab, &runs);
    }
}

isolated_test! {
    fn aria2_and_ours_exchange_torrents_in_every_way(lab, limit = 240, needs = [Need::Ours, Aria2.need(), NFT]) {
        every_way(lab, Aria2);
    }
}

isolated_test! {
    fn libtorrent_2_0_and_ours_exchange_torrents_in_every_way(
        lab, limit = 240, needs = [Need::Ours, Libtorrent("2.0.11").need(), NFT]
    ) {
        every_way(lab, Libtorrent("2.0.11"));
    }
}

isolated_test! {
    fn libtorrent_2_1_and_ours_exchange_torrents_in_every_way(
        lab, limit = 240, needs = [Need::Ours, Libtorrent("2.1.1").need(), NFT]
    ) {
        every_way(lab, Libtorrent("2.1.1"));
    }
}

isolated_test! {
    fn qbittorrent_and_ours_exchange_torrents_in_every_way(
        lab, limit = 240, needs = [Need::Ours, Qbittorrent.need(), NFT]
    ) {
        every_way(lab, Qbittorrent);
    }
}

isolated_test! {
    fn transmission_and_ours_exchange_torrents_in_every_way(
        lab, limit = 240, needs = [Need::Ours, Transmission.need(), NFT]
    ) {
        every_way(lab, Transmission);
    }
}

isolated_test! {
    fn three_real_peers_that_know_one_all_connect(
        lab, limit = 180,
        needs = [Need::Ours, Libtorrent("2.0.11").need(), Libtorrent("2.1.1").need()]
    ) {
        let pairs = [
            (Ours, Ours),
            (Libtorrent("2.0.11"), Ours),
            (Libtorrent("2.1.1"), Ours),
            (Ours, Libtorrent("2.1.1")),
        ];
        side_by_side(pairs.len(), &pairs, |&(between, other)| meeting::through(lab, between, other));
    }
}

isolated_test! {
    fn a_magnet_link_without_tracker_completes_through_the_dht(
        lab, limit = 180,
        needs = [Need::Ours, Libtorrent("2.0.11").need(), Libtorrent("2.1.1").need()]
    ) {
        for version in ["2.0.11", "2.1.1"] {
            trackerless::through(lab, Libtorrent(version), Libtorrent(version), Ours);
            trackerless::through(lab, Libtorrent(version), Ours, Libtorrent(version));
            trackerless::through(lab, Ours, Libtorrent(version), Ours);
        }
        trackerless::through(lab, Ours, Ours, Libtorrent("2.1.1"));
        trackerless::through(lab, Ours, Ours, Ours);
    }
}

isolated_test! {
    fn libtorrent_speaks_of_meetings_as_ours_does(
        lab, limit = 180, needs = [Libtorrent("2.0.11").need(), Libtorrent("2.1.1").need()]
    ) {
        for version in ["2.0.11", "2.1.1"] {
            holepunch::all_parts(lab, Libtorrent(version));
        }
    }
}

isolated_test! {
    fn ours_speaks_of_meetings_as_libtorrent_does(lab, limit = 120, needs = [Need::Ours]) {
        holepunch::all_parts(lab, Ours);
    }
}

isolated_test! {
    fn libtorrent_2_0_and_ours_share_a_dht(lab, limit = 300, needs = [Need::Ours, Libtorrent("2.0.11").need()]) {
        dht::every_question_both_ways(lab, "2.0.11");
    }
}

isolated_test! {
    fn libtorrent_2_1_and_ours_share_a_dht(lab, limit = 300, needs = [Need::Ours, Libtorrent("2.1.1").need()]) {
        dht::every_question_both_ways(lab, "2.1.1");
    }
}

isolated_test! {
    #[ignore = "a minute; prints figures: ./soak dht-peers"]
    fn lookups_of_ours_beside_libtorrents(lab, limit = 600, needs = [Need::Ours, Libtorrent("2.1.1").need()]) {
        dht::lookups_beside_libtorrent(lab, "2.1.1");
    }
}

isolated_test! {
    fn torrents_come_from_web_servers_with_and_without_ranges(
        lab, limit = 300, needs = [
            Need::Ours, NGINX, Need::Program("python3"), Libtorrent("2.1.1").need(), Qbittorrent.need(),
            Transmission.need(), Aria2.need(),
        ]
    ) {
        web::every_exchange(lab);
    }
}

isolated_test! {
    fn a_web_server_that_lies_spoils_nothing(lab, limit = 120, needs = [Need::Ours, NGINX]) {
        web::bad_servers(lab);
    }
}

isolated_test! {
    fn what_a_web_seed_costs_is_told_beside_libtorrent(
        lab, limit = 240, needs = [Need::Ours, NGINX, Libtorrent("2.1.1").need()]
    ) {
        web::cost(lab);
    }
}

isolated_test! {
    fn a_file_is_read_while_libtorrent_sends_it(lab, limit = 120, needs = [Libtorrent("2.1.1").need()]) {
        streaming::read_from(lab, Libtorrent("2.1.1"));
    }
}

isolated_test! {
    fn a_super_seeder_serves_a_swarm(
        lab, limit = 400, needs = [
            Need::Ours, Libtorrent("2.1.1").need(), Qbittorrent.need(), Transmission.need(), Aria2.need(),
        ]
    ) {
        let theirs = Libtorrent("2.1.1");
        let swarms = [
            (Ours, [Aria2, Qbittorrent, Transmission]),
            (Ours, [theirs, theirs, theirs]),
            (theirs, [Ours, Ours, Ours]),
            (Ours, [Ours, theirs, Ours]),
            (Qbittorrent, [Ours, Ours, Ours]),
        ];
        side_by_side(swarms.len(), &swarms, |&(seeder, leechers)| super_seed::exchange(lab, seeder, leechers));
    }
}

isolated_test! {
    fn libtorrent_2_0_completes_swarms_at_our_tracker_in_every_way(
        lab, limit = 400, needs = [Need::Ours, Libtorrent("2.0.11").need()]
    ) {
        at_our_tracker(lab, Libtorrent("2.0.11"));
    }
}

isolated_test! {
    fn libtorrent_2_1_completes_swarms_at_our_tracker_in_every_way(
        lab, limit = 400, needs = [Need::Ours, Libtorrent("2.1.1").need()]
    ) {
        at_our_tracker(lab, Libtorrent("2.1.1"));
    }
}

isolated_test! {
    fn transmission_completes_swarms_at_our_tracker_in_every_way(
        lab, limit = 400, needs = [Need::Ours, Transmission.need()]
    ) {
        at_our_tracker(lab, Transmission);
    }
}

isolated_test! {
    fn aria2_completes_swarms_at_our_tracker_in_every_way(
        lab, limit = 400, needs = [Need::Ours, Aria2.need()]
    ) {
        at_our_tracker(lab, Aria2);
    }
}

isolated_test! {
    fn ours_completes_swarms_at_our_tracker_in_every_way(lab, limit = 400, needs = [Need::Ours]) {
        at_our_tracker(lab, Ours);
    }
}

const NGINX: Need = Need::Program("nginx");

const NFT: Need = Need::Program("nft");

const TRACKER: Need = Need::Program("opentracker");

fn at_our_tracker(lab: &Lab, client: Client) {
    let ways = tracker::ways(client);
    side_by_side(ways.len(), &ways, |by| {
        tracker::completes_a_swarm(lab, client, *by);
    });
}

fn every_kind(lab: &Lab, other: Client) {
    run_all(lab, &both_ways(other, Case::kinds(other)));
}

fn every_way(lab: &Lab, other: Client) {
    run_all(lab, &both_ways(other, Case::ways(other)));
}

fn both_ways(other: Client, cases: Vec<Case>) -> Vec<Run> {
    let runs = cases.into_iter().flat_map(|case| {
        [
            Run::new(other, Ours, case.clone()),
            Run::new(Ours, other, case),
        ]
    });
    runs.collect()
}

isolated_test! {
    fn a_hybrid_joined_by_its_v1_link_gets_its_layers_from_the_peer_that_gave_the_metadata(
        lab, limit = 300, needs = [Need::Ours, Libtorrent("2.0.11").need(), Libtorrent("2.1.1").need()]
    ) {
        for version in ["2.0.11", "2.1.1"] {
            layers::come_from_the_only_peer(lab, version);
        }
    }
}

isolated_test! {
    fn a_path_that_comes_to_take_less_ends_no_utp_stream(
        lab, limit = 240, needs = [Need::Ours, Libtorrent("2.1.1").need()]
    ) {
        utp::over_a_path_that_narrows(lab, Libtorrent("2.1.1"));
    }
}

isolated_test! {
    fn other_programs_behind_a_proxy_exchange_torrents_with_ours(
        lab, limit = 300, needs = [
            Need::Ours, Libtorrent("2.1.1").need(), Qbittorrent.need(), Need::Program("danted"), NFT,
        ]
    ) {
        let clients = [Libtorrent("2.1.1"), Qbittorrent];
        behind::every_exchange(lab, Through::Dante, &clients);
    }
}

isolated_test! {
    fn other_programs_behind_our_socks_server_exchange_torrents_with_ours(
        lab, limit = 300, needs = [
            Need::Ours, Libtorrent("2.0.11").need(), Libtorrent("2.1.1").need(), Qbittorrent.need(), NFT,
        ]
    ) {
        let clients = [Libtorrent("2.0.11"), Libtorrent("2.1.1"), Qbittorrent];
        behind::every_exchange(lab, Through::Ours, &clients);
    }
}

isolated_test! {
    fn curl_goes_out_through_our_socks_server(lab, limit = 60, needs = [Need::Program("curl")]) {
        socks::curl(lab);
    }
}

isolated_test! {
    fn libtorrent_and_ours_exchange_torrents_through_proxies_and_nothing_goes_past_them(
        lab, limit = 300, needs = [
            Need::Ours, Libtorrent("2.1.1").need(), TRACKER, Need::Program("danted"), Need::Program("microsocks"),
            Need::Program("tinyproxy"), NFT,
        ]
    ) {
        use support::clients::proxy::Kind::{Dante, Microsocks, Tinyproxy};
        use ways::Meet::{Dht, Told, Tracker};
        let ways = [
            (Microsocks, Both, false, Told),
            (Microsocks, Tcp, true, Told),
            (Tinyproxy, Both, false, Told),
            (Tinyproxy, Tcp, true, Told),
            (Dante, Utp, false, Told),
            (Dante, Utp, true, Told),
            (Dante, Both, false, Tracker("http")),
            (Dante, Both, false, Tracker("udp")),
            (Dante, Both, false, Dht),
        ];
        for (number, (proxy, transport, we_seed, meet)) in (1..).zip(ways) {
            ways::exchange(lab, number, ways::Way { proxy, transport, we_seed, meet });
        }
    }
}

isolated_test! {
    fn a_gateway_gives_ports_by_pcp_and_has_them_back_at_the_end(
        lab, limit = 120, needs = [Need::Ours, Need::Program("miniupnpd"), NFT, Need::Program("tcpdump")]
    ) {
        gateway::gives_ports(lab, gateway::Speaks::Pcp);
    }
}

isolated_test! {
    fn a_gateway_gives_ports_by_the_first_version_of_upnp_and_has_them_back_at_the_end(
        lab, limit = 180, needs = [Need::Ours, Need::Program("miniupnpd"), NFT, Need::Program("tcpdump")]
    ) {
        gateway::gives_ports(lab, gateway::Speaks::Upnp(1));
    }
}

isolated_test! {
    fn a_gateway_gives_ports_by_the_second_version_of_upnp_and_has_them_back_at_the_end(
        lab, limit = 180, needs = [Need::Ours, Need::Program("miniupnpd"), NFT, Need::Program("tcpdump")]
    ) {
        gateway::gives_ports(lab, gateway::Speaks::Upnp(2));
    }
}

isolated_test! {
    fn a_gateway_is_searched_by_the_bound_interface_only(
        lab, limit = 120, needs = [Need::Ours, Need::Program("miniupnpd"), NFT, Need::Program("tcpdump")]
    ) {
        gateway::is_asked_by_the_right_door(lab);
    }
}

isolated_test! {
    fn what_is_bound_sends_nothing_elsewhere_while_its_interface_is_gone_and_goes_on_when_it_is_back(
        lab, limit = 600, needs = [
            Need::Ours, Libtorrent("2.1.1").need(), TRACKER, Need::Program("tcpdump"),
        ]
    ) {
        let cases = [(1, Tcp, bound::To::Interface), (2, Utp, bound::To::Interface), (3, Tcp, bound::To::Address)];
        side_by_side(cases.len(), &cases, |&(number, transport, to)| bound::survives(lab, number, transport, to));
    }
}
