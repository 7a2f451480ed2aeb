//! The sentences about gradients: do they rescue the static end?

use judgement::gradients::{Gradients, LOST, Rescue, RescueVerdict};
use plan::shortest_decimal;

use super::finding::OfModel;
use super::unequal::sentence_at;
use crate::format::significant;

/// One a model, of its first text; those of all texts stand below their tables.
pub(super) fn sentences(all: &[Gradients]) -> Vec<OfModel> {
    let is_first =
        |index: usize, own: &Gradients| all[..index].iter().all(|before| before.model != own.model);
    let first = all.iter().enumerate().filter(|(index, own)| is_first(*index, own));
    first.filter_map(|(_, own)| Some((own.model.clone(), sentence(own)?))).collect()
}

/// Whether gradients rescue the static end, at the largest sparsity.
pub(crate) fn sentence(gradients: &Gradients) -> Option<String> {
    let rescue = gradients.rescue()?;
    let Rescue { sparsity, score, gradient, magnitude, random, verdict, unequal } = &rescue;
    let random = random.map(|value| format!(" and random {}", significant(value, 4)));
    let less = significant(magnitude / gradient, 3);
    let more = significant(gradient / magnitude, 3);
    let compared = match gradient < magnitude {
        _ if less == "1.00" || more == "1.00" => "as much as magnitude".to_owned(),
        true => format!("{less} times less than magnitude"),
        false => format!("{more} times as much as magnitude"),
    };
    let verdict = match verdict {
        RescueVerdict::StillLost => {
            format!("gradients do not rescue the static end: still ≥ {LOST} × dense")
        }
        RescueVerdict::Rescued => {
            format!("gradients rescue the static end: below {LOST} × dense, magnitude above")
        }
        RescueVerdict::NothingToRescue => {
            format!("there is nothing to rescue: both stay below {LOST} × dense")
        }
    };
    Some(format!(
        "{} on {} ({}), a static cut at κ={} costs {} × dense by the better gradient score ({score}), \
         where magnitude costs {}{}: {compared}; {verdict}.{}",
        gradients.model,
        gradients.dataset,
        gradients.protocol,
        shortest_decimal(*sparsity),
        significant(*gradient, 4),
        significant(*magnitude, 4),
        random.unwrap_or_default(),
        sentence_at(unequal.as_ref()),
    ))
}
