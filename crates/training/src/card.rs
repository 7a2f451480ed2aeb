//! The model card: what was done, what came out, and how to do it again.

use std::fmt::Write as _;

use statistics::{ConfidenceLevel, Interval, Proportion, wilson};

use crate::{
    checkpoint::Progress,
    exam::{Count, Exam},
    measure::Measured,
    recipe::{L1, Recipe},
};

/// What a card tells besides the recipe.
pub(crate) struct Facts<'a> {
    pub(crate) recipe: &'a Recipe,
    /// The recipe's file, as the command names it.
    pub(crate) path: &'a str,
    pub(crate) parameters: usize,
    pub(crate) vocabulary: usize,
    pub(crate) progress: &'a Progress,
    /// In F32, before the weights were rounded.
    pub(crate) last: &'a Measured,
    pub(crate) exam: &'a Exam,
}

/// Rows of the loss curve that a card has room for.
const CURVE: usize = 16;

/// The card in Markdown, with the header that the Hub reads.
pub(crate) fn card(facts: &Facts<'_>) -> String {
    let parts = [head(facts), training(facts), curve(facts), results(facts), sparsity(facts)];
    parts.join("\n")
}

fn head(facts: &Facts<'_>) -> String {
    let Recipe { name, about, config, .. } = facts.recipe;
    let architecture = config
        .get("architectures")
        .and_then(|list| list.get(0))
        .and_then(serde_json::Value::as_str)
        .unwrap_or_default();
    format!(
        "---\n\
         license: mit\n\
         language: en\n\
         pipeline_tag: text-generation\n\
         ---\n\n\
         # {name}\n\n\
         {about}\n\n\
         An `{architecture}` of {:.2} M parameters (F16), trained from nothing on stories that this project \
         generates (`crates/stories/GRAMMAR.md`): a small, complete subject for experiments on sparsity, not \
         a model to talk to.\n\
         It has {} tokens, one for each word of the grammar; `<|endoftext|>` stands in front of every text.\n",
        facts.parameters as f64 / 1e6,
        facts.vocabulary,
    )
}

fn training(facts: &Facts<'_>) -> String {
    let Recipe { schedule, corpus, seed, l1, .. } = facts.recipe;
    let mut text = format!(
        "## Training\n\n\
         ```\ncargo xtask train {}\n```\n\n\
         {} steps of {} sequences of {} tokens, {:.2} M tokens in all; seed {seed}, corpus seed {}; AdamW \
         with a peak learning rate of {}.\n\
         It took {:.1} minutes on the machine that made these weights.\n\
         The same command gives the same weights, bit for bit, on the same machine.\n",
        facts.path,
        schedule.steps,
        schedule.batch_sequences,
        corpus.sequence_tokens,
        facts.recipe.tokens() as f64 / 1e6,
        corpus.seed,
        schedule.learning_rate.peak,
        facts.progress.seconds / 60.0,
    );
    if let Some(L1 { form, coefficient, start_step, warmup_steps }) = l1 {
        let _ = writeln!(
            text,
            "The loss has an L1 price on hidden activations: {coefficient} times Σ|h| divided by {form}, from step \
             {start_step} on, rising over {warmup_steps} steps.",
        );
    }
    text
}

fn curve(facts: &Facts<'_>) -> String {
    let mut text = "## Loss curve\n\n\
        Means over the steps since the row before, and held-out text (calibration split).\n\n\
        | step | loss, nats | held out, nats | last words right | zeros in h | dead neurons |\n\
        | --: | --: | --: | --: | --: | --: |\n"
        .to_owned();
    let milestones = &facts.progress.milestones;
    let every = milestones.len().div_ceil(CURVE).max(1);
    let rows = milestones.iter().enumerate().filter(|(index, _)| {
        // The last one always, and others at equal distances from it.
        (milestones.len() - 1 - index).is_multiple_of(every)
    });
    for (_, m) in rows {
        let _ = writeln!(
            text,
            "| {} | {:.3} | {:.3} | {:.1} % | {:.1} % | {} |",
            m.step,
            m.train_nats,
            m.heldout_nats,
            100.0 * m.accuracy,
            100.0 * m.natural_sparsity,
            m.dead_neurons,
        );
    }
    text
}

fn percent(count: Count) -> String {
    let share = 100.0 * count.right as f64 / count.n.max(1) as f64;
    match (Proportion::new(count.right, count.n), ConfidenceLevel::new(0.95)) {
        (Ok(proportion), Ok(level)) => {
            let Interval { lower, upper, .. } = wilson(proportion, level);
            format!("{share:.1} % ({:.1} to {:.1}) | {}", 100.0 * lower, 100.0 * upper, count.n)
        }
        _ => format!("{share:.1} % | {}", count.n),
    }
}

fn results(facts: &Facts<'_>) -> String {
    let exam = facts.exam;
    let mut text = "## Results on the test split\n\n\
        Of the F16 weights in this folder; 95 % Wilson intervals.\n\n\
        | last-word task | right | n |\n| --- | --: | --: |\n"
        .to_owned();
    let mut row = |what: &str, count| {
        let _ = writeln!(text, "| {what} | {} |", percent(count));
    };
    row("all", exam.last_words);
    for (question, count) in &exam.by_question {
        row(&format!("asks for the {question}"), *count);
    }
    for ([from, to], count) in &exam.by_distance {
        row(&format!("settled {from} to {to} sentences before"), *count);
    }
    row("3-gram", exam.baseline);
    text += "\nA guess among the words of the right list is right once in 32.\n\n\
        | perplexity by token | model | unigram | 3-gram |\n| --- | --: | --: | --: |\n";
    for (register, [model, unigram, trigram]) in &exam.perplexities {
        let _ = writeln!(text, "| {register} | {model:.2} | {unigram:.1} | {trigram:.2} |");
    }
    if let Some(note) = &facts.recipe.note {
        let _ = writeln!(text, "\n{note}");
    }
    let _ = writeln!(
        text,
        "\nBefore rounding to F16 the loss on held-out text was {:.5} nats.",
        facts.last.nats
    );
    text
}

fn sparsity(facts: &Facts<'_>) -> String {
    let activity = &facts.exam.activity;
    if activity.sites.is_empty() {
        return "## Sparsity\n\nThe model has no feed-forward neurons.\n".to_owned();
    }
    let mut text = format!(
        "## Sparsity\n\n\
         Share of entries of h that are exactly zero on the test documents: {:.2} %.\n\n\
         | site | zeros | mean of abs(h) | neurons | never active |\n| --: | --: | --: | --: | --: |\n",
        100.0 * activity.natural_sparsity()
    );
    for row in activity.rows(0) {
        let _ = writeln!(
            text,
            "| {} | {:.2} % | {:.4} | {} | {} |",
            row.site,
            100.0 * row.natural_sparsity,
            row.mean_abs_h,
            row.neurons,
            row.dead_neurons,
        );
    }
    text
}
