//! Files that a killed process, a full disk or a flipped bit leave behind: listed, never fatal.

use std::fs;

use plan::{Cell, Policy};

use crate::fixtures::{
    Results, dense, pruned, put, put_order, record, row, table_rows, text_cell, windows,
};

#[test]
fn unreadable_files_are_listed_and_their_cells_are_missing() {
    let results = Results::new();
    let store = results.run("run");
    put(&store, "00", dense(), &[0.0; 4]);
    let path = put(&store, "01", pruned(Policy::Dynamic, 0.9), &[50.0; 4]);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let folder = path.parent().unwrap();
    fs::write(folder.join("02.parquet"), "this is no table").unwrap();
    fs::write(folder.join("03.parquet"), "").unwrap();
    fs::write(folder.join(".04.17.tmp"), "unfinished").unwrap();
    fs::create_dir_all(store.folder().join("failures")).unwrap();
    fs::write(store.folder().join("failures/05.parquet"), "PAR1 PAR1").unwrap();
    let order = [("00", text_cell(dense())), ("01", text_cell(pruned(Policy::Dynamic, 0.9)))];
    put_order(&store, &order);

    let page = results.page();
    let place = "windows/model=smollm2/dataset=wikitext2/sparsity=0.9/window=1";
    for name in ["01", "02", "03"] {
        let file = format!("`{place}/{name}.parquet`");
        assert!(row(&page, &[&file])[1].contains("Parquet"), "{page}");
    }
    row(&page, &["`failures/05.parquet`"]);
    assert!(!page.contains(".tmp"), "{page}");
    let label = "smollm2 wikitext2 ppl-101 dynamic κ=.9 magnitude";
    assert_eq!(row(&page, &[label]), [label, "`01`", "its file is unreadable"]);
    let counts = "- Of 2 cells ordered: 1 done, 0 failed, 1 missing; 4 files unreadable.\n";
    assert!(page.contains(counts), "{page}");
    // What can be read is still reported.
    assert_eq!(row(&page, &["dense"])[5], "20.086");
}

#[test]
fn a_file_that_was_moved_or_renamed_is_not_believed() {
    let results = Results::new();
    let store = results.run("run");
    put(&store, "00", dense(), &[0.0; 4]);
    let path = put(&store, "01", pruned(Policy::Dynamic, 0.9), &[50.0; 4]);
    let elsewhere = store.folder().join("windows/model=smollm2/dataset=c4/sparsity=0.9/window=1");
    fs::create_dir_all(&elsewhere).unwrap();
    fs::copy(&path, elsewhere.join("01.parquet")).unwrap();
    fs::rename(&path, path.with_file_name("02.parquet")).unwrap();
    let page = results.page();
    let rows = table_rows(&page);
    let reason = |part: &str| {
        rows.iter().find(|row| row[0].contains(part)).unwrap_or_else(|| panic!("{page}"))[1]
    };
    let belongs =
        "its rows belong to windows/model=smollm2/dataset=wikitext2/sparsity=0.9/window=1";
    assert!(reason("dataset=c4").starts_with(belongs), "{page}");
    assert_eq!(reason("02.parquet"), "its rows are of cell 01, its name says 02");
    assert!(!rows.iter().any(|row| row[0] == "dynamic"), "{page}");
}

#[test]
fn a_damaged_order_is_listed_and_missing_cells_are_not_guessed() {
    let results = Results::new();
    let store = results.run("run");
    put(&store, "00", dense(), &[0.0; 4]);
    fs::write(store.folder().join("order.json"), "{\"run\": \"smol").unwrap();
    let page = results.page();
    assert!(page.starts_with("# Report: run\n"), "{page}");
    assert!(page.contains("WARNING: no readable order.json"), "{page}");
    assert!(row(&page, &["`order.json`"])[1].starts_with("it is not a work order"), "{page}");
    assert!(page.contains("- Cells: 1 done, 0 failed; 1 file unreadable.\n"), "{page}");
}

/// Flips bits all over a good file. Every copy is either listed or was not harmed where it matters;
/// its name is another cell's, so none may be shown as a result.
#[test]
fn no_flipped_bit_ends_the_report() {
    let results = Results::new();
    let store = results.run("run");
    put(&store, "00", dense(), &[0.0; 4]);
    let path = put(&store, "01", pruned(Policy::Dynamic, 0.9), &[50.0; 4]);
    let good = fs::read(&path).unwrap();
    let n_copies = 200;
    for copy in 0..n_copies {
        let mut bytes = good.clone();
        let position = copy * bytes.len() / n_copies;
        bytes[position] ^= 1 << (copy % 8);
        fs::write(path.with_file_name(format!("f{copy:03}.parquet")), bytes).unwrap();
    }
    let page = results.page();
    let n_listed = table_rows(&page).iter().filter(|row| row[0].contains("/f")).count();
    assert_eq!(n_listed, n_copies);
    assert_eq!(row(&page, &["dynamic"])[6], "1.649");
}

/// Folder names have no type of their own; models that are one number and a text that is a date stay apart.
#[test]
fn names_that_look_like_numbers_or_dates_survive() {
    let results = Results::new();
    let store = results.run("run");
    let models = ["01001", "1001", "1e3"];
    for (number, model) in models.into_iter().enumerate() {
        let of = |treatment| Cell {
            model: model.to_owned(),
            dataset: "2024-01-01".to_owned(),
            ..text_cell(treatment)
        };
        for (kind, treatment) in [("0", dense()), ("1", pruned(Policy::Dynamic, 0.9))] {
            let record = record(&format!("{number}{kind}"), of(treatment), "code-a");
            store.write_windows(&record, &windows(&[number as f64; 4])).unwrap();
        }
    }
    let output = results.report(&["--results", "run", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let tables = json["runs"][0]["perplexity_tables"].as_array().unwrap();
    let names: Vec<_> =
        tables.iter().map(|t| (t["model"].as_str(), t["dataset"].as_str())).collect();
    assert_eq!(names, models.map(|model| (Some(model), Some("2024-01-01"))));
    for table in tables {
        assert_eq!(table["rows"].as_array().unwrap().len(), 2, "{table}");
    }
}
