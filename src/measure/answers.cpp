#include "measure/answers.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/counted.h"
#include "base/text.h"
#include "measure/parameters.h"

namespace whimbrel {

namespace {

constexpr int questions_max = 100;
constexpr std::int64_t answer_rows_max = 10'000;  // of one answer
constexpr int answer_tries_max = 5;
constexpr Milliseconds between_tries{300};

// "1.50" and 1.5 are one number.
std::string plain_number(std::string text) {
  const bool is_fraction =
      text.find('.') != std::string::npos && text.find_first_of("eE") == std::string::npos;
  if (!is_fraction) return text;
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

std::string plain_text(const Value& value) {
  if (const bool* truth = value.get_if<bool>()) return *truth ? "1" : "0";
  if (const auto* whole = value.get_if<std::int64_t>()) return fmt::format("{}", *whole);
  if (const auto* real = value.get_if<double>()) return plain_number(fmt::format("{}", *real));
  if (const auto* decimal = value.get_if<Decimal>()) return plain_number(decimal->text);
  if (const auto* text = value.get_if<std::string>()) return *text;
  if (const auto* bytes = value.get_if<Bytes>()) return bytes->text;
  if (const auto* uuid = value.get_if<Uuid>()) return uuid->text;
  if (const auto* date = value.get_if<Date>()) return date->text;
  if (const auto* time = value.get_if<Time>()) return time->text;
  if (const auto* at = value.get_if<Timestamp>()) return at->text;
  if (const auto* at = value.get_if<TimestampTz>()) return at->text;
  if (const auto* json = value.get_if<Json>()) return json->text;
  return canonical({value});
}

// A document's fields stand for columns.
void add_values(const Value& value, std::vector<std::string>& all) {
  if (value.is_null()) return;
  if (const auto* map = value.get_if<Map>()) {
    for (const auto& [name, field] : map->fields) {
      if (!field.is_null()) all.push_back(plain_text(field));
    }
    return;
  }
  all.push_back(plain_text(value));
}

// Rows in an order of their own, so that two answers can be held against each other.
struct PlainAnswer {
  std::vector<std::vector<std::string>> rows;
  std::size_t columns = 0;  // 0: they are documents, or there is no row
};

PlainAnswer plain(const std::vector<Row>& rows) {
  PlainAnswer answer;
  for (const Row& row : rows) {
    std::vector<std::string> values;
    for (const Value& value : row) add_values(value, values);
    std::ranges::sort(values);
    answer.rows.push_back(std::move(values));
    const bool is_document = row.size() == 1 && row.front().kind() == Kind::map;
    answer.columns = is_document ? 0 : row.size();
  }
  std::ranges::sort(answer.rows);
  return answer;
}

bool asks_for_all(const std::string& query) {
  const std::size_t star = query.find('*');
  const bool counts = star != std::string::npos && star > 0 && query[star - 1] == '(';
  return star != std::string::npos && !counts;
}

enum class Likeness { same, as_many, different, moving };

bool is_alike(Likeness likeness) {
  return likeness == Likeness::same || likeness == Likeness::as_many;
}

class Comparer {
 public:
  Comparer(QueryRunner& old_side, QueryRunner& new_side, const std::vector<MeasuredQuery>& queries)
      : old_side_(old_side), new_side_(new_side), queries_(queries) {}

  Likeness compare(std::size_t query, const QueryValues& values) {
    return likeness(query, ask(old_side_, query, values), ask(new_side_, query, values));
  }

  // Both are asked twice, the first to answer last: of two sides that are alike one moment and not
  // the next, two answers are the same.
  Likeness compare_moving(std::size_t query, const QueryValues& values,
                          const std::function<Status()>& catch_up) {
    const Answer old_then = ask(old_side_, query, values);
    const Answer new_then = ask(new_side_, query, values);
    if (catch_up) {
      if (const Status caught = catch_up(); !caught.ok()) {
        difference_ = printable(caught.error().message);
        return Likeness::different;
      }
    }
    const Answer new_now = ask(new_side_, query, values);
    const Answer old_now = ask(old_side_, query, values);
    Likeness found = Likeness::different;
    for (const Answer* before : {&old_then, &old_now}) {
      for (const Answer* after : {&new_then, &new_now}) {
        found = likeness(query, *before, *after);
        if (is_alike(found)) return found;
      }
    }
    return is_moving(old_then, old_now) || is_moving(new_then, new_now) ? Likeness::moving : found;
  }
  const std::string& difference() const { return difference_; }

 private:
  using Answer = Result<std::vector<Row>>;
  static Answer ask(QueryRunner& side, std::size_t query, const QueryValues& values) {
    return side.rows(query, values, answer_rows_max + 1);
  }
  static bool is_moving(const Answer& then, const Answer& now) {
    return then.ok() && now.ok() && plain(then.value()).rows != plain(now.value()).rows;
  }

  Likeness likeness(std::size_t query, const Answer& old_rows, const Answer& new_rows) {
    if (!old_rows.ok() || !new_rows.ok()) {
      difference_ = fmt::format("no answer on the {} side: {}", old_rows.ok() ? "new" : "old",
                                printable((old_rows.ok() ? new_rows : old_rows).error().message));
      return Likeness::different;
    }
    const std::vector<Row>& before = old_rows.value();
    const std::vector<Row>& after = new_rows.value();
    // Without an order the first rows of a long answer are not the same ones.
    const bool is_long =
        std::ssize(before) > answer_rows_max && std::ssize(after) > answer_rows_max;
    if (is_long) return Likeness::as_many;
    const PlainAnswer old_answer = plain(before);
    const PlainAnswer new_answer = plain(after);
    if (old_answer.rows == new_answer.rows) return Likeness::same;
    const bool documents = old_answer.columns == 0 || new_answer.columns == 0;
    const MeasuredQuery& asked = queries_[query];
    const bool other_columns = documents
                                   ? asks_for_all(asked.old_sql) || asks_for_all(asked.new_sql)
                                   : old_answer.columns != new_answer.columns;
    if (before.size() == after.size() && other_columns) return Likeness::as_many;
    difference_ = before.size() == after.size()
                      ? fmt::format("{} on both sides, with other values", rows_text(before.size()))
                      : fmt::format("{} on the old side, {} on the new one",
                                    rows_text(before.size()), rows_text(after.size()));
    return Likeness::different;
  }

  static std::string rows_text(std::size_t rows) {
    return counted(static_cast<std::int64_t>(rows), "row");
  }

  QueryRunner& old_side_;
  QueryRunner& new_side_;
  const std::vector<MeasuredQuery>& queries_;
  std::string difference_;
};

}  // namespace

Result<std::vector<ComparedAnswers>> compare_answers(Store& old_side, Store& new_side,
                                                     const std::vector<MeasuredQuery>& queries,
                                                     const LoadSettings& settings, Clock& clock,
                                                     const StopFlag& stop,
                                                     const std::function<Status()>& catch_up) {
  ASSIGN_OR_RETURN(const auto old_runner,
                   open_runner(old_side, queries, Side::old_side, settings.patience));
  ASSIGN_OR_RETURN(const auto new_runner,
                   open_runner(new_side, queries, Side::new_side, settings.patience));
  ParameterValues parameters(queries, settings.seed);
  Comparer comparer(*old_runner, *new_runner, queries);
  std::vector<ComparedAnswers> all;
  for (std::size_t query = 0; query < queries.size(); ++query) {
    ComparedAnswers one;
    one.name = queries[query].name;
    const int questions = queries[query].with.empty() ? 1 : questions_max;
    for (int i = 0; i < questions; ++i) {
      const QueryValues& values = parameters.next(query);
      if (stop.requested()) {
        return Error{ErrorCode::cancelled, "the comparison of answers was stopped",
                     "say it again to measure", "nothing was changed"};
      }
      Likeness likeness = comparer.compare(query, values);
      // One that stays is enough to know that they differ, or that nobody can tell.
      const bool is_known = !one.first.empty() || one.moving > 0;
      const int tries = is_known ? 2 : answer_tries_max;
      for (int again = 1; !is_alike(likeness) && again < tries; ++again) {
        if (!is_known) clock.sleep_for(between_tries);
        likeness = comparer.compare_moving(query, values, catch_up);
      }
      if (likeness == Likeness::moving) {
        ++one.moving;
        continue;
      }
      ++one.asked;
      one.same += is_alike(likeness) ? 1 : 0;
      one.counted += likeness == Likeness::as_many ? 1 : 0;
      if (likeness == Likeness::different && one.first.empty()) one.first = comparer.difference();
    }
    all.push_back(std::move(one));
  }
  return all;
}

}  // namespace whimbrel
