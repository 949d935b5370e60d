//! A peer that says whatever a test wants over a plain socket.
