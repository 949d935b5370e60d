//! Messages into cells and packets.

use std::net::SocketAddr;

use overlay::packet::sign;
use overlay::wire::Writer;

use super::{CircuitId, Kind, Message, Node, Reason, Refusal};
use crate::Head;
use crate::crypto::{HEAD, TAG};

impl Node {
    /// Sends a message through a circuit of our own.
    pub(super) fn say(&mut self, circuit: CircuitId, message: &Message<'_>) -> Result<(), Refusal> {
        let wire = (self.config.dialect, &self.prefix);
        let circuit = self.circuits.get_mut(&circuit).ok_or(Refusal::Unknown)?;
        let mut payload = Vec::new();
        let to = circuit.seal(wire, message, &mut payload)?;
        self.transmit(to, payload);
        Ok(())
    }

    /// Sends a message to the originator of a circuit that ends here.
    pub(super) fn answer(
        &mut self,
        circuit: CircuitId,
        message: &Message<'_>,
    ) -> Result<(), Refusal> {
        let mut payload = Vec::new();
        let to = self.seal_back(circuit, message, &mut payload)?;
        self.transmit(to, payload);
        Ok(())
    }

    /// Writes a cell to the originator of a circuit of somebody else's into `out`.
    pub(super) fn seal_back(
        &mut self,
        circuit: CircuitId,
        message: &Message<'_>,
        out: &mut Vec<u8>,
    ) -> Result<SocketAddr, Refusal> {
        let dialect = self.config.dialect;
        let (session, to) = if let Some(joined) = self.joined.get_mut(&circuit) {
            (&mut joined.session, joined.back.addr)
        } else {
            let (key, side) = self.routes.get(&circuit).ok_or(Refusal::Unknown)?;
            let relay = self.relays.get_mut(key).ok_or(Refusal::Unknown)?;
            let to = relay.end(*side).addr;
            (relay.session(*side).ok_or(Refusal::Unknown)?, to)
        };
        let start = Head::len(dialect) + HEAD;
        out.clear();
        out.resize(start, 0);
        let mut writer = Writer::onto(std::mem::take(out));
        let written = message.write(dialect, &mut writer);
        *out = writer.finish();
        written.ok_or(Refusal::Malformed)?;
        out.resize(out.len() + TAG, 0);
        let frame = out
            .get_mut(Head::len(dialect)..)
            .ok_or(Refusal::Malformed)?;
        session.seal.seal(frame)?;
        let head = Head {
            circuit,
            plaintext: false,
            early: false,
        };
        head.write(dialect, &self.prefix, out);
        Ok(to)
    }

    /// A cell without encryption.
    pub(super) fn plain(&self, circuit: CircuitId, message: &Message<'_>) -> Option<Vec<u8>> {
        let dialect = self.config.dialect;
        let mut writer = Writer::onto(vec![0; Head::len(dialect)]);
        message.write(dialect, &mut writer)?;
        let mut packet = writer.finish();
        let head = Head {
            circuit,
            plaintext: true,
            early: false,
        };
        head.write(dialect, &self.prefix, &mut packet)
            .then_some(packet)
    }

    pub(super) fn send_destroy(&mut self, to: SocketAddr, circuit: CircuitId, reason: Reason) {
        let Some(number) = Kind::Destroy.number(self.config.dialect) else {
            return;
        };
        let packet = sign(self.prefix, number, &self.key, |body| {
            body.u32(circuit.0).u16(reason as u16);
        });
        self.transmit(to, packet);
    }
}
