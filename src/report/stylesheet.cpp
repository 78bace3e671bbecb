// The looks of the page: calm, two accents, and signs beside every colour that means something.
//
// Written without quotes, `&` and `<`, which the builder would escape.
#include "report/page_parts.h"

namespace whimbrel::page {

const char* const stylesheet = R"css(
:root {
  color-scheme: light dark;
  --page: #f5f6f8; --card: #ffffff; --ink: #1b2430; --soft: #5a6675; --line: #dfe3e8;
  --one: #2563a8; --one-soft: #2563a833; --two: #b4571b; --two-soft: #b4571b33;
  --good: #1d7a46; --good-soft: #e4f3ea; --bad: #b3261e; --bad-soft: #fbe9e7;
  --warn: #8a5a00; --warn-soft: #fdf1da; --idle: #5a6675; --idle-soft: #eceff3;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12171e; --card: #1a212b; --ink: #e6eaf0; --soft: #9aa6b5; --line: #2e3845;
    --one: #6aa5e8; --one-soft: #6aa5e840; --two: #e79a63; --two-soft: #e79a6340;
    --good: #6bcf94; --good-soft: #1b3427; --bad: #ff8a80; --bad-soft: #40201f;
    --warn: #f0c066; --warn-soft: #3a2f17; --idle: #9aa6b5; --idle-soft: #262f3a;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, Segoe UI, Roboto, Liberation Sans, Arial, sans-serif;
  -webkit-text-size-adjust: 100%;
}
main { max-width: 1080px; margin: 0 auto; padding: 32px 24px 48px; }
h1, h2, h3, p, ul, ol, dl, dd, figure { margin: 0; padding: 0; }
ul, ol { list-style: none; }
h1 { font-size: 32px; line-height: 1.2; letter-spacing: -0.01em; overflow-wrap: anywhere; }
h2 { font-size: 19px; line-height: 1.3; margin-bottom: 14px; }
h3 { font-size: 15px; font-weight: 600; margin-bottom: 4px; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 22px 24px; margin-top: 18px; }
.kicker { color: var(--soft); font-size: 14px; margin-bottom: 4px; display: flex; align-items: center; gap: 12px; flex-wrap: wrap; }
.about, .note, figcaption, .nothing { color: var(--soft); font-size: 14px; }
.about { margin-top: 6px; }
.note { margin-bottom: 10px; }
.pill { font-weight: 600; font-size: 13px; padding: 2px 12px; border-radius: 999px; }
.pill.good { background: var(--good-soft); color: var(--good); }
.pill.bad { background: var(--bad-soft); color: var(--bad); }
.pill.attention { background: var(--warn-soft); color: var(--warn); }
.pill.waiting { background: var(--idle-soft); color: var(--idle); }
#headline { border-left: 5px solid var(--idle); }
#headline.good { border-left-color: var(--good); }
#headline.bad { border-left-color: var(--bad); }
#headline.attention { border-left-color: var(--warn); }
#headline h2 { font-size: 22px; margin-bottom: 8px; }
#headline li { margin-top: 4px; overflow-wrap: anywhere; max-width: 85ch; }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 12px; margin-top: 18px; }
.figures div { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; }
.figures dt { color: var(--soft); font-size: 14px; }
.figures .value { font-size: 25px; font-weight: 650; line-height: 1.25; font-variant-numeric: tabular-nums; }
.figures .more { color: var(--soft); font-size: 13px; }
.checks li { display: flex; gap: 14px; padding: 9px 0; border-top: 1px solid var(--line); }
.checks li:first-child { border-top: 0; padding-top: 0; }
.checks li:last-child { padding-bottom: 0; }
.mark { flex: none; width: 26px; height: 26px; border-radius: 50%; text-align: center; font-weight: 700; line-height: 26px; font-size: 15px; }
.met .mark { background: var(--good-soft); color: var(--good); }
.not_met .mark { background: var(--bad-soft); color: var(--bad); }
.not_measured .mark { background: var(--idle-soft); color: var(--idle); }
.checks .what { font-weight: 550; }
.checks .value { color: var(--soft); font-size: 14px; overflow-wrap: anywhere; }
.checks .word { margin-left: 10px; font-size: 13px; font-weight: 400; color: var(--idle); }
.met .word { color: var(--good); }
.not_met .word { color: var(--bad); }
.checks .word.plain { color: var(--idle); }
.source { white-space: nowrap; }
.steps + p { margin-top: 12px; }
.steps { display: grid; grid-template-columns: minmax(220px, auto) 1fr; gap: 8px 24px; align-items: baseline; }
code { font: 14px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, DejaVu Sans Mono, monospace; background: var(--idle-soft); border-radius: 5px; padding: 2px 8px; overflow-wrap: anywhere; }
.timeline li { display: grid; grid-template-columns: 280px 1fr; gap: 0 18px; padding: 4px 0; align-items: center; font-size: 14px; }
.timeline .name { font-weight: 550; grid-column: 1; overflow-wrap: anywhere; }
.timeline .when { color: var(--soft); grid-column: 1; font-size: 13px; font-variant-numeric: tabular-nums; }
.timeline .when.trouble { color: var(--bad); font-weight: 600; }
.timeline svg.bars { grid-column: 2; grid-row: 1 / span 2; }
.timeline .scale-row svg, .timeline .scale-row p { grid-column: 2; }
.bars { display: block; width: 100%; height: 18px; background: var(--idle-soft); border-radius: 4px; }
.compared + .wide { margin-top: 16px; }
.bar.work { fill: var(--one); }
.bar.served { fill: var(--good); }
.bar.back { fill: var(--two); }
.bar.held { fill: var(--two); }
.bar.trouble { fill: var(--bad); }
.scale { display: block; width: 100%; height: 20px; overflow: visible; }
.scale-name { color: var(--soft); font-size: 12px; text-align: center; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 430px), 1fr)); gap: 28px 32px; }
.chart { min-width: 0; break-inside: avoid; }
.chart svg { display: block; width: 100%; height: auto; }
.chart .nothing { border: 1px dashed var(--line); border-radius: 8px; padding: 22px; margin-top: 10px; }
figcaption { margin-top: 4px; }
svg text { fill: var(--soft); font: 12.5px system-ui, -apple-system, Segoe UI, Roboto, Liberation Sans, Arial, sans-serif; font-variant-numeric: tabular-nums; }
.scale text { font-size: 12px; }
.grid { stroke: var(--line); stroke-width: 1; }
.axis { stroke: var(--soft); stroke-width: 1; }
.cut { stroke: var(--soft); stroke-width: 1.5; stroke-dasharray: 3 3; }
.mean { stroke: var(--ink); stroke-width: 1.3; stroke-dasharray: 6 4; }
.area { shape-rendering: crispEdges; }
.area.color1 { fill: var(--one); }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.line.color1 { stroke: var(--one); }
.line.color2 { stroke: var(--two); }
.band.color1 { fill: var(--one-soft); }
.band.color2 { fill: var(--two-soft); }
.dot.color1 { fill: var(--one); }
.legend { display: flex; flex-wrap: wrap; gap: 2px 16px; font-size: 13px; color: var(--soft); }
.key { display: inline-flex; align-items: center; gap: 6px; }
.swatch { width: 16px; height: 10px; border-radius: 3px; display: inline-block; }
.fill1 { background: var(--one); }
.fill2 { background: var(--two); }
.range1 { background: var(--one-soft); }
.range2 { background: var(--two-soft); }
.dashed { height: 0; border-top: 2px dashed var(--ink); border-radius: 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th { text-align: left; color: var(--soft); font-weight: 550; font-size: 13px; border-bottom: 1px solid var(--line); padding: 4px 14px 6px 0; vertical-align: bottom; }
td { padding: 6px 14px 6px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.words { overflow-wrap: anywhere; min-width: 120px; }
th:last-child, td:last-child { padding-right: 0; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.stores { display: grid; grid-template-columns: auto 1fr; gap: 2px 16px; margin-top: 14px; font-size: 14px; color: var(--soft); overflow-wrap: anywhere; }
.events li { display: grid; grid-template-columns: 210px 1fr; gap: 2px 18px; padding: 6px 0; border-top: 1px solid var(--line); font-size: 14px; overflow-wrap: anywhere; white-space: pre-line; }
.events li:first-child { border-top: 0; }
.events .when { color: var(--soft); font-variant-numeric: tabular-nums; }
.events .failure .what { color: var(--bad); }
#trail table { font-size: 13px; }
#trail td { padding-top: 4px; padding-bottom: 4px; }
#trail td:nth-child(2) { white-space: nowrap; color: var(--soft); font-variant-numeric: tabular-nums; }
#trail td:nth-child(3) { width: 100%; min-width: 220px; white-space: pre-line; }
#trail .attempt td, #trail .phase td:last-child { font-weight: 600; }
#trail .failure td:last-child { color: var(--bad); font-weight: 600; }
#trail .progress td:last-child { color: var(--soft); }
#trail .left-out td { text-align: center; color: var(--soft); padding: 12px; white-space: normal; width: auto; }
summary { cursor: pointer; color: var(--soft); font-size: 14px; margin-bottom: 8px; }
footer { color: var(--soft); font-size: 13px; margin-top: 20px; overflow-wrap: anywhere; }
@media (max-width: 640px) {
  main { padding: 20px 14px 32px; }
  section { padding: 16px; }
  h1 { font-size: 26px; }
  .figures { grid-template-columns: 1fr 1fr; }
  .figures .value { font-size: 21px; }
  .steps { grid-template-columns: 1fr; gap: 2px; }
  .steps dd { margin-bottom: 10px; }
  .timeline li, .events li { grid-template-columns: 1fr; }
  .timeline svg.bars, .timeline .scale-row svg, .timeline .scale-row p { grid-column: 1; grid-row: auto; }
  .timeline svg.bars { margin-top: 4px; }
  .source { white-space: normal; }
  .wide td.words { min-width: 124px; }
  #trail thead { display: none; }
  #trail table, #trail tbody { display: block; }
  #trail tr { display: grid; grid-template-columns: auto 1fr; gap: 0 12px; border-bottom: 1px solid var(--line); padding: 5px 0; }
  #trail td { border: 0; padding: 0; min-width: 0; }
  #trail td.number { text-align: left; color: var(--soft); }
  #trail td:nth-child(3) { grid-column: 1 / -1; }
  #trail .left-out td { grid-column: 1 / -1; padding: 8px 0; }
}
@media print {
  .wide td.words { min-width: 24mm; }
  th, td { padding-right: 8px; }
  th.number { white-space: normal; }
  #trail td:nth-child(3) { min-width: 0; }
  @page { size: A4; margin: 14mm; }
  :root {
    --page: #ffffff; --card: #ffffff; --ink: #000000; --soft: #404854; --line: #cfd4da;
    --one: #2563a8; --one-soft: #2563a833; --two: #b4571b; --two-soft: #b4571b33;
    --good: #1d7a46; --good-soft: #e4f3ea; --bad: #b3261e; --bad-soft: #fbe9e7;
    --warn: #8a5a00; --warn-soft: #fdf1da; --idle: #5a6675; --idle-soft: #eceff3;
  }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  body { font-size: 10.5pt; }
  main { padding: 0; max-width: none; }
  section { border: 0; border-radius: 0; border-top: 1px solid var(--line); padding: 12px 0; margin-top: 10px; }
  #headline { padding-left: 14px; border-top: 0; }
  .figures { grid-template-columns: repeat(3, 1fr); }
  .figures div { padding: 8px 12px; }
  .charts { grid-template-columns: 1fr 1fr; gap: 14px 20px; }
  .wide { overflow: visible; }
  table { font-size: 9pt; }
  h2, h3, summary { break-after: avoid; }
  tr, li, .figures div, figure { break-inside: avoid; }
  summary { display: none; }
  details::details-content { display: block; content-visibility: visible; }
}
)css";

}  // namespace whimbrel::page
