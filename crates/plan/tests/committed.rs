//! The pipelines and lock files of this repository are good, and say of themselves what is true.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

use std::fs;
use std::path::{Path, PathBuf};

use plan::{AdviceSpace, DataLock, Keep, ModelsLock, Pipeline, Policy, Score, Selection, datasets};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

/// The recipes that `advise` searches: no pipeline, since it names no model.
const SPACE: &str = "advise.toml";

/// Recipes are cuts that a model can be written with, calibrated wherever one of them looks at a text.
#[test]
fn the_space_of_recipes_parses_and_shows_its_command() {
    let text = read(&format!("pipelines/{SPACE}"));
    let space = AdviceSpace::parse(&text).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert!(text.contains("cargo xtask advise "));
    assert!(space.datasets.iter().all(|dataset| dataset.calibration.is_some()));
    for keep in ["lambada-openai within 2 points", "perplexity wikitext2 within 5 %"] {
        Keep::parse(keep, &space).unwrap();
    }
}

#[test]
fn every_pipeline_parses_and_states_its_size() {
    let models = ModelsLock::parse(&read("data/models.lock")).unwrap();
    let mut n_pipelines = 0;
    for entry in fs::read_dir(root().join("pipelines")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // Recipes of training runs, which are no pipelines.
            continue;
        }
        if path.ends_with(SPACE) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let shown = path.display();
        let pipeline = match Pipeline::parse(&text, &models.names()) {
            Ok(pipeline) => pipeline,
            Err(mistakes) => panic!("{shown}: {mistakes}"),
        };
        let stem = path.file_stem().unwrap().to_str().unwrap();
        assert_eq!(pipeline.name, stem, "{shown}: the run is named as the file");
        let size = format!("{} cells", pipeline.cells.len());
        assert!(text.contains(&size), "{shown} holds {size}: its comment should say so");
        let command = format!("cargo xtask run-grid pipelines/{stem}.toml");
        assert!(text.contains(&command), "{shown} should show its command");
        let is_random = |step: &plan::Step| {
            step.values().any(|(_, value)| value.to_string() == Score::Random.as_str())
        };
        let is_control = |cell: &&plan::Cell| cell.recipe.steps().iter().any(is_random);
        let prunes = pipeline.cells.iter().any(|cell| cell.recipe.changes_anything());
        let has_control = pipeline.cells.iter().any(|cell| is_control(&cell));
        assert!(has_control || !prunes, "{shown} carries no control");
        n_pipelines += 1;
    }
    assert!(n_pipelines >= 2);
}

#[test]
fn every_known_text_is_locked() {
    let lock = DataLock::parse(&read("data/data.lock")).unwrap();
    let locked: Vec<_> = lock.text.iter().map(|t| (t.name.as_str(), t.file.as_str())).collect();
    let texts: Vec<_> = datasets::TEXTS.iter().map(|k| (k.name, k.file)).collect();
    assert_eq!(locked[..texts.len()], texts);
    // Of the subjects of MMLU some are.
    for (name, file) in &locked[texts.len()..] {
        let known = datasets::find(name).unwrap();
        assert!(known.task.is_some() && known.file == *file, "{name}");
    }
}

#[test]
fn locks_survive_writing_and_refuse_nonsense() {
    let text = read("data/models.lock");
    let lock = ModelsLock::parse(&text).unwrap();
    assert_eq!(ModelsLock::parse(&lock.to_toml().unwrap()).unwrap(), lock);
    let twice = format!("{text}\n{}", lock.to_toml().unwrap());
    assert!(ModelsLock::parse(&twice).unwrap_err().to_string().contains("listed twice"));
    let repository = "[[repository]]\nrepo = \"a/b\"\npart = \"model\"\nasked = \"main\"\n\
                      revision = \"c0ffee\"\n[[repository.files]]\npath = \"config.json\"\n\
                      sha256 = \"SHA\"\nbytes = 3\n";
    let repository = repository.replace("SHA", &"0".repeat(64));
    let lock = ModelsLock::parse(&format!("{text}\n{repository}")).unwrap();
    assert_eq!(ModelsLock::parse(&lock.to_toml().unwrap()).unwrap(), lock);
    assert_eq!(lock.names(), ["smollm2", "gemma3-270m"], "a repository is no name of its own");
    let found = |asked| lock.find_part("a/b", asked, &Selection::Model).is_some();
    assert_eq!((found("main"), found("c0ffee"), found("v1")), (true, true, false));
    assert!(lock.find_part("a/b", "main", &Selection::Tokenizer).is_none());
    let both = format!("{repository}{repository}");
    assert!(ModelsLock::parse(&both).unwrap_err().to_string().contains("`a/b@main, model` is"));
    let short = repository.replace("000\"", "\"");
    assert!(ModelsLock::parse(&short).unwrap_err().to_string().contains("`a/b/config.json`"));
    let short = text.replace("sha256 = \"b", "sha256 = \"");
    assert!(ModelsLock::parse(&short).unwrap_err().to_string().contains("64 lower-case hex"));
}

/// Both texts carry the same treatments, so that they can be set side by side.
#[test]
fn the_small_grid_holds_the_central_measurement() {
    let pipeline = Pipeline::parse(&read("pipelines/smollm2.toml"), &["smollm2".to_owned()]);
    let cells = pipeline.unwrap().cells;
    for dataset in ["wikitext2", "lambada"] {
        let count = |policy: Policy| {
            let is_policy =
                |cell: &plan::Cell| cell.recipe.treatment().is_some_and(|own| own.policy == policy);
            let of = |cell: &&plan::Cell| cell.dataset == dataset && is_policy(cell);
            cells.iter().filter(of).count()
        };
        let counts = Policy::ALL.iter().map(|&policy| count(policy)).collect::<Vec<_>>();
        assert_eq!(counts, [1, 2, 3, 6, 0], "{dataset}: dense, static, dynamic, window, observe");
    }
}
