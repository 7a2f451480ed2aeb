//! `check harness`: every choice of the downstream tasks beside lm-evaluation-harness itself: the same
//! log-likelihoods, the same decisions, and the time that both take.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use plan::exit::DONE;
use serde_json::Value;

use crate::build;
use crate::exit::OTHER;
use crate::python;
use crate::report::status;
use crate::workspace::Workspace;

/// Most that two log-likelihoods may be apart, nats: the same numbers in f32 added in another order. The
/// harness is asked for a softmax in f64 there; its own, in f32, makes every token some 1e-5 nats too
/// likely, so that long choices are further apart.
const NATS: f64 = 1e-3;
/// Items a second of this ÷ the harness, on the same HellaSwag items.
const SPEED_TARGET: f64 = 1.5;
const TIMED: &str = "hellaswag";
const MODEL: &str = "smollm2";

/// Arguments of `check harness`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Items of each task, from the first
    #[arg(long, default_value_t = 100, value_name = "N")]
    limit: usize,
    /// Only these tasks, as the harness names them [default: all of the folder of tasks]
    #[arg(long, value_name = "NAME", num_args = 1..)]
    task: Vec<String>,
    /// A Python with bench/peer/requirements-harness.txt [default: one is made in target/harness-venv]
    #[arg(long, value_name = "PYTHON")]
    python: Option<PathBuf>,
    /// SmolLM2 as a Hugging Face folder in f32 [default: made from the GGUF file in data/cache]
    #[arg(long, value_name = "DIR")]
    hf: Option<PathBuf>,
    /// Sequences that the harness runs together
    #[arg(long, default_value_t = 1, value_name = "N")]
    batch_size: usize,
}

/// What one side says of a task.
struct Answers {
    seconds: f64,
    items: Vec<Answer>,
}

/// What one side says of an item.
struct Answer {
    gold: u64,
    acc: bool,
    acc_norm: Option<bool>,
    loglikelihoods: Vec<f64>,
}

type Tasks = BTreeMap<String, Answers>;

/// Runs both sides and compares them; the value is the exit code.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<i32> {
    let root = workspace.root();
    let python = match &args.python {
        Some(python) => python.clone(),
        None => {
            let requirements = root.join("bench/peer/requirements-harness.txt");
            python::environment(workspace, "harness-venv", &requirements)?
        }
    };
    let gguf = workspace.cache().join("SmolLM2-135M-Instruct.Q4_1.gguf");
    ensure!(gguf.is_file(), "SmolLM2 is not there: run `cargo xtask fetch smollm2`");
    let folder = match &args.hf {
        Some(folder) => folder.clone(),
        None => expanded(workspace, &python, &gguf)?,
    };
    let work = root.join("target/harness");
    std::fs::create_dir_all(&work).with_context(|| format!("cannot make {}", work.display()))?;
    let sides = Sides { workspace, args, python: &python, folder: &folder, work: &work };
    let harness = sides.harness("all", &args.task, "float64")?;
    let names: Vec<String> = harness.keys().cloned().collect();
    let ours = sides.ours(&names)?;
    let mut is_same = true;
    println!(
        "| task | items | choices | nats apart, most | acc | harness | acc_norm | harness | other decisions |"
    );
    println!("| --- | --: | --: | --: | --: | --: | --: | --: | --: |");
    for (name, theirs) in &harness {
        let own = ours.get(name).with_context(|| format!("we have no answers of {name}"))?;
        is_same &= compare(name, own, theirs)?;
    }
    println!();
    if names.iter().any(|name| name == TIMED) {
        is_same &= sides.race(&ours[TIMED])?;
    }
    println!("{}", if is_same { "all as the harness has it" } else { "not as the harness has it" });
    Ok(if is_same { DONE } else { OTHER })
}

/// The GGUF file as a folder of f32, made once.
fn expanded(workspace: &Workspace, python: &Path, gguf: &Path) -> Result<PathBuf> {
    let folder = workspace.cache().join("smollm2-hf");
    if !folder.join("tokenizer.json").is_file() {
        let script = workspace.root().join("bench/peer/to_hf.py");
        python::succeed(Command::new(python).arg(script).arg(gguf).arg(&folder))?;
    }
    Ok(folder)
}

struct Sides<'a> {
    workspace: &'a Workspace,
    args: &'a Args,
    python: &'a Path,
    folder: &'a Path,
    work: &'a Path,
}

impl Sides<'_> {
    /// The harness over the tasks; over all that it finds where none is named.
    fn harness(&self, name: &str, tasks: &[String], softmax: &str) -> Result<Tasks> {
        let out = self.work.join(format!("{name}.json"));
        let mut command = Command::new(self.python);
        command.arg(self.workspace.root().join("bench/peer/harness.py"));
        command.arg("--model").arg(self.folder).arg("--tasks-dir").arg(self.workspace.tasks());
        for task in tasks {
            command.args(["--task", task]);
        }
        command.args(["--limit", &self.args.limit.to_string(), "--softmax-dtype", softmax]);
        command.args(["--batch-size", &self.args.batch_size.to_string()]);
        command.args(["--threads", &threads().to_string()]).arg("--json").arg(&out);
        command.stdout(Stdio::null());
        ensure!(status(&mut command)? == DONE, "the harness failed");
        let text = std::fs::read_to_string(&out).context("the harness left no answers")?;
        let all: Value = serde_json::from_str(&text).context("the harness' answers are no JSON")?;
        let tasks = all["tasks"].as_object().context("the harness answered no task")?;
        tasks.iter().map(|(name, own)| Ok((name.clone(), of_harness(own)?))).collect()
    }

    /// The same tasks as a grid of dense cells.
    fn ours(&self, names: &[String]) -> Result<Tasks> {
        let results = self.work.join("results");
        // What an earlier check left is done and would not be timed again.
        if results.exists() {
            std::fs::remove_dir_all(&results).context("cannot clear the results of before")?;
        }
        let pipeline = self.work.join("harness.toml");
        std::fs::write(&pipeline, self.pipeline(names)).context("cannot write the pipeline")?;
        let mut grid = Command::new(std::env::current_exe()?);
        grid.arg("run-grid").arg(&pipeline).args(["--filter", "policy=dense", "--no-report"]);
        grid.arg("--results").arg(&results).current_dir(self.workspace.root());
        ensure!(status(&mut grid)? == DONE, "our cells failed");
        let mut worker = Command::new(build::worker(self.workspace)?);
        worker.arg("choices").arg("--results").arg(results.join("harness"));
        let mut tasks = Tasks::new();
        for line in python::output_of(&mut worker)?.lines() {
            let cell: Value = serde_json::from_str(line).context("the worker printed no JSON")?;
            let dataset = cell["dataset"].as_str().context("a cell has no dataset")?;
            tasks.insert(harness_name(dataset), of_worker(&cell)?);
        }
        Ok(tasks)
    }

    fn pipeline(&self, names: &[String]) -> String {
        let mut text = format!("name = \"harness\"\nseed = 1\n[[model]]\nname = \"{MODEL}\"\n");
        for name in names {
            let (dataset, task) = ours_of(name, &self.workspace.tasks());
            let limit = self.args.limit;
            text += &format!(
                "[[dataset]]\nname = \"{dataset}\"\nprotocol = \"choice-{task}\"\nlimit = {limit}\n"
            );
        }
        // A pipeline has a sweep; the filter leaves the dense cells.
        text + "[[sweep]]\npolicy = \"dynamic\"\nscore = \"random\"\nsparsity = 0.5\n"
    }

    /// Both over the same items, the harness as it is by itself: with a softmax in f32.
    fn race(&self, ours: &Answers) -> Result<bool> {
        let theirs = self.harness("timed", &[TIMED.to_owned()], "float32")?;
        let theirs = &theirs[TIMED];
        let rate = |own: &Answers| own.items.len() as f64 / own.seconds;
        let ratio = rate(ours) / rate(theirs);
        println!(
            "{TIMED}, {} items: {:.2} a second, the harness {:.2} (batches of {}, {} threads): {ratio:.2} \
             × (target {SPEED_TARGET}); its softmax in f32 is {:.1e} nats from ours at most",
            ours.items.len(),
            rate(ours),
            rate(theirs),
            self.args.batch_size,
            threads(),
            farthest(ours, theirs),
        );
        Ok(ratio >= SPEED_TARGET)
    }
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// `mmlu_global_facts` is `mmlu-global-facts` here; items of another split may have a name of their own.
fn ours_of(name: &str, tasks: &Path) -> (String, String) {
    let task = name.replace('_', "-");
    let other_split = tasks.join(format!("{name}_validation.jsonl")).is_file();
    let dataset = if other_split { format!("{task}-validation") } else { task.clone() };
    (dataset, task)
}

fn harness_name(dataset: &str) -> String {
    dataset.trim_end_matches("-validation").replace('-', "_")
}

/// Prints a row; whether the log-likelihoods are close and all decisions the same.
fn compare(name: &str, ours: &Answers, theirs: &Answers) -> Result<bool> {
    let (n, expected) = (ours.items.len(), theirs.items.len());
    ensure!(n == expected, "{name}: {n} items, the harness has {expected}");
    let both = || ours.items.iter().zip(&theirs.items);
    let n_choices: usize = ours.items.iter().map(|own| own.loglikelihoods.len()).sum();
    let is_other = |(a, b): &(&Answer, &Answer)| {
        a.acc != b.acc || a.acc_norm != b.acc_norm || a.gold != b.gold
    };
    let other: Vec<String> = both()
        .enumerate()
        .filter(|(_, pair)| is_other(pair))
        .map(|(item, (a, b))| format!("{item}: {:?} and {:?}", a.loglikelihoods, b.loglikelihoods))
        .collect();
    let share = |of: &Answers, is_right: fn(&Answer) -> Option<bool>| {
        let right: Option<Vec<bool>> = of.items.iter().map(is_right).collect();
        right.map_or_else(String::new, |right| {
            let n_right = right.iter().filter(|right| **right).count();
            format!("{:.3}", n_right as f64 / right.len() as f64)
        })
    };
    let apart = farthest(ours, theirs);
    println!(
        "| {name} | {n} | {n_choices} | {apart:.1e} | {} | {} | {} | {} | {} |",
        share(ours, |own| Some(own.acc)),
        share(theirs, |own| Some(own.acc)),
        share(ours, |own| own.acc_norm),
        share(theirs, |own| own.acc_norm),
        other.len(),
    );
    other.iter().for_each(|item| println!("  item {item}"));
    Ok(apart < NATS && other.is_empty())
}

/// The largest difference of two log-likelihoods, nats; infinite where one is not a number or missing.
fn farthest(ours: &Answers, theirs: &Answers) -> f64 {
    let mut largest = 0.0_f64;
    for (a, b) in ours.items.iter().zip(&theirs.items) {
        if a.loglikelihoods.len() != b.loglikelihoods.len() {
            return f64::INFINITY;
        }
        for (a, b) in a.loglikelihoods.iter().zip(&b.loglikelihoods) {
            let off = (a - b).abs();
            largest = if off.is_nan() { f64::INFINITY } else { largest.max(off) };
        }
    }
    largest
}

fn of_harness(task: &Value) -> Result<Answers> {
    let is_right = |value: &Value| value.as_f64().map(|value| value == 1.0);
    let items = task["items"].as_array().context("a task of the harness has no items")?;
    let answer = |item: &Value| {
        let choices = item["choices"].as_array().context("an item has no choices")?;
        let number = |own: &Value| own["loglikelihood"].as_f64().unwrap_or(f64::NAN);
        Ok(Answer {
            gold: item["gold"].as_u64().context("an item has no gold")?,
            acc: is_right(&item["acc"]).context("an item has no acc")?,
            acc_norm: is_right(&item["acc_norm"]),
            loglikelihoods: choices.iter().map(number).collect(),
        })
    };
    let seconds = task["seconds"].as_f64().context("a task has no seconds")?;
    Ok(Answers { seconds, items: items.iter().map(answer).collect::<Result<_>>()? })
}

fn of_worker(cell: &Value) -> Result<Answers> {
    let items = cell["items"].as_array().context("a cell has no items")?;
    let answer = |item: &Value| {
        let numbers = item["loglikelihoods"].as_array().context("an item has no choices")?;
        Ok(Answer {
            gold: item["gold"].as_u64().context("an item has no gold")?,
            acc: item["acc"].as_bool().context("an item has no acc")?,
            acc_norm: item["acc_norm"].as_bool(),
            loglikelihoods: numbers.iter().map(|own| own.as_f64().unwrap_or(f64::NAN)).collect(),
        })
    };
    let seconds = cell["seconds"].as_f64().context("a cell has no seconds")?;
    Ok(Answers { seconds, items: items.iter().map(answer).collect::<Result<_>>()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(loglikelihoods: &[f64], acc: bool) -> Answers {
        let loglikelihoods = loglikelihoods.to_vec();
        let items = vec![Answer { gold: 0, acc, acc_norm: None, loglikelihoods }];
        Answers { seconds: 1.0, items }
    }

    #[test]
    fn what_is_apart_is_seen() {
        let same = |a: &Answers, b: &Answers| compare("t", a, b).unwrap();
        let own = answers(&[-1.0, -2.0], true);
        assert!(same(&own, &answers(&[-1.0005, -2.0], true)));
        assert!(!same(&own, &answers(&[-1.002, -2.0], true)));
        assert!(!same(&own, &answers(&[f64::NAN, -2.0], true)));
        assert!(!same(&own, &answers(&[-1.0], true)));
        assert!(!same(&own, &answers(&[-1.0, -2.0], false)));
        let none = Answers { seconds: 1.0, items: Vec::new() };
        assert!(compare("t", &own, &none).is_err());
    }

    #[test]
    fn names_go_both_ways() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("sciq_validation.jsonl"), "").unwrap();
        let sciq = ours_of("sciq", folder.path());
        assert_eq!(sciq, ("sciq-validation".to_owned(), "sciq".to_owned()));
        assert_eq!(harness_name(&sciq.0), "sciq");
        assert_eq!(ours_of("mmlu_global_facts", folder.path()).0, "mmlu-global-facts");
        assert_eq!(harness_name("mmlu-global-facts"), "mmlu_global_facts");
    }
}
