//! Between an event and the words that fill a sentence: the kinds of events and their slots.

use crate::{
    words::{
        Activity, Animal, Dish, Feeling, Hour, Listed, Person, Place, Scene, Thing, Town, Weather,
        all,
    },
    world::Event,
};

/// The kind of an event: which patterns can tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Open,
    Appear,
    Lie,
    Go,
    Give,
    Bring,
    Take,
    Fetch,
    Find,
    Leave,
    Store,
    Hide,
    Lose,
    Coach,
    Stray,
    Meal,
    Wait,
    CoachWas,
    StrayWas,
    MealWas,
    Meet,
    HolderIs,
    PlaceIs,
    PersonIn,
    HourIs,
    Ask,
    Work,
    Feel,
    Watch,
}

/// A place in a pattern that an entry of a word list fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// `{a}`: who acts, holds or is somewhere.
    Who,
    /// `{b}`: who is acted upon.
    Whom,
    /// `{s}`: who says it or is asked; the event does not depend on them.
    Teller,
    /// `{o}`: the bare noun.
    Thing,
    /// `{x}`: the noun with its article.
    NewThing,
    /// `{l}`
    Place,
    /// `{v}`
    Town,
    /// `{n}`
    Animal,
    /// `{d}`
    Dish,
    /// `{t}`
    Hour,
    /// `{w}`
    Weather,
    /// `{f}`
    Feeling,
    /// `{act}`
    Activity,
    /// `{scene}`
    Scene,
}

/// What fills the slots of one sentence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slots {
    pub(crate) who: Option<Person>,
    pub(crate) whom: Option<Person>,
    pub(crate) teller: Option<Person>,
    pub(crate) thing: Option<Thing>,
    pub(crate) place: Option<Place>,
    pub(crate) town: Option<Town>,
    pub(crate) animal: Option<Animal>,
    pub(crate) dish: Option<Dish>,
    pub(crate) hour: Option<Hour>,
    pub(crate) weather: Option<Weather>,
    pub(crate) feeling: Option<Feeling>,
    pub(crate) activity: Option<Activity>,
    pub(crate) scene: Option<Scene>,
}

impl Slot {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "a" => Self::Who,
            "b" => Self::Whom,
            "s" => Self::Teller,
            "o" => Self::Thing,
            "x" => Self::NewThing,
            "l" => Self::Place,
            "v" => Self::Town,
            "n" => Self::Animal,
            "d" => Self::Dish,
            "t" => Self::Hour,
            "w" => Self::Weather,
            "f" => Self::Feeling,
            "act" => Self::Activity,
            "scene" => Self::Scene,
            _ => return None,
        })
    }
}

impl Slots {
    /// The words of a slot; nothing where the slot is empty.
    pub(crate) fn words(&self, slot: Slot) -> Option<String> {
        fn word<L: Listed>(entry: Option<L>) -> Option<String> {
            entry.map(|entry| entry.word().to_owned())
        }
        match slot {
            Slot::Who => word(self.who),
            Slot::Whom => word(self.whom),
            Slot::Teller => word(self.teller),
            Slot::Thing => word(self.thing),
            Slot::NewThing => self.thing.map(Thing::with_article),
            Slot::Place => word(self.place),
            Slot::Town => word(self.town),
            Slot::Animal => word(self.animal),
            Slot::Dish => word(self.dish),
            Slot::Hour => word(self.hour),
            Slot::Weather => word(self.weather),
            Slot::Feeling => word(self.feeling),
            Slot::Activity => word(self.activity),
            Slot::Scene => word(self.scene),
        }
    }

    /// Every way in which the beginning of `text` fills a slot, each with the text behind it.
    pub(crate) fn readings<'t>(&self, slot: Slot, text: &'t str) -> Vec<(Self, &'t str)> {
        fn fill<L: Listed>(text: &str, set: impl Fn(L) -> Slots) -> Vec<(Slots, &str)> {
            all::<L>().filter_map(|e| Some((set(e), after(text, e.word())?))).collect()
        }
        let this = *self;
        match slot {
            Slot::Who => fill(text, |e| Self { who: Some(e), ..this }),
            Slot::Whom => fill(text, |e| Self { whom: Some(e), ..this }),
            Slot::Teller => fill(text, |e| Self { teller: Some(e), ..this }),
            Slot::Thing => fill(text, |e| Self { thing: Some(e), ..this }),
            Slot::NewThing => {
                let after_article = |e: Thing| after(text, &e.with_article());
                all::<Thing>()
                    .filter_map(|e| Some((Self { thing: Some(e), ..this }, after_article(e)?)))
                    .collect()
            }
            Slot::Place => fill(text, |e| Self { place: Some(e), ..this }),
            Slot::Town => fill(text, |e| Self { town: Some(e), ..this }),
            Slot::Animal => fill(text, |e| Self { animal: Some(e), ..this }),
            Slot::Dish => fill(text, |e| Self { dish: Some(e), ..this }),
            Slot::Hour => fill(text, |e| Self { hour: Some(e), ..this }),
            Slot::Weather => fill(text, |e| Self { weather: Some(e), ..this }),
            Slot::Feeling => fill(text, |e| Self { feeling: Some(e), ..this }),
            Slot::Activity => fill(text, |e| Self { activity: Some(e), ..this }),
            Slot::Scene => fill(text, |e| Self { scene: Some(e), ..this }),
        }
    }

    /// Everyone named, the teller included.
    pub(crate) fn people(&self) -> impl Iterator<Item = Person> {
        [self.who, self.whom, self.teller].into_iter().flatten()
    }
}

/// What follows `word` at the beginning of `text`, if a word ends there.
fn after<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    text.strip_prefix(word).filter(|rest| !rest.starts_with(char::is_alphabetic))
}

impl Event {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Open { .. } => Kind::Open,
            Self::Appear { .. } => Kind::Appear,
            Self::Lie { .. } => Kind::Lie,
            Self::Go { .. } => Kind::Go,
            Self::Give { .. } => Kind::Give,
            Self::Bring { .. } => Kind::Bring,
            Self::Take { .. } => Kind::Take,
            Self::Fetch { .. } => Kind::Fetch,
            Self::Find { .. } => Kind::Find,
            Self::Leave { .. } => Kind::Leave,
            Self::Store { .. } => Kind::Store,
            Self::Hide { .. } => Kind::Hide,
            Self::Lose { .. } => Kind::Lose,
            Self::Coach { .. } => Kind::Coach,
            Self::Stray { .. } => Kind::Stray,
            Self::Meal { .. } => Kind::Meal,
            Self::Wait { .. } => Kind::Wait,
            Self::CoachWas { .. } => Kind::CoachWas,
            Self::StrayWas { .. } => Kind::StrayWas,
            Self::MealWas { .. } => Kind::MealWas,
            Self::Meet { .. } => Kind::Meet,
            Self::HolderIs { .. } => Kind::HolderIs,
            Self::PlaceIs { .. } => Kind::PlaceIs,
            Self::PersonIn { .. } => Kind::PersonIn,
            Self::HourIs { .. } => Kind::HourIs,
            Self::Ask { .. } => Kind::Ask,
            Self::Work { .. } => Kind::Work,
            Self::Feel { .. } => Kind::Feel,
            Self::Watch { .. } => Kind::Watch,
        }
    }

    /// What the event puts into the slots of its sentence; tellers are free.
    pub(crate) fn slots(&self) -> Slots {
        let empty = Slots::default();
        match *self {
            Self::Open { hour, weather } => {
                Slots { hour: Some(hour), weather: Some(weather), ..empty }
            }
            Self::Appear { who, place, thing }
            | Self::Take { who, thing, place }
            | Self::Fetch { who, thing, place }
            | Self::Find { who, thing, place }
            | Self::Store { who, thing, place }
            | Self::Leave { who, thing, place }
            | Self::Hide { who, thing, place }
            | Self::Lose { who, thing, place } => {
                Slots { who: Some(who), place: Some(place), thing: Some(thing), ..empty }
            }
            Self::Lie { thing, place } | Self::PlaceIs { thing, place } => {
                Slots { place: Some(place), thing: Some(thing), ..empty }
            }
            Self::Go { who, place } | Self::PersonIn { who, place } => {
                Slots { who: Some(who), place: Some(place), ..empty }
            }
            Self::Give { from, thing, to } | Self::Bring { from, thing, to } => {
                Slots { who: Some(from), thing: Some(thing), whom: Some(to), ..empty }
            }
            Self::Wait { until: hour } | Self::HourIs { hour } => {
                Slots { hour: Some(hour), ..empty }
            }
            Self::Coach { town } | Self::CoachWas { town } => Slots { town: Some(town), ..empty },
            Self::Stray { animal } | Self::StrayWas { animal } => {
                Slots { animal: Some(animal), ..empty }
            }
            Self::Meal { dish } | Self::MealWas { dish } => Slots { dish: Some(dish), ..empty },
            Self::Meet { who, whom, place } => {
                Slots { who: Some(who), whom: Some(whom), place: Some(place), ..empty }
            }
            Self::HolderIs { thing, who } | Self::Ask { who, thing } => {
                Slots { who: Some(who), thing: Some(thing), ..empty }
            }
            Self::Work { who, activity } => {
                Slots { who: Some(who), activity: Some(activity), ..empty }
            }
            Self::Feel { who, feeling } => {
                Slots { who: Some(who), feeling: Some(feeling), ..empty }
            }
            Self::Watch { scene } => Slots { scene: Some(scene), ..empty },
        }
    }
}

impl Kind {
    /// The event of this kind that filled slots say; nothing where one is empty.
    pub(crate) fn event(self, slots: &Slots) -> Option<Event> {
        let (who, whom, thing, place) = (slots.who, slots.whom, slots.thing, slots.place);
        Some(match self {
            Self::Open => Event::Open { hour: slots.hour?, weather: slots.weather? },
            Self::Appear => Event::Appear { who: who?, place: place?, thing: thing? },
            Self::Lie => Event::Lie { thing: thing?, place: place? },
            Self::Go => Event::Go { who: who?, place: place? },
            Self::Give => Event::Give { from: who?, thing: thing?, to: whom? },
            Self::Bring => Event::Bring { from: who?, thing: thing?, to: whom? },
            Self::Fetch => Event::Fetch { who: who?, thing: thing?, place: place? },
            Self::Store => Event::Store { who: who?, thing: thing?, place: place? },
            Self::Take => Event::Take { who: who?, thing: thing?, place: place? },
            Self::Find => Event::Find { who: who?, thing: thing?, place: place? },
            Self::Leave => Event::Leave { who: who?, thing: thing?, place: place? },
            Self::Hide => Event::Hide { who: who?, thing: thing?, place: place? },
            Self::Lose => Event::Lose { who: who?, thing: thing?, place: place? },
            Self::Coach => Event::Coach { town: slots.town? },
            Self::Stray => Event::Stray { animal: slots.animal? },
            Self::Meal => Event::Meal { dish: slots.dish? },
            Self::Wait => Event::Wait { until: slots.hour? },
            Self::CoachWas => Event::CoachWas { town: slots.town? },
            Self::StrayWas => Event::StrayWas { animal: slots.animal? },
            Self::MealWas => Event::MealWas { dish: slots.dish? },
            Self::Meet => Event::Meet { who: who?, whom: whom?, place: place? },
            Self::HolderIs => Event::HolderIs { thing: thing?, who: who? },
            Self::PlaceIs => Event::PlaceIs { thing: thing?, place: place? },
            Self::PersonIn => Event::PersonIn { who: who?, place: place? },
            Self::HourIs => Event::HourIs { hour: slots.hour? },
            Self::Ask => Event::Ask { who: who?, thing: thing? },
            Self::Work => Event::Work { who: who?, activity: slots.activity? },
            Self::Feel => Event::Feel { who: who?, feeling: slots.feeling? },
            Self::Watch => Event::Watch { scene: slots.scene? },
        })
    }
}
