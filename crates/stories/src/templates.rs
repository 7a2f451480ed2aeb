//! The patterns of the three registers: how each kind of event is told.
//!
//! A pattern is one sentence. A slot `{…}` is filled from a word list (see [`Slot`]); everything
//! else stands as it is. The same table writes texts and reads them back.

use std::sync::LazyLock;

use crate::slots::{Kind, Slot};

/// How a text is told. Each register stands for one of the study's datasets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Register {
    /// A story in the past tense.
    Narrative,
    /// People tell each other what happened.
    Dialogue,
    /// Notes on things and where they are, closed by a count of all of them.
    Inventory,
}

impl Register {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Narrative, Self::Dialogue, Self::Inventory];

    /// The name in files and columns.
    pub fn name(self) -> &'static str {
        match self {
            Self::Narrative => "narrative",
            Self::Dialogue => "dialogue",
            Self::Inventory => "inventory",
        }
    }

    pub(crate) fn patterns(self) -> &'static [Pattern] {
        match self {
            Self::Narrative => &NARRATIVE,
            Self::Dialogue => &DIALOGUE,
            Self::Inventory => &INVENTORY,
        }
    }

    /// The sentences that can tell this kind of event.
    pub(crate) fn patterns_of(self, kind: Kind) -> Vec<&'static Pattern> {
        self.patterns().iter().filter(|pattern| pattern.kind == kind).collect()
    }
}

static NARRATIVE: LazyLock<Vec<Pattern>> = LazyLock::new(|| {
    parsed(&[
        (Kind::Open, &["It was a {w} {t}."]),
        (Kind::Appear, &["{a} was in the {l} with {x}.", "{a} stood in the {l} with {x}."]),
        (Kind::Lie, &["There was {x} in the {l}."]),
        (Kind::Go, &["Then {a} went to the {l}.", "{a} walked to the {l}."]),
        (Kind::Give, &["{a} gave the {o} to {b}.", "{a} handed the {o} to {b}."]),
        (Kind::Bring, &["{a} brought the {o} to {b}."]),
        (Kind::Take, &["{a} took the {o} from the {l}."]),
        (Kind::Fetch, &["{a} fetched the {o} from the {l}."]),
        (Kind::Find, &["{a} found the {o} in the {l}."]),
        (Kind::Leave, &["{a} left the {o} in the {l}.", "{a} put the {o} in the {l}."]),
        (Kind::Store, &["{a} stored the {o} in the {l}."]),
        (Kind::Hide, &["{a} hid the {o} in the {l}."]),
        (Kind::Lose, &["{a} lost the {o} in the {l}."]),
        (Kind::Coach, &["That day a coach came via {v}.", "A coach had just come via {v}."]),
        (Kind::Stray, &["There was also a little {n}.", "They found a very young {n}."]),
        (Kind::Meal, &["They cooked some {d} for everyone.", "There was enough {d} for everyone."]),
        (Kind::Wait, &["They all waited until {t}.", "Hours passed and it was {t}."]),
        (
            Kind::CoachWas,
            &["They still spoke of the coach via {v}.", "Nobody forgot the coach via {v}."],
        ),
        (Kind::StrayWas, &["Everyone was fond of their {n}.", "They all cared for their {n}."]),
        (Kind::MealWas, &["The whole house smelled of {d}.", "It still smelled a little of {d}."]),
        (Kind::Meet, &["{a} met {b} in the {l}.", "{a} saw {b} in the {l}."]),
        (
            Kind::HolderIs,
            &[
                "By then the {o} was with {a}.",
                "Everyone knew that the {o} was with {a}.",
                "Nobody doubted that the {o} was with {a}.",
            ],
        ),
        (
            Kind::PlaceIs,
            &[
                "By then the {o} was in the {l}.",
                "Everyone knew that the {o} was in the {l}.",
                "Nobody doubted that the {o} was in the {l}.",
            ],
        ),
        (Kind::PersonIn, &["{a} was still in the {l}."]),
        (Kind::HourIs, &["It was still {t} in the village."]),
        (Kind::Ask, &["{a} asked {s} about the {o}."]),
        (Kind::Work, &["After that {a} {act}.", "Meanwhile {a} {act}."]),
        (Kind::Feel, &["{a} felt a little {f}."]),
        (Kind::Watch, &["At that moment {scene}."]),
    ])
});

static DIALOGUE: LazyLock<Vec<Pattern>> = LazyLock::new(|| {
    parsed(&[
        (Kind::Open, &["\"What a {w} {t} it was!\" said {s}."]),
        (Kind::Appear, &["\"I was in the {l} with {x},\" said {a}."]),
        (Kind::Lie, &["\"There was {x} in the {l},\" said {s}."]),
        (
            Kind::Go,
            &["\"I went to the {l},\" said {a}.", "\"Then {a} went to the {l},\" said {s}."],
        ),
        (
            Kind::Give,
            &["\"I gave the {o} to {b},\" said {a}.", "\"I got the {o} from {a},\" said {b}."],
        ),
        (Kind::Bring, &["\"I brought the {o} to {b},\" said {a}."]),
        (Kind::Fetch, &["\"I fetched the {o} from the {l},\" said {a}."]),
        (Kind::Store, &["\"I stored the {o} in the {l},\" said {a}."]),
        (Kind::Take, &["\"I took the {o} from the {l},\" said {a}."]),
        (Kind::Find, &["\"I found the {o} in the {l},\" said {a}."]),
        (Kind::Leave, &["\"I left the {o} in the {l},\" said {a}."]),
        (Kind::Hide, &["\"I hid the {o} in the {l},\" said {a}."]),
        (Kind::Lose, &["\"I lost the {o} in the {l},\" said {a}."]),
        (Kind::Coach, &["\"A coach came via {v},\" said {s}."]),
        (Kind::Stray, &["\"I saw a little {n},\" said {s}."]),
        (Kind::Meal, &["\"We cooked some {d},\" said {s}."]),
        (Kind::Wait, &["\"We waited until {t},\" said {s}."]),
        (Kind::CoachWas, &["\"I liked the coach via {v},\" said {s}."]),
        (Kind::StrayWas, &["\"Somebody must feed our {n},\" said {s}."]),
        (Kind::MealWas, &["\"It still smells of {d},\" said {s}."]),
        (Kind::Meet, &["\"I met {b} in the {l},\" said {a}."]),
        (Kind::HolderIs, &["\"The {o} was with {a},\" answered {s}."]),
        (Kind::PlaceIs, &["\"The {o} was in the {l},\" answered {s}."]),
        (Kind::PersonIn, &["\"I was still in the {l},\" said {a}."]),
        (Kind::HourIs, &["\"It was still {t} then,\" said {s}."]),
        (Kind::Ask, &["\"What about the {o}?\" asked {a}."]),
        (Kind::Work, &["\"After that I {act},\" said {a}."]),
        (Kind::Feel, &["\"I felt a little {f},\" said {a}."]),
        (Kind::Watch, &["\"At that moment {scene},\" said {s}."]),
    ])
});

static INVENTORY: LazyLock<Vec<Pattern>> = LazyLock::new(|| {
    parsed(&[
        (Kind::Open, &["Notes of a {w} {t}."]),
        (Kind::Appear, &["In the {l}: {a}, with {x}."]),
        (Kind::Lie, &["In the {l}: {x}, with nobody."]),
        (Kind::Go, &["Moved to the {l}: {a}."]),
        (Kind::Give, &["The {o}: from {a} to {b}."]),
        (Kind::Bring, &["The {o}: brought by {a} to {b}."]),
        (Kind::Take, &["The {o}: from the {l} to {a}."]),
        (Kind::Fetch, &["The {o}: fetched from the {l} by {a}."]),
        (Kind::Store, &["The {o}: stored in the {l} by {a}."]),
        (Kind::Find, &["The {o}: found in the {l} by {a}."]),
        (Kind::Leave, &["The {o}: left in the {l} by {a}."]),
        (Kind::Hide, &["The {o}: hidden in the {l} by {a}."]),
        (Kind::Lose, &["The {o}: lost in the {l} by {a}."]),
        (Kind::Coach, &["Coach of the day: via {v}."]),
        (Kind::Stray, &["New in the house: one {n}."]),
        (Kind::Meal, &["Food of the day: some {d}."]),
        (Kind::Wait, &["Time of the next note: {t}."]),
        (Kind::CoachWas, &["Count: one coach via {v}."]),
        (Kind::StrayWas, &["Count: there is one {n}."]),
        (Kind::MealWas, &["Count: one pot of {d}."]),
        (Kind::Meet, &["Seen in the {l}: {a} and {b}."]),
        (Kind::HolderIs, &["Count: the {o} is with {a}."]),
        (Kind::PlaceIs, &["Count: the {o} is in the {l}."]),
        (Kind::PersonIn, &["Count: {a} is in the {l}."]),
        (Kind::HourIs, &["The time is still {t}."]),
        (Kind::Ask, &["Asked about the {o}: {a}."]),
        (Kind::Work, &["Work of {a}: {act}."]),
        (Kind::Feel, &["Mood of {a}: very {f}."]),
        (Kind::Watch, &["Also noted: {scene}."]),
    ])
});

/// One sentence with slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    pub(crate) kind: Kind,
    pub(crate) pieces: Vec<Piece>,
}

/// Part of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Literal(&'static str),
    Slot(Slot),
}

fn parsed(table: &[(Kind, &[&'static str])]) -> Vec<Pattern> {
    let patterns = table.iter().flat_map(|(kind, texts)| texts.iter().map(|text| (*kind, *text)));
    patterns.map(|(kind, text)| Pattern { kind, pieces: pieces(text) }).collect()
}

/// Cuts a pattern at its braces. The table is fixed and a test reads all of it, so a name that is no
/// slot stays as a literal and fails there.
fn pieces(mut text: &'static str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    while let Some((literal, rest)) = text.split_once('{') {
        let (name, rest) = rest.split_once('}').unwrap_or((rest, ""));
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        pieces.push(Slot::named(name).map_or(Piece::Literal(name), Piece::Slot));
        text = rest;
    }
    pieces.push(Piece::Literal(text));
    pieces
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        slots::Slots,
        words::{Person, Place, Thing},
    };

    #[test]
    fn every_register_tells_every_kind() {
        let kinds = |register: Register| {
            register.patterns().iter().map(|p| p.kind).collect::<BTreeSet<_>>()
        };
        for register in Register::ALL {
            assert_eq!(kinds(register).len(), 29, "{}", register.name());
        }
    }

    #[test]
    fn the_grammar_page_shows_every_pattern() {
        let page = include_str!("../GRAMMAR.md");
        let marks = |slot: &Slot| match slot {
            Slot::Who => "{a}",
            Slot::Whom => "{b}",
            Slot::Teller => "{s}",
            Slot::Thing => "{o}",
            Slot::NewThing => "{x}",
            Slot::Place => "{l}",
            Slot::Town => "{v}",
            Slot::Animal => "{n}",
            Slot::Dish => "{d}",
            Slot::Hour => "{t}",
            Slot::Weather => "{w}",
            Slot::Feeling => "{f}",
            Slot::Activity => "{act}",
            Slot::Scene => "{scene}",
        };
        for pattern in Register::ALL.iter().flat_map(|r| r.patterns()) {
            let pieces = pattern.pieces.iter().map(|piece| match piece {
                Piece::Literal(text) => *text,
                Piece::Slot(slot) => marks(slot),
            });
            let text: String = pieces.collect();
            assert!(page.contains(&format!("`{text}`")), "{text}");
        }
    }

    #[test]
    fn no_literal_holds_a_name() {
        let names: BTreeSet<&str> =
            [Person::words(), Place::words(), Thing::words()].concat().into_iter().collect();
        for pattern in Register::ALL.iter().flat_map(|r| r.patterns()) {
            for piece in &pattern.pieces {
                let Piece::Literal(text) = piece else { continue };
                let words: Vec<&str> =
                    text.split(|c: char| !c.is_alphabetic()).filter(|w| !w.is_empty()).collect();
                assert!(words.iter().all(|word| !names.contains(word)), "{text}");
            }
        }
    }

    #[test]
    fn the_slots_of_a_pattern_make_its_event() {
        let slots = Slots {
            who: Some(crate::words::all().next().unwrap()),
            whom: crate::words::all().nth(1),
            teller: crate::words::all().nth(2),
            thing: crate::words::all().next(),
            place: crate::words::all().next(),
            town: crate::words::all().next(),
            animal: crate::words::all().next(),
            dish: crate::words::all().next(),
            hour: crate::words::all().next(),
            weather: crate::words::all().next(),
            feeling: crate::words::all().next(),
            activity: crate::words::all().next(),
            scene: crate::words::all().next(),
        };
        for pattern in Register::ALL.iter().flat_map(|r| r.patterns()) {
            let event = pattern.kind.event(&slots).unwrap();
            assert_eq!(event.kind(), pattern.kind);
            let own = event.slots();
            for piece in &pattern.pieces {
                let Piece::Slot(slot) = piece else { continue };
                assert!(
                    *slot == Slot::Teller || own.words(*slot).is_some(),
                    "{pattern:?} has {slot:?} too many"
                );
            }
        }
    }
}
