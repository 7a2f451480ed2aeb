//! The world that a text tells of: who is where, who holds what, what time it is.

use std::collections::BTreeMap;

use crate::words::{
    Activity, Animal, Dish, Feeling, Hour, Person, Place, Scene, Thing, Town, Weather,
};

/// What one sentence says. The first group changes the world, the second recalls what is so by now,
/// the third does neither.
#[expect(missing_docs, reason = "the fields are named after who and what an event is about")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// The text begins.
    Open { hour: Hour, weather: Weather },
    /// Someone is first seen, somewhere and with something.
    Appear { who: Person, place: Place, thing: Thing },
    /// Something is first seen, with nobody.
    Lie { thing: Thing, place: Place },
    /// Someone moves, with all that they hold.
    Go { who: Person, place: Place },
    /// Something changes hands between two people in one place.
    Give { from: Person, thing: Thing, to: Person },
    /// Someone carries a thing to somebody elsewhere and gives it to them there.
    Bring { from: Person, thing: Thing, to: Person },
    /// Someone takes what lies where they are.
    Take { who: Person, thing: Thing, place: Place },
    /// Someone goes where a thing lies and takes it.
    Fetch { who: Person, thing: Thing, place: Place },
    /// Someone finds what was hidden or lost where they are.
    Find { who: Person, thing: Thing, place: Place },
    /// Someone leaves what they hold where they are, for all to see.
    Leave { who: Person, thing: Thing, place: Place },
    /// Someone carries what they hold to another place and leaves it there, for all to see.
    Store { who: Person, thing: Thing, place: Place },
    /// Someone hides what they hold where they are.
    Hide { who: Person, thing: Thing, place: Place },
    /// Someone loses what they hold where they are.
    Lose { who: Person, thing: Thing, place: Place },
    /// A coach comes by way of a town.
    Coach { town: Town },
    /// An animal joins everybody.
    Stray { animal: Animal },
    /// Something is cooked for all.
    Meal { dish: Dish },
    /// Time passes to the next part of the day.
    Wait { until: Hour },

    /// Which way the coach came.
    CoachWas { town: Town },
    /// Which animal it was.
    StrayWas { animal: Animal },
    /// What was cooked.
    MealWas { dish: Dish },
    /// Two people are in one place.
    Meet { who: Person, whom: Person, place: Place },
    /// Who holds a thing.
    HolderIs { thing: Thing, who: Person },
    /// Where a thing lies.
    PlaceIs { thing: Thing, place: Place },
    /// Where someone is.
    PersonIn { who: Person, place: Place },
    /// What time it is.
    HourIs { hour: Hour },

    /// Someone asks about a thing.
    Ask { who: Person, thing: Thing },
    /// Someone is busy.
    Work { who: Person, activity: Activity },
    /// Someone has a feeling.
    Feel { who: Person, feeling: Feeling },
    /// Something happens outside.
    Watch { scene: Scene },
}

/// Where a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// Someone holds it and takes it along.
    With(Person),
    /// It lies somewhere, seen by all.
    LyingIn(Place),
    /// It lies somewhere, hidden or lost: it must be found.
    HiddenIn(Place),
}

impl Whereabouts {
    /// Where it lies, if nobody holds it.
    pub fn place(self) -> Option<Place> {
        match self {
            Self::With(_) => None,
            Self::LyingIn(place) | Self::HiddenIn(place) => Some(place),
        }
    }

    /// Who holds it, if anybody.
    pub fn holder(self) -> Option<Person> {
        match self {
            Self::With(who) => Some(who),
            Self::LyingIn(_) | Self::HiddenIn(_) => None,
        }
    }
}

/// An event that does not fit what was told before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{event:?} contradicts what was told before")]
pub struct Contradiction {
    /// The event.
    pub event: Event,
}

/// What a text has told so far, and nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct World {
    hour: Option<Hour>,
    town: Option<Town>,
    animal: Option<Animal>,
    dish: Option<Dish>,
    people: BTreeMap<Person, Place>,
    things: BTreeMap<Thing, Whereabouts>,
}

impl World {
    /// What time it is.
    pub fn hour(&self) -> Option<Hour> {
        self.hour
    }

    /// Where everyone is that was named, in the order of the list of people.
    pub fn people(&self) -> impl Iterator<Item = (Person, Place)> {
        self.people.iter().map(|(who, place)| (*who, *place))
    }

    /// Where everything is that was named, in the order of the list of things.
    pub fn things(&self) -> impl Iterator<Item = (Thing, Whereabouts)> {
        self.things.iter().map(|(thing, whereabouts)| (*thing, *whereabouts))
    }

    /// Where someone is.
    pub fn place_of(&self, who: Person) -> Option<Place> {
        self.people.get(&who).copied()
    }

    /// Where a thing is.
    pub fn whereabouts(&self, thing: Thing) -> Option<Whereabouts> {
        self.things.get(&thing).copied()
    }

    /// Whether the event can be told next.
    pub fn allows(&self, event: Event) -> bool {
        let here = |who, place| self.place_of(who) == Some(place);
        let is = |thing, whereabouts| self.whereabouts(thing) == Some(whereabouts);
        let known = |who| self.people.contains_key(&who);
        match event {
            Event::Open { .. } => *self == Self::default(),
            Event::Appear { who, thing, .. } => !known(who) && !self.things.contains_key(&thing),
            Event::Lie { thing, .. } => !self.things.contains_key(&thing),
            Event::Go { who, place } => known(who) && !here(who, place),
            Event::Give { from, thing, to } => {
                from != to
                    && is(thing, Whereabouts::With(from))
                    && known(to)
                    && self.place_of(from) == self.place_of(to)
            }
            Event::Bring { from, thing, to } => {
                is(thing, Whereabouts::With(from))
                    && known(to)
                    && self.place_of(from) != self.place_of(to)
            }
            Event::Fetch { who, thing, place } => {
                known(who) && !here(who, place) && is(thing, Whereabouts::LyingIn(place))
            }
            Event::Store { who, thing, place } => {
                !here(who, place) && is(thing, Whereabouts::With(who))
            }
            Event::Take { who, thing, place } => {
                here(who, place) && is(thing, Whereabouts::LyingIn(place))
            }
            Event::Find { who, thing, place } => {
                here(who, place) && is(thing, Whereabouts::HiddenIn(place))
            }
            Event::Leave { who, thing, place }
            | Event::Hide { who, thing, place }
            | Event::Lose { who, thing, place } => {
                here(who, place) && is(thing, Whereabouts::With(who))
            }
            // Each of these happens once, so that a text knows one town, one animal and one dish.
            Event::Coach { .. } => self.town.is_none(),
            Event::Stray { .. } => self.animal.is_none(),
            Event::Meal { .. } => self.dish.is_none(),
            Event::CoachWas { town } => self.town == Some(town),
            Event::StrayWas { animal } => self.animal == Some(animal),
            Event::MealWas { dish } => self.dish == Some(dish),
            Event::Wait { until } => self.hour.is_some_and(|hour| hour.next() == until),
            Event::Meet { who, whom, place } => {
                who != whom && here(who, place) && here(whom, place)
            }
            Event::HolderIs { thing, who } => is(thing, Whereabouts::With(who)),
            Event::PlaceIs { thing, place } => {
                self.whereabouts(thing).and_then(Whereabouts::place) == Some(place)
            }
            Event::PersonIn { who, place } => here(who, place),
            Event::HourIs { hour } => self.hour == Some(hour),
            Event::Ask { who, thing } => {
                // Nobody asks about what is in their own hands.
                known(who)
                    && self
                        .whereabouts(thing)
                        .is_some_and(|where_is| where_is.holder() != Some(who))
            }
            Event::Work { who, .. } | Event::Feel { who, .. } => known(who),
            Event::Watch { .. } => true,
        }
    }

    /// Takes in one more sentence.
    ///
    /// # Errors
    /// [`Contradiction`] where the sentence does not fit what was told before; the world is then
    /// unchanged.
    pub fn tell(&mut self, event: Event) -> Result<(), Contradiction> {
        if !self.allows(event) {
            return Err(Contradiction { event });
        }
        match event {
            Event::Open { hour, .. } | Event::Wait { until: hour } => self.hour = Some(hour),
            Event::Appear { who, place, thing } => {
                self.people.insert(who, place);
                self.things.insert(thing, Whereabouts::With(who));
            }
            Event::Go { who, place } => {
                self.people.insert(who, place);
            }
            Event::Bring { from, thing, to } => {
                if let Some(place) = self.place_of(to) {
                    self.people.insert(from, place);
                }
                self.things.insert(thing, Whereabouts::With(to));
            }
            Event::Fetch { who, thing, place } => {
                self.people.insert(who, place);
                self.things.insert(thing, Whereabouts::With(who));
            }
            Event::Store { who, thing, place } => {
                self.people.insert(who, place);
                self.things.insert(thing, Whereabouts::LyingIn(place));
            }
            Event::Give { thing, to: who, .. }
            | Event::Take { who, thing, .. }
            | Event::Find { who, thing, .. } => {
                self.things.insert(thing, Whereabouts::With(who));
            }
            Event::Lie { thing, place } | Event::Leave { thing, place, .. } => {
                self.things.insert(thing, Whereabouts::LyingIn(place));
            }
            Event::Hide { thing, place, .. } | Event::Lose { thing, place, .. } => {
                self.things.insert(thing, Whereabouts::HiddenIn(place));
            }
            Event::Coach { town } => self.town = Some(town),
            Event::Stray { animal } => self.animal = Some(animal),
            Event::Meal { dish } => self.dish = Some(dish),
            Event::CoachWas { .. }
            | Event::StrayWas { .. }
            | Event::MealWas { .. }
            | Event::Meet { .. }
            | Event::HolderIs { .. }
            | Event::PlaceIs { .. }
            | Event::PersonIn { .. }
            | Event::HourIs { .. }
            | Event::Ask { .. }
            | Event::Work { .. }
            | Event::Feel { .. }
            | Event::Watch { .. } => {}
        }
        Ok(())
    }
}
