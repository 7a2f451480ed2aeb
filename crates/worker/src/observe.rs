//! The policy `observe`: from scores to rows and back, ablations, overlaps of kept sets.

use anyhow::{Context as _, bail};
use importance::{
    Ablation, Calibration, Draw, Dropped, Moments, SiteWeights, StateMoments, StateWeights, ablate,
    by_name, sample,
};
use models::{Batch, Model, SiteLayers};
use plan::{Observation, Part, Treatment};
use skips::{Overlapping, sum_overlaps};
use tables::{ChannelRow, NeuronRow, OverlapRow};

use crate::{evaluate::Rows, parallel::in_order, stop::Stop};

/// What a pass says of every neuron or channel.
pub(crate) fn rows(
    model: &dyn Model,
    calibration: &Calibration,
    treatment: &Treatment,
) -> anyhow::Result<Rows> {
    let layers = SiteLayers::of(model)?;
    let has_gradients = treatment.observation == Some(Observation::Gradient);
    Ok(match treatment.part {
        Part::Ffn => Rows::Neurons(neurons(model, &layers, calibration, has_gradients)),
        Part::State => Rows::Channels(channels(model, &layers, calibration, has_gradients)),
        Part::Heads | Part::Kv => bail!("scores of part `{}` are not observed", treatment.part),
    })
}

fn neurons(
    model: &dyn Model,
    layers: &SiteLayers,
    calibration: &Calibration,
    has_gradients: bool,
) -> Vec<NeuronRow> {
    let blocks = model.ffn_blocks();
    let mut rows = Vec::new();
    for (site, ffn) in model.ffns().into_iter().enumerate() {
        let moments = &calibration.sites()[site];
        let weights = SiteWeights::of(ffn);
        let draw = Draw::of_site(0, site);
        let of = |score: &dyn importance::Score| score.score(&weights, moments, &draw);
        let bare = |neuron: usize| NeuronRow {
            site: site as u32,
            layer: layers.ffn[site] as u32,
            block: blocks[site] as u32,
            neuron: neuron as u32,
            tokens: moments.tokens,
            ..NeuronRow::default()
        };
        if has_gradients {
            let (taylor, fisher) = (of(&importance::Taylor), of(&importance::Fisher));
            rows.extend((0..ffn.neurons()).map(|i| NeuronRow {
                slope: Some(moments.slope[i]),
                taylor: Some(taylor[i]),
                fisher: Some(fisher[i]),
                ..bare(i)
            }));
            continue;
        }
        let (impact, wanda) = (of(&importance::Impact), of(&importance::Wanda));
        rows.extend((0..ffn.neurons()).map(|i| NeuronRow {
            magnitude: Some(moments.magnitude[i]),
            energy: Some(moments.energy[i]),
            weight: Some(f64::from(weights.l2[i])),
            impact: Some(impact[i]),
            wanda: Some(wanda[i]),
            ..bare(i)
        }));
    }
    rows
}

fn channels(
    model: &dyn Model,
    layers: &SiteLayers,
    calibration: &Calibration,
    has_gradients: bool,
) -> Vec<ChannelRow> {
    let mut rows = Vec::new();
    for (site, mixer) in model.mixers().into_iter().enumerate() {
        let (shape, moments) = (mixer.shape(), &calibration.states()[site]);
        let weights = StateWeights::of(mixer);
        let draw = Draw::of_state_site(0, site);
        let of = |score: &dyn importance::StateScore| score.score(&weights, moments, &draw);
        let bare = |n: usize| ChannelRow {
            site: site as u32,
            layer: layers.states[site] as u32,
            group: (n / shape.channels) as u32,
            channel: (n % shape.channels) as u32,
            tokens: moments.tokens,
            ..ChannelRow::default()
        };
        if has_gradients {
            let taylor = of(&importance::StateTaylor);
            rows.extend((0..shape.mixed()).map(|n| ChannelRow {
                slope: Some(moments.slope[n]),
                state_taylor: Some(taylor[n]),
                ..bare(n)
            }));
            continue;
        }
        let (ghost, factored) = (of(&importance::Ghost), of(&importance::GhostFactored));
        let weight = of(&importance::StateWeight);
        let half_lives = moments.channel_half_lives(shape.groups);
        rows.extend((0..shape.mixed()).map(|n| ChannelRow {
            readout: Some(moments.readout[n]),
            state_energy: Some(moments.energy[n]),
            read_energy: Some(moments.reads[n]),
            // A channel that nothing was ever written to has none.
            half_life_tokens: Some(half_lives[n]).filter(|tokens| tokens.is_finite()),
            ghost: Some(ghost[n]),
            ghost_factored: Some(factored[n]),
            state_weight: Some(weight[n]),
            ..bare(n)
        }));
    }
    rows
}

/// The moments that stored rows were made of.
pub(crate) fn from_neurons(rows: &[NeuronRow]) -> Calibration {
    let mut sites: Vec<Moments> = Vec::new();
    for row in rows {
        let site = row.site as usize;
        if sites.len() <= site {
            sites.resize(site + 1, Moments::default());
        }
        let moments = &mut sites[site];
        moments.tokens = row.tokens;
        moments.magnitude.push(row.magnitude.unwrap_or_default());
        moments.energy.push(row.energy.unwrap_or_default());
        if let (Some(slope), Some(squared)) = (row.slope, row.fisher) {
            moments.slope.push(slope);
            moments.slope_squared.push(squared);
        }
    }
    Calibration::from_parts(sites, Vec::new())
}

/// The same of state channels; how fast heads forget is not among them.
pub(crate) fn from_channels(model: &dyn Model, rows: &[ChannelRow]) -> Calibration {
    let shapes = model.mixers().into_iter().map(|mixer| mixer.shape());
    let mut states: Vec<StateMoments> = shapes
        .clone()
        .map(|shape| StateMoments::new(shape.mixed(), shape.heads, shape.groups))
        .collect();
    let channels: Vec<usize> = shapes.map(|shape| shape.channels).collect();
    for row in rows {
        let site = row.site as usize;
        let n = row.group as usize * channels[site] + row.channel as usize;
        let moments = &mut states[site];
        moments.tokens = row.tokens;
        moments.readout[n] = row.readout.unwrap_or_default();
        moments.energy[n] = row.state_energy.unwrap_or_default();
        moments.reads[n] = row.read_energy.unwrap_or_default();
        moments.slope[n] = row.slope.unwrap_or_default();
    }
    Calibration::from_parts(Vec::new(), states)
}

/// What dropping one neuron or channel alone does, on a seeded sample of every site; `None` if asked to
/// stop on the way. `done` is told of every window.
pub(crate) fn ablation(
    model: &dyn Model,
    windows: &[Vec<u32>],
    treatment: &Treatment,
    stop: &Stop,
    done: impl FnMut(&Vec<u32>),
) -> anyhow::Result<Option<Rows>> {
    let size = treatment.sample.context("an ablation has a sample")?;
    let sampled: Vec<Vec<usize>> = match treatment.part {
        Part::Ffn => (model.ffns().iter().enumerate())
            .map(|(site, ffn)| sample(&Draw::of_site(treatment.seed, site), ffn.neurons(), size))
            .collect(),
        Part::State => (model.mixers().iter().enumerate())
            .map(|(site, mixer)| {
                sample(&Draw::of_state_site(treatment.seed, site), mixer.shape().mixed(), size)
            })
            .collect(),
        Part::Heads | Part::Kv => bail!("part `{}` is not dropped unit by unit", treatment.part),
    };
    let ways = |index: usize| match (treatment.part, treatment.window) {
        (Part::State, Some(window)) => vec![
            Dropped::Channel(index),
            Dropped::ChannelRead(index, window),
            Dropped::ChannelWrite(index, window),
        ],
        _ => vec![Dropped::Neuron(index)],
    };
    let of_site = |(site, indices): (usize, &Vec<usize>)| -> Vec<Ablation> {
        let dropped = indices.iter().flat_map(|index| ways(*index));
        dropped.map(|dropped| Ablation { site, dropped }).collect()
    };
    let ablations: Vec<Ablation> = sampled.iter().enumerate().flat_map(of_site).collect();
    let parts = in_order(windows, stop, |window| ablate(model, window, &ablations), done)?;
    let Some(parts) = parts else { return Ok(None) };
    let targets: usize = windows.iter().map(|window| window.len() - 1).sum();
    let rises: Vec<f64> = (0..ablations.len())
        .map(|i| parts.iter().map(|part| part[i]).sum::<f64>() / targets as f64)
        .collect();
    let tokens: usize = windows.iter().map(Vec::len).sum();
    Ok(Some(ablated_rows(model, &sampled, &rises, treatment.part, tokens as u64)?))
}

/// Rows of a sample; the rises stand in the order of the sites, of the sample and of the ways.
fn ablated_rows(
    model: &dyn Model,
    sampled: &[Vec<usize>],
    rises: &[f64],
    part: Part,
    tokens: u64,
) -> anyhow::Result<Rows> {
    let layers = SiteLayers::of(model)?;
    let places = sampled.iter().enumerate().flat_map(|(site, s)| s.iter().map(move |i| (site, *i)));
    if part == Part::Ffn {
        let blocks = model.ffn_blocks();
        let rows = places.zip(rises).map(|((site, neuron), rise)| NeuronRow {
            site: site as u32,
            layer: layers.ffn[site] as u32,
            block: blocks[site] as u32,
            neuron: neuron as u32,
            tokens,
            ablation: Some(*rise),
            ..NeuronRow::default()
        });
        return Ok(Rows::Neurons(rows.collect()));
    }
    let channels: Vec<usize> = model.mixers().iter().map(|mixer| mixer.shape().channels).collect();
    let rows = places.zip(rises.chunks_exact(3)).map(|((site, n), rises)| ChannelRow {
        site: site as u32,
        layer: layers.states[site] as u32,
        group: (n / channels[site]) as u32,
        channel: (n % channels[site]) as u32,
        tokens,
        ablation: Some(rises[0]),
        ablation_read: Some(rises[1]),
        ablation_write: Some(rises[2]),
        ..ChannelRow::default()
    });
    Ok(Rows::Channels(rows.collect()))
}

/// How fast the per-token kept sets change; `None` if asked to stop on the way. `done` is told of every
/// window.
pub(crate) fn overlaps(
    model: &dyn Model,
    windows: &[Vec<u32>],
    treatment: &Treatment,
    stop: &Stop,
    done: impl FnMut(&Vec<u32>),
) -> anyhow::Result<Option<Rows>> {
    let name = treatment.score.context("an overlap has a score")?.as_str();
    let score = by_name(name).with_context(|| format!("score `{name}` is not implemented"))?;
    let longest = windows.iter().map(Vec::len).max().unwrap_or(0);
    let lags: Vec<usize> = std::iter::successors(Some(1), |lag| Some(lag * 2))
        .take_while(|lag| *lag < longest)
        .collect();
    let parts = in_order(
        windows,
        stop,
        |window| {
            let (sparsity, seed) = (treatment.sparsity, treatment.seed);
            let mut executor = Overlapping::new(score.as_ref(), sparsity, seed, &lags);
            model.forward(&Batch::new([window.as_slice()]), &mut executor)?;
            anyhow::Ok(executor.finish())
        },
        done,
    )?;
    let Some(parts) = parts else { return Ok(None) };
    let mut rows = Vec::new();
    for (index, site) in sum_overlaps(parts).iter().enumerate() {
        rows.extend(lags.iter().zip(&site.lags).map(|(lag, sum)| OverlapRow {
            site: index as u32,
            layer: site.layer as u32,
            lag_tokens: *lag as u32,
            pairs: sum.pairs,
            overlap: sum.shared as f64 / (sum.pairs * site.kept as u64) as f64,
            jaccard: sum.jaccard / sum.pairs as f64,
            by_chance: site.kept as f64 / site.neurons as f64,
        }));
    }
    Ok(Some(Rows::Overlaps(rows)))
}
