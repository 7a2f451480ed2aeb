//! The number types of GGUF: plain words, and blocks of quantised numbers with their scales.

use candle_core::{
    Device,
    quantized::{GgmlDType, ggml_file::qtensor_from_ggml},
};

use crate::numbers::{Float, count};

/// How values are laid out in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Layout {
    Plain(Float),
    /// Blocks that candle takes apart.
    Blocks(&'static str, GgmlDType),
}

impl Layout {
    /// For messages.
    pub(super) const KNOWN: &str = "F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 and Q2_K to Q6_K";

    /// From ggml's number of a type.
    pub(super) fn of(code: u32) -> Option<Self> {
        Some(match code {
            0 => Self::Plain(Float::F32),
            1 => Self::Plain(Float::F16),
            30 => Self::Plain(Float::Bf16),
            2 => Self::Blocks("Q4_0", GgmlDType::Q4_0),
            3 => Self::Blocks("Q4_1", GgmlDType::Q4_1),
            6 => Self::Blocks("Q5_0", GgmlDType::Q5_0),
            7 => Self::Blocks("Q5_1", GgmlDType::Q5_1),
            8 => Self::Blocks("Q8_0", GgmlDType::Q8_0),
            10 => Self::Blocks("Q2_K", GgmlDType::Q2K),
            11 => Self::Blocks("Q3_K", GgmlDType::Q3K),
            12 => Self::Blocks("Q4_K", GgmlDType::Q4K),
            13 => Self::Blocks("Q5_K", GgmlDType::Q5K),
            14 => Self::Blocks("Q6_K", GgmlDType::Q6K),
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain(float) => float.name(),
            Self::Blocks(name, _) => name,
        }
    }

    /// Values of one block.
    pub(super) fn values(self) -> usize {
        match self {
            Self::Plain(_) => 1,
            Self::Blocks(_, dtype) => dtype.block_size(),
        }
    }

    /// Bytes of one block.
    fn size(self) -> usize {
        match self {
            Self::Plain(float) => float.size(),
            Self::Blocks(_, dtype) => dtype.type_size(),
        }
    }

    /// Bytes of a tensor; `None` where they are too many to count.
    pub(super) fn bytes(self, shape: &[usize]) -> Option<usize> {
        self.bytes_of(count(shape)?)
    }

    /// Bytes of `values` values, which are whole blocks.
    pub(super) fn bytes_of(self, values: usize) -> Option<usize> {
        (values / self.values()).checked_mul(self.size())
    }

    /// The values of whole blocks, appended.
    pub(super) fn append(self, bytes: &[u8], values: &mut Vec<f32>) -> candle_core::Result<()> {
        match self {
            Self::Plain(float) => float.append(bytes, values),
            Self::Blocks(_, dtype) => {
                let blocks = bytes.len() / dtype.type_size();
                let shape = vec![blocks * dtype.block_size()];
                let blocks = qtensor_from_ggml(dtype, bytes, shape, &Device::Cpu)?;
                values.extend(blocks.dequantize(&Device::Cpu)?.to_vec1::<f32>()?);
            }
        }
        Ok(())
    }
}
