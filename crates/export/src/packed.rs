//! Matrices of few bits as compressed-tensors packs them (`pack-quantized`): the numbers of the points
//! that weights lie on, side by side in words of 32 bits, with a scale and a zero for every group. What
//! transformers and vLLM read.
//!
//! ```text
//! ŵ = s·(q − z)      q, z in 0..2^b
//! weight_packed[i, ·]     = q[i, 0], q[i, 1], …    b bits each, from the low end of the first word on
//! weight_zero_point[·, g] = z[0, g], z[1, g], …    likewise, down the rows
//! ```

use std::sync::Arc;

use checkpoints::{Dtype, Planned, float_bytes};
use cuts::{Grid, Rounding, Storage, StoredMatrix};
use models::{Saved, SavedTensor};
use serde_json::{Value, json};

use crate::{ExportError, Form, entries::Entry};

/// Entries of all tensors, rounded matrices packed, and the `quantization_config`.
///
/// # Errors
/// A model without rounded matrices, or with such that the layout cannot hold.
pub(crate) fn entries<'a>(
    saved: &'a Saved,
    storage: &Storage,
    dtype: Dtype,
) -> Result<(Vec<Entry<'a>>, Value), ExportError> {
    let refused =
        |reason: String| ExportError::Form { form: Form::Packed(dtype).to_string(), reason };
    let rounding = one_rounding(storage).map_err(refused)?;
    let (mut all, mut ignored) = (Vec::new(), Vec::new());
    for tensor in &saved.tensors {
        let stored = tensor.linear.as_ref().and_then(|name| storage.matrices.get(&**name));
        match stored {
            Some(stored) => all.extend(packed(tensor, stored, rounding, dtype).map_err(refused)?),
            None => {
                let module = tensor.name.strip_suffix(".weight");
                ignored.extend(module.filter(|_| tensor.shape.len() == 2).map(str::to_owned));
                all.push(Entry::plain(tensor, dtype));
            }
        }
    }
    // The head is a module of its own even where it has no tensor.
    ignored.push("lm_head".to_owned());
    ignored.sort();
    ignored.dedup();
    Ok((all, config(rounding, &ignored)))
}

/// Said where matrices are left as they are.
pub(crate) const NOT_ROUNDED: &str = "not all matrices are rounded to as many bits: end the recipe with \
                                      cut=bits, or choose f32, f16 or bf16";

/// How all matrices are rounded.
fn one_rounding(storage: &Storage) -> Result<Rounding, String> {
    let mut roundings = storage.matrices.values().map(|matrix| matrix.rounding);
    let first = roundings.next().flatten();
    match first.filter(|first| roundings.all(|other| other == Some(*first))) {
        Some(rounding) => Ok(rounding),
        None => Err(NOT_ROUNDED.to_owned()),
    }
}

/// Outputs and inputs of a matrix.
pub(crate) fn shape(tensor: &SavedTensor, stored: &StoredMatrix) -> Result<[usize; 2], String> {
    let [rows, columns] = tensor.shape[..] else {
        return Err(format!("`{}` is no matrix", tensor.name));
    };
    if [stored.rows, stored.columns] != [rows, columns] {
        return Err(format!(
            "`{}` is stored input first, and only maps that are stored output first can be packed: choose \
             f32, f16 or bf16",
            tensor.name
        ));
    }
    Ok([rows, columns])
}

/// Whether groups fill the inputs of a matrix.
pub(crate) fn fills(name: &str, columns: usize, group: usize) -> Result<(), String> {
    if columns.is_multiple_of(group) {
        return Ok(());
    }
    Err(format!(
        "`{name}` has {columns} inputs, which groups of {group} do not fill: choose a group that divides \
         them, or f32, f16 or bf16"
    ))
}

/// The tensors of one matrix.
fn packed<'a>(
    tensor: &'a SavedTensor,
    stored: &StoredMatrix,
    Rounding { bits, group }: Rounding,
    dtype: Dtype,
) -> Result<Vec<Entry<'a>>, String> {
    let [rows, columns] = shape(tensor, stored)?;
    fills(&tensor.name, columns, group)?;
    let grids = Grids::of(tensor, columns, group, bits)?;
    let module = tensor.name.strip_suffix(".weight").unwrap_or(&tensor.name);
    let planned = |part: &str, dtype, shape: Vec<usize>| Planned {
        name: format!("{module}.weight_{part}"),
        dtype,
        shape,
    };
    let (groups, words) = (columns / group, words(columns, bits));
    let grids = Arc::new(grids);
    let (of_levels, of_scales, of_zeros) = (grids.clone(), grids.clone(), grids);
    Ok(vec![
        Entry {
            planned: planned("packed", Dtype::I32, vec![rows, words]),
            bytes: Box::new(move || of_levels.levels(&tensor.values(), columns, group, bits)),
        },
        Entry {
            planned: planned("scale", dtype, vec![rows, groups]),
            bytes: Box::new(move || float_bytes(dtype, &of_scales.scales())),
        },
        Entry {
            planned: planned("zero_point", Dtype::I32, vec![self::words(rows, bits), groups]),
            bytes: Box::new(move || of_zeros.zeros(groups, bits)),
        },
        Entry {
            planned: planned("shape", Dtype::I64, vec![2]),
            bytes: Box::new(move || {
                [rows as i64, columns as i64].iter().flat_map(|n| n.to_le_bytes()).collect()
            }),
        },
    ])
}

/// The grids of the groups of a matrix, row by row.
struct Grids(Vec<Grid>);

impl Grids {
    fn of(tensor: &SavedTensor, columns: usize, group: usize, bits: u32) -> Result<Self, String> {
        let values = tensor.values();
        let mut grids = Vec::with_capacity(values.len() / group);
        for (index, own) in values.chunks_exact(group).enumerate() {
            let grid = Grid::found(own, bits).ok_or_else(|| {
                let (row, input) = (index * group / columns, index * group % columns);
                format!(
                    "`{}`: output {row} lies on no grid of {bits} bits from input {input} to {}: a later \
                     step moved it, so take cut=bits as the last step, or choose f32, f16 or bf16",
                    tensor.name,
                    input + group - 1
                )
            })?;
            grids.push(grid);
        }
        Ok(Self(grids))
    }

    fn scales(&self) -> Vec<f32> {
        self.0.iter().map(|grid| grid.scale as f32).collect()
    }

    fn levels(&self, values: &[f32], columns: usize, group: usize, bits: u32) -> Vec<u8> {
        let levels: Vec<u32> = values
            .chunks_exact(group)
            .zip(&self.0)
            .flat_map(|(own, grid)| own.iter().map(|weight| grid.level(f64::from(*weight)) as u32))
            .collect();
        let rows = levels.chunks_exact(columns).map(|row| pack(row, bits));
        rows.flatten().flat_map(u32::to_le_bytes).collect()
    }

    fn zeros(&self, groups: usize, bits: u32) -> Vec<u8> {
        let rows = self.0.len() / groups;
        let columns: Vec<Vec<u32>> = (0..groups)
            .map(|group| {
                let zeros: Vec<u32> =
                    (0..rows).map(|row| self.0[row * groups + group].zero as u32).collect();
                pack(&zeros, bits)
            })
            .collect();
        let words =
            (0..words(rows, bits)).flat_map(|word| columns.iter().map(move |own| own[word]));
        words.flat_map(u32::to_le_bytes).collect()
    }
}

/// Words of so many numbers.
fn words(numbers: usize, bits: u32) -> usize {
    (numbers * bits as usize).div_ceil(32)
}

/// Numbers of so many bits side by side, the first at the low end of the first word.
fn pack(numbers: &[u32], bits: u32) -> Vec<u32> {
    let mut packed = vec![0_u32; words(numbers.len(), bits)];
    for (index, number) in numbers.iter().enumerate() {
        let at = index * bits as usize;
        let wide = u64::from(*number) << (at % 32);
        packed[at / 32] |= wide as u32;
        // What does not fit goes into the next word.
        if wide >> 32 != 0 {
            packed[at / 32 + 1] |= (wide >> 32) as u32;
        }
    }
    packed
}

fn config(Rounding { bits, group }: Rounding, ignored: &[String]) -> Value {
    json!({
        "quant_method": "compressed-tensors",
        "format": "pack-quantized",
        "quantization_status": "compressed",
        "ignore": ignored,
        // Zeros that are packed are read by transformers only so (5.23, with compressed-tensors 0.20);
        // vLLM does not look at it and keeps the words.
        "dequantize": true,
        "config_groups": {
            "group_0": {
                "targets": ["Linear"],
                "format": "pack-quantized",
                "input_activations": null,
                "output_activations": null,
                "weights": {
                    "num_bits": bits,
                    "type": "int",
                    "symmetric": false,
                    "strategy": "group",
                    "group_size": group,
                    "dynamic": false,
                },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `compressed_tensors.compressors.pack_quantized.helpers.pack_to_int32` gives for the same numbers
    /// less half of the range.
    #[test]
    fn numbers_lie_side_by_side() {
        assert_eq!(pack(&[1, 2, 3, 15, 0, 7, 8, 9, 10], 4), [0x9870_f321, 0xa]);
        assert_eq!(pack(&[1, 255, 3, 4, 5], 8), [0x0403_ff01, 5]);
        // Across a border: the eleventh number of three bits has its low two in the first word.
        let mut numbers = [0; 12];
        numbers[10] = 0b111;
        assert_eq!(pack(&numbers, 3), [0b11 << 30, 0b1]);
    }
}
