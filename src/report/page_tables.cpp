// What the page tells table by table, and record by record.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "report/charts.h"
#include "report/headline.h"
#include "report/page_parts.h"

namespace whimbrel::page {

namespace {

constexpr std::size_t events_max = 60;
constexpr std::size_t lines_unfolded_max = 150;

std::string in_bytes(std::int64_t bytes) {
  if (bytes < 10'000) return with_thousands(bytes) + " B";
  if (bytes < 10'000'000) return with_thousands(bytes / 1000) + " kB";
  return with_thousands(bytes / 1'000'000) + " MB";
}

// A wide table scrolls in a frame of its own, and the page does not.
template <class Rows>
void wide_table(Html& html, const std::vector<Column>& columns, Rows&& rows) {
  html.within("div", {{"class", "wide"}}, [&] {
    html.within("table", {}, [&] {
      table_head(html, columns);
      html.within("tbody", {}, rows);
    });
  });
}

void compared_tables(Html& html, const ReportFacts& facts) {
  std::int64_t most = 1;
  for (const TableFacts& one : facts.tables) {
    if (one.compared) most = std::max(most, one.compared->rows);
  }
  html.within("ol", {{"class", "timeline compared"}}, [&] {
    for (const TableFacts& one : facts.tables) {
      html.within("li", {}, [&] {
        html.element("span", one.table.name, {{"class", "name"}});
        if (!one.compared) {
          html.element("span", "not compared", {{"class", "when"}});
          return draw_bars(html, {}, {});
        }
        const std::int64_t rows = one.compared->rows;
        const std::int64_t differing = std::min(one.compared->differing, rows);
        html.element("span",
                     fmt::format("{} compared, {} differing", rows_text(rows),
                                 with_thousands(one.compared->differing)),
                     {{"class", one.compared->differing == 0 ? "when" : "when trouble"}});
        const auto part = [&](std::int64_t count) {
          return static_cast<double>(count) / static_cast<double>(most);
        };
        std::vector<Bar> bars;
        if (rows > differing) bars.push_back({0, part(rows - differing), "bar served"});
        if (differing > 0) bars.push_back({part(rows - differing), part(rows), "bar trouble"});
        draw_bars(html, bars, {});
      });
    }
  });
}

}  // namespace

void validation(Html& html, const ReportFacts& facts) {
  if (!facts.started()) return;
  begin_section(html, "validation", "Validation");
  if (facts.story.comparisons.empty()) {
    html.element("p", "Nothing was compared yet.", {{"class", "nothing"}});
    return html.close();
  }
  compared_tables(html, facts);
  const std::vector<Column> columns = {{"when"},           {"while"},           {"which rows"},
                                       {"compared", true}, {"differing", true}, {"took", true}};
  const auto& all = facts.story.comparisons;
  const std::size_t first = all.size() > events_max ? all.size() - events_max : 0;
  if (first > 0) {
    html.element("p", fmt::format("The latest {} of {} comparisons.", events_max, all.size()),
                 {{"class", "note"}});
  }
  wide_table(html, columns, [&] {
    for (std::size_t i = first; i < all.size(); ++i) {
      const Comparison& one = all[i];
      html.within("tr", {}, [&] {
        cell(html, to_day_text(one.at), columns[0]);
        cell(html, fmt::format("attempt {}, {}", one.attempt, name_of(one.phase)), columns[1]);
        cell(html, one.what.full ? "every row" : "a sample", columns[2]);
        cell(html, with_thousands(facts.rows_compared(one)), columns[3]);
        cell(html, with_thousands(one.what.differing), columns[4]);
        cell(html, to_duration_text(Milliseconds(one.what.ms)), columns[5]);
      });
    }
  });
  html.close();
}

void tables(Html& html, const ReportFacts& facts) {
  if (facts.tables.empty()) return;
  begin_section(html, "tables", "Tables");
  const std::vector<Column> columns = {{"from"},
                                       {"to"},
                                       {"read", true},
                                       {"written", true},
                                       {"there already", true},
                                       {"set aside", true},
                                       {"chunks", true},
                                       {"rows a second", true},
                                       {"values", true}};
  wide_table(html, columns, [&] {
    int index = 0;
    for (const TableFacts& one : facts.tables) {
      html.within("tr", {}, [&] {
        cell(html, one.table.from, columns[0]);
        cell(html, one.table.to, columns[1]);
        if (one.copy) {
          const CopyProgress& copy = *one.copy;
          cell(html, with_thousands(copy.read) + (copy.at_end ? "" : " so far"), columns[2]);
          cell(html, with_thousands(copy.written), columns[3]);
          cell(html, with_thousands(copy.skipped), columns[4]);
          cell(html, with_thousands(copy.rejected), columns[5]);
          cell(html, with_thousands(copy.chunks), columns[6]);
          cell(html, copy.ms > 0 ? with_thousands(copy.read * 1000 / copy.ms) : "–", columns[7]);
          const auto bytes = facts.story.bytes.find(index);
          const bool told = bytes != facts.story.bytes.end() && bytes->second > 0;
          cell(html, told ? in_bytes(bytes->second) : "–", columns[8]);
        } else {
          cell(html, one.expected_rows < 0 ? "–" : with_thousands(one.expected_rows) + " to read",
               columns[2]);
          for (std::size_t i = 3; i < columns.size(); ++i) cell(html, "–", columns[i]);
        }
      });
      ++index;
    }
  });
  const bool any = std::ranges::any_of(
      facts.tables, [](const TableFacts& one) { return one.copy && one.copy->skipped > 0; });
  if (any) {
    html.element("p",
                 "“There already”: rows that had arrived before the copy came to them, because "
                 "the application wrote them.",
                 {{"class", "note"}});
  }
  if (!facts.plan.stores.empty()) {
    html.within("dl", {{"class", "stores"}}, [&] {
      for (const auto& [alias, url] : facts.plan.stores) {
        html.element("dt", alias);
        html.element("dd", url);
      }
    });
  }
  html.close();
}

namespace {

struct Event {
  TimePoint at;
  std::string what;
  const char* kind;
};

std::vector<Event> events_of(const ReportFacts& facts) {
  std::vector<Event> all;
  for (const Incident& one : facts.story.incidents) {
    all.push_back({one.at,
                   fmt::format("error {} while {}: {}", one.what.code, name_of(one.phase),
                               facts.message_of(one.what)),
                   "failure"});
  }
  for (const Decided& one : facts.story.decisions) {
    all.push_back({one.at,
                   "a person asked for: " + one.what.what +
                       (one.what.value.empty() ? "" : " " + one.what.value),
                   "decision"});
  }
  std::ranges::stable_sort(all, {}, &Event::at);
  return all;
}

}  // namespace

void events(Html& html, const ReportFacts& facts) {
  const std::vector<Event> all = events_of(facts);
  if (all.empty()) return;
  begin_section(html, "events", "Errors and requests");
  const std::size_t first = all.size() > events_max ? all.size() - events_max : 0;
  if (first > 0) {
    html.element(
        "p",
        fmt::format("The latest {} of {}; the audit trail counts all.", events_max, all.size()),
        {{"class", "note"}});
  }
  html.within("ul", {{"class", "events"}}, [&] {
    for (std::size_t i = first; i < all.size(); ++i) {
      html.within("li", {{"class", all[i].kind}}, [&] {
        html.element("span", to_day_text(all[i].at), {{"class", "when"}});
        html.element("span", all[i].what, {{"class", "what"}});
      });
    }
  });
  html.close();
}

namespace {

const char* class_of(TrailLine::Kind kind) {
  switch (kind) {
    case TrailLine::Kind::attempt:
    case TrailLine::Kind::end:
      return "attempt";
    case TrailLine::Kind::phase:
      return "phase";
    case TrailLine::Kind::effect:
      return "effect";
    case TrailLine::Kind::progress:
      return "progress";
    case TrailLine::Kind::decision:
      return "decision";
    case TrailLine::Kind::failure:
      return "failure";
  }
  return "effect";
}

std::string numbers_of(const TrailLine& line) {
  return line.first == line.last ? with_thousands(line.first)
                                 : with_thousands(line.first) + "–" + with_thousands(line.last);
}

void trail_rows(Html& html, const ReportFacts& facts) {
  const Trail& trail = facts.trail;
  const std::vector<Column> columns = {{"record", true}, {"when"}, {"what"}};
  wide_table(html, columns, [&] {
    for (std::size_t i = 0; i < trail.lines.size(); ++i) {
      if (trail.left_out > 0 && i == trail.shown_first) {
        html.within("tr", {{"class", "left-out"}}, [&] {
          html.element("td",
                       fmt::format("{} lines are left out here", with_thousands(trail.left_out)),
                       {{"colspan", "3"}});
        });
      }
      const TrailLine& line = trail.lines[i];
      html.within("tr", {{"class", class_of(line.kind)}}, [&] {
        cell(html, numbers_of(line), columns[0]);
        cell(html, to_day_text(line.from), columns[1]);
        std::string text = line.text;
        if (line.first != line.last) text += ", in " + to_duration_text(line.to - line.from);
        cell(html, text, columns[2]);
      });
    }
  });
}

}  // namespace

void audit_trail(Html& html, const ReportFacts& facts) {
  begin_section(html, "trail", "Audit trail");
  std::string note = fmt::format(
      "Every record of the journal in its order, {} in all; chunks and batches that follow each "
      "other "
      "are counted in one line.",
      with_thousands(facts.story.records));
  note += facts.trail.left_out > 0 ? fmt::format(" {} lines in the middle are left out here.",
                                                 with_thousands(facts.trail.left_out))
                                   : "";
  html.element("p", note + " Each single record is in migration-report-latest.json.",
               {{"class", "note"}});
  Html::Attributes fold;
  if (facts.trail.lines.size() <= lines_unfolded_max) fold.push_back({"open", "open"});
  html.within("details", fold, [&] {
    html.element("summary", fmt::format("{} lines", with_thousands(std::ssize(facts.trail.lines))));
    trail_rows(html, facts);
  });
  html.close();
}

}  // namespace whimbrel::page
