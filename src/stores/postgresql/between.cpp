#include "stores/postgresql/between.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "base/text.h"
#include "stores/postgresql/brake.h"
#include "stores/postgresql/converted.h"
#include "stores/postgresql/copying.h"
#include "stores/postgresql/digests.h"

namespace whimbrel::postgresql {

namespace {

// Types whose binary form says nothing of the server that it comes from.
bool is_same_everywhere(const Mapping& mapping) {
  return std::ranges::all_of(mapping.forward, [&](const ColumnRule& rule) {
    return type_of(column_of(mapping.target, rule.column).declared).is != TypeClass::other;
  });
}

class Between final : public InsideCopier {
 public:
  Between(std::shared_ptr<Sessions> source, std::shared_ptr<Sessions> target,
          const Mapping& mapping, const StoreLimits& limits, Clock& clock)
      : source_sessions_(std::move(source)),
        target_sessions_(std::move(target)),
        mapping_(mapping),
        clock_(clock),
        brake_(limits, clock),
        source_(source_sessions_, mapping.source, "s."),
        target_(target_sessions_, mapping.target, "t."),
        reader_(make_reader(source_sessions_, mapping.source)),
        format_(is_same_everywhere(mapping) ? "binary" : "text") {}

  Status learn() {
    ASSIGN_OR_RETURN(const ConnectionPtr source, source_sessions_->take());
    ASSIGN_OR_RETURN(const ConnectionPtr target, target_sessions_->take());
    constexpr int versions_apart = 10'000;
    const int source_version = PQserverVersion(source->raw());
    const int target_version = PQserverVersion(target->raw());
    const bool is_same = source_version / versions_apart == target_version / versions_apart;
    by_ = is_same ? DigestBy::record : DigestBy::md5;
    return source_.learn_row_size(*source);
  }

  Result<InsideCopy> copy_after(const std::optional<Row>& after,
                                const ChunkLimits& limits) override {
    ASSIGN_OR_RETURN(const ConnectionPtr source, source_sessions_->take());
    ASSIGN_OR_RETURN(const ConnectionPtr target, target_sessions_->take());
    TRY(brake_.wait(*target));
    const Milliseconds since = clock_.monotonic();
    InsideCopy copy;
    copy.range.after = after;
    ASSIGN_OR_RETURN(copy.range.through, source_.end_of(*source, after, std::nullopt, limits));
    ASSIGN_OR_RETURN(const std::string place, target_.place(*target));
    ASSIGN_OR_RETURN(Transaction transaction, Transaction::begin(*target));
    ASSIGN_OR_RETURN(const OwnWrites own, write_as_own(*target, *target_sessions_, place));
    copy.blocked = own.has_to_be_looked_through;
    if (copy.blocked) return copy;
    const Status passed = pass(*source, *target, place, copy);
    if (!passed.ok()) {
      // A value that does not convert, or has to be unique, or is there from before: row by row it
      // can be said which.
      copy.blocked = source->refuses_a_value() || target->refuses_a_value();
      if (copy.blocked) return copy;
      return passed.error();
    }
    TRY(transaction.commit());
    copy.took = clock_.monotonic() - since;
    return copy;
  }

  Result<ChunkOfRows> read_after(const std::optional<Row>& after,
                                 const ChunkLimits& limits) override {
    return reader_->read_after(after, limits);
  }

  Status make_durable() override { return {}; }

  Result<InsideComparison> compare_after(const std::optional<Row>& after,
                                         const std::optional<Row>& until,
                                         const ChunkLimits& limits) override {
    ASSIGN_OR_RETURN(const ConnectionPtr source, source_sessions_->take());
    ASSIGN_OR_RETURN(const ConnectionPtr target, target_sessions_->take());
    InsideComparison comparison;
    comparison.range.after = after;
    ASSIGN_OR_RETURN(comparison.range.through, source_.end_of(*source, after, until, limits));
    KeyRange range = comparison.range;
    if (!range.through) range.through = until;
    ASSIGN_OR_RETURN(const Digested expected,
                     digested_source(*source, mapping_, source_, range, Digests::rows, by_));
    ASSIGN_OR_RETURN(const Digested found,
                     digested_target(*target, mapping_, target_, range, Digests::rows, by_));
    ASSIGN_OR_RETURN(const bool equal,
                     have_equal_digests(*source, *target, expected, found, comparison));
    if (equal) return comparison;
    ASSIGN_OR_RETURN(comparison.differing,
                     only_first(*source, *target, expected, found, source_,
                                is_far_more(comparison.found.rows(), comparison.expected.rows())));
    comparison.differing_rows = std::ssize(comparison.differing);
    return comparison;
  }

  Result<std::optional<Row>> middle() override { return std::optional<Row>(); }

  Result<std::optional<InsideStrangers>> strangers_after(const std::optional<Row>& after,
                                                         const ChunkLimits& limits) override {
    ASSIGN_OR_RETURN(const ConnectionPtr source, source_sessions_->take());
    ASSIGN_OR_RETURN(const ConnectionPtr target, target_sessions_->take());
    InsideStrangers strangers;
    strangers.range.after = after;
    const ChunkLimits of_keys{limits.rows_max * 10, limits.bytes_max * 10};  // they are small
    ASSIGN_OR_RETURN(strangers.range.through,
                     target_.end_of(*target, after, std::nullopt, of_keys));
    ASSIGN_OR_RETURN(const Digested expected, digested_source(*source, mapping_, source_,
                                                              strangers.range, Digests::keys, by_));
    ASSIGN_OR_RETURN(const Digested found, digested_target(*target, mapping_, target_,
                                                           strangers.range, Digests::keys, by_));
    InsideComparison comparison;
    ASSIGN_OR_RETURN(const bool equal,
                     have_equal_digests(*source, *target, expected, found, comparison));
    if (!equal) {
      ASSIGN_OR_RETURN(strangers.keys, only_first(*target, *source, found, expected, target_,
                                                  is_far_more(comparison.expected.rows(),
                                                              comparison.found.rows())));
    }
    return std::optional(std::move(strangers));
  }

 private:
  // The rows of a range, from one server to the other.
  Status pass(Connection& source, Connection& target, const std::string& place, InsideCopy& copy) {
    ASSIGN_OR_RETURN(const std::string from, source_.place(source));
    ASSIGN_OR_RETURN(const std::string where, source_.where_as_text(copy.range));
    std::vector<std::string> values;
    std::vector<std::string> columns;
    for (const ColumnRule& rule : mapping_.forward) {
      values.push_back(converted(mapping_, rule));
      columns.push_back(rule.column);
    }
    ASSIGN_OR_RETURN(CopyIn in,
                     CopyIn::begin(target, fmt::format("COPY {} ({}) FROM STDIN (FORMAT "
                                                       "{})",
                                                       place, name_list(columns), format_)));
    ASSIGN_OR_RETURN(CopyOut out,
                     CopyOut::begin(source, fmt::format("COPY (SELECT {} FROM {} s WHERE {}) TO "
                                                        "STDOUT (FORMAT {})",
                                                        join(values, ", "), from, where, format_)));
    while (true) {
      ASSIGN_OR_RETURN(const std::optional<std::string_view> piece, out.next());
      if (!piece) break;
      TRY(in.put(*piece));
      copy.bytes += std::ssize(*piece);
    }
    ASSIGN_OR_RETURN(copy.written, in.end());
    copy.read = copy.written;
    return {};
  }

  // Both servers work at the same time.
  static Result<bool> have_equal_digests(Connection& source, Connection& target,
                                         const Digested& expected, const Digested& found,
                                         InsideComparison& comparison) {
    TRY(target.send(found.whole(), found.parameters));
    ASSIGN_OR_RETURN(const auto expected_rows, source.query(expected.whole(), expected.parameters));
    ASSIGN_OR_RETURN(const auto found_rows, target.receive());
    comparison.expected = fingerprint_of(expected_rows.at(0));
    comparison.found = fingerprint_of(found_rows.at(0));
    return comparison.expected == comparison.found;
  }

  // A range without an end, and one of keys that are far apart, may hold all of the other table.
  static bool is_far_more(std::int64_t rows, std::int64_t than) {
    constexpr std::int64_t more = 10'000;
    return rows > than * 2 + more;
  }

  // The keys of rows that only the first side has, or has otherwise; all of its keys where the
  // other has far more rows, which are not to be held at once.
  static Result<std::vector<Row>> only_first(Connection& first, Connection& second,
                                             const Digested& of_first, const Digested& of_second,
                                             const Ranges& ranges, bool second_has_far_more) {
    const auto sql = [](const Digested& of) {
      return fmt::format("SELECT {}, {} FROM {} WHERE {}", of.keys, of.row, of.from, of.where);
    };
    std::vector<Cells> second_rows;
    if (!second_has_far_more) TRY(second.send(sql(of_second), of_second.parameters));
    ASSIGN_OR_RETURN(const auto first_rows, first.query(sql(of_first), of_first.parameters));
    if (!second_has_far_more) {
      ASSIGN_OR_RETURN(second_rows, second.receive());
    }
    std::unordered_map<std::string, std::string> digests;
    for (const Cells& row : second_rows) digests.emplace(*row[0], *row[1]);
    std::vector<Row> keys;
    for (const Cells& row : first_rows) {
      const auto same = digests.find(*row[0]);
      if (same != digests.end() && same->second == *row[1]) continue;
      keys.push_back(ranges.key_of(cells_of(*row[0])));
    }
    return keys;
  }

  std::shared_ptr<Sessions> source_sessions_;
  std::shared_ptr<Sessions> target_sessions_;
  const Mapping& mapping_;
  Clock& clock_;
  Brake brake_;
  Ranges source_;
  Ranges target_;
  std::unique_ptr<SnapshotReader> reader_;
  std::string format_;
  DigestBy by_ = DigestBy::md5;
};

}  // namespace

bool can_copy_between(const Mapping& mapping) {
  return mapping.respelled.empty() && server_converts(mapping) && same_order(mapping);
}

Result<std::unique_ptr<InsideCopier>> make_between(std::shared_ptr<Sessions> source,
                                                   std::shared_ptr<Sessions> target,
                                                   const Mapping& mapping,
                                                   const StoreLimits& limits, Clock& clock) {
  auto between =
      std::make_unique<Between>(std::move(source), std::move(target), mapping, limits, clock);
  TRY(between->learn());
  return std::unique_ptr<InsideCopier>(std::move(between));
}

}  // namespace whimbrel::postgresql
