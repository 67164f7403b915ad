//! Loss curves as a table and a picture.

use std::fmt::Write;
use std::path::Path;

use crate::config::Progress;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 60.0;
const BOTTOM: f64 = 40.0;
const GREY: &str = "#60646c";

/// Writes `loss.csv` and `loss.svg` into a folder.
pub fn write(dir: &Path, title: &str, points: &[Progress]) -> std::io::Result<()> {
    std::fs::write(dir.join("loss.csv"), table(points))?;
    std::fs::write(dir.join("loss.svg"), picture(title, points))
}

/// A line a step: its number, tokens read so far, the loss in nats, the learning rate.
pub fn table(points: &[Progress]) -> String {
    let mut table = String::from("step,tokens,loss,lr\n");
    for p in points {
        let _ = writeln!(table, "{},{},{:.5},{:.6}", p.step, p.tokens, p.loss, p.lr);
    }
    table
}

/// Round numbers between which a range lies, at most `most + 2` and evenly apart, and the digits that tell them apart.
fn marks(low: f64, high: f64, most: f64) -> (Vec<f64>, usize) {
    let wanted = (high - low) / most;
    let power = 10f64.powf(wanted.log10().floor());
    let apart = [1.0, 2.0, 5.0]
        .map(|times| times * power)
        .into_iter()
        .find(|apart| *apart >= wanted)
        .unwrap_or(10.0 * power);
    // What is off a mark by rounding alone is on it.
    let (first, last) = ((low / apart + 1e-9).floor(), (high / apart - 1e-9).ceil());
    let count = (last - first) as usize;
    let marks = (0..=count).map(|n| (first + n as f64) * apart);
    (marks.collect(), (-apart.log10().floor()).max(0.0) as usize)
}

/// The losses over the steps, as SVG. Losses begin at 0 unless they are all far from it.
pub fn picture(title: &str, points: &[Progress]) -> String {
    // A run that diverges ends in losses that no axis holds.
    let drawn: Vec<&Progress> = points.iter().filter(|p| p.loss.is_finite()).collect();
    let losses = || drawn.iter().map(|p| p.loss);
    let high = losses().reduce(f64::max).unwrap_or(1.0).max(1e-3);
    let low = losses()
        .reduce(f64::min)
        .filter(|low| 2.0 * low > high && *low < high);
    let (levels, digits) = marks(low.unwrap_or(0.0), high, 5.0);
    let (floor, ceiling) = (levels[0], levels[levels.len() - 1]);
    let last = points.last().map_or(1, |p| p.step).max(1) as f64;
    let x = |step: f64| LEFT + (WIDTH - LEFT - RIGHT) * step / last;
    let y = |loss: f64| TOP + (HEIGHT - TOP - BOTTOM) * (ceiling - loss) / (ceiling - floor);
    let (from, to) = (drawn.first(), drawn.last());
    let mut told = match (from, to) {
        (Some(from), Some(to)) => {
            format!(
                "{:.3} at step {}, {:.3} at step {}",
                from.loss, from.step, to.loss, to.step
            )
        }
        _ => "no step".into(),
    };
    if drawn.len() < points.len() {
        let _ = write!(told, "; {} without a finite loss", points.len() - drawn.len());
    }
    let title = title.replace('&', "&amp;").replace('<', "&lt;");
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"22\" font-size=\"14\">{title}</text>\n<text x=\"{LEFT}\" y=\"42\" fill=\"{GREY}\">{told}</text>\n"
    );
    for level in levels {
        let at = y(level);
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {at:.1}H{:.1}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{level:.digits$}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            at + 4.0
        );
    }
    let (steps, _) = marks(0.0, last, 6.0);
    for step in steps
        .into_iter()
        .filter(|step| *step <= last && step.fract() == 0.0)
    {
        let at = x(step);
        let name = if step == 0.0 { "step " } else { "" };
        let _ = writeln!(
            svg,
            "<path d=\"M{at:.1} {:.1}v5\" stroke=\"#999\"/><text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{name}{step}</text>",
            HEIGHT - BOTTOM,
            HEIGHT - BOTTOM + 20.0
        );
    }
    let path: Vec<String> = drawn
        .iter()
        .map(|p| format!("{:.1},{:.1}", x(p.step as f64), y(p.loss)))
        .collect();
    let _ = writeln!(
        svg,
        "<polyline fill=\"none\" stroke=\"#1d4ed8\" stroke-width=\"1.5\" points=\"{}\"/>",
        path.join(" ")
    );
    if let Some(p) = to {
        let _ = writeln!(
            svg,
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"#1d4ed8\"/>",
            x(p.step as f64),
            y(p.loss)
        );
    }
    svg + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(losses: &[f64]) -> String {
        let point = |(n, loss): (usize, &f64)| Progress {
            step: n + 1,
            of: losses.len(),
            loss: *loss,
            lr: 0.1,
            tokens: n,
        };
        picture("A & B", &losses.iter().enumerate().map(point).collect::<Vec<_>>())
    }

    #[test]
    fn marks_are_round_and_around() {
        assert_eq!(marks(0.0, 3.93, 5.0), (vec![0.0, 1.0, 2.0, 3.0, 4.0], 0));
        let (found, digits) = marks(6.122, 6.256, 5.0);
        let shown: Vec<String> = found.iter().map(|mark| format!("{mark:.digits$}")).collect();
        assert_eq!(shown, ["6.10", "6.15", "6.20", "6.25", "6.30"]);
        assert_eq!(marks(0.0, 4.0, 6.0).0, [0.0, 1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn any_losses_give_a_small_picture() {
        for losses in [
            &[][..],
            &[2.0],
            &[0.0, 0.0],
            &[5.0, 5.0, 5.0],
            &[3.0, f64::INFINITY, f64::NAN],
            &[f64::NAN],
            &[1e12, 2.0],
        ] {
            let svg = run(losses);
            assert!(
                svg.len() < 5000 && !svg.contains("NaN") && !svg.contains("inf"),
                "{svg}"
            );
            assert!(svg.contains("A &amp; B") && svg.contains("<polyline"));
        }
        assert!(run(&[3.0, f64::NAN]).contains("1 without a finite loss"));
        assert!(run(&[2.5, 1.25]).contains("2.500 at step 1, 1.250 at step 2"));
    }
}
