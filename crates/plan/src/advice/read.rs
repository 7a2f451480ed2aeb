//! The file of a space of recipes: TOML → [`AdviceSpace`], all mistakes at once.

use crate::dataset_entry::read_datasets;
use crate::reader::{Mistakes, Reader, Section, read_document};
use crate::recipe::read_recipes;
use crate::{AdviceSpace, DatasetEntry, Recipe, SlimRequest, Stage, Units};

const TOP_KEYS: &[&str] = &["description", "seed", "dataset", "stage", "test", "sweep"];

pub(super) fn parse(text: &str) -> Result<AdviceSpace, Mistakes> {
    read_document(text, |reader, top| {
        if let Some(model) = top.table.get("model") {
            // Of another file everything would be a mistake.
            let message = "this is a pipeline, for `cargo xtask run-grid`: a space of recipes has [[stage]] and \
                           [test], and its model is named by the command";
            reader.mistake(&model.span(), "", message);
            return None;
        }
        reader.check_keys(top, TOP_KEYS);
        let description = match top.table.get("description") {
            Some(value) => reader.string(value, "", "description").map(|at| at.value),
            None => Some(String::new()),
        };
        let seed = reader
            .required(top, "seed", "a whole number; nothing random is seeded in hiding")
            .and_then(|value| reader.whole(value, "", "seed", 0))
            .map(|at| at.value);
        let datasets = datasets(reader, top);
        let stages = stages(reader, top);
        let test = test(reader, top);
        let recipes = recipes(reader, top, seed.unwrap_or_default());
        Some(AdviceSpace {
            description: description?,
            seed: seed?,
            datasets,
            recipes,
            stages,
            test: test?,
        })
    })
}

/// Texts and tasks as a pipeline has them; how much of them is read is said by the stages.
fn datasets<'a>(reader: &mut Reader<'a>, top: &Section<'a>) -> Vec<DatasetEntry> {
    for section in reader.tables(top, "dataset") {
        for key in ["limit", "offset"] {
            if let Some(value) = section.table.get(key) {
                let message = format!(
                    "`{key}`: how much is read is said by [[stage]] and [test]: leave it out"
                );
                reader.mistake(&value.span(), &section.place, message);
            }
        }
    }
    read_datasets(reader, top).into_iter().map(|at| at.value).collect()
}

/// `windows` and `items` of a section.
fn units<'a>(reader: &mut Reader<'a>, section: &Section<'a>) -> Option<Units> {
    let mut count = |key: &str, what: &str| {
        let value = reader.required(section, key, what)?;
        Some(reader.count(value, &section.place, key)?.value)
    };
    let windows = count("windows", "how many windows of text are read");
    let items = count("items", "how many items of a task are read");
    Some(Units { windows: windows?, items: items? })
}

fn stages<'a>(reader: &mut Reader<'a>, top: &Section<'a>) -> Vec<Stage> {
    let sections = reader.tables(top, "stage");
    if sections.is_empty() && !top.table.contains_key("stage") {
        reader.mistake(&top.span, "", "missing [[stage]]: expected at least one");
    }
    let mut stages = Vec::new();
    for section in sections {
        reader.check_keys(&section, &["windows", "items", "go_on"]);
        let units = units(reader, &section);
        let go_on = reader
            .required(&section, "go_on", "the share of the recipes that goes on, such as 0.5")
            .and_then(|value| reader.decimal(value, &section.place, "go_on"));
        let Some(go_on) = go_on else { continue };
        if !(go_on.value > 0.0 && go_on.value <= 1.0) {
            let message = format!("`go_on`: {} is outside 0 < go_on <= 1", go_on.value);
            reader.mistake(&go_on.span, &section.place, message);
        }
        stages.extend(units.map(|units| Stage { units, go_on: go_on.value }));
    }
    stages
}

fn test<'a>(reader: &mut Reader<'a>, top: &Section<'a>) -> Option<Units> {
    let value = reader.required(top, "test", "a table [test] with `windows` and `items`")?;
    let Some(table) = value.get_ref().as_table() else {
        reader.mistake(&value.span(), "", "`test`: expected a table with `windows` and `items`");
        return None;
    };
    let section = Section { place: "test".to_owned(), span: value.span(), table };
    reader.check_keys(&section, &["windows", "items"]);
    units(reader, &section)
}

/// Every recipe of every sweep, each once: cuts, since what is advised is written as a model.
fn recipes<'a>(reader: &mut Reader<'a>, top: &Section<'a>, seed: u64) -> Vec<Recipe> {
    let sections = reader.tables(top, "sweep");
    if sections.is_empty() && !top.table.contains_key("sweep") {
        reader.mistake(&top.span, "", "missing [[sweep]]: expected at least one");
    }
    let mut recipes: Vec<Recipe> = Vec::new();
    for section in sections {
        reader.check_keys(&section, &["recipe"]);
        reader.required(&section, "recipe", "a list of cuts");
        for recipe in read_recipes(reader, &section, "recipe", seed) {
            if let Err(why) = SlimRequest::check(&recipe) {
                reader.mistake(&section.span, &section.place, why);
            }
            if !recipes.contains(&recipe) {
                recipes.push(recipe);
            }
        }
    }
    recipes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_told_with_its_line() {
        let text = r#"
sed = 1
[[dataset]]
name = "wikitext3"
protocol = "ppl-512"
limit = 4
[[stage]]
windows = 0
items = 10
go_on = 1.5
[test]
windows = 8
[[sweep]]
recipe = [{ skip = "ffn", score = "magnitude", sparsity = 0.5 }]
[[sweep]]
recipe = [{ cut = "bits", method = "rtm", bits = 8 }]
"#;
        let mistakes = AdviceSpace::parse(text).unwrap_err().to_string();
        for part in [
            "line 1: missing key `seed`",
            "line 2: unknown key `sed`: did you mean `seed`?",
            "line 4: dataset 1: unknown dataset `wikitext3`: did you mean `wikitext2`?",
            "line 6: dataset 1: `limit`",
            "line 8: stage 1: `windows`: expected a whole number of at least 1",
            "line 10: stage 1: `go_on`: 1.5 is outside 0 < go_on <= 1",
            "line 11: test: missing key `items`",
            "no checkpoint",
            "rtm",
        ] {
            assert!(mistakes.contains(part), "{part} is not in: {mistakes}");
        }
    }

    /// The committed files, each given in the place of the other.
    #[test]
    fn a_pipeline_is_no_space_and_is_told_once() {
        let file = |name: &str| {
            let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipelines");
            std::fs::read_to_string(root.join(name)).unwrap()
        };
        let told = AdviceSpace::parse(&file("quick.toml")).unwrap_err();
        assert_eq!(told.0.len(), 1);
        assert!(
            told.to_string().contains("this is a pipeline, for `cargo xtask run-grid`"),
            "{told}"
        );
        let told = crate::Pipeline::parse(&file("advise.toml"), &[]).unwrap_err();
        assert_eq!(told.0.len(), 1);
        assert!(told.to_string().contains("`cargo xtask advise --space`"), "{told}");
    }
}
