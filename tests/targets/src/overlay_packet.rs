//! Packets of IPv8: frames, keys, signatures, and every format of values.

use overlay::key::PublicKey;
use overlay::packet::{Packet, Proof};
use overlay::wire::{Reader, Writer};

/// Checks one input.
pub fn run(data: &[u8]) {
    if let Ok(key) = PublicKey::from_bytes(data) {
        assert_eq!(key.as_bytes(), data);
    }
    values(data);
    let Ok(packet) = Packet::parse(data) else {
        return;
    };
    assert_eq!(packet.prefix().as_bytes()[..], data[..22]);
    assert_eq!(packet.body().left(), data.len() - 23);
    if let Ok(signed) = packet.open() {
        let frame = 23 + 2 + signed.key().as_bytes().len() + signed.key().signature_len();
        assert_eq!(signed.body().left() + frame, data.len());
        // Nobody's secret is in the seeds, so that a checked signature can only be one of theirs, unchanged.
        assert_eq!(
            signed.key().curve().is_some(),
            signed.proof() == Proof::Unchecked
        );
    }
}

/// Reads values whose kinds the first bytes choose, and writes them again.
fn values(data: &[u8]) {
    let (kinds, data) = data.split_at(data.len().min(8));
    let mut reader = Reader::new(data);
    let mut writer = Writer::new();
    for kind in kinds {
        let (from, out) = (&mut reader, &mut writer);
        let done = match kind % 9 {
            0 => from.u64("number").map(|value| out.u64(value)),
            1 => from.i32("number").map(|value| out.i32(value)),
            2 => from.var_u16("bytes").map(|value| out.var_u16(value)),
            3 => from.var_u32("bytes").map(|value| out.var_u32(value)),
            4 => from.list_20("ids").map(|value| out.list_20(value)),
            5 => from.list_2("pairs").map(|value| out.list_2(value)),
            6 => from.ipv4("address").map(|value| out.ipv4(value)),
            7 => from.address("address").map(|value| out.address(&value)),
            _ => from.array::<20>("id").map(|value| out.raw(&value)),
        };
        if done.is_err() {
            return;
        }
    }
    assert_eq!(writer.as_bytes(), &data[..reader.at()]);
}
