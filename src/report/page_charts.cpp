// Time on the page: the phases, the speed, the chunks, and what waited to be carried over.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "report/charts.h"
#include "report/headline.h"
#include "report/page_parts.h"

namespace whimbrel::page {

namespace {

constexpr std::size_t spans_max = 24;
constexpr std::size_t cuts_max = 12;
constexpr std::size_t holds_max = 100;
constexpr Milliseconds pause_min{60'000};

const char* words_for(Phase phase) {
  switch (phase) {  // no default: a new phase must be told here before it compiles
    case Phase::planned:
      return "backup and preparation";
    case Phase::prepared:
      return "prepared";
    case Phase::copying:
      return "copying";
    case Phase::following:
      return "following and comparing";
    case Phase::verified:
      return "compared";
    case Phase::fenced:
      return "switching";
    case Phase::watching:
      return "new side serves";
    case Phase::finishing:
      return "cleaning up";
    case Phase::finished:
      return "finished";
    case Phase::rolling_back:
      return "rolling back";
    case Phase::rolled_back:
      return "rolled back";
    case Phase::stuck:
      return "stuck";
  }
  return "";
}

const char* color_of(Phase phase) {
  switch (phase) {
    case Phase::watching:
    case Phase::finished:
    case Phase::finishing:
      return "bar served";
    case Phase::rolling_back:
    case Phase::rolled_back:
      return "bar back";
    case Phase::stuck:
      return "bar trouble";
    default:
      return "bar work";
  }
}

std::vector<Busy> moments_since(const ReportFacts& facts, TimePoint since) {
  std::vector<Busy> busy;
  const auto moment = [&](TimePoint at) { busy.push_back({at, at}); };
  for (const PhaseSpan& span : facts.story.phases) moment(span.from);
  for (const ChunkPoint& chunk : facts.story.chunks) moment(chunk.at);
  for (const CarriedPoint& one : facts.story.carried) moment(one.at);
  for (const Comparison& one : facts.story.comparisons) {
    busy.push_back({one.at - Milliseconds(one.what.ms), one.at});
  }
  for (const HoldSpan& hold : facts.story.holds) {
    busy.push_back({hold.from, hold.ended(facts.wanted.now)});
  }
  if (facts.story.last) moment(*facts.story.last);
  if (!is_final(facts.state.phase)) moment(facts.wanted.now);
  std::erase_if(busy, [&](const Busy& one) { return one.to < since; });
  for (Busy& one : busy) one.from = std::max(one.from, since);
  return busy;
}

// Too many of them would hide what they cut.
std::vector<WorkTime::Cut> shown_cuts(const WorkTime& time) {
  return time.cuts().size() <= cuts_max ? time.cuts() : std::vector<WorkTime::Cut>{};
}

std::string cuts_text(const WorkTime& time) {
  const std::size_t cuts = time.cuts().size();
  if (cuts == 0) return "";
  const std::string length = to_duration_text(time.cut_out());
  if (cuts == 1) return fmt::format(" A pause of {} is cut out: the dashed line.", length);
  return fmt::format(" {} pauses of {} in all are cut out{}.",
                     with_thousands(std::ssize(time.cuts())), length,
                     cuts <= cuts_max ? ": the dashed lines" : "");
}

struct Row {
  std::string name;
  std::string when;
  std::vector<Bar> bars;
};

void draw_row(Html& html, const Row& row, const std::vector<double>& marks) {
  html.within("li", {}, [&] {
    html.element("span", row.name, {{"class", "name"}});
    html.element("span", row.when, {{"class", "when"}});
    draw_bars(html, row.bars, marks);
  });
}

Row row_of(const PhaseSpan& span, const ReportFacts& facts, const WorkTime& time) {
  const bool several = facts.story.attempts.size() > 1;
  const bool final = !span.to && is_final(span.phase);
  const TimePoint to = span.to.value_or(final ? span.from : facts.wanted.now);
  std::string when = to_day_text(span.from);
  if (!final) when += " · " + to_duration_text(to - span.from);
  if (!span.to && !final) when += " so far";
  return {
      several ? fmt::format("{}: {}", span.attempt, words_for(span.phase)) : words_for(span.phase),
      when,
      {{time.at(span.from) / time.total(), time.at(to) / time.total(), color_of(span.phase)}}};
}

}  // namespace

namespace {

void draw_holds(Html& html, const ReportFacts& facts, const WorkTime& time,
                const std::vector<double>& marks) {
  const auto& holds = facts.story.holds;
  if (holds.empty()) return;
  const TimePoint now = facts.wanted.now;
  Row row{"writers held", "", {}};
  Milliseconds all{0};
  for (const HoldSpan& hold : holds) all += hold.length(now);
  for (std::size_t i = holds.size() - std::min(holds.size(), holds_max); i < holds.size(); ++i) {
    const double to = time.at(holds[i].ended(now)) / time.total();
    if (to > 0) row.bars.push_back({time.at(holds[i].from) / time.total(), to, "bar held"});
  }
  row.when = fmt::format("{} in {} {}", to_duration_text(all), with_thousands(std::ssize(holds)),
                         holds.size() == 1 ? "hold" : "holds");
  draw_row(html, row, marks);
}

}  // namespace

void timeline(Html& html, const ReportFacts& facts) {
  const auto& spans = facts.story.phases;
  const std::size_t first = spans.size() > spans_max ? spans.size() - spans_max : 0;
  const TimePoint since = spans.empty() ? facts.wanted.now : spans[first].from;
  const WorkTime time(moments_since(facts, since), pause_min, 0.05);
  begin_section(html, "timeline", "Timeline");
  std::vector<double> marks;
  for (const WorkTime::Cut& cut : shown_cuts(time)) {
    marks.push_back(static_cast<double>(cut.at.count()) / time.total());
  }
  if (first > 0) {
    html.element("p",
                 fmt::format("The latest {} of {} phases; the audit trail tells of the others.",
                             spans_max, with_thousands(std::ssize(spans))),
                 {{"class", "note"}});
  }
  html.within("ol", {{"class", "timeline"}}, [&] {
    for (std::size_t i = first; i < spans.size(); ++i) {
      draw_row(html, row_of(spans[i], facts, time), marks);
    }
    draw_holds(html, facts, time, marks);
    html.within("li", {{"class", "scale-row"}}, [&] { draw_scale(html, time.total()); });
  });
  if (!time.cuts().empty()) html.element("p", cuts_text(time).substr(1), {{"class", "note"}});
  html.close();
}

namespace {

void throughput_chart(Html& html, const ReportFacts& facts, const WorkTime& time) {
  Chart chart;
  chart.id = "throughput";
  chart.title = "Throughput of the copy";
  chart.x_name = "time at work";
  chart.y_name = "rows a second";
  chart.x_to = time.total();
  chart.cuts = shown_cuts(time);
  Layer layer;
  layer.kind = Layer::Kind::steps;
  layer.steps = throughput(facts.story.chunks, time);
  std::int64_t rows = 0;
  for (const ChunkPoint& chunk : facts.story.chunks) rows += chunk.rows;
  chart.mean = static_cast<double>(rows) * 1000 / time.total();
  double best = 0;
  for (const ThroughputStep& step : layer.steps) best = std::max(best, step.value);
  chart.caption =
      fmt::format("{} in {}: {} rows a second on average, {} at best.{}", rows_text(rows),
                  to_duration_text(Milliseconds(std::llround(time.total()))),
                  with_thousands(std::llround(chart.mean)), with_thousands(std::llround(best)),
                  cuts_text(time));
  chart.layers.push_back(std::move(layer));
  draw(html, chart);
}

struct Sizes {
  const char* id;
  const char* title;
  const char* y_name;
  Axis y_axis;
  std::int64_t ChunkPoint::* member;
};

void chunk_chart(Html& html, const ReportFacts& facts, const Sizes& sizes) {
  std::vector<std::int64_t> values;
  for (const ChunkPoint& chunk : facts.story.chunks) values.push_back(chunk.*sizes.member);
  Chart chart;
  chart.id = sizes.id;
  chart.title = sizes.title;
  chart.x_axis = Axis::count;
  chart.x_name = "chunk";
  chart.x_from = 1;
  chart.x_to = std::max<double>(2, static_cast<double>(values.size()));
  chart.y_name = sizes.y_name;
  chart.y_axis = sizes.y_axis;
  Layer layer;
  layer.kind = Layer::Kind::spread;
  layer.name = "median";
  layer.spreads = spread(values);
  std::ranges::sort(values);
  const auto told = [&](std::int64_t value) {
    return sizes.y_axis == Axis::duration ? to_duration_text(Milliseconds(value))
                                          : with_thousands(value);
  };
  chart.caption =
      fmt::format("{} {}: median {}, the smallest {}, the largest {}.",
                  with_thousands(std::ssize(values)), values.size() == 1 ? "chunk" : "chunks",
                  told(values[values.size() / 2]), told(values.front()), told(values.back()));
  chart.layers.push_back(std::move(layer));
  draw(html, chart);
}

const char* why_no_lag(const ReportFacts& facts) {
  if (facts.dual()) {
    return "There is no lag to draw: triggers write both sides in the application's own "
           "transaction, so they are equal at every moment.";
  }
  if (facts.plan.sync == "none") {
    return "There is no lag to draw: nothing is captured before the window, and in it every row is "
           "compared.";
  }
  return "No change was carried over yet.";
}

void lag_chart(Html& html, const ReportFacts& facts) {
  const char* title = "Changes waiting to be carried over";
  std::vector<Busy> busy;
  std::int64_t changes[2] = {0, 0};
  for (const CarriedPoint& one : facts.story.carried) {
    busy.push_back({one.at, one.at});
    changes[one.backward ? 1 : 0] += one.changes;
  }
  for (const ChunkPoint& chunk : facts.story.chunks) busy.push_back({chunk.at, chunk.at});
  if (changes[0] + changes[1] == 0) return draw_nothing(html, "lag", title, why_no_lag(facts));
  const WorkTime time(std::move(busy), Milliseconds(10'000));
  Chart chart;
  chart.id = "lag";
  chart.title = title;
  chart.x_name = "time at work";
  chart.y_name = "changes";
  chart.x_to = time.total();
  chart.cuts = shown_cuts(time);
  std::int64_t most = 0;
  for (const bool backward : {false, true}) {
    if (changes[backward ? 1 : 0] == 0) continue;
    Layer layer;
    layer.kind = Layer::Kind::line;
    layer.color = backward ? 2 : 1;
    layer.name = backward ? "back to the old side" : "to the new side";
    for (const auto& [at, left] : waiting(facts.story.carried, backward)) {
      layer.points.push_back({time.at(at), static_cast<double>(left)});
      most = std::max(most, left);
    }
    layer.points = thinned(std::move(layer.points));
    chart.layers.push_back(std::move(layer));
  }
  chart.caption = fmt::format(
      "{} changes were carried to the new side, {} back to the old one; at most {} waited. Between "
      "two readings of a log of changes the line assumes an even flow.{}",
      with_thousands(changes[0]), with_thousands(changes[1]), with_thousands(most),
      cuts_text(time));
  draw(html, chart);
}

}  // namespace

void charts(Html& html, const ReportFacts& facts) {
  begin_section(html, "charts", "How it went");
  html.within("div", {{"class", "charts"}}, [&] {
    if (facts.story.chunks.empty()) {
      draw_nothing(html, "throughput", "Throughput of the copy", "No row was copied yet.");
    } else {
      std::vector<Busy> busy;
      for (const ChunkPoint& chunk : facts.story.chunks) {
        busy.push_back({chunk.at - Milliseconds(chunk.ms), chunk.at});
      }
      throughput_chart(html, facts, WorkTime(std::move(busy), Milliseconds(2000)));
      lag_chart(html, facts);
      chunk_chart(html, facts,
                  {"chunk-rows", "Rows of a chunk", "rows", Axis::count, &ChunkPoint::rows});
      chunk_chart(html, facts,
                  {"chunk-time", "Time of a chunk", "time", Axis::duration, &ChunkPoint::ms});
    }
  });
  html.close();
}

}  // namespace whimbrel::page
