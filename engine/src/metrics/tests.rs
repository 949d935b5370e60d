use std::collections::BTreeSet;

use super::*;

#[test]
fn every_figure_has_a_name_of_its_own_a_meaning_and_its_unit_in_the_name() {
    let mut names = BTreeSet::new();
    for about in Metrics::ALL {
        let (group, rest) = about.name.split_once('.').expect("a group");
        let plain = |text: &str| {
            let mut bytes = text.bytes();
            bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        assert!(plain(group) && plain(rest), "{}", about.name);
        assert!(names.insert(about.name), "{}", about.name);
        assert!(
            about.help.ends_with('.') && about.help.len() > 8,
            "{}",
            about.name
        );
        let ends = about.name.ends_with(&format!("_{}", about.unit));
        assert!(about.unit.is_empty() || ends, "{}", about.name);
        let counts_bytes = about.name.ends_with("_bytes");
        assert_eq!(about.unit == "bytes", counts_bytes, "{}", about.name);
    }
}

#[test]
fn figures_are_found_by_name_and_written_with_their_meaning() {
    let counters = Counters::default();
    Counters::add(&counters.bytes_in, 5);
    Counters::add(&counters.bytes_in, 2);
    let mut metrics = Metrics::default();
    metrics.count(&counters);
    metrics.set("ses.num_torrents", 3);
    assert_eq!(metrics.get("net.recv_bytes"), Some(7));
    assert_eq!(metrics.get("net.nothing"), None);
    let mut page = Exposition::new("tribler");
    metrics.write(&mut page);
    page.family("odd \"name\"", Kind::Gauge, "", "It has a \\ and\na line.");
    page.sample(&[("a", "x\"y"), ("b", "1\n2")], 4);
    let text = page.finish();
    for line in [
        "# TYPE tribler_net_recv_bytes counter",
        "# UNIT tribler_net_recv_bytes bytes",
        "tribler_net_recv_bytes_total 7",
        "# TYPE tribler_ses_num_torrents gauge",
        "tribler_ses_num_torrents 3",
        r"# HELP tribler_odd__name_ It has a \\ and\na line.",
        r#"tribler_odd__name_{a="x\"y",b="1\n2"} 4"#,
    ] {
        assert!(text.lines().any(|of| of == line), "{line}\n{text}");
    }
    assert!(text.ends_with("\n# EOF\n"));
}

#[test]
fn what_took_long_is_counted_by_how_long_and_written_as_buckets_that_grow() {
    use std::time::Duration;
    let spread = Spread::default();
    for micros in [0, 100, 101, 2_000, 70_000_000] {
        spread.add(Duration::from_micros(micros));
    }
    let mut metrics = Metrics::default();
    metrics.spread("disk.job_seconds", &spread);
    let told = metrics.histograms().next().unwrap();
    assert_eq!((told.count(), told.buckets[0], told.buckets[1]), (5, 2, 1));
    assert_eq!(told.sum, Duration::from_micros(70_002_201));
    let mut page = Exposition::new("tribler");
    metrics.write(&mut page);
    let text = page.finish();
    for line in [
        "# TYPE tribler_disk_job_seconds histogram",
        "# UNIT tribler_disk_job_seconds seconds",
        "tribler_disk_job_seconds_bucket{le=\"0.0001\"} 2",
        "tribler_disk_job_seconds_bucket{le=\"0.001\"} 3",
        "tribler_disk_job_seconds_bucket{le=\"0.005\"} 4",
        "tribler_disk_job_seconds_bucket{le=\"60.0\"} 4",
        "tribler_disk_job_seconds_bucket{le=\"+Inf\"} 5",
        "tribler_disk_job_seconds_count 5",
        "tribler_disk_job_seconds_sum 70.002201",
        "tribler_disk_job_wait_seconds_count 0",
    ] {
        assert!(text.lines().any(|of| of == line), "{line}\n{text}");
    }
}
