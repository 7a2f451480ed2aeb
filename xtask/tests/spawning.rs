//! How `run-grid` follows its worker: events, exit codes, stopping. The worker here is a script that
//! computes nothing; what a real one stores is tested where the worker is.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Bench, stderr, stdout};
use serde_json::Value;

/// A shell script as worker (`run` and `inspect`), and one as report.
fn scripts(bench: &Bench, worker: &str) {
    let report = "while [ $# -gt 0 ]; do case $1 in --out) echo made > \"$2\"; shift;; esac; shift; \
                  done; echo '# report'";
    bench.worker(worker);
    bench.script("no-report", report);
}

fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn send(signal: &str, pid: u32) {
    let sent = Command::new("kill").args([signal, &pid.to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn events_become_lines_and_the_code_passes_through() {
    let bench = Bench::new();
    let pipeline = bench.own_pipeline();
    scripts(
        &bench,
        r#"echo "loading" >&2
echo '{"event":"phase","message":"calibrating"}'
ids=$(grep -o '"id": *"[0-9a-f]*"' "$3" | cut -d'"' -f4)
set -- $ids
echo '{"event":"cell_start","id":"'$1'","label":"","units":2}'
echo '{"event":"cell_done","id":"'$1'","seconds":1.5,"tokens_per_second":100.0}'
echo '{"event":"cell_failed","id":"'$2'","error":"layer 3: not a number"}'
echo '{"event":"end","done":1,"failed":1,"stopped":false}'
exit 1"#,
    );
    let output = bench.run(&["run-grid", &pipeline, "--json"]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let always = [
        "own: 2 cells: 2 new, 0 done, 0 failed",
        "loading",
        "[2/2] mine text ppl-64 dynamic κ=.5 magnitude: FAILED: layer 3: not a number",
        "mine: 1 cells in 2 s, 1 failed",
    ];
    let verbose = ["calibrating", "[1/2] mine text ppl-64 dense: done, 1.5 s, 100 tokens/s"];
    for expected in always {
        assert!(text.contains(expected), "expected {expected:?} in {text}");
    }
    for other in verbose {
        assert!(!text.contains(other), "{other:?} in {text}");
    }
    let more = stderr(&bench.run(&["run-grid", &pipeline, "--json", "--verbose"]));
    for expected in always.iter().chain(&verbose) {
        assert!(more.contains(expected), "expected {expected:?} in {more}");
    }
    let answer: Value = serde_json::from_str(&stdout(&output)).expect("one JSON object, no more");
    assert_eq!(answer["exit"], 1);
    assert_eq!(answer["run"], "own");
    assert_eq!(answer["cells"]["total"], 2);
    assert_eq!(answer["cells"]["new"], 2, "the script stored nothing");
    let report = answer["report"].as_str().unwrap();
    assert!(report.ends_with("results/own/report.html"), "{report}");
    assert_eq!(fs::read_to_string(bench.results().join("own/report.md")).unwrap(), "made\n");
    let run = bench.results().join("own");
    assert_eq!(fs::read_to_string(run.join("plan.toml")).unwrap(), common::OWN_PIPELINE);
    let order: plan::WorkOrder =
        serde_json::from_str(&fs::read_to_string(run.join("order.json")).unwrap()).unwrap();
    assert_eq!(order.cells.len(), 2);
    assert!(order.provenance.command.starts_with("cargo xtask run-grid"));
    assert!(order.models[0].path.is_absolute() && order.texts[0].path.is_absolute());
}

#[test]
fn a_comparison_is_passed_on_to_the_report() {
    let bench = Bench::new();
    bench.script("no-report", "echo \"$@\"");
    let output = bench.run(&["report", "--compare", "a", "b", "--out", "c.md"]);
    assert_eq!(stdout(&output), "--compare a b --out c.md\n", "{}", stderr(&output));
    let output = bench.run(&["report", "--compare", "a", "b", "--json"]);
    assert_eq!(stdout(&output), "--compare a b --json\n");
    let output = bench.run(&["report", "--results", "a"]);
    let passed = stdout(&output);
    assert!(passed.starts_with("--results a --claims "), "{passed}");
    assert!(passed.contains("two-ways.toml --sweeps "), "{passed}");
    let output = bench.run(&["report", "--compare", "a", "b", "--results", "c"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}

#[test]
fn a_filter_runs_a_part_and_leaves_the_whole_order_for_the_report() {
    let bench = Bench::new();
    let pipeline = bench.own_pipeline();
    scripts(&bench, "cp \"$3\" got.json");
    let args = ["run-grid", &pipeline, "--filter", "policy=dense", "--no-report", "--json"];
    let output = bench.run(&args);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let n_cells = |path: &Path| {
        let order: plan::WorkOrder =
            serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        order.cells.len()
    };
    assert_eq!(n_cells(Path::new(&bench.path("got.json"))), 1);
    assert_eq!(n_cells(&bench.results().join("own/order.json")), 2);
    let answer: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((&answer["cells"]["total"], &answer["report"]), (&1.into(), &Value::Null));
}

/// What is proposed goes on with the run that was asked about.
#[test]
fn status_proposes_what_goes_on_with_the_run() {
    let bench = Bench::new();
    let pipeline = bench.own_pipeline();
    bench.worker("");
    let results = bench.results();
    let results = results.to_str().unwrap();
    let output = bench.run(&["run-grid", &pipeline, "--no-report", "--results", results]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let begun = format!("cargo xtask run-grid {pipeline} --no-report --results {results}");
    let folder = format!("{results}/own");
    for (args, expected) in [
        (
            vec!["status", &pipeline, "--results", results],
            format!("at work: cargo xtask run-grid {pipeline} --results {results}\n"),
        ),
        (vec!["status", &folder], format!("the run was begun by\n  {begun}\n")),
    ] {
        let text = stdout(&bench.run(&args));
        assert!(text.contains("2 cells are left, and nobody is at work"), "{text}");
        assert!(text.ends_with(&expected), "expected {expected:?} in {text}");
    }
}

#[test]
fn a_dry_run_lists_cells_and_totals_and_writes_nothing() {
    let bench = Bench::new();
    let pipeline = bench.own_pipeline();
    scripts(
        &bench,
        r#"ids=$(grep -o '"id":"[0-9a-f]*"' "$3" | cut -d'"' -f4)
set -- $ids
echo '{"models":[{"name":"mine","parameters":10,"peak_memory_bytes":1073741824}],"cells":[
{"id":"'$1'","units":2,"tokens":128,"flops_per_token":10.0,"flops_expected":1280.0,"seconds_expected":30.0},
{"id":"'$2'","units":2,"tokens":128,"flops_per_token":5.0,"flops_expected":640.0,"seconds_expected":60.0}],
"peak_memory_bytes":1073741824,"seconds_expected":90.0}'"#,
    );
    let output = bench.run(&["run-grid", &pipeline, "--dry-run"]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    for expected in [
        "new     ",
        "mine text ppl-64 dynamic κ=.5 magnitude",
        "2 cells: 2 new, 0 done, 0 failed",
        "peak memory expected: 1.00 GiB",
        "time expected for what is not done, without calibration: 1.5 min",
    ] {
        assert!(text.contains(expected), "expected {expected:?} in {text}");
    }
    let output = bench.run(&["run-grid", &pipeline, "--dry-run", "--json"]);
    let answer: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(answer["seconds_expected"], 90.0);
    assert_eq!(answer["cells"][0]["flops"], 1280.0);
    assert_eq!(answer["cells"][0]["status"], "new");
    assert!(!bench.results().exists());
}

#[test]
fn ctrl_c_waits_for_the_worker_and_says_how_to_go_on() {
    let bench = Bench::new();
    let pipeline = bench.own_pipeline();
    // Ends when its standard input closes, as the worker does.
    scripts(&bench, "echo started > started; cat > /dev/null; echo clean > ended; exit 5");
    let mut command = bench.command(&["run-grid", &pipeline, "--json"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for("the worker", || Path::new(&bench.path("started")).exists());
    send("-INT", child.id());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    assert!(stderr(&output).contains("stopped; run the same command again to resume"));
    assert!(Path::new(&bench.path("ended")).exists(), "the worker ended by itself");
    let answer: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((&answer["exit"], &answer["report"]), (&5.into(), &Value::Null));
}

#[test]
fn a_killed_xtask_takes_its_worker_along() {
    let bench = Bench::new();
    let pipeline = bench.own_pipeline();
    scripts(&bench, "echo started > started; cat > /dev/null; echo clean > ended");
    let mut command = bench.command(&["run-grid", &pipeline]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the worker", || Path::new(&bench.path("started")).exists());
    send("-KILL", child.id());
    child.wait().unwrap();
    wait_for("the worker's end", || Path::new(&bench.path("ended")).exists());
}

#[test]
fn a_killed_worker_leaves_a_run_that_can_be_resumed() {
    let bench = Bench::new();
    let pipeline = bench.own_pipeline();
    scripts(&bench, "kill -KILL $$");
    let output = bench.run(&["run-grid", &pipeline]);
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    assert!(stderr(&output).contains("the worker was killed"), "{}", stderr(&output));
    assert!(stderr(&output).contains("run the same command again"), "{}", stderr(&output));
}

#[test]
fn runs_share_a_results_folder_and_say_so() {
    let bench = Bench::new();
    let pipeline = bench.own_pipeline();
    scripts(&bench, "exit 0");
    let run = runs::RunFolder::open(&bench.results().join("own")).unwrap();
    let others = run.join(runs::Pace::default()).unwrap();
    let output = bench.run(&["run-grid", &pipeline]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let expected = format!("{} is at work in this run", files::Process::own().describe());
    assert!(stderr(&output).contains(&expected), "{}", stderr(&output));
    drop(others);
    let output = bench.run(&["run-grid", &pipeline]);
    assert!(!stderr(&output).contains("is at work"), "{}", stderr(&output));
}

/// Answers `inspect` with the cells of the order, each twice as dear as the one before; `run` keeps the ids
/// that it is given.
const SHARING: &str = r#"
ids=$(grep -o '"id": *"[0-9a-f]*"' "$3" | cut -d'"' -f4)
set -- "$1" $ids
if [ "$1" = run ]; then shift; echo "$@" >> ids; exit 0; fi
cost=1; cells=; shift
for id in "$@"; do
  cells="$cells,{\"id\":\"$id\",\"units\":1,\"tokens\":1,\"flops_per_token\":1.0,\"flops_expected\":$cost.0,\"seconds_expected\":$cost.0}"
  cost=$((cost * 2))
done
echo "{\"models\":[{\"name\":\"mine\",\"parameters\":1,\"peak_memory_bytes\":9}],\"cells\":[${cells#,}],\"peak_memory_bytes\":9,\"seconds_expected\":3.0}""#;

#[test]
fn shares_are_the_whole_and_no_cell_is_in_two() {
    let bench = Bench::new();
    let pipeline = bench.own_pipeline();
    scripts(&bench, SHARING);
    let listed = |shard: &str| -> Vec<String> {
        let output = bench.run(&["run-grid", &pipeline, "--dry-run", "--json", "--shard", shard]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let answer: Value = serde_json::from_str(&stdout(&output)).unwrap();
        let cells = answer["cells"].as_array().unwrap();
        assert_eq!(answer["total"], cells.len());
        cells.iter().map(|cell| cell["id"].as_str().unwrap().to_owned()).collect()
    };
    let whole = listed("1/1");
    assert_eq!(whole.len(), 2);
    let shares = [listed("1/2"), listed("2/2")];
    assert!(shares.iter().all(|share| share.len() == 1), "{shares:?}");
    let mut both = shares.concat();
    both.sort_by_key(|id| whole.iter().position(|other| other == id));
    assert_eq!(both, whole);
    assert!(listed("9/9").is_empty());

    for (shard, share) in ["1/2", "2/2"].into_iter().zip(&shares) {
        let output = bench.run(&["run-grid", &pipeline, "--shard", shard]);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(0), "{text}");
        assert!(text.contains(&format!("own, share {shard}: 1 cells: 1 new")), "{text}");
        // The script stores nothing, so both cells are left, and nobody is the last.
        let left = format!("share {shard} is through; other shares have 2 cells left");
        assert!(text.contains(&left), "{text}");
        assert!(!bench.results().join("own/report.md").exists());
        let ids = fs::read_to_string(bench.path("ids")).unwrap();
        assert_eq!(ids.lines().last(), Some(share[0].as_str()));
    }
    // The order beside the results is always the whole.
    let order = fs::read_to_string(bench.results().join("own/order.json")).unwrap();
    assert!(whole.iter().all(|id| order.contains(id)));
    let output = bench.run(&["run-grid", &pipeline, "--shard", "3/2"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("write I/N"), "{}", stderr(&output));
}

/// A worker that folds one folder, and takes note of what it is asked for.
const FOLDING: &str = r#"echo "$@" >> asked
echo '{"event":"begin","partitions":1,"cells":6000}'
echo '{"event":"progress","partitions_done":1,"cells_done":6000}'
echo '{"event":"end","partitions":1,"cells":6000,"files_before":6000,"files_after":2,"stopped":false}'
exit ${CODE:-0}"#;

#[test]
fn files_are_folded_run_by_run() {
    let bench = Bench::new();
    scripts(&bench, FOLDING);
    bench.write("results/a/windows/x", "");
    bench.write("results/b/order.json", "");
    let output = bench.run(&["compact", "results"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let folded = "6000 cells folded: 6000 files are 2 now\n";
    assert_eq!(stdout(&output), format!("results/a: {folded}results/b: {folded}"));
    let output = bench.run(&["compact", "results/a", "--dry-run", "--json"]);
    let answer: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((&answer["exit"], &answer["runs"][0]["cells"]), (&0.into(), &6000.into()));
    let asked = fs::read_to_string(bench.path("asked")).unwrap();
    let asked: Vec<&str> = asked.lines().collect();
    assert_eq!(asked[1], "compact --results results/b --at-least 0");
    assert_eq!(asked[2], "compact --results results/a --at-least 0 --dry-run");
    for code in [4, 5] {
        let mut command = bench.command(&["compact", "results"]);
        let output = command.env("CODE", code.to_string()).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
    }
    let output = bench.run(&["compact", "data"]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert!(stderr(&output).contains("data holds no run"), "{}", stderr(&output));
}

/// A run that ends with many cells in files of their own is folded, unless that is declined; a small one is
/// not even looked at.
#[test]
fn a_large_run_is_folded_when_it_ends() {
    let bench = Bench::new();
    let pipeline = bench.own_pipeline();
    let body = format!("if [ $1 = run ]; then exit 0; fi\n{FOLDING}");
    let asked = || fs::read_to_string(bench.path("asked")).unwrap_or_default();
    scripts(&bench, &body);
    let run = |more: &[&str]| {
        let args = [&["run-grid", &pipeline, "--no-report"], more].concat();
        let output = bench.run(&args);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        stderr(&output)
    };
    run(&[]);
    assert_eq!(asked(), "");
    let script = fs::read_to_string(bench.path("no-worker")).unwrap();
    bench.script("no-worker", &script.replace("\"single_files\":0", "\"single_files\":5999"));
    run(&["--no-compact"]);
    assert_eq!(asked(), "");
    let told = run(&[]);
    assert!(told.contains("6000 cells folded: 6000 files are 2 now"), "{told}");
    assert!(asked().trim_end().ends_with("own --at-least 5000"), "{}", asked());
    // What goes wrong then is no failure of the run.
    let mut command = bench.command(&["run-grid", &pipeline, "--no-report"]);
    let output = command.env("CODE", "4").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(stderr(&output).contains("warning: the results are stored, but not folded"));
}

/// Ctrl-C in the middle of the second model: the rows of the first are there, and the processes that are timed
/// have ended without a word.
#[test]
fn a_stopped_speed_keeps_what_it_has_timed() {
    let bench = Bench::new();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/models/qwen2-silu");
    let entry = |name: &str| {
        let path = model.display();
        format!("[[model]]\nname = \"{name}\"\npath = \"{path}\"\nrow = [{{ name = \"dense\" }}]\n")
    };
    let plan = bench.write("speed.toml", &(entry("first") + &entry("second")));
    bench.worker(
        r#"if [ $1 = speed-table ]; then exit; fi
echo $$ >> pids
echo '{"ids":[1,2,3],"parameters":1,"stored_bytes":4}'
while read -r ask; do
    case $ask in
    *loss*) echo '{"perplexity":null,"zeros":0.5}';;
    *) echo '{"tokens":2,"seconds":0.5,"core_seconds":1.0,"nll_nats":1.0,"peak_rss_bytes":8}';;
    esac
done"#,
    );
    let results = bench.path("speed");
    let mut command =
        bench.command(&["speed", "--plan", &plan, "--repeats", "2", "--results", &results]);
    let log = fs::File::create(bench.path("log")).unwrap();
    let mut child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
    let said = || fs::read_to_string(bench.path("log")).unwrap();
    wait_for("the second model", || said().contains("second: warming up"));
    send("-INT", child.id());
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(5), "{}", said());
    assert!(said().contains("what was timed before second is kept"), "{}", said());
    assert!(said().trim_end().ends_with("stopped"), "{}", said());
    let kept: Value =
        serde_json::from_str(&fs::read_to_string(bench.path("speed/speed.json")).unwrap()).unwrap();
    assert_eq!(kept["rows"][0]["model"], "first");
    assert_eq!(kept["rows"].as_array().unwrap().len(), 1);
    let pids = fs::read_to_string(bench.path("pids")).unwrap();
    for pid in pids.lines() {
        assert!(!Path::new("/proc").join(pid).exists(), "{pid} is still there");
    }
}
