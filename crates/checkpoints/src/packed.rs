//! Matrices of few bits as compressed-tensors packs them (`pack-quantized`), read as the numbers that they
//! stand for: `w = s·(q − z)`, with `q` and `z` in `0..2^b` side by side in words of 32 bits.
//!
//! The rest of the checkpoint is as in any folder; a packed matrix has the name that it would have whole.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    Conversion, LoadError, Source, folder::Folder, numbers::count, read_text,
    safetensors::SafetensorsFile,
};

/// How the matrices of a checkpoint are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packing {
    bits: u32,
    /// Consecutive inputs that share a scale; none where a whole row does.
    group: Option<usize>,
    /// Whether there are no zeros: `z` is then half of the range.
    is_symmetric: bool,
}

/// Names of numbers of so many bits.
const NAMES: [&str; 8] = ["I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8"];

const PACKED: &str = ".weight_packed";

impl Packing {
    /// What the `config.json` of a folder says; none where it says nothing of this layout.
    ///
    /// # Errors
    /// A file that cannot be read, or this layout with settings that are not read.
    pub(crate) fn of_folder(folder: &Path) -> Result<Option<Self>, LoadError> {
        let path = folder.join("config.json");
        if !path.is_file() {
            return Ok(None);
        }
        // Whoever needs the config says what is wrong with it.
        let config: Value = serde_json::from_str(&read_text(&path)?).unwrap_or_default();
        let said = &config["quantization_config"];
        if said["quant_method"] != "compressed-tensors" || said["format"] != "pack-quantized" {
            return Ok(None);
        }
        Self::of(said).map(Some).map_err(|reason| LoadError::Config {
            path,
            field: "quantization_config".to_owned(),
            reason,
        })
    }

    fn of(said: &Value) -> Result<Self, String> {
        let groups = said["config_groups"].as_object().into_iter().flatten();
        let all = groups.map(|(_, group)| Self::of_group(group)).collect::<Result<Vec<_>, _>>()?;
        match all.as_slice() {
            [first, rest @ ..] if rest.iter().all(|other| other == first) => Ok(*first),
            [] => Err("has no `config_groups`".to_owned()),
            _ => Err("packs some matrices otherwise than others, which is not read".to_owned()),
        }
    }

    fn of_group(group: &Value) -> Result<Self, String> {
        let weights = &group["weights"];
        if !group["input_activations"].is_null() || weights["type"] != "int" {
            return Err(
                "rounds what matrices are multiplied with, or to floats, which is not read"
                    .to_owned(),
            );
        }
        let bits = weights["num_bits"].as_u64().and_then(|bits| u32::try_from(bits).ok());
        let bits = bits.filter(|bits| (1..=8).contains(bits));
        let bits =
            bits.ok_or_else(|| format!("has `num_bits` {}, expected 1 to 8", weights["num_bits"]))?;
        let group = match weights["strategy"].as_str() {
            Some("channel") => None,
            Some("group") => {
                let size =
                    weights["group_size"].as_u64().and_then(|size| usize::try_from(size).ok());
                let size = size.filter(|size| *size > 0);
                Some(size.ok_or_else(|| format!("has `group_size` {}", weights["group_size"]))?)
            }
            _ => {
                return Err(format!(
                    "has `strategy` {}, expected group or channel",
                    weights["strategy"]
                ));
            }
        };
        Ok(Self { bits, group, is_symmetric: weights["symmetric"] != false })
    }

    fn words(self, numbers: usize) -> usize {
        numbers.saturating_mul(self.bits as usize).div_ceil(32)
    }
}

/// Number `at` of a row of words.
fn number(words: &[u32], at: usize, bits: u32) -> u32 {
    let start = at * bits as usize;
    let wide = u64::from(words[start / 32])
        | u64::from(words.get(start / 32 + 1).copied().unwrap_or(0)) << 32;
    (wide >> (start % 32)) as u32 & ((1 << bits) - 1)
}

/// A folder with packed matrices.
pub(crate) struct Packed {
    inner: Folder<SafetensorsFile>,
    packing: Packing,
    /// Rows and columns of packed matrices, under the names that they would have whole.
    matrices: BTreeMap<String, [usize; 2]>,
}

impl Packed {
    /// The folder with its matrices under their names.
    ///
    /// # Errors
    /// Parts that are missing or do not fit each other.
    pub(crate) fn of(inner: Folder<SafetensorsFile>, packing: Packing) -> Result<Self, LoadError> {
        let mut packed = Self { inner, packing, matrices: BTreeMap::new() };
        let names: Vec<String> = packed.inner.names();
        for name in names.iter().filter_map(|name| name.strip_suffix(PACKED)) {
            let shape = packed.checked(name)?;
            packed.matrices.insert(format!("{name}.weight"), shape);
        }
        Ok(packed)
    }

    fn damaged(&self, module: &str, reason: impl std::fmt::Display) -> LoadError {
        LoadError::Damaged {
            path: self.inner.file_of(&format!("{module}{PACKED}")),
            reason: format!("packed matrix `{module}.weight`: {reason}"),
        }
    }

    /// Rows and columns of a matrix whose parts all have the shapes that follow from them.
    fn checked(&self, module: &str) -> Result<[usize; 2], LoadError> {
        let part = |part: &str| format!("{module}.weight_{part}");
        let said = self.inner.integers(&part("shape"))?;
        let lengths: Vec<usize> =
            said.iter().filter_map(|length| usize::try_from(*length).ok()).collect();
        let [rows, columns] = lengths[..] else {
            return Err(self.damaged(module, format!("its shape is {said:?}")));
        };
        let group = self.packing.group.unwrap_or(columns);
        if count(&[rows, columns]).is_none() || group == 0 || columns % group != 0 {
            return Err(
                self.damaged(module, format!("groups of {group} do not fill {columns} inputs"))
            );
        }
        let groups = columns / group;
        let mut expected = vec![
            ("packed", vec![rows, self.packing.words(columns)]),
            ("scale", vec![rows, groups]),
        ];
        if !self.packing.is_symmetric {
            expected.push(("zero_point", vec![self.packing.words(rows), groups]));
        }
        for (name, expected) in expected {
            let found = self.inner.shape(&part(name));
            if found.as_ref() != Some(&expected) {
                let found = found.map_or("missing".to_owned(), |found| format!("{found:?}"));
                return Err(self.damaged(
                    module,
                    format!("`weight_{name}` is {found}, expected {expected:?}"),
                ));
            }
        }
        Ok([rows, columns])
    }

    fn unpack(
        &self,
        module: &str,
        [rows, columns]: [usize; 2],
        piece: &mut dyn FnMut(&[f32]),
    ) -> Result<(), LoadError> {
        let Packing { bits, group, is_symmetric } = self.packing;
        let group = group.unwrap_or(columns);
        let part = |part: &str| format!("{module}.weight_{part}");
        let levels = self.inner.words(&part("packed"))?;
        let scales = self.inner.values(&part("scale"))?;
        let groups = columns / group;
        let zeros: Vec<f32> = match is_symmetric {
            true => vec![(1_u32 << (bits - 1)) as f32; rows * groups],
            false => {
                let words = self.inner.words(&part("zero_point"))?;
                let down = self.packing.words(rows);
                // The words of a group stand below each other.
                let columns: Vec<Vec<u32>> = (0..groups)
                    .map(|group| (0..down).map(|word| words[word * groups + group]).collect())
                    .collect();
                let of = |at: usize| number(&columns[at % groups], at / groups, bits) as f32;
                (0..rows * groups).map(of).collect()
            }
        };
        let width = self.packing.words(columns);
        let mut values = Vec::with_capacity(columns);
        for row in 0..rows {
            let levels = &levels[row * width..][..width];
            values.clear();
            values.extend((0..columns).map(|column| {
                let at = row * groups + column / group;
                scales[at] * (number(levels, column, bits) as f32 - zeros[at])
            }));
            piece(&values);
        }
        Ok(())
    }

    /// Whether a tensor is part of a packed matrix.
    fn is_part(&self, name: &str) -> bool {
        let module = name.rsplit_once(".weight_").map(|(module, _)| format!("{module}.weight"));
        module.is_some_and(|module| self.matrices.contains_key(&module))
    }
}

impl Source for Packed {
    fn path(&self) -> &Path {
        self.inner.path()
    }

    fn file_of(&self, name: &str) -> PathBuf {
        match self.matrices.contains_key(name) {
            true => self.inner.file_of(&name.replacen(".weight", PACKED, 1)),
            false => self.inner.file_of(name),
        }
    }

    fn names(&self) -> Vec<String> {
        let plain = self.inner.names().into_iter().filter(|name| !self.is_part(name));
        let mut names: Vec<String> = plain.chain(self.matrices.keys().cloned()).collect();
        names.sort();
        names
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        match self.matrices.get(name) {
            Some(shape) => Some(shape.to_vec()),
            None => self.inner.shape(name).filter(|_| !self.is_part(name)),
        }
    }

    fn conversion(&self, name: &str) -> Option<Conversion> {
        match self.matrices.contains_key(name) {
            true => Some(Conversion::of(NAMES[self.packing.bits as usize - 1])),
            false => self.inner.conversion(name),
        }
    }

    fn read(&self, name: &str, piece: &mut dyn FnMut(&[f32])) -> Result<(), LoadError> {
        match self.matrices.get(name) {
            Some(shape) => self.unpack(name.strip_suffix(".weight").unwrap_or(name), *shape, piece),
            None => self.inner.read(name, piece),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_found_in_their_words() {
        let words = [0x9870_f321, 0xa];
        let found: Vec<u32> = (0..9).map(|at| number(&words, at, 4)).collect();
        assert_eq!(found, [1, 2, 3, 15, 0, 7, 8, 9, 10]);
        // Across a border.
        assert_eq!(number(&[0b11 << 30, 0b1], 10, 3), 0b111);
    }

    #[test]
    fn settings_are_read_or_refused() {
        let of = |weights: Value| {
            Packing::of(&json!({"config_groups": {"group_0": {"weights": weights}}}))
        };
        let good = json!({"num_bits": 4, "type": "int", "strategy": "group", "group_size": 32, "symmetric": false});
        assert_eq!(of(good.clone()), Ok(Packing { bits: 4, group: Some(32), is_symmetric: false }));
        for (field, value) in [
            ("num_bits", json!(16)),
            ("type", json!("float")),
            ("strategy", json!("block")),
            ("group_size", json!(0)),
        ] {
            let mut bad = good.clone();
            bad[field] = value;
            assert!(of(bad).is_err(), "{field}");
        }
        assert!(Packing::of(&json!({})).is_err());
    }

    /// A folder with one matrix of 3 outputs and 8 inputs, 4 bits in groups of 4, without zeros.
    fn folder(parts: &[(&str, crate::Dtype, &[usize], Vec<u8>)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let config = json!({"quantization_config": {
            "quant_method": "compressed-tensors", "format": "pack-quantized",
            "config_groups": {"group_0": {"weights": {
                "num_bits": 4, "type": "int", "strategy": "group", "group_size": 4, "symmetric": true,
            }}},
        }});
        std::fs::write(folder.path().join("config.json"), config.to_string()).expect("a config");
        let mut planned: Vec<crate::Planned> = parts
            .iter()
            .map(|(name, dtype, shape, _)| crate::Planned {
                name: format!("up.weight_{name}"),
                dtype: *dtype,
                shape: shape.to_vec(),
            })
            .collect();
        crate::in_file_order(&mut planned);
        let path = folder.path().join("model.safetensors");
        let mut draft =
            crate::SafetensorsDraft::begin(&path, &planned, &BTreeMap::new()).expect("begun");
        for next in &planned {
            let part = parts.iter().find(|(name, ..)| next.name.ends_with(name)).expect("a part");
            draft.write(&part.3).expect("written");
        }
        draft.finish().expect("finished");
        folder
    }

    #[test]
    fn a_symmetric_matrix_is_read_and_a_broken_one_refused() {
        use crate::Dtype::{F32, I32, I64};
        let words: Vec<u8> = [0x7654_3210_u32, 0xfedc_ba98, 0x8888_8888]
            .iter()
            .flat_map(|w| w.to_le_bytes())
            .collect();
        let scales: Vec<f32> = vec![1.0, 0.5, 2.0, 0.25, 1.0, 1.0];
        let scale = crate::float_bytes(F32, &scales);
        let shape: Vec<u8> = [3_i64, 8].iter().flat_map(|n| n.to_le_bytes()).collect();
        let packed = ("packed", I32, &[3, 1][..], words);
        let scale = ("scale", F32, &[3, 2][..], scale);
        let said = ("shape", I64, &[2][..], shape);
        let good = folder(&[packed.clone(), scale.clone(), said.clone()]);
        let source = crate::open_folder(good.path()).expect("it is read");
        assert_eq!(source.names(), ["up.weight"]);
        assert_eq!(source.shape("up.weight"), Some(vec![3, 8]));
        assert_eq!(source.conversion("up.weight").map(|own| own.dtype), Some("I4"));
        let level = |at: usize| [at % 16, 8][usize::from(at >= 16)] as f32;
        let expected: Vec<f32> = (0..24).map(|at| scales[at / 4] * (level(at) - 8.0)).collect();
        assert_eq!(source.values("up.weight").expect("values"), expected);

        let wide: Vec<u8> = [3_i64, 64].iter().flat_map(|n| n.to_le_bytes()).collect();
        for (parts, expected) in [
            (vec![packed.clone(), said.clone()], "`weight_scale` is missing"),
            (vec![packed.clone(), scale.clone()], "weight_shape"),
            (
                vec![packed, scale, ("shape", I64, &[2][..], wide)],
                "`weight_packed` is [3, 1], expected [3, 8]",
            ),
        ] {
            let broken = folder(&parts);
            let error = crate::open_folder(broken.path()).err().expect("it is refused").to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
