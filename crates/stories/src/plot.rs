//! What happens in a text, in outline: introduction, settling, life going on, recall.

use crate::{
    author::{Author, CAST},
    draw::Draw,
    split::Split,
    templates::Register,
    words::{Animal, Dish, Person, Thing, Town, all},
    world::Event,
};

/// What the last sentence asks for: the one word of its list that the text has told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Question {
    /// Which way the coach came.
    Town,
    /// Which animal joined them.
    Animal,
    /// What was cooked.
    Dish,
}

impl Question {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Town, Self::Animal, Self::Dish];

    /// The name in files and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Town => "town",
            Self::Animal => "animal",
            Self::Dish => "dish",
        }
    }

    /// Every word that could be the answer.
    pub fn words(self) -> &'static [&'static str] {
        match self {
            Self::Town => Town::words(),
            Self::Animal => Animal::words(),
            Self::Dish => Dish::words(),
        }
    }

    /// The question that an event settles or recalls.
    pub fn of(event: &Event) -> Option<Self> {
        match event {
            Event::Coach { .. } | Event::CoachWas { .. } => Some(Self::Town),
            Event::Stray { .. } | Event::StrayWas { .. } => Some(Self::Animal),
            Event::Meal { .. } | Event::MealWas { .. } => Some(Self::Dish),
            _ => None,
        }
    }

    /// An answer, and the events that settle and recall it.
    fn events(self, draw: &mut Draw) -> Option<[Event; 2]> {
        match self {
            Self::Town => {
                let town = draw.pick(&all().collect::<Vec<_>>())?;
                Some([Event::Coach { town }, Event::CoachWas { town }])
            }
            Self::Animal => {
                let animal = draw.pick(&all().collect::<Vec<_>>())?;
                Some([Event::Stray { animal }, Event::StrayWas { animal }])
            }
            Self::Dish => {
                let dish = draw.pick(&all().collect::<Vec<_>>())?;
                Some([Event::Meal { dish }, Event::MealWas { dish }])
            }
        }
    }
}

/// What is fixed about a text before anything is drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) register: Register,
    pub(crate) question: Question,
    /// Sentences from the settling one to the one that recalls it; 1 is the next sentence.
    pub(crate) distance: usize,
}

/// The events of a text.
#[derive(Clone, Debug)]
pub(crate) struct Plot {
    pub(crate) people: Vec<Person>,
    pub(crate) events: Vec<Event>,
    /// Which event settles what is asked for.
    pub(crate) settled: usize,
    /// Which event recalls it.
    pub(crate) recalled: usize,
}

/// Events between the introduction and the settling one, at most.
const BEFORE: usize = 4;

impl Plot {
    /// Draws a plot whose opening belongs to `split`.
    pub(crate) fn new(draw: &mut Draw, split: Split, shape: Shape) -> Self {
        let mut author = Author::new(draw, split, shape.register);
        let found = author.draw.chance(1, 2);
        author.introduce(found);
        author.reserved = Some(shape.question);
        for _ in 0..author.draw.below(BEFORE + 1) {
            author.go_on();
        }
        let events = shape.question.events(author.draw);
        let settled = author.events.len();
        events.iter().for_each(|[settles, _]| author.tell(*settles));
        while author.events.len() < settled + shape.distance {
            author.go_on();
        }
        let recalled = author.events.len();
        events.iter().for_each(|[_, recalls]| author.tell(*recalls));
        author.reserved = None;
        close(&mut author);
        let Author { people, events, .. } = author;
        Self { people, events, settled, recalled }
    }
}

/// Recalls of things at the end: all of them in an inventory.
fn close(author: &mut Author<'_>) {
    let things: Vec<Thing> = author.world.things().map(|(thing, _)| thing).collect();
    let n = match author.register {
        Register::Narrative => author.draw.below(3),
        Register::Dialogue => author.draw.below(2),
        Register::Inventory => CAST,
    };
    for thing in author.draw.sample(&things, n) {
        author.recall(thing);
    }
}
