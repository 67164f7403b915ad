//! Loss curves as a table and a picture.

use std::fmt::Write;
use std::path::Path;

use crate::config::Progress;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 56.0;
const TOP: f64 = 36.0;

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

/// The losses over the steps, as SVG.
pub fn picture(title: &str, points: &[Progress]) -> String {
    let last = points.last().map_or(1, |p| p.step).max(1) as f64;
    let top = points.iter().fold(0.1_f64, |m, p| m.max(p.loss)).ceil();
    let x = |step: usize| LEFT + (WIDTH - LEFT - 20.0) * step as f64 / last;
    let y = |loss: f64| TOP + (HEIGHT - TOP - 44.0) * (1.0 - loss / top);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<text x=\"{LEFT}\" y=\"20\" font-size=\"14\">{}</text>\n",
        title.replace('&', "&amp;").replace('<', "&lt;")
    );
    for line in 0..=top as usize {
        let at = y(line as f64);
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {at:.1}H{:.1}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{line}</text>",
            WIDTH - 20.0,
            LEFT - 8.0,
            at + 4.0
        );
    }
    let path: Vec<String> = points
        .iter()
        .map(|p| format!("{:.1},{:.1}", x(p.step), y(p.loss)))
        .collect();
    let _ = writeln!(
        svg,
        "<polyline fill=\"none\" stroke=\"#1d4ed8\" stroke-width=\"1.5\" points=\"{}\"/>",
        path.join(" ")
    );
    let bottom = HEIGHT - 20.0;
    let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"{bottom}\">step 0</text>");
    if let Some(p) = points.last() {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{bottom}\" text-anchor=\"end\">step {}: {:.3}</text>",
            WIDTH - 20.0,
            p.step,
            p.loss
        );
    }
    svg + "</svg>\n"
}
