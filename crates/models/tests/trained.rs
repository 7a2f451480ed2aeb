//! The small models of the project: what transformers computes with the committed folders
//! (`trained/make.py`) is computed here, within 1e-4.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]
#![allow(clippy::print_stdout, reason = "what a test saw")]

use std::path::Path;

use models::{Batch, Dense, Device, into_values, load};
use safetensors::SafeTensors;

#[test]
fn trained_models_equal_transformers() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut names: Vec<_> = std::fs::read_dir(here.join("../../data/models"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    names.sort();
    assert!(names.len() >= 6, "{names:?}");
    for folder in names {
        let name = folder.file_name().unwrap().to_str().unwrap();
        let bytes = std::fs::read(here.join(format!("tests/trained/{name}.safetensors"))).unwrap();
        let expected = SafeTensors::deserialize(&bytes).unwrap();
        let loaded = load(&folder, &Device::flex()).unwrap();
        let mut worst = 0.0_f64;
        for number in 0.. {
            let Ok(ids) = expected.tensor(&format!("ids.{number}")) else { break };
            let (ids, _) = ids.data().as_chunks::<8>();
            let ids: Vec<u32> = ids.iter().map(|id| i64::from_le_bytes(*id) as u32).collect();
            let logits = expected.tensor(&format!("logits.{number}")).unwrap();
            let [rows, vocabulary] = logits.shape() else { panic!("a matrix") };
            let (values, _) = logits.data().as_chunks::<4>();
            let hidden = loaded.model.forward(&Batch::new([&ids[..]]), &mut Dense).unwrap();
            let found = into_values(loaded.model.logits(hidden));
            let found = &found[(ids.len() - rows) * vocabulary..];
            let values: Vec<f32> = values.iter().map(|value| f32::from_le_bytes(*value)).collect();
            worst = worst.max(vector::worst(found, &values));
        }
        println!("{name}: largest difference {worst:.1e}");
        assert!(worst < 1e-4, "{name}: {worst}");
    }
}
