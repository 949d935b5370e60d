use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn every_kind_of_line_is_read() {
    let list = b"\xef\xbb\xbf# comment\r\n; comment\n// comment\n\n\
        Some \xe9vil: 1, name:1.2.3.0-1.2.3.255\r\n\
        010.000.000.000 - 010.000.000.255 , 100 , Nobody: at all\n\
        011.0.0.0 - 011.0.0.255 , 128 , allowed\n\
        012.008.009.010-012.008.009.010,0,\n\
        13.0.0.77/8\n2001:db8::/32\n2002::1-2002::5\n14.0.0.1\n::ffff:15.0.0.1\nfd00::1";
    let filter = IpFilter::parse(list).unwrap();
    for blocked in [
        "1.2.3.0",
        "1.2.3.255",
        "10.0.0.7",
        "12.8.9.10",
        "13.0.0.0",
        "13.255.255.255",
        "2001:db8:ffff::1",
        "2002::5",
        "14.0.0.1",
        "15.0.0.1",
        "::ffff:1.2.3.4",
        "fd00::1",
    ] {
        assert!(filter.blocks(ip(blocked)), "{blocked}");
    }
    for free in [
        "1.2.2.255",
        "1.2.4.0",
        "10.0.1.0",
        "11.0.0.7",
        "12.8.9.11",
        "14.0.0.0",
        "14.0.0.2",
        "2001:db9::",
        "2002::6",
        "0.0.0.0",
        "255.255.255.255",
        "::",
        "fd00::2",
    ] {
        assert!(!filter.blocks(ip(free)), "{free}");
    }
    assert_eq!(filter.len(), 9);
    assert!(IpFilter::parse(b"").unwrap().is_empty());
}

#[test]
fn what_is_no_range_is_named_by_its_line() {
    let cases = [
        ("1.2.3.4\nhello", 2, Problem::NotARange),
        ("1.2.3", 1, Problem::NotARange),
        ("1.2.3.256", 1, Problem::NotARange),
        ("1.2.3.0004", 1, Problem::NotARange),
        ("name:1.2.3.4-", 1, Problem::NotARange),
        ("name, 5, 1.2.3.4-1.2.3.5", 1, Problem::NotARange),
        ("\n\n1.2.3.4-1.2.3.3", 3, Problem::Backwards),
        ("x:9.9.9.9-1.1.1.1", 1, Problem::Backwards),
        ("1.2.3.4-::1", 1, Problem::Mixed),
        ("1.2.3.4/33", 1, Problem::Prefix),
        ("::/129", 1, Problem::Prefix),
    ];
    for (list, line, problem) in cases {
        let error = IpFilter::parse(list.as_bytes()).unwrap_err();
        assert_eq!(error, FilterError { line, problem }, "{list}");
    }
    let all = IpFilter::parse(b"0.0.0.0/0\n::/0\n1.1.1.1\n255.255.255.255").unwrap();
    assert_eq!(all.len(), 2);
    assert!(all.blocks(ip("255.255.255.255")) && all.blocks(ip("::")));
}

#[test]
fn bad_lines_are_passed_over_and_shown_but_not_all_of_them_and_not_whole() {
    let mut list = format!("1.2.3.4\n{}\x1b[2J\n", "x".repeat(50));
    list.push_str(&"y".repeat(1000));
    list.push_str("\n5.6.7.8-1.1.1.1\n5.6.7.8\n");
    list.push_str(&"nobody\n".repeat(100));
    let (filter, bad) = IpFilter::read(list.as_bytes());
    assert!(filter.blocks(ip("1.2.3.4")) && filter.blocks(ip("5.6.7.8")));
    assert_eq!((filter.len(), bad.count, bad.first.len()), (2, 103, 8));
    let shown = bad.to_string();
    assert!(shown.starts_with("line 2: neither an address nor a range of addresses: `xxx"));
    assert!(shown.contains("; line 4: the range ends before it begins: `5.6.7.8-1.1.1.1`"));
    assert!(shown.ends_with("; and 95 more"), "{shown}");
    assert!(
        shown.chars().all(|c| !c.is_control()) && shown.len() < 1200,
        "{shown}"
    );
}

proptest! {
    #[test]
    fn a_list_blocks_what_one_of_its_ranges_holds(
        ranges in vec((0u8..60, 0u8..60), 0..30), probe in 0u8..64
    ) {
        let ranges: Vec<(u8, u8)> = ranges.into_iter().map(|(a, b)| (a.min(b), a.max(b))).collect();
        let lines = (0..).zip(&ranges).map(|(number, (first, last))| match number % 3 {
            0 => format!("n:9.9.9.{first}-9.9.9.{last}\nfd00::{first:x}-fd00::{last:x}\n"),
            1 => format!("9.9.9.{first:03} - 9.9.9.{last:03} , 127 , n\nfd00::{first:x} - fd00::{last:x}\n"),
            _ => format!("9.9.9.{first}-9.9.9.{last}\nfd00::{first:x}-fd00::{last:x}\n"),
        });
        let list: String = lines.collect();
        let filter = IpFilter::parse(list.as_bytes()).unwrap();
        let holds = ranges.iter().any(|(first, last)| (*first..=*last).contains(&probe));
        prop_assert_eq!(filter.blocks(ip(&format!("9.9.9.{probe}"))), holds);
        prop_assert_eq!(filter.blocks(ip(&format!("fd00::{probe:x}"))), holds);
        let apart = |ranges: &[(u32, u32)]| ranges.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0);
        prop_assert!(apart(&filter.v4));
    }
}
