//! The tests that `cargo xtask test --fast` leaves out: simulations, mutations, training, whole runs of
//! a real model, and what builds the program that speaks to the Hub.

/// By package, the names of tests as `cargo nextest list` prints them.
pub(crate) const SLOW: &[(&str, &[&str])] = &[
    ("checkpoints", &["gguf_files", "indexes", "pickles", "safetensors_files"]),
    ("importance", &["slopes_are_those_of_finite_differences"]),
    (
        "models",
        &[
            "mutated_configs_say_what_transformers_says",
            "no_config_makes_loading_panic",
            "of_a_pickle",
            "of_gguf",
            "of_safetensors",
            "trained_models_equal_transformers",
        ],
    ),
    ("judgement", &["advice::tests::recipes_at_the_margin_of_last_words_are_rarely_shown"]),
    ("skips", &["scanning_is_masking"]),
    (
        "statistics",
        &[
            "dial::monotone_dials_are_rejected_no_more_often_than_the_level",
            "dial::eight_windows_keep_the_level",
            "dial::the_limit_of_the_largest_fall_covers_it",
            "dial::a_fall_in_the_middle_of_a_steep_dial_is_seen",
            "dial::page_rejects_levels_without_order_as_often_as_its_level",
            "proportions::wilson_covers_its_level_on_average_and_dips_near_the_ends",
            "proportions::newcombes_interval_covers_its_level_or_a_little_more",
            "proportions::a_difference_of_the_margin_is_called_equal_as_often_as_alpha",
            "proportions::mcnemar_rejects_no_more_often_than_its_level",
            "proportions::unpaired_tests_reject_about_as_often_as_their_level_and_fisher_no_more",
            "windows::percentile_intervals_cover_what_theory_says_and_less_of_few_windows",
            "windows::blocks_cover_what_single_windows_miss",
            "windows::bca_covers_the_mean_of_skewed_values",
            "windows::sign_flips_reject_no_more_often_than_their_level",
            "windows::a_ratio_at_its_threshold_is_rejected_as_often_as_the_level",
            "windows::the_minimum_detectable_ratio_is_found_as_often_as_its_power",
        ],
    ),
    (
        "stories",
        &[
            "pairs_are_not_held_out",
            "short_contexts_do_not_suffice",
            "splits_share_nothing",
            "training_repeats_in_another_process",
        ],
    ),
    (
        "training",
        &[
            "a_killed_run_goes_on_to_the_same_bits",
            "a_sweep_writes_a_curve",
            "committed_texts_are_generated",
        ],
    ),
    (
        "worker",
        &[
            "correlations",
            "dense_and_collapsed",
            "early_exit",
            "easy_tokens",
            "every_choice_has_the_loglikelihood_of_the_harness",
            "gemma_with_a_sentencepiece_vocabulary",
            "gptq",
            "killed_three_times_and_resumed",
            "lambada",
            "linear_blocks",
            "magnitude_and_rounding",
            "per_token",
            "smollm2_is_what_pytorch_says",
            "sparsegpt",
            "static_cut",
            "static_heads",
            "wanda_and_layers",
        ],
    ),
    (
        "xtask",
        &[
            "an_advice_is_found_resumed_and_written",
            "a_model_is_fetched_locked_and_found_by_a_grid",
            "a_tokenizer_may_come_from_another_repository",
            "texts_are_fetched_by_name_and_found_where_the_data_folder_lacks_them",
            "a_cut_download_is_resumed_by_the_same_command",
            "the_environment_of_every_hub_client_counts",
            "mistakes_of_usage_are_told_before_anything_is_asked",
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::SLOW;
    use crate::check_dependencies::read_sources;
    use crate::workspace::Workspace;

    /// A test that was renamed would be run again by `--fast`, and nobody would know why it is slow.
    #[test]
    fn slow_tests_exist() {
        let root = Workspace::find().root().to_owned();
        for (package, tests) in SLOW {
            let beside = root.join("crates").join(package);
            let folder = if beside.is_dir() { beside } else { root.join(package) };
            let mut sources = String::new();
            read_sources(&folder, &mut sources).unwrap();
            for test in *tests {
                let name = test.rsplit("::").next().unwrap();
                assert!(sources.contains(&format!("fn {name}(")), "{package} has no test {test}");
            }
        }
    }
}
