//! What a request costs against the number of rules, of which the last matches.

use std::error::Error;

use plotters::prelude::*;

use super::{Results, case};
use crate::{statistics::median, workload::jobs};

const SIZE: (u32, u32) = (900, 520);
const FONT: (&str, i32) = ("sans-serif", 15);
/// What cannot be told from nothing, where zero has no place.
const LEAST: f64 = 0.1;

/// A line of the chart: its name, its colour, and what a request costs by number of rules.
type Line = (&'static str, RGBColor, Vec<(f64, f64)>);

/// The chart as SVG, both axes logarithmic.
///
/// # Errors
/// If it cannot be drawn.
pub fn svg(results: &Results) -> Result<String, Box<dyn Error>> {
    let mut text = String::new();
    draw(&lines(results), &mut text).map_err(|error| error.to_string())?;
    text.push('\n');
    Ok(text)
}

fn lines(results: &Results) -> Vec<Line> {
    let added = |name: &str| median(&results.added(name)).max(LEAST);
    let by_size =
        |name: fn(usize) -> String| case::SIZES.iter().map(|size| (*size as f64, added(&name(*size)))).collect();
    let level = |name: &str| case::SIZES.iter().map(|size| (*size as f64, added(name))).collect();
    vec![
        ("native routes", RGBColor(200, 60, 50), by_size(case::native)),
        ("canary-filter", RGBColor(30, 100, 200), by_size(case::filter)),
        ("Lua script, one header", RGBColor(120, 120, 120), level(case::LUA)),
        ("floor: a module with the same host calls, one header", RGBColor(60, 150, 90), level(jobs::FLOORS[1])),
    ]
}

fn draw(lines: &[Line], text: &mut String) -> Result<(), Box<dyn Error>> {
    let sizes = case::SIZES[0] as f64..*case::SIZES.last().ok_or("no sizes")? as f64;
    let costs = || lines.iter().flat_map(|(_, _, points)| points).map(|(_, cost)| *cost);
    let (least, most) = (costs().fold(f64::MAX, f64::min), costs().fold(f64::MIN, f64::max));
    let area = SVGBackend::with_string(text, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .margin(16)
        .margin_right(40)
        .x_label_area_size(48)
        .y_label_area_size(72)
        .build_cartesian_2d(sizes.log_scale(), (least / 2.0..most * 4.0).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("rules")
        .y_desc("microseconds that a request costs more than without a filter")
        .label_style(FONT)
        .axis_desc_style(FONT)
        .x_label_formatter(&|size| case::thousands(size.round() as usize))
        .y_label_formatter(&|cost| if *cost < 1.0 { format!("{cost}") } else { case::thousands(cost.round() as usize) })
        .light_line_style(WHITE)
        .draw()?;
    for (name, colour, points) in lines {
        let (colour, style) = (*colour, colour.stroke_width(2));
        chart
            .draw_series(LineSeries::new(points.iter().copied(), style).point_size(4))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.9))
        .border_style(BLACK.mix(0.3))
        .label_font(FONT)
        .draw()?;
    area.present()?;
    Ok(())
}
