//! The published counts (docs/SPEC.md section 6), put into tables: the report must print the published
//! p-values.

use plan::{Cell, Policy, Protocol};

use crate::fixtures::{Results, dense, items, lambada_cell, pruned, record, row};

#[test]
fn published_counts_give_the_published_p_values() {
    // Model, correct of 300 dense and at 90 % per token; Wilson's limits, z p, Fisher p and McNemar p as
    // the page prints them. The counts do not say which items were lost; here none is won.
    let published = [
        ("qwen2.5-0.5b", 190, 69, "[18.6 %, 28.1 %]", "23.0 %", "-40.3"),
        ("opt-1.3b", 205, 205, "[62.9 %, 73.3 %]", "68.3 %", "+0.0"),
        ("zamba2-1.2b", 246, 230, "[71.6 %, 81.1 %]", "76.7 %", "-5.3"),
    ];
    for (model, n_dense, n_treated, wilson, accuracy, points) in published {
        let results = Results::new();
        let store = results.run("run");
        for (id, treatment, n_correct) in
            [("00", dense(), n_dense), ("01", pruned(Policy::Dynamic, 0.9), n_treated)]
        {
            let correct: Vec<bool> = (0..300).map(|item| item < n_correct).collect();
            let protocol = Protocol::LambadaLastToken;
            let cell = Cell { model: model.to_owned(), protocol, ..lambada_cell(treatment) };
            store.write_items(&record(id, cell, "code-a"), &items(&correct)).unwrap();
        }
        let page = results.page();
        let row = row(&page, &["dynamic", "0.9"]);
        let at = |text: &str| row.iter().position(|field| *field == text);
        assert!(at(&format!("{n_treated}/300")).is_some(), "{row:?}");
        for text in [wilson, accuracy, points] {
            assert!(at(text).is_some(), "{model}: no {text} in {row:?}");
        }
        // The p-values stand behind the difference and its interval: McNemar, Holm, z, Fisher.
        let first = at(points).unwrap() + 2;
        let p: Vec<f64> = row[first..first + 4].iter().map(|p| p.parse().unwrap()).collect();
        match model {
            "qwen2.5-0.5b" => assert!(p.iter().all(|p| *p < 0.001), "{p:?}"),
            "opt-1.3b" => assert_eq!(p, [1.0; 4]),
            _ => {
                assert_eq!(p[2], 0.107, "pooled z");
                assert!((p[3] - 0.13).abs() < 0.005, "Fisher: {}", p[3]);
            }
        }
    }
}
