#include "verify/verify.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "store/image.h"

namespace whimbrel {

namespace {
constexpr std::size_t suspects_max = 100'000;
constexpr std::int64_t bytes_per_chunk = std::int64_t{8} << 20;
constexpr std::int64_t rows_per_chunk_max = 20'000;

// A trigger of the old table has the last word about what is brought back: many note so when a row
// was changed. Its text says which columns it may mean.
bool trigger_may_change(const TableSchema& table, const std::string& column) {
  const std::string name = ascii_lower(column);
  return std::ranges::any_of(table.trigger_ddl, [&](const std::string& ddl) {
    return ascii_lower(ddl).find(name) != std::string::npos;
  });
}
}  // namespace

Verify::Verify(const Move& move, Pairing pairing, std::int64_t sample, Journal& journal,
               Clock& clock, Events& events)
    : move_(move),
      pairing_(pairing),
      sample_(sample),
      journal_(journal),
      clock_(clock),
      events_(events) {}

Status Verify::open() {
  ASSIGN_OR_RETURN(source_, move_.source->open_reader(move_.mapping.source));
  ASSIGN_OR_RETURN(target_, move_.target->open_reader(move_.mapping.target));
  if (move_.compares_inside) {
    ASSIGN_OR_RETURN(inside_, move_.target->open_inside(move_.mapping, *move_.source));
  }
  return {};
}

Result<bool> Verify::written_by_new_side(const Row& target_key) {
  if (put_back_.contains(target_key)) return true;
  if (pairing_ != Pairing::linked) return pairing_ == Pairing::reversed;
  if (!new_side_.contains(target_key)) {  // it may have been written since we last asked
    ASSIGN_OR_RETURN(const std::vector<Row> keys, move_.target->capture().written_on_new_side(
                                                      {move_.name, &move_.mapping, true}));
    new_side_.insert(keys.begin(), keys.end());
  }
  return new_side_.contains(target_key);
}

Result<std::string> Verify::verdict(const std::optional<Row>& source,
                                    const std::optional<Row>& target, const Row& target_key) {
  if (!source && !target) return std::string();
  if (!source) return std::string("extra");
  const Mapping& mapping = move_.mapping;
  const Result<Row> image = image_of(mapping, *source, move_.target->catalog());
  if (!image.ok()) {
    // Set aside by `on_error: reject`: then the target must not have it.
    if (move_.on_error == OnError::reject) return std::string(target ? "extra" : "");
    return image.error();
  }
  if (!target) return std::string("missing");
  const std::vector<std::string> columns = differing(mapping.forward, image.value(), *target);
  if (columns.empty()) return std::string();
  ASSIGN_OR_RETURN(const bool by_way_back, written_by_new_side(target_key));
  if (by_way_back) {
    ASSIGN_OR_RETURN(const Row back,
                     source_of(mapping, *target, &*source, move_.source->catalog()));
    std::vector<ColumnRule> rules;
    for (const ColumnRule& rule : mapping.backward) {
      bool moved = false;
      for (const std::string& column : columns_of(*rule.expr)) {
        const auto at = static_cast<std::size_t>(mapping.target.column_index(column));
        moved = moved || !same(image.value()[at], (*target)[at]);
      }
      if (moved && !trigger_may_change(mapping.source, rule.column)) rules.push_back(rule);
    }
    if (differing(rules, back, *source).empty()) {
      ++on_new_side_;
      return std::string();
    }
  }
  return join(columns, ", ");
}

Status Verify::judge(const std::vector<Row>& source_keys) {
  std::vector<Row> target_keys;
  for (const Row& key : source_keys) {
    ASSIGN_OR_RETURN(Row target_key, target_key_of(move_.mapping, key, move_.target->catalog()));
    target_keys.push_back(std::move(target_key));
  }
  ASSIGN_OR_RETURN(const auto sources, source_->read_keys(source_keys));
  ASSIGN_OR_RETURN(const auto targets, target_->read_keys(target_keys));
  for (std::size_t i = 0; i < source_keys.size(); ++i) {
    ASSIGN_OR_RETURN(const std::string what, verdict(sources[i], targets[i], target_keys[i]));
    if (what.empty()) {
      suspects_.erase(source_keys[i]);
    } else if (suspects_.size() < suspects_max || suspects_.contains(source_keys[i])) {
      suspects_.insert(source_keys[i]);
    } else {
      ++suspects_beyond_;
    }
  }
  return {};
}

Result<bool> Verify::source_chunk_inside() {
  ASSIGN_OR_RETURN(const InsideComparison chunk,
                   inside_->compare_after(after_, {rows_per_chunk_, bytes_per_chunk}));
  rows_ += chunk.expected.rows();
  expected_.merge(chunk.expected);
  found_.merge(chunk.found);
  if (!chunk.differing.empty()) TRY(judge(chunk.differing));
  after_ = chunk.range.through;
  return !after_.has_value();
}

Result<bool> Verify::source_chunk() {
  ASSIGN_OR_RETURN(const ChunkOfRows chunk,
                   source_->read_after(after_, {rows_per_chunk_, bytes_per_chunk}));
  std::vector<Row> suspects;
  std::vector<Row> keys;
  std::vector<Row> target_keys;
  for (const Row& row : chunk.rows) {
    keys.push_back(key_of(row, move_.mapping.source_key));
    ASSIGN_OR_RETURN(Row key, target_key_of(move_.mapping, keys.back(), move_.target->catalog()));
    target_keys.push_back(std::move(key));
  }
  ASSIGN_OR_RETURN(const auto targets, target_->read_keys(target_keys));
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const Result<Row> image = image_of(move_.mapping, chunk.rows[i], move_.target->catalog());
    if (image.ok()) expected_.add(written_values(move_.mapping.forward, image.value()));
    if (targets[i]) found_.add(written_values(move_.mapping.forward, *targets[i]));
    const bool equal = image.ok() && targets[i] &&
                       differing(move_.mapping.forward, image.value(), *targets[i]).empty();
    if (!equal) suspects.push_back(keys[i]);
  }
  rows_ += std::ssize(keys);
  if (!suspects.empty()) TRY(judge(suspects));
  after_ = chunk.range.through;
  return !after_.has_value();
}

// Rows that only the target has: by the keys, where both tables lie in one store.
Result<bool> Verify::target_chunk() {
  if (inside_ != nullptr) {
    ASSIGN_OR_RETURN(const std::optional<InsideStrangers> strangers,
                     inside_->strangers_after(after_, {rows_per_chunk_, bytes_per_chunk}));
    if (strangers) {
      std::vector<Row> suspects;
      for (const Row& key : strangers->keys) {
        ASSIGN_OR_RETURN(Row source_key,
                         source_key_of(move_.mapping, key, move_.source->catalog()));
        suspects.push_back(std::move(source_key));
      }
      if (!suspects.empty()) TRY(judge(suspects));
      after_ = strangers->range.through;
      return !after_.has_value();
    }
  }
  ASSIGN_OR_RETURN(const ChunkOfRows chunk,
                   target_->read_after(after_, {rows_per_chunk_, bytes_per_chunk}));
  std::vector<Row> keys;
  for (const Row& row : chunk.rows) {
    ASSIGN_OR_RETURN(Row key, source_key_of(move_.mapping, key_of(row, move_.mapping.target_key),
                                            move_.source->catalog()));
    keys.push_back(std::move(key));
  }
  ASSIGN_OR_RETURN(const auto sources, source_->read_keys(keys));
  std::vector<Row> suspects;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!sources[i]) suspects.push_back(keys[i]);
  }
  if (!suspects.empty()) TRY(judge(suspects));
  after_ = chunk.range.through;
  return !after_.has_value();
}

Result<Step> Verify::step() {
  if (source_ == nullptr) TRY(open());
  if (pass_ == Pass::done) return Step::done;
  const Milliseconds began = clock_.monotonic();
  Result<bool> ended = pass_ == Pass::target   ? target_chunk()
                       : move_.compares_inside ? source_chunk_inside()
                                               : source_chunk();
  if (!ended.ok()) return std::move(ended).error().within("comparing " + move_.name);
  events_.emit({"chunk_verified",
                {{"table", move_.name},
                 {"rows", rows_},
                 {"suspects", suspects()},
                 {"backwards", pass_ == Pass::target}}});
  const Milliseconds took = clock_.monotonic() - began;
  if (took < Milliseconds(50)) rows_per_chunk_ = std::min(rows_per_chunk_ * 2, rows_per_chunk_max);
  if (took > Milliseconds(500)) rows_per_chunk_ = std::max<std::int64_t>(rows_per_chunk_ / 4, 100);
  if (!ended.value() && !sampled_enough()) return Step::again;
  after_.reset();
  pass_ = pass_ == Pass::source && sample_ == 0 ? Pass::target : Pass::done;
  return pass_ == Pass::done ? Step::done : Step::again;
}

Status Verify::recheck() {
  const std::vector<Row> all(suspects_.begin(), suspects_.end());
  constexpr std::size_t at_once = 500;
  for (std::size_t begin = 0; begin < all.size(); begin += at_once) {
    const std::size_t end = std::min(begin + at_once, all.size());
    TRY(judge({all.begin() + static_cast<std::ptrdiff_t>(begin),
               all.begin() + static_cast<std::ptrdiff_t>(end)}));
  }
  return {};
}

void Verify::forgive(const std::set<Row, RowLess>& source_keys) {
  lagging_ += static_cast<std::int64_t>(
      std::erase_if(suspects_, [&](const Row& key) { return source_keys.contains(key); }));
}

std::int64_t Verify::suspects() const { return std::ssize(suspects_) + suspects_beyond_; }

std::vector<Difference> Verify::differences(std::size_t at_most) {
  std::vector<Difference> all;
  for (const Row& key : suspects_) {
    if (all.size() >= at_most) break;
    std::string what = "differs";
    const std::vector<Row> keys = {key};
    const auto target_key = target_key_of(move_.mapping, key, move_.target->catalog());
    if (target_key.ok()) {
      const std::vector<Row> target_keys = {target_key.value()};
      const auto source = source_->read_keys(keys);
      const auto target = target_->read_keys(target_keys);
      if (source.ok() && target.ok()) {
        const auto verdict_now = verdict(source.value()[0], target.value()[0], target_key.value());
        if (verdict_now.ok()) what = verdict_now.value();
      }
    }
    all.push_back({move_.name, show(key), what});
  }
  return all;
}

Status Verify::journal_outcome() {
  return journal_.append(
      ChunkVerified{move_.index, rows_, suspects(), expected_.to_text(), found_.to_text()});
}

}  // namespace whimbrel
