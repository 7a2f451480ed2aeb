//! How linear layers are, the directions of the residual stream, and what each layer would predict.

use judgement::Summary;
use judgement::layers::{Lens, Linearity, StreamDirections};

use super::recipes::interval;
use crate::document::Align::Right;
use crate::document::{Block, Field, Table};
use crate::format::{correlation, or_nothing, percent, significant};

/// The tables of a run; nothing where layers were not observed.
pub(super) fn section(summary: &Summary) -> Vec<Block> {
    let Summary { linearity: linear, directions: along, lens: lenses, .. } = summary;
    if linear.is_empty() && along.is_empty() && lenses.is_empty() {
        return Vec::new();
    }
    let linear = linear.iter().flat_map(linearity);
    let along = along.iter().flat_map(directions);
    let lenses = lenses.iter().flat_map(lens);
    let heading = Block::heading(2, "Layers: how linear, along which directions, how early sure");
    [heading].into_iter().chain(linear).chain(along).chain(lenses).collect()
}

fn linearity(own: &Linearity) -> Vec<Block> {
    let mut table =
        Table::new([("layer", Right), ("R²", Right), ("this layer replaced, × dense", Right)]);
    for layer in &own.layers {
        table.push([
            Field::Number(layer.layer.to_string()),
            Field::Number(significant(layer.r_squared, 3)),
            Field::Number(or_nothing(layer.replaced.as_ref().map(interval))),
        ]);
    }
    let rho = or_nothing(own.rho_with_depth.map(|rho| correlation(rho, 2)));
    let heading = format!("{} · {}: R² of a linear map by depth", own.model, own.dataset);
    let note = format!(
        "R² of each layer's update on the measured text, by a map that was fitted on calibration text. \
         Spearman's ρ of R² with depth: {rho}."
    );
    vec![Block::heading(3, heading), Block::Table(table), Block::paragraph(note)]
}

fn directions(own: &StreamDirections) -> Vec<Block> {
    let mut table = Table::new([
        ("in front of layer", Right),
        ("directions", Right),
        ("ρ of variance and sensitivity", Right),
        ("variance in the top tenth", Right),
        ("sensitivity there", Right),
    ]);
    for layer in &own.layers {
        table.push([
            Field::Number(layer.layer.to_string()),
            Field::Number(layer.n.to_string()),
            Field::Number(or_nothing(layer.rho.map(|rho| correlation(rho, 2)))),
            Field::Number(percent(layer.variance_of_top_tenth)),
            Field::Number(percent(layer.sensitivity_of_top_tenth)),
        ]);
    }
    let heading = format!("{} · {}: variance against sensitivity", own.model, own.dataset);
    let note = "Principal directions of the residual stream: ρ is Spearman's, over all of them; the top \
                tenth is that of largest variance.";
    vec![Block::heading(3, heading), Block::Table(table), Block::paragraph(note)]
}

fn lens(own: &Lens) -> Vec<Block> {
    let mut table = Table::new([
        ("layer", Right),
        ("argmax settled", Right),
        ("argmax of the last layer", Right),
        ("mean largest probability", Right),
        ("would leave here", Right),
    ]);
    for layer in &own.layers {
        table.push([
            Field::Number(layer.layer.to_string()),
            Field::Number(percent(layer.settled)),
            Field::Number(percent(layer.agreeing)),
            Field::Number(significant(layer.probability, 3)),
            Field::Number(or_nothing(layer.leaving.map(percent))),
        ]);
    }
    let heading = format!("{} · {}: easy tokens by layer", own.model, own.dataset);
    let rule = own.rule.as_ref().map(|rule| format!(" Tokens would leave by {rule}."));
    let note = format!(
        "Final norm and head at the end of each layer of the dense model: shares of tokens whose argmax no \
         longer changes from there on, and whose argmax is that of the last layer.{}",
        rule.unwrap_or_default()
    );
    vec![Block::heading(3, heading), Block::Table(table), Block::paragraph(note)]
}
