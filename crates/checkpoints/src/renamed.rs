//! Names as wrappers of training leave them: `_orig_mod.` of `torch.compile`, `module.` of data parallelism.
//! They say nothing of the model, so they are dropped, and the conversions say so.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::{Conversion, LoadError, Source};

/// Parts of a name that a wrapper puts in, wherever they stand.
const WRAPPERS: [&str; 3] = ["_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"];

/// The part that data parallelism puts in front.
const IN_FRONT: &str = "module";

/// A name without what wrappers put into it.
fn bare(name: &str) -> String {
    let mut parts: Vec<&str> = name.split('.').filter(|part| !WRAPPERS.contains(part)).collect();
    while parts.first() == Some(&IN_FRONT) {
        parts.remove(0);
    }
    parts.join(".")
}

/// A checkpoint under names without wrappers.
struct Renamed {
    inner: Box<dyn Source>,
    /// The name without wrappers to that in the file.
    names: BTreeMap<String, String>,
}

/// Drops what wrappers put into names; a checkpoint that has none is handed back as it is.
///
/// # Errors
/// Two tensors that are the same without their wrappers.
pub(crate) fn without_wrappers(inner: Box<dyn Source>) -> Result<Box<dyn Source>, LoadError> {
    let in_file = inner.names();
    if in_file.iter().all(|name| bare(name) == *name) {
        return Ok(inner);
    }
    let mut names = BTreeMap::new();
    for name in in_file {
        if let Some(other) = names.insert(bare(&name), name.clone()) {
            return Err(LoadError::Unsupported {
                path: inner.path().to_owned(),
                reason: format!(
                    "tensors `{other}` and `{name}` are the same without what training put into their names"
                ),
                advice: "save the weights of one of the two models",
            });
        }
    }
    Ok(Box::new(Renamed { inner, names }))
}

impl Renamed {
    fn in_file<'a>(&'a self, name: &'a str) -> &'a str {
        self.names.get(name).map_or(name, String::as_str)
    }
}

impl Source for Renamed {
    fn path(&self) -> &Path {
        self.inner.path()
    }

    fn file_of(&self, name: &str) -> PathBuf {
        self.inner.file_of(self.in_file(name))
    }

    fn names(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.inner.shape(self.names.get(name)?)
    }

    fn conversion(&self, name: &str) -> Option<Conversion> {
        let in_file = self.names.get(name)?;
        let conversion = self.inner.conversion(in_file)?;
        let also = match in_file == name {
            true => conversion.also,
            false => Some(Conversion::BARE_NAME),
        };
        Some(Conversion { also, ..conversion })
    }

    fn read(&self, name: &str, piece: &mut dyn FnMut(&[f32])) -> Result<(), LoadError> {
        match self.names.get(name) {
            Some(in_file) => self.inner.read(in_file, piece),
            None => Err(LoadError::MissingTensor {
                path: self.path().to_owned(),
                tensor: name.to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::bare;

    #[test]
    fn wrappers_are_dropped_and_nothing_else() {
        for (name, expected) in [
            ("_orig_mod.model.norm.weight", "model.norm.weight"),
            ("module._orig_mod.lm_head.weight", "lm_head.weight"),
            ("model.layers.0._orig_mod.mlp.up_proj.weight", "model.layers.0.mlp.up_proj.weight"),
            ("model.norm.weight", "model.norm.weight"),
            ("model.module.weight", "model.module.weight"),
        ] {
            assert_eq!(bare(name), expected);
        }
    }
}
