//! Part × method and the gradients at the static end, with numbers worked out by hand.

use plan::{Cell, Mode, Part, Policy, Recalibration, Score, Treatment, TreatmentSpec};
use tables::{CellRecord, RowShares, Store, Touched, WindowRow};

use crate::fixtures::{Results, dense, put_items, record, row, table_rows, text_cell, windows};

/// A treatment of one part, and what it costs: nats a target, and the share that it drops.
struct Put {
    spec: TreatmentSpec,
    nats: f64,
    reached: f64,
}

fn by(part: Part, policy: Policy, score: Score, sparsity: f64, nats: f64) -> Put {
    let spec = TreatmentSpec { part, score: Some(score), sparsity, ..TreatmentSpec::of(policy, 1) };
    Put { spec, nats, reached: sparsity }
}

fn in_mode(mode: Mode, put: Put) -> Put {
    Put { spec: TreatmentSpec { mode: Some(mode), ..put.spec }, ..put }
}

fn put_all(store: &Store, puts: Vec<Put>) {
    store.write_windows(&record("00", text_cell(dense()), "code-a"), &windows(&[0.0; 4])).unwrap();
    for (number, Put { spec, nats, reached }) in puts.into_iter().enumerate() {
        let part = spec.part;
        let cell: Cell = text_cell(Treatment::new(spec).unwrap());
        let rows: Vec<WindowRow> = windows(&[100.0 * nats; 4])
            .into_iter()
            .map(|row| WindowRow {
                shares: RowShares { reached_sparsity: reached, ..row.shares },
                ..row
            })
            .collect();
        let touched = match part {
            Part::Ffn => Touched { parameters: 0.5, flops: 0.4, state_bytes: 0.0 },
            _ => Touched { parameters: 0.1, flops: 0.05, state_bytes: 1.0 },
        };
        let record = record(&format!("{:02}", number + 1), cell, "code-a");
        store.write_windows(&CellRecord { touched, ..record }, &rows).unwrap();
    }
}

/// Both parts and both policies at κ=.5, and the FFN at κ=.9.
fn two_by_two() -> Vec<Put> {
    use Part::{Ffn, State};
    use Policy::{Dynamic, Static};
    let mut puts = vec![
        by(Ffn, Static, Score::Magnitude, 0.5, 1.0),
        by(Ffn, Static, Score::Impact, 0.5, 0.9),
        by(Ffn, Static, Score::Random, 0.5, 2.0),
        by(Ffn, Static, Score::Magnitude, 0.9, 3.0),
        by(Ffn, Dynamic, Score::Magnitude, 0.5, 0.10),
        by(Ffn, Dynamic, Score::Impact, 0.5, 0.09),
        by(State, Static, Score::Ghost, 0.5, 0.2),
        by(State, Static, Score::StateWeight, 0.5, 0.6),
        by(State, Static, Score::Random, 0.5, 0.8),
        in_mode(Mode::Read, by(State, Dynamic, Score::Ghost, 0.5, 0.01)),
        in_mode(Mode::Write, by(State, Dynamic, Score::Ghost, 0.5, 0.05)),
    ];
    let one_shot = by(State, Static, Score::Ghost, 0.5, 0.3);
    let recalibration = Some(Recalibration::OneShot);
    puts.push(Put { spec: TreatmentSpec { recalibration, ..one_shot.spec }, ..one_shot });
    puts
}

fn page_of(puts: Vec<Put>) -> (Results, String) {
    let results = Results::new();
    put_all(&results.run("run"), puts);
    let page = results.page();
    (results, page)
}

#[test]
fn every_quadrant_has_its_scores_by_kind() {
    let (_results, page) = page_of(two_by_two());
    let (_, section) = page.split_once("## Part × method\n").unwrap();
    let rows: Vec<Vec<&str>> = table_rows(section);
    assert_eq!(rows[0], ["quadrant", "score", "kind", "recalibration", "κ=0.5", "κ=0.9"]);
    // e^1, e^3, e^0.9, e^2, e^0.1, …; all windows lose the same, so the intervals have no width.
    let expected = [
        ["ffn static", "magnitude", "cheap", "", "2.718 [2.718, 2.718]", "20.09 [20.09, 20.09]"],
        ["ffn static", "impact", "output-aware", "", "2.460 [2.460, 2.460]", "–"],
        ["ffn static", "random", "control", "", "7.389 [7.389, 7.389]", "–"],
        ["ffn dynamic", "magnitude", "cheap", "", "1.105 [1.105, 1.105]", "–"],
        ["ffn dynamic", "impact", "output-aware", "", "1.094 [1.094, 1.094]", "–"],
        ["state static", "state-weight", "cheap", "", "1.822 [1.822, 1.822]", "–"],
        ["state static", "ghost", "output-aware", "sequential", "1.221 [1.221, 1.221]", "–"],
        ["state static", "ghost", "output-aware", "one-shot", "1.350 [1.350, 1.350]", "–"],
        ["state static", "random", "control", "", "2.226 [2.226, 2.226]", "–"],
        ["state dynamic read", "ghost", "output-aware", "", "1.010 [1.010, 1.010]", "–"],
        ["state dynamic write", "ghost", "output-aware", "", "1.051 [1.051, 1.051]", "–"],
    ];
    assert_eq!(rows[2..], expected);
    let share = "The state channels (state) are 10.0 % of the model's parameters, 5.0 % of a token's \
                 operations and 100.0 % of the bytes of its recurrent state.";
    assert!(section.contains(share), "{section}");
    assert!(!page.contains("unequal sparsity"), "{page}");
}

#[test]
fn findings_are_told_apart_by_part() {
    let (_results, page) = page_of(two_by_two());
    // e^0.1 of the FFN and e^0.01 of the state: the dynamic sentence is about neurons.
    assert!(
        page.contains("; the cheapest dynamic choice (κ=0.5, impact) costs 1.094 × dense"),
        "{page}"
    );
    let state = "smollm2 on wikitext2 (ppl-101), state: dropping 50.0 % of the channels (κ=0.5) for the \
                 whole run (static) costs 1.221 × dense [1.221, 1.221] by ghost (sequential), 1.350 × \
                 dense [1.350, 1.350] by ghost (one-shot), 1.822 × dense [1.822, 1.822] by state-weight, 2.226 × dense [2.226, 2.226] by random; token \
                 by token (dynamic) costs 1.010 × dense [1.010, 1.010] by ghost (read), 1.051 × dense \
                 [1.051, 1.051] by ghost (write).";
    assert!(page.contains(state), "{page}");
    let quadrants = "part × method at κ=0.5, perplexity × dense: ffn static: best cheap 2.718 \
                     (magnitude), best output-aware 2.460 (impact), random 7.389: the cheap rule does \
                     not suffice (1.11 times); ffn dynamic: best cheap 1.105 (magnitude), best \
                     output-aware 1.094 (impact): the cheap rule suffices (1.01 times the output-aware \
                     one); state static: best cheap 1.822 (state-weight), best output-aware 1.221 \
                     (ghost), random 2.226: the cheap rule does not suffice (1.49 times); state dynamic \
                     read: no cheap score, best output-aware 1.010 (ghost); state dynamic write: no \
                     cheap score, best output-aware 1.051 (ghost).";
    assert!(page.contains(quadrants), "{page}");
}

#[test]
fn rows_of_the_state_have_columns_of_their_own_and_no_twins_among_neurons() {
    let (_results, page) = page_of(two_by_two());
    let heading = ["policy", "κ", "W", "rule", "score", "part", "mode", "recalibration"];
    assert_eq!(row(&page, &["policy"])[..8], heading);
    let dense = ["dense", "0", "–", "–", "–", "–", "–", "–"];
    assert_eq!(row(&page, &["dense"])[..8], dense);
    let write = ["dynamic", "0.5", "1", "–", "ghost", "state", "write", "–"];
    assert!(table_rows(&page).iter().any(|row| row.starts_with(&write)), "{page}");
    let static_random: Vec<_> = table_rows(&page)
        .into_iter()
        .filter(|row| row[0] == "static" && row.get(4) == Some(&"random"))
        .map(|row| row[5])
        .collect();
    assert_eq!(static_random, ["ffn", "state"]);
    assert!(!page.contains("could be filled by several cells"), "{page}");
    // Without a state the columns are not there.
    let (_results, page) = page_of(vec![by(Part::Ffn, Policy::Static, Score::Impact, 0.5, 1.0)]);
    assert_eq!(row(&page, &["policy"])[..6], ["policy", "κ", "W", "rule", "score", "perplexity"]);
    assert!(!page.contains("## Part × method"), "{page}");
}

#[test]
fn unequal_sparsity_is_flagged_plainly() {
    let mut puts = two_by_two();
    // The dynamic set of magnitude reaches 48 % where the static one reaches 50 %.
    puts[4].reached = 0.48;
    let (_results, page) = page_of(puts);
    let flag = "**At κ=0.5: unequal sparsity: ffn dynamic magnitude drops 48.0 %, ffn static magnitude \
                50.0 %.**";
    assert!(page.contains(flag), "{page}");
    let contrast =
        "2.718 against 1.105 × dense (unequal sparsity: dynamic drops 48.0 %, static 50.0 %).";
    assert!(page.contains(contrast), "{page}");
    assert!(page.contains("smollm2: unequal sparsity: dynamic drops 48.0 %"), "{page}");
    let mut puts = two_by_two();
    puts[9].reached = 0.51;
    let (_results, page) = page_of(puts);
    let state = "by ghost (write) (unequal sparsity: static ghost (sequential) drops 50.0 %, dynamic \
                 ghost (read) 51.0 %).";
    assert!(page.contains(state), "{page}");
}

#[test]
fn a_dial_of_the_state_is_one_of_its_own() {
    let windowed = |part, score, mode, window, nats| {
        let put = by(part, Policy::Window, score, 0.9, nats);
        let rule = Some(plan::Rule::WindowMean);
        let spec = TreatmentSpec { mode, window: Some(window), rule, ..put.spec };
        Put { spec, ..put }
    };
    let mut puts = Vec::new();
    for (step, window) in [4, 16, 64].into_iter().enumerate() {
        let nats = 0.1 * (1.0 + step as f64);
        puts.push(windowed(Part::Ffn, Score::Magnitude, None, window, nats));
        for (mode, factor) in [(Mode::Read, 2.0), (Mode::Write, 3.0)] {
            puts.push(windowed(Part::State, Score::Ghost, Some(mode), window, factor * nats));
        }
    }
    let (_results, page) = page_of(puts);
    let (_, dials) = page.split_once("### Dial: ").unwrap();
    assert_eq!(row(dials, &["0.9"])[2..], ["magnitude", "1.105", "1.221", "1.350"]);
    let (_, state) = page.split_once("### Dial of the state: ").unwrap();
    let rows = table_rows(state);
    assert_eq!(rows[2][2..], ["ghost", "read", "1.221", "1.492", "1.822"]);
    assert_eq!(rows[3][2..], ["ghost", "write", "1.350", "1.822", "2.460"]);
    let ends = "smollm2 on wikitext2 (ppl-101), state: Keeping each set for W tokens (κ=0.9, ghost, \
                window-mean, read) costs 1.221 × dense [1.221, 1.221] at W=4 and 1.822 × dense [1.822, \
                1.822] at W=64. Keeping each set";
    assert!(page.contains(ends), "{page}");
}

#[test]
fn gradients_stand_beside_magnitude_at_the_static_end() {
    let by = |score, sparsity, nats| by(Part::Ffn, Policy::Static, score, sparsity, nats);
    let (results, page) = page_of(vec![
        by(Score::Magnitude, 0.5, 1.0),
        by(Score::Taylor, 0.5, 0.5),
        by(Score::Magnitude, 0.9, 5.0),
        by(Score::Taylor, 0.9, 4.0),
        by(Score::Fisher, 0.9, 3.0),
        by(Score::Random, 0.9, 6.0),
        by(Score::Impact, 0.95, 6.0),
    ]);
    let (_, section) = page.split_once("## Gradient against magnitude").unwrap();
    let rows = table_rows(section);
    assert_eq!(rows[0], ["κ", "magnitude", "impact", "taylor", "fisher", "random"]);
    let half = ["0.5", "2.718 [2.718, 2.718]", "–", "1.649 [1.649, 1.649]", "–", "–"];
    assert_eq!(rows[2], half);
    let most = ["148.4 [148.4, 148.4]", "–", "54.60 [54.60, 54.60]", "20.09 [20.09, 20.09]"];
    assert_eq!(rows[3][1..5], most);
    assert_eq!(rows.len(), 4, "no gradient at κ=0.95");
    // e^3, e^5, e^6; e^2 times less.
    let finding = "smollm2 on wikitext2 (ppl-101), a static cut at κ=0.9 costs 20.09 × dense by the \
                   better gradient score (fisher), where magnitude costs 148.4 and random 403.4: 7.39 \
                   times less than magnitude; gradients do not rescue the static end: still ≥ 10 × dense.";
    assert!(page.contains(finding), "{page}");
    let output = results.report(&["--results", "run", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let gradients = &json["runs"][0]["gradients"][0];
    assert_eq!(gradients["sparsities"], serde_json::json!([0.5, 0.9]));
}

#[test]
fn gradients_rescue_what_stays_below_ten_times_dense() {
    let by = |score, nats| by(Part::Ffn, Policy::Static, score, 0.9, nats);
    let (_results, page) = page_of(vec![by(Score::Magnitude, 3.0), by(Score::Taylor, 2.0)]);
    let verdict = "gradients rescue the static end: below 10 × dense, magnitude above.";
    assert!(page.contains(verdict), "{page}");
    // What three digits do not tell apart is the same.
    let (_results, page) = page_of(vec![by(Score::Magnitude, 1.001), by(Score::Taylor, 1.0)]);
    let verdict = "where magnitude costs 2.721: as much as magnitude; there is nothing to rescue";
    assert!(page.contains(verdict), "{page}");
}

#[test]
fn accuracies_have_quadrants_too() {
    let results = Results::new();
    let store = results.run("run");
    let right = |n: usize| -> Vec<bool> { (0..10).map(|item| item < n).collect() };
    put_items(&store, "00", dense(), &right(8));
    let ways = [
        (by(Part::Ffn, Policy::Static, Score::Magnitude, 0.9, 0.0), 2),
        (by(Part::State, Policy::Static, Score::Ghost, 0.9, 0.0), 6),
        (in_mode(Mode::Read, by(Part::State, Policy::Dynamic, Score::Ghost, 0.9, 0.0)), 7),
    ];
    for (number, (put, n_right)) in ways.into_iter().enumerate() {
        let treatment = Treatment::new(put.spec).unwrap();
        put_items(&store, &format!("0{}", number + 1), treatment, &right(n_right));
    }
    let page = results.page();
    let (_, section) = page.split_once("## Part × method\n").unwrap();
    assert!(section.contains("smollm2 · lambada · lambada-openai: accuracy [95 % interval]"));
    let rows = table_rows(section);
    // Wilson's intervals of 2, 6 and 7 of 10.
    assert_eq!(rows[2][..4], ["ffn static", "magnitude", "cheap", ""]);
    assert_eq!(rows[2][4], "20.0 % [5.7 %, 51.0 %]");
    assert_eq!(rows[3][4], "60.0 % [31.3 %, 83.2 %]");
    assert_eq!(rows[4][0], "state dynamic read");
    assert_eq!(rows[4][4], "70.0 % [39.7 %, 89.2 %]");
    let finding = "smollm2 on lambada (lambada-openai), state: dropping 90.0 % of the channels (κ=0.9) \
                   for the whole run (static) gives 6/10 = 60.0 % [31.3 %, 83.2 %], -20.0 points";
    assert!(page.contains(finding), "{page}");
}
