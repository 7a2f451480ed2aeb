//! Who draws what happens next, from what the world allows.

use crate::{
    draw::Draw,
    plot::Question,
    slots::Kind,
    split::Split,
    templates::Register,
    words::{Person, Place, Thing, all},
    world::{Event, Whereabouts, World},
};

/// People, places and owned things of a text.
pub(crate) const CAST: usize = 4;

/// How often each kind of event is tried.
const WEIGHTS: &[(Kind, usize)] = &[
    (Kind::Go, 8),
    (Kind::Give, 4),
    (Kind::Bring, 4),
    (Kind::Take, 4),
    (Kind::Fetch, 4),
    (Kind::Find, 4),
    (Kind::Leave, 2),
    (Kind::Store, 2),
    (Kind::Hide, 2),
    (Kind::Lose, 2),
    (Kind::Coach, 30),
    (Kind::Stray, 30),
    (Kind::Meal, 30),
    (Kind::Wait, 2),
    (Kind::CoachWas, 45),
    (Kind::StrayWas, 45),
    (Kind::MealWas, 45),
    (Kind::Meet, 3),
    (Kind::HolderIs, 4),
    (Kind::PlaceIs, 3),
    (Kind::PersonIn, 3),
    (Kind::HourIs, 2),
    (Kind::Ask, 2),
    (Kind::Work, 4),
    (Kind::Feel, 2),
    (Kind::Watch, 2),
];

/// So many events must lie between two equal ones.
const FRESH: usize = 3;

/// Tells a text, event by event.
pub(crate) struct Author<'d> {
    pub(crate) draw: &'d mut Draw,
    pub(crate) register: Register,
    pub(crate) people: Vec<Person>,
    pub(crate) places: Vec<Place>,
    /// One for each person, and one more.
    pub(crate) things: Vec<Thing>,
    /// What will be asked for: meanwhile nothing is told of it.
    pub(crate) reserved: Option<Question>,
    pub(crate) world: World,
    pub(crate) events: Vec<Event>,
}

impl<'d> Author<'d> {
    /// Draws a cast whose first person, thing and place open a text of `split`.
    pub(crate) fn new(draw: &'d mut Draw, split: Split, register: Register) -> Self {
        let (people, places, things): (Vec<_>, Vec<_>, Vec<_>) =
            (all().collect(), all().collect(), all().collect());
        loop {
            let people = draw.sample(&people, CAST);
            let places = draw.sample(&places, CAST);
            let things = draw.sample(&things, CAST + 1);
            if Split::of_opening(people[0], things[0], places[0]) == split {
                let (reserved, world, events) = (None, World::default(), Vec::new());
                return Self { draw, register, people, places, things, reserved, world, events };
            }
        }
    }

    pub(crate) fn tell(&mut self, event: Event) {
        let told = self.world.tell(event);
        debug_assert!(told.is_ok(), "{told:?}");
        self.events.push(event);
    }

    /// Time and weather, everybody with their place and thing, perhaps a thing without an owner.
    pub(crate) fn introduce(&mut self, found: bool) {
        let (hours, weathers): (Vec<_>, Vec<_>) = (all().collect(), all().collect());
        if let (Some(hour), Some(weather)) = (self.draw.pick(&hours), self.draw.pick(&weathers)) {
            self.tell(Event::Open { hour, weather });
        }
        for i in 0..CAST {
            let (who, place, thing) = (self.people[i], self.places[i], self.things[i]);
            self.tell(Event::Appear { who, place, thing });
        }
        if let (true, Some(place)) = (found, self.draw.pick(&self.places)) {
            self.tell(Event::Lie { thing: self.things[CAST], place });
        }
    }

    /// Tells one event, or in a dialogue a question and its answer.
    pub(crate) fn go_on(&mut self) {
        loop {
            let Some(kind) = self.draw.weighted(WEIGHTS) else { return };
            let events = self.possible(kind);
            match self.draw.pick(&events) {
                Some(Event::HolderIs { thing, .. } | Event::PlaceIs { thing, .. }) => {
                    return self.recall(thing);
                }
                Some(event) => return self.tell(event),
                None => {}
            }
        }
    }

    /// Says where a thing is by now; in a dialogue somebody asks first.
    pub(crate) fn recall(&mut self, thing: Thing) {
        if self.register == Register::Dialogue {
            let asks = self.people.iter().map(|who| Event::Ask { who: *who, thing });
            let asks: Vec<Event> = asks.filter(|ask| self.world.allows(*ask)).collect();
            if let Some(ask) = self.draw.pick(&asks) {
                self.tell(ask);
            }
        }
        match self.world.whereabouts(thing) {
            Some(Whereabouts::With(who)) => self.tell(Event::HolderIs { thing, who }),
            Some(Whereabouts::LyingIn(place) | Whereabouts::HiddenIn(place)) => {
                self.tell(Event::PlaceIs { thing, place });
            }
            None => {}
        }
    }

    /// Every event of a kind that the world allows and that leaves the reserved thing alone.
    fn possible(&self, kind: Kind) -> Vec<Event> {
        let mut events = self.imaginable(kind);
        events.retain(|event| {
            self.world.allows(*event)
                && (self.reserved.is_none() || Question::of(event) != self.reserved)
                && !self.is_restless(*event)
                && !self.repeats(*event)
        });
        events
    }

    /// Whether the same has only just been said.
    fn repeats(&self, event: Event) -> bool {
        self.events.iter().rev().take(FRESH).any(|told| *told == event)
    }

    /// Whether someone would move on who has only just come.
    fn is_restless(&self, event: Event) -> bool {
        match (self.events.last(), event) {
            (Some(Event::Go { who: came, .. }), Event::Go { who, .. }) => *came == who,
            _ => false,
        }
    }

    /// Every event of a kind among the cast, allowed or not.
    fn imaginable(&self, kind: Kind) -> Vec<Event> {
        let people = || self.people.iter().copied();
        let places = || self.places.iter().copied();
        let things = || self.things.iter().copied();
        let stays = || people().flat_map(|who| places().map(move |place| (who, place)));
        let holds = || people().flat_map(|who| things().map(move |thing| (who, thing)));
        let visits = |event: &dyn Fn(Person, Place) -> Event| {
            stays().map(|(who, place)| event(who, place)).collect()
        };
        let handlings = |event: &dyn Fn(Person, Thing, Place) -> Event| {
            let handlings = holds().flat_map(|(w, t)| places().map(move |place| (w, t, place)));
            handlings.map(|(who, thing, place)| event(who, thing, place)).collect()
        };
        let transfers = |event: &dyn Fn(Person, Thing, Person) -> Event| {
            let transfers = holds().flat_map(|(from, t)| people().map(move |to| (from, t, to)));
            transfers.map(|(from, thing, to)| event(from, thing, to)).collect()
        };
        match kind {
            Kind::Go => visits(&|who, place| Event::Go { who, place }),
            Kind::PersonIn => visits(&|who, place| Event::PersonIn { who, place }),
            Kind::Give => transfers(&|from, thing, to| Event::Give { from, thing, to }),
            Kind::Bring => transfers(&|from, thing, to| Event::Bring { from, thing, to }),
            Kind::Take => handlings(&|who, thing, place| Event::Take { who, thing, place }),
            Kind::Fetch => handlings(&|who, thing, place| Event::Fetch { who, thing, place }),
            Kind::Find => handlings(&|who, thing, place| Event::Find { who, thing, place }),
            Kind::Leave => handlings(&|who, thing, place| Event::Leave { who, thing, place }),
            Kind::Store => handlings(&|who, thing, place| Event::Store { who, thing, place }),
            Kind::Hide => handlings(&|who, thing, place| Event::Hide { who, thing, place }),
            Kind::Lose => handlings(&|who, thing, place| Event::Lose { who, thing, place }),
            Kind::Meet => stays()
                .flat_map(|(who, place)| people().map(move |whom| Event::Meet { who, whom, place }))
                .collect(),
            Kind::HolderIs => holds().map(|(who, thing)| Event::HolderIs { thing, who }).collect(),
            Kind::Ask => holds().map(|(who, thing)| Event::Ask { who, thing }).collect(),
            Kind::PlaceIs => things()
                .flat_map(|thing| places().map(move |place| Event::PlaceIs { thing, place }))
                .collect(),
            Kind::Coach => all().map(|town| Event::Coach { town }).collect(),
            Kind::Stray => all().map(|animal| Event::Stray { animal }).collect(),
            Kind::Meal => all().map(|dish| Event::Meal { dish }).collect(),
            Kind::CoachWas => all().map(|town| Event::CoachWas { town }).collect(),
            Kind::StrayWas => all().map(|animal| Event::StrayWas { animal }).collect(),
            Kind::MealWas => all().map(|dish| Event::MealWas { dish }).collect(),
            Kind::Wait => all().map(|until| Event::Wait { until }).collect(),
            Kind::HourIs => all().map(|hour| Event::HourIs { hour }).collect(),
            Kind::Work => people()
                .flat_map(|who| all().map(move |activity| Event::Work { who, activity }))
                .collect(),
            Kind::Feel => people()
                .flat_map(|who| all().map(move |feeling| Event::Feel { who, feeling }))
                .collect(),
            Kind::Watch => all().map(|scene| Event::Watch { scene }).collect(),
            Kind::Open | Kind::Appear | Kind::Lie => Vec::new(),
        }
    }
}
