//! What a cell is, in the words of the specification.

use plan::{Cell, Protocol};

/// One field of a cell with its value and what that means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    pub(crate) meaning: &'static str,
}

/// One sentence that needs no other to be understood.
pub(crate) fn sentence(cell: &Cell) -> String {
    let Cell { model, dataset, limit, offset, recipe, .. } = cell;
    let amount = |thing: &str| match (limit, offset) {
        (Some(1), None) => format!("the first {thing}"),
        (Some(limit), None) => format!("the first {limit} {thing}s"),
        (None, None) => format!("every {thing}"),
        (Some(limit), Some(offset)) => format!("{limit} {thing}s behind the first {offset}"),
        (None, Some(offset)) => format!("every {thing} behind the first {offset}"),
    };
    let reads = match cell.protocol {
        Protocol::Perplexity { window_tokens } => format!(
            "`{model}` predicts every next token in {} of {window_tokens} tokens of the text \
             `{dataset}`",
            amount("window")
        ),
        Protocol::LambadaOpenai => {
            format!("`{model}` guesses the last word of {} of `{dataset}`", amount("item"))
        }
        Protocol::LambadaLastToken => {
            format!("`{model}` guesses the last token of {} of `{dataset}`", amount("item"))
        }
        Protocol::Choice(task) => {
            format!("`{model}` chooses an answer to {} of `{dataset}` ({task})", amount("item"))
        }
    };
    let mut what = match recipe.steps() {
        [] => "with nothing dropped: the baseline of the cells that drop something".to_owned(),
        steps => {
            let phrases: Vec<String> = steps.iter().map(|step| step.phrase()).collect();
            phrases.join("; then ")
        }
    };
    if let Some(calibration) = &cell.calibration {
        let windows = match calibration.limit {
            Some(limit) => format!("{limit} windows"),
            None => "all windows".to_owned(),
        };
        let (tokens, dataset) = (calibration.window_tokens, &calibration.dataset);
        what += &format!(", chosen beforehand on {windows} of {tokens} tokens of `{dataset}`");
    }
    format!("{reads}, {what}.")
}

/// The fields that a cell has, with their meanings: those of steps come from the table of kinds.
pub(crate) fn fields(cell: &Cell) -> Vec<Field> {
    let field = |name, value: String, meaning| Field { name, value, meaning };
    let all = |n: Option<usize>| n.map_or("all".to_owned(), |n| n.to_string());
    let evaluated = match cell.offset {
        Some(_) => "windows or items evaluated, from the first behind `offset`",
        None => "windows or items evaluated, from the first",
    };
    let mut fields = vec![
        field("model", cell.model.clone(), "the name of the model in the pipeline"),
        field("dataset", cell.dataset.clone(), "the name of the text in the pipeline"),
        field("protocol", cell.protocol.to_string(), protocol(cell.protocol)),
        field("limit", all(cell.limit), evaluated),
    ];
    if let Some(offset) = cell.offset {
        let meaning = "windows or items left out at the beginning of the text";
        fields.push(field("offset", offset.to_string(), meaning));
    }
    if cell.recipe.is_dense() {
        fields.push(field("recipe", "dense".to_owned(), "nothing is dropped"));
    }
    for step in cell.recipe.steps() {
        let kind = step.kind();
        fields.push(field(kind.way.as_str(), kind.name.to_owned(), kind.doc));
        for (setting, value) in step.values() {
            let value = value.to_string();
            let meaning = setting.takes.meaning(&value).unwrap_or(setting.doc);
            fields.push(field(setting.name, value, meaning));
        }
    }
    if let Some(compare) = cell.compare {
        let meaning = "the Jensen-Shannon divergence of every prediction to the dense model's";
        fields.push(field("compare", compare.to_string(), meaning));
    }
    if let Some(calibration) = &cell.calibration {
        let (limit, tokens) = (all(calibration.limit), calibration.window_tokens);
        let value = format!("{} ({limit} windows of {tokens} tokens)", calibration.dataset);
        fields.push(field("calibration", value, "the text that is looked at before the run"));
    }
    let seed = cell.recipe.seed().to_string();
    fields.push(field("seed", seed, "seed of everything random in it"));
    fields
}

fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Perplexity { .. } => {
            "perplexity = exp(ΣNLL / Σtargets) over disjoint windows of T ids, the tail dropped"
        }
        Protocol::LambadaOpenai => {
            "right if every token of the last word is the first choice, given those before it"
        }
        Protocol::LambadaLastToken => "right if the last token is the first choice",
        Protocol::Choice(_) => {
            "right if the choice of largest log-likelihood is the right one (acc), or that of the largest \
             a character (acc_norm)"
        }
    }
}
