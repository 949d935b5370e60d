//! The settings of a choker.

use super::*;
use crate::settings::{Patch, Settings, Value};

#[test]
fn each_key_of_the_settings_is_the_figure_that_it_says() {
    let of = |settings: &Settings| format!("{:?}", ChokerConfig::of(&settings.choking));
    let usual = of(&Settings::default());
    assert_eq!(usual, format!("{:?}", ChokerConfig::default()));
    let changed = |key: &str, value: Value, change: fn(&mut ChokerConfig)| {
        let patch = Patch::new().with(key, value);
        let settings = Settings::default().with(&patch).expect("settings");
        let mut due = ChokerConfig::default();
        change(&mut due);
        assert_ne!(of(&settings), usual, "{key}");
        assert_eq!(of(&settings), format!("{due:?}"), "{key}");
    };
    let text = |text: &str| Value::Text(text.to_owned());
    changed("choking.slots", Value::Int(3), |it| it.slots = 3);
    changed("choking.optimistic", Value::Int(2), |it| it.optimistic = 2);
    changed("choking.round_every", text("7s"), |it| {
        it.round_every = Duration::from_secs(7);
    });
    changed("choking.optimistic_every", text("8s"), |it| {
        it.optimistic_every = Duration::from_secs(8);
    });
    changed("choking.turn", text("9s"), |it| {
        it.turn = Duration::from_secs(9);
    });
    changed("choking.seed_mode", text("fastest"), |it| {
        it.seed_mode = SeedMode::FastestUpload;
    });
    changed("choking.slots_by", text("rate"), |it| {
        it.slots_by = SlotsBy::Rate;
    });
    changed("choking.rate_step", text("5KiB"), |it| {
        it.rate_step = 5 * 1024;
    });
}
