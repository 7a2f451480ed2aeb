//! What happens in a text, in outline: introduction, settling, life going on, recall.

use crate::{
    author::{Author, CAST},
    draw::Draw,
    split::Split,
    templates::Register,
    words::{Person, Place, Thing},
    world::Event,
};

/// What the last sentence asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Question {
    /// Who has the thing: the answer is a person.
    Holder,
    /// Where the thing lies: the answer is a place.
    Place,
}

impl Question {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Holder, Self::Place];
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
    pub(crate) places: Vec<Place>,
    pub(crate) events: Vec<Event>,
    /// Which event settles the thing that is asked for.
    pub(crate) settled: usize,
    /// Which event recalls it.
    pub(crate) recalled: usize,
}

/// In how many of a hundred texts one candidate more is named, when the thing is handed to somebody.
/// Where it comes back to who had it, that person is named twice; this makes up for it.
const NAMED_ONCE_MORE: usize = 50;

impl Plot {
    /// Draws a plot whose opening belongs to `split`.
    pub(crate) fn new(draw: &mut Draw, split: Split, shape: Shape) -> Self {
        let mut author = Author::new(draw, split, shape.register);
        let found = author.draw.chance(1, 2);
        let thing = author.things[author.draw.below(CAST + usize::from(found))];
        let candidates = match shape.question {
            Question::Holder => author.people.iter().map(|who| Candidate::Person(*who)).collect(),
            Question::Place => author.places.iter().map(|p| Candidate::Place(*p)).collect(),
        };
        author.introduce(found);
        author.reserved = Some(thing);
        settle(&mut author, thing, candidates);
        let settled = author.events.len() - 1;
        while author.events.len() < settled + shape.distance {
            author.go_on();
        }
        author.recall(thing);
        let recalled = author.events.len() - 1;
        author.reserved = None;
        close(&mut author, thing);
        let Author { people, places, events, .. } = author;
        Self { people, places, events, settled, recalled }
    }
}

/// Whom or what the last question could ask for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Candidate {
    Person(Person),
    Place(Place),
}

impl Candidate {
    fn is_named(self, event: &Event) -> bool {
        let slots = event.slots();
        match self {
            Self::Person(who) => slots.people().any(|named| named == who),
            Self::Place(place) => slots.place == Some(place),
        }
    }
}

/// Draws the answer and lets it receive the thing.
///
/// The settling sentence names the answer once more than it was. So that the answer is not the
/// candidate that a text names most, each of the others is named once more before.
fn settle(author: &mut Author<'_>, thing: Thing, candidates: Vec<Candidate>) {
    let drawn = author.draw.sample(&candidates, CAST);
    let Some((answer, others)) = drawn.split_first() else { return };
    let person = matches!(answer, Candidate::Person(_));
    let once_more = person && author.draw.chance(NAMED_ONCE_MORE, 100);
    for other in others.iter().chain(&others[..usize::from(once_more)]) {
        author.go_on_with(|event| {
            candidates.iter().all(|candidate| candidate.is_named(event) == (candidate == other))
        });
    }
    match *answer {
        Candidate::Person(who) => author.hand_to(who, thing),
        Candidate::Place(place) => author.bring_to(place, thing),
    }
}

/// Recalls of other things after the one that mattered: all of them in an inventory.
fn close(author: &mut Author<'_>, asked: Thing) {
    let others: Vec<Thing> =
        author.world.things().map(|(thing, _)| thing).filter(|thing| *thing != asked).collect();
    let n = match author.register {
        Register::Narrative => author.draw.below(3),
        Register::Dialogue => author.draw.below(2),
        Register::Inventory => others.len(),
    };
    for thing in author.draw.sample(&others, n) {
        author.recall(thing);
    }
}
