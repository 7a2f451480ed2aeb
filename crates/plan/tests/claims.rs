//! Claims files: the committed ones are good, and every mistake is told with its line and what was meant.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

use std::fs;
use std::path::Path;

use plan::{Claims, Expectation, Policy, Score};

const GROUP: &str = r#"
name = "test"
source = "nobody"
alpha = 0.05

[[group]]
name = "small"
models = ["a", "b"]
texts = "t"
corpora = ["t", "u"]
last_word = "w"
"#;

fn claim(keys: &str) -> String {
    format!("{GROUP}\n[[claim]]\nid = \"c\"\nsentence = \"S.\"\ngroups = [\"small\"]\n{keys}\n")
}

#[track_caller]
fn refused(text: &str) -> String {
    Claims::parse(text).unwrap_err().to_string()
}

#[test]
fn committed_claims_are_good_and_name_models_of_the_pipelines() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipelines");
    let pipelines: String = fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let mut n_files = 0;
    for entry in fs::read_dir(root.join("claims")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let claims = match Claims::parse(&text) {
            Ok(claims) => claims,
            Err(mistakes) => panic!("{}: {mistakes}", path.display()),
        };
        assert_eq!(claims.name, path.file_stem().unwrap().to_str().unwrap());
        for model in claims.groups.iter().flat_map(|group| &group.models) {
            let entry = format!("name = \"{model}\"");
            assert!(pipelines.contains(&entry), "no pipeline runs {model}");
        }
        n_files += 1;
    }
    assert!(n_files >= 1);
}

#[test]
fn a_list_of_scores_is_a_list_of_treatments() {
    let keys = "expect = \"perplexity-at-least\"\ntimes = 10\npolicy = \"static\"\n\
                score = [\"taylor\", \"fisher\"]\nsparsity = 0.9";
    let claims = Claims::parse(&claim(keys)).unwrap();
    let Expectation::PerplexityAtLeast { recipes, times } = &claims.claims[0].expectation else {
        panic!("another predicate");
    };
    assert_eq!(*times, 10.0);
    let treatments: Vec<_> = recipes.iter().map(|recipe| recipe.treatment().unwrap()).collect();
    let scores: Vec<Option<Score>> = treatments.iter().map(|treatment| treatment.score).collect();
    assert_eq!(scores, [Some(Score::Taylor), Some(Score::Fisher)]);
    assert!(treatments.iter().all(|treatment| treatment.policy == Policy::Static));
}

#[test]
fn a_pair_differs_in_the_score_and_in_what_the_score_asks_for() {
    let keys = "expect = \"costs-more\"\ntimes = 1\npart = \"state\"\npolicy = \"static\"\n\
                score = \"state-weight\"\nthan = \"ghost\"\nsparsity = 0.5";
    let claims = Claims::parse(&claim(keys)).unwrap();
    let Expectation::CostsMore { pairs, .. } = &claims.claims[0].expectation else {
        panic!("another predicate");
    };
    let [(first, second)] = pairs.as_slice() else { panic!("one pair") };
    let [first, second] = [first, second].map(|recipe| recipe.treatment().unwrap());
    assert_eq!((first.score, second.score), (Some(Score::StateWeight), Some(Score::Ghost)));
    assert_eq!((first.sparsity, second.sparsity), (0.5, 0.5));
    assert!(first.recalibration.is_none() && second.recalibration.is_some());
}

/// Recipes stand beside each other as they are, every one that the lists span.
#[test]
fn recipes_are_compared_with_recipes() {
    let steps = "[{ cut = \"weights\", method = \"wanda\", sparsity = [0.5, 0.7] }]";
    let other = "[{ cut = \"bits\", method = \"rtn\", bits = 4 }]";
    let keys =
        format!("expect = \"costs-more\"\ntimes = 1\nrecipe = {steps}\nthan_recipe = {other}");
    let claims = Claims::parse(&claim(&keys)).unwrap();
    let Expectation::CostsMore { pairs, .. } = &claims.claims[0].expectation else {
        panic!("another predicate");
    };
    let texts: Vec<String> =
        pairs.iter().map(|(own, than)| own.text() + " / " + &than.text()).collect();
    assert_eq!(texts.len(), 2);
    assert_eq!(
        texts[1],
        "cut=weights,method=wanda,sparsity=0.7 / cut=bits,method=rtn,bits=4,group=64"
    );
    let alone = format!("expect = \"costs-more\"\ntimes = 1\nrecipe = {steps}");
    assert!(refused(&claim(&alone)).contains("missing key `than_recipe`"));
    let both = format!("{keys}\npolicy = \"static\"");
    assert!(refused(&claim(&both)).contains("a `recipe` says all that is done"));
    let rho = "expect = \"linearity-grows\"\nrho = 0.5";
    assert_eq!(
        Claims::parse(&claim(rho)).unwrap().claims[0].expectation,
        Expectation::LinearityGrows { rho: 0.5 }
    );
}

#[test]
fn mistakes_are_told_all_at_once_with_lines_and_nearest_names() {
    let text = claim(
        "expect = \"perplexity-at-lest\"\ntimes = 10\npolicy = \"static\"\nscore = \"magnitude\"",
    )
    .replace("groups = [\"small\"]", "groups = [\"smal\"]");
    let told = refused(&text);
    assert!(told.contains("line 16: claim 1: `groups`: unknown group"), "{told}");
    assert!(told.contains("did you mean `small`?"), "{told}");
    assert!(told.contains("did you mean `perplexity-at-least`?"), "{told}");

    for (keys, expected) in [
        (
            "expect = \"accuracy-unchanged\"\nmargin = 2\npolicy = \"dynamic\"\n\
             score = \"magnitude\"\nsparsity = 0.9",
            "`margin`: expected a number between 0 and 1, found 2",
        ),
        ("expect = \"share-at-most\"\npart = \"ffn\"\nshare = 0.2", "missing key `of`"),
        (
            "expect = \"dial-rises\"\ntolerance = 1.02\npolicy = \"dynamic\"\n\
             score = \"magnitude\"\nsparsity = 0.9\ntimes = 3",
            "unknown key `times`",
        ),
        (
            "expect = \"costs-more\"\ntimes = 1\npolicy = \"static\"\nscore = \"magnitude\"\n\
             than = \"ghost\"\nsparsity = 0.5",
            "`than`:",
        ),
    ] {
        let told = refused(&claim(keys));
        assert!(told.contains(expected), "{expected}: {told}");
    }
}

#[test]
fn a_predicate_over_texts_that_a_group_lacks_would_never_be_measured() {
    let keys = "expect = \"correlation-same\"\nfirst = \"magnitude\"\nsecond = \"weight\"\n\
                margin = 0.05";
    let told = refused(&claim(keys).replace("corpora = [\"t\", \"u\"]", "corpora = \"t\""));
    assert!(
        told.contains("needs at least 2 of `corpora` in group `small`, which names 1"),
        "{told}"
    );
}

#[test]
fn ids_and_groups_are_unique_and_a_list_needs_claims() {
    assert!(refused(GROUP).contains("missing key `claim`"));
    let keys = "expect = \"share-at-most\"\npart = \"ffn\"\nof = \"parameters\"\nshare = 0.2";
    let one = claim(keys);
    let twice = one.replace(GROUP, "");
    assert!(refused(&format!("{one}{twice}")).contains("claim 2: `c` comes twice"));
}

/// A file that anyone may write by hand: whatever stands in it, the answer is a list or mistakes.
#[test]
fn no_mangled_file_ends_in_a_panic() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipelines/claims/two-ways.toml");
    let text = fs::read_to_string(root).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let parse = |text: &str| Claims::parse(text).map(|_| ()).map_err(|mistakes| mistakes.0.len());
    for cut in (0..text.len()).filter(|at| text.is_char_boundary(*at)).step_by(17) {
        assert_ne!(parse(&text[..cut]), Err(0), "a refusal says why");
    }
    for without in 0..lines.len() {
        let rest: Vec<&str> = lines
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != without)
            .map(|(_, line)| *line)
            .collect();
        assert_ne!(parse(&rest.join("\n")), Err(0));
    }
    for value in ["-1", "nan", "inf", "1e308", "\"\"", "[]", "{}", "[[1]]", "1979-05-27"] {
        for (at, line) in lines.iter().enumerate() {
            let Some((key, _)) = line.split_once(" = ") else { continue };
            let mut mangled = lines.clone();
            let line = format!("{key} = {value}");
            mangled[at] = &line;
            assert_ne!(parse(&mangled.join("\n")), Err(0), "{line}");
        }
    }
}
