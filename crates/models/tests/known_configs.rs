//! The committed shapes of published models (`data/configs`): the parameters counted from them are those
//! of the reference classes (transformers 5.23, built from the same fields on the `meta` device).

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::path::Path;

/// Repository and stored parameters; a tied head counts once.
const PARAMETERS: [(&str, usize); 10] = [
    ("Qwen/Qwen2.5-0.5B", 494_032_768),
    ("Qwen/Qwen2.5-1.5B", 1_543_714_304),
    ("Zyphra/Zamba2-1.2B", 1_215_064_704),
    ("facebook/opt-1.3b", 1_315_758_080),
    ("facebook/opt-2.7b", 2_651_596_800),
    ("state-spaces/mamba2-130m", 128_989_632),
    ("state-spaces/mamba2-370m", 368_346_624),
    ("state-spaces/mamba2-780m", 780_161_280),
    ("state-spaces/mamba2-1.3b", 1_343_757_312),
    ("state-spaces/mamba2-2.7b", 2_702_599_680),
];

#[test]
fn parameters_are_those_of_the_reference() {
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/configs");
    for (repository, parameters) in PARAMETERS {
        let facts = models::sizes(&configs.join(repository).join("config.json")).unwrap();
        assert_eq!(facts.parameters, parameters, "{repository}");
    }
}
