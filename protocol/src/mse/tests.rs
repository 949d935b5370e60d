//! Both sides against the golden vectors and against each other.

mod hostile;
mod pair;
mod vectors;
