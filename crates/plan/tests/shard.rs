//! A grid in shares: every cell once, evenly, and each model with few.

use std::collections::BTreeSet;

use plan::{Costed, SLACK, Shard, shares};
use proptest::prelude::*;

/// Cells by model and cost, with the names that their places give them.
struct Cells(Vec<(String, String, f64)>);

impl Cells {
    fn new(cells: impl IntoIterator<Item = (usize, f64)>) -> Cells {
        let named = |(place, (model, cost)): (usize, (usize, f64))| {
            (format!("c{place}"), format!("m{model}"), cost)
        };
        Cells(cells.into_iter().enumerate().map(named).collect())
    }

    fn costed(&self) -> Vec<Costed<'_>> {
        self.0.iter().map(|(id, model, cost)| Costed { id, model, cost: *cost }).collect()
    }

    fn cost(&self, share: &[&str]) -> f64 {
        self.0.iter().filter(|(id, ..)| share.contains(&id.as_str())).map(|(.., cost)| cost).sum()
    }

    fn models(&self, share: &[&str]) -> BTreeSet<&str> {
        let of_share = self.0.iter().filter(|(id, ..)| share.contains(&id.as_str()));
        of_share.map(|(_, model, _)| model.as_str()).collect()
    }

    fn loads(&self, shares: &[Vec<&str>]) -> usize {
        shares.iter().map(|share| self.models(share).len()).sum()
    }
}

#[test]
fn models_of_one_size_stay_whole() {
    let cells = Cells::new((0..24).map(|place| (place % 6, 1.0)));
    for n in [1, 2, 3, 6] {
        let shares = shares(&cells.costed(), n);
        assert_eq!(cells.loads(&shares), 6, "{n} shares");
        assert!(shares.iter().all(|share| share.len() == 24 / n));
    }
    // More shares than models: as few cuts as can be.
    let twelve = shares(&cells.costed(), 12);
    assert!(twelve.iter().all(|share| share.len() == 2 && cells.models(share).len() == 1));
}

#[test]
fn a_large_model_is_cut_and_small_ones_fill_up() {
    let of = |model: usize, n: usize, cost: f64| (0..n).map(move |_| (model, cost));
    let cells = Cells::new(of(0, 20, 10.0).chain(of(1, 5, 10.0)).chain(of(2, 5, 10.0)));
    let shares = shares(&cells.costed(), 3);
    assert_eq!(shares.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 10]);
    assert_eq!(shares[0][0], "c0");
    assert_eq!(cells.loads(&shares), 4, "the large one twice, each small one once: {shares:?}");
}

#[test]
fn the_cell_at_the_border_goes_to_the_nearer_side() {
    let cells = Cells::new([(0, 1.0), (0, 2.0)]);
    assert_eq!(shares(&cells.costed(), 2), [["c0"], ["c1"]]);
    // A hundred times half a cell that a share lacks is not left to the last.
    let cells = Cells::new((0..250).map(|_| (0, 1.0)));
    let counts: Vec<usize> = shares(&cells.costed(), 100).iter().map(Vec::len).collect();
    assert!(counts.iter().all(|count| [2, 3].contains(count)), "{counts:?}");
}

#[test]
fn a_share_is_read_as_it_is_written() {
    let shard: Shard = "3/16".parse().unwrap();
    assert_eq!(shard.to_string(), "3/16");
    let cells = Cells::new((0..16).map(|place| (place, 1.0)));
    assert_eq!(shard.of(&cells.costed()), shares(&cells.costed(), 16)[2]);
    for wrong in ["", "3", "0/4", "5/4", "1/0", "-1/4", "+1/4", "1/4/2", "a/b", "1/ 4", "/"] {
        let error = wrong.parse::<Shard>().unwrap_err().to_string();
        assert!(error.contains("write I/N"), "{wrong}: {error}");
    }
}

#[test]
fn cells_without_a_cost_are_counted() {
    for cost in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let cells = Cells::new((0..8).map(|_| (0, cost)));
        let shares = shares(&cells.costed(), 4);
        assert!(shares.iter().all(|share| share.len() == 2), "{cost}: {shares:?}");
    }
    assert_eq!(shares(&[], 2), [Vec::<&str>::new(), Vec::new()]);
    assert!(shares(&Cells::new([(0, 1.0)]).costed(), 0).is_empty());
}

proptest! {
    #[test]
    fn every_cell_has_one_share_and_shares_are_even(
        cells in prop::collection::vec((0_usize..7, 0.01_f64..100.0), 1..80),
        n in 1_usize..20,
    ) {
        let cells = Cells::new(cells);
        let shares = shares(&cells.costed(), n);
        prop_assert_eq!(shares.len(), n);
        let mut all: Vec<&str> = shares.concat();
        prop_assert_eq!(all.len(), cells.0.len());
        all.sort_unstable();
        all.dedup();
        prop_assert_eq!(all.len(), cells.0.len(), "each once");

        let ids: Vec<&str> = cells.0.iter().map(|(id, ..)| id.as_str()).collect();
        let place = |id: &&str| ids.iter().position(|other| other == id);
        for share in &shares {
            prop_assert!(share.iter().map(place).is_sorted(), "in the order given");
        }

        let total = cells.cost(&ids);
        let equal = total / n as f64;
        let dearest = cells.0.iter().map(|(.., cost)| *cost).fold(0.0, f64::max);
        let most = (equal * (1.0 + SLACK)).max(equal + dearest) * (1.0 + 1e-9);
        for share in &shares {
            prop_assert!(cells.cost(share) <= most, "{} > {most}", cells.cost(share));
        }
        let models = cells.models(&ids).len();
        prop_assert!(cells.loads(&shares) < models + n);
    }

    /// A machine that is twice as fast expects half of everything, and takes the same cells.
    #[test]
    fn the_unit_of_costs_does_not_matter(
        cells in prop::collection::vec((0_usize..5, 1_u32..1000), 1..40),
        n in 1_usize..9,
        doublings in -20_i32..20,
    ) {
        let of = |factor: f64| Cells::new(cells.iter().map(|(m, cost)| (*m, f64::from(*cost) * factor)));
        let (one, other) = (of(1.0), of(2.0_f64.powi(doublings)));
        prop_assert_eq!(shares(&one.costed(), n), shares(&other.costed(), n));
    }
}
