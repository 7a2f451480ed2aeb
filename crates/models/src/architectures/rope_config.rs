//! What a config says of rotary positions, in all of its spellings: newer files keep everything in
//! `rope_parameters` (one object, or one for each kind of layer), older ones `rope_theta` at the top and the
//! rest in `rope_scaling`. Defaults are those of transformers 5.23.

use serde_json::{Map, Value};

use super::HubConfig;
use crate::{
    error::LoadError,
    nn::{Rope, RopeScaling},
};

/// The base where no field has one, in every family but Gemma 3.
const THETA: f64 = 10_000.0;

/// Settings of stretched frequencies, each with the types that read it.
const SCALING: [(&str, &[&str]); 11] = [
    ("factor", &["linear", "llama3"]),
    ("low_freq_factor", &["llama3"]),
    ("high_freq_factor", &["llama3"]),
    ("original_max_position_embeddings", &["llama3"]),
    ("attention_factor", &[]),
    ("beta_fast", &[]),
    ("beta_slow", &[]),
    ("mscale", &[]),
    ("mscale_all_dim", &[]),
    ("short_factor", &[]),
    ("long_factor", &[]),
];

/// Where one kind of layer has its settings.
struct Spelling<'a> {
    /// Objects that say the same thing, with their names.
    objects: Vec<(&'a str, &'a Map<String, Value>)>,
    /// The field at the top that holds the base in older files.
    theta: &'a str,
    default_theta: f64,
}

/// One set of settings, under the name of the object that they come from.
struct Settings {
    place: String,
    fields: Map<String, Value>,
}

impl HubConfig {
    /// The frequencies of a family whose layers are all of one kind.
    pub(crate) fn rope(&self, head_dim: usize, positions: usize) -> Result<Rope, LoadError> {
        let names = ["rope_parameters", "rope_scaling"];
        let mut objects = Vec::new();
        for name in names {
            objects.extend(self.object(name)?.map(|object| (name, object)));
        }
        self.rope_of(
            &Spelling { objects, theta: "rope_theta", default_theta: THETA },
            head_dim,
            positions,
        )
    }

    /// Those of Gemma 3: of the layers that see everything, and of those that see a window.
    pub(crate) fn ropes_by_kind(
        &self,
        head_dim: usize,
        positions: usize,
    ) -> Result<[Rope; 2], LoadError> {
        const GLOBAL_THETA: f64 = 1_000_000.0;
        const KINDS: [&str; 2] = ["full_attention", "sliding_attention"];
        let parameters = self.object("rope_parameters")?;
        let stray = parameters.and_then(|p| p.keys().find(|key| !KINDS.contains(&key.as_str())));
        if let Some(key) = stray {
            let reason =
                "is not read: one object for full_attention and one for sliding_attention are";
            return Err(self.bad(&format!("rope_parameters.{key}"), reason));
        }
        let of_kind = |kind: &str| match parameters.and_then(|p| p.get(kind)) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => self.as_object(&format!("rope_parameters.{kind}"), value).map(Some),
        };
        let full = of_kind(KINDS[0])?.map(|object| ("rope_parameters.full_attention", object));
        let older = self.object("rope_scaling")?.map(|object| ("rope_scaling", object));
        for (place, object) in full.iter().chain(&older) {
            self.require_what_gemma_reads(place, object)?;
        }
        let full = Spelling {
            objects: full.into_iter().chain(older).collect(),
            theta: "rope_theta",
            default_theta: GLOBAL_THETA,
        };
        let sliding =
            of_kind(KINDS[1])?.map(|object| ("rope_parameters.sliding_attention", object));
        let sliding = Spelling {
            objects: sliding.into_iter().collect(),
            theta: "rope_local_base_freq",
            default_theta: THETA,
        };
        Ok([
            self.rope_of(&full, head_dim, positions)?,
            self.rope_of(&sliding, head_dim, positions)?,
        ])
    }

    /// The class of Gemma 3 puts an older object into a newer one, whose `rope_type` hides `type`, and
    /// looks for the original positions inside only.
    fn require_what_gemma_reads(
        &self,
        place: &str,
        object: &Map<String, Value>,
    ) -> Result<(), LoadError> {
        let kind = object.get("rope_type").or_else(|| object.get("type"));
        let is_old = place == "rope_scaling" && object.get("rope_type").is_none();
        if is_old && kind.is_some_and(|kind| kind != "default") {
            let reason = "is not read by the class of this family: call it `rope_type`";
            return Err(self.bad(&format!("{place}.type"), reason));
        }
        let positions = "original_max_position_embeddings";
        let outside = object.get(positions).is_none() && self.get(positions).is_some();
        if outside && kind.is_some_and(|kind| kind == "llama3") {
            let reason = format!("is not read by the class of this family: put it into `{place}`");
            return Err(self.bad(positions, reason));
        }
        Ok(())
    }

    /// A field that holds an object; an empty one says nothing.
    fn object(&self, field: &str) -> Result<Option<&Map<String, Value>>, LoadError> {
        let object = self.get(field).map(|value| self.as_object(field, value)).transpose()?;
        Ok(object.filter(|object| !object.is_empty()))
    }

    fn as_object<'a>(
        &self,
        name: &str,
        value: &'a Value,
    ) -> Result<&'a Map<String, Value>, LoadError> {
        value.as_object().ok_or_else(|| self.bad(name, format!("is {value}, expected an object")))
    }

    fn rope_of(
        &self,
        spelling: &Spelling<'_>,
        head_dim: usize,
        positions: usize,
    ) -> Result<Rope, LoadError> {
        let mut settings = Vec::new();
        for (place, object) in &spelling.objects {
            settings.push(self.settings(place, object, spelling)?);
        }
        if let [first, second] = &settings[..] {
            self.compare(first, second)?;
        }
        let Some(settings) = settings.into_iter().next() else {
            self.require_whole_rotation(
                "partial_rotary_factor",
                self.get("partial_rotary_factor"),
            )?;
            let theta = self.real_or(spelling.theta, spelling.default_theta)?;
            return self.checked_rope(head_dim, theta, spelling.theta, RopeScaling::None);
        };
        let name = settings.name("rope_theta");
        let theta = self.number(&name, settings.fields.get("rope_theta"))?;
        let scaling = self.scaling(&settings, positions)?;
        self.checked_rope(head_dim, theta, &name, scaling)
    }

    fn checked_rope(
        &self,
        head_dim: usize,
        theta: f64,
        field: &str,
        scaling: RopeScaling,
    ) -> Result<Rope, LoadError> {
        match theta > 0.0 && theta.is_finite() {
            true => Ok(Rope::new(head_dim, theta, scaling)),
            false => Err(self.bad(field, format!("is {theta}, expected a positive number"))),
        }
    }

    /// What an object says, with the older names in it under their newer ones and what stands at the top
    /// of the config filled in.
    fn settings(
        &self,
        place: &str,
        object: &Map<String, Value>,
        spelling: &Spelling<'_>,
    ) -> Result<Settings, LoadError> {
        let said = |key: &str| object.get(key).filter(|value| !value.is_null());
        let inside = |key: &str| (format!("{place}.{key}"), said(key));
        let top = |key: &str| (key.to_owned(), self.get(key));
        let mut fields: Map<String, Value> = object
            .iter()
            .filter(|(_, v)| !v.is_null())
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        fields.remove("type");
        let kind = self.agreed([inside("rope_type"), inside("type")])?;
        let kind = kind.map_or(Value::from("default"), |said| said.value.clone());
        fields.insert("rope_type".to_owned(), kind);
        let theta = self.agreed([inside("rope_theta"), top(spelling.theta)])?;
        let theta = theta.map_or(Value::from(spelling.default_theta), |said| said.value.clone());
        fields.insert("rope_theta".to_owned(), theta);
        for key in ["original_max_position_embeddings", "partial_rotary_factor"] {
            if let Some(said) = self.agreed([inside(key), top(key)])? {
                let is_read =
                    key != "original_max_position_embeddings" || fields["rope_type"] == "llama3";
                if is_read || said.place != key {
                    fields.insert(key.to_owned(), said.value.clone());
                }
            }
        }
        Ok(Settings { place: place.to_owned(), fields })
    }

    /// Two objects that say the same thing must say it of every setting.
    fn compare(&self, first: &Settings, second: &Settings) -> Result<(), LoadError> {
        let rest = first.fields.keys().chain(second.fields.keys()).map(String::as_str);
        for key in ["rope_type", "rope_theta"].into_iter().chain(rest) {
            let said = [first, second].map(|settings| {
                (settings.name(key), Some(settings.fields.get(key).unwrap_or(&Value::Null)))
            });
            self.agreed(said)?;
        }
        Ok(())
    }

    fn number(&self, name: &str, value: Option<&Value>) -> Result<f64, LoadError> {
        let value = value.ok_or_else(|| self.bad(name, "is missing"))?;
        value.as_f64().ok_or_else(|| self.bad(name, format!("is {value}, expected a number")))
    }

    fn require_whole_rotation(&self, name: &str, value: Option<&Value>) -> Result<(), LoadError> {
        match value {
            Some(value) if value.as_f64() != Some(1.0) => {
                Err(self.bad(name, format!("is {value}: only 1 is supported")))
            }
            _ => Ok(()),
        }
    }

    fn scaling(&self, settings: &Settings, positions: usize) -> Result<RopeScaling, LoadError> {
        let Settings { fields, .. } = settings;
        let name = |key: &str| settings.name(key);
        self.require_whole_rotation(
            &name("partial_rotary_factor"),
            fields.get("partial_rotary_factor"),
        )?;
        let kind = fields["rope_type"].as_str().unwrap_or_default();
        if !["default", "linear", "llama3"].contains(&kind) {
            let reason =
                format!("{} is not supported: default, linear and llama3 are", fields["rope_type"]);
            return Err(self.bad(&name("rope_type"), reason));
        }
        for (key, readers) in SCALING {
            let value = fields.get(key).filter(|value| value.as_f64() != Some(1.0));
            if let Some(value) = value.filter(|_| !readers.contains(&kind)) {
                let reason = format!("is {value}, which the type `{kind}` does not read");
                return Err(self.bad(&name(key), reason));
            }
        }
        if let Some((key, _)) = fields.iter().find(|(_, value)| value.is_object()) {
            let reason = "is an object, but the layers of this family are all of one kind";
            return Err(self.bad(&name(key), reason));
        }
        let positive = |key: &str| match self.number(&name(key), fields.get(key))? {
            number if number > 0.0 => Ok(number),
            number => Err(self.bad(&name(key), format!("is {number}, expected a positive number"))),
        };
        Ok(match kind {
            "linear" => RopeScaling::Linear { factor: positive("factor")? },
            "llama3" => RopeScaling::Llama3 {
                factor: positive("factor")?,
                low: positive("low_freq_factor")?,
                high: positive("high_freq_factor")?,
                original_positions: match fields.get("original_max_position_embeddings") {
                    Some(_) => {
                        let key = "original_max_position_embeddings";
                        let number = positive(key)?;
                        if number.fract() != 0.0 {
                            let reason = format!("is {number}, expected a whole number");
                            return Err(self.bad(&name(key), reason));
                        }
                        number as usize
                    }
                    None => positions,
                },
            },
            _ => RopeScaling::None,
        })
    }
}

impl Settings {
    /// The full name of a setting.
    fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.place)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    fn rope(fields: Value) -> Result<Rope, String> {
        let fields = fields.as_object().expect("an object").clone();
        let config = HubConfig::from_fields(Path::new("config.json"), fields);
        config.rope(8, 256).map_err(|error| error.to_string())
    }

    #[test]
    fn spellings_of_one_setting_are_read_alike() {
        let plain = Rope::new(8, 5e5, RopeScaling::Linear { factor: 2.0 });
        for fields in [
            json!({"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 5e5}}),
            json!({"rope_parameters": {"rope_type": "linear", "factor": 2.0}, "rope_theta": 500000}),
            json!({"rope_scaling": {"type": "linear", "factor": 2}, "rope_theta": 5e5}),
            json!({"rope_scaling": {"type": "linear", "rope_type": "linear", "factor": 2}, "rope_theta": 5e5,
                "rope_parameters": {"rope_theta": 5e5, "rope_type": "linear", "factor": 2.0}}),
        ] {
            assert_eq!(rope(fields.clone()), Ok(plain.clone()), "{fields}");
        }
        let default = Rope::new(8, 1e4, RopeScaling::None);
        for fields in [json!({}), json!({"rope_scaling": null, "rope_parameters": {}})] {
            assert_eq!(rope(fields), Ok(default.clone()));
        }
        let llama3 = |original_positions| RopeScaling::Llama3 {
            factor: 8.0,
            low: 1.0,
            high: 4.0,
            original_positions,
        };
        let scaling = json!({"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4});
        let without = rope(json!({"rope_scaling": scaling}));
        assert_eq!(without, Ok(Rope::new(8, 1e4, llama3(256))));
        let at_the_top =
            rope(json!({"rope_scaling": scaling, "original_max_position_embeddings": 64}));
        assert_eq!(at_the_top, Ok(Rope::new(8, 1e4, llama3(64))));
    }

    #[test]
    fn contradictions_name_both_places() {
        for (fields, places) in [
            (
                json!({"rope_parameters": {"rope_type": "default", "rope_theta": 1e4},
                    "rope_scaling": {"rope_type": "yarn", "factor": 4.0}}),
                ["`rope_parameters.", "`rope_scaling."],
            ),
            (
                json!({"rope_parameters": {"rope_theta": 1e6}, "rope_theta": 1e4}),
                ["`rope_parameters.rope_theta`", "`rope_theta`"],
            ),
            (
                json!({"rope_scaling": {"type": "linear", "rope_type": "default", "factor": 2.0}}),
                ["`rope_scaling.rope_type`", "`rope_scaling.type`"],
            ),
            (
                json!({"rope_parameters": {"rope_theta": 1e6}, "rope_scaling": {"type": "linear", "factor": 2.0}}),
                ["`rope_parameters.", "`rope_scaling."],
            ),
        ] {
            let error = rope(fields.clone()).expect_err("a contradiction");
            assert!(places.iter().all(|place| error.contains(place)), "{fields}: {error}");
        }
    }

    #[test]
    fn what_is_not_read_is_refused() {
        for (fields, field) in [
            (json!({"rope_scaling": "linear"}), "rope_scaling"),
            (
                json!({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}),
                "rope_scaling.rope_type",
            ),
            (json!({"rope_scaling": {"factor": 4.0}}), "rope_scaling.factor"),
            (json!({"rope_parameters": {"rope_theta": "1e6"}}), "rope_parameters.rope_theta"),
            (json!({"rope_parameters": {"rope_theta": -1.0}}), "rope_parameters.rope_theta"),
            (json!({"rope_theta": 0}), "rope_theta"),
            (json!({"partial_rotary_factor": 0.5}), "partial_rotary_factor"),
            (
                json!({"rope_theta": 1e4, "rope_parameters": {"full_attention": {}}}),
                "rope_parameters.full_attention",
            ),
            (
                json!({"rope_parameters": {"rope_theta": 1e4}, "partial_rotary_factor": 0.5}),
                "rope_parameters.partial_rotary_factor",
            ),
        ] {
            let error = rope(fields.clone()).expect_err("refused");
            assert!(error.contains(&format!("field `{field}`")), "{fields}: {error}");
        }
    }
}
