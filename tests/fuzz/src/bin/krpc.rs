//! The target of this name in `tests/targets`, under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::krpc::run(data));
