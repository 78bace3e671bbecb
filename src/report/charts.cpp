#include "report/charts.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"

namespace whimbrel {

namespace {

constexpr double chart_width = 480;
constexpr double height = 236;
constexpr double margin_left = 54;
constexpr double margin_right = 16;
constexpr double margin_top = 28;
constexpr double margin_bottom = 42;
constexpr double plot_width = chart_width - margin_left - margin_right;
constexpr double plot_height = height - margin_top - margin_bottom;

struct Unit {
  const char* name;
  double ms;
  double until;  // the largest step that is told in this unit
};
constexpr Unit units[] = {{"milliseconds", 1, 500},
                          {"seconds", 1000, 30'000},
                          {"minutes", 60'000, 1'800'000},
                          {"hours", 3'600'000, 43'200'000},
                          {"days", 86'400'000, 1e300}};
constexpr double duration_steps[] = {
    1,         2,         5,          10,         20,         50,        100,
    200,       500,       1000,       2000,       5000,       10'000,    15'000,
    30'000,    60'000,    120'000,    300'000,    600'000,    900'000,   1'800'000,
    3'600'000, 7'200'000, 10'800'000, 21'600'000, 43'200'000, 86'400'000};

double round_step(double least) {
  const double power = std::pow(10, std::floor(std::log10(least)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= least * 0.9999) return factor * power;
  }
  return 10 * power;
}

double step_for(Axis axis, double range, int wanted) {
  const double least = std::max(range, 1e-9) / wanted;
  if (axis == Axis::count) return std::max(1.0, round_step(least));
  for (const double step : duration_steps) {
    if (step >= least) return step;
  }
  return round_step(least / 86'400'000) * 86'400'000;
}

// Where a chart's values lie in its picture.
struct Frame {
  double x_from;
  double x_to;
  double y_to;
  double x(double value) const {
    const double range = std::max(x_to - x_from, 1e-9);
    return margin_left + plot_width * std::clamp((value - x_from) / range, 0.0, 1.0);
  }
  double y(double value) const {
    return margin_top + plot_height * (1 - std::clamp(value / y_to, 0.0, 1.0));
  }
};

double highest(const Chart& chart) {
  double most = chart.mean;
  for (const Layer& layer : chart.layers) {
    for (const ThroughputStep& step : layer.steps) most = std::max(most, step.value);
    for (const Point& point : layer.points) most = std::max(most, point.y);
    for (const Spread& spread : layer.spreads) most = std::max(most, spread.high);
  }
  return most;
}

std::string value_text(Axis axis, double value) {
  return axis == Axis::duration ? to_duration_text(Milliseconds(std::llround(value)))
                                : with_thousands(std::llround(value));
}

class Drawing {
 public:
  Drawing(Html& html, const Chart& chart) : html_(html), chart_(chart) {
    const double most = std::max(highest(chart), 1.0);
    y_ticks_ = ticks(chart.y_axis, 0, most, 4);
    const double last = y_ticks_.at.back().first;
    // The last tick is at or above the highest value.
    const double step = y_ticks_.at.size() > 1 ? y_ticks_.at[1].first : most;
    frame_ = {chart.x_from, chart.x_to, last >= most ? last : last + step};
    if (last < most) y_ticks_ = ticks(chart.y_axis, 0, frame_.y_to, 5);
  }

  void draw() {
    axes();
    for (const WorkTime::Cut& cut : chart_.cuts) {
      const double x = frame_.x(static_cast<double>(cut.at.count()));
      html_.within("line",
                   {{"class", "cut"},
                    {"x1", number(x)},
                    {"x2", number(x)},
                    {"y1", number(margin_top)},
                    {"y2", number(height - margin_bottom)}},
                   [&] { html_.element("title", "pause of " + to_duration_text(cut.length)); });
    }
    for (const Layer& layer : chart_.layers) draw_layer(layer);
    if (chart_.mean > 0) {
      const std::string y = number(frame_.y(chart_.mean));
      html_.empty("line", {{"class", "mean"},
                           {"x1", number(margin_left)},
                           {"x2", number(chart_width - margin_right)},
                           {"y1", y},
                           {"y2", y}});
    }
  }

 private:
  void label(double x, double y, const char* anchor, const std::string& text) {
    html_.element("text", text, {{"x", number(x)}, {"y", number(y)}, {"text-anchor", anchor}});
  }

  void axes() {
    for (const auto& [value, text] : y_ticks_.at) {
      const std::string y = number(frame_.y(value));
      html_.empty("line", {{"class", value == 0 ? "axis" : "grid"},
                           {"x1", number(margin_left)},
                           {"x2", number(chart_width - margin_right)},
                           {"y1", y},
                           {"y2", y}});
      label(margin_left - 7, frame_.y(value) + 4, "end", text);
    }
    const Ticks x_ticks = ticks(chart_.x_axis, chart_.x_from, chart_.x_to, 6);
    for (const auto& [value, text] : x_ticks.at) {
      const std::string x = number(frame_.x(value));
      html_.empty("line", {{"class", "axis"},
                           {"x1", x},
                           {"x2", x},
                           {"y1", number(height - margin_bottom)},
                           {"y2", number(height - margin_bottom + 4)}});
      label(frame_.x(value), height - margin_bottom + 17, "middle", text);
    }
    const auto named = [](const std::string& name, const std::string& unit) {
      return unit.empty() ? name : name + " in " + unit;
    };
    label(2, 14, "start", named(chart_.y_name, y_ticks_.unit));
    label(margin_left + plot_width / 2, height - 6, "middle", named(chart_.x_name, x_ticks.unit));
  }

  static std::string kind(const char* what, const Layer& layer) {
    return fmt::format("{} color{}", what, layer.color);
  }

  void draw_layer(const Layer& layer) {
    switch (layer.kind) {
      case Layer::Kind::steps:
        return draw_steps(layer);
      case Layer::Kind::line:
        return draw_line(layer);
      case Layer::Kind::spread:
        return draw_spread(layer);
    }
  }

  void draw_steps(const Layer& layer) {
    for (const ThroughputStep& step : layer.steps) {
      const double x = frame_.x(step.from);
      const double y = frame_.y(step.value);
      html_.within("rect",
                   {{"class", kind("area", layer)},
                    {"x", number(x)},
                    {"y", number(y)},
                    {"width", number(std::max(frame_.x(step.to) - x, 0.5))},
                    {"height", number(height - margin_bottom - y)}},
                   [&] {
                     html_.element(
                         "title",
                         fmt::format("{} to {}: {} {}", value_text(chart_.x_axis, step.from),
                                     value_text(chart_.x_axis, step.to),
                                     value_text(chart_.y_axis, step.value), chart_.y_name));
                   });
    }
  }

  void draw_line(const Layer& layer) {
    std::string path;
    for (const Point& point : layer.points) {
      path += fmt::format("{}{} {}", path.empty() ? "M" : "L", number(frame_.x(point.x)),
                          number(frame_.y(point.y)));
    }
    if (!path.empty()) html_.empty("path", {{"class", kind("line", layer)}, {"d", path}});
  }

  void draw_spread(const Layer& layer) {
    std::string band;
    std::string middle;
    const auto add = [&](std::string& path, double x, double y) {
      path += fmt::format("{}{} {}", path.empty() ? "M" : "L", number(frame_.x(x)),
                          number(frame_.y(y)));
    };
    for (const Spread& one : layer.spreads) {
      add(band, one.x, one.high);
      add(middle, one.x, one.middle);
    }
    for (auto one = layer.spreads.rbegin(); one != layer.spreads.rend(); ++one) {
      add(band, one->x, one->low);
    }
    if (band.empty()) return;
    html_.empty("path", {{"class", kind("band", layer)}, {"d", band + "Z"}});
    html_.empty("path", {{"class", kind("line", layer)}, {"d", middle}});
    if (layer.spreads.size() > points_max / 4) return;
    for (const Spread& one : layer.spreads) {
      html_.empty("circle", {{"class", kind("dot", layer)},
                             {"cx", number(frame_.x(one.x))},
                             {"cy", number(frame_.y(one.middle))},
                             {"r", "2.5"}});
    }
  }

  Html& html_;
  const Chart& chart_;
  Frame frame_{};
  Ticks y_ticks_;
};

void draw_legend(Html& html, const Chart& chart) {
  const bool named =
      std::ranges::any_of(chart.layers, [](const Layer& layer) { return !layer.name.empty(); });
  if (!named && chart.mean <= 0) return;
  const auto entry = [&](const std::string& kind, const std::string& name) {
    html.within("span", {{"class", "key"}}, [&] {
      html.element("span", "", {{"class", "swatch " + kind}});
      html.text(name);
    });
  };
  html.within("p", {{"class", "legend"}}, [&] {
    for (const Layer& layer : chart.layers) {
      if (layer.name.empty()) continue;
      if (layer.kind == Layer::Kind::spread)
        entry(fmt::format("range{}", layer.color), "least to most");
      entry(fmt::format("fill{}", layer.color), layer.name);
    }
    if (chart.mean > 0) entry("dashed", "on average");
  });
}

}  // namespace

std::string short_number(double value) {
  if (value >= 999'950) return number(std::round(value / 10'000) / 100) + " M";
  if (value >= 10'000) return number(std::round(value / 100) / 10) + " k";
  if (value == std::floor(value)) return with_thousands(std::llround(value));
  return number(value);
}

Ticks ticks(Axis axis, double from, double to, int wanted) {
  Ticks all;
  const double step = step_for(axis, to - from, wanted);
  double unit = 1;
  if (axis == Axis::duration) {
    const Unit* chosen =
        std::ranges::find_if(units, [&](const Unit& one) { return step <= one.until; });
    all.unit = chosen->name;
    unit = chosen->ms;
  }
  const auto first = static_cast<std::int64_t>(std::ceil(from / step - 1e-6));
  const auto last = static_cast<std::int64_t>(std::floor(to / step + 1e-6));
  for (std::int64_t i = first; i <= last; ++i) {
    const double value = static_cast<double>(i) * step;
    all.at.emplace_back(value, short_number(std::round(value / unit * 1000) / 1000));
  }
  if (all.at.empty()) all.at.emplace_back(from, short_number(from / unit));
  return all;
}

void draw(Html& html, const Chart& chart) {
  html.within("figure", {{"class", "chart"}, {"id", chart.id}}, [&] {
    html.element("h3", chart.title);
    draw_legend(html, chart);
    html.within("svg",
                {{"viewBox", fmt::format("0 0 {} {}", number(chart_width), number(height))},
                 {"role", "img"},
                 {"aria-labelledby", chart.id + "-title"},
                 {"aria-describedby", chart.id + "-caption"}},
                [&] {
                  html.element("title", chart.title, {{"id", chart.id + "-title"}});
                  Drawing(html, chart).draw();
                });
    html.element("figcaption", chart.caption, {{"id", chart.id + "-caption"}});
  });
}

void draw_nothing(Html& html, const std::string& id, const std::string& title,
                  const std::string& why) {
  html.within("figure", {{"class", "chart"}, {"id", id}}, [&] {
    html.element("h3", title);
    html.element("p", why, {{"class", "nothing"}});
  });
}

void draw_bars(Html& html, const std::vector<Bar>& bars, const std::vector<double>& marks) {
  html.within("svg",
              {{"class", "bars"},
               {"viewBox", "0 0 1000 12"},
               {"preserveAspectRatio", "none"},
               {"aria-hidden", "true"}},
              [&] {
                for (const double mark : marks) {
                  html.empty("line", {{"class", "cut"},
                                      {"x1", number(1000 * mark)},
                                      {"x2", number(1000 * mark)},
                                      {"y1", "0"},
                                      {"y2", "12"}});
                }
                for (const Bar& bar : bars) {
                  const double wide = std::max(1000 * (bar.to - bar.from), 2.5);
                  html.empty("rect", {{"class", bar.kind},
                                      {"x", number(std::min(1000 * bar.from, 1000 - wide))},
                                      {"y", "1"},
                                      {"width", number(wide)},
                                      {"height", "10"}});
                }
              });
}

void draw_scale(Html& html, double total_ms) {
  const Ticks scale = ticks(Axis::duration, 0, total_ms, 5);
  html.within("svg", {{"class", "scale"}, {"aria-hidden", "true"}}, [&] {
    for (const auto& [value, text] : scale.at) {
      const double part = 100 * value / total_ms;
      const std::string x = number(part) + "%";
      html.empty("line", {{"class", "axis"}, {"x1", x}, {"x2", x}, {"y1", "0"}, {"y2", "4"}});
      const char* anchor = part < 1 ? "start" : part > 99 ? "end" : "middle";
      html.element("text", text, {{"x", x}, {"y", "17"}, {"text-anchor", anchor}});
    }
  });
  html.element("p", "time at work in " + scale.unit, {{"class", "scale-name"}});
}

}  // namespace whimbrel
