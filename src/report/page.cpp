#include "report/page.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "report/checklist.h"
#include "report/headline.h"
#include "report/page_parts.h"
#include "report/status.h"

namespace whimbrel {

namespace page {

void begin_section(Html& html, const char* id, const char* title) {
  html.open("section", {{"id", id}});
  html.element("h2", title);
}

void table_head(Html& html, const std::vector<Column>& columns) {
  html.within("thead", {}, [&] {
    html.within("tr", {}, [&] {
      for (const Column& column : columns) {
        html.element("th", column.name,
                     {{"scope", "col"}, {"class", column.is_number ? "number" : "words"}});
      }
    });
  });
}

void cell(Html& html, const std::string& text, const Column& column) {
  html.element("td", text,
               {{"class", column.is_number ? "number" : "words"}, {"data-name", column.name}});
}

}  // namespace page

namespace {

const char* class_of(Headline::Tone tone) {
  switch (tone) {
    case Headline::Tone::good:
      return "good";
    case Headline::Tone::waiting:
      return "waiting";
    case Headline::Tone::attention:
      return "attention";
    case Headline::Tone::bad:
      return "bad";
  }
  return "bad";
}

void top_of_page(Html& html, const ReportFacts& facts) {
  const Headline line = headline(facts);
  std::string phase = name_of(facts.state.phase);
  std::ranges::replace(phase, '_', ' ');
  html.within("header", {}, [&] {
    html.within("p", {{"class", "kicker"}}, [&] {
      html.text("Migration report");
      html.element("span", line.word, {{"class", std::string("pill ") + class_of(line.tone)}});
    });
    html.element("h1", facts.plan.migration.empty() ? "a migration" : facts.plan.migration);
    std::string about = "As of " + to_day_text(facts.wanted.now);
    if (facts.started()) {
      about += fmt::format(" · attempt {} · {} since {}", facts.story.attempt(), phase,
                           to_day_text(facts.state.phase_since));
      about += facts.wanted.runner ? " · a runner is at work" : " · no runner is at work";
    }
    html.element("p", about, {{"class", "about"}});
  });
  html.within("section", {{"id", "headline"}, {"class", class_of(line.tone)}}, [&] {
    html.element("h2", line.title);
    html.within("ul", {}, [&] {
      for (const std::string& sentence : line.sentences) {
        html.within("li", {}, [&] { html.sentence(sentence); });
      }
    });
  });
}

struct Figure {
  const char* id;
  std::string value;
  std::string name;
  std::string more;
};

std::string rate_text(std::int64_t rows, Milliseconds took) {
  if (took.count() <= 0) return "";
  return with_thousands(rows * 1000 / took.count()) + " rows a second";
}

std::vector<Figure> figures(const ReportFacts& facts) {
  std::vector<Figure> all;
  const auto several = std::ssize(facts.tables);
  all.push_back({"figure-tables", with_thousands(several), several == 1 ? "table" : "tables",
                 facts.plan.sync == "dual"   ? "kept equal by triggers"
                 : facts.plan.sync == "none" ? "brought up to date in a window"
                                             : "followed by a feed of keys"});
  if (!facts.started()) {
    const std::int64_t rows = facts.rows_expected();
    if (rows >= 0) all.push_back({"figure-rows", with_thousands(rows), "rows to move", "analysis"});
    return all;
  }
  const Milliseconds took = copying_time(facts);
  all.push_back({"figure-rows", with_thousands(facts.rows_moved()), "rows copied",
                 rate_text(facts.rows_moved(), took)});
  all.push_back({"figure-copying", took.count() > 0 ? to_duration_text(took) : "–",
                 "time of copying",
                 fmt::format("{} {}", with_thousands(std::ssize(facts.story.chunks)),
                             facts.story.chunks.size() == 1 ? "chunk" : "chunks")});
  const Comparison* last = facts.story.comparison();
  all.push_back({"figure-differing", last == nullptr ? "–" : with_thousands(last->what.differing),
                 "rows differ",
                 last == nullptr
                     ? "not compared yet"
                     : fmt::format("of {} compared", with_thousands(facts.rows_compared(*last)))});
  all.push_back({"figure-rejected", with_thousands(facts.state.rejected), "rows set aside", ""});
  Milliseconds held{0};
  const auto holds = facts.story.holds_of(facts.story.attempt());
  for (const HoldSpan& hold : holds) held = std::max(held, hold.length(facts.wanted.now));
  all.push_back({"figure-held", holds.empty() ? "0 ms" : to_duration_text(held), "writers held",
                 holds.size() > 1 ? fmt::format("the longest of {} holds", holds.size()) : ""});
  return all;
}

void figures(Html& html, const ReportFacts& facts) {
  html.within("dl", {{"class", "figures"}}, [&] {
    for (const Figure& one : figures(facts)) {
      html.within("div", {}, [&] {
        html.element("dt", one.name);
        html.element("dd", one.value, {{"class", "value"}, {"id", one.id}});
        if (!one.more.empty()) html.element("dd", one.more, {{"class", "more"}});
      });
    }
  });
}

struct Mark {
  const char* sign;
  const char* word;
};
Mark mark_of(Tick tick) {
  if (tick == Tick::met) return {"✓", "met"};
  if (tick == Tick::not_met) return {"✗", "not met"};
  return {"–", "not measured"};
}

void checks(Html& html, const ReportFacts& facts) {
  page::begin_section(html, "checklist", "Checklist");
  html.within("ul", {{"class", "checks"}}, [&] {
    for (const CheckLine& line : checklist(facts)) {
      const Mark mark = mark_of(line.tick);
      html.within("li", {{"class", name_of(line.tick)}, {"id", "check-" + line.id}}, [&] {
        html.element("span", mark.sign, {{"class", "mark"}, {"aria-hidden", "true"}});
        html.within("div", {}, [&] {
          html.within("p", {{"class", "what"}}, [&] {
            html.text(line.what);
            html.element("span", mark.word, {{"class", "word"}});
            if (line.advisory) html.element("span", "advisory", {{"class", "word plain"}});
          });
          html.within("p", {{"class", "value"}}, [&] {
            html.sentence(line.value);
            html.element("span", " · from the " + line.source, {{"class", "source"}});
          });
        });
      });
    }
  });
  html.close();
}

void what_is_left(Html& html, const ReportFacts& facts) {
  page::begin_section(html, "next", "What is left to do");
  const std::string option =
      facts.wanted.state_option.empty() ? "" : " --state " + shell_word(facts.wanted.state_option);
  const std::string plan = facts.wanted.plan.empty() ? "PLAN" : shell_word(facts.wanted.plan);
  html.within("dl", {{"class", "steps"}}, [&] {
    for (const NextStep& step : next_steps(facts.state, plan + option,
                                           facts.wanted.runner ? Beside::runner : Beside::nobody)) {
      html.element("dt", step.why);
      html.within("dd", {}, [&] { html.element("code", step.command); });
    }
  });
  if (facts.kept_rows > 0) {
    html.element("p",
                 fmt::format("{} of the new side hold values that the old shape has no place for.",
                             rows_text(facts.kept_rows)));
  }
  html.close();
}

void foot(Html& html, const ReportFacts& facts) {
  html.within("footer", {}, [&] {
    std::string text = fmt::format("{} {} in the journal", with_thousands(facts.story.records),
                                   facts.story.records == 1 ? "record" : "records");
    if (facts.started()) {
      text += fmt::format(" {} · digest of the plan {}", facts.journal_id, facts.state.digest);
    }
    html.element("p", text + " · all times are UTC");
    if (facts.wanted.redact)
      html.element("p", "Messages that may hold keys or values are left out.");
  });
}

}  // namespace

std::string report_page(const ReportFacts& facts) {
  Html html;
  html.begin(facts.plan.migration + " · migration report", page::stylesheet);
  html.open("main");
  top_of_page(html, facts);
  figures(html, facts);
  checks(html, facts);
  what_is_left(html, facts);
  if (facts.started()) {
    page::timeline(html, facts);
    page::charts(html, facts);
  }
  page::validation(html, facts);
  page::tables(html, facts);
  if (facts.started()) {
    page::events(html, facts);
    page::audit_trail(html, facts);
  }
  foot(html, facts);
  return std::move(html).end();
}

}  // namespace whimbrel
