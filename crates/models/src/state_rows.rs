//! What drives a recurrence, as plain rows.

use std::ops::Range;

pub use vector::Writes;

use crate::{StateInputs, Values};

/// [`StateInputs`] taken out of their tensors, to be looked at or changed token by token and put back;
/// nothing is copied on the CPU where no one else holds them.
#[derive(Debug)]
pub struct StateRows {
    tokens: usize,
    /// `x_t`: `[tokens, heads · head_dim]`.
    pub x: Values<2>,
    /// `B'_t`: `[tokens, groups · channels]`.
    pub b: Values<2>,
    /// `C'_t`: `[tokens, groups · channels]`.
    pub c: Values<2>,
    /// `Δ_t`: `[tokens, heads]`.
    pub dt: Values<2>,
}

impl StateRows {
    /// Takes the rows of all tokens out.
    pub fn of(inputs: StateInputs) -> Self {
        let [tokens, _] = inputs.x.dims();
        let [x, b, c, dt] = [inputs.x, inputs.b, inputs.c, inputs.dt].map(Values::of);
        Self { tokens, x, b, c, dt }
    }

    /// Puts them back.
    pub fn into_inputs(self) -> StateInputs {
        let [x, b, c, dt] = [self.x, self.b, self.c, self.dt].map(Values::into_tensor);
        StateInputs { x, b, c, dt }
    }

    /// What some tokens bring to the state.
    pub fn writes(&self, rows: Range<usize>) -> Writes<'_> {
        Writes { x: self.part(&self.x, &rows), b: self.part(&self.b, &rows), dt: self.steps(rows) }
    }

    /// `C'` of some tokens.
    pub fn reads(&self, rows: Range<usize>) -> &[f32] {
        self.part(&self.c, &rows)
    }

    /// `Δ` of some tokens.
    pub fn steps(&self, rows: Range<usize>) -> &[f32] {
        self.part(&self.dt, &rows)
    }

    fn part<'a>(&self, values: &'a [f32], rows: &Range<usize>) -> &'a [f32] {
        let width = values.len() / self.tokens;
        &values[rows.start * width..rows.end * width]
    }
}
