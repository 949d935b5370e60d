use super::*;
use crate::Limits;
use crate::settings::Patch;

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

#[test]
fn classes_are_written_as_they_are_read() {
    let said = " friends  down=1MiB/s up=4000 up_priority=4 free_slots connections=200% ;guests;";
    let list = ClassList::read(&text(said)).unwrap();
    let friends = PeerClass {
        limits: Limits {
            down: Some(1 << 20),
            up: Some(4000),
        },
        down_priority: 1,
        up_priority: 4,
        free_slots: true,
        connections: 200,
    };
    assert_eq!(list.0["friends"], friends);
    assert_eq!(list.0["guests"], PeerClass::default());
    let written = "friends down=1MiB/s up=4000 up_priority=4 free_slots connections=200%; guests";
    assert_eq!(list.write(), text(written));
    assert_eq!(ClassList::read(&list.write()), Ok(list));
}

#[test]
fn ranges_are_written_as_networks_where_they_are_some() {
    let said = "10.1.2.3/16 a b; 192.0.2.7-192.0.2.9 none; 2001:db8::/32 a; 9.9.9.9 b; 0.0.0.0/0 a; ::/0 b";
    let ranges = AddressClasses::read(&text(said)).unwrap();
    let written = said.replace("10.1.2.3/16", "10.1.0.0/16");
    assert_eq!(ranges.write(), text(&written));
    assert_eq!(AddressClasses::read(&ranges.write()), Ok(ranges));
}

#[test]
fn kinds_name_what_they_leave_and_what_they_come_into() {
    let kinds = KindClasses::read(&text("web +slow -global;utp +a +b")).unwrap();
    assert_eq!(kinds.write(), text("utp +a +b; web -global +slow"));
    assert_eq!(KindClasses::read(&kinds.write()), Ok(kinds));
}

#[test]
fn what_is_no_class_is_refused_with_what_is_wrong() {
    for (wrong, with) in [
        ("Friends", "no name"),
        ("none", "no name"),
        ("a; a", "twice"),
        ("a down=x", "no number"),
        ("a down", "says nothing"),
        ("a colour=red", "says nothing"),
        ("a up_priority=0", "1 to 6"),
        ("a down_priority=7", "1 to 6"),
        ("a connections=0", "percent"),
        ("global down=1", "limits.down"),
    ] {
        let error = ClassList::read(&text(wrong)).unwrap_err().to_string();
        assert!(error.contains(with), "{wrong}: {error}");
    }
    let many: Vec<String> = (0..30).map(|number| format!("c{number}")).collect();
    assert!(ClassList::read(&text(&many.join(";"))).is_err());
    assert!(ClassList::read(&text(&many[..29].join(";"))).is_ok());
    for wrong in [
        "10.0.0.0/33 a",
        "1.2.3.4",
        "x a",
        "2.0.0.0-1.0.0.0 a",
        "1.0.0.0-::1 a",
        "::/129 a",
        "1.2.3.4 none a",
    ] {
        assert!(AddressClasses::read(&text(wrong)).is_err(), "{wrong}");
    }
    for wrong in ["i2p +a", "tcp a", "tcp +", "tcp +a; tcp -a"] {
        assert!(KindClasses::read(&text(wrong)).is_err(), "{wrong}");
    }
}

#[test]
fn a_class_that_is_spoken_of_has_to_be_there() {
    let settings = Settings::default();
    let patch = |list: &str, addresses: &str, kinds: &str| {
        let patch = Patch::new().with("classes.list", text(list));
        let patch = patch.with("classes.addresses", text(addresses));
        patch.with("classes.kinds", text(kinds))
    };
    assert!(
        settings
            .with(&patch("a", "1.2.3.4 a tcp", "utp +a -global"))
            .is_ok()
    );
    let error = settings
        .with(&patch("b", "1.2.3.4 a", "utp +c"))
        .unwrap_err();
    let paths: Vec<&str> = error.wrongs.iter().map(|wrong| &*wrong.path).collect();
    assert_eq!(paths, ["classes.addresses", "classes.kinds"]);
    assert!(error.to_string().contains("a is no class"), "{error}");
}
