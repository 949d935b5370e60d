//! The model of `model`, fed by proptest.

use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_sequence_of_operations_leaves_the_store_as_its_model(
        input in proptest::collection::vec(any::<u8>(), 0..800)
    ) {
        let dir = tempfile::tempdir().unwrap();
        crate::model::run(&input, dir.path());
    }
}
