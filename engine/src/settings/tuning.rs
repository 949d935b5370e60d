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
}
