//! The items of multiple-choice tasks: the split that lm-evaluation-harness 0.4.13 reads of each, and the
//! repository that its task files name.

use super::{HubText, KnownDataset};
use crate::Reading;

const fn items(
    name: &'static str,
    task: &'static str,
    file: &'static str,
    repo: &'static str,
    path: &'static str,
) -> KnownDataset {
    let reading = Reading { shape: None, documents: None };
    KnownDataset { name, file, task: Some(task), hub: HubText { repo, path, reading } }
}

/// Items of single tasks. The folder of tasks is `SLIM_TASKS`, else `data/tasks` from the workspace root.
pub(super) const CHOICES: &[KnownDataset] = &[
    items(
        "hellaswag",
        "hellaswag",
        "hellaswag.jsonl",
        "Rowan/hellaswag",
        "data/validation-00000-of-00001.parquet",
    ),
    items("piqa", "piqa", "piqa.jsonl", "baber/piqa", "data/validation-00000-of-00001.parquet"),
    items(
        "arc-easy",
        "arc-easy",
        "arc_easy.jsonl",
        "allenai/ai2_arc",
        "ARC-Easy/test-00000-of-00001.parquet",
    ),
    items(
        "arc-challenge",
        "arc-challenge",
        "arc_challenge.jsonl",
        "allenai/ai2_arc",
        "ARC-Challenge/test-00000-of-00001.parquet",
    ),
    items(
        "openbookqa",
        "openbookqa",
        "openbookqa.jsonl",
        "allenai/openbookqa",
        "main/test-00000-of-00001.parquet",
    ),
    items(
        "winogrande",
        "winogrande",
        "winogrande.jsonl",
        "allenai/winogrande",
        "winogrande_xl/validation-00000-of-00001.parquet",
    ),
    items(
        "boolq",
        "boolq",
        "boolq.jsonl",
        "aps/super_glue",
        "boolq/validation-00000-of-00001.parquet",
    ),
    items("rte", "rte", "rte.jsonl", "nyu-mll/glue", "rte/validation-00000-of-00001.parquet"),
    items("copa", "copa", "copa.jsonl", "aps/super_glue", "copa/validation-00000-of-00001.parquet"),
    items("sciq", "sciq", "sciq.jsonl", "allenai/sciq", "data/test-00000-of-00001.parquet"),
    // The harness reads the test split; this one is where that is not to be had.
    items(
        "sciq-validation",
        "sciq",
        "sciq_validation.jsonl",
        "allenai/sciq",
        "data/validation-00000-of-00001.parquet",
    ),
];

/// A subject of MMLU, by its name with hyphens and with underscores.
macro_rules! subject {
    ($name:literal, $folder:literal) => {
        items(
            concat!("mmlu-", $name),
            concat!("mmlu-", $name),
            concat!("mmlu_test/", $folder, ".jsonl"),
            "cais/mmlu",
            concat!($folder, "/test-00000-of-00001.parquet"),
        )
    };
}

/// The 57 subjects of MMLU (Hendrycks et al. 2021, arXiv:2009.03300).
pub(super) const MMLU: &[KnownDataset] = &[
    subject!("abstract-algebra", "abstract_algebra"),
    subject!("anatomy", "anatomy"),
    subject!("astronomy", "astronomy"),
    subject!("business-ethics", "business_ethics"),
    subject!("clinical-knowledge", "clinical_knowledge"),
    subject!("college-biology", "college_biology"),
    subject!("college-chemistry", "college_chemistry"),
    subject!("college-computer-science", "college_computer_science"),
    subject!("college-mathematics", "college_mathematics"),
    subject!("college-medicine", "college_medicine"),
    subject!("college-physics", "college_physics"),
    subject!("computer-security", "computer_security"),
    subject!("conceptual-physics", "conceptual_physics"),
    subject!("econometrics", "econometrics"),
    subject!("electrical-engineering", "electrical_engineering"),
    subject!("elementary-mathematics", "elementary_mathematics"),
    subject!("formal-logic", "formal_logic"),
    subject!("global-facts", "global_facts"),
    subject!("high-school-biology", "high_school_biology"),
    subject!("high-school-chemistry", "high_school_chemistry"),
    subject!("high-school-computer-science", "high_school_computer_science"),
    subject!("high-school-european-history", "high_school_european_history"),
    subject!("high-school-geography", "high_school_geography"),
    subject!("high-school-government-and-politics", "high_school_government_and_politics"),
    subject!("high-school-macroeconomics", "high_school_macroeconomics"),
    subject!("high-school-mathematics", "high_school_mathematics"),
    subject!("high-school-microeconomics", "high_school_microeconomics"),
    subject!("high-school-physics", "high_school_physics"),
    subject!("high-school-psychology", "high_school_psychology"),
    subject!("high-school-statistics", "high_school_statistics"),
    subject!("high-school-us-history", "high_school_us_history"),
    subject!("high-school-world-history", "high_school_world_history"),
    subject!("human-aging", "human_aging"),
    subject!("human-sexuality", "human_sexuality"),
    subject!("international-law", "international_law"),
    subject!("jurisprudence", "jurisprudence"),
    subject!("logical-fallacies", "logical_fallacies"),
    subject!("machine-learning", "machine_learning"),
    subject!("management", "management"),
    subject!("marketing", "marketing"),
    subject!("medical-genetics", "medical_genetics"),
    subject!("miscellaneous", "miscellaneous"),
    subject!("moral-disputes", "moral_disputes"),
    subject!("moral-scenarios", "moral_scenarios"),
    subject!("nutrition", "nutrition"),
    subject!("philosophy", "philosophy"),
    subject!("prehistory", "prehistory"),
    subject!("professional-accounting", "professional_accounting"),
    subject!("professional-law", "professional_law"),
    subject!("professional-medicine", "professional_medicine"),
    subject!("professional-psychology", "professional_psychology"),
    subject!("public-relations", "public_relations"),
    subject!("security-studies", "security_studies"),
    subject!("sociology", "sociology"),
    subject!("us-foreign-policy", "us_foreign_policy"),
    subject!("virology", "virology"),
    subject!("world-religions", "world_religions"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{TaskName, check_folder_name};

    #[test]
    fn names_are_folders_and_tasks_are_names() {
        let all: Vec<_> = CHOICES.iter().chain(MMLU).collect();
        assert_eq!(MMLU.len(), 57);
        let names: BTreeSet<_> = all.iter().map(|known| known.name).collect();
        assert_eq!(names.len(), all.len());
        for known in all {
            assert!(check_folder_name(known.name).is_ok());
            assert!(known.task.and_then(TaskName::new).is_some(), "{}", known.name);
        }
    }
}
