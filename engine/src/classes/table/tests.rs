use super::*;
use crate::settings::Patch;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn settings(list: &str, addresses: &str, kinds: &str) -> Settings {
    let patch = Patch::new().with("classes.list", list);
    let patch = patch.with("classes.addresses", addresses);
    let patch = patch.with("classes.kinds", kinds);
    Settings::default().with(&patch).unwrap()
}

fn names(table: &Table, at: &str, kind: ClassKind) -> Vec<String> {
    let of = table.of(ip(at), kind);
    let classes = table.classes_of(of);
    classes.map(|class| class.name.clone()).collect()
}

#[test]
fn everyone_is_global_and_neighbours_are_where_limits_hold_for_them() {
    let mut settings = Settings::default();
    for limit_local in [true, false] {
        settings.limits.local = limit_local;
        let classes = Classes::new(&settings);
        for (at, local) in [
            ("192.168.1.2", true),
            ("10.0.0.1", true),
            ("127.0.0.1", true),
            ("fe80::1", true),
            ("::ffff:10.0.0.1", true),
            ("100.63.255.255", false),
            ("100.64.0.1", false),
            ("100.127.255.255", false),
            ("::ffff:100.64.0.1", false),
            ("8.8.8.8", false),
            ("2001:4860::1", false),
        ] {
            let of = classes.get().of(ip(at), ClassKind::Utp);
            assert_eq!(of.is_global(), limit_local || !local, "{at}");
            assert_eq!(of.meets(LOCAL_BIT), local, "{at}");
        }
    }
}

#[test]
fn the_last_range_counts_and_kinds_leave_before_they_come_in() {
    let classes = Classes::new(&settings(
        "a; b; c",
        "20.0.0.0/8 a; 20.1.0.0/16 b global; 20.1.2.0/24 none; 2001:db8::/32 c",
        "utp -a +c; web +b -b",
    ));
    let table = classes.get();
    for (at, kind, due) in [
        ("19.255.255.255", ClassKind::Tcp, &["global", "tcp"][..]),
        ("20.0.0.0", ClassKind::Tcp, &["tcp", "a"]),
        ("20.255.255.255", ClassKind::Tcp, &["tcp", "a"]),
        ("21.0.0.0", ClassKind::Utp, &["global", "c"]),
        ("20.5.0.1", ClassKind::Utp, &["c"]),
        ("20.1.1.255", ClassKind::Utp, &["global", "b", "c"]),
        ("20.1.2.0", ClassKind::Tcp, &["tcp"]),
        ("20.1.3.0", ClassKind::Tcp, &["global", "tcp", "b"]),
        ("2001:db8::1", ClassKind::Tcp, &["tcp", "c"]),
        ("2001:db9::1", ClassKind::Web, &["global", "tcp", "b"]),
    ] {
        assert_eq!(names(&table, at, kind), due, "{at} {kind:?}");
    }
}

#[test]
fn what_classes_say_is_put_together() {
    let classes = Classes::new(&settings(
        "few connections=50; many connections=300 free_slots; swift down_priority=3; usual",
        "1.0.0.0/8 global few; 2.0.0.0/8 few many; 3.0.0.0/8 usual",
        "",
    ));
    let table = classes.get();
    let of = |at: &str| table.of(ip(at), ClassKind::Tcp);
    for (at, most) in [
        ("1.0.0.1", 5),
        ("2.0.0.1", 30),
        ("3.0.0.1", 10),
        ("4.0.0.1", 10),
    ] {
        assert_eq!(table.most_connections(of(at), 10), most, "{at}");
    }
    assert!(table.has_free_slot(of("2.0.0.1")) && !table.has_free_slot(of("1.0.0.1")));
}

#[test]
fn limits_are_kept_from_one_table_to_the_next() {
    let before = settings("a down=1000; b down=1000", "1.0.0.0/8 a; 2.0.0.0/8 b", "");
    let classes = Classes::new(&before);
    let limit_of = |name: &str| {
        let table = classes.get();
        let class = table.classes.iter().find(|class| class.name == name);
        class.map(|class| class.limits[0].clone())
    };
    let held = limit_of("b").unwrap();
    let number = classes.get().number;
    let now = settings("b down=2000", "2.0.0.0/8 b", "");
    classes.tune(&before, &now);
    assert_eq!(
        held.rate(),
        Some(2000),
        "who waits there is served by the new rate"
    );
    assert!(limit_of("a").is_none() && classes.get().number > number);
    classes.tune(&now, &now);
    assert_eq!(classes.get().number, number + 1, "nothing has changed");
}
