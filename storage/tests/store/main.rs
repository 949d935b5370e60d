//! The store from outside: what it promises to the engine.

mod basics;
mod support;
