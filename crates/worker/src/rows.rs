//! From results of requests to the rows of a table.

use corpora::{Choices, Item};
use evaluation::RequestResult;
use plan::Measure;
use skips::{CacheBytes, Shares};
use tables::{ChoiceRow, ItemRow, RowCache, RowShares, TokenColumns, WindowRow};

use crate::{evaluate::Rows, material::Material, recipe::Shown};

/// One row a window, an item or a choice, by what the protocol measures.
pub(crate) fn rows(material: &Material, results: &[(RequestResult, Shares)], shown: Shown) -> Rows {
    let mut rest = results;
    let by_item = material.items.iter().map(|item| {
        let own;
        (own, rest) = rest.split_at(item.requests.len());
        (item, own)
    });
    match material.measure {
        Measure::MeanLoss => {
            Rows::Windows(by_item.map(|(item, own)| window(item, &own[0], shown)).collect())
        }
        Measure::Proportion => {
            Rows::Items(by_item.map(|(item, own)| last_word(item, &own[0], shown)).collect())
        }
        Measure::Choice => {
            let task = material.task.clone().expect("a task of choices has a definition");
            let rows = by_item.flat_map(|(item, own)| choices(item, own, shown)).collect();
            Rows::Choices(task, rows)
        }
    }
}

fn shares_of(shares: &Shares, shown: Shown) -> RowShares {
    RowShares {
        reached_sparsity: shown.dropped.unwrap_or_else(|| shares.reached_sparsity()),
        natural_sparsity: shown.zeros().then(|| shares.natural_sparsity()),
        kept_energy: shown.energy().then(|| shares.kept_energy_share()),
        cache: shares.cache.map(|CacheBytes { left, peak, dense }| RowCache { left, peak, dense }),
    }
}

fn tokens_of(result: &RequestResult, shares: &Shares) -> TokenColumns {
    TokenColumns {
        worst_nll_nats: result.worst_nll_nats,
        n_worse_than_chance: result.n_worse_than_chance as u32,
        layers_per_token: shares.layers_per_token(),
    }
}

fn window(item: &Item, (result, shares): &(RequestResult, Shares), shown: Shown) -> WindowRow {
    WindowRow {
        window_index: item.index as u32,
        nll_nats: -result.logprob_nats,
        n_targets: result.n_targets as u32,
        js_nats: result.js_nats,
        shares: shares_of(shares, shown),
        tokens: tokens_of(result, shares),
    }
}

fn last_word(item: &Item, (result, shares): &(RequestResult, Shares), shown: Shown) -> ItemRow {
    ItemRow {
        item_index: item.index as u32,
        correct: result.is_greedy,
        word_logprob_nats: result.logprob_nats,
        n_target_tokens: result.n_targets as u32,
        n_tokens: result.n_read as u32,
        distance_sentences: item.distance_sentences,
        shares: shares_of(shares, shown),
        tokens: tokens_of(result, shares),
    }
}

fn choices<'a>(
    item: &'a Item,
    results: &'a [(RequestResult, Shares)],
    shown: Shown,
) -> impl Iterator<Item = ChoiceRow> + 'a {
    let Choices { gold, lengths, digests } =
        item.choices.as_ref().expect("an item of a task of choices has choices");
    results.iter().enumerate().map(move |(choice, (result, shares))| ChoiceRow {
        item_index: item.index as u32,
        choice_index: choice as u32,
        is_gold: choice == *gold,
        logprob_nats: result.logprob_nats,
        n_target_tokens: result.n_targets as u32,
        n_tokens: result.n_read as u32,
        n_characters: lengths[choice].characters as u32,
        n_bytes: lengths[choice].bytes as u32,
        is_greedy: result.is_greedy,
        request_sha256: digests[choice].clone(),
        shares: shares_of(shares, shown),
        tokens: tokens_of(result, shares),
    })
}
