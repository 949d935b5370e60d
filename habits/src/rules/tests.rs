use super::*;
use crate::Torrent;

fn item(title: &str, size: Option<u64>) -> Item {
    let link = "http://x/a.torrent".parse().unwrap();
    Item {
        title: title.to_owned(),
        guid: Some(title.to_owned()),
        torrent: Some(Torrent::Url(link)),
        size,
        published: None,
    }
}

fn texts(all: &[&str]) -> Vec<String> {
    all.iter().map(|text| (*text).to_owned()).collect()
}

fn rule(name: &str, include: &[&str], exclude: &[&str]) -> Rule {
    Rule {
        name: name.to_owned(),
        include: texts(include),
        exclude: texts(exclude),
        ..Rule::default()
    }
}

fn take(name: &str) -> Verdict {
    Verdict::Take(Some(name.to_owned()))
}

#[test]
fn the_first_rule_by_name_that_fits_takes_an_item() {
    let rules = [
        rule("b", &["show"], &[]),
        rule("a", &["show 1080p", "film"], &["cam", "hdts"]),
        Rule {
            off: true,
            ..rule("0", &[], &[])
        },
    ];
    let rules = Rules::new(false, &rules).unwrap();
    let memory = Memory::default();
    let judge = |title: &str| rules.judge(&item(title, None), &memory);
    assert_eq!(judge("Show.1080p"), take("a"));
    assert_eq!(judge("Show.720p"), take("b"));
    assert_eq!(judge("Show.1080p.CAM"), take("b"));
    assert_eq!(
        judge("Film.CAM"),
        Verdict::Skip(Some("a: it is excluded".to_owned()))
    );
    assert_eq!(judge("other"), Verdict::Skip(None));
    let nothing = Item {
        torrent: None,
        ..item("Show.1080p", None)
    };
    assert_eq!(rules.judge(&nothing, &memory), Verdict::Nothing);
}

#[test]
fn sizes_and_episodes_bound_what_is_taken() {
    let rule = Rule {
        min_size: Some(10),
        max_size: Some(20),
        episodes: Some("1x3-".to_owned()),
        ..rule("r", &[], &[])
    };
    let rules = Rules::new(false, &[rule]).unwrap();
    let memory = Memory::default();
    for (title, size, why) in [
        ("a S01E03", Some(10), None),
        ("a S02E01", Some(20), None),
        ("a S01E03", Some(9), Some("r: it is too small")),
        ("a S01E03", Some(21), Some("r: it is too large")),
        (
            "a S01E03",
            None,
            Some("r: the feed does not say how large it is"),
        ),
        ("a S01E02", Some(15), Some("r: it is another episode")),
        ("a", Some(15), Some("r: its title names no episode")),
    ] {
        let verdict = rules.judge(&item(title, size), &memory);
        let due = why.map_or_else(|| take("r"), |why| Verdict::Skip(Some(why.to_owned())));
        assert_eq!(verdict, due, "{title} {size:?}");
    }
}

#[test]
fn an_episode_is_taken_once_by_a_rule_that_wants_that_and_again_where_it_was_bad() {
    let once = Rule {
        once: true,
        ..rule("r", &[], &[])
    };
    let rules = Rules::new(true, &[once]).unwrap();
    let items = [
        "A S01E01 x",
        "a.s01e01.y",
        "A S01E01 PROPER",
        "A S01E02",
        "B S01E01",
    ];
    let document = Document {
        title: None,
        items: items.iter().map(|title| item(title, None)).collect(),
    };
    let told = rules.preview(document, Memory::default());
    let what: Vec<&str> = told.iter().map(|item| item.what.as_str()).collect();
    assert_eq!(what, ["take", "skip", "take", "take", "take"]);
    let why = told.get(1).and_then(|item| item.why.clone());
    assert_eq!(why.unwrap(), "r: episode 1x1 was taken before");
}

#[test]
fn what_was_taken_is_not_taken_again_and_all_takes_the_rest() {
    let rules = Rules::new(true, &[]).unwrap();
    let mut memory = Memory::default();
    let one = item("a", None);
    assert_eq!(rules.judge(&one, &memory), Verdict::Take(None));
    memory.note(&one, None);
    assert_eq!(rules.judge(&one, &memory), Verdict::Taken);
}

#[test]
fn what_a_rule_wants_comes_before_what_its_feed_wants() {
    let mut own = rule("r", &[], &[]);
    own.add.category = Some("own".to_owned());
    own.add.tags = texts(&["b"]);
    let feed = Wish {
        category: Some("feed".to_owned()),
        dir: Some("/feed".to_owned()),
        tags: texts(&["a", "b"]),
        paused: true,
        hops: Some(1),
    };
    let rules = Rules::new(false, &[own]).unwrap();
    let wish = rules.wish(Some("r"), &feed);
    assert_eq!(wish.category.as_deref(), Some("own"));
    assert_eq!(wish.dir.as_deref(), Some("/feed"));
    assert_eq!(wish.tags, ["a", "b"]);
    assert!(wish.paused && wish.hops == Some(1));
    assert_eq!(rules.wish(None, &feed), feed);
}

#[test]
fn rules_that_cannot_be_are_refused() {
    let new = |rules: &[Rule]| Rules::new(false, rules).unwrap_err();
    let regex = Rule {
        regex: true,
        ..rule("r", &["("], &[])
    };
    assert!(new(&[regex]).to_string().starts_with("rule r: `(`"));
    let episodes = Rule {
        episodes: Some("x".to_owned()),
        ..rule("r", &[], &[])
    };
    assert_eq!(new(&[episodes]), RuleError::Episodes("r".to_owned()));
    let two = [rule("r", &[], &[]), rule("r", &["a"], &[])];
    assert_eq!(new(&two), RuleError::Twice("r".to_owned()));
    let many = vec![Rule::default(); MOST_RULES + 1];
    assert_eq!(new(&many), RuleError::TooMany);
    let wide = Rule {
        include: vec!["a".to_owned(); MOST_PATTERNS + 1],
        ..Rule::default()
    };
    assert_eq!(new(&[wide]), RuleError::TooMany);
}
