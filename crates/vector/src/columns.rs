//! Neighbouring columns of a row-major matrix: the parts of a projection that holds several.

use std::ops::Range;

/// Some columns of every row of a matrix.
#[derive(Clone, Copy, Debug)]
pub struct Columns<'a> {
    values: &'a [f32],
    width: usize,
    first: usize,
    count: usize,
}

impl<'a> Columns<'a> {
    /// Columns `columns` of rows of `width` entries.
    ///
    /// # Panics
    /// Where the rows have no such columns, or the last row is cut short.
    pub fn new(values: &'a [f32], width: usize, columns: Range<usize>) -> Self {
        assert!(columns.start <= columns.end && columns.end <= width, "columns of a row");
        assert_eq!(values.len() % width, 0, "whole rows");
        Self { values, width, first: columns.start, count: columns.len() }
    }

    /// All columns.
    pub fn all(values: &'a [f32], width: usize) -> Self {
        Self::new(values, width, 0..width)
    }

    /// The same columns of some rows.
    pub fn of_rows(self, rows: Range<usize>) -> Self {
        Self { values: &self.values[rows.start * self.width..rows.end * self.width], ..self }
    }

    /// Some of the columns.
    pub fn part(self, columns: Range<usize>) -> Self {
        assert!(columns.start <= columns.end && columns.end <= self.count, "a part of the columns");
        Self { first: self.first + columns.start, count: columns.len(), ..self }
    }

    /// Number of columns.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.values.len() / self.width
    }

    /// The columns of one row.
    #[inline(always)]
    pub fn row(&self, row: usize) -> &'a [f32] {
        &self.values[row * self.width + self.first..][..self.count]
    }
}
