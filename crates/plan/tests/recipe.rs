//! Recipes: what may follow what, how a pipeline spans them, how they are named.

use plan::{
    Filter, Needs, Pipeline, Policy, Recipe, RecipeError, Score, Step, Treatment, TreatmentSpec,
    Way,
};

fn step(text: &str) -> Step {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn recipe(texts: &[&str]) -> Result<Recipe, RecipeError> {
    Recipe::new(texts.iter().map(|text| step(text)).collect(), 1)
}

fn refused(text: &str) -> String {
    text.parse::<Step>().expect_err(text).to_string()
}

#[test]
fn cuts_come_first_and_skips_last() {
    let (cut, skip) =
        ("cut=ffn,score=weight,sparsity=0.5", "skip=ffn,score=magnitude,sparsity=0.9");
    assert!(recipe(&[cut, skip]).is_ok());
    assert!(matches!(recipe(&[skip, cut]), Err(RecipeError::CutAfterSkip { .. })));
    assert!(matches!(recipe(&[skip, skip]), Err(RecipeError::TwoSkips { part: "ffn" })));
    let state = "skip=state,score=ghost,sparsity=0.5";
    assert!(recipe(&[cut, skip, state]).is_ok(), "one skip a part");
    let heads = "skip=heads,score=impact,sparsity=0.5";
    let cache = "skip=kv,mode=read,score=attention,sparsity=0.5";
    assert!(recipe(&[cut, skip, heads]).is_ok() && recipe(&[skip, cache]).is_ok());
    assert_eq!(recipe(&[heads, skip, cache]), Err(RecipeError::OneAttention));
    let observation = "observe=ffn,observation=forward";
    assert!(recipe(&[observation]).is_ok());
    assert_eq!(recipe(&[cut, observation]), Err(RecipeError::ObservationInCompany));
    let gradient = "cut=ffn,score=taylor,sparsity=0.5";
    assert!(recipe(&[gradient, "cut=bits,method=rtn,bits=4"]).is_ok());
    let late = recipe(&["cut=bits,method=rtn,bits=4", gradient]);
    assert!(matches!(late, Err(RecipeError::GradientAfterCut { .. })));
}

/// What a window of the cache means differs by mode.
#[test]
fn windows_of_the_cache() {
    let read = "skip=kv,mode=read,score=attention,sparsity=0.5";
    let write = "skip=kv,mode=write,score=attention,sparsity=0.5";
    let step = |text: String| text.parse::<Step>().map(|step| step.to_string());
    assert!(step(format!("{read},window=8,rule=first-token")).is_ok());
    assert!(refused(&format!("{read},window=8")).contains("needs a `rule`"));
    assert!(refused(&format!("{read},rule=first-token")).contains("needs a `window`"));
    assert!(refused(&format!("{read},prompt_tokens=8")).contains("is an eviction"));
    assert!(refused(&format!("{write},window=8,rule=first-token")).contains("takes no `rule`"));
    assert_eq!(step(format!("{write},window=1")), step(write.to_owned()));
}

/// A rotation or a factorisation after a mask would undo it in silence.
#[test]
fn zeros_are_not_filled_in() {
    let mask = "cut=weights,method=wanda,sparsity=0.5";
    let heads = "cut=heads,score=impact,sparsity=0.5";
    for mixing in ["cut=rotate", "cut=low-rank,method=svd,rank=4"] {
        for zeros in [mask, heads] {
            let refused = recipe(&[zeros, mixing]);
            assert!(matches!(refused, Err(RecipeError::FillsZeros { .. })), "{zeros}, {mixing}");
            assert!(recipe(&[mixing, zeros]).is_ok(), "{zeros}, {mixing}");
        }
    }
    assert!(recipe(&[mask, "cut=bits,method=gptq,bits=4"]).is_ok());
}

#[test]
fn settings_are_checked_and_filled() {
    assert_eq!(
        step("cut=bits,method=rtn,bits=4").to_string(),
        "cut=bits,method=rtn,bits=4,group=64"
    );
    let either = "give either `sparsity` or `pattern`";
    assert!(refused("cut=weights,method=wanda").contains(either));
    assert!(refused("cut=weights,method=wanda,sparsity=0.5,pattern=2:4").contains(either));
    assert!(refused("cut=weights,method=wanda,pattern=4:4").contains("n:m with 0 < n < m"));
    assert!(refused("cut=weights,method=wanda,sparsity=0.5,bits=4").contains("only `sparsegpt`"));
    assert!(refused("cut=weights,method=wnda,sparsity=0.5").contains("one of magnitude"));
    assert!(refused("cut=weights,method=wanda,sparsity=1").contains("0 <= s < 1"));
    assert!(refused("cut=layers,method=drop,score=angular").contains("needs `n`"));
    assert!(refused("cut=layers,method=linearise,layer=1,n=2").contains("takes no `n`"));
    let lens = "observe=layers,observation=lens";
    assert!(refused(&format!("{lens},threshold=0.9,patience=2")).contains("give one"));
    let linearity = refused("observe=layers,observation=linearity,patience=2");
    assert!(linearity.contains("belongs to the observation `lens`"), "{linearity}");
    assert!(!step(lens).needs_calibration() && step(lens).threshold("threshold").is_none());
    assert!(refused("cut=bits,bits=4").contains("needs `method`"));
    assert!(refused("cut=bit,method=rtn,bits=4").contains("`bits`"), "the nearest name");
    assert!(refused("cut=bits,method=rtn,bits=4,bits=3").contains("twice"));
    assert!(refused("method=rtn,bits=4").contains("exactly one of `cut`, `skip` and `observe`"));
    assert!(refused("cut=ffn,skip=ffn,score=weight,sparsity=0.5").contains("exactly one"));
    assert!(refused("skip=ffn,score=magnitude,sparsity=0.5,window=8").contains("needs a `rule`"));
    assert!(refused("cut=ffn,score=ghost,sparsity=0.5").contains("one of magnitude"));
    assert!(refused("cut").contains("key=value"));
}

/// What heads are ranked by decides what has to be known before the run.
#[test]
fn heads_need_what_their_score_looks_at() {
    for (score, needs) in [
        ("magnitude", Needs::Forward),
        ("impact", Needs::Forward),
        ("taylor", Needs::Gradient),
        ("random", Needs::Nothing),
    ] {
        let cut = step(&format!("cut=heads,score={score},sparsity=0.5"));
        assert_eq!(cut.needs(), needs, "{score}");
        assert_eq!(cut.needs_calibration(), needs != Needs::Nothing, "{score}");
        let held = format!("skip=heads,score={score},sparsity=0.5,window=4,rule=calibration");
        assert_eq!(step(&held).needs(), needs, "{score}");
        let late = format!("skip=heads,score={score},sparsity=0.5");
        match needs {
            Needs::Gradient => assert!(refused(&late).contains("rule `calibration`"), "{score}"),
            _ => assert_eq!(step(&late).needs(), Needs::Nothing, "{score}"),
        }
    }
    let cut = step("cut=heads,score=impact,sparsity=0.5");
    assert_eq!(cut.label(), "static heads κ=.5 impact");
    assert!(recipe(&["cut=heads,score=taylor,sparsity=0.5", "cut=bits,method=rtn,bits=4"]).is_ok());
    let late = recipe(&["cut=bits,method=rtn,bits=4", "cut=heads,score=taylor,sparsity=0.5"]);
    assert!(matches!(late, Err(RecipeError::GradientAfterCut { .. })));
}

/// The short form of a sweep and the steps say the same.
#[test]
fn flat_fields_are_one_step() {
    let spec = TreatmentSpec {
        score: Some(Score::Magnitude),
        sparsity: 0.9,
        ..TreatmentSpec::of(Policy::Dynamic, 1)
    };
    let short: Recipe = Treatment::new(spec.clone()).unwrap().into();
    assert_eq!(short, recipe(&["skip=ffn,score=magnitude,sparsity=0.9"]).unwrap());
    assert_eq!(short, recipe(&["skip=ffn,score=magnitude,sparsity=0.9,window=1"]).unwrap());
    assert_eq!(short.label(), "dynamic κ=.9 magnitude");
    assert_eq!(short.window(), Some(1));
    assert_eq!(short.treatment().unwrap(), Treatment::new(spec).unwrap());
    let combined = recipe(&["cut=ffn,score=weight,sparsity=0.5", "cut=bits,method=rtn,bits=4"]);
    let combined = combined.unwrap();
    assert_eq!(combined.treatment(), None);
    assert_eq!((combined.sparsity().get(), combined.window()), (0.5, None));
    assert_eq!(combined.label(), "static κ=.5 weight + bits rtn 4 bits");
}

const PIPELINE: &str = r#"
name = "recipes"
seed = 1
[[model]]
name = "mine"
path = "model.gguf"
[[dataset]]
name = "text"
path = "text.raw"
protocol = "ppl-256"
CALIBRATION
[[sweep]]
recipe = [
    { cut = "weights", method = "wanda", sparsity = [0.5, 0.7] },
    { cut = "bits", method = ["rtn", "gptq"], bits = [4, 3] },
]
compare = "dense"
"#;

#[test]
fn lists_span_axes() {
    let calibrated = "calibration = { dataset = \"other\", path = \"other.raw\", limit = 2 }";
    let text = PIPELINE.replace("CALIBRATION", calibrated);
    let pipeline = Pipeline::parse(&text, &[]).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let labels: Vec<String> = pipeline.cells.iter().map(|cell| cell.label()).collect();
    assert_eq!(labels.len(), 1 + 2 * 2 * 2);
    assert_eq!(labels[0], "mine text ppl-256 dense");
    assert_eq!(labels[1], "mine text ppl-256 weights wanda κ=.5 + bits rtn 4 bits");
    assert_eq!(labels[8], "mine text ppl-256 weights wanda κ=.7 + bits gptq 3 bits");
    assert!(pipeline.cells[1].compare.is_some() && pipeline.cells[0].compare.is_none());
    let select = |filter: &str| {
        let filter: Filter = filter.parse().unwrap();
        filter.select(&pipeline.cells).map(|cells| cells.len()).map_err(|e| e.to_string())
    };
    assert_eq!(select("sparsity=0.5"), Ok(4));
    assert_eq!(select("method=gptq,bits=3"), Ok(2));
    assert_eq!(select("cut=weights"), Ok(8));
    assert_eq!(select("policy=dense"), Ok(1));
    assert_eq!(select("recipe=dense"), Ok(1));
    assert!(select("bits=5").unwrap_err().contains("5"));
    let uncalibrated = Pipeline::parse(&PIPELINE.replace("CALIBRATION", ""), &[]).unwrap_err();
    assert!(uncalibrated.to_string().contains("needs calibration text"), "{uncalibrated}");
}

#[test]
fn mistakes_have_their_lines() {
    let mistakes = |from: &str, to: &str| {
        let text = PIPELINE.replace("CALIBRATION", "").replace(from, to);
        Pipeline::parse(&text, &[]).unwrap_err().to_string()
    };
    let wrong = mistakes("\"wanda\"", "\"wnda\"");
    assert!(wrong.contains("line 14: sweep 1: step 1: `method`: expected one of"), "{wrong}");
    assert!(wrong.contains("found `wnda`: did you mean `wanda`?"), "{wrong}");
    let wrong = mistakes("bits = [4, 3]", "bits = [4, 4]");
    assert!(wrong.contains("line 15: sweep 1: step 2: `bits`: the value comes twice"), "{wrong}");
    let wrong = mistakes("bits = [4, 3]", "bit = 4");
    assert!(wrong.contains("setting `bit`") && wrong.contains("`bits`"), "{wrong}");
    let wrong = mistakes("cut = \"bits\"", "cut = \"bit\"");
    assert!(wrong.contains("step 2") && wrong.contains("`bits`"), "{wrong}");
    let wrong = mistakes("bits = [4, 3]", "bits = \"4\"");
    assert!(wrong.contains("expected a whole number from 2 to 8"), "{wrong}");
    let wrong = mistakes("compare = \"dense\"", "compare = \"dens\"");
    assert!(wrong.contains("`dense`"), "{wrong}");
    let wrong = mistakes("compare = \"dense\"", "policy = \"static\"");
    assert!(wrong.contains("policy"), "a recipe has no policy beside it: {wrong}");
}

/// Every kind can be written, read, and stands in the help by its settings.
#[test]
fn kinds_are_listed_by_way() {
    let names = |way| -> Vec<&str> {
        plan::kinds().iter().filter(|kind| kind.way == way).map(|kind| kind.name).collect()
    };
    assert_eq!(
        names(Way::Cut),
        ["ffn", "state", "heads", "weights", "bits", "rotate", "layers", "low-rank"]
    );
    assert_eq!(names(Way::Skip), ["ffn", "state", "heads", "kv", "exit"]);
}
