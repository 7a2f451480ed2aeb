//! The transpose of a matrix that arrives some rows at a time.

/// Fills `[columns, rows]` from rows of `[rows, columns]`.
pub(super) struct Transposing {
    rows: usize,
    columns: usize,
    /// Rows that have arrived.
    done: usize,
    out: Vec<f32>,
}

impl Transposing {
    pub(super) fn new(rows: usize, columns: usize) -> Self {
        Self { rows, columns, done: 0, out: vec![0.0; rows * columns] }
    }

    /// The next rows, in tiles that stay in the cache.
    pub(super) fn add_rows(&mut self, piece: &[f32]) {
        const TILE: usize = 32;
        let (columns, new) = (self.columns, piece.len() / self.columns.max(1));
        for row_tile in (0..new).step_by(TILE) {
            for column_tile in (0..columns).step_by(TILE) {
                for column in column_tile..(column_tile + TILE).min(columns) {
                    let from = column * self.rows + self.done;
                    for row in row_tile..(row_tile + TILE).min(new) {
                        self.out[from + row] = piece[row * columns + column];
                    }
                }
            }
        }
        self.done += new;
    }

    /// The matrix, in row-major order.
    pub(super) fn finish(self) -> Vec<f32> {
        debug_assert_eq!(self.done, self.rows, "every row has arrived");
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::Transposing;

    #[test]
    fn rows_in_pieces_give_the_transpose() {
        let (rows, columns) = (70, 37);
        let values: Vec<f32> = (0..rows * columns).map(|i| i as f32).collect();
        let mut out = Transposing::new(rows, columns);
        for piece in values.chunks(33 * columns) {
            out.add_rows(piece);
        }
        let out = out.finish();
        for (at, value) in out.iter().enumerate() {
            assert_eq!(*value, values[at % rows * columns + at / rows]);
        }
    }
}
