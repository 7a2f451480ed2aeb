//! Cell ids: stable, sensitive to everything that changes numbers, blind to names.

use plan::{
    Calibration, Cell, DeviceName, Inputs, Measure, Mode, Observation, Part, Policy, Protocol,
    Recalibration, Recipe, Rule, Score, TaskName, TimeSteps, Treatment, TreatmentSpec, cell_id,
};
use proptest::prelude::*;

/// Any valid treatment.
fn treatments() -> impl Strategy<Value = Treatment> {
    let what = (
        prop::sample::select(Part::ALL.to_vec()),
        prop::sample::select(Policy::ALL.to_vec()),
        prop::sample::select(Score::ALL.to_vec()),
        prop::sample::select(Observation::ALL.to_vec()),
    );
    let rule = prop::sample::select(Rule::ALL.to_vec());
    let mode = prop::sample::select(Mode::ALL.to_vec());
    let sparsity = (1u64..1_000_000_000_000).prop_map(|trillionths| trillionths as f64 / 1e12);
    (what, sparsity, 1usize..2000, rule, mode, 1usize..100, any::<u64>()).prop_filter_map(
        "a treatment that means something",
        |((part, policy, score, observation), sparsity, window, rule, mode, count, seed)| {
            let windowed = policy == Policy::Window;
            let observes = policy == Policy::Observe;
            let overlap = observes && observation == Observation::Overlap;
            let drops = observes && observation == Observation::Ablation;
            let pruned = overlap || !observes && policy != Policy::Dense;
            let changes = windowed || policy == Policy::Dynamic;
            Treatment::new(TreatmentSpec {
                part,
                score: pruned.then_some(score),
                sparsity: if pruned { sparsity } else { 0.0 },
                window: (windowed || drops && part == Part::State).then_some(window),
                rule: windowed.then_some(rule),
                prompt_tokens: (windowed && rule == Rule::Prompt).then_some(count),
                mode: (changes && part == Part::State).then_some(mode),
                observation: observes.then_some(observation),
                sample: drops.then_some(count),
                ..TreatmentSpec::of(policy, seed)
            })
            .ok()
        },
    )
}

fn protocols() -> impl Strategy<Value = Protocol> {
    prop_oneof![
        (2usize..5000).prop_map(|window_tokens| Protocol::Perplexity { window_tokens }),
        Just(Protocol::LambadaOpenai),
        Just(Protocol::LambadaLastToken),
        "[a-z][a-z0-9]{0,8}"
            .prop_filter_map("a name", |name| { TaskName::new(&name).map(Protocol::Choice) }),
    ]
}

fn limits() -> impl Strategy<Value = Option<usize>> {
    prop::option::of(1usize..500)
}

fn cells() -> impl Strategy<Value = Cell> {
    let calibration = (limits(), 2usize..5000).prop_map(|(limit, window_tokens)| Calibration {
        dataset: "calibration".to_owned(),
        limit,
        window_tokens,
    });
    (protocols(), limits(), calibration, treatments()).prop_map(
        |(protocol, limit, calibration, treatment)| Cell {
            model: "m".to_owned(),
            dataset: "d".to_owned(),
            protocol,
            limit,
            calibration: treatment.needs_calibration().then_some(calibration),
            recipe: treatment.into(),
            offset: None,
            compare: None,
        },
    )
}

fn inputs() -> Inputs {
    Inputs {
        task: None,
        weights: "w".into(),
        tokenizer: "t".into(),
        text: "x".into(),
        calibration_text: Some("c".into()),
        code_version: "v".into(),
        dtype: "f32".into(),
        device: DeviceName::Cpu,
        time_steps: TimeSteps::Transformers,
    }
}

proptest! {
    #[test]
    fn two_cells_share_an_id_only_if_they_are_the_same(a in cells(), b in cells()) {
        prop_assert_eq!(cell_id(&a, &inputs()) == cell_id(&b, &inputs()), a == b);
    }

    #[test]
    fn an_id_is_16_hex_digits_and_survives_json(cell in cells()) {
        let id = cell_id(&cell, &inputs());
        prop_assert_eq!(id.len(), 16);
        prop_assert!(id.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase()));
        let json = serde_json::to_string(&cell).unwrap();
        let read: Cell = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(&read, &cell);
        prop_assert_eq!(cell_id(&read, &inputs()), id);
    }

    #[test]
    fn names_do_not_enter(cell in cells(), model in "[a-z]{1,8}", dataset in "[a-z]{1,8}") {
        let calibration =
            cell.calibration.clone().map(|c| Calibration { dataset: dataset.clone(), ..c });
        let renamed = Cell { model, dataset, calibration, ..cell.clone() };
        prop_assert_eq!(cell_id(&renamed, &inputs()), cell_id(&cell, &inputs()));
    }

    #[test]
    fn every_change_of_a_cell_changes_its_id(
        cell in cells(),
        protocol in protocols(),
        limit in limits(),
        treatment in treatments(),
        seed in any::<u64>(),
    ) {
        let id = cell_id(&cell, &inputs());
        let mut changed = cell.clone();
        changed.protocol = protocol;
        prop_assert_eq!(cell_id(&changed, &inputs()) == id, changed == cell);
        let mut changed = cell.clone();
        changed.limit = limit;
        prop_assert_eq!(cell_id(&changed, &inputs()) == id, changed == cell);
        let mut changed = cell.clone();
        changed.recipe = treatment.into();
        prop_assert_eq!(cell_id(&changed, &inputs()) == id, changed == cell);
        let mut changed = cell.clone();
        changed.recipe = changed.recipe.with_seed(seed);
        prop_assert_eq!(cell_id(&changed, &inputs()) == id, changed == cell);
        let mut changed = cell.clone();
        if let Some(calibration) = &mut changed.calibration {
            calibration.limit = limit;
        }
        prop_assert_eq!(cell_id(&changed, &inputs()) == id, changed == cell);
    }
}

#[test]
fn every_input_enters() {
    let cell = dense();
    let id = cell_id(&cell, &inputs());
    let other = || "other".to_owned();
    let changes = [
        Inputs { weights: other(), ..inputs() },
        Inputs { tokenizer: other(), ..inputs() },
        Inputs { text: other(), ..inputs() },
        Inputs { calibration_text: None, ..inputs() },
        Inputs { code_version: other(), ..inputs() },
        Inputs { dtype: other(), ..inputs() },
        Inputs { device: DeviceName::Cuda(0), ..inputs() },
        Inputs { time_steps: TimeSteps::Original, ..inputs() },
        Inputs { task: Some(other()), ..inputs() },
    ];
    for changed in changes {
        assert_ne!(cell_id(&cell, &changed), id, "{changed:?}");
    }
}

/// A changed id orphans every result that exists: change this value only on purpose.
#[test]
fn ids_do_not_drift() {
    assert_eq!(cell_id(&dense(), &inputs()), "9a7b39d267ca46cd");
}

/// A stretch further into the text is another measurement; none at all is what it always was.
#[test]
fn an_offset_gives_another_id_and_a_label() {
    let id = |offset| cell_id(&Cell { offset, ..dense() }, &inputs());
    assert_eq!(id(None), "9a7b39d267ca46cd");
    assert_ne!(id(Some(8)), id(None));
    assert_ne!(id(Some(8)), id(Some(9)));
    let label = Cell { offset: Some(8), ..dense() }.label();
    assert_eq!(label, "smollm2 wikitext2 ppl-1024 from 8 dense");
    assert!(!serde_json::to_string(&dense()).unwrap().contains("offset"));
}

fn dense() -> Cell {
    Cell {
        model: "smollm2".to_owned(),
        dataset: "wikitext2".to_owned(),
        protocol: Protocol::Perplexity { window_tokens: 1024 },
        limit: Some(8),
        calibration: None,
        recipe: Recipe::dense(1),
        offset: None,
        compare: None,
    }
}

/// Each of the axes of the state and of observations, changed alone, gives another id.
#[test]
fn one_axis_alone_gives_another_id() {
    let id = |spec: &TreatmentSpec| {
        let treatment = Treatment::new(spec.clone()).unwrap();
        let protocol = Protocol::Perplexity { window_tokens: 64 };
        let calibration = treatment.needs_calibration().then(|| Calibration {
            dataset: "calibration".to_owned(),
            limit: None,
            window_tokens: 64,
        });
        let (model, dataset) = ("m".to_owned(), "d".to_owned());
        let recipe = treatment.into();
        let limit = None;
        let cell = Cell { recipe, calibration, model, dataset, protocol, limit, ..dense() };
        cell_id(&cell, &inputs())
    };
    let state = |policy| TreatmentSpec {
        part: Part::State,
        score: Some(Score::Ghost),
        sparsity: 0.5,
        ..TreatmentSpec::of(policy, 1)
    };
    let fixed = |how| TreatmentSpec { recalibration: Some(how), ..state(Policy::Static) };
    assert_ne!(id(&fixed(Recalibration::OneShot)), id(&fixed(Recalibration::Sequential)));
    assert_eq!(id(&state(Policy::Static)), id(&fixed(Recalibration::Sequential)), "the default");
    let dynamic = |mode| TreatmentSpec { mode: Some(mode), ..state(Policy::Dynamic) };
    assert_ne!(id(&dynamic(Mode::Read)), id(&dynamic(Mode::Write)));
    let observe = |part, observation, sample| TreatmentSpec {
        part,
        observation: Some(observation),
        sample,
        ..TreatmentSpec::of(Policy::Observe, 1)
    };
    let ids = [
        observe(Part::Ffn, Observation::Forward, None),
        observe(Part::Ffn, Observation::Gradient, None),
        observe(Part::State, Observation::Forward, None),
        observe(Part::Ffn, Observation::Ablation, Some(2)),
        observe(Part::Ffn, Observation::Ablation, Some(3)),
        TreatmentSpec::of(Policy::Dense, 1),
    ];
    let distinct: std::collections::BTreeSet<String> = ids.iter().map(id).collect();
    assert_eq!(distinct.len(), ids.len());
}

/// The ids of every cell of the committed pipelines, as one SHA-256 a file: how a pipeline is read may
/// change, what it asks for may not get another id. The values were printed by this test before recipes
/// took the place of flat fields.
#[test]
fn committed_pipelines_keep_their_ids() {
    const KNOWN: &[(&str, usize, &str)] = &[
        ("atlas.toml", 89, "646936a66adab79444c7a48c6a7e3e4c9829969ba35ae7c8dcc24c21ff0d12cc"),
        ("ghost.toml", 350, "44867c35cfcd269eaef272e80cc3d971e8364177560d1a8625a8a3eef9fff652"),
        ("quick.toml", 550, "d67e07d0c2bb0e5d8380a7811aa82f7a60a2dd3e9a99b7a73e52daeadfde3851"),
        (
            "smollm2-claims.toml",
            20,
            "2e410ae797e32e0da944a41dadfd0c9c9f9931f8fa959144d7d45c2d77f8978e",
        ),
        (
            "smollm2-full.toml",
            524,
            "dbab81623ec831bcefe79bffb65b4157903409f850b6834784b6e6092dcef5b2",
        ),
        (
            "smollm2-quadrants.toml",
            52,
            "1e619c7ca2912720ccb11663b57b91871b20fdcf5ce2c2980c3f8554ed07495e",
        ),
        ("smollm2.toml", 24, "7f0880980db395d89e9dba43276f101cb51ee17541321627db972d9ced9f269c"),
        ("two-ways.toml", 2030, "fb15e727db810bf9376f3c02c6f9de37ee29d7d26b43d719114fc39e26afd1e6"),
    ];
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let lock = std::fs::read_to_string(root.join("data/models.lock")).unwrap();
    let models = plan::ModelsLock::parse(&lock).unwrap().names();
    for (name, cells, digest) in KNOWN {
        let text = std::fs::read_to_string(root.join("pipelines").join(name)).unwrap();
        let pipeline = plan::Pipeline::parse(&text, &models).unwrap();
        // Tasks of choices were added later, beside what was there.
        let is_old = |cell: &&Cell| cell.protocol.measure() != Measure::Choice;
        let old: Vec<&Cell> = pipeline.cells.iter().filter(is_old).collect();
        let ids: String = old.iter().map(|cell| cell_id(cell, &inputs_of(cell)) + "\n").collect();
        assert_eq!(old.len(), *cells, "{name}");
        assert_eq!(sha256(&ids), *digest, "{name}");
    }
}

/// Inputs that differ from model to model and from text to text, as real ones do.
fn inputs_of(cell: &Cell) -> Inputs {
    Inputs {
        task: None,
        weights: format!("weights of {}", cell.model),
        text: format!("text {}", cell.dataset),
        calibration_text: cell.calibration.as_ref().map(|c| format!("text {}", c.dataset)),
        ..inputs()
    }
}

fn sha256(text: &str) -> String {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
