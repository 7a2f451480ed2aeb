//! The tables of the atlas: every column in its order, gaps kept, whole files only.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs::{self, File};
use std::path::Path;

use arrow_array::{Array, Float64Array, RecordBatch, StringArray};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tables::{
    AttentionSiteRow, OverlapMeanRow, PersistenceRow, ProxyGapRow, SimilarityRow, atlas_columns,
    write_attention_sites, write_overlap_means, write_persistence, write_proxy_gaps,
    write_similarities,
};

fn only_batch(path: &Path) -> RecordBatch {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let pairs = builder.metadata().file_metadata().key_value_metadata().unwrap();
    let settings = pairs.iter().find(|pair| pair.key == "slim.settings").unwrap();
    assert_eq!(settings.value.as_deref(), Some("{\"seed\":1}"));
    let batches: Vec<RecordBatch> = builder.build().unwrap().map(Result::unwrap).collect();
    batches.into_iter().next().unwrap()
}

fn similarity(site: Option<u32>, value: Option<f64>) -> SimilarityRow {
    SimilarityRow {
        model: "m".to_owned(),
        part: "ffn",
        first_dataset: "a".to_owned(),
        second_dataset: "b".to_owned(),
        first: "magnitude",
        second: "weight",
        measure: "spearman",
        sparsity: None,
        dropped_tokens: site.map(|_| 16),
        site,
        layer: site,
        n: 4,
        value,
        lower: None,
        upper: None,
    }
}

#[test]
fn rows_come_back_with_their_gaps() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(format!("atlas/{name}.parquet"));
    let settings = "{\"seed\":1}";
    let (model, dataset) = ("m".to_owned(), "a".to_owned());
    let rows = [similarity(Some(0), Some(-0.5)), similarity(None, None)];
    write_similarities(&at("similarities"), &rows, settings).unwrap();
    let gap = ProxyGapRow {
        model: model.clone(),
        dataset: dataset.clone(),
        channels: 8,
        pearson: None,
        sparsity: 0.5,
        phantom: 0.25,
        corporeal: 0.25,
    };
    write_proxy_gaps(&at("proxy_gap"), &[gap], settings).unwrap();
    let bin = PersistenceRow {
        model: model.clone(),
        dataset: dataset.clone(),
        dropped_tokens: 16,
        half_life_from: 64.0,
        half_life_below: None,
        channels: 2,
        half_life: 128.0,
        ablation: Some(0.1),
        ablation_read: None,
        ablation_write: None,
        write_over_read: None,
    };
    write_persistence(&at("persistence"), &[bin], settings).unwrap();
    let overlap = OverlapMeanRow {
        model: model.clone(),
        dataset: dataset.clone(),
        score: "magnitude",
        sparsity: 0.9,
        lag_tokens: 1,
        sites: 2,
        overlap: 0.4,
        lower: None,
        upper: None,
        jaccard: 0.2,
        by_chance: 0.1,
    };
    write_overlap_means(&at("overlap"), &[overlap], settings).unwrap();
    let site = AttentionSiteRow {
        model,
        dataset,
        sparsity: 0.9,
        site: 0,
        layer: 2,
        heads: 4,
        sinks: 0.5,
        sinks_by_chance: 0.25,
        recent: 0.25,
        recent_by_chance: 0.5,
        entropy: 0.75,
        rho_key_size: Some(-0.5),
        rho_key_size_least: Some(-1.0),
        rho_key_size_largest: Some(0.0),
        rho_value_size: None,
        half_life_tokens: None,
    };
    write_attention_sites(&at("attention"), &[site], settings).unwrap();

    for (name, columns) in atlas_columns() {
        let batch = only_batch(&at(name));
        let schema = batch.schema();
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let expected: Vec<&str> = columns.iter().map(|column| column.name).collect();
        assert_eq!(names, expected, "{name}");
    }
    let batch = only_batch(&at("similarities"));
    let column = |name: &str| batch.column_by_name(name).unwrap();
    let values: &Float64Array = column("value").as_any().downcast_ref().unwrap();
    assert_eq!((values.value(0), values.is_null(1)), (-0.5, true));
    for name in ["dropped_tokens", "site"] {
        assert!(column(name).is_valid(0) && column(name).is_null(1), "{name}");
    }
    let second: &StringArray = column("second_dataset").as_any().downcast_ref().unwrap();
    assert_eq!(second.value(1), "b");
    let batch = only_batch(&at("attention"));
    let column = |name: &str| batch.column_by_name(name).unwrap();
    let rho: &Float64Array = column("rho_key_size").as_any().downcast_ref().unwrap();
    assert_eq!(rho.value(0), -0.5);
    assert!(column("rho_value_size").is_null(0) && column("half_life_tokens").is_null(0));
    // Nothing but the five files is left.
    assert_eq!(fs::read_dir(folder.path().join("atlas")).unwrap().count(), 5);
}
