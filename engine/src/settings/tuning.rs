//! What the settings say of our node of the DHT.

use dht::Tuning;

use super::Dht;

impl Dht {
    /// How our node is to behave.
    pub(crate) fn tuning(&self) -> Tuning {
        let mut tuning = Tuning::default();
        tuning.read_only = self.read_only;
        tuning.restrict_networks = self.restrict_networks;
        tuning.enforce_ids = self.enforce_ids;
        tuning.rates.each_per_s = f64::from(self.queries_each);
        tuning.rates.total_per_s = f64::from(self.queries);
        tuning.up = self.up;
        tuning.peers.total = self.stored_peers as usize;
        tuning.peers.per_torrent = self.stored_of_torrent as usize;
        tuning.items.total = self.stored_items as usize;
        tuning.items.lifetime = self.item_lifetime;
        tuning.values = self.answered_peers as usize;
        tuning.samples = self.samples as usize;
        tuning.sample_for = self.sample_every;
        tuning.branching = self.branching as usize;
        tuning.give_up = u8::try_from(self.give_up_after).unwrap_or(u8::MAX);
        tuning
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_by_default_as_the_settings_say_by_default() {
        assert_eq!(Dht::default().tuning(), Tuning::default());
    }

    #[test]
    fn each_key_has_the_node_behave_as_it_says() {
        let set = |key: &str, value: &str| {
            let value = value.parse().map_or_else(
                |_| match value {
                    "true" => super::super::Value::Bool(true),
                    "false" => super::super::Value::Bool(false),
                    text => super::super::Value::Text(text.to_owned()),
                },
                super::super::Value::Int,
            );
            let patch = super::super::Patch::new().with(key, value);
            let settings = super::super::Settings::default().with(&patch);
            settings.unwrap().dht.tuning()
        };
        let usual = Tuning::default();
        let changed = |key: &str, value: &str, change: fn(&mut Tuning)| {
            let mut due = usual;
            change(&mut due);
            assert_ne!(due, usual, "{key}");
            assert_eq!(set(key, value), due, "{key}");
        };
        changed("dht.read_only", "true", |it| it.read_only = true);
        changed("dht.restrict_networks", "false", |it| {
            it.restrict_networks = false;
        });
        changed("dht.enforce_ids", "true", |it| it.enforce_ids = true);
        changed("dht.queries_each", "7", |it| it.rates.each_per_s = 7.0);
        changed("dht.queries", "77", |it| it.rates.total_per_s = 77.0);
        changed("dht.up", "20000", |it| it.up = Some(20_000));
        changed("dht.stored_peers", "1234", |it| it.peers.total = 1234);
        changed("dht.stored_of_torrent", "12", |it| {
            it.peers.per_torrent = 12;
        });
        changed("dht.stored_items", "123", |it| it.items.total = 123);
        changed("dht.item_lifetime", "3h", |it| {
            it.items.lifetime = std::time::Duration::from_hours(3);
        });
        changed("dht.answered_peers", "11", |it| it.values = 11);
        changed("dht.samples", "13", |it| it.samples = 13);
        changed("dht.sample_every", "17m", |it| {
            it.sample_for = std::time::Duration::from_mins(17);
        });
        changed("dht.branching", "6", |it| it.branching = 6);
        changed("dht.give_up_after", "9", |it| it.give_up = 9);
    }
}
