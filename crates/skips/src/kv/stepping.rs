//! Token by token over a cache that really forgets: what eviction runs by, and what decoding reads by.

use models::{AttentionShape, HeadCache};
use vector::attend;

use super::selection::{KvMode, KvScore, KvSelection, Room, first_visible, norm};
use crate::Shares;

/// What a token brings to one key head.
#[derive(Clone, Copy)]
pub(super) struct Arrival<'a> {
    /// t, its position in the sequence.
    pub(super) position: usize,
    pub(super) key: &'a [f32],
    pub(super) value: &'a [f32],
    /// What the score `random` drew for it.
    pub(super) drawn: f64,
}

/// One key head and its query heads, over time.
pub(super) struct Stepping<'a> {
    selection: &'a KvSelection,
    shape: AttentionShape,
    weights: Vec<f32>,
    /// Attention paid to every position held, over all query heads.
    paid: Vec<f64>,
    /// What is read, where that is less than what is held.
    read: HeadCache,
    room: Room,
}

impl<'a> Stepping<'a> {
    pub(super) fn new(selection: &'a KvSelection, shape: AttentionShape) -> Self {
        Self {
            selection,
            shape,
            weights: Vec::new(),
            paid: Vec::new(),
            read: HeadCache::default(),
            room: Room::default(),
        }
    }

    /// One token: takes it up, writes what its query heads see, then cuts the cache where that is due.
    /// Returns how many numbers the cache then holds.
    ///
    /// # Shapes
    /// - `queries`, `out`: one `[head_dim]` a query head of this key head
    pub(super) fn step<'q>(
        &mut self,
        cache: &mut HeadCache,
        arrival: Arrival<'_>,
        queries: impl Iterator<Item = &'q [f32]> + Clone,
        out: &mut [f32],
        shares: &mut Shares,
    ) -> u64 {
        let t = arrival.position;
        self.take_up(cache, arrival);
        let groups = (out.len() / self.shape.head_dim) as f64;
        let seen = t + 1 - first_visible(self.shape, t);
        shares.entries += seen as u64;
        shares.energy += groups;
        if let KvMode::Read(_) = self.selection.mode {
            self.attend(cache, queries.clone(), out);
            let mass = self.read(cache);
            let read = std::mem::take(&mut self.read);
            self.attend(&read, queries, out);
            if self.selection.score == KvScore::Accumulated {
                self.note_paid(cache, &read);
            }
            shares.kept += read.positions.len() as u64;
            shares.kept_energy += mass;
            self.read = read;
        } else {
            self.attend(cache, queries, out);
            self.note(cache, t);
            shares.kept += cache.positions.len() as u64;
            shares.kept_energy += groups;
            if self.selection.cuts_after(t) {
                self.cut(cache, t);
            }
        }
        let first = first_visible(self.shape, t + 1);
        let gone = cache.positions.partition_point(|s| *s < first);
        if gone > 0 {
            cache.keep(gone..cache.positions.len());
        }
        (cache.keys.len() + cache.values.len()) as u64
    }

    fn take_up(&self, cache: &mut HeadCache, arrival: Arrival<'_>) {
        let Arrival { position, key, value, drawn } = arrival;
        let noted = match (self.selection.score, self.selection.mode) {
            (KvScore::Random, _) => drawn,
            // A prompt adds up attention; the sizes come in when it is cut.
            (KvScore::AttentionValue, KvMode::Prompt { .. }) => 0.0,
            (KvScore::AttentionValue, _) => norm(value),
            (score, _) => score.of_position(position, key, value),
        };
        cache.push(position, [key, value], noted);
    }

    /// Writes what the query heads see of all that `cache` holds, and adds up what they pay.
    fn attend<'q>(
        &mut self,
        cache: &HeadCache,
        queries: impl Iterator<Item = &'q [f32]>,
        out: &mut [f32],
    ) {
        self.paid.clear();
        self.paid.resize(cache.positions.len(), 0.0);
        for (query, out) in queries.zip(out.chunks_exact_mut(self.shape.head_dim)) {
            attend(query, &cache.keys, &cache.values, &mut self.weights, out);
            self.paid.iter_mut().zip(&self.weights).for_each(|(paid, w)| *paid += f64::from(*w));
        }
    }

    /// What has just been paid becomes known of the positions of a cache that is cut.
    fn note(&self, cache: &mut HeadCache, t: usize) {
        let noted = cache.noted.iter_mut().zip(&self.paid);
        let adds = self.selection.score == KvScore::Accumulated
            || (self.selection.score.looks_at_attention() && self.selection.asks_of_prompt(t));
        if adds {
            noted.for_each(|(noted, paid)| *noted += paid);
        }
    }

    /// What has been paid for what was read; its positions are among those of the cache.
    fn note_paid(&self, cache: &mut HeadCache, read: &HeadCache) {
        for (position, paid) in read.positions.iter().zip(&self.paid) {
            if let Ok(place) = cache.positions.binary_search(position) {
                cache.noted[place] += paid;
            }
        }
    }

    /// The score of every position held, from what is noted and what has just been paid.
    fn scores(&self, cache: &HeadCache) -> Vec<f64> {
        let score = |place: usize| {
            let (noted, paid) = (cache.noted[place], self.paid[place]);
            match (self.selection.score, self.selection.mode) {
                (KvScore::Attention, KvMode::Prompt { .. }) => noted,
                (KvScore::AttentionValue, KvMode::Prompt { .. }) => {
                    let value = place * self.shape.head_dim..(place + 1) * self.shape.head_dim;
                    noted * norm(&cache.values[value])
                }
                (KvScore::Attention, _) => paid,
                (KvScore::AttentionValue, _) => paid * noted,
                // In mode `read` what is paid now is noted when it is known what is read.
                (KvScore::Accumulated, KvMode::Read(_)) => noted + paid,
                _ => noted,
            }
        };
        (0..cache.positions.len()).map(score).collect()
    }

    /// Gathers what the last token held reads; returns how much of its attention that is.
    fn read(&mut self, cache: &HeadCache) -> f64 {
        let itself = cache.positions.len() - 1;
        let scores = self.scores(cache);
        let k = self.selection.count(itself + 1) - 1;
        let before = &cache.positions[..itself];
        let selection = self.selection;
        let chosen = selection.chosen(before, &scores[..itself], k, &mut self.room);
        self.read = HeadCache::default();
        let mut mass = 0.0;
        for place in chosen.into_iter().map(|place| place as usize).chain([itself]) {
            let row = place * self.shape.head_dim..(place + 1) * self.shape.head_dim;
            let both = [&cache.keys[row.clone()], &cache.values[row]];
            self.read.push(cache.positions[place], both, cache.noted[place]);
            mass += self.paid[place];
        }
        mass
    }

    /// Drops for good what a cut after token `t` does not keep.
    fn cut(&mut self, cache: &mut HeadCache, t: usize) {
        let itself = cache.positions.len() - 1;
        // A sink that went for want of room would never come back.
        let sinks = cache.positions[..itself].partition_point(|s| *s < self.selection.sinks);
        let k = (self.selection.count(t + 1) - 1).max(sinks);
        if k >= itself {
            return;
        }
        let scores = self.scores(cache);
        let before = &cache.positions[..itself];
        let selection = self.selection;
        let chosen = selection.chosen(before, &scores[..itself], k, &mut self.room);
        cache.keep(chosen.into_iter().map(|place| place as usize).chain([itself]));
    }
}
