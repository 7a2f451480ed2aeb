//! Prints a pipeline of a million cells on small models of this repository, to time a dry run of it.
//!
//! ```text
//! cargo run --release -p plan --example million_cells > target/million.toml
//! /usr/bin/time -v cargo xtask run-grid target/million.toml --dry-run --json > target/million.json
//! ```

#![expect(clippy::print_stdout, reason = "an example talks on standard output")]

const MODELS: [&str; 4] = ["opt-relu", "opt-relu-l1", "qwen2-silu", "qwen2-relu-l1"];
const TEXTS: [&str; 3] = ["narrative", "dialogue", "inventory"];
const SCORES: [&str; 2] = ["magnitude", "random"];
const RULES: [&str; 3] = ["window-mean", "first-token", "previous-window"];
const WINDOWS: std::ops::RangeInclusive<u32> = 2..=15;
/// Shares in thousandths.
const SPARSITIES: std::ops::RangeInclusive<u32> = 1..=999;

fn main() {
    println!("name = \"million\"\nseed = 1");
    for model in MODELS {
        println!("\n[[model]]\nname = \"{model}\"\npath = \"../data/models/{model}\"");
    }
    for text in TEXTS {
        println!("\n[[dataset]]\nname = \"{text}\"\npath = \"../data/stories/{text}.test.jsonl\"");
        println!("protocol = \"ppl-256\"\nlimit = 32");
    }
    let sparsities: Vec<String> =
        SPARSITIES.map(|share| format!("{}", f64::from(share) / 1000.0)).collect();
    let windows: Vec<String> = WINDOWS.map(|window| window.to_string()).collect();
    let (sparsities, windows) = (sparsities.join(", "), windows.join(", "));
    println!("\n[[sweep]]\npolicy = \"window\"\nscore = {SCORES:?}\nrule = {RULES:?}");
    println!("sparsity = [{sparsities}]\nwindow = [{windows}]");
}
