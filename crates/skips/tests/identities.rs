//! The identities of docs/SPEC.md section 8, on small random models of both families
//! and random token ids.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::{path::Path, sync::LazyLock};

use cuts::{cut, static_sets};
use importance::{Calibrating, Calibration, NAMES, by_name};
use models::{
    Batch, Dense, Device, Executor, ExecutorError, FfnSite, Model, Tensor, into_values, load,
};
use proptest::{prelude::*, test_runner::RngSeed};
use skips::{Commitment, Masking, Measuring as _, Rule, Selection, Skipping, Windowed};
use vector::worst;

struct Subject {
    model: Box<dyn Model>,
    calibration: Calibration,
}

impl std::fmt::Debug for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.model.facts())
    }
}

const LONGEST: usize = 40;
/// Logits are of size 10; two orders of the same f32 sums stay a factor of ten below this.
const TOLERANCE: f64 = 1e-4;

static SUBJECTS: LazyLock<Vec<Subject>> = LazyLock::new(|| {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/golden");
    let subjects = ["llama", "opt"].into_iter().map(|name| {
        let model = load(&golden.join(name), &Device::flex()).unwrap().model;
        let ids: Vec<u32> = (0..60).map(|i| (i * 37 + 11) % 131).collect();
        let mut calibrating = Calibrating::new();
        model.forward(&Batch::new([ids.as_slice()]), &mut calibrating).unwrap();
        Subject { model, calibration: calibrating.finish() }
    });
    subjects.collect()
});

impl Subject {
    fn logits(&self, batch: &Batch, executor: &mut dyn Executor) -> Vec<f32> {
        into_values(self.model.logits(self.model.forward(batch, executor).unwrap()))
    }

    fn sets(&self, score: &str, sparsity: f64) -> Vec<Vec<u32>> {
        let score = by_name(score).unwrap();
        static_sets(self.model.as_ref(), &self.calibration, score.as_ref(), sparsity, 7)
    }

    fn selection(&self, score: &str, sparsity: f64, commitment: Commitment) -> Selection {
        let calibrated = self.sets(score, sparsity);
        let score = by_name(score).unwrap();
        Selection::Windowed(Windowed { score, sparsity, commitment, seed: 7, calibrated })
    }
}

/// An executor for models of up to four sites.
fn skipping(selection: Selection) -> Skipping {
    Skipping::new(selection, 4)
}

fn subject() -> impl Strategy<Value = &'static Subject> {
    (0..2_usize).prop_map(|i| &SUBJECTS[i])
}

fn sequence() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(0_u32..131, 1..LONGEST)
}

fn score() -> impl Strategy<Value = &'static str> {
    // Gradients exist before a run only; what they choose is a static set like any other.
    let at_run_time = |name: &&str| !by_name(name).is_some_and(|score| score.needs_gradient());
    prop::sample::select(NAMES.into_iter().filter(at_run_time).collect::<Vec<_>>())
}

fn rule() -> impl Strategy<Value = Rule> {
    prop_oneof![
        Just(Rule::WindowMean),
        Just(Rule::FirstToken),
        Just(Rule::PreviousWindow),
        (1_usize..20).prop_map(|tokens| Rule::Prompt { tokens }),
        Just(Rule::Calibration),
        Just(Rule::Random),
    ]
}

/// Reads kept sets off the reference executor, site by site on the dense stream: with the identity in
/// place of the down projection, what comes out is the masked h.
struct KeptSets<'a> {
    selection: &'a dyn Fn() -> Selection,
    kept: Vec<Vec<bool>>,
}

impl Executor for KeptSets<'_> {
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
        let neurons = site.ffn.neurons();
        let mut ffn = site.ffn.clone();
        let identity: Vec<f32> = (0..neurons * neurons)
            .map(|i| if i / neurons == i % neurons { 1.0 } else { 0.0 })
            .collect();
        ffn.down.weight = models::matrix(identity, [neurons, neurons], &Device::flex());
        ffn.down.bias = None;
        let mut masking = Masking::new((self.selection)());
        let h = masking.ffn(&FfnSite { ffn: &ffn, ..*site }, x.clone())?;
        self.kept.push(into_values(h).iter().map(|h| *h != 0.0).collect());
        Dense.ffn(site, x)
    }
}

/// Largest number of active neurons of any token at any site.
#[derive(Default)]
struct MostActive(usize);

impl Executor for MostActive {
    fn ffn(&mut self, site: &FfnSite<'_>, x: Tensor<2>) -> Result<Tensor<2>, ExecutorError> {
        let h = site.ffn.hidden(x);
        for row in into_values(h.clone()).chunks(site.ffn.neurons()) {
            self.0 = self.0.max(row.iter().filter(|h| **h != 0.0).count());
        }
        Ok(site.ffn.project(h))
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        // The same cases in every run: a near tie that a rounding turns must not fail a build now and
        // then.
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::default()
    })]

    /// κ = 0 is bit-for-bit dense, whatever the rest says, in both executors.
    #[test]
    fn nothing_dropped_is_dense(
        subject in subject(), ids in sequence(), score in score(), rule in rule(),
        window in 1_usize..50,
    ) {
        let batch = Batch::new([ids.as_slice()]);
        let dense = subject.logits(&batch, &mut Dense);
        let selection = || subject.selection(score, 0.0, Commitment { window, rule });
        prop_assert_eq!(&subject.logits(&batch, &mut skipping(selection())), &dense);
        prop_assert_eq!(&subject.logits(&batch, &mut Masking::new(selection())), &dense);
    }

    /// The fast path equals the reference: every score, rule, window and sparsity.
    #[test]
    fn skipping_equals_masking(
        subject in subject(), a in sequence(), b in sequence(), score in score(), rule in rule(),
        window in 1_usize..50,
        sparsity in prop::sample::select(&[0.25, 0.5, 0.75, 0.9, 0.95][..]),
    ) {
        let batch = Batch::new([a.as_slice(), b.as_slice()]);
        let selection = || subject.selection(score, sparsity, Commitment { window, rule });
        let (mut fast, mut slow) = (skipping(selection()), Masking::new(selection()));
        let off = worst(&subject.logits(&batch, &mut fast), &subject.logits(&batch, &mut slow));
        prop_assert!(off < TOLERANCE, "logits differ by {off:e}");
        let (fast, slow) = (fast.take_shares(), slow.take_shares());
        prop_assert_eq!(fast.len(), 2);
        for (fast, slow) in fast.iter().zip(&slow) {
            prop_assert_eq!((fast.entries, fast.kept), (slow.entries, slow.kept));
            prop_assert!((fast.kept_energy_share() - slow.kept_energy_share()).abs() < 1e-5);
            prop_assert!((fast.natural_sparsity() - slow.natural_sparsity()).abs() < 1e-3);
        }
    }

    /// W = 1 is the same under every rule that lets a token choose for itself.
    #[test]
    fn windows_of_one_are_dynamic(subject in subject(), ids in sequence(), score in score()) {
        let batch = Batch::new([ids.as_slice()]);
        let run = |rule| {
            let selection = subject.selection(score, 0.5, Commitment { window: 1, rule });
            subject.logits(&batch, &mut skipping(selection))
        };
        prop_assert_eq!(run(Rule::WindowMean), run(Rule::FirstToken));
    }

    /// W ≥ T under `window-mean` is one set per sequence: the same as any larger W, and as a prompt
    /// that is the whole sequence.
    #[test]
    fn long_windows_are_one_set(subject in subject(), ids in sequence(), score in score()) {
        let batch = Batch::new([ids.as_slice()]);
        let run = |window, rule| {
            let selection = subject.selection(score, 0.75, Commitment { window, rule });
            subject.logits(&batch, &mut skipping(selection))
        };
        let whole = run(ids.len(), Rule::WindowMean);
        prop_assert_eq!(&run(ids.len() + 100, Rule::WindowMean), &whole);
        prop_assert_eq!(&run(ids.len(), Rule::Prompt { tokens: ids.len() }), &whole);
    }

    /// The rule `calibration` is the static policy.
    #[test]
    fn calibration_is_static(
        subject in subject(), ids in sequence(), score in score(), window in 1_usize..9,
    ) {
        let batch = Batch::new([ids.as_slice()]);
        let fixed = Selection::Static(subject.sets(score, 0.5));
        let fixed = subject.logits(&batch, &mut skipping(fixed));
        let rule = Commitment { window, rule: Rule::Calibration };
        let ruled = subject.logits(&batch, &mut skipping(subject.selection(score, 0.5, rule)));
        prop_assert_eq!(fixed, ruled);
    }

    /// A cut model equals the same model masked.
    #[test]
    fn cut_equals_masked(
        subject in subject(), ids in sequence(), score in score(), sparsity in 0.0_f64..0.99,
    ) {
        let batch = Batch::new([ids.as_slice()]);
        let sets = subject.sets(score, sparsity);
        let small = cut(subject.model.as_ref(), &sets);
        let small = into_values(small.logits(small.forward(&batch, &mut Dense).unwrap()));
        let masked = subject.logits(&batch, &mut Masking::new(Selection::Static(sets)));
        prop_assert!(worst(&small, &masked) < TOLERANCE);
    }

    /// A ReLU model whose sets hold every active neuron is exactly dense, since only zeros are
    /// dropped: the reference multiplies the same matrices, so not a bit changes.
    #[test]
    fn dropping_zeros_is_free(ids in sequence()) {
        let opt = &SUBJECTS[1];
        let batch = Batch::new([ids.as_slice()]);
        let mut active = MostActive::default();
        let dense = opt.logits(&batch, &mut active);
        let sparsity = 1.0 - active.0 as f64 / opt.model.ffns()[0].neurons() as f64;
        prop_assert!(sparsity > 0.0, "some neuron is off");
        let selection = || opt.selection("magnitude", sparsity, Commitment::DYNAMIC);
        prop_assert_eq!(&opt.logits(&batch, &mut Masking::new(selection())), &dense);
        prop_assert!(worst(&opt.logits(&batch, &mut skipping(selection())), &dense) < TOLERANCE);
    }

    /// What else shares a batch changes nothing but the rounding of matrix products; random sets
    /// included, whose draws belong to the sequence and not to its place.
    #[test]
    fn batches_do_not_mix(
        subject in subject(), a in sequence(), b in sequence(), score in score(), rule in rule(),
        window in 1_usize..20,
    ) {
        let run = |sequences: &[&[u32]]| {
            let selection = subject.selection(score, 0.5, Commitment { window, rule });
            let batch = Batch::new(sequences.iter().copied());
            subject.logits(&batch, &mut skipping(selection))
        };
        let together = run(&[&a, &b]);
        let alone = [run(&[&a]), run(&[&b])].concat();
        prop_assert!(worst(&together, &alone) < TOLERANCE);
    }

    /// Kept sets are nested as κ grows.
    #[test]
    fn kept_sets_are_nested(
        subject in subject(), ids in sequence(), score in score(), rule in rule(),
        window in 1_usize..20, one in 0.0_f64..0.95, other in 0.0_f64..0.95,
    ) {
        let batch = Batch::new([ids.as_slice()]);
        let sets = |sparsity: f64| {
            let selection = || subject.selection(score, sparsity, Commitment { window, rule });
            let mut kept = KeptSets { selection: &selection, kept: Vec::new() };
            subject.model.forward(&batch, &mut kept).unwrap();
            kept.kept
        };
        let (many, few) = (sets(one.min(other)), sets(one.max(other)));
        for (many, few) in many.iter().zip(&few) {
            prop_assert!(many.iter().zip(few).all(|(many, few)| *many || !few));
        }
    }
}
