//! Weights that are quantized in a way of their own: they lie under other names and in pieces, and to say
//! that a tensor is missing would not name the cause.

use crate::{LoadError, Source};

/// How names of quantized parts end, and who writes them.
const ENDS: [(&str, &str); 12] = [
    (".qweight", "GPTQ or AWQ"),
    (".qzeros", "GPTQ or AWQ"),
    (".g_idx", "GPTQ"),
    (".weight_packed", "compressed-tensors"),
    (".weight_scale", "compressed-tensors or FP8"),
    (".weight_scale_inv", "FP8"),
    (".weight.absmax", "bitsandbytes, 4 bits"),
    (".weight.quant_state.bitsandbytes__nf4", "bitsandbytes, NF4"),
    (".weight.quant_state.bitsandbytes__fp4", "bitsandbytes, FP4"),
    (".SCB", "bitsandbytes, 8 bits"),
    (".W_q", "HQQ"),
    (".weight_blocks", "MXFP4"),
];

/// Refuses a checkpoint that holds parts of quantized weights.
pub(crate) fn refuse_quantized(source: &dyn Source) -> Result<(), LoadError> {
    for name in source.names() {
        let by = ENDS.iter().find(|(end, _)| name.ends_with(end)).map(|(_, by)| by);
        if let Some(by) = by {
            return Err(LoadError::Unsupported {
                path: source.file_of(&name),
                reason: format!(
                    "tensor `{name}` is part of quantized weights ({by}), which are not read"
                ),
                advice: LoadError::UNQUANTIZED,
            });
        }
    }
    Ok(())
}
