//! The figures as OpenMetrics.

use std::fmt::Write as _;

use crate::tracker::Statistics;

/// What the page is, for HTTP.
pub(super) const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The page of all figures.
pub(super) fn page(it: &Statistics) -> String {
    let mut page = String::new();
    for figure in FIGURES {
        figure.write(it, &mut page);
    }
    page.push_str("# EOF\n");
    page
}

/// A value: its labels as they stand between braces, and where it is found.
type Sample = (&'static str, fn(&Statistics) -> u64);

/// A figure with all its values.
struct Figure {
    name: &'static str,
    /// What may become smaller is a gauge.
    is_gauge: bool,
    unit: &'static str,
    help: &'static str,
    samples: &'static [Sample],
}

impl Figure {
    fn write(&self, it: &Statistics, page: &mut String) {
        let Self {
            name, unit, help, ..
        } = self;
        let (kind, end) = if self.is_gauge {
            ("gauge", "")
        } else {
            ("counter", "_total")
        };
        let _ = writeln!(page, "# TYPE tribler_tracker_{name} {kind}");
        if !unit.is_empty() {
            let _ = writeln!(page, "# UNIT tribler_tracker_{name} {unit}");
        }
        let _ = writeln!(page, "# HELP tribler_tracker_{name} {help}");
        for (labels, value) in self.samples {
            let value = value(it);
            let _ = match *labels {
                "" => writeln!(page, "tribler_tracker_{name}{end} {value}"),
                labels => writeln!(page, "tribler_tracker_{name}{end}{{{labels}}} {value}"),
            };
        }
    }
}

const FIGURES: &[Figure] = &[
    Figure {
        name: "uptime_seconds",
        is_gauge: true,
        unit: "seconds",
        help: "Since the start.",
        samples: &[("", |it| it.uptime.into())],
    },
    Figure {
        name: "torrents",
        is_gauge: true,
        unit: "",
        help: "Torrents that are known.",
        samples: &[("", |it| it.swarms.torrents)],
    },
    Figure {
        name: "peers",
        is_gauge: true,
        unit: "",
        help: "Peers of all torrents.",
        samples: &[
            (r#"family="ipv4",role="seeder""#, |it| {
                it.swarms.v4.seeders.into()
            }),
            (r#"family="ipv4",role="leecher""#, |it| {
                it.swarms.v4.leechers.into()
            }),
            (r#"family="ipv6",role="seeder""#, |it| {
                it.swarms.v6.seeders.into()
            }),
            (r#"family="ipv6",role="leecher""#, |it| {
                it.swarms.v6.leechers.into()
            }),
        ],
    },
    Figure {
        name: "completed",
        is_gauge: true,
        unit: "",
        help: "Completions of all torrents that are known.",
        samples: &[("", |it| it.swarms.completed)],
    },
    Figure {
        name: "listed",
        is_gauge: true,
        unit: "",
        help: "Torrents on the list.",
        samples: &[("", |it| it.listed)],
    },
    Figure {
        name: "keys",
        is_gauge: true,
        unit: "",
        help: "Keys, those whose time is over included.",
        samples: &[("", |it| it.keys)],
    },
    Figure {
        name: "answers",
        is_gauge: false,
        unit: "",
        help: "Requests that were answered.",
        samples: &[
            (r#"protocol="udp",family="ipv4",kind="connect""#, |it| {
                it.udp.connects - it.udp.connects_v6
            }),
            (r#"protocol="udp",family="ipv6",kind="connect""#, |it| {
                it.udp.connects_v6
            }),
            (r#"protocol="udp",family="ipv4",kind="announce""#, |it| {
                it.udp.announces - it.udp.announces_v6
            }),
            (r#"protocol="udp",family="ipv6",kind="announce""#, |it| {
                it.udp.announces_v6
            }),
            (r#"protocol="udp",family="ipv4",kind="scrape""#, |it| {
                it.udp.scrapes - it.udp.scrapes_v6
            }),
            (r#"protocol="udp",family="ipv6",kind="scrape""#, |it| {
                it.udp.scrapes_v6
            }),
            (r#"protocol="http",family="ipv4",kind="announce""#, |it| {
                it.http.announces - it.http.announces_v6
            }),
            (r#"protocol="http",family="ipv6",kind="announce""#, |it| {
                it.http.announces_v6
            }),
            (r#"protocol="http",family="ipv4",kind="scrape""#, |it| {
                it.http.scrapes - it.http.scrapes_v6
            }),
            (r#"protocol="http",family="ipv6",kind="scrape""#, |it| {
                it.http.scrapes_v6
            }),
        ],
    },
    Figure {
        name: "refusals",
        is_gauge: false,
        unit: "",
        help: "Requests that were refused in words.",
        samples: &[
            (r#"protocol="udp""#, |it| it.udp.refusals),
            (r#"protocol="http""#, |it| it.http.failures),
        ],
    },
    Figure {
        name: "ignored_datagrams",
        is_gauge: false,
        unit: "",
        help: "Datagrams without an answer.",
        samples: &[
            (r#"reason="no request""#, |it| it.udp.alien),
            (r#"reason="bad connection id""#, |it| it.udp.unproven),
        ],
    },
    Figure {
        name: "unsent_answers",
        is_gauge: false,
        unit: "",
        help: "Answers by UDP that the system did not take.",
        samples: &[("", |it| it.udp.unsent)],
    },
    Figure {
        name: "connections",
        is_gauge: false,
        unit: "",
        help: "Connections by HTTP.",
        samples: &[
            (r#"outcome="taken""#, |it| it.http.connections),
            (r#"outcome="too many""#, |it| it.http.turned_away),
            (r#"outcome="misfit""#, |it| it.http.misfits),
        ],
    },
    Figure {
        name: "starved",
        is_gauge: false,
        unit: "",
        help: "Times that the system had no connection to give, for want of open files or memory.",
        samples: &[("", |it| it.http.starved)],
    },
    Figure {
        name: "traffic_bytes",
        is_gauge: false,
        unit: "bytes",
        help: "Bytes of requests and answers.",
        samples: &[
            (r#"protocol="udp",direction="received""#, |it| {
                it.udp.received
            }),
            (r#"protocol="udp",direction="sent""#, |it| it.udp.sent),
            (r#"protocol="http",direction="received""#, |it| {
                it.http.received
            }),
            (r#"protocol="http",direction="sent""#, |it| it.http.sent),
        ],
    },
    Figure {
        name: "left_out",
        is_gauge: false,
        unit: "",
        help: "Announces whose peer was left out for lack of room.",
        samples: &[("", |it| it.left_out)],
    },
    Figure {
        name: "database_up",
        is_gauge: true,
        unit: "",
        help: "Whether the database does what it is asked to.",
        samples: &[("", |it| it.store.error.is_none().into())],
    },
    Figure {
        name: "database_failures",
        is_gauge: false,
        unit: "",
        help: "Tries at the database that failed.",
        samples: &[("", |it| it.store.failures)],
    },
    Figure {
        name: "written_completions",
        is_gauge: false,
        unit: "",
        help: "Completions written to the database.",
        samples: &[("", |it| it.store.written)],
    },
    Figure {
        name: "waiting_completions",
        is_gauge: true,
        unit: "",
        help: "Completions that could not be written yet.",
        samples: &[("", |it| it.store.waiting)],
    },
    Figure {
        name: "dropped_completions",
        is_gauge: false,
        unit: "",
        help: "Completions that will not be written.",
        samples: &[("", |it| it.dropped_completions)],
    },
];
