#include "plan/parse_measures.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "plan/parse_value.h"

namespace whimbrel {

namespace {

using Parameters = std::vector<std::pair<std::string, std::size_t>>;

bool contains(const Parameters& parameters, const std::string& name) {
  return std::ranges::any_of(parameters, [&](const auto& one) { return one.first == name; });
}

class MeasuresParser {
 public:
  explicit MeasuresParser(YamlReader& reader) : reader_(reader) {}

  MeasuresPlan parse(const YAML::Node& root) {
    root_.reset(root);
    MeasuresPlan plan;
    if (const YAML::Node node = YamlReader::child(root, "queries");
        node.IsDefined() && reader_.check_keys(node, "`queries`", {})) {
      for (const auto& item : node) query(item.first, item.second, plan);
    }
    plan.criteria = criteria(root, "criteria");
    plan.advisory = criteria(root, "advisory");
    return plan;
  }

 private:
  void mistake(Place at, std::string message, std::string hint = "") {
    reader_.diagnostics().add(at, std::move(message), std::move(hint));
  }

  void query(const YAML::Node& name, const YAML::Node& node, MeasuresPlan& plan) {
    MeasuredQuery query;
    query.name = name.IsScalar() ? name.Scalar() : "";
    const std::string what = fmt::format("the query `{}`", printable(query.name));
    if (query.name.empty() || printable(query.name) != query.name) {
      mistake(YamlReader::place(name), "a query needs a name that can be printed");
      return;
    }
    if (!reader_.check_keys(node, what, {"old", "new", "with"})) return;
    query.old_sql = sql(name, node, "old", query.old_at);
    // Where the tables keep their names, the same text is good on both sides.
    const bool is_one = YamlReader::child(root_, "retype").IsDefined() &&
                        !YamlReader::child(node, "new").IsDefined();
    query.new_sql = is_one ? query.old_sql : sql(name, node, "new", query.new_at);
    if (query.old_sql.empty() || query.new_sql.empty()) return;
    if (const YAML::Node with = YamlReader::child(node, "with");
        with.IsDefined() && reader_.check_keys(with, "`with`", {})) {
      for (const auto& item : with) values(item.first, item.second, query);
    }
    made_of_parameters(YamlReader::child(node, "with"), query);
    const Parameters in_old = parameters_of(query.old_sql);
    const Parameters in_new = parameters_of(query.new_sql);
    every_parameter_has_values(YamlReader::child(node, "old"), in_old, query);
    every_parameter_has_values(YamlReader::child(node, "new"), in_new, query);
    every_value_is_used(YamlReader::child(node, "with"), in_old, in_new, query);
    plan.queries.push_back(std::move(query));
  }

  std::string sql(const YAML::Node& name, const YAML::Node& node, const char* side, Place& at) {
    const YAML::Node text = YamlReader::child(node, side);
    if (!text.IsDefined()) {
      mistake(YamlReader::place(name),
              fmt::format("the query `{}` needs `{}:`", name.Scalar(), side),
              "the same question to both sides: {old: \"SELECT …\", new: \"SELECT …\"}");
      return "";
    }
    at = YamlReader::place(text);
    std::string found = reader_.text(text);
    if (text.IsScalar() && found.find_first_not_of(" \t\r\n;") == std::string::npos) {
      mistake(at, fmt::format("`{}` is empty", side));
      return "";
    }
    return found;
  }

  void values(const YAML::Node& name, const YAML::Node& node, MeasuredQuery& query) {
    std::string parameter = name.IsScalar() ? name.Scalar() : "";
    if (parameter.starts_with(':')) {
      parameter.erase(0, 1);
      mistake(YamlReader::place(name), "a parameter is named without its colon here",
              fmt::format("like {{{}: [1, 2, 3]}}", parameter));
    }
    std::vector<Value> values;
    if (node.IsScalar() && reader_.text(node).find('{') != std::string::npos) {
      ExprPtr expr = parse_value(reader_, node);
      if (expr) query.made.emplace_back(parameter, std::move(expr));
      query.with.emplace_back(std::move(parameter), std::move(values));
      return;
    }
    if (node.IsSequence()) {
      for (const YAML::Node& item : node) {
        if (!item.IsScalar() && !item.IsNull()) {
          mistake(YamlReader::place(item), "a parameter's value is a number, a text or null");
          return;
        }
        values.push_back(reader_.value(item));
      }
    }
    if (node.IsMap()) {
      if (!reader_.check_keys(node, "`" + parameter + "`", {"sample", "of"})) return;
      const std::string column = reader_.text_at(node, "sample").value_or("");
      const std::string table = reader_.text_at(node, "of").value_or("");
      if (column.empty() || table.empty()) {
        mistake(YamlReader::place(node),
                fmt::format("`{}` needs `sample:` and `of:`", printable(parameter)),
                "like {sample: id, of: users}");
      }
      query.samples.push_back({parameter, column, table});
    } else if (values.empty()) {
      mistake(YamlReader::place(node),
              fmt::format("`{}` needs a list of values", printable(parameter)),
              "like [1, 2, 3], {sample: id, of: users}, or \"USER#{id}\" of another parameter");
    }
    query.with.emplace_back(std::move(parameter), std::move(values));
  }

  // "USER#{id}": of another parameter, with the value that it has in the same question.
  void made_of_parameters(const YAML::Node& with, MeasuredQuery& query) {
    TableSchema parameters;
    for (const auto& [name, unused] : query.with) {
      parameters.columns.emplace_back();
      parameters.columns.back().name = name;
    }
    for (auto& [name, expr] : query.made) {
      for (const std::string& read : columns_of(*expr)) {
        const bool is_given = parameters.column_index(read) >= 0 && !query.is_made(read);
        if (is_given) continue;
        mistake(YamlReader::place(YamlReader::child(with, name)),
                fmt::format("`{}` is made of `{}`, which has no values of its own", printable(name),
                            printable(read)),
                fmt::format("add `{}:` to `with`", printable(read)));
        return;
      }
      if (Result<ExprPtr> resolved = resolve(expr, parameters); resolved.ok()) {
        expr = std::move(resolved).value();
      }
    }
  }

  // Where a text stands in one line as it is written, its parts have places of their own.
  static Place place_in(const YAML::Node& node, std::size_t offset, std::size_t length) {
    Place at = YamlReader::place(node);
    if (node.Scalar().find_first_of("\n\\") != std::string::npos ||
        node.Scalar().find("${") != std::string::npos) {
      return at;
    }
    at.column += static_cast<int>(offset) + (YamlReader::is_quoted(node) ? 1 : 0);
    at.length = static_cast<int>(length);
    return at;
  }

  void every_parameter_has_values(const YAML::Node& node, const Parameters& parameters,
                                  const MeasuredQuery& query) {
    std::vector<std::string> known;
    for (const auto& [name, unused] : query.with) known.push_back(name);
    for (const auto& [name, offset] : parameters) {
      if (std::ranges::count(known, name) > 0) continue;
      const std::string near = did_you_mean(name, known);
      mistake(place_in(node, offset, name.size() + 1),
              fmt::format("the parameter `:{}` has no values", name),
              near.empty() ? fmt::format("add `with: {{{}: [1, 2, 3]}}`", name) : near);
    }
  }

  void every_value_is_used(const YAML::Node& with, const Parameters& in_old,
                           const Parameters& in_new, const MeasuredQuery& query) {
    if (!with.IsDefined() || !with.IsMap()) return;
    std::set<std::string> used_by_others;
    for (const auto& [name, expr] : query.made) {
      for (std::string& read : columns_of(*expr)) used_by_others.insert(std::move(read));
    }
    for (const auto& item : with) {
      if (!item.first.IsScalar() || item.first.Scalar().starts_with(':')) continue;
      const std::string& name = item.first.Scalar();
      if (used_by_others.contains(name)) continue;
      if (contains(in_old, name) || contains(in_new, name)) continue;
      std::vector<std::string> wanted;
      for (const Parameters* side : {&in_old, &in_new}) {
        for (const auto& [parameter, unused] : *side) wanted.push_back(parameter);
      }
      mistake(YamlReader::place(item.first),
              fmt::format("neither side's query has a parameter `:{}`", printable(name)),
              did_you_mean(name, wanted));
    }
  }

  std::vector<Criterion> criteria(const YAML::Node& root, const char* part) {
    std::vector<Criterion> all;
    const YAML::Node node = YamlReader::child(root, part);
    if (!node.IsDefined() || !reader_.check_keys(node, fmt::format("`{}`", part), {})) return all;
    for (const auto& item : node) {
      const std::string name = item.first.IsScalar() ? item.first.Scalar() : "";
      const CriterionKind* kind = criterion_kind(name);
      if (kind == nullptr) {
        unknown_criterion(YamlReader::place(item.first), name);
        continue;
      }
      if (auto criterion = one_criterion(*kind, item.second)) all.push_back(std::move(*criterion));
    }
    return all;
  }

  void unknown_criterion(Place at, const std::string& name) {
    std::vector<std::string> known;
    for (const CriterionKind& kind : criterion_kinds()) known.emplace_back(kind.name);
    const std::string near = did_you_mean(name, known);
    mistake(
        at, fmt::format("there is no criterion `{}`", printable(name)),
        fmt::format("{}{}the criteria are {}", near, near.empty() ? "" : " ", join(known, ", ")));
  }

  std::optional<Criterion> one_criterion(const CriterionKind& kind, const YAML::Node& node) {
    Criterion criterion{&kind, 0, reader_.text(node)};
    if (!node.IsScalar()) return std::nullopt;
    const std::string wrong = read(criterion);
    if (wrong.empty()) return criterion;
    mistake(YamlReader::place(node), fmt::format("`{}` {}", kind.name, wrong),
            fmt::format("like `{}: {}`", kind.name, kind.example));
    return std::nullopt;
  }

  // What is wrong with it, or "".
  static std::string read(Criterion& criterion) {
    const Unit unit = criterion.kind->unit;
    if (unit == Unit::duration) {
      const std::optional<Milliseconds> longest = parse_duration(criterion.written);
      if (!longest) return "must be a duration";
      criterion.wanted = static_cast<double>(longest->count());
      return "";
    }
    if (unit == Unit::rows) {
      const bool whole =
          !criterion.written.empty() && criterion.written.size() < 16 &&
          std::ranges::all_of(criterion.written, [](char c) { return c >= '0' && c <= '9'; });
      if (!whole) return "must be a whole number of rows";
      criterion.wanted = static_cast<double>(std::stoll(criterion.written));
      return "";
    }
    const std::optional<double> per_cent = parse_per_cent(criterion.written);
    if (!per_cent) return "must be a percentage";
    criterion.wanted = *per_cent;
    if (unit == Unit::share && (*per_cent < 0 || *per_cent > 100)) {
      return "is a share, from 0% to 100%";
    }
    return *per_cent < -100 ? "cannot become less than nothing: -100% is the end" : "";
  }

  YAML::Node root_;
  YamlReader& reader_;
};

}  // namespace

MeasuresPlan parse_measures(YamlReader& reader, const YAML::Node& root) {
  return MeasuresParser(reader).parse(root);
}

}  // namespace whimbrel
