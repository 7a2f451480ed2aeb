//! The word lists: who, where, what and when, and the phrases that only fill time.

/// A kind of word with a closed list; a value is the place in that list.
pub(crate) trait Listed: Copy + Eq + 'static {
    /// Every word or phrase of the kind, in an order that seeds depend on.
    const WORDS: &'static [&'static str];

    /// The entry at a place of the list.
    fn at(index: usize) -> Self;

    /// The word or phrase itself.
    fn word(self) -> &'static str;
}

macro_rules! listed {
    ($(#[$doc:meta])* $name:ident: $($word:literal)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u8);

        impl Listed for $name {
            const WORDS: &'static [&'static str] = &[$($word),*];

            fn at(index: usize) -> Self {
                Self(index as u8)
            }

            fn word(self) -> &'static str {
                Self::WORDS[usize::from(self.0)]
            }
        }

        impl $name {
            /// Every word or phrase of this kind.
            pub const fn words() -> &'static [&'static str] {
                <Self as Listed>::WORDS
            }

            /// Number in the list, from 0.
            pub fn index(self) -> usize {
                usize::from(self.0)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

listed! {
    /// Someone who goes about and holds things.
    Person:
    "Mira" "Tomas" "Jonas" "Anna" "Petra" "Emil" "Clara" "Oskar"
    "Lena" "Viktor" "Nora" "Hugo" "Ida" "Felix" "Marta" "Anton"
    "Elsa" "Bruno" "Greta" "Simon" "Judit" "Karl" "Sofia" "Leo"
    "Vera" "Milan" "Agnes" "Paul" "Hanna" "Boris" "Irene" "Max"
    "Tilda" "Roman" "Alma" "David" "Helga" "Oliver" "Stella" "Martin"
    "Linda" "Peter" "Dora" "Stefan" "Frida" "Adam" "Rita" "Jakob"
    "Teresa" "Ruben" "Nina" "Otto" "Wanda" "Gregor" "Livia" "Edgar"
}

listed! {
    /// Somewhere one can be in.
    Place:
    "kitchen" "barn" "garden" "attic" "cellar" "mill" "market" "chapel"
    "orchard" "stable" "forest" "harbour" "library" "bakery" "tower" "school"
    "meadow" "workshop" "station" "tavern" "hall" "pantry" "valley" "cottage"
    "courtyard" "vineyard" "museum" "theatre" "lighthouse" "smithy" "greenhouse" "park"
}

listed! {
    /// Something that can be held, given away, left or hidden.
    Thing:
    "lantern" "kettle" "rope" "key" "axe" "apple" "umbrella" "oar"
    "anchor" "inkwell" "arrow" "basket" "blanket" "book" "bottle" "bowl"
    "box" "broom" "brush" "bucket" "candle" "chain" "clock" "coat"
    "coin" "comb" "compass" "cup" "drum" "feather" "flute" "fork"
    "hammer" "hat" "helmet" "jar" "jug" "knife" "ladder" "letter"
    "map" "mirror" "mug" "necklace" "needle" "paddle" "pan" "pencil"
    "pillow" "pipe" "plate" "ring" "saddle" "scarf" "shovel" "spoon"
    "teapot" "ticket" "violin" "wallet" "envelope" "egg" "onion" "urn"
    "barrel" "crown" "vase" "kite" "trumpet" "cushion" "stool" "net"
}

listed! {
    /// A town on the way of a coach.
    Town:
    "Arden" "Belmont" "Calder" "Dunmore" "Elmford" "Fairby" "Glenrock" "Harwick"
    "Inverlea" "Kelso" "Larkhill" "Marlow" "Norwell" "Oakham" "Pemberton" "Quenby"
    "Redcliff" "Selwood" "Thornbury" "Upwood" "Velden" "Westport" "Yarrow" "Zellwood"
    "Ashdown" "Brackley" "Corfield" "Denholm" "Everton" "Foxley" "Granton" "Hollin"
}

listed! {
    /// An animal that joins everybody.
    Animal:
    "pony" "goat" "rabbit" "goose" "lamb" "mule" "hedgehog" "squirrel"
    "hamster" "parrot" "raven" "tortoise" "ferret" "kitten" "puppy" "calf"
    "foal" "piglet" "duck" "pigeon" "canary" "weasel" "badger" "beaver"
    "otter" "lizard" "sparrow" "turkey" "heron" "magpie" "marten" "toad"
}

listed! {
    /// What is cooked for everybody.
    Dish:
    "cabbage" "pumpkin" "lentils" "dumplings" "noodles" "beans" "trout" "herring"
    "mutton" "pancakes" "mushrooms" "cider" "barley" "oats" "spinach" "carrots"
    "turnips" "parsnips" "chestnuts" "plums" "rhubarb" "sausages" "goulash" "chowder"
    "pickles" "mussels" "salmon" "custard" "ginger" "leeks" "radishes" "venison"
}

listed! {
    /// Part of the day; the next in the list follows, and after the last the first.
    Hour: "morning" "noon" "afternoon" "evening" "night"
}

listed! {
    /// What the day is like.
    Weather:
    "cold" "warm" "windy" "rainy" "foggy" "sunny" "grey" "mild"
    "stormy" "bright" "cloudy" "damp" "dry" "hot" "misty" "frosty"
}

listed! {
    /// How someone feels.
    Feeling:
    "happy" "tired" "hungry" "cheerful" "worried" "thirsty" "proud" "sleepy"
    "angry" "curious" "lonely" "calm" "nervous" "pleased" "bored" "sad"
}

listed! {
    /// What someone does without moving, giving or taking anything.
    Activity:
    "swept the floor" "fed the hens" "sang an old song" "baked some bread"
    "washed the windows" "mended a fence" "told a long joke" "drank some water"
    "read the news" "cut the grass" "planted two roses" "fell asleep early"
    "danced for a moment" "counted the clouds" "painted the door" "chopped some wood"
    "milked a cow" "picked some berries" "lit the stove" "wrote a short poem"
    "played with the dog" "chased the cat" "looked at the sky" "sat on a bench"
    "whistled a tune" "ate some soup" "peeled the potatoes" "folded the sheets"
    "listened to the birds" "laughed at nothing" "dreamed of the sea" "spoke of the harvest"
    "thought about winter" "built a small wall" "threw a stone" "climbed a tree"
    "polished the boots" "watered the flowers" "stirred the porridge" "sharpened a blade"
    "knitted some socks" "shook the carpet" "greeted the neighbours" "tasted the honey"
    "hummed very softly" "yawned and stretched" "drew a horse" "cleaned the table"
    "waved at strangers" "guessed a riddle" "spread butter and jam" "practised the piano"
    "rubbed both hands" "repaired an engine" "tied seven knots" "burned dead wood"
}

listed! {
    /// What happens outside, to nobody.
    Scene:
    "rain began to fall" "a cool wind blew" "a bell rang twice" "some geese flew over"
    "the sun came out" "thunder rolled far away" "leaves fell everywhere" "a cart drove past"
    "smoke rose slowly" "an owl called once" "children ran by" "the river grew loud"
    "snow covered the roofs" "a donkey brayed" "shadows became longer" "frogs sang together"
    "lightning split an oak" "wolves howled again" "fresh hay smelled sweet" "a train passed"
}

impl Thing {
    /// The noun with its article, `a lantern`, `an axe`.
    pub(crate) fn with_article(self) -> String {
        let noun = self.word();
        let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
        format!("{article} {noun}")
    }
}

impl Hour {
    /// The part of the day that comes next.
    pub(crate) fn next(self) -> Self {
        Self::at((self.index() + 1) % Self::WORDS.len())
    }
}

/// Every entry of a kind, in the order of its list.
pub(crate) fn all<L: Listed>() -> impl Iterator<Item = L> {
    (0..L::WORDS.len()).map(L::at)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_name_has_one_meaning() {
        let lists = [Person::words(), Place::words(), Thing::words()];
        let names = [lists, [Town::words(), Animal::words(), Dish::words()]].concat().concat();
        let phrases =
            [Hour::words(), Weather::words(), Feeling::words(), Activity::words(), Scene::words()];
        let others: BTreeSet<&str> =
            phrases.concat().iter().flat_map(|phrase| phrase.split(' ')).collect();
        for (i, name) in names.iter().enumerate() {
            assert!(!names[..i].contains(name), "{name} is listed twice");
            assert!(!others.contains(name), "{name} also stands in a phrase");
        }
    }

    #[test]
    fn articles_follow_the_sound() {
        let articles: Vec<String> = all::<Thing>().map(Thing::with_article).collect();
        for expected in ["an umbrella", "an egg", "an urn", "an oar", "a key", "a hat"] {
            assert!(articles.iter().any(|a| a == expected), "{expected}");
        }
    }

    #[test]
    fn the_day_goes_round() {
        let morning = Hour::at(0);
        let mut hour = morning;
        for _ in Hour::words() {
            hour = hour.next();
        }
        assert_eq!(hour, morning);
        assert_eq!(morning.next().word(), "noon");
    }
}
