#include "plan/parse_watch.h"

#include <fmt/format.h>

#include <charconv>

#include "base/text.h"
#include "plan/parse_http_check.h"

namespace whimbrel {

namespace {

constexpr Milliseconds every_least{1'000};
constexpr std::int64_t parts_max = 10'000;

class WatchParser {
 public:
  WatchParser(YamlReader& reader, const YAML::Node& node) : reader_(reader), node_(node) {}

  WatchPlan parse() {
    if (!reader_.check_keys(node_, "`watch`", {"every", "part", "webhook", "alarm"})) return plan_;
    every();
    part();
    webhook();
    if (const YAML::Node node = YamlReader::child(node_, "alarm"); node.IsDefined()) alarm(node);
    return plan_;
  }

 private:
  void mistake(const YAML::Node& at, std::string message, std::string hint) {
    reader_.diagnostics().add(YamlReader::place(at), std::move(message), std::move(hint));
  }

  void every() {
    const auto every = reader_.duration_at(node_, "every");
    if (!every) return;
    plan_.every = *every;
    if (*every < every_least) {
      mistake(YamlReader::child(node_, "every"), "nothing can be checked so often",
              "like 1d or 1h");
    }
  }

  static std::optional<std::int64_t> whole(std::string_view text) {
    std::int64_t number = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool is_whole = failure == std::errc() && end == text.data() + text.size();
    return is_whole ? std::optional(number) : std::nullopt;
  }

  // "1/7".
  void part() {
    const YAML::Node node = YamlReader::child(node_, "part");
    if (!node.IsDefined()) return;
    const std::string text = reader_.text(node);
    const std::size_t slash = text.find('/');
    const bool has_both = slash != std::string::npos;
    const auto part = has_both ? whole(std::string_view(text).substr(0, slash)) : std::nullopt;
    const auto parts = has_both ? whole(std::string_view(text).substr(slash + 1)) : std::nullopt;
    if (!part || !parts || *part < 1 || *part > *parts || *parts > parts_max) {
      mistake(node, fmt::format("`{}` is no part of the keys", printable(text)),
              "like 1/7: a seventh a check, so that seven checks compare every row");
      return;
    }
    plan_.part = *part;
    plan_.parts = *parts;
  }

  void webhook() {
    const YAML::Node node = YamlReader::child(node_, "webhook");
    if (!node.IsDefined()) return;
    plan_.webhook = web_url(reader_, node);
    plan_.webhook_written = web_url_as_written(node);
    plan_.secrets = reader_.secrets();
    for (std::string& value : filled_in(reader_, node)) plan_.secrets.push_back(std::move(value));
  }

  void alarm(const YAML::Node& node) {
    if (!reader_.check_keys(node, "`alarm`", {"name", "metric", "above", "period", "times"}))
      return;
    AlarmPlan alarm;
    alarm.name = reader_.text_at(node, "name").value_or("");
    if (alarm.name.empty()) mistake(node, "an alarm needs `name:`", "as it is to be called there");
    alarm.metric = reader_.text_at(node, "metric").value_or("");
    if (const std::size_t space = alarm.metric.rfind(' ');
        space == std::string::npos || space == 0 || space + 1 == alarm.metric.size()) {
      mistake(node, fmt::format("`{}` is no metric", printable(alarm.metric)),
              "its namespace and its name, like `metric: AWS/Lambda Errors`");
    }
    above(node, alarm);
    alarm.period = reader_.duration_at(node, "period").value_or(alarm.period);
    if (alarm.period.count() == 0 || alarm.period.count() % 60'000 != 0) {
      mistake(YamlReader::child(node, "period"), "the period of an alarm is whole minutes",
              "like 5m");
    }
    alarm.times = reader_.whole_at(node, "times", 1).value_or(alarm.times);
    plan_.alarm = std::move(alarm);
  }

  void above(const YAML::Node& node, AlarmPlan& alarm) {
    const YAML::Node above = YamlReader::child(node, "above");
    const Value limit = above.IsDefined() && above.IsScalar() ? reader_.value(above) : Value();
    if (const auto* whole = limit.get_if<std::int64_t>()) {
      alarm.above = static_cast<double>(*whole);
    } else if (const auto* real = limit.get_if<double>()) {
      alarm.above = *real;
    } else {
      mistake(above.IsDefined() ? above : node, "an alarm needs `above:`, a number", "like 5");
    }
  }

  YamlReader& reader_;
  const YAML::Node& node_;
  WatchPlan plan_;
};

}  // namespace

WatchPlan parse_watch(YamlReader& reader, const YAML::Node& node) {
  return node.IsDefined() ? WatchParser(reader, node).parse() : WatchPlan();
}

}  // namespace whimbrel
