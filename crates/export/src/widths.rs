//! One width for all layers, which is all that a config can say.

use models::{Mixer, Model, ModelFacts};

/// A part of a model whose layers may keep different numbers of units.
struct Part {
    /// In words.
    units: &'static str,
    /// Units of every layer that has any.
    now: Vec<usize>,
    /// Units of the model before it was cut.
    before: usize,
}

impl Part {
    fn is_ragged(&self) -> bool {
        self.now.iter().any(|width| *width != self.now[0])
    }

    /// Where layers differ, the width that all of them get.
    fn width(&self, uniform: bool) -> Option<usize> {
        let widest = self.now.iter().copied().max()?;
        self.is_ragged().then(|| if uniform { widest } else { self.before.max(widest) })
    }

    /// What that means.
    fn note(&self, width: usize, uniform: bool) -> String {
        let (least, most) = (self.now.iter().min(), self.now.iter().max());
        let (least, most) = (least.copied().unwrap_or(0), most.copied().unwrap_or(0));
        let filled: usize = self.now.iter().map(|own| width - own).sum();
        let Self { units, before, .. } = self;
        let into = match uniform {
            true => format!("all of them get {width}, the most that one keeps"),
            false => format!("all of them are written with {width}, as before the cut of {before}"),
        };
        let cost =
            format!("{filled} {units} of {} are zeros that take room", width * self.now.len());
        let advice = match uniform {
            true => "",
            false => " (--uniform writes the width of the widest layer)",
        };
        format!(
            "layers keep {least} to {most} {units}, and the format has one number for all layers: {into}; \
             {cost}{advice}"
        )
    }
}

/// Query heads and key heads of every attention.
fn heads(model: &dyn Model) -> Vec<[usize; 2]> {
    let shapes = model.attentions().into_iter().map(|own| own.shape());
    shapes.map(|shape| [shape.heads, shape.kv_heads]).collect()
}

/// Whether every attention has equally many heads.
pub(crate) fn has_one_width_of_heads(model: &dyn Model) -> bool {
    let heads = heads(model);
    heads.iter().all(|own| own == &heads[0])
}

/// The model with as many heads in every attention as there were before it was cut, the missing ones zero,
/// and what that means; `whole` are the numbers of query heads and key heads.
pub(crate) fn with_all_heads(
    model: &dyn Model,
    whole: [usize; 2],
    reason: &str,
) -> (Box<dyn Model>, String) {
    let filled: usize = heads(model).iter().map(|own| whole[0] - own[0]).sum();
    let all = model.attentions();
    let n = whole[0] * all.len();
    let padded = all.into_iter().map(|own| own.padded(whole[0], whole[1])).collect();
    let note = format!(
        "{reason}: every layer is written with {} heads, as before the cut; {filled} heads of {n} are zeros \
         that take room",
        whole[0]
    );
    (model.with_attentions(padded), note)
}

/// The model with one width for all of its layers, and what was done for it. Where layers differ, the
/// narrower ones are filled up with zeros, which add nothing: to the width that the model had before it
/// was cut, or, with `uniform`, to that of the widest.
pub(crate) fn fitted(
    model: &dyn Model,
    whole: &ModelFacts,
    uniform: bool,
) -> (Box<dyn Model>, Vec<String>) {
    let mut fitted = model.map_linears(&mut |_| None);
    let mut notes = Vec::new();
    let neurons = Part {
        units: "neurons",
        now: model.ffns().iter().map(|ffn| ffn.neurons()).collect(),
        before: whole.neurons,
    };
    if let Some(width) = neurons.width(uniform) {
        fitted = fitted.with_ffns(model.ffns().iter().map(|ffn| ffn.padded(width)).collect());
        notes.push(neurons.note(width, uniform));
    }
    let channels = Part {
        units: "state channels a group",
        now: model.mixers().iter().map(|mixer| mixer.shape().channels).collect(),
        before: whole.state.map_or(0, |state| state.channels),
    };
    if let Some(width) = channels.width(uniform) {
        let mixers: Vec<Mixer> = model.mixers().iter().map(|own| own.padded(width)).collect();
        fitted = fitted.with_mixers(mixers);
        notes.push(channels.note(width, uniform));
    }
    (fitted, notes)
}
