#include "plan/parse_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "plan/parse_http_check.h"

namespace whimbrel {

namespace {

constexpr std::array check_kinds = {"sql", "command", "new_rows", "metric", "http"};

class CheckParser {
 public:
  CheckParser(YamlReader& reader, const YAML::Node& node, const std::vector<std::string>& tables)
      : reader_(reader), node_(node), tables_(tables) {}

  std::optional<CheckPlan> parse(const std::string& folder) {
    if (!reader_.check_keys(node_, "a check",
                            {"at", "sql", "command", "new_rows", "metric", "http", "post",
                             "headers", "expect", "below", "within", "of"})) {
      return std::nullopt;
    }
    check_.at = at();
    check_.folder = folder;
    check_.sql = reader_.text_at(node_, "sql").value_or("");
    check_.command = reader_.texts_at(node_, "command");
    if (has("http")) {
      http();
    } else if (has("expect")) {
      check_.expect = reader_.value(YamlReader::child(node_, "expect"));
    }
    below();
    const auto said =
        std::ranges::count_if(check_kinds, [this](const char* kind) { return has(kind); });
    const bool is_empty = check_.sql.empty() && check_.command.empty() && !has("new_rows") &&
                          !has("metric") && !has("http");
    if (said != 1 || is_empty) {
      mistake(node_, "a check is one of `sql`, `command`, `new_rows`, `metric` and `http`");
    }
    if (has("sql")) sql();
    if (has("new_rows")) new_rows();
    if (has("metric")) metric();
    if (!has("http") && !has("metric")) belongs("within", "new_rows");
    belongs("of", "metric");
    belongs("post", "http");
    belongs("headers", "http");
    name();
    return check_;
  }

 private:
  bool has(const char* key) const { return YamlReader::child(node_, key).IsDefined(); }
  Place place(const char* key) const { return YamlReader::place(YamlReader::child(node_, key)); }
  void mistake(const YAML::Node& at, std::string message, std::string hint = "") {
    reader_.diagnostics().add(YamlReader::place(at), std::move(message), std::move(hint));
  }

  CheckAt at() {
    const std::string word =
        reader_.word_at(node_, "at", {"before", "held", "after", "watch"}).value_or("after");
    return word == "before"  ? CheckAt::before
           : word == "held"  ? CheckAt::held
           : word == "after" ? CheckAt::after
                             : CheckAt::watch;
  }

  void below() {
    const YAML::Node below = YamlReader::child(node_, "below");
    if (!below.IsDefined()) return;
    const Value limit = reader_.value(below);
    if (const auto* whole = limit.get_if<std::int64_t>()) {
      check_.below = static_cast<double>(*whole);
    } else if (const auto* real = limit.get_if<double>()) {
      check_.below = *real;
    } else {
      mistake(below, "`below` must be a number");
    }
  }

  void sql() {
    if (!check_.sql.empty() && !check_.expect && !has("below")) {
      mistake(node_, "an sql check needs `expect:` or `below:`");
    }
  }

  // Rows that the application writes on the new side are there only when it has been switched.
  void new_rows() {
    const YAML::Node table = YamlReader::child(node_, "new_rows");
    check_.new_rows = reader_.text(table);
    if (std::ranges::count(tables_, check_.new_rows) == 0) {
      const std::string near = did_you_mean(check_.new_rows, tables_);
      mistake(table, fmt::format("the plan moves no table `{}`", printable(check_.new_rows)),
              near.empty() ? "its tables: " + join(tables_, ", ") : near);
    }
    const bool is_watch = check_.at == CheckAt::watch;
    check_.within =
        reader_.duration_at(node_, "within").value_or(is_watch ? Milliseconds(0) : check_.within);
    if (!is_watch && check_.at != CheckAt::after) {
      mistake(table, "the application writes to the new side only after the switch",
              "say `at: after` or `at: watch`");
    }
  }

  void metric() {
    const YAML::Node metric = YamlReader::child(node_, "metric");
    check_.metric = reader_.text(metric);
    check_.metric_of = reader_.text_at(node_, "of").value_or("");
    const std::size_t space = check_.metric.rfind(' ');
    if (space == std::string::npos || space == 0 || space + 1 == check_.metric.size()) {
      mistake(metric, fmt::format("`{}` is no metric", printable(check_.metric)),
              "its namespace and its name, like `AWS/Lambda Errors`");
    }
    if (!has("below")) mistake(node_, "a metric needs `below:`", "like `below: 1`");
    check_.within = reader_.duration_at(node_, "within").value_or(Milliseconds(0));
  }

  // Asked again for so long, since a service may be just about to come up.
  void http() {
    constexpr Milliseconds within_unsaid{5'000};
    check_.http = parse_http_check(reader_, node_);
    check_.within = reader_.duration_at(node_, "within").value_or(within_unsaid);
    if (has("below")) {
      mistake(YamlReader::child(node_, "below"), "`below` belongs to `sql` and `metric`",
              "an http check has `expect: {status: 200, json: {…}}`");
    }
  }

  void belongs(const char* key, const char* to) {
    if (!has(key) || has(to)) return;
    mistake(YamlReader::child(node_, key), fmt::format("`{}` belongs to `{}`", key, to));
  }

  void name() {
    check_.name = !check_.sql.empty()        ? check_.sql
                  : !check_.new_rows.empty() ? "new rows of " + check_.new_rows
                  : !check_.metric.empty()   ? check_.metric
                  : check_.http              ? check_.http->method + " " + check_.http->written
                                             : join(check_.command, " ");
    if (!check_.metric_of.empty()) check_.name += " of " + check_.metric_of;
    check_.secrets = reader_.secrets();
    for (const char* sent : {"http", "post", "headers"}) {
      for (std::string& value : filled_in(reader_, YamlReader::child(node_, sent))) {
        check_.secrets.push_back(std::move(value));
      }
    }
    check_.name = masked(check_.name, check_.secrets);
  }

  YamlReader& reader_;
  const YAML::Node& node_;
  const std::vector<std::string>& tables_;
  CheckPlan check_;
};

}  // namespace

std::optional<CheckPlan> parse_check(YamlReader& reader, const YAML::Node& node,
                                     const std::vector<std::string>& tables,
                                     const std::string& folder) {
  return CheckParser(reader, node, tables).parse(folder);
}

}  // namespace whimbrel
