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
}  // namespace

std::string examples_of(std::span<const Difference> all) {
  std::string examples;
  for (const Difference& one : all.first(std::min<std::size_t>(all.size(), examples_told))) {
    examples += fmt::format("\n  {} key {}: {}", one.table, one.key, one.what);
  }
  return examples;
}

Verify::Verify(std::span<const Move> moves, const Move& move, Pairing pairing, std::int64_t sample,
               Journal& journal, Clock& clock, Events& events)
    : moves_(moves),
      move_(move),
      pairing_(pairing),
      sample_(sample),
      journal_(journal),
      clock_(clock),
      events_(events) {}

Status Verify::open(Lane& lane) const {
  ASSIGN_OR_RETURN(lane.target, move_.target->open_reader(move_.mapping.target));
  if (move_.compares_inside) {
    ASSIGN_OR_RETURN(lane.inside, move_.target->open_inside(move_.mapping, *move_.source));
  }
  if (move_.own != nullptr) lane.own = std::make_unique<OwnComparison>(moves_, move_);
  ASSIGN_OR_RETURN(lane.source, move_.source->open_reader_where(move_.mapping.source, move_.where));
  return {};
}

void Verify::close(Lane& lane) {
  lane.source.reset();
  lane.target.reset();
  lane.inside.reset();
  lane.own.reset();
}

// Two halves of the source, where the store can say what its middle is, keep two processors busy.
Result<int> Verify::open() {
  if (portion_) {
    open_portion();
    return static_cast<int>(lanes_.size());
  }
  Lane& first = lanes_.emplace_back();
  if (move_.compares_inside && sample_ == 0) {
    ASSIGN_OR_RETURN(const auto inside, move_.target->open_inside(move_.mapping, *move_.source));
    ASSIGN_OR_RETURN(first.until, inside->middle());
  }
  if (const std::optional<Row> middle = first.until) lanes_.emplace_back().after = middle;
  if (sample_ == 0) lanes_.emplace_back().of_target = true;
  return static_cast<int>(lanes_.size());
}

void Verify::open_portion() {
  for (const bool of_target : {false, true}) {
    Lane& lane = lanes_.emplace_back();
    lane.of_target = of_target;
    lane.after = of_target ? portion_->target : portion_->source;
    lane.began_within = lane.after.has_value();
    lane.rows_left = portion_->rows;
  }
}

// At the end of the table a portion that began within it goes on with the first row.
bool Verify::ends_portion(Lane& lane, bool at_end) {
  if (*lane.rows_left > 0 && !at_end) return false;
  if (*lane.rows_left > 0 && lane.began_within) {
    lane.began_within = false;
    return false;
  }
  (lane.of_target ? portion_->target : portion_->source) = lane.after;
  return true;
}

ChunkLimits Verify::limits_of(const Lane& lane) const {
  return {std::min(lane.rows_per_chunk, lane.rows_left.value_or(lane.rows_per_chunk)),
          bytes_per_chunk};
}

Status Verify::open_to_judge() {
  if (source_ != nullptr) return {};
  ASSIGN_OR_RETURN(target_, move_.target->open_reader(move_.mapping.target));
  if (move_.own != nullptr) own_ = std::make_unique<OwnComparison>(moves_, move_);
  ASSIGN_OR_RETURN(source_, move_.source->open_reader(move_.mapping.source));
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
  const Mapping& mapping = move_.mapping;
  if (!source && no_place_.contains(target_key)) {
    ++on_new_side_;
    return std::string();
  }
  if (!source) return std::string("extra");
  const Result<Row> image = image_of(mapping, *source, move_.target->catalog());
  if (!image.ok()) {
    if (!image.error().is_of_a_row()) return image.error();
    // Another row, which has got the key of one that was set aside: kept, or a feed will tell.
    bool is_of_another = target && no_place_.contains(target_key);
    if (target && pairing_ == Pairing::reversed && !is_of_another) {
      ASSIGN_OR_RETURN(
          is_of_another,
          journal_.is_set_aside(move_.index, key_digest(key_of(*source, mapping.source_key))));
    }
    if (is_of_another) {
      ++on_new_side_;
      return std::string();
    }
    // Set aside by `on_error: reject`: then the target must not have it.
    if (move_.on_error == OnError::reject) return std::string(target ? "extra" : "");
    return std::string(cannot_be_moved) + image.error().message;
  }
  if (!target) return std::string("missing");
  const std::vector<std::string> columns = differing(mapping.forward, image.value(), *target);
  if (columns.empty()) return std::string();
  if (no_place_.contains(target_key)) {  // an older version stays where this one has none
    ++on_new_side_;
    return std::string();
  }
  ASSIGN_OR_RETURN(const bool by_way_back, written_by_new_side(target_key));
  if (by_way_back) {
    const Row back = source_that_fits(mapping, *target, *source, move_.source->catalog());
    std::vector<ColumnRule> rules;
    for (const ColumnRule& rule : mapping.backward) {
      const bool moved = gives_another(mapping, rule, image.value(), *target);
      // A trigger of the old table has the last word about what is brought back.
      const Catalog& old_side = move_.source->catalog();
      if (moved && !old_side.trigger_may_set(mapping.source, rule.column)) rules.push_back(rule);
    }
    if (differing(rules, back, *source).empty()) {
      ++on_new_side_;
      return std::string();
    }
  }
  return join(columns, ", ");
}

Result<std::vector<OwnComparison::Pair>> Verify::own_pairs(const std::vector<Row>& source_keys) {
  TRY(open_to_judge());
  ASSIGN_OR_RETURN(auto rows, source_->read_keys(source_keys));
  return own_->compare(source_keys, std::move(rows), *target_);
}

// A row that is gone by this key may stand in the spelling that was carried over since.
Status Verify::look_under_other_spellings(const std::vector<Row>& source_keys,
                                          const std::vector<Row>& target_keys,
                                          std::vector<std::optional<Row>>& sources) {
  if (move_.mapping.respelled.empty()) return {};
  std::vector<Row> keys;
  std::vector<std::size_t> of;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    if (sources[i]) continue;
    ASSIGN_OR_RETURN(Row key,
                     source_key_of(move_.mapping, target_keys[i], move_.source->catalog()));
    if (same(key, source_keys[i])) continue;
    keys.push_back(std::move(key));
    of.push_back(i);
  }
  if (keys.empty()) return {};
  ASSIGN_OR_RETURN(auto found, source_->read_keys(keys));
  for (std::size_t i = 0; i < of.size(); ++i) sources[of[i]] = std::move(found[i]);
  return {};
}

Result<std::vector<std::string>> Verify::verdicts(const std::vector<Row>& source_keys) {
  TRY(open_to_judge());
  std::vector<std::string> all;
  if (own_ != nullptr) {
    ASSIGN_OR_RETURN(const auto pairs, own_pairs(source_keys));
    for (const OwnComparison::Pair& pair : pairs) all.push_back(pair.differs);
    return all;
  }
  std::vector<Row> target_keys;
  for (const Row& key : source_keys) {
    ASSIGN_OR_RETURN(Row target_key, target_key_of(move_.mapping, key, move_.target->catalog()));
    target_keys.push_back(std::move(target_key));
  }
  ASSIGN_OR_RETURN(auto sources, source_->read_keys(source_keys));
  TRY(look_under_other_spellings(source_keys, target_keys, sources));
  ASSIGN_OR_RETURN(const auto targets, target_->read_keys(target_keys));
  for (std::size_t i = 0; i < source_keys.size(); ++i) {
    ASSIGN_OR_RETURN(std::string what, verdict(sources[i], targets[i], target_keys[i]));
    all.push_back(std::move(what));
  }
  return all;
}

Status Verify::judge(const std::vector<Row>& source_keys) {
  ASSIGN_OR_RETURN(const std::vector<std::string> all, verdicts(source_keys));
  for (std::size_t i = 0; i < source_keys.size(); ++i) {
    if (all[i].empty()) {
      suspects_.erase(source_keys[i]);
      continue;
    }
    ASSIGN_OR_RETURN(const bool is_remembered, has_room());
    if (is_remembered || suspects_.contains(source_keys[i])) {
      suspects_.insert(source_keys[i]);
    } else {
      ++suspects_beyond_;
    }
  }
  return {};
}

// Many suspects may be nothing but lag: then they need not be remembered.
Result<bool> Verify::has_room() {
  if (suspects_.size() >= suspects_max && settle_) {
    TRY(settle_());
    if (suspects_.size() > suspects_max / 2) settle_ = nullptr;  // they are not
  }
  return suspects_.size() < suspects_max;
}

Status Verify::suspect(const std::vector<Row>& source_keys) {
  if (source_keys.empty()) return {};
  const std::lock_guard lock(mutex_);
  return judge(source_keys);
}

Status Verify::note_chunk(std::int64_t rows, const Fingerprint& expected, const Fingerprint& found,
                          const std::vector<Row>& suspects) {
  {
    const std::lock_guard lock(mutex_);
    rows_ += rows;
    expected_.merge(expected);
    found_.merge(found);
  }
  return suspect(suspects);
}

Result<bool> Verify::source_chunk_inside(Lane& lane) {
  ASSIGN_OR_RETURN(const InsideComparison chunk,
                   lane.inside->compare_after(lane.after, lane.until, limits_of(lane)));
  if (lane.rows_left) *lane.rows_left -= std::max<std::int64_t>(1, chunk.expected.rows());
  TRY(note_chunk(chunk.expected.rows(), chunk.expected, chunk.found, chunk.differing));
  lane.after = chunk.range.through;
  return !lane.after.has_value();
}

Result<bool> Verify::source_chunk(Lane& lane) {
  ASSIGN_OR_RETURN(const ChunkOfRows chunk, lane.source->read_after(lane.after, limits_of(lane)));
  if (lane.rows_left) *lane.rows_left -= std::ssize(chunk.rows);
  std::vector<Row> suspects;
  std::vector<Row> keys;
  std::vector<Row> target_keys;
  std::vector<const Row*> rows;
  for (const Row& row : chunk.rows) {
    Row source_key = key_of(row, move_.mapping.source_key);
    Result<Row> key = target_key_of(move_.mapping, source_key, move_.target->catalog());
    // Set aside, and under no key anywhere.
    const bool has_none = !key.ok() && key.error().code == ErrorCode::refused;
    if (has_none && move_.on_error == OnError::reject) continue;
    if (!key.ok()) return std::move(key).error();
    rows.push_back(&row);
    keys.push_back(std::move(source_key));
    target_keys.push_back(std::move(key).value());
  }
  ASSIGN_OR_RETURN(const auto targets, lane.target->read_keys(target_keys));
  Fingerprint expected;
  Fingerprint found;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const Result<Row> image = image_of(move_.mapping, *rows[i], move_.target->catalog());
    if (image.ok()) expected.add(written_values(move_.mapping.forward, image.value()));
    if (targets[i]) found.add(written_values(move_.mapping.forward, *targets[i]));
    const bool equal = image.ok() && targets[i] &&
                       differing(move_.mapping.forward, image.value(), *targets[i]).empty();
    if (!equal) suspects.push_back(keys[i]);
  }
  TRY(note_chunk(std::ssize(keys), expected, found, suspects));
  lane.after = chunk.range.through;
  return !lane.after.has_value();
}

Result<bool> Verify::source_chunk_of_own(Lane& lane) {
  ASSIGN_OR_RETURN(ChunkOfRows chunk,
                   lane.source->read_after(lane.after, {lane.rows_per_chunk, bytes_per_chunk}));
  std::vector<Row> keys;
  std::vector<std::optional<Row>> rows;
  for (Row& row : chunk.rows) {
    keys.push_back(key_of(row, move_.mapping.source_key));
    rows.emplace_back(std::move(row));
  }
  ASSIGN_OR_RETURN(const auto pairs, lane.own->compare(keys, std::move(rows), *lane.target));
  Fingerprint expected;
  Fingerprint found;
  std::vector<Row> suspects;
  std::int64_t compared = 0;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto& [image, target, differs, waits] = pairs[i];
    if (image || target) ++compared;
    if (image) expected.add(written_values(move_.mapping.forward, *image));
    if (target) found.add(written_values(move_.mapping.forward, *target));
    if (!differs.empty()) suspects.push_back(keys[i]);
  }
  TRY(note_chunk(compared, expected, found, suspects));
  lane.after = chunk.range.through;
  return !lane.after.has_value();
}

// Rows of ours whose row of the source is gone. Those of others are no differences.
Result<bool> Verify::own_chunk(Lane& lane) {
  ASSIGN_OR_RETURN(const OwnWithoutSource gone,
                   own_without_source(*move_.own, *lane.source, lane.after, lane.rows_per_chunk,
                                      what_is_wanted(moves_, move_)));
  TRY(suspect(gone.source_keys));
  lane.after = gone.through;
  return !lane.after.has_value();
}

// The source's key of a row of the target, from which a key of the target can be made again.
Result<Row> Verify::key_there_and_back(const Row& target_key) const {
  ASSIGN_OR_RETURN(Row key, source_key_of(move_.mapping, target_key, move_.source->catalog()));
  if (move_.mapping.key_is_alike) return key;
  const Result<Row> again = target_key_of(move_.mapping, key, move_.target->catalog());
  return again.ok() ? Result<Row>(std::move(key)) : Result<Row>(again.error());
}

// A row whose key leads nowhere: kept already, or under links made there by the application.
Result<bool> Verify::is_on_new_side_only(const Row& target_key) {
  const std::lock_guard lock(mutex_);
  if (!no_place_.contains(target_key)) {
    if (pairing_ == Pairing::lagging) return false;
    // The application's own: the old side has no place for it, and a feed will tell so.
    if (pairing_ == Pairing::reversed) {
      ++on_new_side_;
      return true;
    }
    ASSIGN_OR_RETURN(const bool written, written_by_new_side(target_key));
    if (!written) return false;
  }
  ++on_new_side_;
  return true;
}

// Rows that only the target has: by the keys, where both tables lie in one store.
Result<bool> Verify::target_chunk(Lane& lane) {
  const ChunkLimits limits = limits_of(lane);
  std::vector<Row> suspects;
  if (lane.inside != nullptr) {
    ASSIGN_OR_RETURN(const std::optional<InsideStrangers> strangers,
                     lane.inside->strangers_after(lane.after, limits));
    if (strangers) {
      for (const Row& key : strangers->keys) {
        Result<Row> source_key = key_there_and_back(key);
        if (!source_key.ok()) {
          ASSIGN_OR_RETURN(const bool is_there_only, is_on_new_side_only(key));
          if (is_there_only) continue;
          return std::move(source_key).error();
        }
        suspects.push_back(std::move(source_key).value());
      }
      TRY(suspect(suspects));
      if (lane.rows_left) *lane.rows_left -= limits.rows_max;
      lane.after = strangers->range.through;
      return !lane.after.has_value();
    }
  }
  if (move_.own != nullptr) return own_chunk(lane);
  ASSIGN_OR_RETURN(const ChunkOfRows chunk, lane.target->read_after(lane.after, limits));
  if (lane.rows_left) *lane.rows_left -= std::ssize(chunk.rows);
  std::vector<Row> keys;
  std::vector<Row> target_keys;
  for (const Row& row : chunk.rows) {
    Row target_key = key_of(row, move_.mapping.target_key);
    Result<Row> key = source_key_of(move_.mapping, target_key, move_.source->catalog());
    if (!key.ok()) {
      ASSIGN_OR_RETURN(const bool is_there_only, is_on_new_side_only(target_key));
      if (is_there_only) continue;
      return std::move(key).error();
    }
    keys.push_back(std::move(key).value());
    target_keys.push_back(std::move(target_key));
  }
  ASSIGN_OR_RETURN(const auto sources, lane.source->read_keys(keys));
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (sources[i]) continue;
    if (const Result<Row> key = key_there_and_back(target_keys[i]); !key.ok()) {
      ASSIGN_OR_RETURN(const bool is_there_only, is_on_new_side_only(target_keys[i]));
      if (is_there_only) continue;
      return key.error();
    }
    suspects.push_back(keys[i]);
  }
  TRY(suspect(suspects));
  lane.after = chunk.range.through;
  return !lane.after.has_value();
}

bool Verify::sampled_enough() {
  const std::lock_guard lock(mutex_);
  return sample_ > 0 && rows_ >= sample_;
}

Result<Step> Verify::step(int number) {
  Lane& lane = lanes_[static_cast<std::size_t>(number)];
  const Milliseconds began = clock_.monotonic();
  // Among many tables only those that are being read take room.
  if (lane.source == nullptr) TRY(open(lane));
  Result<bool> ended = lane.of_target          ? target_chunk(lane)
                       : lane.own != nullptr   ? source_chunk_of_own(lane)
                       : move_.compares_inside ? source_chunk_inside(lane)
                                               : source_chunk(lane);
  if (!ended.ok()) return std::move(ended).error().within("comparing " + move_.name);
  {
    const std::lock_guard lock(mutex_);
    events_.emit({"chunk_verified",
                  {{"table", move_.name},
                   {"rows", rows_},
                   {"suspects", suspects()},
                   {"backwards", lane.of_target}}});
  }
  const Milliseconds took = clock_.monotonic() - began;
  if (took < Milliseconds(50)) {
    lane.rows_per_chunk = std::min(lane.rows_per_chunk * 2, rows_per_chunk_max);
  }
  if (took > Milliseconds(500)) {
    lane.rows_per_chunk = std::max<std::int64_t>(lane.rows_per_chunk / 4, 100);
  }
  const bool is_done =
      lane.rows_left ? ends_portion(lane, ended.value()) : ended.value() || sampled_enough();
  if (!is_done) return Step::again;
  close(lane);
  return Step::done;
}

Status Verify::look_at(const std::vector<Row>& source_keys) {
  constexpr std::ptrdiff_t at_once = 500;
  for (auto from = source_keys.begin(); from != source_keys.end();) {
    const auto to = from + std::min(at_once, source_keys.end() - from);
    TRY(suspect({from, to}));
    from = to;
  }
  rows_ += std::ssize(source_keys);
  return {};
}

Status Verify::look_at_target(const std::vector<Row>& target_keys) {
  std::vector<Row> source_keys;
  for (const Row& key : target_keys) {
    Result<Row> source_key = key_there_and_back(key);
    if (source_key.ok()) {
      source_keys.push_back(std::move(source_key).value());
      continue;
    }
    ASSIGN_OR_RETURN(const bool is_there_only, is_on_new_side_only(key));
    if (!is_there_only) return std::move(source_key).error();
  }
  return look_at(source_keys);
}

Status Verify::recheck() {
  const std::vector<Row> all(suspects_.begin(), suspects_.end());
  constexpr std::size_t at_once = 500;
  // What it knows of other tables may be out of date by now.
  if (own_ != nullptr) own_ = std::make_unique<OwnComparison>(moves_, move_);
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

Status Verify::forgive_what_waits() {
  if (move_.own == nullptr || suspects_.empty()) return {};
  const std::vector<Row> keys(suspects_.begin(), suspects_.end());
  ASSIGN_OR_RETURN(const auto pairs, own_pairs(keys));
  std::set<Row, RowLess> waiting;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (pairs[i].waits) waiting.insert(keys[i]);
  }
  forgive(waiting);
  return {};
}

std::int64_t Verify::suspects() const { return std::ssize(suspects_) + suspects_beyond_; }

std::vector<Difference> Verify::differences(std::size_t at_most) {
  std::vector<Row> keys;
  for (const Row& key : suspects_) {
    if (keys.size() < at_most) keys.push_back(key);
  }
  const Result<std::vector<std::string>> now = verdicts(keys);
  std::vector<Difference> all;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const bool is_known = now.ok() && !now.value()[i].empty();
    all.push_back({move_.name, show(keys[i]), is_known ? now.value()[i] : "differs"});
  }
  return all;
}

Status Verify::journal_outcome() {
  return journal_.append(
      ChunkVerified{move_.index, rows_, suspects(), expected_.to_text(), found_.to_text()});
}

}  // namespace whimbrel
