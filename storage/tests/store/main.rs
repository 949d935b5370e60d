//! The store from outside: what it promises to the engine.
#![cfg(test)]

mod basics;
mod support;
