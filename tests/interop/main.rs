//! Our command and other people's programs exchange torrents, both ways, and every byte is compared.
//!
//! Each test prints a table of its runs. `tests/setup` installs the other programs.

mod bound;
mod dht;
mod encryption;
mod exchange;
mod gateway;
mod holepunch;
mod meeting;
mod six;
mod super_seed;
mod trackerless;
mod utp;
mod ways;
mod web;

use exchange::{Case, Run, run_all};
use support::clients::Client::{self, Aria2, Libtorrent, Ours, Transmission};
use support::{Lab, Need, isolated_test};

isolated_test! {
    fn the_other_clients_exchange_torrents_among_themselves(
        lab, limit = 120,
        needs = [
            Aria2.need(), Libtorrent("2.0.11").need(), Libtorrent("2.1.1").need(), Transmission.need(), TRACKER,
        ]
    ) {
        let ring = [Aria2, Libtorrent("2.0.11"), Transmission, Libtorrent("2.1.1"), Aria2];
        let cases = [Case::nested(), Case::tracker("http"), Case::tracker("udp"), Case::magnet()];
        let runs = ring.windows(2).zip(cases).map(|(pair, case)| Run::new(pair[0], pair[1], case));
        run_all(lab, runs.collect());
    }
}

isolated_test! {
    fn aria2_and_ours_exchange_every_kind_of_torrent(
        lab, limit = 240, needs = [Need::Ours, Aria2.need(), TRACKER]
    ) {
        both_ways(lab, Aria2, Case::all());
    }
}

isolated_test! {
    fn libtorrent_2_0_and_ours_exchange_every_kind_of_torrent(
        lab, limit = 240, needs = [Need::Ours, Libtorrent("2.0.11").need(), TRACKER]
    ) {
        both_ways(lab, Libtorrent("2.0.11"), with_v2());
    }
}

isolated_test! {
    fn libtorrent_2_1_and_ours_exchange_every_kind_of_torrent(
        lab, limit = 240, needs = [Need::Ours, Libtorrent("2.1.1").need(), TRACKER]
    ) {
        both_ways(lab, Libtorrent("2.1.1"), with_v2());
    }
}

isolated_test! {
    fn transmission_and_ours_exchange_every_kind_of_torrent(
        lab, limit = 240, needs = [Need::Ours, Transmission.need(), TRACKER]
    ) {
        both_ways(lab, Transmission, Case::all());
    }
}

isolated_test! {
    fn ours_and_ours_exchange_every_kind_of_torrent(lab, limit = 240, needs = [Need::Ours, TRACKER]) {
        run_all(lab, with_v2().into_iter().map(|case| Run::new(Ours, Ours, case)).collect());
    }
}

isolated_test! {
    fn three_real_peers_that_know_one_all_connect(
        lab, limit = 180,
        needs = [Need::Ours, Libtorrent("2.0.11").need(), Libtorrent("2.1.1").need()]
    ) {
        for between in [Ours, Libtorrent("2.0.11"), Libtorrent("2.1.1")] {
            meeting::through(lab, between, Ours);
        }
        meeting::through(lab, Ours, Libtorrent("2.1.1"));
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
    fn torrents_come_from_web_servers_with_and_without_ranges(
        lab, limit = 300, needs = [Need::Ours, NGINX, Libtorrent("2.1.1").need(), Need::Program("python3")]
    ) {
        web::with_ranges(lab, Ours);
        web::with_ranges(lab, Libtorrent("2.1.1"));
        web::without_ranges(lab);
        web::named_by_ours(lab, Ours);
        web::named_by_ours(lab, Libtorrent("2.1.1"));
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
    fn a_super_seeder_serves_a_swarm(lab, limit = 400, needs = [Need::Ours, Libtorrent("2.1.1").need()]) {
        let theirs = Libtorrent("2.1.1");
        super_seed::exchange(lab, Ours, [theirs, theirs, theirs]);
        super_seed::exchange(lab, theirs, [Ours, Ours, Ours]);
        super_seed::exchange(lab, Ours, [Ours, theirs, Ours]);
    }
}

const NGINX: Need = Need::Program("nginx");

const TRACKER: Need = Need::Program("opentracker");

fn with_v2() -> Vec<Case> {
    let mut cases = Case::all();
    cases.extend(Case::of_v2());
    cases
}

fn both_ways(lab: &Lab, other: Client, cases: Vec<Case>) {
    let runs = cases.into_iter().flat_map(|case| {
        [
            Run::new(other, Ours, case.clone()),
            Run::new(Ours, other, case),
        ]
    });
    run_all(lab, runs.collect());
}

isolated_test! {
    fn libtorrent_2_0_and_ours_exchange_a_torrent_over_utp_alone(
        lab, limit = 240, needs = [Need::Ours, Libtorrent("2.0.11").need()]
    ) {
        utp::exchange(lab, Libtorrent("2.0.11"), Ours);
        utp::exchange(lab, Ours, Libtorrent("2.0.11"));
    }
}

isolated_test! {
    fn libtorrent_2_1_and_ours_exchange_a_torrent_over_utp_alone(
        lab, limit = 240, needs = [Need::Ours, Libtorrent("2.1.1").need()]
    ) {
        utp::exchange(lab, Libtorrent("2.1.1"), Ours);
        utp::exchange(lab, Ours, Libtorrent("2.1.1"));
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
    fn ours_and_ours_exchange_a_torrent_over_utp_alone(lab, limit = 240, needs = [Need::Ours]) {
        utp::exchange(lab, Ours, Ours);
    }
}

isolated_test! {
    fn libtorrent_and_ours_exchange_torrents_through_proxies_and_nothing_goes_past_them(
        lab, limit = 300, needs = [
            Need::Ours, Libtorrent("2.1.1").need(), TRACKER, Need::Program("danted"), Need::Program("microsocks"),
            Need::Program("tinyproxy"), Need::Program("nft"),
        ]
    ) {
        use support::clients::proxy::Kind::{Dante, Microsocks, Tinyproxy};
        use ways::Meet::{Dht, Told, Tracker};
        let ways = [
            (Microsocks, "both", false, Told),
            (Microsocks, "tcp", true, Told),
            (Tinyproxy, "both", false, Told),
            (Tinyproxy, "tcp", true, Told),
            (Dante, "utp", false, Told),
            (Dante, "utp", true, Told),
            (Dante, "both", false, Tracker("http")),
            (Dante, "both", false, Tracker("udp")),
            (Dante, "both", false, Dht),
        ];
        for (number, (proxy, transport, we_seed, meet)) in (1..).zip(ways) {
            ways::exchange(lab, number, ways::Way { proxy, transport, we_seed, meet });
        }
    }
}

isolated_test! {
    fn libtorrent_2_1_and_ours_exchange_a_torrent_under_every_kind_of_encryption(
        lab, limit = 300, needs = [Need::Ours, Libtorrent("2.1.1").need()]
    ) {
        encryption::both_ways(lab, &encryption::with_libtorrent("2.1.1"));
    }
}

isolated_test! {
    fn libtorrent_2_0_and_ours_exchange_a_torrent_under_every_kind_of_encryption(
        lab, limit = 300, needs = [Need::Ours, Libtorrent("2.0.11").need()]
    ) {
        encryption::both_ways(lab, &encryption::with_libtorrent("2.0.11"));
    }
}

isolated_test! {
    fn transmission_and_ours_exchange_an_encrypted_torrent(
        lab, limit = 240, needs = [Need::Ours, Transmission.need()]
    ) {
        encryption::both_ways(lab, &encryption::with_other(Transmission));
    }
}

isolated_test! {
    fn aria2_and_ours_exchange_an_encrypted_torrent(lab, limit = 240, needs = [Need::Ours, Aria2.need()]) {
        encryption::both_ways(lab, &encryption::with_other(Aria2));
    }
}

isolated_test! {
    fn a_gateway_gives_ports_and_has_them_back_at_the_end(
        lab, limit = 120, needs = [Need::Ours, Need::Program("miniupnpd"), Need::Program("nft")]
    ) {
        gateway::gives_ports(lab);
    }
}

isolated_test! {
    fn libtorrent_2_1_and_ours_exchange_a_torrent_by_ipv6_alone(
        lab, limit = 240, needs = [Need::Ours, Libtorrent("2.1.1").need()]
    ) {
        for transport in ["tcp", "utp"] {
            six::exchange(lab, Libtorrent("2.1.1"), Ours, transport);
            six::exchange(lab, Ours, Libtorrent("2.1.1"), transport);
        }
    }
}

isolated_test! {
    fn what_is_bound_sends_nothing_elsewhere_while_its_interface_is_gone_and_goes_on_when_it_is_back(
        lab, limit = 600, needs = [
            Need::Ours, Libtorrent("2.1.1").need(), TRACKER, Need::Program("tcpdump"),
        ]
    ) {
        bound::survives(lab, 1, "tcp", |_| "eth0".to_owned());
        bound::survives(lab, 2, "utp", |_| "eth0".to_owned());
        bound::survives(lab, 3, "tcp", |host| host.ip().to_string());
    }
}
