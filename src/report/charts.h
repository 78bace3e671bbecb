// Charts as inline SVG: axes with units, round ticks, a text that says the same as the picture.
//
// A chart is drawn in 480 × 236 units, so that its letters stay readable in half a desktop's width,
// on a telephone and on half a sheet of paper. Colours come from the page's stylesheet.
#pragma once

#include <string>
#include <vector>

#include "report/html.h"
#include "report/series.h"

namespace whimbrel {

enum class Axis { duration, count };  // milliseconds, or a number of things

struct Layer {
  enum class Kind { steps, line, spread };
  Kind kind = Kind::line;
  int color = 1;     // 1 or 2: of the stylesheet
  std::string name;  // for the legend; none when it is empty
  std::vector<ThroughputStep> steps;
  std::vector<Point> points;
  std::vector<Spread> spreads;
};

struct Chart {
  std::string id;
  std::string title;
  std::string caption;  // what the picture shows, in a sentence with its numbers
  Axis x_axis = Axis::duration;
  std::string x_name;  // "time at work"
  std::string y_name;  // "rows a second"
  Axis y_axis = Axis::count;
  double x_from = 0;
  double x_to = 1;
  double mean = 0;  // a dashed line; none when it is 0
  std::vector<WorkTime::Cut> cuts;
  std::vector<Layer> layers;
};

void draw(Html& html, const Chart& chart);
// The place of a chart that has nothing to show, and why.
void draw_nothing(Html& html, const std::string& id, const std::string& title,
                  const std::string& why);

// A bar from `from` to `to`, parts of 1, as wide as its place; `kind` is a class of the stylesheet.
struct Bar {
  double from = 0;
  double to = 0;
  std::string kind;
};
void draw_bars(Html& html, const std::vector<Bar>& bars, const std::vector<double>& marks);
// The scale below such bars.
void draw_scale(Html& html, double total_ms);

struct Ticks {
  std::vector<std::pair<double, std::string>> at;  // value and label
  std::string unit;                                // of the labels; "" for plain numbers
};
Ticks ticks(Axis axis, double from, double to, int wanted);
std::string short_number(double value);  // 1,234 · 12.3 k · 1.2 M

}  // namespace whimbrel
