//! Feeds: whatever bytes a server sends, reading them ends, and what is read can be judged by rules and is remembered as the same
//! item. The first byte says which alphabet and rules.

use std::sync::LazyLock;

use control::Rule;
use habits::{Document, Memory, Rules, Verdict};

static RULES: LazyLock<Vec<Rules>> = LazyLock::new(|| (0..16).map(rules).collect());

fn rules(bits: u8) -> Rules {
    let rule = Rule {
        name: "rule".to_owned(),
        include: vec!["a*b ?".to_owned(), "e".to_owned()],
        exclude: vec!["x".to_owned()],
        episodes: (bits & 1 > 0).then(|| "1x1-,2".to_owned()),
        once: bits & 2 > 0,
        min_size: (bits & 4 > 0).then_some(1),
        ..Rule::default()
    };
    Rules::new(bits & 8 > 0, &[rule]).expect("rules")
}

/// Checks one input.
pub fn run(data: &[u8]) {
    let Some((first, data)) = data.split_first() else {
        return;
    };
    let at = "http://feeds.example/feed.xml".parse().ok();
    let Ok(document) = Document::read(data, at.as_ref()) else {
        return;
    };
    assert!(document.items.len() <= 2000);
    let rules = &RULES[usize::from(first % 16)];
    let mut memory = Memory::default();
    for item in &document.items {
        if let Verdict::Take(rule) = rules.judge(item, &memory) {
            assert!(item.torrent.is_some());
            memory.note(item, rule.as_deref());
            assert_eq!(rules.judge(item, &memory), Verdict::Taken);
        }
    }
    memory.renew(&document.items);
    let kept = serde_json::to_vec(&memory).expect("JSON");
    assert_eq!(
        serde_json::from_slice::<Memory>(&kept).expect("read back"),
        memory
    );
    rules.preview(document, memory);
}
